//! The durable state of this node: its term and vote, the writes that are on their way to
//! the disk, and the messages that wait for them.
//!
//! A node may say nothing that depends on what its disk could still forget (Figure 2:
//! "Updated on stable storage before responding to RPCs"). So a message that promises
//! something is kept here until the write that it depends on is durable.

use std::collections::VecDeque;

use super::effect::PersistSeq;
use super::rpc::Envelope;
use crate::types::{HardState, LogIndex, Term};

/// A write that is not known to be durable.
struct InFlight {
    seq: PersistSeq,
    /// The end of the log as of this write, lowered when a later truncation makes its
    /// entries worthless (docs/bugs.md B20).
    last_index: LogIndex,
    /// Ticks for which this write has been the oldest.
    age_ticks: u32,
}

/// The durable state of this node, and the writes under way.
pub(super) struct Persistence {
    /// The term and vote, durable or about to be.
    hard_state: HardState,
    /// The write that makes `hard_state` durable; it has not been started while
    /// `has_changed`.
    hard_state_seq: PersistSeq,
    /// True when no write has `hard_state` yet.
    has_changed: bool,
    /// The log is durable up to here.
    persisted_index: LogIndex,
    /// The last write that was started.
    last_seq: PersistSeq,
    /// Oldest first; the numbers are consecutive and end with `last_seq`.
    in_flight: VecDeque<InFlight>,
    /// Messages, each with the write that it waits for.
    deferred: VecDeque<(PersistSeq, Envelope)>,
}

impl Persistence {
    /// The state of a node whose disk has `hard_state` and a log up to `persisted_index`.
    pub(super) fn new(hard_state: HardState, persisted_index: LogIndex) -> Persistence {
        Persistence {
            hard_state,
            hard_state_seq: PersistSeq::default(),
            has_changed: false,
            persisted_index,
            last_seq: PersistSeq::default(),
            in_flight: VecDeque::new(),
            deferred: VecDeque::new(),
        }
    }

    /// The term and vote, durable or about to be.
    pub(super) fn hard_state(&self) -> HardState {
        self.hard_state
    }

    /// Takes a new term or vote, for the next write.
    ///
    /// # Panics
    /// When the term falls.
    pub(super) fn set_hard_state(&mut self, hard_state: HardState) {
        assert!(hard_state.current_term >= self.hard_state.current_term, "terms never fall");
        self.hard_state = hard_state;
        self.has_changed = true;
        self.hard_state_seq = self.next_seq();
    }

    pub(super) fn is_hard_state_durable(&self) -> bool {
        !self.has_changed && self.is_done(self.hard_state_seq)
    }

    /// The log is durable up to here.
    pub(super) fn persisted_index(&self) -> LogIndex {
        self.persisted_index
    }

    /// True when a new term or vote waits for a write to be started.
    pub(super) fn has_changed(&self) -> bool {
        self.has_changed
    }

    fn next_seq(&self) -> PersistSeq {
        PersistSeq(self.last_seq.0 + 1)
    }

    /// Starts a write that brings the log to `last_index`. It has the hard state if that
    /// has changed.
    pub(super) fn start(&mut self, last_index: LogIndex) -> (PersistSeq, Option<HardState>) {
        self.last_seq = self.next_seq();
        self.in_flight.push_back(InFlight { seq: self.last_seq, last_index, age_ticks: 0 });
        let has_changed = std::mem::take(&mut self.has_changed);
        (self.last_seq, has_changed.then_some(self.hard_state))
    }

    /// True when everything up to the write `seq` is durable.
    fn is_done(&self, seq: PersistSeq) -> bool {
        self.in_flight.front().map_or(self.last_seq >= seq, |first| first.seq > seq)
    }

    /// Holds a message back until all that this node has accepted so far is durable. That
    /// takes the next write when the log has entries that were not handed to the disk
    /// (`has_unflushed`).
    ///
    /// Of equal answers to the leader only the last is kept: heartbeats go on while the disk
    /// does not answer.
    pub(super) fn defer(&mut self, has_unflushed: bool, envelope: Envelope) {
        let is_write_due = self.has_changed || has_unflushed;
        let seq = if is_write_due { self.next_seq() } else { self.last_seq };
        if let Some((waits_for, last)) = self.deferred.back_mut()
            && *waits_for == seq
            && last.is_superseded_by(&envelope)
        {
            *last = envelope;
        } else {
            self.deferred.push_back((seq, envelope));
        }
    }

    /// Drops the messages that wait for a write: they were promises of a voter, and this node
    /// is none any more.
    pub(super) fn drop_deferred(&mut self) {
        self.deferred.clear();
    }

    /// The entries from `index` on are no longer part of the log: they count neither as
    /// durable nor as on their way.
    pub(super) fn truncate_from(&mut self, index: LogIndex) {
        self.persisted_index = self.persisted_index.min(index.prev());
        for write in &mut self.in_flight {
            write.last_index = write.last_index.min(index.prev());
        }
    }

    /// A durable snapshot has taken the place of the whole log: it ends at `index`, and
    /// what is on its way to the disk is no longer part of it (docs/bugs.md B54).
    pub(super) fn reset(&mut self, index: LogIndex) {
        self.persisted_index = index;
        for write in &mut self.in_flight {
            write.last_index = LogIndex(0);
        }
    }

    /// The write `seq` is durable, and with it all before: returns the messages that may
    /// go now. A message of an older term is dropped: its promise was overtaken.
    ///
    /// # Panics
    /// When no such write was started.
    pub(super) fn complete(&mut self, seq: PersistSeq) -> Vec<Envelope> {
        assert!(seq <= self.last_seq, "the disk reports write {seq}, which was never started");
        while self.in_flight.front().is_some_and(|write| write.seq <= seq) {
            if let Some(write) = self.in_flight.pop_front() {
                self.persisted_index = self.persisted_index.max(write.last_index);
            }
        }
        let mut released = Vec::new();
        while self.deferred.front().is_some_and(|(waits_for, _)| *waits_for <= seq) {
            if let Some((_, envelope)) = self.deferred.pop_front()
                && envelope.term == self.current_term()
            {
                released.push(envelope);
            }
        }
        released
    }

    fn current_term(&self) -> Term {
        self.hard_state.current_term
    }

    /// Advances time by one tick. Writes complete in order, so the age of the oldest is the time
    /// for which the disk has been silent.
    pub(super) fn tick(&mut self) {
        if let Some(oldest) = self.in_flight.front_mut() {
            oldest.age_ticks += 1;
        }
    }

    /// Ticks for which the oldest write has been the oldest; 0 without one.
    pub(super) fn stalled_ticks(&self) -> u32 {
        self.in_flight.front().map_or(0, |oldest| oldest.age_ticks)
    }
}

#[cfg(test)]
mod tests;
