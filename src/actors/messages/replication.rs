//! What ReplicatorActor is told by RaftActor and by the connection to its peer, and
//! what it reports.

use actix::Message;

use crate::raft::{
    AppendEntriesResponse, InstallSnapshotResponse, Replicate, ReplicationReport, SetSendMode,
    StartReplication, StopReplication,
};
use crate::types::{NodeId, Term};

/// Sent by RaftActor when this node begins to lead.
impl Message for StartReplication {
    type Result = ();
}

/// Sent by RaftActor when there is something to send.
impl Message for Replicate {
    type Result = ();
}

/// Sent by RaftActor when the peer is to be sent entries in another way.
impl Message for SetSendMode {
    type Result = ();
}

/// Sent by RaftActor when this node leads no longer.
impl Message for StopReplication {
    type Result = ();
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
