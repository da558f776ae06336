//! The comparison of all servers' stores (docs/adr/0025): the digests that a leader has collected,
//! and the questions about its own store that a follower has still to answer.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::quorum::Quorum;
use crate::types::{LogIndex, NodeId, Term};

/// Maximum number of entries about which a leader collects digests at the same time. It asks
/// about one with each heartbeat, and a peer that applies late answers about an earlier one.
const ROUNDS_MAX: usize = 64;

/// A leader reports stores that differ when no majority has agreed after so many heartbeats,
/// although some servers have not answered.
const SPLIT_HEARTBEATS: u32 = 20;

/// The number of heartbeats from one such report to the next.
const QUIET_HEARTBEATS: u32 = 200;

/// The state of the comparison at one node.
#[derive(Default)]
pub(super) struct Comparison {
    /// The newest entry that the store has applied, and the digest after it.
    pub(super) applied: Option<(LogIndex, u64)>,
    /// The leader's question that was passed to the store, and is not answered yet.
    pub(super) question: Option<Question>,
    /// The leader's word that this node's store is wrong, which is being verified.
    pub(super) accusation: Option<Accusation>,
    /// As the leader: the digests of all.
    pub(super) rounds: Rounds,
}

/// The question for the digest of this node's store after an entry.
#[derive(Clone, Copy)]
pub(super) struct Question {
    pub(super) leader_id: NodeId,
    pub(super) term: Term,
    pub(super) index: LogIndex,
}

/// The word of a leader that a majority has another store than this node.
#[derive(Clone, Copy)]
pub(super) struct Accusation {
    pub(super) leader_id: NodeId,
    pub(super) term: Term,
    pub(super) index: LogIndex,
    /// The digest of the majority's stores after the entry.
    pub(super) digest: u64,
}

/// The digests that the leader of a term has collected.
#[derive(Default)]
pub(super) struct Rounds {
    term: Term,
    /// Invariant: the indexes rise.
    rounds: VecDeque<Round>,
    /// Heartbeats until another split may be reported.
    quiet_heartbeats: u32,
    /// The peers whose difference was reported in this term.
    reported: BTreeSet<NodeId>,
}

/// The digests after one entry.
struct Round {
    index: LogIndex,
    answers: BTreeMap<NodeId, Answer>,
    /// Heartbeats since the question was first sent.
    heartbeats: u32,
    /// The peers that were told of the majority's digest since the last heartbeat.
    told: BTreeSet<NodeId>,
    is_split_reported: bool,
}

#[derive(Clone, Copy)]
struct Answer {
    digest: u64,
    /// True of a digest that counts for a majority.
    is_counted: bool,
}

/// A digest that a majority has, and the nodes that have another.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) digest: u64,
    /// Each with its digest.
    pub(super) wrong: Vec<(NodeId, u64)>,
}

/// Two nodes whose stores differ, while no digest has a majority.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Split {
    pub(super) index: LogIndex,
    pub(super) one: (NodeId, u64),
    pub(super) other: (NodeId, u64),
}

impl Rounds {
    /// The leader `id` of `term` asks about the entry at `index` with a heartbeat. Its own digest
    /// is the first answer.
    pub(super) fn ask(&mut self, term: Term, id: NodeId, index: LogIndex, digest: u64) {
        if self.term != term {
            *self = Rounds { term, ..Rounds::default() };
        }
        self.quiet_heartbeats = self.quiet_heartbeats.saturating_sub(1);
        for round in &mut self.rounds {
            round.heartbeats = round.heartbeats.saturating_add(1);
            round.told.clear();
        }
        if self.rounds.back().is_some_and(|round| round.index >= index) {
            return;
        }
        if self.rounds.len() == ROUNDS_MAX {
            self.rounds.pop_front();
        }
        let answers = BTreeMap::from([(id, Answer { digest, is_counted: true })]);
        self.rounds.push_back(Round {
            index,
            answers,
            heartbeats: 0,
            told: BTreeSet::new(),
            is_split_reported: false,
        });
    }

