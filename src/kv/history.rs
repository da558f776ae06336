//! The changes of the store, back to the compacted revision (docs/adr/0029).
//!
//! Changes are numbered from 1, in the order in which they are made; those of one entry follow
//! each other and have one revision. A change knows the record that it replaced, so that the
//! store as of any revision that is kept can be read from the present one backwards.
//!
//! The history is bounded. `compacted` moves at once, and says what may still be read; the
//! changes before it are removed a bounded number an entry, as keys that have expired are.

use std::ops::Bound;
use std::sync::Arc;

use imbl::OrdMap;

use super::change::{Action, Change, LeaseEnd, Newest};
use super::changes::Changes;
use super::corruption::Corruption;
use super::digest;
use super::key_bytes::KeyBytes;
use super::record::Record;
use crate::commands::HistoryLimits;

/// A moment in the history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    /// The number of the last change before it.
    pub change: u64,
    /// The store's clock, in milliseconds.
    pub clock_ms: u64,
}

/// The reason why the store cannot be read at a revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotReadable {
    /// The history is not kept as far back.
    Compacted {
        /// The compacted revision.
        revision: u64,
    },
    /// The store has not come to the revision.
    Future {
        /// The store's revision.
        revision: u64,
    },
}

/// The numbers of a history that are not those of its changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct HistoryNumbers {
    pub revision: u64,
    pub compacted: u64,
    pub kept_from: u64,
    pub base_ms: u64,
    pub limits: HistoryLimits,
}

/// The changes that are kept. A clone takes constant time.
///
/// Invariants: `kept_from` is `compacted`, or the revision after it; all changes of `kept_from` and
/// of later revisions are kept. Each revision from `kept_from` on has a change. `gone` has the
/// keys that are not stored and whose newest kept change is a removal. `bytes` is the sum of the
/// weights, and `digest` that of the hashes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct History {
    revision: u64,
    compacted: u64,
    kept_from: u64,
    /// The store's clock at the revision before `kept_from`.
    base_ms: u64,
    limits: HistoryLimits,
    changes: Changes,
    /// For each key that is gone the number of the change that removed it.
    gone: OrdMap<KeyBytes, u64>,
    /// The last key of the oldest change that is forgotten already, when that change is the end of
    /// a lease: it can have more keys than an entry may forget.
    forgotten: Option<KeyBytes>,
    bytes: u64,
    digest: u64,
}

impl Default for History {
    fn default() -> History {
        History {
            revision: 0,
            compacted: 0,
            kept_from: 0,
            base_ms: 0,
            limits: HistoryLimits::NONE,
            changes: Changes::default(),
            gone: OrdMap::new(),
            forgotten: None,
            bytes: 0,
            digest: 0,
        }
    }
}

impl History {
    /// The store's revision.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The oldest revision that can be read.
    pub fn compacted(&self) -> u64 {
        self.compacted
    }

    /// The oldest revision whose changes are all kept: the compacted one, or the one after it.
    pub fn kept_from(&self) -> u64 {
        self.kept_from
    }

    /// The bounds in force.
    pub fn limits(&self) -> HistoryLimits {
        self.limits
    }

    /// Sets the bounds.
    pub fn set_limits(&mut self, limits: HistoryLimits) {
        self.limits = limits;
    }

    /// True when changes are kept at all.
    pub fn keeps_changes(&self) -> bool {
        self.limits.keep_revisions > 0
    }

    /// The changes that are kept, with some before `kept_from` that are not removed yet.
    pub fn changes(&self) -> &Changes {
        &self.changes
    }

    /// The size of the changes in bytes, as the bound counts it.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Begins to count revisions: from `revision` on.
    pub fn begin(&mut self, revision: u64, clock_ms: u64) {
        (self.revision, self.compacted, self.kept_from) = (revision, revision, revision);
        self.base_ms = clock_ms;
        self.limits = HistoryLimits::default();
    }

    /// The number that the next change gets; 0 when changes are not kept.
    pub fn next_change(&self) -> u64 {
        if self.keeps_changes() { self.changes.next() } else { 0 }
    }

