//! The messages between RaftActor and the connections of peers.

use actix::{Message, Recipient};

use crate::actors::messages::replication::ReplicationCommand;
use crate::raft::{Announcement, Envelope, Introduction, PeerFault};
use crate::types::{LogIndex, NodeId};

/// A message for a peer. Sent by RaftActor and ReplicatorActor to PeerLinkActor
/// (requests) and by RaftActor to PeerSessionActor (responses). Dropped when there is no
/// connection: Raft repeats what matters.
#[derive(Message, Debug, PartialEq, Eq)]
#[rtype(result = "()")]
pub struct SendRpc {
    /// The message.
    pub envelope: Envelope,
}

/// Sent to PeerLinkActor by ReplicatorActor and RaftActor, and to PeerSessionActor by RaftActor:
/// the peer has sent on this connection what no sound node sends. The connection is ended, and
/// the log says why.
#[derive(Message, Clone, Copy, Debug, PartialEq, Eq)]
#[rtype(result = "()")]
pub struct EndConnection {
    /// The reason.
    pub fault: PeerFault,
}

/// Sent by RaftActor to PeersActor: the facts by which this node admits peers, and introduces
/// itself to them, from now on. PeersActor passes it on to each PeerLinkActor and to
/// PeerAcceptorActor, and that to each PeerSessionActor.
#[derive(Message, Clone, Debug, PartialEq, Eq)]
#[rtype(result = "()")]
pub struct Announce(pub Announcement);

/// Sent by PeerAcceptorActor to PeersActor when the accepted connection of a peer changes, and
/// passed on to that peer's PeerLinkActor. A peer that introduces itself here reads the long hello
/// as well, and says where it is reached.
#[derive(Message, Clone, Debug, PartialEq, Eq)]
#[rtype(result = "()")]
pub struct PeerIntroduced {
    /// The peer.
    pub peer: NodeId,
    /// The introduction in the hello of its accepted connection; `None` when it has no such
    /// connection, or one that began with the short hello.
    pub introduction: Option<Introduction>,
}

/// An event of a connection with a peer. Sent to RaftActor by PeerSessionActor and
/// PeerLinkActor, each in the order in which its events happened.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub enum PeerEvent {
    /// Sent by PeerSessionActor after a good hello, before any message of the peer.
    /// Responses to the peer go to `port` from now on; a later connection of the same
    /// peer replaces an earlier one.
    Attached {
        /// The peer.
        peer: NodeId,
        /// The number that tells this connection from others of the same peer.
        connection: u64,
        /// Takes the responses to the peer.
        port: Recipient<SendRpc>,
        /// Ends the connection.
        end: Recipient<EndConnection>,
        /// The facts in the peer's hello; `None` from a server from before format 2.
        introduction: Option<Introduction>,
    },
    /// Sent for each message of a peer to the core: requests by PeerSessionActor,
    /// responses to votes and hellos by PeerLinkActor. `from` is the node that the connection's
    /// hello named.
    Message(Envelope),
    /// Sent by PeerSessionActor when its connection ends. Responses to the peer are
    /// dropped until it has another connection.
    Detached {
        /// The peer.
        peer: NodeId,
        /// The number of the connection.
        connection: u64,
    },
    /// Sent by PeerLinkActor when the peer has answered its hello, before any message of the
    /// peer.
    Reached {
        /// The peer.
        peer: NodeId,
    },
    /// Sent by PeerLinkActor when the connection that it had reported as reached is gone. What was
    /// on it may have arrived, or not.
    Lost {
        /// The peer.
        peer: NodeId,
    },
    /// Sent by PeerLinkActor when all dials of a round are refused: nobody listens at any of the
    /// peer's addresses, so its process is dead. A lost connection alone is not reported: it is
    /// dialled again at once, and the outcome of that dial says more.
    Refused {
        /// The peer.
        peer: NodeId,
    },
    /// Sent by PeerLinkActor when the peer has answered that this node was removed from the
    /// cluster.
    Removed {
        /// The peer that says so.
        peer: NodeId,
        /// The entry that removed this node.
        at: LogIndex,
    },
}

/// An event of an accepted connection. Sent by PeerSessionActor to PeerAcceptorActor,
/// which started it.
#[derive(Message, Debug, PartialEq, Eq)]
#[rtype(result = "()")]
pub enum PeerSessionEvent {
    /// The hello of the other side was good.
    Authenticated {
        /// The number of the connection.
        connection: u64,
        /// The peer that dialled it.
        peer: NodeId,
        /// The facts in its hello.
        introduction: Option<Introduction>,
    },
    /// The hello of the other side was refused.
    Refused {
        /// The number of the connection.
        connection: u64,
        /// The node that the other side says it is; `None` when it says nothing of the kind.
        peer: Option<NodeId>,
        /// The reason, as one sentence for the log.
        reason: String,
    },
    /// The connection ended. The last message of its actor.
    Ended {
        /// The number of the connection.
        connection: u64,
    },
}

/// Sent by PeersActor to RaftActor when it has started or ended the actors of peers, before any
/// event of the new ones.
#[derive(Message)]
#[rtype(result = "()")]
pub struct PeersChanged {
    /// The peers whose actors were started.
    pub added: Vec<(NodeId, PeerPorts)>,
    /// The peers whose actors were ended.
    pub removed: Vec<NodeId>,
}

/// The ports to the actors of one peer. PeersActor makes them, RaftActor sends to them.
#[derive(Clone)]
pub struct PeerPorts {
    /// PeerLinkActor: requests for votes.
    pub link: Recipient<SendRpc>,
    /// PeerLinkActor: responses to votes that no sound node sends.
    pub link_end: Recipient<EndConnection>,
    /// ReplicatorActor: orders to replicate.
    pub replicator: Recipient<ReplicationCommand>,
}
