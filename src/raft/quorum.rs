//! The arithmetic of majorities.
//!
//! Every rule that counts nodes uses this file: votes, commits, rounds of reads, CheckQuorum,
//! the choice of the peers that are sent entries at once, and rejoining. A joint membership
//! (dissertation §4.3) needs a majority of each of its halves, and no rule knows that.

use std::collections::BTreeSet;

use crate::types::{LogIndex, Membership, NodeId, Tolerance};

/// The quorums of one membership. Any two of them have a node in common.
#[derive(Clone, Copy)]
pub(super) struct Quorum<'a> {
    /// Empty only on a server that has not joined its cluster: it has no quorum.
    voters: &'a BTreeSet<NodeId>,
    /// The voters before a change, in a joint membership; empty in any other.
    outgoing: &'a BTreeSet<NodeId>,
}

impl<'a> Quorum<'a> {
    pub(super) fn of(membership: &'a Membership) -> Quorum<'a> {
        Quorum { voters: &membership.voters, outgoing: &membership.outgoing }
    }

    /// The sets of voters of each of which a majority is needed.
    fn halves(self) -> impl Iterator<Item = &'a BTreeSet<NodeId>> {
        let outgoing = (!self.outgoing.is_empty()).then_some(self.outgoing);
        std::iter::once(self.voters).chain(outgoing)
    }

    /// True when the voters for which `includes` holds are a majority of each half.
    pub(super) fn is_met(self, includes: impl Fn(NodeId) -> bool) -> bool {
        self.halves().all(|half| count(half, &includes) >= majority(half))
    }

    /// True when `includes` holds for every voter.
    pub(super) fn is_unanimous(self, includes: impl Fn(NodeId) -> bool) -> bool {
        self.halves().flatten().all(|voter| includes(*voter))
    }

    /// True when the others are a quorum without any one voter.
    pub(super) fn can_spare_one(self) -> bool {
        self.halves().all(|half| half.len() > majority(half))
    }

    /// The number of voters that can be lost, while those for which `is_here` holds are here. Of
    /// a joint membership it is that of the half which can spare fewer.
    pub(super) fn tolerance(self, is_here: impl Fn(NodeId) -> bool) -> Tolerance {
        let tolerances = self.halves().map(|half| {
            let (needed, here) = (majority(half), count(half, &is_here));
            Tolerance { voters: half.len(), needed, here, can_lose: here.checked_sub(needed) }
        });
        let least = tolerances.min_by_key(|tolerance| tolerance.can_lose);
        least.expect("a membership has at least one half")
    }

    /// True when this node alone is a quorum.
    pub(super) fn is_met_by(self, id: NodeId) -> bool {
        self.is_met(|voter| voter == id)
    }

    /// The highest index that the logs of a quorum have reached.
    ///
    /// # Panics
    /// Without voters. No leader is without voters.
    pub(super) fn committed_index(self, match_index_of: impl Fn(NodeId) -> LogIndex) -> LogIndex {
        let reached = self.halves().map(|half| reached_by_majority(half, &match_index_of));
        reached.min().expect("a membership has at least one half")
    }

    /// The newest round of reads that a quorum has confirmed.
    ///
    /// # Panics
    /// Without voters. No leader is without voters.
    pub(super) fn confirmed_round(self, round_of: impl Fn(NodeId) -> u64) -> u64 {
        let confirmed = self.halves().map(|half| reached_by_majority(half, &round_of));
        confirmed.min().expect("a membership has at least one half")
    }
}

/// The number of voters in the smallest majority.
fn majority(half: &BTreeSet<NodeId>) -> usize {
    half.len() / 2 + 1
}

fn count(half: &BTreeSet<NodeId>, includes: impl Fn(NodeId) -> bool) -> usize {
    half.iter().filter(|voter| includes(**voter)).count()
}

/// The highest value that a majority of the half has reached.
fn reached_by_majority<T: Ord>(half: &BTreeSet<NodeId>, value_of: impl Fn(NodeId) -> T) -> T {
    let mut values: Vec<T> = half.iter().map(|voter| value_of(*voter)).collect();
    values.sort_unstable_by(|a, b| b.cmp(a));
    values.swap_remove(majority(half) - 1)
}

#[cfg(test)]
mod tests;
