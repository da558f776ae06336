//! One value of a key.

use bytes::Bytes;

use super::corruption::Corruption;
use super::digest::{self, RecordNumbers};

/// A value of a key, with all that the store knows about it. Once it is replaced it never changes:
/// history, snapshots and watchers share it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The value, copied from the entry: a slice of the entry would keep the whole batch
    /// alive that the entry came with.
    pub value: Bytes,
    /// The revision at which the key came into being.
    pub create_revision: u64,
    /// The revision of this value. Before format 4 it is the index of the entry that wrote it.
    pub mod_revision: u64,
    /// The number of values that the key has had since it came into being, this one included.
    pub version: u64,
    /// The lease that the key goes with; 0 for none.
    pub lease: u64,
    /// The time at which the key expires, in milliseconds of the store's clock; `None` means
    /// never.
    pub deadline_ms: Option<u64>,
    /// The number of the change that wrote this value; 0 when it is not known.
    pub(super) change: u64,
    /// The hash of the key and of the numbers as they were written: of all but the value.
    pub(super) head: u64,
    /// The hash of the record as it was written. It is the record's part of the digest, and is
    /// subtracted without hashing the value a second time.
    pub(super) hash: u64,
}

impl Record {
    /// The first value of a key, as the store has it.
    #[cfg(test)]
    pub fn for_tests(key: &[u8], value: Bytes, revision: u64, deadline_ms: Option<u64>) -> Record {
        let mut record = Record {
            value,
            create_revision: revision,
            mod_revision: revision,
            version: 1,
            lease: 0,
            deadline_ms,
            change: 0,
            head: 0,
            hash: 0,
        };
        record.seal(key);
        record
    }

    /// The hash of the record, after a check that the record is what was written.
    ///
    /// # Errors
    /// When it is not.
    pub(super) fn verify(&self, key: &[u8]) -> Result<u64, Corruption> {
        self.verify_head(key)?;
        let hash = digest::key_record(self.head, &self.value);
        if hash == self.hash { Ok(hash) } else { Err(Corruption::of_key(key, self.mod_revision)) }
    }

    /// Checks that all but the value is what was written. It does not touch the value, so it is
    /// for those who do not use it.
    ///
    /// # Errors
    /// When it is not.
    pub(super) fn verify_head(&self, key: &[u8]) -> Result<(), Corruption> {
        let is_right = self.computed_head(key) == self.head;
        if is_right { Ok(()) } else { Err(Corruption::of_key(key, self.mod_revision)) }
    }

    /// The whole seconds that the key has left at this time of the store's clock, rounded up and at
    /// least 1; 0 for never.
    pub fn seconds_left(&self, now_ms: u64) -> u64 {
        let left = |deadline_ms: u64| deadline_ms.saturating_sub(now_ms).div_ceil(1000).max(1);
        self.deadline_ms.map_or(0, left)
    }

    /// True when the key has expired at this time: nobody sees it any more.
    pub(super) fn is_due(&self, clock_ms: u64) -> bool {
        self.deadline_ms.is_some_and(|deadline_ms| deadline_ms <= clock_ms)
    }

    /// The hash that the record must have.
    #[cfg(test)]
    pub(super) fn computed_hash(&self, key: &[u8]) -> u64 {
        digest::key_record(self.computed_head(key), &self.value)
    }

    fn computed_head(&self, key: &[u8]) -> u64 {
        let &Record { create_revision, mod_revision, version, lease, deadline_ms, change, .. } =
            self;
        let numbers =
            RecordNumbers { create_revision, mod_revision, version, lease, deadline_ms, change };
        digest::record_head(key, numbers)
    }

    /// Sets the hashes to those of all other fields.
    pub(super) fn seal(&mut self, key: &[u8]) {
        self.head = self.computed_head(key);
        self.hash = digest::key_record(self.head, &self.value);
    }
}