    /// A peer answers in `term`. An answer about an entry that was not asked about, or too long
    /// ago, is dropped.
    pub(super) fn on_answer(
        &mut self,
        term: Term,
        (from, is_counted): (NodeId, bool),
        index: LogIndex,
        digest: u64,
    ) {
        if let Some(round) = self.round_mut(term, index) {
            round.answers.insert(from, Answer { digest, is_counted });
        }
    }

    /// The digest that a majority has after the entry at `index`, if there is one.
    pub(super) fn verdict(&self, index: LogIndex, quorum: Quorum<'_>) -> Option<Verdict> {
        let round = self.rounds.iter().find(|round| round.index == index)?;
        let digest = round.majority(quorum)?;
        let others = round.answers.iter().filter(|(_, answer)| answer.digest != digest);
        Some(Verdict { digest, wrong: others.map(|(id, answer)| (*id, answer.digest)).collect() })
    }

    /// True once for each peer and heartbeat: then the peer is to be told.
    pub(super) fn is_to_be_told(&mut self, index: LogIndex, peer: NodeId) -> bool {
        let term = self.term;
        self.round_mut(term, index).is_some_and(|round| round.told.insert(peer))
    }

    /// True once for each peer in a term: then its difference is to be reported.
    pub(super) fn is_to_be_reported(&mut self, peer: NodeId) -> bool {
        self.reported.insert(peer)
    }

    /// A difference that no majority can decide, or has not decided for a while, when it is to be
    /// reported: once for each entry, and not too often.
    pub(super) fn take_split(&mut self, quorum: Quorum<'_>) -> Option<Split> {
        if self.quiet_heartbeats > 0 {
            return None;
        }
        let is_due = |round: &&mut Round| !round.is_split_reported && round.is_split(quorum);
        let round = self.rounds.iter_mut().find(is_due)?;
        let split = round.split()?;
        round.is_split_reported = true;
        self.quiet_heartbeats = QUIET_HEARTBEATS;
        Some(split)
    }

    fn round_mut(&mut self, term: Term, index: LogIndex) -> Option<&mut Round> {
        let rounds = self.rounds.iter_mut().filter(|_| self.term == term);
        rounds.into_iter().find(|round| round.index == index)
    }
}

impl Round {
    /// The digest that a majority has. Two of them would have a voter in common, so there is one
    /// at most.
    fn majority(&self, quorum: Quorum<'_>) -> Option<u64> {
        self.digests().into_iter().find(|digest| quorum.is_met(|voter| self.counts(voter, *digest)))
    }

    /// True when digests differ and no majority has one: because none can any more, or after a
    /// while.
    fn is_split(&self, quorum: Quorum<'_>) -> bool {
        let digests = self.digests();
        if digests.len() < 2 || self.majority(quorum).is_some() {
            return false;
        }
        let is_silent = |voter: NodeId| !self.answers.contains_key(&voter);
        let may_win =
            |digest: u64| quorum.is_met(|voter| is_silent(voter) || self.counts(voter, digest));
        self.heartbeats >= SPLIT_HEARTBEATS || !digests.into_iter().any(may_win)
    }

    /// Two nodes whose digests differ.
    fn split(&self) -> Option<Split> {
        let (one, answer) = self.answers.first_key_value()?;
        let (other, differing) =
            self.answers.iter().find(|(_, other)| other.digest != answer.digest)?;
        Some(Split {
            index: self.index,
            one: (*one, answer.digest),
            other: (*other, differing.digest),
        })
    }

    fn digests(&self) -> BTreeSet<u64> {
        self.answers.values().map(|answer| answer.digest).collect()
    }

    /// True when the voter has this digest, and counts.
    fn counts(&self, voter: NodeId, digest: u64) -> bool {
        self.answers.get(&voter).is_some_and(|answer| answer.is_counted && answer.digest == digest)
    }
}

#[cfg(test)]
mod tests;
