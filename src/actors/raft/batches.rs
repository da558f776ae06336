//! The batches of entries on their way: when each was handed over, was durable here, was committed
//! and was applied. All times are measured by batch: entries of one batch share them.

use std::collections::VecDeque;
use std::time::Duration;

use crate::types::LogIndex;

/// Maximum number of batches that are told apart. Those beyond it count as one with the last: the
/// end of the log may run far ahead of a quorum that stands still.
const BATCHES_MAX: usize = 4096;

/// A batch of entries of a leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Batch {
    /// The last entry.
    last: LogIndex,
    /// The time at which it was handed to the disk and to the peers.
    pub(super) handed_over_at: Duration,
    /// The time at which the own disk had it.
    pub(super) durable_at: Option<Duration>,
    is_committed: bool,
}

/// The batches of a leader that are not committed, or not durable here, by rising index.
#[derive(Default)]
pub(super) struct Batches {
    batches: VecDeque<Batch>,
    /// The end of the log at the last look.
    seen: LogIndex,
}

impl Batches {
    /// The log of a leader ends with `last`, and all of it was handed over.
    pub(super) fn hand_over(&mut self, last: LogIndex, now: Duration) {
        if last > self.seen {
            let is_full = self.batches.len() == BATCHES_MAX;
            match self.batches.back_mut().filter(|_| is_full) {
                Some(newest) => newest.last = last,
                None => {
                    let batch =
                        Batch { last, handed_over_at: now, durable_at: None, is_committed: false };
                    self.batches.push_back(batch);
                }
            }
        }
        self.seen = last;
    }

    /// The node does not lead: nothing is proposed here.
    pub(super) fn clear(&mut self, last: LogIndex) {
        self.batches.clear();
        self.seen = last;
    }

    /// The own disk has had everything up to `index` since `at`.
    pub(super) fn persist(&mut self, index: LogIndex, at: Duration) {
        let first = self.batches.partition_point(|batch| batch.durable_at.is_some());
        for batch in self.batches.range_mut(first..).take_while(|batch| batch.last <= index) {
            batch.durable_at = Some(at);
        }
    }

    /// The batch of an entry; `None` before it is handed over.
    pub(super) fn find(&self, index: LogIndex) -> Option<Batch> {
        let place = self.batches.partition_point(|batch| batch.last < index);
        self.batches.get(place).copied()
    }

    /// Everything up to `index` is committed. Tells the time at which each batch was handed over
    /// of which that is new.
    pub(super) fn commit(&mut self, index: LogIndex, mut tell: impl FnMut(Duration)) {
        let first = self.batches.partition_point(|batch| batch.is_committed);
        for batch in self.batches.range_mut(first..).take_while(|batch| batch.last <= index) {
            batch.is_committed = true;
            tell(batch.handed_over_at);
        }
        // The store is given only what the own disk has as well.
        let is_over = |batch: &Batch| batch.is_committed && batch.durable_at.is_some();
        while self.batches.front().is_some_and(is_over) {
            self.batches.pop_front();
        }
    }
}

/// The committed entries that the store has yet to apply: the ends of what became known as
/// committed at once, each with its time.
#[derive(Default)]
pub(super) struct Unapplied {
    steps: VecDeque<(LogIndex, Duration)>,
    /// The newest committed entry at the last look.
    seen: LogIndex,
}

impl Unapplied {
    /// Everything up to `index` is committed, as is known since `now`.
    pub(super) fn commit(&mut self, index: LogIndex, now: Duration) {
        if index > self.seen {
            self.seen = index;
            let is_full = self.steps.len() == BATCHES_MAX;
            match self.steps.back_mut().filter(|_| is_full) {
                Some((newest, _)) => *newest = index,
                None => self.steps.push_back((index, now)),
            }
        }
    }

    /// The time of the commit of the oldest of them.
    pub(super) fn oldest(&self) -> Option<Duration> {
        self.steps.front().map(|(_, at)| *at)
    }

    /// Removes the next of them that is applied as a whole, and returns the time of its commit.
    pub(super) fn pop_applied(&mut self, last_applied: LogIndex) -> Option<Duration> {
        let is_applied = self.steps.front().is_some_and(|(index, _)| *index <= last_applied);
        is_applied.then(|| self.steps.pop_front()).flatten().map(|(_, at)| at)
    }
}

#[cfg(test)]
mod tests;
