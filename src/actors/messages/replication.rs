//! The orders and events that ReplicatorActor receives, and its reports.

use actix::Message;

use crate::raft::{
    AppendEntriesResponse, InstallSnapshotResponse, Replicate, ReplicationReport, SetSendMode,
    StartReplication, StopReplication, TellCommit,
};
use crate::types::{NodeId, Term};

/// An order to replicate. Sent by RaftActor to the ReplicatorActor of each peer,
/// executed in the order of sending.
#[derive(Message, Clone, Debug, PartialEq, Eq)]
#[rtype(result = "()")]
pub enum ReplicationCommand {
    /// This node begins to lead.
    Start(StartReplication),
    /// There is something to send.
    Replicate(Replicate),
    /// From now on entries are sent to the peer in this mode.
    SetSendMode(SetSendMode),
    /// The peer's clients wait for what is committed.
    TellCommit(TellCommit),
    /// This node no longer leads.
    Stop(StopReplication),
}

/// An event of the connection to the peer. Sent by PeerLinkActor to ReplicatorActor in
/// the order in which the events happened, so that a response is never taken for one of
/// another connection.
#[derive(Message, Debug, PartialEq, Eq)]
#[rtype(result = "()")]
pub enum LinkEvent {
    /// The connection is up.
    Up,
    /// The connection is gone, and with it every request and response under way.
    Down,
    /// The peer answered an AppendEntries.
    AppendResponse {
        /// The peer's term.
        term: Term,
        /// The answer.
        response: AppendEntriesResponse,
    },
    /// The peer answered an InstallSnapshot.
    InstallResponse {
        /// The peer's term.
        term: Term,
        /// The answer.
        response: InstallSnapshotResponse,
    },
}

/// Sent by ReplicatorActor to RaftActor when responses of its peer changed the report, or
/// have a higher term.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct Replicated {
    /// The peer.
    pub peer: NodeId,
    /// The term of the responses. Above the node's own when the peer knows a newer one.
    pub term: Term,
    /// The facts about the peer that the core needs.
    pub report: ReplicationReport,
}
