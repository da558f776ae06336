//! The ages of a leader's entries, to a tenth of a second: for how long a peer has lacked what it
//! lacks.

use std::collections::VecDeque;
use std::time::Duration;

use crate::types::LogIndex;

/// The least time between two notes.
const NOTE_INTERVAL: Duration = Duration::from_millis(100);

/// Maximum number of notes: those of five minutes of writes.
const NOTES_MAX: usize = 3000;

/// The end of a leader's log at some times of its leadership.
#[derive(Default)]
pub(super) struct LogAges {
    /// The end of the log, and the time; both rise.
    notes: VecDeque<(LogIndex, Duration)>,
}

impl LogAges {
    /// The node does not lead.
    pub(super) fn clear(&mut self) {
        self.notes.clear();
    }

    /// The log ends with `last`. A log that does not grow needs no notes.
    pub(super) fn note(&mut self, last: LogIndex, now: Duration) {
        let is_due = self
            .notes
            .back()
            .is_none_or(|(newest, at)| last > *newest && now.saturating_sub(*at) >= NOTE_INTERVAL);
        if is_due {
            if self.notes.len() == NOTES_MAX {
                self.notes.pop_front();
            }
            self.notes.push_back((last, now));
        }
    }

    /// The age of the oldest entry after `matched` in a log that ends with `last`; zero if there is
    /// none. Of an entry from before the leadership, or before the first note that is kept, it is
    /// the age of that note: it is that old at least.
    pub(super) fn age_after(&self, matched: LogIndex, last: LogIndex, now: Duration) -> Duration {
        if matched >= last {
            return Duration::ZERO;
        }
        let place = self.notes.partition_point(|(end, _)| *end <= matched);
        // An entry after the newest note is younger than the time between two notes.
        self.notes.get(place).map_or(Duration::ZERO, |(_, at)| now.saturating_sub(*at))
    }
}

#[cfg(test)]
mod tests;
