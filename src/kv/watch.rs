//! The history as watchers read it: each at its own pace, with a cursor.
//!
//! A [`HistoryView`] is a clone of the changes, which takes constant time and holds nothing of the
//! keys. A view replaces the one before it, so a watcher that is slow keeps nothing alive.
//!
//! A put does not look at the value that it replaces, and a value can change in memory while the
//! history has it. So each event is verified when it is read (docs/adr/0025).

use std::ops::Bound;

use bytes::Bytes;

use super::change::{Action, Change, ChangeKind, LeaseEnd};
use super::changes::Changes;
use super::corruption::Corruption;
use super::key_bytes::KeyBytes;
use super::record::Record;
use super::store::Store;
use crate::commands::KeyRange;

/// The changes that a server keeps, as of one revision.
#[derive(Clone, Debug)]
pub struct HistoryView {
    changes: Changes,
    revision: u64,
    compacted: u64,
    kept_from: u64,
}

/// The place of a watcher in the history. It means the same in every later view of the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchCursor {
    /// The lowest revision of which an event may still be missing.
    from: u64,
    /// The number of the next change to look at; 0 when it is to be searched by `from`.
    change: u64,
    /// The last key of that change that was looked at, when the change is the end of a lease.
    after: Option<KeyBytes>,
}

/// The events that a watcher wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchFilter {
    /// The keys.
    pub keys: KeyRange,
    /// True when the records that are replaced or removed are wanted as well.
    pub wants_previous: bool,
    /// False when keys that are written are not wanted.
    pub wants_puts: bool,
    /// False when keys that are removed are not wanted.
    pub wants_removals: bool,
}

/// The bounds of one read. It ends at the first that is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WatchBudget {
    /// The size of the events in bytes: of keys, values and previous values that are wanted. An
    /// event that is larger comes alone.
    pub bytes: usize,
    /// Maximum number of keys that are looked at, whether they are wanted or not.
    pub keys: usize,
}

/// One change of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeEvent {
    /// The revision.
    pub revision: u64,
    /// The kind.
    pub kind: ChangeKind,
    /// The key.
    pub key: Bytes,
    /// The record that was written; `None` when the key was removed.
    pub record: Option<Record>,
    /// The record that was there before, if it is wanted and there was one.
    pub previous: Option<Record>,
    /// The store's clock at the change, in milliseconds.
    pub at_ms: u64,
}

/// The result of a read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchRead {
    /// The events, in the order in which the changes were made. The last revision may have further
    /// ones: see `complete_to`.
    pub events: Vec<ChangeEvent>,
    /// All events up to this revision, itself included, have been read: it is the one to go on
    /// after, at any server.
    pub complete_to: u64,
    /// True when the view has changes that were not looked at.
    pub has_more: bool,
    /// The place from which the next read goes on.
    pub cursor: WatchCursor,
}

/// The answer to a watcher whose changes are not kept any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("changes before revision {revision} are no longer kept")]
pub struct WatchCompacted {
    /// The compacted revision.
    pub revision: u64,
}

