//! The search for the place where the leader's log and the peer's part (§5.3).

use crate::types::{LogIndex, Term, TermRuns};

/// The leader's knowledge of where the peer's log ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProgressState {
    /// It looks for the place where the logs part: one request at a time.
    Probe,
    /// The logs agree up to `next_index`: requests are pipelined.
    Replicate,
    /// The peer lacks entries that are no longer in the log, and is sent a snapshot (§7).
    Snapshot,
}

/// The numbers of the requests to one peer within a term.
pub(super) struct Requests {
    /// The number of the last request.
    sent_seq: u64,
    /// The newest request that was answered.
    answered_seq: u64,
    /// The first request since the last search began. A conflict that answers an earlier
    /// request is ignored (docs/bugs.md B30).
    first_seq: u64,
    /// True when that first request is under way. Used in `ProgressState::Probe` only.
    is_probing: bool,
}

impl Requests {
    pub(super) fn new() -> Requests {
        Requests { sent_seq: 0, answered_seq: 0, first_seq: 1, is_probing: false }
    }

    /// The number of the next request, which is sent now.
    pub(super) fn next(&mut self) -> u64 {
        self.sent_seq += 1;
        self.sent_seq
    }

    /// The number of the last request.
    pub(super) fn sent_seq(&self) -> u64 {
        self.sent_seq
    }

    pub(super) fn on_answer(&mut self, request_seq: u64) {
        self.answered_seq = self.answered_seq.max(request_seq);
    }

    /// True while the last request is not answered.
    pub(super) fn is_unanswered(&self) -> bool {
        self.answered_seq < self.sent_seq
    }

    /// Begins a new search: answers to earlier requests no longer count in it.
    pub(super) fn begin_anew(&mut self) {
        self.first_seq = self.sent_seq + 1;
    }

    /// True of a request since the last search began.
    pub(super) fn is_current(&self, request_seq: u64) -> bool {
        request_seq >= self.first_seq
    }

    pub(super) fn is_probing(&self) -> bool {
        self.is_probing
    }

    pub(super) fn set_probing(&mut self, is_probing: bool) {
        self.is_probing = is_probing;
    }
}

/// The place where the logs may agree, by the peer's hint (§5.3): after the last entry of
/// the leader that is of the conflicting term, else at the first of the peer's entries of
/// that term. `next_index` is the place that was tried.
pub(super) fn place_before_conflict(
    runs: &TermRuns,
    next_index: LogIndex,
    conflict_index: LogIndex,
    conflict_term: Option<Term>,
) -> LogIndex {
    let Some(term) = conflict_term else { return conflict_index };
    let last = runs.last_index_up_to_term(term).min(next_index.prev().prev());
    if runs.term_at(last) == Some(term) { last.next() } else { last.next().min(conflict_index) }
}

#[cfg(test)]
mod tests;
