//! One value of a key.

use std::fmt;
use std::ops::Deref;

use bytes::Bytes;
use triomphe::{Arc, ThinArc};

use super::corruption::Corruption;
use super::digest::{self, RecordNumbers};

/// A value of a key, with all that the store knows about it: a [`RecordHead`], which a record
/// dereferences to, and the value. Once it is replaced it never changes: history, snapshots and
/// watchers share it, and a clone is one more reference to it.
///
/// The two lie in one piece of memory (docs/adr/0042). A record that the history forgets is in no
/// cache, and each piece that it is in is another wait for memory.
#[derive(Clone, PartialEq, Eq)]
pub struct Record(ThinArc<RecordHead, u8>);

/// All that the store knows about a value of a key, but the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordHead {
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

/// A record in the making: the fields of [`Record`] without its hashes.
#[derive(Clone, Copy, Debug)]
pub(super) struct NewRecord<'a> {
    pub value: &'a [u8],
    pub create_revision: u64,
    pub mod_revision: u64,
    pub version: u64,
    pub lease: u64,
    pub deadline_ms: Option<u64>,
    pub change: u64,
}

impl NewRecord<'_> {
    /// The record of a key, with a copy of the value: a slice of the entry would keep the whole
    /// batch alive that the entry came with.
    pub fn record(self, key: &[u8]) -> Record {
        Record::new(self.sealed(key), self.value)
    }

    /// All of the record but its value, with the hashes.
    fn sealed(self, key: &[u8]) -> RecordHead {
        let mut head = RecordHead {
            create_revision: self.create_revision,
            mod_revision: self.mod_revision,
            version: self.version,
            lease: self.lease,
            deadline_ms: self.deadline_ms,
            change: self.change,
            head: 0,
            hash: 0,
        };
        head.head = head.computed_head(key);
        head.hash = digest::key_record(head.head, self.value);
        head
    }
}

impl Record {
    fn new(head: RecordHead, value: &[u8]) -> Record {
        Record(ThinArc::from_header_and_slice(head, value))
    }

    /// The first value of a key, as the store has it.
    #[cfg(test)]
    pub fn for_tests(key: &[u8], value: &[u8], revision: u64, deadline_ms: Option<u64>) -> Record {
        let new = NewRecord {
            value,
            create_revision: revision,
            mod_revision: revision,
            version: 1,
            lease: 0,
            deadline_ms,
            change: 0,
        };
        new.record(key)
    }

    /// The value.
    pub fn value(&self) -> &[u8] {
        &self.0.slice
    }

    /// The value for a reply. It is not copied: it keeps the record alive.
    pub fn value_bytes(&self) -> Bytes {
        Bytes::from_owner(ValueOf(self.clone()))
    }

    /// True when both are the same record, not only equal ones.
    pub(super) fn is(&self, other: &Record) -> bool {
        self.0.as_ptr() == other.0.as_ptr()
    }

    /// Makes this the record of a new value of the key. It takes the memory of the old one when
    /// nobody else has that and the sizes are equal, which is the common case: a new allocation
    /// with every write would scatter the values over the memory.
    pub(super) fn write_over(&mut self, key: &[u8], new: NewRecord<'_>) {
        let is_written = self.value().len() == new.value.len()
            && self.0.with_arc_mut(|record| {
                let Some(own) = Arc::get_mut(record) else { return false };
                *own.header_mut() = new.sealed(key);
                own.slice_mut().copy_from_slice(new.value);
                true
            });
        if !is_written {
            *self = new.record(key);
        }
    }

    /// The hash of the record, after a check that the record is what was written.
    ///
    /// # Errors
    /// When it is not.
    pub(super) fn verify(&self, key: &[u8]) -> Result<u64, Corruption> {
        self.verify_head(key)?;
        let hash = digest::key_record(self.head, self.value());
        if hash == self.hash { Ok(hash) } else { Err(Corruption::of_key(key, self.mod_revision)) }
    }

    /// A record with other fields and another value, and the hashes that they say.
    #[cfg(any(test, feature = "testing"))]
    pub(super) fn with(&self, change: impl FnOnce(&mut RecordHead, &mut Vec<u8>)) -> Record {
        let (mut head, mut value) = (**self, self.value().to_vec());
        change(&mut head, &mut value);
        Record::new(head, &value)
    }

    /// True when somebody else has the record, too.
    #[cfg(test)]
    pub(super) fn is_shared(&self) -> bool {
        ThinArc::strong_count(&self.0) > 1
    }

    /// The hash that the record must have.
    #[cfg(test)]
    pub(super) fn computed_hash(&self, key: &[u8]) -> u64 {
        digest::key_record(self.computed_head(key), self.value())
    }
}

impl Deref for Record {
    type Target = RecordHead;

    fn deref(&self) -> &RecordHead {
        &self.0.header.header
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.value().escape_ascii().to_string();
        f.debug_struct("Record").field("head", &**self).field("value", &value).finish()
    }
}

impl RecordHead {
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

    fn computed_head(&self, key: &[u8]) -> u64 {
        let &RecordHead {
            create_revision, mod_revision, version, lease, deadline_ms, change, ..
        } = self;
        let numbers =
            RecordNumbers { create_revision, mod_revision, version, lease, deadline_ms, change };
        digest::record_head(key, numbers)
    }
}

/// The owner of the bytes of [`Record::value_bytes`].
struct ValueOf(Record);

impl AsRef<[u8]> for ValueOf {
    fn as_ref(&self) -> &[u8] {
        self.0.value()
    }
}
