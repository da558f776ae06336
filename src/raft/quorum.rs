//! The arithmetic of majorities.
//!
//! Every rule that counts nodes uses this file: votes, commits, rounds of reads, CheckQuorum,
//! the choice of the peers that are sent entries at once, and rejoining. So a joint
//! membership (dissertation §4.3), in which a majority of each of two sets is needed, would
//! change this file and no rule.

use std::collections::BTreeSet;

use crate::types::{LogIndex, Membership, NodeId};

/// The majorities of one membership. Any two of them have a node in common.
#[derive(Clone, Copy)]
pub(super) struct Quorum<'a> {
    /// Never empty.
    voters: &'a BTreeSet<NodeId>,
}

impl<'a> Quorum<'a> {
    pub(super) fn of(membership: &'a Membership) -> Quorum<'a> {
        Quorum { voters: &membership.voters }
    }

    /// The number of voters in the smallest majority.
    fn size(self) -> usize {
        self.voters.len() / 2 + 1
    }

    /// True when the voters for which `includes` holds are a majority.
    pub(super) fn is_met(self, includes: impl Fn(NodeId) -> bool) -> bool {
        self.voters.iter().filter(|voter| includes(**voter)).count() >= self.size()
    }

    /// True when `includes` holds for every voter.
    pub(super) fn is_unanimous(self, includes: impl Fn(NodeId) -> bool) -> bool {
        self.voters.iter().all(|voter| includes(*voter))
    }

    /// True when the others are a majority without any one voter.
    pub(super) fn can_spare_one(self) -> bool {
        self.voters.len() > self.size()
    }

    /// The number of peers that a leader needs in addition to itself.
    pub(super) fn peers_needed(self) -> usize {
        self.size() - 1
    }

    /// The highest index that the logs of a majority have reached.
    pub(super) fn committed_index(self, match_index_of: impl Fn(NodeId) -> LogIndex) -> LogIndex {
        let indexes = highest_first(self.values_of(match_index_of));
        indexes[self.size() - 1]
    }

    /// The newest round of reads that a majority has confirmed.
    pub(super) fn confirmed_round(self, round_of: impl Fn(NodeId) -> u64) -> u64 {
        let rounds = highest_first(self.values_of(round_of));
        rounds[self.size() - 1]
    }

    fn values_of<T>(self, value_of: impl Fn(NodeId) -> T) -> Vec<T> {
        self.voters.iter().map(|voter| value_of(*voter)).collect()
    }
}

fn highest_first<T: Ord>(mut values: Vec<T>) -> Vec<T> {
    values.sort_unstable_by(|a, b| b.cmp(a));
    values
}

#[cfg(test)]
mod tests;