/// The reason why a read has no events.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WatchReadError {
    /// The changes are not kept any more.
    #[error(transparent)]
    Compacted(#[from] WatchCompacted),
    /// A change is not what was written: nobody may be told of it, and the store is of no use.
    #[error(transparent)]
    Corrupted(#[from] Corruption),
}

impl WatchCursor {
    /// A cursor before the changes of `revision`, which may be in the future.
    pub fn from(revision: u64) -> WatchCursor {
        WatchCursor { from: revision, change: 0, after: None }
    }

    /// All events up to this revision have been read.
    pub fn complete_to(&self) -> u64 {
        self.from.saturating_sub(1)
    }
}

impl WatchFilter {
    /// All events of these keys, without previous records.
    pub fn all(keys: KeyRange) -> WatchFilter {
        WatchFilter { keys, wants_previous: false, wants_puts: true, wants_removals: true }
    }

    fn wants(&self, kind: ChangeKind) -> bool {
        if kind == ChangeKind::Put { self.wants_puts } else { self.wants_removals }
    }
}

impl Store {
    /// The changes that watchers read. It takes constant time.
    pub fn history_view(&self) -> HistoryView {
        let history = self.history();
        HistoryView {
            changes: history.changes().clone(),
            revision: history.revision(),
            compacted: history.compacted(),
            kept_from: history.kept_from(),
        }
    }
}

impl HistoryView {
    /// The revision of the store.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The oldest revision at which the store can be read.
    pub fn compacted(&self) -> u64 {
        self.compacted
    }

    /// The oldest revision from which a watch can go on: all changes of it and of later ones are
    /// kept. It is the compacted one, unless the change of that is not kept.
    pub fn watchable_from(&self) -> u64 {
        self.kept_from
    }

    /// The next events after the cursor that the filter wants. They are what was written.
    ///
    /// # Errors
    /// When there are changes after the cursor that are not kept any more, and when an event that
    /// is wanted is not what was written.
    pub fn read(
        &self,
        cursor: &WatchCursor,
        filter: &WatchFilter,
        budget: WatchBudget,
    ) -> Result<WatchRead, WatchReadError> {
        let start = self.locate(cursor)?;
        let mut reader = Reader { filter, budget, bytes: 0, events: Vec::new(), after: None };
        for (number, change) in self.changes.from(start.change) {
            let after = start.after.as_ref().filter(|_| number == start.change);
            if !reader.take(change, after)? {
                // The revisions before this change's are complete.
                let after = reader.after.or(after.cloned());
                let cursor = WatchCursor { from: change.revision, change: number, after };
                let (events, complete_to) = (reader.events, cursor.complete_to());
                return Ok(WatchRead { events, complete_to, has_more: true, cursor });
            }
        }
        let from = self.revision.max(start.complete_to()) + 1;
        // A cursor in the future is searched when the store has come to it.
        let change = if from == self.revision + 1 { self.changes.next() } else { 0 };
        let cursor = WatchCursor { from, change, after: None };
        let complete_to = cursor.complete_to();
        Ok(WatchRead { events: reader.events, complete_to, has_more: false, cursor })
    }

    /// Calls `take` with each key that was changed after the cursor, of at most `keys_max` changes
    /// or keys. Returns the cursor behind them, and true when there are more.
    ///
    /// # Errors
    /// When there are changes after the cursor that are not kept any more.
    pub fn changed_keys(
        &self,
        cursor: &WatchCursor,
        keys_max: usize,
        mut take: impl FnMut(&[u8]),
    ) -> Result<(WatchCursor, bool), WatchCompacted> {
        let start = self.locate(cursor)?;
        let mut left = keys_max;
        for (number, change) in self.changes.from(start.change) {
            let after = start.after.as_ref().filter(|_| number == start.change);
            let mut last = after.cloned();
            let here = |after| WatchCursor { from: change.revision, change: number, after };
            match &change.action {
                Action::LeaseEnd(end) => {
                    for (key, _) in keys_after(end, after) {
                        if left == 0 {
                            return Ok((here(last), true));
                        }
                        left -= 1;
                        take(key);
                        last = Some(key.clone());
                    }
                }
                Action::Put { key, .. }
                | Action::Delete { key, .. }
                | Action::Expire { key, .. } => {
                    if left == 0 {
                        return Ok((here(None), true));
                    }
                    left -= 1;
                    take(key);
                }
            }
        }
        let from = self.revision.max(start.complete_to()) + 1;
        let change = if from == self.revision + 1 { self.changes.next() } else { 0 };
        Ok((WatchCursor { from, change, after: None }, false))
    }

    /// The cursor with the number of its next change.
    fn locate(&self, cursor: &WatchCursor) -> Result<WatchCursor, WatchCompacted> {
        if cursor.from < self.kept_from {
            return Err(WatchCompacted { revision: self.compacted });
        }
        if cursor.change > 0 {
            return Ok(cursor.clone());
        }
        let from = cursor.from;
        let change = self.changes.search(|change| change.revision >= from);
        Ok(WatchCursor { from, change, after: None })
    }
}

/// The keys of the end of a lease that come after `after`.
fn keys_after<'a>(
    end: &'a LeaseEnd,
    after: Option<&KeyBytes>,
) -> impl Iterator<Item = (&'a KeyBytes, &'a Record)> + use<'a> {
    let start = after.map_or(Bound::Unbounded, |after| Bound::Excluded(&after[..]));
    end.keys.range::<_, [u8]>((start, Bound::Unbounded))
}

