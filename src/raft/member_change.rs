//! The requests of operators about the members, and the answers (docs/adr/0026).

use super::quorum::Tolerance;
use super::state::NotLeader;
use crate::types::{Address, ChangeKind, Format, LogIndex, Member, NodeId};

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

/// The outcome of a request that is not refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MemberOutcome {
    /// Nothing is to be done: it is so already.
    Already,
    /// A change has begun, or has been taken back, with the entry `index`.
    Begun {
        /// The number of the change.
        number: LogIndex,
        /// The entry that begins it, or takes it back.
        index: LogIndex,
        /// The change itself.
        what: ChangeKind,
    },
    /// The plan that was asked for.
    Plan(ChangePlan),
}

/// The effect that a change would have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChangePlan {
    /// The change itself.
    pub what: ChangeKind,
    /// The cluster as it is.
    pub before: Tolerance,
    /// The cluster as it would be.
    pub after: Tolerance,
}

/// The reason why the members are not changed. It is a sentence for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangeRefusal {
    /// Another node leads.
    #[error("{0}")]
    NotLeader(NotLeader),
    /// The format in force has no entries that change members.
    #[error("format {in_force} is in force, and changes of the members need {needed}: {waits}")]
    NotYet {
        /// The format in force.
        in_force: Format,
        /// The format that is needed.
        needed: Format,
        /// The clause that says why the raise waits.
        waits: String,
    },
    /// The leader has committed nothing in its term yet.
    #[error("this leader has committed nothing in its term yet: try again in a second")]
    NothingCommitted,
    /// The change is refused, with this reason and what to do.
    #[error("{0}")]
    Refused(String),
    /// Another change is under way.
    #[error(
        "change {number} ({what}) is under way: wait for it by `coracle member wait {number}`, or \
         take it back by `coracle member cancel {number}`"
    )]
    Busy {
        /// The number of that change.
        number: LogIndex,
        /// The change itself.
        what: ChangeKind,
    },
}
