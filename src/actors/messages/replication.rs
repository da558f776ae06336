//! What ReplicatorActor is told by RaftActor and by the connection to its peer, and
//! what it reports.

use std::sync::Arc;

use actix::Message;

use crate::raft::{AppendEntriesResponse, InstallSnapshotResponse, Pace, ReplicationReport};
use crate::types::{Entry, LogIndex, LogPosition, NodeId, Term, TermRuns};

/// Sent by RaftActor: this node leads `term`.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct Lead {
    /// The new term.
    pub term: Term,
    /// The terms of the log before the leader's first entry.
    pub runs: TermRuns,
}

/// Sent by RaftActor: there is something to send.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct Replicate {
    /// The leader's term.
    pub term: Term,
    /// Where the log begins by now.
    pub base: LogPosition,
    /// New entries, consecutive over all messages of a term.
    pub entries: Arc<[Entry]>,
    /// The commit index to tell.
    pub leader_commit: LogIndex,
    /// The round of reads to confirm.
    pub read_seq: u64,
    /// A heartbeat is due: send something even if there is nothing to say.
    pub heartbeat: bool,
}

/// Sent by RaftActor: how to send what there is, from here on.
#[derive(Message, Debug, PartialEq, Eq)]
#[rtype(result = "()")]
pub struct SetPace {
    /// The leader's term.
    pub term: Term,
    /// How.
    pub pace: Pace,
}

/// Sent by RaftActor: the leadership of `term` is over.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct StepDown {
    /// The term that was led.
    pub term: Term,
}

/// Sent by PeerLinkActor: the connection to the peer is up.
#[derive(Message, Debug, PartialEq, Eq)]
#[rtype(result = "()")]
pub struct LinkUp;

/// Sent by PeerLinkActor: it is gone, and with it all that was under way.
#[derive(Message, Debug, PartialEq, Eq)]
#[rtype(result = "()")]
pub struct LinkDown;

/// Sent by PeerLinkActor for each response to an AppendEntries.
#[derive(Message, Debug, PartialEq, Eq)]
#[rtype(result = "()")]
pub struct AppendResponse {
    /// The peer's term.
    pub term: Term,
    /// Its response.
    pub response: AppendEntriesResponse,
}

/// Sent by PeerLinkActor for each response to an InstallSnapshot.
#[derive(Message, Debug, PartialEq, Eq)]
#[rtype(result = "()")]
pub struct InstallResponse {
    /// The peer's term.
    pub term: Term,
    /// Its response.
    pub response: InstallSnapshotResponse,
}

/// Sent by ReplicatorActor when its peer's responses told something new.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct Replicated {
    /// The peer.
    pub peer: NodeId,
    /// The term of the responses: above the node's own when it is deposed.
    pub term: Term,
    /// What they told.
    pub report: ReplicationReport,
}
