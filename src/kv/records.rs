//! The keys of the store with their values and deadlines, their total size and digest.

use std::ops::Bound;

use imbl::OrdMap;

use super::corruption::Corruption;
use super::deadlines::Deadlines;
use super::expiry::{DueTotals, Total};
use super::key_bytes::KeyBytes;
use super::leases::Leases;
use super::record::{NewRecord, Record};
use super::weight::weight_bytes;

/// The parts of a key that was written which a change of the history has.
#[derive(Debug)]
pub(super) struct Written {
    pub key: KeyBytes,
    pub record: Record,
    /// The record that was there before; `None` when the key was absent.
    pub previous: Option<Record>,
}

/// The result of [`Records::replace`].
#[derive(Debug)]
pub(super) enum Replacing {
    /// The record is replaced. With it comes what a change of the history is to have, if one is
    /// to: when the new record has the number of one.
    Done(Option<Written>),
    /// A record is stored that nobody sees any more.
    Hidden,
    /// No record is stored.
    Absent,
}

/// All keys of the store, and its clock. A key whose deadline is not after the clock is
/// hidden: it is absent for every command and query, and stays stored until an entry removes
/// it.
///
/// Invariants: `leases` has exactly the keys whose records name one, with these records.
/// `deadlines` and `due` hold exactly the keys that have a deadline, each with its
/// deadline. `bytes` is the sum of [`weight_bytes`] over `by_key`, and `digest` is the sum
/// of the hashes. All parts are persistent data structures: a clone takes constant time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Records {
    by_key: OrdMap<KeyBytes, Record>,
    deadlines: Deadlines,
    due: DueTotals,
    leases: Leases,
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
        self.leases.advance(clock_ms);
        self.due.advance(clock_ms);
    }

    /// The record stored under `key`, unless it is hidden. It is what was written.
    ///
    /// # Errors
    /// When a record is stored there that is not what was written. A deadline that has changed
    /// could hide it, so a hidden record is verified, too.
    pub fn get(&self, key: &[u8]) -> Result<Option<&Record>, Corruption> {
        let Some(record) = self.stored(key) else { return Ok(None) };
        record.verify(key)?;
        Ok(Some(record).filter(|record| !self.hides(record)))
    }

    /// The record stored under `key`, hidden or not, without a check.
    pub fn stored(&self, key: &[u8]) -> Option<&Record> {
        match KeyBytes::short(key) {
            Some(short) => self.by_key.get(&short),
            None => self.by_key.get(key),
        }
    }

    /// The size of the key stored under `key`, as `store_bytes_max` counts it; 0 when it is
    /// absent or hidden.
    pub fn weight_of(&self, key: &[u8]) -> u64 {
        let record = self.stored(key).filter(|record| !self.hides(record));
        record.map_or(0, |record| weight_bytes(key, record.value()))
    }

    /// True when a search for `key` finds exactly `record`.
    pub fn finds(&self, key: &[u8], record: &Record) -> bool {
        self.stored(key).is_some_and(|found| found.is(record))
    }

    /// Stores a record under `key`, where none is. Returns what a change of the history is to
    /// have, if one is to: when `new` has the number of one.
    ///
    /// # Panics
    /// When a record is stored there, hidden or not.
    pub fn insert(&mut self, key: &[u8], new: NewRecord<'_>) -> Option<Written> {
        let record = new.record(key);
        let bytes = weight_bytes(key, new.value);
        self.bytes += bytes;
        self.digest = self.digest.wrapping_add(record.hash);
        let key = KeyBytes::from(key);
        if new.lease != 0 {
            self.leases.attach(&key, &record, bytes);
        }
        self.remember_deadline(key.clone(), new.deadline_ms, bytes);
        let written = (new.change > 0).then(|| {
            let record = record.clone();
            Written { key: key.clone(), record, previous: None }
        });
        let replaced = self.by_key.insert(key, record);
        assert!(replaced.is_none(), "a key that is absent has no record");
        written
    }

    /// Replaces the record that is stored under `key`, unless it is hidden, by the one that `next`
    /// makes of it. All of it takes one search. A record that no change of the history is to have,
    /// nor anybody else has, gives the new one its memory.
    ///
    /// The value that is replaced is not looked at, here or by `next`: it is in no cache, and who
    /// reads it from the history verifies it then (docs/adr/0025).
    ///
    /// # Errors
    /// When the key or the numbers of the record are not what was written. Nothing has changed.
    pub fn replace<'v>(
        &mut self,
        key: &[u8],
        next: impl FnOnce(&Record) -> NewRecord<'v>,
    ) -> Result<Replacing, Corruption> {
        let (clock_ms, leases) = (self.due.clock_ms(), &mut self.leases);
        let found = match KeyBytes::short(key) {
            Some(short) => self.by_key.get_key_value_mut(&short),
            None => self.by_key.get_key_value_mut(key),
        };
        let Some((key, stored)) = found else { return Ok(Replacing::Absent) };
        stored.verify_head(key)?;
        if is_hidden(stored, clock_ms, leases) {
            return Ok(Replacing::Hidden);
        }
        let new = next(stored);
        let (replaced_bytes, replaced_hash) = (weight_bytes(key, stored.value()), stored.hash);
        let replaced_deadline_ms = stored.deadline_ms;
        if stored.lease != 0 {
            leases.detach(key, stored, replaced_bytes);
        }
        let written = if new.change > 0 {
            let record = new.record(key);
            let previous = std::mem::replace(stored, record.clone());
            Some(Written { key: key.clone(), record, previous: Some(previous) })
        } else {
            stored.write_over(key, new);
            None
        };
        let (hash, bytes) = (stored.hash, weight_bytes(key, new.value));
        if new.lease != 0 {
            leases.attach(key, stored, bytes);
        }
        self.bytes = self.bytes - replaced_bytes + bytes;
        self.digest = self.digest.wrapping_sub(replaced_hash).wrapping_add(hash);
        if (replaced_deadline_ms, replaced_bytes) != (new.deadline_ms, bytes) {
            let key = key.clone();
            self.forget_deadline(&key, replaced_deadline_ms, replaced_bytes);
            self.remember_deadline(key, new.deadline_ms, bytes);
        }
        Ok(Replacing::Done(written))
    }

    /// Removes the record that is stored under `key`, hidden or not, and returns it.
    pub fn remove(&mut self, key: &[u8]) -> Option<(KeyBytes, Record)> {
        let (key, removed) = self.by_key.remove_with_key(key)?;
        let bytes = weight_bytes(&key, removed.value());
        if removed.lease != 0 {
            self.leases.detach(&key, &removed, bytes);
        }
        self.forget_deadline(&key, removed.deadline_ms, bytes);
        self.bytes -= bytes;
        self.digest = self.digest.wrapping_sub(removed.hash);
        Some((key, removed))
    }

    /// The next key to be removed because its time is over, in the order of deadlines; `None`
    /// when none is due.
    pub fn first_due(&self) -> Option<&KeyBytes> {
        self.deadlines.first_due(self.clock_ms())
    }

    /// The leases.
    pub fn leases(&self) -> &Leases {
        &self.leases
    }

    /// The leases, to be changed. A lease that ends hides its keys.
    pub fn leases_mut(&mut self) -> &mut Leases {
        &mut self.leases
    }

    /// True of a record that nobody sees any more.
    pub fn hides(&self, record: &Record) -> bool {
        is_hidden(record, self.clock_ms(), &self.leases)
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
        let hidden = self.due.due().plus(self.leases.hidden());
        Total { names: self.stored_len() - hidden.names, bytes: self.bytes - hidden.bytes }
    }

    /// True when there are hidden keys.
    pub fn has_hidden(&self) -> bool {
        self.due.due().names > 0 || self.leases.has_work()
    }

    /// The size of all keys in bytes, with the hidden ones.
    pub fn stored_bytes(&self) -> u64 {
        self.bytes
    }

    /// The sum of the hashes of the records, with the hidden ones, and of the leases.
    pub fn digest(&self) -> u64 {
        self.digest.wrapping_add(self.leases.digest())
    }

    /// The earliest deadline that is not due, of a key or a lease.
    pub fn next_deadline_ms(&self) -> Option<u64> {
        self.due.next_ms().into_iter().chain(self.leases.next_deadline_ms()).min()
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
}

