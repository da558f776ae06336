//! The requests of operators about members and leadership (docs/adr/0026, 0028).

use std::collections::BTreeSet;

use super::address::Address;
use super::ids::{LogIndex, NodeId};
use super::membership::Member;

/// A request of an operator to change the members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberRequest {
    /// The operation.
    pub operation: MemberOperation,
    /// The number of servers whose loss the cluster must survive after the change; `None` for 1.
    pub can_lose: Option<u32>,
    /// True when only the plan is wanted.
    pub is_dry_run: bool,
}

/// An operation on the members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MemberOperation {
    /// Add a server.
    Add {
        /// Its id; `None` for the next that is free.
        id: Option<NodeId>,
        /// Its addresses.
        member: Member,
        /// True when it is to stay a learner.
        is_learner: bool,
    },
    /// Remove a member.
    Remove {
        /// The member.
        id: NodeId,
    },
    /// Put a new server in the place of a member.
    Replace {
        /// The member.
        old: NodeId,
        /// The id of the new server; `None` for the next that is free.
        id: Option<NodeId>,
        /// The addresses of the new server.
        member: Member,
    },
    /// Make a learner a voter.
    Promote {
        /// The learner.
        id: NodeId,
    },
    /// Make a voter a learner.
    Demote {
        /// The voter.
        id: NodeId,
    },
    /// Give a member other addresses.
    Update {
        /// The member.
        id: NodeId,
        /// The address for other servers, if it changes.
        peer: Option<Address>,
        /// The address for clients, if it changes.
        client: Option<Address>,
    },
    /// Take back a change that has not reached its joint membership.
    Cancel {
        /// The number of the change.
        number: LogIndex,
    },
}

/// The follower that is to lead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransferTarget {
    /// This one.
    To(NodeId),
    /// The best one that is not among these.
    Avoid(BTreeSet<NodeId>),
}

/// The number of servers that a cluster can lose, and where it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tolerance {
    /// The number of voters. In a joint membership all numbers are those of the half that can
    /// spare fewer.
    pub voters: usize,
    /// The number of voters that are needed to go on.
    pub needed: usize,
    /// The number of voters that the leader hears.
    pub here: usize,
    /// The number of voters that can be lost; `None` when there are too few already.
    pub can_lose: Option<usize>,
}
