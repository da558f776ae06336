//! The steps of changes of the members that are worth a line in the log that people read.

use std::fmt;

use crate::types::{Address, ChangeKind, LogIndex, NodeId, Term};

/// A step of a change of the members (docs/adr/0026).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MembersEvent {
    /// As the leader: a learner that is to become a voter has ended a round (dissertation §4.2.1).
    CaughtUpRound {
        /// The learner.
        peer: NodeId,
        /// The number of the round, from 1.
        round: u32,
        /// The time that it took.
        ms: u64,
    },
    /// As the leader: writes other addresses of a member, because the member says so.
    WritesAddresses {
        /// The member.
        id: NodeId,
        /// The address for other servers.
        peer: Address,
        /// The address for clients.
        client: Address,
    },
    /// Knows that the log has the members with their addresses from now on.
    MembersHaveAddresses,
    /// Knows that a change of the members has begun.
    ChangeBegun {
        /// Its number.
        number: LogIndex,
        /// The change itself.
        what: ChangeKind,
    },
    /// Knows that a change of the members has come to its joint membership.
    ChangeJoint {
        /// Its number.
        number: LogIndex,
        /// The change itself.
        what: ChangeKind,
        /// The voters before the change.
        before: Vec<NodeId>,
        /// The voters after it.
        after: Vec<NodeId>,
    },
    /// Knows that a change of the members has ended.
    ChangeEnded {
        /// Its number.
        number: LogIndex,
        /// The change itself.
        what: ChangeKind,
        /// True when it was done, false when it was cancelled.
        is_done: bool,
        /// The voters now.
        voters: Vec<NodeId>,
    },
    /// As a learner that got its directory: has nothing to have forgotten.
    Admitted {
        /// The term.
        term: Term,
    },
    /// Knows that it was removed from the cluster.
    Removed {
        /// The entry that removed it.
        at: LogIndex,
    },
}

impl fmt::Display for MembersEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MembersEvent::CaughtUpRound { peer, round, ms } => {
                write!(f, "a learner has caught up with a round peer={peer} round={round} ms={ms}")
            }
            MembersEvent::WritesAddresses { id, peer, client } => write!(
                f,
                "writes the addresses that a member says server={id} peer={peer} client={client}"
            ),
            MembersEvent::MembersHaveAddresses => {
                f.write_str("the members are in the log, and can change")
            }
            MembersEvent::ChangeBegun { number, what } => {
                write!(f, "a change of the members has begun number={number} what=\"{what}\"")
            }
            MembersEvent::ChangeJoint { number, what, before, after } => write!(
                f,
                "a change of the members is joint number={number} what=\"{what}\" before={} \
                 after={}",
                comma_separated(before),
                comma_separated(after)
            ),
            MembersEvent::ChangeEnded { number, what, is_done, voters } => write!(
                f,
                "a change of the members is {} number={number} what=\"{what}\" voters={}",
                if *is_done { "done" } else { "cancelled" },
                comma_separated(voters)
            ),
            MembersEvent::Admitted { term } => write!(f, "was admitted as a learner term={term}"),
            MembersEvent::Removed { at } => write!(
                f,
                "was removed from the cluster by entry index={at}: it takes no part any more, and \
                 can be stopped"
            ),
        }
    }
}

/// The ids, with commas and no spaces.
pub(super) fn comma_separated(ids: &[NodeId]) -> String {
    ids.iter().map(NodeId::to_string).collect::<Vec<_>>().join(",")
}
