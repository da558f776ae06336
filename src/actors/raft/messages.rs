//! What RaftActor accepts: who sends it, when, and what answers.

use std::sync::Arc;

use actix::{Message, Recipient};
use bytes::Bytes;

use crate::actors::SessionId;
use crate::actors::memory::Share;
use crate::actors::peer_link::SendRpc;
use crate::actors::session::ClientReplies;
use crate::actors::snapshot::SnapshotQuery;
use crate::kv;
use crate::raft::{Envelope, ReplicationReport};
use crate::types::{LogIndex, NodeId, Term};

/// Sent by a session: the commands that it parsed in one go, in their order.
/// Answered by [`ClientReplies`]: one reply for every request.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct ClientRequests {
    /// The session.
    pub session: SessionId,
    /// Its mailbox.
    pub reply_to: Arc<Recipient<ClientReplies>>,
    /// Each with its slot.
    pub requests: Vec<(u64, ClientRequest)>,
    /// The bytes of its writes, until RaftActor has counted them.
    pub held: Share,
}

/// One command of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientRequest {
    /// A `kv::Command`, encoded.
    Write(Bytes),
    /// A linearizable read.
    Read(kv::Query),
    /// Have a snapshot taken that holds all that was acknowledged before.
    BeginSnapshot,
    /// What this node has of snapshots.
    Snapshot(SnapshotQuery),
    /// One moment of this node.
    Status,
}

/// Sent by the ticker, every `tick_ms`.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct Tick;

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

/// Sent by KvActor after each [`crate::actors::kv::Apply`].
#[derive(Message, Debug, PartialEq, Eq)]
#[rtype(result = "()")]
pub struct Applied {
    /// The newest entry that the store has applied.
    pub last_applied: LogIndex,
    /// When the next key expires, if any does.
    pub next_deadline_ms: Option<u64>,
}
