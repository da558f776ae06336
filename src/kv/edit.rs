//! The changes that one entry makes: all of them get one revision (docs/adr/0029).
//!
//! Every command changes the keys through an [`Edit`], and nothing else does: it keeps records,
//! history and revision in step.

use std::sync::Arc;

use super::change::{Action, Change, ChangeKind, LeaseEnd};
use super::corruption::Corruption;
use super::expiry::{Step, Total};
use super::history::{History, NotReadable};
use super::leases::LeaseKeys;
use super::reads::Reads;
use super::record::{NewRecord, Record, RecordHead};
use super::records::{Records, Replacing, Written};
use super::weight::{RECORD_OVERHEAD_BYTES, weight_bytes};
use crate::commands::HistoryLimits;

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
    /// The changes that the history has got, and their weight.
    kept: Total,
}

/// A state of an [`Edit`].
pub(super) struct Saved {
    records: Records,
    history: History,
    changes: u64,
    kept: Total,
}

impl<'a> Edit<'a> {
    /// The changes of an entry, which get this revision.
    pub fn new(
        records: &'a mut Records,
        history: &'a mut History,
        revision: u64,
        counts_versions: bool,
    ) -> Edit<'a> {
        Edit { records, history, revision, counts_versions, changes: 0, kept: Total::default() }
    }

    /// The revision that the changes get.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The store's revision after the changes so far.
    pub fn present_revision(&self) -> u64 {
        if self.changes > 0 { self.revision } else { self.history.revision() }
    }

    /// The history with the changes so far.
    pub fn history(&self) -> &History {
        self.history
    }

    /// The keys as they were at a revision before this entry.
    ///
    /// # Errors
    /// When the store cannot be read at that revision. That is so for every one when changes are
    /// not kept: the keys are about to change.
    pub fn past(&self, revision: u64) -> Result<Reads<'_>, NotReadable> {
        if !self.history.keeps_changes() {
            return Err(NotReadable::Compacted { revision: self.history.revision() });
        }
        Ok(Reads::at(self.records, self.history, self.history.moment(revision)?))
    }

    /// The time at which a key expires that is written now with this exptime.
    pub fn deadline_ms(&self, exptime: u64) -> Option<u64> {
        let clock_ms = self.records.clock_ms();
        (exptime > 0).then(|| clock_ms.saturating_add(exptime.saturating_mul(1000)))
    }

    /// Forgets the history before a revision.
    ///
    /// # Errors
    /// When the store cannot be read at that revision.
    pub fn compact(&mut self, revision: u64) -> Result<(), NotReadable> {
        self.history.compact(revision)
    }

    /// Sets the bounds of the history.
    pub fn set_history_limits(&mut self, limits: HistoryLimits) {
        self.history.set_limits(limits);
    }

    /// The state to which [`Edit::restore`] takes all back.
    pub fn save(&self) -> Saved {
        let (records, history) = (self.records.clone(), self.history.clone());
        Saved { records, history, changes: self.changes, kept: self.kept }
    }

    /// Takes back all changes since the state was saved.
    pub fn restore(&mut self, saved: Saved) {
        let Saved { records, history, changes, kept } = saved;
        (*self.records, *self.history) = (records, history);
        (self.changes, self.kept) = (changes, kept);
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
        let (counts_versions, first) = (self.counts_versions, self.first_record(new));
        let next = |stored: &Record| match &**stored {
            &RecordHead { create_revision, version, .. } if counts_versions => {
                NewRecord { create_revision, version: version + 1, ..first }
            }
            _ => first,
        };
        let replacing = self.records.replace(key, next)?;
        self.changes += 1;
        let written = match replacing {
            Replacing::Done(written) => written,
            Replacing::Hidden => {
                // The key is removed first: the new value is that of a new key.
                self.remove_hidden(key);
                self.records.insert(key, self.first_record(new))
            }
            Replacing::Absent => self.records.insert(key, first),
        };
        if let Some(Written { key, record, previous }) = written {
            let before = match &previous {
                Some(record) => record.change,
                None => self.history.take_gone(&key),
            };
            self.push(Action::Put { key, record, previous, before });
        }
        Ok(())
    }

    /// The record of a key that is written and was absent.
    fn first_record<'v>(&self, new: NewValue<'v>) -> NewRecord<'v> {
        let NewValue { value, lease, deadline_ms } = new;
        NewRecord {
            value,
            create_revision: self.revision,
            mod_revision: self.revision,
            version: 1,
            lease,
            deadline_ms,
            change: self.history.next_change(),
        }
    }

    /// Removes a key; false when it is absent.
    ///
    /// # Errors
    /// When the record is not what was written.
    pub fn remove(&mut self, key: &[u8]) -> Result<bool, Corruption> {
        if self.records.get(key)?.is_none() {
            return Ok(false);
        }
        let Some((key, previous)) = self.records.remove(key) else { return Ok(false) };
        self.changes += 1;
        self.push(Action::Delete { key, previous });
        Ok(true)
    }

    /// Removes keys whose time is over, as many as the step allows: first those with a deadline of
    /// their own, in the order of the deadlines, and then those of leases that have ended. Between
    /// the two, leases end that are due: at most one that has keys, so that a revision has the end
    /// of one lease.
    pub fn remove_due(&mut self, step: Step) {
        let mut removed = Total::default();
        while step.allows_more(removed) {
            let Some(key) = self.records.first_due().cloned() else { break };
            removed.add(self.remove_hidden(&key));
        }
        let mut has_ended = false;
        while step.allows_more(removed) {
            let first = self.records.leases().first_due();
            let Some((id, keys)) = first.filter(|(_, keys)| !has_ended || *keys == 0) else {
                break;
            };
            self.end_lease(id, ChangeKind::Expire);
            removed.add(0);
            has_ended |= keys > 0;
        }
        while step.allows_more(removed) {
            let Some(key) = self.records.leases().first_ended_key().cloned() else { break };
            removed.add(self.remove_hidden(&key));
        }
    }

    /// Ends a lease, whose keys are hidden from then on. It is a change if the lease has keys: one
    /// for all of them.
    pub fn end_lease(&mut self, id: u64, kind: ChangeKind) {
        let change = self.history.next_change();
        let Some((deadline_ms, keys)) = self.records.leases_mut().end(id, change) else { return };
        let LeaseKeys { by_key: keys, total, hash } = keys;
        if total.names == 0 {
            return;
        }
        self.changes += 1;
        let due_ms = if kind == ChangeKind::Expire { deadline_ms } else { u64::MAX };
        let end = LeaseEnd { id, kind, due_ms, keys, total, hash };
        let (revision, at_ms) = (self.revision, self.records.clock_ms());
        self.history.push(Change { revision, at_ms, action: Action::LeaseEnd(Arc::new(end)) });
        // Whatever it weighs, it was added in one step.
        self.kept.add(RECORD_OVERHEAD_BYTES);
    }

    /// Grants a lease: with the id, which is not that of a lease that is there, or with one that
    /// `seed` chooses when it is 0. Returns the id.
    pub fn grant(&mut self, id: u64, ttl: u64, seed: u64) -> u64 {
        if self.records.leases().has_id(id) {
            // It is due, and has not ended yet.
            self.end_lease(id, ChangeKind::Expire);
        }
        let granted_revision = self.present_revision();
        let leases = self.records.leases_mut();
        let id = if id == 0 { leases.free_id(seed) } else { id };
        leases.grant(id, ttl, granted_revision);
        id
    }

    /// Lets a lease begin its time anew. Returns its time to live; `None` when it is not there.
    ///
    /// # Errors
    /// When it is not what was written.
    pub fn renew(&mut self, id: u64) -> Result<Option<u64>, Corruption> {
        self.records.leases_mut().renew(id)
    }

    /// Ends the changes. The history removes those that are not kept any more: as many as the
    /// entry has added, or more, because a step allows some besides.
    pub fn finish(self, step: Step) {
        // Before format 4 there is no history, and no revision that snapshots would have to hold.
        if self.changes > 0 && self.counts_versions {
            self.history.finish(self.revision, self.records.clock_ms());
        }
        // Each change weighs at least the overhead of a record. So the entry removes at least the
        // number of its changes and their weight, if there is so much to remove.
        let weight = self.kept.bytes / RECORD_OVERHEAD_BYTES;
        self.history.trim(step.names + self.kept.names + weight);
    }

    /// Removes a key that is stored and hidden. It is a change, unless the end of its lease was
    /// the one. Returns its size in bytes.
    fn remove_hidden(&mut self, key: &[u8]) -> u64 {
        let Some(stored) = self.records.stored(key) else { return 0 };
        let ended_by = self.records.leases().ended_by(stored);
        let due_ms = self.records.leases().due_ms(stored);
        let Some((key, previous)) = self.records.remove(key) else { return 0 };
        let bytes = weight_bytes(&key, previous.value());
        if let Some(change) = ended_by {
            self.history.add_gone(key, change);
            return bytes;
        }
        self.changes += 1;
        let due_ms = previous.deadline_ms.map_or(due_ms, |deadline_ms| deadline_ms.min(due_ms));
        self.push(Action::Expire { key, previous, due_ms });
        bytes
    }

    fn push(&mut self, action: Action) {
        if self.history.keeps_changes() {
            let (revision, at_ms) = (self.revision, self.records.clock_ms());
            self.kept.add(self.history.push(Change { revision, at_ms, action }));
        }
    }
}

#[cfg(test)]
mod tests;
