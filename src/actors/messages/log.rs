//! The questions that LogActor answers, and its answers.

use std::time::Duration;

use actix::{Message, Recipient};

use crate::raft::{Append, CompactLog, PersistSeq, ReadEntries, ResetLog};
use crate::types::{ClusterId, Divergence, Entry, LogPosition};

/// An order that changes the log. Sent by RaftActor, executed in the order of sending:
/// a reset replaces every append before it and none after it.
#[derive(Message, Debug, PartialEq, Eq)]
#[rtype(result = "()")]
pub enum LogCommand {
    /// Adds to the log. Everything in it is durable when [`LogPersisted`] comes back with its
    /// number or a higher one.
    Append(Append),
    /// Removes whole segments, which is cheap. Answered by [`LogCompacted`].
    Compact(CompactLog),
    /// Replaces the log by nothing. Has no answer.
    Reset(ResetLog),
    /// Sets or removes the hold of the format, durably. Answered by [`HoldSaved`].
    Hold {
        /// True to set it.
        is_held: bool,
    },
    /// Keeps the id of the cluster, durably. Has no answer.
    ClusterId(ClusterId),
    /// Marks the data directory, durably: the store of this node is not what it should be. Then
    /// the node ends. Has no answer.
    MarkDiverged(Divergence),
}

/// Sent to RaftActor: every append up to `seq` is durable.
#[derive(Message, Debug, PartialEq, Eq)]
#[rtype(result = "()")]
pub struct LogPersisted {
    /// The number of the newest [`Append`] in the batch that was synced.
    pub seq: PersistSeq,
    /// The time at which the sync had ended, by the clock of the node.
    pub synced_at: Duration,
}

/// Sent to RaftActor: the answer to [`LogCommand::Compact`].
#[derive(Message, Debug, PartialEq, Eq)]
#[rtype(result = "()")]
pub struct LogCompacted {
    /// The position before the first entry that is left.
    pub base: LogPosition,
}

/// Sent to RaftActor: the answer to [`LogCommand::Hold`]. It is durable.
#[derive(Message, Debug, PartialEq, Eq)]
#[rtype(result = "()")]
pub struct HoldSaved {
    /// True when the format is held.
    pub is_held: bool,
}

/// Sent by ReplicatorActor and RaftActor for entries that they no longer hold in
/// memory. Answered by [`EntriesRead`].
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
    /// The ticket of the request.
    pub ticket: u64,
    /// Consecutive entries from the first one that was asked for. Empty when the log no
    /// longer holds that entry.
    pub entries: Vec<Entry>,
}
