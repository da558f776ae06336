//! Stub.

use actix::Message;

use crate::kv;
use crate::raft::NodeStatus;
use crate::types::NodeId;

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
    /// One moment of this server.
    Status(NodeStatus),
    /// It was not, or may not have been, executed.
    Refused(Refusal),
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
    /// A write that was not committed in time: it may yet be executed.
    Timeout,
}
