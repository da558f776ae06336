//! The bytes of the messages between nodes. This module does no I/O: it decodes and
//! encodes buffers.
//!
//! Every frame is a header of nine bytes (length, protocol version, CRC-32C) and a body.
//! The body is one MessagePack array whose first element is the frame's kind. The bytes
//! are laid down in docs/internals/wire_format.md. The golden frames of the tests pin them,
//! because nodes of two releases talk to each other while a cluster is upgraded
//! (docs/bugs.md B78).
//!
//! A decoder trusts no sender (docs/bugs.md B79). It checks a length against a limit before
//! anything waits for that many bytes, it allocates nothing because of a length or a count
//! alone, and it validates the content of a frame as far as a frame alone can be validated.
//! A caller that gets a [`WireError`] closes the connection, so a bad frame can cause
//! nothing else.
//!
//! | file | contents |
//! |---|---|
//! | `frame` | a frame as a value |
//! | `codec` | the header, the limit and the checksum |
//! | `kind` | the numbers of the kinds of frames |
//! | `encode`, `decode` | a frame as the bytes of a body, and back |
//! | `validate` | the content that a frame may have |
//! | `hello` | the first frame of each side |
//! | `join` | the frames of a server that joins |
//! | `admission` | the check that admits the other side |
//! | `error` | the reasons why bytes are not a frame |

mod admission;
mod codec;
mod decode;
mod encode;
mod error;
mod frame;
mod hello;
mod join;
mod kind;
mod validate;

pub use admission::{HelloError, JoinError, LocalNode, OtherCluster, OtherFormats, Promise};
pub use codec::{FRAME_BYTES_MAX, FRAME_HEADER_BYTES, FrameCodec, PROTOCOL_VERSION};
pub use error::WireError;
pub use frame::Frame;
pub use hello::{BINARY_BYTES_MAX, HELLO_FRAME_BYTES_MAX, Hello, INTRODUCED_SINCE};
pub use join::{CLUSTER_BYTES_MAX, JOINED_FRAME_BYTES_MAX, JoinAnswer, JoinRequest};
