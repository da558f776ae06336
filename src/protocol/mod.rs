//! The text client protocol: bytes to requests, replies to bytes. Pure: no
//! socket, no clock, no actor; docs/PROTOCOL.md is the contract.
//!
//! [`Parser`] finds the commands in what was read, however it was cut;
//! [`Reply`] prints what became of them. Invariants:
//! - what the parser returns does not depend on where the input was cut;
//! - it looks at each byte a bounded number of times, and reserves nothing for
//!   a length that was only announced;
//! - whatever came before, it finds the next command again, or says that the
//!   connection must end.

mod line;
mod parser;
mod reply;

#[cfg(test)]
mod tests;

pub use parser::{Parsed, Parser};
pub use reply::{ErrorReply, Reply, Sink, Status};

use crate::kv;

/// What a client may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The longest command line, in bytes, without its line end.
    pub line_bytes_max: usize,
    /// The longest key, in bytes.
    pub key_bytes_max: usize,
    /// The longest value, in bytes.
    pub value_bytes_max: usize,
}

/// A well-formed command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// `set`, `add`, `cas`, `delete`.
    Write {
        /// What to write.
        operation: kv::Operation,
        /// The exactly-once prefix.
        once: Option<kv::Once>,
        /// Whether the client wants no reply at all.
        noreply: bool,
    },
    /// `get`, `getm`, `scan`.
    Read(kv::Query),
    /// `snapshot ...`, for backups.
    Snapshot(SnapshotRequest),
    /// `ping`.
    Ping,
    /// `status`.
    Status,
    /// `help`.
    Help,
    /// `quit`.
    Quit,
}

/// The commands that fetch a backup (docs/adr/0011).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapshotRequest {
    /// `snapshot begin`.
    Begin,
    /// `snapshot find`.
    Find {
        /// The snapshot shall reach so far.
        index: u64,
    },
    /// `snapshot read`.
    Read {
        /// The last entry that is in it.
        index: u64,
        /// That entry's term.
        term: u64,
        /// The file's digest.
        digest: u128,
        /// Where the piece begins.
        offset: u64,
        /// How long it is at most; bounded.
        bytes_max: usize,
    },
}
