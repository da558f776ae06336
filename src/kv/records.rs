//! The keys: their values, their deadlines, their size and their digest.

use std::ops::Bound;

use bytes::Bytes;
use imbl::OrdMap;

use super::digest;
use super::expiry::Deadlines;

/// What a key costs beside the bytes of key and value: its place in the ordered
/// map and among the deadlines, the map's own copy of the key and the
/// allocations that hold it and the entry's payload. A round figure for limits,
/// not an exact size; part of the format, because `ERR_FULL` depends on it.
pub const RECORD_OVERHEAD_BYTES: u64 = 256;

/// What is stored under a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    /// A slice of the payload of the entry that wrote it.
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
    by_key: OrdMap<Bytes, Record>,
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
    pub fn put(&mut self, key: &[u8], value: Bytes, version: u64, deadline_ms: Option<u64>) {
        let hash = digest::key_record(key, &value, version, deadline_ms);
        self.bytes += weight_bytes(key, &value);
        self.digest = self.digest.wrapping_add(hash);
        let record = Record { value, version, deadline_ms, hash };
        if let Some((key, stored)) = self.by_key.get_key_value_mut(key) {
            let key = key.clone();
            let replaced = std::mem::replace(stored, record);
            self.forget(&key, &replaced);
            self.remember_deadline(key, deadline_ms);
        } else {
            // The key outlives the value that it came with, and would keep that
            // entry's payload alive if it were a slice of it.
            let key = Bytes::copy_from_slice(key);
            self.remember_deadline(key.clone(), deadline_ms);
            let replaced = self.by_key.insert(key, record);
            assert!(replaced.is_none(), "a key that is absent has no record");
        }
    }

    /// Removes `key`; false when it is not there.
    pub fn remove(&mut self, key: &[u8]) -> bool {
        let Some((key, removed)) = self.by_key.remove_with_key(key) else { return false };
        self.forget(&key, &removed);
        true
    }

    /// Removes every key whose deadline is `clock_ms` or earlier.
    pub fn expire(&mut self, clock_ms: u64) {
        while let Some(key) = self.deadlines.pop_due(clock_ms) {
            let removed = self.by_key.remove(&key).expect("only stored keys have a deadline");
            self.discount(&key, &removed);
        }
    }

    /// The records whose keys lie behind `start`, in byte order.
    pub fn range_from<'a>(
        &'a self,
        start: Bound<&[u8]>,
    ) -> impl Iterator<Item = (&'a Bytes, &'a Record)> + use<'a> {
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

    fn remember_deadline(&mut self, key: Bytes, deadline_ms: Option<u64>) {
        if let Some(deadline_ms) = deadline_ms {
            self.deadlines.insert(deadline_ms, key);
        }
    }

    fn forget(&mut self, key: &Bytes, record: &Record) {
        if let Some(deadline_ms) = record.deadline_ms {
            self.deadlines.remove(deadline_ms, key.clone());
        }
        self.discount(key, record);
    }

    fn discount(&mut self, key: &[u8], record: &Record) {
        self.bytes -= weight_bytes(key, &record.value);
        self.digest = self.digest.wrapping_sub(record.hash);
    }
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
    fn an_overwritten_key_keeps_neither_payload_alive() {
        let payloads = [Bytes::from(vec![b'k'; 100]), Bytes::from(vec![b'k'; 100])];
        let mut records = Records::default();
        for (version, payload) in payloads.iter().enumerate() {
            records.put(&payload[..1], payload.slice(1..), version as u64, Some(1000));
        }
        let [first, second] = payloads;
        assert!(first.is_unique(), "the first value is gone, and its key was copied");
        assert!(!second.is_unique(), "the second value is shared, not copied");
        records.remove(b"k");
        assert!(second.is_unique());
    }

    #[test]
    fn a_clone_is_a_moment_that_later_writes_do_not_touch() {
        let mut records = Records::default();
        records.put(b"a", Bytes::from("1"), 1, None);
        let moment = records.clone();
        records.put(b"a", Bytes::from("22"), 2, Some(5));
        records.put(b"b", Bytes::from("3"), 3, None);
        assert_eq!(moment.get(b"a").map(|record| record.version), Some(1));
        assert_eq!((moment.len(), moment.next_deadline_ms()), (1, None));
        assert_eq!(moment.recomputed(), (moment.bytes(), moment.digest()));
        assert_eq!(records.recomputed(), (records.bytes(), records.digest()));
    }

    #[test]
    fn what_is_put_and_removed_leaves_nothing_behind() {
        let mut records = Records::default();
        records.put(b"a", Bytes::from("1"), 1, Some(10));
        records.put(b"b", Bytes::from("1"), 2, Some(20));
        records.put(b"a", Bytes::from("2"), 3, Some(30));
        assert!(records.remove(b"a"));
        assert!(!records.remove(b"a"));
        records.expire(20);
        assert_eq!((records.len(), records.bytes(), records.digest()), (0, 0, 0));
        assert_eq!(records.next_deadline_ms(), None);
    }
}
