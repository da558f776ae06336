//! The answers to the requests of operators about the members (docs/adr/0026).

use super::state::NotLeader;
use crate::types::{ChangeKind, Format, LogIndex, Tolerance};

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
