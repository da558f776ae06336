//! The steps of changes of the members that are worth a line in the log that people read.

use crate::types::{Address, ChangeKind, LogIndex, LogLine, NodeId, Term};

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

impl MembersEvent {
    /// The step as a line of the log.
    pub fn line(&self) -> LogLine {
        match self {
            MembersEvent::CaughtUpRound { peer, round, ms } => {
                LogLine::new("a learner has caught up with a round")
                    .with("peer", *peer)
                    .with("round", *round)
                    .with("ms", *ms)
            }
            MembersEvent::WritesAddresses { id, peer, client } => {
                LogLine::new("writes the addresses that a member says")
                    .with("server", *id)
                    .with("peer", peer.to_string())
                    .with("client", client.to_string())
            }
            MembersEvent::MembersHaveAddresses => {
                LogLine::new("the members are in the log, and can change")
            }
            MembersEvent::ChangeBegun { number, what } => {
                LogLine::new("a change of the members has begun")
                    .with("number", *number)
                    .with("what", what.to_string())
            }
            MembersEvent::ChangeJoint { number, what, before, after } => {
                LogLine::new("a change of the members is joint")
                    .with("number", *number)
                    .with("what", what.to_string())
                    .with("before", comma_separated(before))
                    .with("after", comma_separated(after))
            }
            MembersEvent::ChangeEnded { number, what, is_done, voters } => {
                LogLine::new(match is_done {
                    true => "a change of the members is done",
                    false => "a change of the members is cancelled",
                })
                .with("number", *number)
                .with("what", what.to_string())
                .with("voters", comma_separated(voters))
            }
            MembersEvent::Admitted { term } => {
                LogLine::new("was admitted as a learner").with("term", *term)
            }
            MembersEvent::Removed { at } => LogLine::new(format!(
                "was removed from the cluster by entry index={at}: it takes no part any more, and \
                 can be stopped"
            ))
            .with("index", *at),
        }
    }
}

/// The ids, with commas and no spaces.
pub(super) fn comma_separated(ids: &[NodeId]) -> String {
    ids.iter().map(NodeId::to_string).collect::<Vec<_>>().join(",")
}
