//! One change of the store, as the history keeps it.

use std::sync::Arc;

use imbl::OrdMap;

use super::corruption::Corruption;
use super::digest;
use super::expiry::Total;
use super::key_bytes::KeyBytes;
use super::record::Record;
use super::weight::{RECORD_OVERHEAD_BYTES, weight_bytes};

/// The kind of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// The key was written.
    Put,
    /// The key was removed by a command, or with its lease when that was revoked.
    Delete,
    /// The key was removed because its time, or that of its lease, was over.
    Expire,
}

/// One change. It is never changed itself, so that all who have it share it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Change {
    /// The revision of the change. All changes of an entry have the same.
    pub revision: u64,
    /// The store's clock when the change was made, in milliseconds.
    pub at_ms: u64,
    /// The thing that was done.
    pub action: Action,
}

/// The thing that a [`Change`] does. The record that was there before knows in its `change` the
/// number of the change that wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// A key was written.
    Put {
        key: KeyBytes,
        record: Record,
        /// The record that was there before; `None` when the key was absent.
        previous: Option<Record>,
        /// The number of the change of this key before this one; 0 when it is not known.
        before: u64,
    },
    /// A key was removed by a command.
    Delete { key: KeyBytes, previous: Record },
    /// A key was removed because its time, or that of its lease, was over.
    Expire {
        key: KeyBytes,
        previous: Record,
        /// The time from which on the key was hidden, in milliseconds of the store's clock.
        due_ms: u64,
    },
    /// A lease has ended, and all its keys are gone.
    LeaseEnd(Arc<LeaseEnd>),
}

/// The end of a lease with all its keys. The map is that of the lease, so the change takes
/// constant time for any number of keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LeaseEnd {
    /// The id of the lease.
    pub id: u64,
    /// [`ChangeKind::Delete`] when the lease was revoked, else [`ChangeKind::Expire`].
    pub kind: ChangeKind,
    /// The time from which on the keys were hidden, in milliseconds of the store's clock;
    /// `u64::MAX` when the lease was revoked, because they were visible until then.
    pub due_ms: u64,
    /// The keys of the lease with their records.
    pub keys: OrdMap<KeyBytes, Record>,
    /// The number of the keys and their size.
    pub total: Total,
    /// The sum of the hashes of the records.
    pub hash: u64,
}

/// A key as it is now, from where it is followed into the past.
#[derive(Clone, Copy, Debug)]
pub(super) struct Newest<'a> {
    /// The record that is stored, hidden or not.
    pub record: Option<&'a Record>,
    /// The time from which on the record is hidden for another reason than its own deadline;
    /// `u64::MAX` when there is none.
    pub due_ms: u64,
    /// The number of the newest change of the key; 0 when it is not known.
    pub change: u64,
}

impl Change {
    /// The size by which the bound of the history counts the change: the things that would be
    /// free without it.
    pub fn weight_bytes(&self) -> u64 {
        match &self.action {
            Action::Put { key, previous, .. } => {
                weight_bytes(key, previous.as_ref().map_or(&[], |record| record.value()))
            }
            Action::Delete { key, previous } | Action::Expire { key, previous, .. } => {
                weight_bytes(key, previous.value())
            }
            Action::LeaseEnd(end) => RECORD_OVERHEAD_BYTES + end.total.bytes,
        }
    }

    /// The hash of the change with this number: its part of the digest. It is made of numbers and
    /// of the hashes of records, which cover the keys.
    pub fn hash(&self, number: u64) -> u64 {
        let [a, b, c, d] = match &self.action {
            Action::Put { record, previous, before, .. } => {
                let previous = previous.as_ref().map_or(0, |record| record.hash);
                [1, record.hash, previous, *before]
            }
            Action::Delete { previous, .. } => [2, previous.hash, previous.change, 0],
            Action::Expire { previous, due_ms, .. } => [3, previous.hash, previous.change, *due_ms],
            Action::LeaseEnd(end) => {
                let kind = if end.kind == ChangeKind::Delete { 4 } else { 5 };
                [kind, end.id, end.hash, end.due_ms]
            }
        };
        digest::change_record([number, self.revision, self.at_ms, a, b, c, d])
    }

    /// Checks that the change with this number is what was written: it comes after one of revision
    /// `newest`, its numbers agree with those of its records, and these are what was written. The
    /// records of the end of a lease are not looked at, and one that was replaced only when
    /// `is_asked` says so of the number of the change that wrote it. Returns the size.
    ///
    /// # Errors
    /// When it is not.
    pub fn verify(
        &self,
        number: u64,
        newest: Option<u64>,
        is_asked: impl Fn(u64) -> bool,
    ) -> Result<u64, Corruption> {
        let (key, record, previous, is_right) = match &self.action {
            Action::Put { key, record, previous, before } => {
                let is_of_change = (record.change, record.mod_revision) == (number, self.revision);
                let replaced = previous.as_ref().map_or(*before, |previous| previous.change);
                let is_right = is_of_change && replaced == *before && *before < number;
                (&key[..], Some(record), previous.as_ref(), is_right)
            }
            Action::Delete { key, previous } | Action::Expire { key, previous, .. } => {
                (&key[..], None, Some(previous), previous.change < number)
            }
            Action::LeaseEnd(_) => (&b""[..], None, None, true),
        };
        let is_next = newest.is_none_or(|newest| (newest..=newest + 1).contains(&self.revision));
        if !is_right || !is_next {
            return Err(Corruption::of_key(key, self.revision));
        }
        let mut bytes = RECORD_OVERHEAD_BYTES;
        let previous = previous.filter(|previous| is_asked(previous.change));
        for record in [record, previous].into_iter().flatten() {
            record.verify(key)?;
            bytes += record.value().len() as u64;
        }
        Ok(bytes)
    }

    /// True when the change removed this key.
    pub fn removes(&self, key: &[u8]) -> bool {
        match &self.action {
            Action::Put { .. } => false,
            Action::Delete { key: removed, .. } | Action::Expire { key: removed, .. } => {
                **removed == *key
            }
            Action::LeaseEnd(end) => end.keys.contains_key(key),
        }
    }

    /// The key as it was before the change; `None` when the change is not of this key.
    pub fn before(&self, key: &[u8]) -> Option<Newest<'_>> {
        let newest = match &self.action {
            Action::Put { previous, before, .. } => {
                Newest { record: previous.as_ref(), due_ms: u64::MAX, change: *before }
            }
            Action::Delete { previous, .. } => {
                Newest { record: Some(previous), due_ms: u64::MAX, change: previous.change }
            }
            Action::Expire { previous, due_ms, .. } => {
                Newest { record: Some(previous), due_ms: *due_ms, change: previous.change }
            }
            Action::LeaseEnd(end) => {
                let record = end.keys.get(key)?;
                return Some(Newest {
                    record: Some(record),
                    due_ms: end.due_ms,
                    change: record.change,
                });
            }
        };
        (**self.key()? == *key).then_some(newest)
    }

    /// The key that the change is of; `None` for the end of a lease.
    pub fn key(&self) -> Option<&KeyBytes> {
        match &self.action {
            Action::Put { key, .. } | Action::Delete { key, .. } | Action::Expire { key, .. } => {
                Some(key)
            }
            Action::LeaseEnd(_) => None,
        }
    }
}