    /// Adds a change, if changes are kept. Returns its weight, or 0.
    pub fn push(&mut self, change: Change) -> u64 {
        if !self.keeps_changes() {
            return 0;
        }
        match &change.action {
            Action::Delete { key, .. } | Action::Expire { key, .. } => {
                self.gone.insert(key.clone(), self.changes.next());
            }
            // The keys of a lease are still stored. They are gone when they are removed.
            Action::Put { .. } | Action::LeaseEnd(_) => {}
        }
        let bytes_before = self.bytes;
        self.add_change(change);
        self.bytes - bytes_before
    }

    /// The number of the change that removed a key which is written now and was not stored; 0
    /// when it is not known. The key is not gone any more.
    pub fn take_gone(&mut self, key: &[u8]) -> u64 {
        if self.gone.is_empty() || !self.keeps_changes() {
            return 0;
        }
        self.gone.remove(key).unwrap_or(0)
    }

    /// A key that went with its lease is not stored any more: the end of the lease has this
    /// number.
    pub fn add_gone(&mut self, key: KeyBytes, number: u64) {
        let is_forgotten = number < self.changes.first()
            || number == self.changes.first()
                && self.forgotten.as_ref().is_some_and(|forgotten| key <= *forgotten);
        if !is_forgotten && self.keeps_changes() {
            self.gone.insert(key, number);
        }
    }

    /// The number of the change that removed a key which is not stored; 0 when it is not known.
    pub fn gone(&self, key: &[u8]) -> u64 {
        self.gone.get(key).copied().unwrap_or(0)
    }

