//! The text client protocol in both directions: bytes to requests and replies, requests
//! and replies to bytes. Pure: no socket, no clock, no actor. docs/protocol.md is the
//! contract.
//!
//! | file | contents |
//! | --- | --- |
//! | `request` | [`Request`], and how it is printed |
//! | `line` | the grammar of one command line |
//! | `parser` | [`Parser`]: commands out of a stream that is cut anywhere |
//! | `reply` | [`Reply`], how it is printed, and [`ReplyParser`], which reads it |
//! | `error_reply` | [`ErrorReply`]: the errors, printed and parsed |
//! | `status` | [`StatusReport`], what a server knows of itself, and [`Status`], its lines |
//! | `text` | the small pieces of text that requests and replies share |
//!
//! Invariants of both parsers:
//! - the result does not depend on where the input was cut;
//! - each byte is looked at a bounded number of times, and nothing is reserved for a
//!   length that was only announced;
//! - after any input, [`Parser`] finds the next command, or says that the connection
//!   must end;
//! - a request or reply that was printed is parsed to the same value.

mod error_reply;
mod line;
mod parser;
mod reply;
mod request;
mod status;
mod text;

#[cfg(test)]
mod tests;

pub use error_reply::{Address, ErrorReply};
pub use parser::{Parsed, Parser};
pub use reply::{
    ErrorLine, Expect, ItemLine, Malformed, Reply, ReplyLine, ReplyParser, first_reply,
};
pub use request::{Limits, Request, SnapshotRequest};
pub use status::{Status, StatusReport};
pub use text::{Sink, is_name};
