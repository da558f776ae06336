//! The hash of one record of the store. The store's digest is their sum, which
//! no order of insertion changes and from which a record can be taken out again.
//!
//! Equal digests are evidence of equal stores, not proof: xxh3 finds accidents,
//! and is no defence against someone who searches for a collision.

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::command::Outcome;

/// Keeps the two kinds of record apart.
const KEY_RECORD: u64 = 1;
const CLIENT_RECORD: u64 = 2;

/// The hash of a key and what belongs to it.
pub(super) fn key_record(key: &[u8], value: &[u8], version: u64, deadline_ms: Option<u64>) -> u64 {
    // No deadline is 0: entries stamped 0 give their keys at least a second.
    let seed = numbers([KEY_RECORD, version, deadline_ms.unwrap_or(0)]);
    // Each hash seeds the next: nothing is copied together, and where the key
    // ends and the value begins makes a difference.
    xxh3_64_with_seed(value, xxh3_64_with_seed(key, seed))
}

/// The hash of a client and what is remembered of it.
pub(super) fn client_record(name: &[u8], seq: u64, outcome: Outcome, last_used_ms: u64) -> u64 {
    let (kind, version) = outcome.to_numbers();
    xxh3_64_with_seed(name, numbers([CLIENT_RECORD, seq, kind, version, last_used_ms]))
}

/// The hash of a record's numbers: little-endian on every machine, so that nodes
/// on unlike processors still agree.
fn numbers<const N: usize>(numbers: [u64; N]) -> u64 {
    xxh3_64(numbers.map(u64::to_le_bytes).as_flattened())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_a_key_record_changes_its_hash() {
        let hash = key_record(b"ab", b"c", 1, None);
        assert_ne!(hash, key_record(b"a", b"bc", 1, None));
        assert_ne!(hash, key_record(b"ab", b"d", 1, None));
        assert_ne!(hash, key_record(b"ab", b"c", 2, None));
        assert_ne!(hash, key_record(b"ab", b"c", 1, Some(1)));
    }

    #[test]
    fn every_part_of_a_client_record_changes_its_hash() {
        let hash = client_record(b"a", 1, Outcome::Stored { version: 7 }, 5);
        assert_ne!(hash, client_record(b"b", 1, Outcome::Stored { version: 7 }, 5));
        assert_ne!(hash, client_record(b"a", 2, Outcome::Stored { version: 7 }, 5));
        assert_ne!(hash, client_record(b"a", 1, Outcome::Stored { version: 8 }, 5));
        assert_ne!(hash, client_record(b"a", 1, Outcome::Exists { version: 7 }, 5));
        assert_ne!(hash, client_record(b"a", 1, Outcome::Stored { version: 7 }, 6));
    }

    #[test]
    fn the_hash_of_a_record_is_the_same_in_every_version_of_the_program() {
        // Nodes of two versions run side by side during an upgrade and compare
        // digests; a changed hash would look like a diverged store.
        assert_eq!(key_record(b"k", b"v", 3, Some(4000)), 3_540_478_908_485_253_081);
        assert_eq!(client_record(b"c", 3, Outcome::Deleted, 4000), 4_441_243_830_229_851_136);
    }
}
