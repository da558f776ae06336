//! The start of this run: what was on the disk then, what this run has acknowledged since, and
//! whether the peers that remember earlier runs have had the time to speak (docs/adr/0024).

use std::collections::BTreeSet;

use crate::types::{HardState, LogIndex, LogPosition, NodeId, Term, TermRuns};

/// Terms whose acknowledgements are kept. A run that goes through more terms forgets the oldest.
const TERMS_KEPT: usize = 1024;

/// The state with which this run started, and what it has acknowledged since.
pub(super) struct Start {
    hard_state: HardState,
    runs: TermRuns,
    /// For each term the last entry that this run may have acknowledged to its leader, or as its
    /// leader; terms rise. An entry of a term that was forgotten is not here.
    acknowledged: Vec<(Term, LogIndex)>,
    /// Acknowledgements up to this term were forgotten.
    forgotten: Term,
    /// True when this run has caught up with every other member: whatever was lost before it
    /// started does no more harm (docs/adr/0005).
    has_caught_up: bool,
    /// The peers that have answered a hello of this run, or whose address has refused a
    /// connection.
    accounted_for: BTreeSet<NodeId>,
    /// Ticks that are left for the others to be accounted for.
    settling_ticks: u32,
}

impl Start {
    /// The start of a node with `hard_state` and a log of `runs`, which waits for its peers for
    /// `settling_ticks` at most.
    pub(super) fn new(hard_state: HardState, runs: TermRuns, settling_ticks: u32) -> Start {
        Start {
            hard_state,
            runs,
            acknowledged: Vec::new(),
            forgotten: Term(0),
            has_caught_up: false,
            accounted_for: BTreeSet::new(),
            settling_ticks,
        }
    }

    // The acknowledgements of earlier runs.

    /// The end of the log with which this run started.
    pub(super) fn last(&self) -> LogPosition {
        self.runs.last()
    }

    /// This run may acknowledge everything up to `index` to the leader of `term`, or count it as
    /// that leader.
    pub(super) fn on_acknowledged(&mut self, term: Term, index: LogIndex) {
        match self.acknowledged.last_mut() {
            Some((last_term, last_index)) if *last_term == term => {
                *last_index = (*last_index).max(index);
            }
            _ => self.acknowledged.push((term, index)),
        }
        if self.acknowledged.len() > TERMS_KEPT {
            self.forgotten = self.acknowledged.remove(0).0;
        }
    }

    /// This run has caught up with every other member.
    pub(super) fn on_caught_up(&mut self) {
        self.has_caught_up = true;
    }

    /// True when it is no proof of a loss that `acknowledged` was acknowledged to the leader of
    /// `leader_term` before this run or in it.
    ///
    /// An earlier run had made the term and the entry durable before it acknowledged, and only
    /// the leader of a later term can have taken the entry away. So if the disk has kept what it
    /// had, this run started in a later term, or with the entry. What is committed is not in the
    /// log any more, and what a repair knows to be lost is not lost without a trace.
    pub(super) fn explains(&self, leader_term: Term, acknowledged: LogPosition) -> bool {
        let HardState { current_term, lost, .. } = self.hard_state;
        let is_held = acknowledged.index <= self.runs.base().index
            || self.runs.contains(acknowledged)
            || acknowledged <= lost;
        self.has_caught_up
            || current_term > leader_term
            || current_term == leader_term && is_held
            || self.may_have_acknowledged(leader_term, acknowledged.index)
    }

    /// The word may be about this very run: who remembers the acknowledgement may have had it
    /// before it knew that the run had begun.
    fn may_have_acknowledged(&self, leader_term: Term, index: LogIndex) -> bool {
        let is_forgotten = leader_term <= self.forgotten;
        let mut acknowledged = self.acknowledged.iter();
        is_forgotten || acknowledged.any(|(term, last)| *term == leader_term && *last >= index)
    }

    // Settling.

    /// The peer has answered a hello of this run, or its address has refused a connection.
    pub(super) fn account_for(&mut self, peer: NodeId) {
        self.accounted_for.insert(peer);
    }

    /// Advances time by one tick. Returns true when the time to settle is over now.
    pub(super) fn tick(&mut self) -> bool {
        let was_settling = self.settling_ticks > 0;
        self.settling_ticks = self.settling_ticks.saturating_sub(1);
        was_settling && self.settling_ticks == 0
    }

    /// True when every one of `peers` is accounted for, or the time is over.
    pub(super) fn is_settled(&self, peers: &[NodeId]) -> bool {
        self.settling_ticks == 0 || peers.iter().all(|peer| self.accounted_for.contains(peer))
    }
}

#[cfg(test)]
mod tests;
