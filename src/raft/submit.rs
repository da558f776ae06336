//! Committed entries and confirmed reads on their way to the store, in one order.
//!
//! This is the one place that brings the log, the reads (`ReadIndex`, on a node that does not lead
//! `Inquiry`) and the queue to the store (`ApplyQueue`) together.

use super::effect::{Effect, ReadEntries};
use super::role::RoleState;
use super::state::Raft;
use crate::types::{Entry, LogIndex, LogPosition};

impl Raft {
    /// The store has applied everything up to `last_applied`, and has this digest after it.
    ///
    /// # Panics
    /// When that is more than the store was given, or less than it reported before.
    pub fn on_applied(&mut self, last_applied: LogIndex, digest: u64) {
        self.apply.on_applied(last_applied);
        self.comparison.applied = Some((last_applied, digest));
        self.submit();
        self.advance_handover();
    }

    /// The page that an [`Effect::ReadEntries`] asked for.
    ///
    /// # Panics
    /// When the page is not the one that was asked for: committed, durable entries do not
    /// change and do not vanish.
    pub fn on_entries_read(&mut self, entries: Vec<Entry>) {
        if !self.apply.end_reading() {
            return; // asked for before a snapshot took the place of the log
        }
        let limit = self.commit_index.min(self.persistence.persisted_index());
        let submitted_index = self.apply.submitted_index();
        let mut expected = submitted_index;
        for entry in &entries {
            expected = expected.next();
            let LogPosition { index, term } = entry.position();
            assert!(
                index == expected && index <= limit && self.log.term_at(index) == Some(term),
                "the log's entry {index}@{term} on disk is not the committed one"
            );
        }
        assert!(expected > submitted_index, "a committed entry is not on disk");
        self.submit_entries(entries);
        self.submit();
    }

    /// Submits what is committed *and* durable here, and the reads that come between.
    /// Entries that are only on disk (after a start) are read in pages, the next page when
    /// the store has applied the one before.
    pub(super) fn submit(&mut self) {
        let durable_index = self.persistence.persisted_index();
        let limit = self.commit_index.min(durable_index);
        while self.apply.submitted_index() < limit && !self.apply.is_reading() {
            // A read that needs no more than this is answered before the next entry.
            self.release_reads();
            let next = self.apply.submitted_index().next();
            let to = self.last_index_before_next_read(limit);
            assert!(next <= to, "a read is answered before entry {next} is submitted");
            if let Some(entries) = self.log.slice(next, to) {
                self.submit_entries(entries);
            } else if self.apply.may_read() {
                self.apply.begin_reading();
                self.effects.push(Effect::ReadEntries(ReadEntries {
                    ticket: 0,
                    from: next,
                    to: limit.min(self.log.first_in_memory().prev()),
                    bytes_max: self.settings.page_bytes_max,
                }));
            } else {
                return;
            }
        }
        self.release_reads();
    }

    fn submit_entries(&mut self, entries: Vec<Entry>) {
        if let Some(last) = entries.last() {
            self.apply.on_submitted(last.index);
            self.log.evict_to(last.index);
            self.snapshots.on_submitted(&entries);
            self.effects.push(Effect::Apply { entries });
            self.maybe_take_snapshot();
        }
    }

    /// The last entry up to which entries may be submitted in one go: no waiting read must be
    /// answered before it.
    fn last_index_before_next_read(&self, limit: LogIndex) -> LogIndex {
        match &self.role {
            RoleState::Leader(leadership) => {
                leadership.reads.first_stop().map_or(limit, |stop| limit.min(stop))
            }
            _ => limit,
        }
    }

    /// Answers the reads that are confirmed and whose entries were submitted.
    pub(super) fn release_reads(&mut self) {
        let submitted_index = self.apply.submitted_index();
        let mut pop_ready = || match &mut self.role {
            RoleState::Leader(leadership) => leadership.reads.pop_ready(submitted_index),
            _ => self.inquiry.pop_ready(submitted_index),
        };
        while let Some((token, read_index)) = pop_ready() {
            self.effects.push(Effect::ReadReady { token, read_index });
        }
    }
}
