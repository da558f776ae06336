//! Changes that are worth a line in the log that people read.

use std::fmt;

use crate::types::{LogIndex, NodeId, Term};

/// A change of this node that is worth a line in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Elected.
    BecameLeader {
        /// The term that it leads.
        term: Term,
    },
    /// Stepped down or was deposed.
    SteppedDown {
        /// The term that it led.
        term: Term,
        /// The reason.
        reason: &'static str,
    },
    /// Heard from a new leader.
    FollowsLeader {
        /// The leader.
        leader_id: NodeId,
        /// Its term.
        term: Term,
    },
    /// Began to ask for pre-votes.
    StartedPreVote {
        /// The term that an election would have.
        term: Term,
    },
    /// Began to ask for votes.
    StartedElection {
        /// The term of the election.
        term: Term,
    },
    /// Gave its vote.
    GrantedVote {
        /// The candidate.
        candidate: NodeId,
        /// The term of the election.
        term: Term,
    },
    /// Stopped rejoining: it is counted from now on.
    BecameVoter {
        /// Its term.
        term: Term,
    },
    /// Dropped entries that conflict with the leader's (§5.3).
    TruncatedLog {
        /// The first entry that was dropped.
        from: LogIndex,
        /// The last entry that was dropped.
        to: LogIndex,
    },
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::BecameLeader { term } => write!(f, "became leader term={term}"),
            Event::SteppedDown { term, reason } => {
                write!(f, "stepped down term={term} reason=\"{reason}\"")
            }
            Event::FollowsLeader { leader_id, term } => {
                write!(f, "follows leader={leader_id} term={term}")
            }
            Event::StartedPreVote { term } => write!(f, "started pre-vote term={term}"),
            Event::StartedElection { term } => write!(f, "started election term={term}"),
            Event::GrantedVote { candidate, term } => {
                write!(f, "granted vote candidate={candidate} term={term}")
            }
            Event::BecameVoter { term } => write!(f, "became voter term={term}"),
            Event::TruncatedLog { from, to } => write!(f, "truncated log from={from} to={to}"),
        }
    }
}
