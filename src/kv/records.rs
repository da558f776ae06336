//! The keys: their values, their deadlines, their size and their digest.

use std::ops::Bound;

use bytes::Bytes;
use imbl::OrdMap;

use super::digest;
use super::expiry::Deadlines;
use super::name::Name;

/// What a key costs beside the bytes of key and value: its place in the ordered
/// map and among the deadlines, the record, and the allocations of a long key and
/// of the value. A round figure for limits,
/// not an exact size; part of the format, because `ERR_FULL` depends on it.
pub const RECORD_OVERHEAD_BYTES: u64 = 256;

/// What is stored under a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    /// A copy of its own: a slice of the entry would keep alive all that came with it.
    pub value: Bytes,
    /// The index of that entry.
    pub version: u64,
    /// When the key goes; `None` is never.
    pub deadline_ms: Option<u64>,
    /// The record's part of the digest, kept so that it can be taken out again
    /// without hashing the value a second time.
    hash: u64,
}

/// All keys.
///
/// Invariants: `deadlines` holds exactly the keys that have a deadline, with it;
/// `bytes` is the sum of [`weight_bytes`] and `digest` that of the hashes over
/// `by_key`. All parts are persistent: a clone takes constant time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Records {
    by_key: OrdMap<Name, Record>,
    deadlines: Deadlines,
    bytes: u64,
    digest: u64,
}

/// What a key counts in [`Records::bytes`].
pub(super) fn weight_bytes(key: &[u8], value: &[u8]) -> u64 {
    key.len() as u64 + value.len() as u64 + RECORD_OVERHEAD_BYTES
}

impl Records {
    /// What is stored under `key`.
    pub fn get(&self, key: &[u8]) -> Option<&Record> {
        self.by_key.get(key)
    }

    /// Stores `value` under `key`, in the place of what was there.
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
            let key = Name::from(key);
            self.remember_deadline(key.clone(), deadline_ms);
            let value = Bytes::copy_from_slice(value);
            let replaced = self.by_key.insert(key, Record { value, version, deadline_ms, hash });
            assert!(replaced.is_none(), "a key that is absent has no record");
        }
    }

    /// Removes `key`; false when it is not there.
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

    /// The records whose keys lie behind `start`, in byte order.
    pub fn range_from<'a>(
        &'a self,
        start: Bound<&[u8]>,
    ) -> impl Iterator<Item = (&'a Name, &'a Record)> + use<'a> {
        self.by_key.range::<_, [u8]>((start, Bound::Unbounded))
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    /// The size of all keys, as `store_bytes_max` counts it.
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

    fn remember_deadline(&mut self, key: Name, deadline_ms: Option<u64>) {
        if let Some(deadline_ms) = deadline_ms {
            self.deadlines.insert(deadline_ms, key);
        }
    }

    fn forget_deadline(&mut self, key: &Name, deadline_ms: Option<u64>) {
        if let Some(deadline_ms) = deadline_ms {
            self.deadlines.remove(deadline_ms, key.clone());
        }
    }

    fn discount(&mut self, key: &[u8], record: &Record) {
        self.bytes -= weight_bytes(key, &record.value);
        self.digest = self.digest.wrapping_sub(record.hash);
    }
}

/// Replaces `stored`, in its own place when nobody else reads it and the sizes are equal,
/// as they mostly are: values come and go with every write, in no order, and so would
/// their places in memory.
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
impl Records {
    /// Size and digest from the records themselves.
    pub fn recomputed(&self) -> (u64, u64) {
        self.by_key.iter().fold((0, 0), |(bytes, sum), (key, record)| {
            let Record { value, version, deadline_ms, .. } = record;
            let hash = digest::key_record(key, value, *version, *deadline_ms);
            (bytes + weight_bytes(key, value), sum.wrapping_add(hash))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_reads_a_value_keeps_it_while_it_is_overwritten() {
        let mut records = Records::default();
        let mut read = Vec::new();
        for (version, value) in
            ["first", "other", "third, and longer", "", "last"].iter().enumerate()
        {
            records.put(b"k", value.as_bytes(), version as u64, Some(1000));
            read.push(records.get(b"k").unwrap().value.clone());
        }
        assert_eq!(read, ["first", "other", "third, and longer", "", "last"]);
    }

    #[test]
    fn a_value_of_the_same_size_takes_the_place_of_one_that_nobody_reads() {
        let mut records = Records::default();
        records.put(b"k", b"first", 1, None);
        let place = records.get(b"k").unwrap().value.as_ptr();
        records.put(b"k", b"other", 2, None);
        let stored = &records.get(b"k").unwrap().value;
        assert_eq!((stored.as_ptr(), &stored[..]), (place, &b"other"[..]));
    }

    #[test]
    fn a_clone_is_a_moment_that_later_writes_do_not_touch() {
        let mut records = Records::default();
        records.put(b"a", b"1", 1, None);
        let moment = records.clone();
        records.put(b"a", b"22", 2, Some(5));
        records.put(b"b", b"3", 3, None);
        assert_eq!(moment.get(b"a").map(|record| record.version), Some(1));
        assert_eq!((moment.len(), moment.next_deadline_ms()), (1, None));
        assert_eq!(moment.recomputed(), (moment.bytes(), moment.digest()));
        assert_eq!(records.recomputed(), (records.bytes(), records.digest()));
    }

    #[test]
    fn what_is_put_and_removed_leaves_nothing_behind() {
        let mut records = Records::default();
        records.put(b"a", b"1", 1, Some(10));
        records.put(b"b", b"1", 2, Some(20));
        records.put(b"a", b"2", 3, Some(30));
        assert!(records.remove(b"a"));
        assert!(!records.remove(b"a"));
        records.expire(20);
        assert_eq!((records.len(), records.bytes(), records.digest()), (0, 0, 0));
        assert_eq!(records.next_deadline_ms(), None);
    }
}
