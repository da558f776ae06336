//! What passes between client sessions, their acceptor and RaftActor.

use std::sync::Arc;

use actix::{Message, Recipient};
use bytes::Bytes;

use crate::actors::io::memory::Share;
use crate::actors::messages::snapshots::{SnapshotAnswer, SnapshotQuery};
use crate::kv;
use crate::raft::NodeStatus;
use crate::types::{LogIndex, NodeId};

/// A client connection of this process; never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

/// Where the reply to one command goes.
#[derive(Clone)]
pub struct Waiter {
    /// The session that asked.
    pub session: SessionId,
    /// Which of its commands this is.
    pub slot: u64,
    /// The session's mailbox.
    pub reply_to: Arc<Recipient<ClientReplies>>,
}

impl std::fmt::Debug for Waiter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}/{}", self.session, self.slot)
    }
}

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

/// Sent by RaftActor and KvActor: replies to some of the session's commands, by
/// slot, in any order.
#[derive(Message, Debug, PartialEq, Eq)]
#[rtype(result = "()")]
pub struct ClientReplies {
    /// The slot of each command, and its reply.
    pub replies: Vec<(u64, ClientReply)>,
}

/// What became of one command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientReply {
    /// A write was committed and applied.
    Outcome(kv::Outcome),
    /// A read was answered.
    Answer(kv::Answer),
    /// A scan was; the result holds memory.
    Scan(kv::Answer, Share),
    /// A snapshot that reaches so far is being taken.
    SnapshotBegun(LogIndex),
    /// What a server has of snapshots.
    Snapshot(SnapshotAnswer),
    /// One moment of this server.
    Status(NodeStatus),
    /// It was not, or may not have been, executed.
    Refused(Refusal),
    /// What was answered [`Refusal::Pending`] is applied by now, or nobody's any more.
    Settled,
}

/// Why a command was not answered by the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Not executed: another node leads, or none that we know.
    NotLeader {
        /// The leader.
        leader_id: Option<NodeId>,
    },
    /// Not executed: the node has too much in flight.
    Busy,
    /// A write whose leader lost its leadership: it may yet be executed.
    LeadershipLost,
    /// A write that was not committed in time: it may yet be executed. It keeps its
    /// place in the window until [`ClientReply::Settled`].
    Pending,
    /// A read that was not confirmed in time.
    Timeout,
}

/// Sent by SessionActor when it has ended.
#[derive(Message, Debug, PartialEq, Eq)]
#[rtype(result = "()")]
pub struct SessionClosed {
    /// Which.
    pub session: SessionId,
}

/// Sent by the acceptor when the server stops: take no further command, send
/// the replies that are due, and close. Answered by [`SessionClosed`].
#[derive(Message, Debug, PartialEq, Eq)]
#[rtype(result = "()")]
pub struct EndSession;
