//! Messages of the whole node: its time, its end and its failure.

use actix::Message;

use crate::metrics::MailboxMetrics;
use crate::raft::StopReason;
use crate::storage::StorageError;

/// Sent by TickerActor to RaftActor, every `tick_ms`.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct Tick;

/// Sent by ProberActor, once a second, to the actors of which a node has one each. It has no
/// answer: the time that it waits in the mailbox is measured.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Probe {
    /// The measurements of the mailbox that it goes through.
    pub mailbox: MailboxMetrics,
}

/// Sent by `node` to RaftActor when the server stops: it is drained from now on. The answer comes
/// when this node does not lead, or can hand over to nobody, and no command waits for the next
/// leader.
#[derive(Message, Debug, PartialEq, Eq)]
#[rtype(result = "()")]
pub struct HandOver;

/// The receiver closes what it has open and stops; the answer comes when that is done.
///
/// Sent by `node` at the end to LogActor, which makes durable what it was given and frees
/// the data directory, and to PeersActor, which passes it on to its links and its acceptor.
/// Sent by PeerAcceptorActor to its sessions at the end, and to one that is replaced.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct Shutdown;

/// Sent by `node` when the server stops: ClientAcceptorActor closes the listener, lets
/// every session send the replies that are due, and stops.
#[derive(Message, Debug, PartialEq, Eq)]
#[rtype(result = "()")]
pub struct StopAccepting;

/// Sent once to `node` by LogActor or a snapshot actor: the disk has failed, nothing more
/// is acknowledged, and the process has to end with an error.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct StorageFailed {
    /// The error of the disk.
    pub error: StorageError,
}

/// Sent once to `node` by RaftActor: this node must stop although its disk is good.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct NodeMustStop {
    /// The reason.
    pub reason: StopReason,
}
