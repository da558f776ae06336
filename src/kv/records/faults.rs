//! Faults of the memory and of the program, for tests.

use super::*;

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