fn is_hidden(record: &Record, clock_ms: u64, leases: &Leases) -> bool {
    record.is_due(clock_ms) || record.lease != 0 && !leases.holds(record)
}

/// Faults of the memory and of the program, for tests.
#[cfg(any(test, feature = "testing"))]
impl Records {
    /// Changes one bit of a stored record and leaves its hashes as they are, as a fault of the
    /// memory does. Returns the record that takes its place; `None` when there is none.
    pub fn flip_bit(&mut self, seed: u64) -> Option<Record> {
        let key = self.key_at(seed)?;
        let stored = self.by_key.get_mut(&key)?;
        *stored = stored.with(|head, value| {
            let place = (seed >> 16) as usize % (value.len() + 1);
            match value.get_mut(place) {
                Some(byte) => *byte ^= 1 << (seed >> 8 & 7),
                None => head.mod_revision ^= 1 << (seed >> 8 & 31),
            }
        });
        Some(stored.clone())
    }

    /// Changes a stored record with its hash and the digest, as an entry that is applied wrongly
    /// does. Returns the record that takes its place; `None` when there is none that is seen.
    pub fn diverge(&mut self, seed: u64) -> Option<Record> {
        let key = self.key_at(seed)?;
        let record = self.by_key.get(&key).cloned()?;
        let value = &[record.value(), b"!"].concat();
        let new = NewRecord {
            value,
            create_revision: record.create_revision,
            mod_revision: record.mod_revision,
            version: record.version,
            lease: record.lease,
            deadline_ms: record.deadline_ms,
            change: record.change,
        };
        let Ok(Replacing::Done(_)) = self.replace(&key, |_| new) else { return None };
        self.by_key.get(&key).cloned()
    }

    /// One of the keys.
    fn key_at(&self, seed: u64) -> Option<KeyBytes> {
        let place = (seed % self.stored_len().max(1)) as usize;
        self.by_key.keys().nth(place).cloned()
    }
}

#[cfg(test)]
mod tests;
