//! What KvActor is asked, and what it answers RaftActor.

use actix::Message;

use crate::actors::messages::clients::Waiter;
use crate::kv::{Query, Store};
use crate::raft::NodeStatus;
use crate::types::{Entry, LogIndex, SnapshotPoint};

/// Sent by RaftActor: things to do, in their order. Answered by `ClientReplies`
/// to the sessions (one message a session), then by [`Applied`].
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct Apply {
    /// What to do.
    pub tasks: Vec<ApplyTask>,
}

/// One thing to do.
#[derive(Debug)]
pub enum ApplyTask {
    /// Apply a committed entry; indexes are consecutive over all messages.
    Entry {
        /// The entry.
        entry: Entry,
        /// Who waits for its outcome, on the leader.
        waiter: Option<Waiter>,
    },
    /// Answer a read whose leader is confirmed.
    Read {
        /// What to read.
        query: Query,
        /// Must be applied before: everything that the read has to see.
        read_index: LogIndex,
        /// The leader's wall clock, for the time that a key has left.
        now_ms: u64,
        /// Who asked.
        waiter: Waiter,
    },
    /// Have the store saved as it is now.
    Snapshot {
        /// What it stands for.
        point: SnapshotPoint,
    },
    /// The store of a snapshot that was received takes the place of this one.
    Install {
        /// The store.
        store: Store,
    },
    /// Complete a status and pass it on.
    Status {
        /// What the core knows; `last_applied`, `keys`, `store_bytes` and
        /// `store_digest` are filled in here.
        status: NodeStatus,
        /// Who asked.
        waiter: Waiter,
    },
}

/// Sent by KvActor after each [`crate::actors::messages::kv::Apply`].
#[derive(Message, Debug, PartialEq, Eq)]
#[rtype(result = "()")]
pub struct Applied {
    /// The newest entry that the store has applied.
    pub last_applied: LogIndex,
    /// When the next key expires, if any does.
    pub next_deadline_ms: Option<u64>,
}
