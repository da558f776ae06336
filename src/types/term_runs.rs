//! The term of every index of a log, in a few bytes.

use super::ids::{LogIndex, LogPosition, Term};

/// The terms of a whole log, run-length encoded: one run for each term that has
/// entries. The rules of Raft need nothing else about the older entries of a log.
///
/// A log begins right after its base. The base is the position of the last entry that a
/// snapshot has replaced (docs/adr/0008), and 0@0 in a new log. Everything up to the base
/// is committed; nothing else is known about it.
///
/// Invariant: first indexes and terms rise from run to run. The first run begins right
/// after the base, and its term is not below the base's. `last_index` lies in the last
/// run, or is the base's index when there is no run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TermRuns {
    base: LogPosition,
    runs: Vec<LogPosition>,
    last_index: LogIndex,
}

impl TermRuns {
    /// An empty log that begins after `base`.
    pub fn starting_after(base: LogPosition) -> TermRuns {
        TermRuns { base, runs: Vec::new(), last_index: base.index }
    }

    /// The position right before the first entry of the log.
    pub fn base(&self) -> LogPosition {
        self.base
    }

    /// The position of the last entry; the base when the log is empty.
    pub fn last(&self) -> LogPosition {
        LogPosition {
            term: self.runs.last().map_or(self.base.term, |run| run.term),
            index: self.last_index,
        }
    }

    /// Adds the position of a new last entry.
    ///
    /// # Panics
    /// When the index does not follow the last one, or the term is below the last one. No
    /// log in Raft has a gap or a falling term.
    pub fn push(&mut self, position: LogPosition) {
        let last = self.last();
        assert_eq!(position.index, last.index.next(), "a log has no gaps");
        assert!(position.term >= last.term, "terms never fall along a log");
        if position.term > last.term || self.runs.is_empty() {
            self.runs.push(position);
        }
        self.last_index = position.index;
    }

    /// Removes the entry at `index` and all entries after it.
    ///
    /// # Panics
    /// When `index` is at or before the base: everything in a snapshot is committed.
    pub fn truncate_from(&mut self, index: LogIndex) {
        assert!(index > self.base.index, "nothing that is committed is truncated");
        if index > self.last_index {
            return;
        }
        self.last_index = index.prev();
        let keep = self.runs.partition_point(|run| run.index < index);
        self.runs.truncate(keep);
    }

    /// Removes all entries up to `base`, which is in the log, so that the log begins
    /// after it. Does nothing when the log already begins there or later.
    ///
    /// # Panics
    /// When the log does not hold `base`.
    pub fn compact_to(&mut self, base: LogPosition) {
        if base.index <= self.base.index {
            return;
        }
        assert!(self.contains(base), "a log is compacted to an entry that it holds");
        let gone = self.runs.partition_point(|run| run.index <= base.index);
        // A run that reaches past the base is shortened to begin right after it.
        let ends_at = self.runs.get(gone).map_or(self.last_index, |run| run.index.prev());
        self.runs.drain(..gone);
        if ends_at > base.index {
            self.runs.insert(0, LogPosition { index: base.index.next(), ..base });
        }
        self.base = base;
    }

    /// The term of the entry at `index`, or of the base; `None` before the base and
    /// after the last entry.
    pub fn term_at(&self, index: LogIndex) -> Option<Term> {
        if index == self.base.index {
            return Some(self.base.term);
        }
        self.run_of(index).map(|run| run.term)
    }

    /// True when the log holds the entry at `position`, or `position` is its base.
    pub fn contains(&self, position: LogPosition) -> bool {
        self.term_at(position.index) == Some(position.term)
    }

    /// The first index that has the term of the entry at `index`, as far back as the log
    /// reaches.
    pub fn first_index_of_run(&self, index: LogIndex) -> Option<LogIndex> {
        self.run_of(index).map(|run| run.index)
    }

    /// The last index whose term is at most `term`. When no entry has such a term, it is the
    /// base's index if the base's term is at most `term`, and 0 otherwise.
    pub fn last_index_up_to_term(&self, term: Term) -> LogIndex {
        if self.base.term > term {
            return LogIndex(0);
        }
        let after = self.runs.partition_point(|run| run.term <= term);
        match self.runs.get(after) {
            Some(run) => run.index.prev(),
            None => self.last_index,
        }
    }

    /// The runs, oldest first: each is the position of its first entry.
    pub fn runs(&self) -> &[LogPosition] {
        &self.runs
    }

    fn run_of(&self, index: LogIndex) -> Option<LogPosition> {
        if index <= self.base.index || index > self.last_index {
            return None;
        }
        let after = self.runs.partition_point(|run| run.index <= index);
        Some(self.runs[after - 1])
    }
}

#[cfg(test)]
mod tests;
