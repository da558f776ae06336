//! The changes that one entry makes: all of them get one revision (docs/adr/0029).
//!
//! Every command changes the keys through an [`Edit`], and nothing else does: it keeps records,
//! history and revision in step.

use std::sync::Arc;

use super::corruption::Corruption;
use super::expiry::{Step, Total};
use super::history::{Change, ChangeKind, History};
use super::key_bytes::KeyBytes;
use super::record::Record;
use super::records::{NewRecord, Records};
use super::weight::weight_bytes;

/// A value to be written.
#[derive(Clone, Copy, Debug)]
pub(super) struct NewValue<'a> {
    pub value: &'a [u8],
    pub lease: u64,
    pub deadline_ms: Option<u64>,
}

/// The changes of one entry in the making.
pub(super) struct Edit<'a> {
    records: &'a mut Records,
    history: &'a mut History,
    /// The revision that the changes get.
    revision: u64,
    /// True when versions and revisions of creation are counted: from format 4 on.
    counts_versions: bool,
    /// The number of changes made.
    changes: u64,
}

impl<'a> Edit<'a> {
    /// The changes of an entry, which get this revision.
    pub fn new(
        records: &'a mut Records,
        history: &'a mut History,
        revision: u64,
        counts_versions: bool,
    ) -> Edit<'a> {
        Edit { records, history, revision, counts_versions, changes: 0 }
    }

    /// The revision that the changes get.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The keys as they are after the changes so far.
    pub fn records(&self) -> &Records {
        self.records
    }

    /// Writes a key.
    ///
    /// # Errors
    /// When the record that is replaced is not what was written.
    pub fn put(&mut self, key: &[u8], new: NewValue<'_>) -> Result<(), Corruption> {
        let stored = match self.records.stored(key) {
            Some(stored) => {
                stored.verify(key)?;
                Some(Arc::clone(stored))
            }
            None => None,
        };
        // A key whose time was over is removed first: the new value is that of a new key.
        let is_hidden = stored.as_deref().is_some_and(|record| self.records.hides(record));
        let previous = if is_hidden {
            self.remove_stored(key, ChangeKind::Expire);
            None
        } else {
            stored
        };
        let (create_revision, version) = match &previous {
            Some(record) if self.counts_versions => (record.create_revision, record.version + 1),
            _ => (self.revision, 1),
        };
        let NewValue { value, lease, deadline_ms } = new;
        let (mod_revision, change) = (self.revision, self.history.next_change());
        // Without a history nobody else may have the replaced record when it is overwritten.
        let previous = previous.filter(|_| self.history.keeps_changes());
        let new =
            NewRecord { value, create_revision, mod_revision, version, lease, deadline_ms, change };
        self.records.put(key, new);
        self.changes += 1;
        if self.history.keeps_changes() {
            let record = self.records.stored(key).map(Arc::clone);
            let before = previous.as_ref().map_or(0, |record| record.change);
            self.push(KeyBytes::from(key), ChangeKind::Put, record, (previous, before));
        }
        Ok(())
    }

    /// Removes a key; false when it is absent.
    ///
    /// # Errors
    /// When the record is not what was written.
    pub fn remove(&mut self, key: &[u8]) -> Result<bool, Corruption> {
        if self.records.get(key)?.is_none() {
            return Ok(false);
        }
        self.remove_stored(key, ChangeKind::Delete);
        Ok(true)
    }

    /// Removes keys whose time is over, as many as the step allows, in the order of their
    /// deadlines.
    pub fn remove_due(&mut self, step: Step) {
        let mut removed = Total::default();
        while step.allows_more(removed) {
            let Some(key) = self.records.first_due().cloned() else { return };
            removed.add(self.remove_stored(&key, ChangeKind::Expire));
        }
    }

    /// Ends the changes.
    pub fn finish(self) {
        if self.changes > 0 {
            self.history.finish(self.revision);
        }
    }

    /// Removes a key that is stored. Returns its size in bytes.
    fn remove_stored(&mut self, key: &[u8], kind: ChangeKind) -> u64 {
        let Some((key, removed)) = self.records.remove(key) else { return 0 };
        let bytes = weight_bytes(&key, &removed.value);
        self.changes += 1;
        if self.history.keeps_changes() {
            let before = removed.change;
            self.push(key, kind, None, (Some(removed), before));
        }
        bytes
    }

    fn push(
        &mut self,
        key: KeyBytes,
        kind: ChangeKind,
        record: Option<Arc<Record>>,
        (previous, before): (Option<Arc<Record>>, u64),
    ) {
        let (revision, at_ms) = (self.revision, self.records.clock_ms());
        self.history.push(Change { key, revision, kind, at_ms, record, previous, before });
    }
}

#[cfg(test)]
mod tests;
