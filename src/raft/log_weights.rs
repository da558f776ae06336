//! The weight of the part of the log after any of its entries, by `Entry::weight_bytes`.
//!
//! The entries are not in memory, so their weights are added up as they pass to the store,
//! and the sum is marked now and then. The answer is the weight from the last mark on, and so
//! too high by one distance between marks at most: about a thousandth of what is marked.

use std::collections::VecDeque;

use crate::types::{Entry, LogIndex};

/// Maximum number of marks. When there are more, half of them go.
const MARKS_MAX: usize = 2048;

/// The sum of the weights of all entries from the beginning up to and including `index`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mark {
    index: LogIndex,
    sum_bytes: u64,
}

/// The marked weights of the log.
///
/// Invariant: `marks` is not empty, and rises in both fields.
pub(super) struct LogWeights {
    marks: VecDeque<Mark>,
    /// Minimum weight between two marks, in bytes.
    distance_bytes: u64,
    /// The weight of everything that was added.
    sum_bytes: u64,
}

impl LogWeights {
    /// The weights of a log whose entries after `index` are to come. Nothing is known of
    /// those before.
    pub(super) fn starting_after(index: LogIndex) -> LogWeights {
        let start = Mark { index, sum_bytes: 0 };
        LogWeights { marks: [start].into(), distance_bytes: 1, sum_bytes: 0 }
    }

    /// Adds the entries that come next. Returns their weight.
    pub(super) fn add(&mut self, entries: &[Entry]) -> u64 {
        let before = self.sum_bytes;
        for entry in entries {
            self.sum_bytes += entry.weight_bytes();
            let last = self.marks.back().map_or(0, |mark| mark.sum_bytes);
            if self.sum_bytes - last >= self.distance_bytes {
                self.marks.push_back(Mark { index: entry.index, sum_bytes: self.sum_bytes });
            }
        }
        if self.marks.len() > MARKS_MAX {
            self.thin_out();
        }
        self.sum_bytes - before
    }

    fn thin_out(&mut self) {
        let first = self.marks.front().map_or(0, |mark| mark.sum_bytes);
        self.distance_bytes = (self.sum_bytes - first) / (MARKS_MAX as u64 / 2);
        let mut next = first;
        self.marks.retain(|mark| {
            let is_kept = mark.sum_bytes >= next;
            if is_kept {
                next = mark.sum_bytes + self.distance_bytes;
            }
            is_kept
        });
    }

    /// The weight of the log after `index`, as far as it was added.
    pub(super) fn after(&self, index: LogIndex) -> u64 {
        let marked = self.marks.partition_point(|mark| mark.index <= index);
        let mark = self.marks.get(marked.saturating_sub(1));
        self.sum_bytes - mark.map_or(0, |mark| mark.sum_bytes)
    }

    /// Forgets the marks before `index`, which nobody asks for any more.
    pub(super) fn compact_to(&mut self, index: LogIndex) {
        while self.marks.get(1).is_some_and(|mark| mark.index <= index) {
            self.marks.pop_front();
        }
    }
}

#[cfg(test)]
mod tests;
