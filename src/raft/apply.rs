//! Handing committed entries and confirmed reads to the store, in one order.

use super::effect::{Effect, ReadEntries};
use super::{Raft, RoleState};
use crate::types::{Entry, LogIndex};

impl Raft {
    /// The store has applied everything up to `last_applied`.
    ///
    /// # Panics
    /// When that is more than it was given, or less than it reported before.
    pub fn on_applied(&mut self, last_applied: LogIndex) {
        assert!(
            self.last_applied <= last_applied && last_applied <= self.submitted_index,
            "the store reports {last_applied} as applied, was given {}",
            self.submitted_index
        );
        self.last_applied = last_applied;
        self.hand_over();
    }

    /// Hands over what is committed *and* durable here, and the reads that come
    /// between. Entries that are only on disk (after a start) come by pages, the
    /// next one when the store has applied the one before.
    pub(super) fn hand_over(&mut self) {
        let durable_index = self.persistence.persisted_index();
        let limit =
            if mutant!(B34) { self.commit_index } else { self.commit_index.min(durable_index) };
        while self.submitted_index < limit && !self.is_reading_entries {
            // A read that arrived before the next entry is answered before it.
            let next = self.submitted_index.next();
            self.release_reads_before(next);
            let to = self.last_index_before_next_read(limit);
            if let Some(entries) = self.log.slice(next, to) {
                self.hand_over_entries(entries);
            } else if self.last_applied == self.submitted_index {
                let to = limit.min(self.log.first_in_memory().prev());
                self.is_reading_entries = true;
                self.effects.push(Effect::ReadEntries(ReadEntries {
                    ticket: 0,
                    from: next,
                    to,
                    bytes_max: self.settings.page_bytes_max,
                }));
            } else {
                return;
            }
        }
        self.release_confirmed_reads();
    }

    pub(super) fn hand_over_entries(&mut self, entries: Vec<Entry>) {
        if let Some(last) = entries.last() {
            self.submitted_index = last.index;
            self.log.evict_to(last.index);
            self.note_submitted(&entries);
            self.effects.push(Effect::Apply { entries });
            self.maybe_take_snapshot();
        }
    }

    /// The entries up to here may be handed over in one go: no waiting read has
    /// its place among them.
    fn last_index_before_next_read(&self, limit: LogIndex) -> LogIndex {
        match &self.role {
            RoleState::Leader(leadership) => {
                leadership.reads.first_place().map_or(limit, |place| limit.min(place))
            }
            _ => limit,
        }
    }
}
