//! The keys of the store with their values and deadlines, their total size and digest.

use std::ops::Bound;

use bytes::Bytes;
use imbl::OrdMap;

use super::corruption::Corruption;
use super::deadlines::Deadlines;
use super::digest;
use super::expiry::{DueTotals, Step, Total};
use super::key_bytes::KeyBytes;
use super::weight::weight_bytes;

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
    /// The hash of the record as it was written. It is the record's part of the digest, and is
    /// subtracted without hashing the value a second time.
    hash: u64,
}

impl Record {
    /// The hash of the record, after a check that the record is what was written.
    ///
    /// # Errors
    /// When it is not.
    pub fn verify(&self, key: &[u8]) -> Result<u64, Corruption> {
        let hash = digest::key_record(key, &self.value, self.version, self.deadline_ms);
        if hash == self.hash { Ok(hash) } else { Err(Corruption::of_key(key, self.version)) }
    }

    /// True when the key has expired at this time: nobody sees it any more.
    fn is_hidden(&self, clock_ms: u64) -> bool {
        self.deadline_ms.is_some_and(|deadline_ms| deadline_ms <= clock_ms)
    }
}

/// All keys of the store, and its clock. A key whose deadline is not after the clock is
/// hidden: it is absent for every command and query, and stays stored until an entry removes
/// it.
///
/// Invariants: `deadlines` and `due` hold exactly the keys that have a deadline, each with its
/// deadline. `bytes` is the sum of [`weight_bytes`] over `by_key`, and `digest` is the sum
/// of the hashes. All parts are persistent data structures: a clone takes constant time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Records {
    by_key: OrdMap<KeyBytes, Record>,
    deadlines: Deadlines,
    due: DueTotals,
    bytes: u64,
    digest: u64,
}

impl Records {
    /// The time, in milliseconds of the store's clock.
    pub fn clock_ms(&self) -> u64 {
        self.due.clock_ms()
    }

    /// Advances the clock, which never falls, and hides every key that is due.
    pub fn advance(&mut self, clock_ms: u64) {
        self.due.advance(clock_ms);
    }

    /// The record stored under `key`, unless it is hidden. It is what was written.
    ///
    /// # Errors
    /// When a record is stored there that is not what was written. A deadline that has changed
    /// could hide it, so a hidden record is verified, too.
    pub fn get(&self, key: &[u8]) -> Result<Option<&Record>, Corruption> {
        let Some(record) = self.by_key.get(key) else { return Ok(None) };
        record.verify(key)?;
        Ok(Some(record).filter(|record| !record.is_hidden(self.clock_ms())))
    }

    /// The size of the key stored under `key`, as `store_bytes_max` counts it; 0 when it is
    /// absent or hidden.
    pub fn weight_of(&self, key: &[u8]) -> u64 {
        let record = self.by_key.get(key).filter(|record| !record.is_hidden(self.clock_ms()));
        record.map_or(0, |record| weight_bytes(key, &record.value))
    }

    /// True when a search for `key` finds exactly `record`.
    pub fn finds(&self, key: &[u8], record: &Record) -> bool {
        self.by_key.get(key).is_some_and(|found| std::ptr::eq(found, record))
    }

    /// Stores `value` under `key` and replaces the value that was there, hidden or not.
    pub fn put(&mut self, key: &[u8], value: &[u8], version: u64, deadline_ms: Option<u64>) {
        let hash = digest::key_record(key, value, version, deadline_ms);
        let bytes = weight_bytes(key, value);
        self.bytes += bytes;
        self.digest = self.digest.wrapping_add(hash);
        if let Some((key, stored)) = self.by_key.get_key_value_mut(key) {
            let replaced_bytes = weight_bytes(key, &stored.value);
            self.bytes -= replaced_bytes;
            self.digest = self.digest.wrapping_sub(stored.hash);
            let replaced_deadline_ms = std::mem::replace(&mut stored.deadline_ms, deadline_ms);
            write_over(&mut stored.value, value);
            (stored.version, stored.hash) = (version, hash);
            if (replaced_deadline_ms, replaced_bytes) != (deadline_ms, bytes) {
                let key = key.clone();
                self.forget_deadline(&key, replaced_deadline_ms, replaced_bytes);
                self.remember_deadline(key, deadline_ms, bytes);
            }
        } else {
            let key = KeyBytes::from(key);
            self.remember_deadline(key.clone(), deadline_ms, bytes);
            let value = Bytes::copy_from_slice(value);
            let replaced = self.by_key.insert(key, Record { value, version, deadline_ms, hash });
            assert!(replaced.is_none(), "a key that is absent has no record");
        }
    }

