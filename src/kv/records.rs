//! The keys of the store with their values and deadlines, their total size and digest.

use std::ops::Bound;

use bytes::Bytes;
use imbl::OrdMap;

use super::deadlines::Deadlines;
use super::digest;
use super::key_bytes::KeyBytes;

/// The cost of a key in bytes, besides the bytes of key and value: its place in the
/// ordered map and among the deadlines, the record, and the allocations of a long key and
/// of the value. It is a round figure for limits, not an exact size. It is part of the
/// format, because `ERR_FULL` depends on it.
pub const RECORD_OVERHEAD_BYTES: u64 = 256;

/// The value stored under a key, with its version and deadline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    /// The value, copied from the entry: a slice of the entry would keep the whole batch
    /// alive that the entry came with.
    pub value: Bytes,
    /// The index of the entry that wrote the value.
    pub version: u64,
    /// The time at which the key expires, in milliseconds of the store's clock; `None` means
    /// never.
    pub deadline_ms: Option<u64>,
    /// The record's part of the digest, kept so that it can be subtracted without hashing
    /// the value a second time.
    hash: u64,
}

/// All keys of the store.
///
/// Invariants: `deadlines` holds exactly the keys that have a deadline, each with its
/// deadline. `bytes` is the sum of [`weight_bytes`] over `by_key`, and `digest` is the sum
/// of the hashes. All parts are persistent data structures: a clone takes constant time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Records {
    by_key: OrdMap<KeyBytes, Record>,
    deadlines: Deadlines,
    bytes: u64,
    digest: u64,
}

/// The size by which [`Records::bytes`] counts a key.
pub(super) fn weight_bytes(key: &[u8], value: &[u8]) -> u64 {
    key.len() as u64 + value.len() as u64 + RECORD_OVERHEAD_BYTES
}

impl Records {
    /// The record stored under `key`.
    pub fn get(&self, key: &[u8]) -> Option<&Record> {
        self.by_key.get(key)
    }

    /// Stores `value` under `key` and replaces the value that was there.
    pub fn put(&mut self, key: &[u8], value: &[u8], version: u64, deadline_ms: Option<u64>) {
        let hash = digest::key_record(key, value, version, deadline_ms);
        self.bytes += weight_bytes(key, value);
        self.digest = self.digest.wrapping_add(hash);
        if let Some((key, stored)) = self.by_key.get_key_value_mut(key) {
            self.bytes -= weight_bytes(key, &stored.value);
            self.digest = self.digest.wrapping_sub(stored.hash);
            let replaced_deadline_ms = std::mem::replace(&mut stored.deadline_ms, deadline_ms);
            write_over(&mut stored.value, value);
            (stored.version, stored.hash) = (version, hash);
            if replaced_deadline_ms != deadline_ms {
                let key = key.clone();
                self.forget_deadline(&key, replaced_deadline_ms);
                self.remember_deadline(key, deadline_ms);
            }
        } else {
            let key = KeyBytes::from(key);
            self.remember_deadline(key.clone(), deadline_ms);
            let value = Bytes::copy_from_slice(value);
            let replaced = self.by_key.insert(key, Record { value, version, deadline_ms, hash });
            assert!(replaced.is_none(), "a key that is absent has no record");
        }
    }

    /// Removes `key`; false when it is absent.
    pub fn remove(&mut self, key: &[u8]) -> bool {
        let Some((key, removed)) = self.by_key.remove_with_key(key) else { return false };
        self.forget_deadline(&key, removed.deadline_ms);
        self.discount(&key, &removed);
        true
    }

    /// Removes every key whose deadline is `clock_ms` or earlier.
    pub fn expire(&mut self, clock_ms: u64) {
        while let Some(key) = self.deadlines.pop_due(clock_ms) {
            let removed = self.by_key.remove(&key[..]).expect("only stored keys have a deadline");
            self.discount(&key, &removed);
        }
    }

    /// The records from `start` on, in the byte order of their keys.
    pub fn range_from<'a>(
        &'a self,
        start: Bound<&[u8]>,
    ) -> impl Iterator<Item = (&'a KeyBytes, &'a Record)> + use<'a> {
        self.by_key.range::<_, [u8]>((start, Bound::Unbounded))
    }

    /// The number of keys.
    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    /// The size of all keys in bytes, as `store_bytes_max` counts it.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The sum of the records' hashes.
    pub fn digest(&self) -> u64 {
        self.digest
    }

    /// The earliest deadline of a key.
    pub fn next_deadline_ms(&self) -> Option<u64> {
        self.deadlines.next_ms()
    }

    fn remember_deadline(&mut self, key: KeyBytes, deadline_ms: Option<u64>) {
        if let Some(deadline_ms) = deadline_ms {
            self.deadlines.insert(deadline_ms, key);
        }
    }

    fn forget_deadline(&mut self, key: &KeyBytes, deadline_ms: Option<u64>) {
        if let Some(deadline_ms) = deadline_ms {
            self.deadlines.remove(deadline_ms, key.clone());
        }
    }

    fn discount(&mut self, key: &[u8], record: &Record) {
        self.bytes -= weight_bytes(key, &record.value);
        self.digest = self.digest.wrapping_sub(record.hash);
    }
}

/// Replaces `stored`. The new value takes the same memory when no reader holds the old one
/// and the sizes are equal, which is the common case. A new allocation with every write
/// would scatter the values over the memory.
fn write_over(stored: &mut Bytes, value: &[u8]) {
    *stored = match std::mem::take(stored).try_into_mut() {
        Ok(mut own) if own.len() == value.len() => {
            own.copy_from_slice(value);
            own.freeze()
        }
        _ => Bytes::copy_from_slice(value),
    };
}

#[cfg(test)]
mod tests;
