//! Stub.

use actix::{Message, Recipient};

use super::raft::{ConnectionRefused, PeerMessage};
use super::replicator::{AppendResponse, LinkDown, LinkUp};
use crate::raft::Envelope;

/// Sent by RaftActor and ReplicatorActor to PeerLinkActor (requests) and by
/// RaftActor to PeerSessionActor (responses): a message for the peer. Dropped
/// when there is no connection: Raft repeats what matters.
#[derive(Message, Debug, PartialEq, Eq)]
#[rtype(result = "()")]
pub struct SendRpc {
    /// The message.
    pub envelope: Envelope,
}

/// Where PeerLinkActor sends.
#[derive(Clone, Debug)]
pub struct PeerLinkPorts {
    /// RaftActor: responses to votes and pre-votes.
    pub messages: Recipient<PeerMessage>,
    /// RaftActor: a dial was refused.
    pub refused: Recipient<ConnectionRefused>,
    /// The peer's ReplicatorActor.
    pub up: Recipient<LinkUp>,
    /// The peer's ReplicatorActor.
    pub down: Recipient<LinkDown>,
    /// The peer's ReplicatorActor: responses to AppendEntries.
    pub responses: Recipient<AppendResponse>,
}
