//! Stub.

use actix::{Message, Recipient};

use super::Waiter;
use super::raft::Applied;
use crate::kv::Query;
use crate::raft::NodeStatus;
use crate::types::{Entry, LogIndex};

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
    /// Complete a status and pass it on.
    Status {
        /// What the core knows; `last_applied`, `keys`, `store_bytes` and
        /// `store_digest` are filled in here.
        status: NodeStatus,
        /// Who asked.
        waiter: Waiter,
    },
}

/// Where KvActor sends.
#[derive(Clone, Debug)]
pub struct KvPorts {
    /// RaftActor.
    pub raft: Recipient<Applied>,
}
