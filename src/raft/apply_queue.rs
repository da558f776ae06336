//! The way of committed entries to the store.
//!
//! Entries are submitted in order, each exactly once. Entries that are not in memory (after
//! a start) are read from the log in pages. The next page is read when the store has applied
//! the one before, so that a long log is never in memory as a whole.

use crate::types::LogIndex;

/// The place up to which the store was given entries, and the page that is being read.
///
/// Invariant: `last_applied <= submitted_index`.
pub(super) struct ApplyQueue {
    /// The newest entry in an `Apply` effect.
    submitted_index: LogIndex,
    /// The newest entry that the store has reported as applied.
    last_applied: LogIndex,
    /// True while a page of the log is being read for the store.
    is_reading: bool,
    /// Page reads under way that a snapshot install made stale; their answers are dropped.
    stale_pages: u32,
}

impl ApplyQueue {
    /// The queue of a store that was loaded from a snapshot of everything up to `index`.
    pub(super) fn starting_at(index: LogIndex) -> ApplyQueue {
        ApplyQueue {
            submitted_index: index,
            last_applied: index,
            is_reading: false,
            stale_pages: 0,
        }
    }

    pub(super) fn submitted_index(&self) -> LogIndex {
        self.submitted_index
    }

    pub(super) fn last_applied(&self) -> LogIndex {
        self.last_applied
    }

    /// The store was given everything up to `index`.
    pub(super) fn on_submitted(&mut self, index: LogIndex) {
        self.submitted_index = index;
    }

    /// The store has applied everything up to `index`.
    ///
    /// # Panics
    /// When that is more than the store was given, or less than it reported before.
    pub(super) fn on_applied(&mut self, index: LogIndex) {
        assert!(
            self.last_applied <= index && index <= self.submitted_index,
            "the store reports {index} as applied, was given {}",
            self.submitted_index
        );
        self.last_applied = index;
    }

    pub(super) fn is_reading(&self) -> bool {
        self.is_reading
    }

    /// True when the store has applied all that it was given: the next page may be read.
    pub(super) fn may_read(&self) -> bool {
        self.last_applied == self.submitted_index
    }

    pub(super) fn begin_reading(&mut self) {
        self.is_reading = true;
    }

    /// A page has arrived. Returns false when it is stale and to be dropped.
    ///
    /// # Panics
    /// When no page was asked for.
    pub(super) fn end_reading(&mut self) -> bool {
        if self.stale_pages > 0 {
            self.stale_pages -= 1;
            return false;
        }
        assert!(self.is_reading, "no entries were asked for");
        self.is_reading = false;
        true
    }

    /// A snapshot of everything up to `base` takes the place of the store. The store
    /// reports it by `on_applied` when it is in place.
    pub(super) fn on_installed(&mut self, base: LogIndex) {
        self.submitted_index = base;
        self.stale_pages += u32::from(std::mem::take(&mut self.is_reading));
    }
}

#[cfg(test)]
mod tests;
