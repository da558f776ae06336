//! What passes between RaftActor and the connections of peers.

use actix::{Message, Recipient};

use crate::raft::Envelope;
use crate::types::NodeId;

/// Sent by RaftActor and ReplicatorActor to PeerLinkActor (requests) and by
/// RaftActor to PeerSessionActor (responses): a message for the peer. Dropped
/// when there is no connection: Raft repeats what matters.
#[derive(Message, Debug, PartialEq, Eq)]
#[rtype(result = "()")]
pub struct SendRpc {
    /// The message.
    pub envelope: Envelope,
}

/// Sent by PeerLinkActor (votes' responses) and PeerSessionActor (requests) for
/// each message of a peer that is for the core.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct PeerMessage {
    /// The message; `from` is the node that the connection's hello named.
    pub envelope: Envelope,
}

/// Sent by PeerSessionActor after a good hello: responses to `peer` go to `port`
/// from now on; a later connection of the same peer replaces an earlier one.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct PeerAttached {
    /// The peer.
    pub peer: NodeId,
    /// Tells this connection from others of the same peer.
    pub connection: u64,
    /// Takes responses.
    pub port: Recipient<SendRpc>,
}

/// Sent by PeerSessionActor when its connection ends: responses to the peer are
/// dropped until it has another.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct PeerDetached {
    /// The peer.
    pub peer: NodeId,
    /// Which connection.
    pub connection: u64,
}

/// Sent by PeerLinkActor when a dial is refused: nobody listens at the peer's
/// address, so its process is dead. (A lost connection alone says little: it is
/// dialled again at once, and that tells.)
#[derive(Message, Debug, PartialEq, Eq)]
#[rtype(result = "()")]
pub struct ConnectionRefused {
    /// The peer.
    pub peer: NodeId,
}

/// Sent by PeerSessionActor after a good hello.
#[derive(Message, Debug, PartialEq, Eq)]
#[rtype(result = "()")]
pub struct PeerGreeted {
    /// Which session.
    pub connection: u64,
    /// Whose it is.
    pub peer: NodeId,
}

/// Sent by PeerSessionActor when it stops: the last that is heard of it.
#[derive(Message, Debug, PartialEq, Eq)]
#[rtype(result = "()")]
pub struct PeerSessionEnded {
    /// Which session.
    pub connection: u64,
}