    /// Removes `key`; false when it is absent or hidden.
    ///
    /// # Errors
    /// When the record is not what was written.
    pub fn remove(&mut self, key: &[u8]) -> Result<bool, Corruption> {
        if self.get(key)?.is_none() {
            return Ok(false);
        }
        let Some((key, removed)) = self.by_key.remove_with_key(key) else { return Ok(false) };
        self.forget_deadline(&key, removed.deadline_ms, weight_bytes(&key, &removed.value));
        self.discount(&key, &removed);
        Ok(true)
    }

    /// Removes hidden keys, as many as the step allows, in the order of their deadlines.
    pub fn remove_hidden(&mut self, step: Step) {
        let mut removed = Total::default();
        while step.allows_more(removed) {
            let Some((deadline_ms, key)) = self.deadlines.pop_due(self.clock_ms()) else { return };
            let record = self.by_key.remove(&key[..]).expect("only stored keys have a deadline");
            let bytes = weight_bytes(&key, &record.value);
            self.due.remove(deadline_ms, bytes);
            self.discount(&key, &record);
            removed.add(bytes);
        }
    }

    /// True of a record that nobody sees any more.
    pub fn hides(&self, record: &Record) -> bool {
        record.is_hidden(self.clock_ms())
    }

    /// All records from `start` on, also the hidden ones, in the byte order of their keys. They
    /// are not verified.
    pub fn stored_from<'a>(
        &'a self,
        start: Bound<&[u8]>,
    ) -> impl Iterator<Item = (&'a KeyBytes, &'a Record)> + use<'a> {
        self.by_key.range::<_, [u8]>((start, Bound::Unbounded))
    }

    /// The number of keys that are stored, with the hidden ones.
    pub fn stored_len(&self) -> u64 {
        self.by_key.len() as u64
    }

    /// The number of keys that are not hidden, and their size in bytes, as `store_bytes_max`
    /// counts it.
    pub fn visible(&self) -> Total {
        let hidden = self.due.due();
        Total { names: self.stored_len() - hidden.names, bytes: self.bytes - hidden.bytes }
    }

    /// True when there are hidden keys.
    pub fn has_hidden(&self) -> bool {
        self.due.due().names > 0
    }

    /// The size of all keys in bytes, with the hidden ones.
    pub fn stored_bytes(&self) -> u64 {
        self.bytes
    }

    /// The sum of the records' hashes, with the hidden ones.
    pub fn digest(&self) -> u64 {
        self.digest
    }

    /// The earliest deadline of a key that is not hidden.
    pub fn next_deadline_ms(&self) -> Option<u64> {
        self.due.next_ms()
    }

    fn remember_deadline(&mut self, key: KeyBytes, deadline_ms: Option<u64>, bytes: u64) {
        if let Some(deadline_ms) = deadline_ms {
            self.due.add(deadline_ms, bytes);
            self.deadlines.insert(deadline_ms, key);
        }
    }

    fn forget_deadline(&mut self, key: &KeyBytes, deadline_ms: Option<u64>, bytes: u64) {
        if let Some(deadline_ms) = deadline_ms {
            self.due.remove(deadline_ms, bytes);
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

/// Faults of the memory and of the program, for tests.
#[cfg(any(test, feature = "testing"))]
impl Records {
    /// Changes one bit of a stored record and leaves its hash as it is, as a fault of the memory
    /// does. Returns false when there is no record.
    pub fn flip_bit(&mut self, seed: u64) -> bool {
        let Some(key) = self.key_at(seed) else { return false };
        let Some(record) = self.by_key.get_mut(&key) else { return false };
        let mut value = record.value.to_vec();
        let place = (seed >> 16) as usize % (value.len() + 1);
        match value.get_mut(place) {
            Some(byte) => *byte ^= 1 << (seed >> 8 & 7),
            None => record.version ^= 1 << (seed >> 8 & 31),
        }
        record.value = value.into();
        true
    }

    /// Changes a stored record with its hash and the digest, as an entry that is applied wrongly
    /// does. Returns false when there is no record.
    pub fn diverge(&mut self, seed: u64) -> bool {
        let Some(key) = self.key_at(seed) else { return false };
        let Some(record) = self.by_key.get(&key) else { return false };
        let (version, deadline_ms) = (record.version, record.deadline_ms);
        let value = [&record.value[..], b"!"].concat();
        self.put(&key, &value, version, deadline_ms);
        true
    }

    /// One of the keys.
    fn key_at(&self, seed: u64) -> Option<KeyBytes> {
        let place = (seed % self.stored_len().max(1)) as usize;
        self.by_key.keys().nth(place).cloned()
    }
}

#[cfg(test)]
mod tests;
