//! What LogActor is asked, and what it answers.

use actix::{Message, Recipient};

use crate::raft::{Append, CompactLog, PersistSeq, ReadEntries, ResetLog};
use crate::types::{Entry, LogPosition};

/// Sent by RaftActor. Everything in it is durable when [`LogPersisted`] comes back with
/// this or a higher `seq`.
impl Message for Append {
    type Result = ();
}

/// To RaftActor: everything up to `seq` is durable.
#[derive(Message, Debug, PartialEq, Eq)]
#[rtype(result = "()")]
pub struct LogPersisted {
    /// The newest [`Append`] of the batch that was synced.
    pub seq: PersistSeq,
}

/// Sent by ReplicatorActor and RaftActor for entries that they no longer hold.
/// Answered by [`EntriesRead`].
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct ReadEntriesRequest {
    /// The entries to read.
    pub read: ReadEntries,
    /// The receiver of the answer.
    pub reply_to: Recipient<EntriesRead>,
}

/// The answer to [`ReadEntriesRequest`].
#[derive(Message, Debug, PartialEq, Eq)]
#[rtype(result = "()")]
pub struct EntriesRead {
    /// That of the request.
    pub ticket: u64,
    /// Consecutive entries from the one asked for; empty when the log, as it is
    /// by now, does not hold it.
    pub entries: Vec<Entry>,
}

/// Sent by RaftActor. Whole segments are removed. Answered by [`LogCompacted`].
impl Message for CompactLog {
    type Result = ();
}

/// To RaftActor: the answer to [`CompactLog`].
#[derive(Message, Debug, PartialEq, Eq)]
#[rtype(result = "()")]
pub struct LogCompacted {
    /// The log begins behind it now.
    pub base: LogPosition,
}

/// Sent by RaftActor. It ends everything that was appended before this message.
impl Message for ResetLog {
    type Result = ();
}
