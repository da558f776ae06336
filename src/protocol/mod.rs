//! The text client protocol in both directions: bytes to requests and replies, requests
//! and replies to bytes. Pure: no socket, no clock, no actor. docs/protocol.md is the
//! contract.
//!
//! | file | contents |
//! | --- | --- |
//! | `request` | [`Request`], and how it is printed |
//! | `line` | the grammar of one command line |
//! | `fields` | the fields of a command line |
//! | `store_line` | the grammar of transactions, leases, watches, history and modes |
//! | `member_line` | the grammar of the commands about members and leadership |
//! | `foreign` | [`ForeignProtocol`]: recognises clients that speak another protocol |
//! | `parser` | [`Parser`]: commands out of a stream that is cut anywhere |
//! | `reply` | [`Reply`], and how it is printed |
//! | `reply_parser` | [`ReplyParser`], which reads replies |
//! | `reply_line` | [`ReplyLine`], one line of a reply |
//! | `error_reply` | [`ErrorReply`]: the errors, printed and parsed |
//! | `watch` | [`WatchPart`] and [`WatchParser`]: the stream of a watch, printed and parsed |
//! | `status` | [`StatusReport`], the state of a server, and [`Status`], its lines of text |
//! | `members` | [`MembersReport`], the members as a server knows them, and [`Plan`] |
//! | `text` | the small pieces of text that requests and replies share |
//! | `session` | [`Session`]: the order of the commands and replies of one connection |
//! | `queue` | the commands of a transaction between `begin` and `commit` |
//! | `asked` | the reply that an answer of the store becomes |
//! | `window` | the commands of a session that are not answered yet, and their cost |
//! | `batch` | [`ClientRequest`], and the commands of a session that leave together |
//! | [`outcome`] | the reply that an answer of the server becomes |
//!
//! Invariants of both parsers:
//! - the result does not depend on where the input was cut;
//! - each byte is looked at a bounded number of times, and nothing is reserved for a
//!   length that was only announced;
//! - after any input, [`Parser`] finds the next command, or says that the connection
//!   must end; it must when the client speaks another protocol, whose lines are no commands;
//! - a request or reply that was printed is parsed to the same value.

#[cfg(feature = "server")]
mod asked;
#[cfg(feature = "server")]
mod batch;
mod error_reply;
#[cfg(feature = "server")]
mod fields;
#[cfg(feature = "server")]
mod foreign;
#[cfg(feature = "server")]
mod line;
#[cfg(feature = "server")]
mod member_line;
mod members;
#[cfg(feature = "server")]
pub mod outcome;
#[cfg(feature = "server")]
mod parser;
#[cfg(feature = "server")]
mod queue;
mod reply;
mod reply_line;
mod reply_parser;
mod request;
#[cfg(feature = "server")]
mod session;
mod status;
#[cfg(feature = "server")]
mod store_line;
mod text;
mod watch;
#[cfg(feature = "server")]
mod window;

#[cfg(test)]
mod tests;

#[cfg(feature = "server")]
pub use batch::ClientRequest;
pub use error_reply::{Address, ErrorReply};
#[cfg(feature = "server")]
pub use foreign::ForeignProtocol;
pub use members::{
    CanLose, ChangeReport, EndedReport, MemberKind, MemberReport, MemberState, MembersReport, Plan,
};
#[cfg(feature = "server")]
pub use outcome::{ChangeWaited, Refusal, SnapshotAnswer};
#[cfg(feature = "server")]
pub use parser::{Parsed, Parser};
pub use reply::Reply;
pub use reply_line::{ErrorLine, ItemLine, ReplyLine};
pub use reply_parser::{Expect, Malformed, ReplyParser, first_reply};
pub use request::{LEASE_KEYS_MAX, Limits, Mode, Request, SnapshotQuery, WatchRequest};
#[cfg(feature = "server")]
pub use session::{Closing, STEP_COMMANDS, Session, SessionIo, SessionSettings, Step};
pub use status::{Status, StatusReport};
pub use text::{Sink, is_name};
pub use watch::{WatchEvent, WatchKind, WatchParser, WatchPart, WatchPrevious};

pub use crate::types::{MemberOperation, MemberRequest, Tolerance, TransferTarget};