    /// The keys from `start` on that are gone, each with the number of the change that removed it.
    pub fn gone_from<'a>(
        &'a self,
        start: Bound<&[u8]>,
    ) -> impl Iterator<Item = (&'a KeyBytes, u64)> + use<'a> {
        let gone = self.gone.range::<_, [u8]>((start, Bound::Unbounded));
        gone.map(|(key, number)| (key, *number))
    }

    /// All changes of an entry are made; they have this revision.
    pub fn finish(&mut self, revision: u64, clock_ms: u64) {
        self.revision = revision;
        if !self.keeps_changes() {
            (self.compacted, self.kept_from) = (revision, revision + 1);
            self.base_ms = clock_ms;
        }
    }

    /// Forgets the history before a revision. Its changes are removed by [`History::trim`].
    ///
    /// # Errors
    /// When it is forgotten already beyond that revision, or the store has not come to it.
    pub fn compact(&mut self, revision: u64) -> Result<(), NotReadable> {
        if revision > self.revision {
            return Err(NotReadable::Future { revision: self.revision });
        }
        if revision < self.compacted {
            return Err(NotReadable::Compacted { revision: self.compacted });
        }
        self.compacted = revision;
        self.kept_from = self.kept_from.max(revision);
        Ok(())
    }

    /// Moves the compacted revision as the bounds ask, and removes changes that are not kept any
    /// more: at most this number, of which the end of a lease takes one for each key.
    pub fn trim(&mut self, changes_max: u64) {
        if !self.keeps_changes() && self.changes.len() == 0 {
            return;
        }
        let keep = self.limits.keep_revisions;
        self.compacted = self.compacted.max(self.revision.saturating_sub(keep));
        self.kept_from = self.kept_from.max(self.compacted);
        let mut left = changes_max;
        while left > 0 && self.has_surplus() {
            left -= self.forget_oldest(left).min(left);
        }
    }

    /// True when there are changes that the bounds do not allow.
    pub fn has_surplus(&self) -> bool {
        self.changes.oldest().is_some_and(|change| {
            change.revision < self.kept_from
                || self.limits.bytes_max > 0 && self.bytes > self.limits.bytes_max
        })
    }

    /// Forgets the oldest change, or of the end of a lease at most `keys_max` keys. Returns the
    /// number of keys.
    fn forget_oldest(&mut self, keys_max: u64) -> u64 {
        let number = self.changes.first();
        let Some(change) = self.changes.oldest() else { return 1 };
        if change.revision >= self.kept_from {
            // The bound in bytes asks for it.
            self.kept_from = change.revision + 1;
            self.compacted = self.kept_from.min(self.revision);
        }
        match &change.action {
            Action::Put { .. } => {}
            Action::Delete { key, .. } | Action::Expire { key, .. } => {
                if self.gone.get(key) == Some(&number) {
                    self.gone.remove(key);
                }
            }
            Action::LeaseEnd(end) => {
                let end = Arc::clone(end);
                if let Some(keys) = self.forget_some_keys(number, &end, keys_max) {
                    return keys;
                }
            }
        }
        self.pop_oldest();
        1
    }

    /// Forgets keys of the end of a lease, at most `keys_max`. Returns their number, or `None`
    /// when these were the last ones.
    fn forget_some_keys(&mut self, number: u64, end: &LeaseEnd, keys_max: u64) -> Option<u64> {
        let after = self.forgotten.take();
        let start = after.as_ref().map_or(Bound::Unbounded, |key| Bound::Excluded(&key[..]));
        let mut keys = end.keys.range::<_, [u8]>((start, Bound::Unbounded)).map(|(key, _)| key);
        for key in keys.by_ref().take(usize::try_from(keys_max).unwrap_or(usize::MAX)) {
            if self.gone.get(key) == Some(&number) {
                self.gone.remove(key);
            }
            self.forgotten = Some(key.clone());
        }
        if keys.next().is_some() {
            return Some(keys_max);
        }
        self.forgotten = None;
        None
    }

    fn pop_oldest(&mut self) {
        let number = self.changes.first();
        let Some(change) = self.changes.oldest() else { return };
        self.bytes -= change.weight_bytes();
        self.digest = self.digest.wrapping_sub(change.hash(number));
        self.base_ms = self.base_ms.max(change.at_ms);
        self.changes.pop_oldest();
    }

    /// The hash of the history: of its changes, and of its numbers.
    pub fn digest(&self) -> u64 {
        self.digest.wrapping_add(self.numbers_digest())
    }

    /// The hash of the numbers that are not those of a change.
    pub fn numbers_digest(&self) -> u64 {
        let HistoryLimits { keep_revisions, bytes_max } = self.limits;
        let (first, next) = (self.changes.first(), self.changes.next());
        let numbers = [self.revision, self.compacted, self.kept_from, self.base_ms];
        let [revision, compacted, kept_from, base_ms] = numbers;
        let numbers =
            [revision, compacted, kept_from, base_ms, keep_revisions, bytes_max, first, next];
        digest::history(numbers)
    }

    /// Raises the revision by `by`, and forgets the history: nothing is known of the revisions in
    /// between.
    pub fn bump(&mut self, by: u64, clock_ms: u64) {
        let revision = self.revision.saturating_add(by);
        let numbers = HistoryNumbers {
            revision,
            compacted: revision,
            kept_from: revision,
            base_ms: clock_ms,
            limits: self.limits,
        };
        *self = History::restored(numbers, self.changes.next(), None);
    }

    /// The numbers, for a snapshot.
    pub fn numbers(&self) -> HistoryNumbers {
        let History { revision, compacted, kept_from, base_ms, limits, .. } = *self;
        HistoryNumbers { revision, compacted, kept_from, base_ms, limits }
    }

    /// The last key of the oldest change that is forgotten already, for a snapshot.
    pub fn forgotten(&self) -> Option<&KeyBytes> {
        self.forgotten.as_ref()
    }

    /// The number of keys that are gone.
    pub fn gone_len(&self) -> u64 {
        self.gone.len() as u64
    }

    /// The history of a snapshot, which is to be filled with its changes from number `first` on.
    pub fn restored(numbers: HistoryNumbers, first: u64, forgotten: Option<KeyBytes>) -> History {
        let HistoryNumbers { revision, compacted, kept_from, base_ms, limits } = numbers;
        let changes = Changes::beginning_at(first);
        let (gone, bytes, digest) = (OrdMap::new(), 0, 0);
        History {
            revision,
            compacted,
            kept_from,
            base_ms,
            limits,
            changes,
            gone,
            forgotten,
            bytes,
            digest,
        }
    }

    /// Adds a change, whatever the bounds are.
    pub fn add_change(&mut self, change: Change) {
        self.bytes += change.weight_bytes();
        self.digest = self.digest.wrapping_add(change.hash(self.changes.next()));
        self.changes.push(change);
    }

    /// Puts another record in the place of the one that the same change wrote, if that change is
    /// kept.
    #[cfg(any(test, feature = "testing"))]
    pub fn write_again(&mut self, record: &Record) {
        let (first, forgotten) = (self.changes.first(), self.forgotten.clone());
        let mut history = History::restored(self.numbers(), first, forgotten);
        for (number, change) in self.changes.from(first) {
            let mut change = change.clone();
            if let Action::Put { record: written, .. } = &mut change.action
                && number == record.change
            {
                *written = record.clone();
            }
            history.add_change(change);
        }
        history.gone.clone_from(&self.gone);
        *self = history;
    }

    /// Adds a key of a snapshot that is gone.
    pub fn restore_gone(&mut self, key: KeyBytes, number: u64) {
        self.gone.insert(key, number);
    }

    /// The moment of a revision before the present one: after its last change.
    ///
    /// # Errors
    /// When the store cannot be read at that revision.
    pub fn moment(&self, revision: u64) -> Result<Moment, NotReadable> {
        self.check_readable(revision)?;
        let change = self.changes.search(|change| change.revision > revision) - 1;
        let last = self.changes.get(change);
        Ok(Moment { change, clock_ms: last.map_or(self.base_ms, |change| change.at_ms) })
    }

    /// The number of changes that are kept of later revisions than this one.
    pub fn changes_after(&self, revision: u64) -> u64 {
        self.changes.next() - self.changes.search(|change| change.revision > revision)
    }

    /// The moment after the change with this number, at which the store had this revision and this
    /// clock. It can be in the middle of a revision.
    ///
    /// # Errors
    /// When a change after it is not kept any more.
    pub fn moment_of(
        &self,
        change: u64,
        revision: u64,
        clock_ms: u64,
    ) -> Result<Moment, NotReadable> {
        self.check_readable(revision)?;
        let kept_from = self.kept_from;
        let first = self.changes.search(|change| change.revision >= kept_from);
        if !self.keeps_changes() || change + 1 < first {
            return Err(NotReadable::Compacted { revision: self.compacted });
        }
        Ok(Moment { change, clock_ms })
    }

    fn check_readable(&self, revision: u64) -> Result<(), NotReadable> {
        if revision < self.compacted {
            return Err(NotReadable::Compacted { revision: self.compacted });
        }
        if revision > self.revision {
            return Err(NotReadable::Future { revision: self.revision });
        }
        Ok(())
    }

    /// The record of a key at a moment, from the key as it is now; `None` when the key was absent
    /// or hidden.
    ///
    /// # Errors
    /// When the changes of the key, or its record, are not what was written.
    pub fn at<'a>(
        &'a self,
        moment: Moment,
        key: &[u8],
        newest: Newest<'a>,
    ) -> Result<Option<&'a Record>, Corruption> {
        let Newest { mut record, mut due_ms, change: mut number } = newest;
        while number > moment.change {
            let change = self.changes.get(number).and_then(|change| change.before(key));
            let before = change.filter(|before| before.change < number);
            let before = before.ok_or_else(|| Corruption::unreachable(key))?;
            Newest { record, due_ms, change: number } = before;
        }
        let Some(record) = record else { return Ok(None) };
        record.verify(key)?;
        let is_hidden = record.is_due(moment.clock_ms) || due_ms <= moment.clock_ms;
        Ok((!is_hidden).then_some(record))
    }
}

#[cfg(test)]
mod tests;
