//! The pace of a leader's log: the age of a peer's place in it, for people.

use std::collections::VecDeque;

use crate::types::LogIndex;

/// Number of notes in a second.
const NOTES_PER_SECOND: u32 = 4;

/// Maximum number of notes that are kept: those of a minute.
const NOTES_MAX: usize = 60 * NOTES_PER_SECOND as usize;

/// The end of a leader's log at some times of its term.
#[derive(Default)]
pub(super) struct LogPace {
    /// Ticks since the term began.
    ticks: u64,
    /// Each a time in ticks, and the end of the log then; both rise.
    notes: VecDeque<(u64, LogIndex)>,
}

impl LogPace {
    /// Advances time by one tick. The log ends with `last`.
    pub(super) fn tick(&mut self, last: LogIndex, ticks_per_second: u32) {
        let pause = u64::from((ticks_per_second / NOTES_PER_SECOND).max(1));
        if self.ticks.is_multiple_of(pause) {
            if self.notes.len() == NOTES_MAX {
                self.notes.pop_front();
            }
            self.notes.push_back((self.ticks, last));
        }
        self.ticks += 1;
    }

    /// Ticks since the log ended with `index`, at least: notes of earlier terms, and of more than
    /// a minute ago, are not kept.
    pub(super) fn age_ticks(&self, index: LogIndex) -> u64 {
        let is_reached = |(_, last): &&(u64, LogIndex)| *last <= index;
        let newest = self.notes.iter().rev().find(is_reached).or(self.notes.front());
        newest.map_or(0, |(at, _)| self.ticks - at)
    }
}

#[cfg(test)]
mod tests;
