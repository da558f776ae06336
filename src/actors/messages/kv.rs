//! The work that KvActor is given, and its answer to RaftActor.

use actix::Message;

use crate::actors::messages::clients::ReplyHandle;
use crate::actors::messages::waiters::Waiters;
use crate::kv::{HistoryLimits, Query, Store};
use crate::raft::{NodeStatus, ReadDigest};
use crate::types::{Entry, LogIndex, SnapshotPoint};

/// Sent by RaftActor: tasks to execute in this order. Answered by `ClientReplies` to the
/// sessions, one message a session, and then by [`Applied`].
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct Apply {
    /// The tasks.
    pub tasks: Vec<ApplyTask>,
}

/// One task of [`Apply`].
#[derive(Debug)]
pub enum ApplyTask {
    /// Apply a committed entry. Indexes are consecutive over all messages.
    Entry {
        /// The entry.
        entry: Entry,
        /// The clients of this server that wait for the outcome.
        waiters: Option<Waiters>,
    },
    /// Answer a read, which is confirmed if it has to be.
    Read {
        /// The question.
        query: Query,
        /// The entry that must have been applied: the read sees it and all before it; 0 for a
        /// read of what is applied, whatever that is.
        read_index: LogIndex,
        /// The store's time on the leader, for the time that a key has left. It is never
        /// ahead of the stamp of the leader's next entry.
        now_ms: u64,
        /// The client that asked.
        reply_handle: ReplyHandle,
    },
    /// Have the store saved as it is now.
    Snapshot {
        /// The position that the snapshot stands for, and the facts about the cluster there.
        point: SnapshotPoint,
    },
    /// Replace the store by that of a received snapshot.
    Install {
        /// The store of the snapshot.
        store: Box<Store>,
    },
    /// Answer with the digest of the store after an entry, by [`DigestRead`].
    Digest(ReadDigest),
    /// Answer a client with the digest of the store after an entry, at once.
    ClientDigest {
        /// The entry.
        index: LogIndex,
        /// The client that asked.
        reply_handle: ReplyHandle,
    },
    /// Tell the watches that nothing more comes: this server was removed from the cluster. All
    /// that it knows to be committed was among the tasks before.
    EndHistory,
    /// Do and answer nothing more: the node stops.
    End,
    /// Report the state of the store, together with that of the node.
    Status {
        /// The state of the node.
        status: Box<NodeStatus>,
        /// The client that asked.
        reply_handle: ReplyHandle,
    },
}

/// Sent by KvActor after each [`Apply`].
#[derive(Message, Debug, PartialEq, Eq)]
#[rtype(result = "()")]
pub struct Applied {
    /// The newest entry that the store has applied.
    pub last_applied: LogIndex,
    /// The time at which the next key expires, if any does, in milliseconds of the store's
    /// clock.
    pub next_deadline_ms: Option<u64>,
    /// True when keys or clients have expired and are not removed yet: each entry removes a
    /// bounded number of them.
    pub has_hidden: bool,
    /// The number of leases that are due and may end in one go, each by an entry.
    pub ending_leases: u64,
    /// The digest of the store after that entry.
    pub digest: u64,
    /// The bounds of the history that are in force after it.
    pub history: HistoryLimits,
}

/// Sent by KvActor to RaftActor: the answer to [`ApplyTask::Digest`], as soon as the store has
/// applied the entry. There is none when the store no longer knows the digest.
#[derive(Message, Clone, Copy, Debug, PartialEq, Eq)]
#[rtype(result = "()")]
pub struct DigestRead {
    /// The entry.
    pub index: LogIndex,
    /// The digest of the store after it.
    pub digest: u64,
}

/// Sent to RaftActor by KvActor, SnapshotWriterActor, WatchHubActor or the HTTP port: a part of the
/// store in memory is not what was written there.
#[derive(Message, Clone, Debug, PartialEq, Eq)]
#[rtype(result = "()")]
pub struct StoreCorrupted {
    /// A clause for people.
    pub what: String,
}

/// A fault of the memory or of the program, for tests.
#[cfg(any(test, feature = "testing"))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreFault {
    /// A bit of a record flips.
    FlippedBit,
    /// A record is another one than on all other nodes.
    Divergence,
}

/// Sent by a test to KvActor: it spoils a record. The answer is false when there is none.
#[cfg(any(test, feature = "testing"))]
#[derive(Message, Clone, Copy, Debug)]
#[rtype(result = "bool")]
pub struct Corrupt {
    /// The fault.
    pub fault: StoreFault,
    /// Chooses the record.
    pub seed: u64,
}

/// Sent by a test to KvActor. The answer is true when a record is not what was written, and the
/// actor has not found it.
#[cfg(any(test, feature = "testing"))]
#[derive(Message, Clone, Copy, Debug)]
#[rtype(result = "bool")]
pub struct LookForCorruption;
