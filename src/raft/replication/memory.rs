//! The peer's memory: its answers may show that it has lost entries which it acknowledged
//! (docs/adr/0018).

use crate::raft::rpc::Forgotten;
use crate::types::{LogIndex, LogPosition, Term, TermRuns};

/// The evidence that a peer has lost what it acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerLoss {
    /// The last entry that the peer has acknowledged in this term.
    pub acknowledged: LogPosition,
    /// The peer's log equals the leader's no further than this.
    pub held: LogIndex,
}

/// The entries that the peer has acknowledged in this term, and the words to it about those
/// that it has lost.
#[derive(Default)]
pub(super) struct PeerMemory {
    /// The last entry that it has acknowledged, as far as the leader still knew its term.
    acknowledged: LogPosition,
    /// The peer had acknowledged this before the first request of the current search was
    /// sent. So an answer to a request of that search which shows that the peer lacks it is a
    /// proof, in whatever order the messages came.
    before_search: LogPosition,
    /// True when the peer was told since the last heartbeat.
    is_told: bool,
    /// True when the core knows of the loss.
    is_reported: bool,
}

impl PeerMemory {
    /// The peer acknowledges everything up to `match_index`, or, when it is rejoining, only
    /// that much.
    pub(super) fn on_match(&mut self, match_index: LogIndex, runs: &TermRuns) {
        if let Some(term) = runs.term_at(match_index) {
            self.acknowledged = LogPosition { term, index: match_index };
        } else if match_index < self.acknowledged.index {
            self.acknowledged = LogPosition::default();
        }
        if self.before_search.index > self.acknowledged.index {
            self.before_search = self.acknowledged;
        }
    }

    /// A new search for the end of the peer's log begins.
    pub(super) fn begin_search(&mut self) {
        self.before_search = self.acknowledged;
    }

    /// True when a conflict in the current search can prove the loss of anything that the peer
    /// has acknowledged.
    pub(super) fn knows_all(&self) -> bool {
        self.before_search == self.acknowledged
    }

    /// The peer may be told again.
    pub(super) fn on_heartbeat(&mut self) {
        self.is_told = false;
    }

    /// The peer does not contradict what it acknowledged, or is rejoining.
    pub(super) fn on_sound_answer(&mut self) {
        self.is_reported = false;
    }

    /// The loss that a conflict proves. The conflict answers a request of the current search.
    pub(super) fn loss_in(
        &self,
        conflict_index: LogIndex,
        conflict_term: Option<Term>,
    ) -> Option<PeerLoss> {
        let before = self.before_search;
        // The peer's log either ends before `conflict_index`, or has entries of
        // `conflict_term` from there to the end of what was asked about.
        let is_lost = before.index > LogIndex(0)
            && conflict_index <= before.index
            && conflict_term != Some(before.term);
        is_lost.then_some(PeerLoss { acknowledged: self.acknowledged, held: conflict_index.prev() })
    }

    /// The word to the peer about its loss, once for each heartbeat.
    pub(super) fn word(&mut self, loss: PeerLoss) -> Option<Forgotten> {
        let is_told = std::mem::replace(&mut self.is_told, true);
        (!is_told).then_some(Forgotten { acknowledged: loss.acknowledged })
    }

    /// True once for each loss: then the core is to learn of it.
    pub(super) fn is_news(&mut self) -> bool {
        !std::mem::replace(&mut self.is_reported, true)
    }
}

#[cfg(test)]
mod tests;
