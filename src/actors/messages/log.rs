//! What LogActor is asked, and what it answers.

use actix::{Message, Recipient};

use crate::raft::PersistSeq;
use crate::types::{Entry, HardState, LogIndex, LogPosition};

/// Sent by RaftActor. Everything in it is durable when [`LogPersisted`] comes
/// back with this or a higher `seq`. Entries that begin at or below the log's
/// end replace what stands there and behind. The hard state of a term comes
/// before, or with, the first entry of that term.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct Append {
    /// Rising by one with every message.
    pub seq: PersistSeq,
    /// A new term or vote.
    pub hard_state: Option<HardState>,
    /// Entries of consecutive indexes.
    pub entries: Vec<Entry>,
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
pub struct ReadEntries {
    /// Repeated in the answer.
    pub ticket: u64,
    /// The first entry wanted.
    pub from: LogIndex,
    /// The last entry wanted.
    pub to: LogIndex,
    /// Stop before this sum of `Entry::weight_bytes`, but not before the first.
    pub bytes_max: u64,
    /// Where the answer goes.
    pub reply_to: Recipient<EntriesRead>,
}

/// The answer to [`ReadEntries`].
#[derive(Message, Debug, PartialEq, Eq)]
#[rtype(result = "()")]
pub struct EntriesRead {
    /// That of the request.
    pub ticket: u64,
    /// Consecutive entries from the one asked for; empty when the log, as it is
    /// by now, does not hold it.
    pub entries: Vec<Entry>,
}

/// Sent by RaftActor: a durable snapshot stands for everything up to `limit`. What is
/// cheap to remove of it is removed: whole segments. Answered by [`LogCompacted`].
#[derive(Message, Debug, PartialEq, Eq)]
#[rtype(result = "()")]
pub struct CompactLog {
    /// The last entry that may go.
    pub limit: LogIndex,
}

/// To RaftActor: the answer to [`CompactLog`].
#[derive(Message, Debug, PartialEq, Eq)]
#[rtype(result = "()")]
pub struct LogCompacted {
    /// The log begins behind it now.
    pub base: LogPosition,
}

/// Sent by RaftActor: a durable snapshot takes the place of the log, of everything
/// that was appended before this message.
#[derive(Message, Debug, PartialEq, Eq)]
#[rtype(result = "()")]
pub struct ResetLog {
    /// The snapshot's last entry: the log begins behind it then.
    pub base: LogPosition,
}
