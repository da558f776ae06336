//! The messages between client sessions, their acceptor and RaftActor.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use actix::{Message, Recipient};

use crate::actors::io::memory::Reservation;
use crate::actors::io::operation_times::OperationTimes;
use crate::kv;
use crate::protocol::{
    ChangeWaited, ClientRequest, ForeignProtocol, MembersReport, Refusal, SnapshotAnswer,
};
use crate::raft::{ChangePlan, NodeStatus};
use crate::types::{Format, LogIndex, NodeId, Term};

/// The number of a client connection of this process; never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

/// The place that the reply to one command goes to.
#[derive(Clone)]
pub struct ReplyHandle {
    /// The session that asked.
    pub session: SessionId,
    /// The number of the command among those of the session.
    pub slot: u64,
    /// The session's mailbox.
    pub reply_to: Arc<Recipient<ClientReplies>>,
    /// The moments of the command's way so far.
    pub times: OperationTimes,
}

impl fmt::Debug for ReplyHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}/{}", self.session, self.slot)
    }
}

/// Sent by SessionActor to RaftActor: the commands that it parsed in one go, in their
/// order. Answered by [`ClientReplies`], with one reply for every request.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct ClientRequests {
    /// The session.
    pub session: SessionId,
    /// The session's mailbox.
    pub reply_to: Arc<Recipient<ClientReplies>>,
    /// The commands, each with its slot.
    pub requests: Vec<(u64, ClientRequest)>,
    /// The time at which the session had them, by the clock of the node; `None` counts from their
    /// arrival at RaftActor.
    pub arrived_at: Option<Duration>,
    /// The bytes of the writes among them, until RaftActor has counted them itself.
    pub held: Reservation,
}

/// Sent by RaftActor and KvActor to SessionActor: replies to some of its commands, in
/// any order.
#[derive(Message, Debug, PartialEq, Eq)]
#[rtype(result = "()")]
pub struct ClientReplies {
    /// The slot of each command, and the reply to it.
    pub replies: Vec<(u64, ClientReply)>,
}

/// The reply to one command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientReply {
    /// A write was committed and applied.
    Outcome(kv::Outcome),
    /// A read was answered.
    Answer(kv::Answer),
    /// A scan was answered; the memory of the result is reserved until the session has
    /// it.
    Scan(kv::Answer, Reservation),
    /// A snapshot that holds this entry is being taken.
    SnapshotBegun(LogIndex),
    /// A question about snapshots was answered.
    Snapshot(SnapshotAnswer),
    /// The hold of the format is durable, or its end is.
    HoldSaved,
    /// This format of the cluster is in force.
    Raised(Format),
    /// The format of the cluster cannot be raised yet, or is too low for the command; a sentence
    /// says what is waited for.
    NotYet(String),
    /// A change of the members has begun, or was taken back: its entry is committed and applied.
    Change {
        /// Its number.
        number: LogIndex,
        /// The member that it is about; the new one, when a server takes the place of another.
        id: NodeId,
    },
    /// A change of the members, or a transfer of the leadership: it is so already.
    Already,
    /// The plan of a change of the members.
    Plan(ChangePlan),
    /// The members as this server knows them.
    Members(Box<MembersReport>),
    /// The answer to the question what has become of this change.
    ChangeWaited(LogIndex, ChangeWaited),
    /// The leadership was handed over.
    Transferred {
        /// The new leader.
        leader: NodeId,
        /// The term in which it leads.
        term: Term,
    },
    /// A change of the members, or a transfer, would not be safe now; a sentence says why, and what
    /// to do.
    RefusedBecause(String),
    /// This server is drained, or is no longer.
    Draining,
    /// The digest of the store after the entry that was asked about; `None` when the store has
    /// not applied the entry, or no longer knows the digest.
    Digest {
        /// The entry.
        index: LogIndex,
        /// The digest.
        digest: Option<u64>,
    },
    /// The state of this server and of its store at one point in time.
    Status(Box<NodeStatus>, kv::StoreStatus),
    /// The command was not executed, or it is not known whether it was.
    Refused(Refusal),
    /// A write was not committed in time: it may yet be executed. It keeps its place in the
    /// session's window until [`ClientReply::Settled`].
    TimedOut,
    /// A write that was answered [`ClientReply::TimedOut`] is applied, or was lost: it is no
    /// longer under way.
    Settled {
        /// The length of the encoded command.
        command_bytes: usize,
    },
}

/// Sent by SessionActor to ClientAcceptorActor: the client speaks another protocol, and its
/// connection is being closed.
#[derive(Message, Debug, PartialEq, Eq)]
#[rtype(result = "()")]
pub struct ForeignClient {
    /// The session.
    pub session: SessionId,
    /// The protocol of the client.
    pub protocol: ForeignProtocol,
}

/// Sent by SessionActor to ClientAcceptorActor when it has ended.
#[derive(Message, Debug, PartialEq, Eq)]
#[rtype(result = "()")]
pub struct SessionClosed {
    /// The session.
    pub session: SessionId,
}

/// Sent by ClientAcceptorActor to SessionActor when the server stops: take no further
/// command, send the replies that are due, and close. Answered by [`SessionClosed`].
#[derive(Message, Debug, PartialEq, Eq)]
#[rtype(result = "()")]
pub struct EndSession;
