//! What nodes say to each other, as bytes. Pure: buffers in, frames out.
//!
//! Every frame is a header of nine bytes (length, protocol version, CRC-32C) and
//! a body of MessagePack: one positional array that begins with its kind. The
//! bytes are laid down in docs/internals/wire_format.md and pinned by the golden
//! frames of the tests, since nodes of two releases talk to each other while a
//! cluster is upgraded (bug class B78).
//!
//! A decoder trusts nothing (B79): a length is checked against a limit before
//! anything waits for that many bytes, nothing is allocated on the word of a
//! length or a count, and what a frame says is checked as far as a frame alone
//! can be checked. Whoever gets a [`WireError`] closes the connection; that is
//! all that a bad frame can cause.

mod body;
mod check;
mod codec;
mod hello;

pub use check::WireError;
pub use codec::{FRAME_HEADER_BYTES, FrameCodec, PROTOCOL_VERSION};
pub use hello::{HELLO_FRAME_BYTES_MAX, Hello, HelloError, LocalNode, Promise};

use crate::raft::Envelope;

/// One frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// The first frame of either side of a connection.
    Hello(Hello),
    /// The acceptor's answer to a hello that it does not take; it closes then.
    Refused {
        /// A sentence for the dialler's log.
        reason: String,
    },
    /// A message of Raft.
    Rpc(Envelope),
}