/// The events of a read in the making.
struct Reader<'a> {
    filter: &'a WatchFilter,
    budget: WatchBudget,
    /// The size of the events.
    bytes: usize,
    events: Vec<ChangeEvent>,
    /// The last key that was looked at of the change that did not fit.
    after: Option<KeyBytes>,
}

/// A key that a change is of.
struct Changed<'a> {
    key: &'a KeyBytes,
    kind: ChangeKind,
    record: Option<&'a Record>,
    previous: Option<&'a Record>,
}

impl Changed<'_> {
    /// Checks that the key, the record, and the record before it if that is wanted, are what was
    /// written with the change of this revision.
    fn verify(&self, revision: u64, wants_previous: bool) -> Result<(), Corruption> {
        if let Some(record) = self.record {
            record.verify(self.key)?;
            if record.mod_revision != revision {
                return Err(Corruption::of_key(self.key, revision));
            }
        }
        match self.previous {
            Some(previous) if wants_previous => previous.verify(self.key).map(|_| ()),
            Some(previous) => previous.verify_head(self.key),
            None => Ok(()),
        }
    }
}

impl Reader<'_> {
    /// Takes the events of a change; of the end of a lease those of the keys after `after`. Returns
    /// false when the budget does not allow all of them.
    ///
    /// # Errors
    /// When an event is not what was written.
    fn take(&mut self, change: &Change, after: Option<&KeyBytes>) -> Result<bool, Corruption> {
        match &change.action {
            Action::Put { key, record, previous, .. } => {
                let (kind, previous) = (ChangeKind::Put, previous.as_ref());
                self.take_key(change, &Changed { key, kind, record: Some(record), previous })
            }
            Action::Delete { key, previous } => {
                self.take_removal(change, ChangeKind::Delete, key, previous)
            }
            Action::Expire { key, previous, .. } => {
                self.take_removal(change, ChangeKind::Expire, key, previous)
            }
            Action::LeaseEnd(end) => {
                for (key, previous) in keys_after(end, after) {
                    if !self.take_removal(change, end.kind, key, previous)? {
                        return Ok(false);
                    }
                    self.after = Some(key.clone());
                }
                self.after = None;
                Ok(true)
            }
        }
    }

    fn take_removal(
        &mut self,
        change: &Change,
        kind: ChangeKind,
        key: &KeyBytes,
        previous: &Record,
    ) -> Result<bool, Corruption> {
        self.take_key(change, &Changed { key, kind, record: None, previous: Some(previous) })
    }

    fn take_key(&mut self, change: &Change, changed: &Changed<'_>) -> Result<bool, Corruption> {
        if self.budget.keys == 0 {
            return Ok(false);
        }
        if self.filter.wants(changed.kind) && self.filter.keys.contains(changed.key) {
            let previous = changed.previous.filter(|_| self.filter.wants_previous);
            let values = [changed.record, previous].into_iter().flatten();
            let bytes =
                changed.key.len() + values.map(|record| record.value().len()).sum::<usize>();
            if !self.events.is_empty() && self.bytes + bytes > self.budget.bytes {
                return Ok(false);
            }
            changed.verify(change.revision, previous.is_some())?;
            self.bytes += bytes;
            self.events.push(ChangeEvent {
                revision: change.revision,
                kind: changed.kind,
                key: Bytes::copy_from_slice(changed.key),
                record: changed.record.cloned(),
                previous: previous.cloned(),
                at_ms: change.at_ms,
            });
        }
        self.budget.keys -= 1;
        Ok(true)
    }
}

#[cfg(test)]
mod tests;
