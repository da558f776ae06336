//! The hash of one record of the store. The store's digest is the sum of the hashes:
//! it does not depend on the order of insertion, and a record can be subtracted again.
//!
//! Equal digests are evidence of equal stores, not proof: xxh3 finds accidents, and is
//! no defence against a person who searches for a collision.

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// The seed of a key's hash. It differs from the seed of a client's hash, so that the two
/// kinds of record hash differently.
const KEY_RECORD: u64 = 1;
/// The seed of a client's hash.
const CLIENT_RECORD: u64 = 2;
/// The seed of a lease's hash.
const LEASE: u64 = 16;
/// The seed of an ended lease's hash.
const ENDED_LEASE: u64 = 17;
/// The seed of the ids of leases.
const LEASE_ID: u64 = 18;
/// The first number of the hash of a change.
const CHANGE_RECORD: u64 = 3;
/// The first number of the hash of the history's own numbers.
const HISTORY: u64 = 4;

/// The hash of a key with the numbers of its record.
///
/// A record of no change, which is the first of its key and has no lease, has the hash that it had
/// before format 4, when a record had a version and a deadline only. So the records of a store keep
/// their hashes when format 4 comes into force.
pub(super) fn record_head(key: &[u8], record: RecordNumbers) -> u64 {
    let RecordNumbers { create_revision, mod_revision, version, lease, deadline_ms, change } =
        record;
    // A key without a deadline hashes as 0. No key has deadline 0: even an entry stamped 0
    // gives its keys at least a second.
    let deadline_ms = deadline_ms.unwrap_or(0);
    let more = [create_revision, version, lease, change];
    let seed = if more == [mod_revision, 1, 0, 0] {
        numbers([KEY_RECORD, mod_revision, deadline_ms])
    } else {
        let [create, version, lease, change] = more;
        numbers([KEY_RECORD, mod_revision, deadline_ms, create, version, lease, change])
    };
    xxh3_64_with_seed(key, seed)
}

/// The hash of a key with its record: of what [`record_head`] made of the key and the numbers, and
/// of the value. Each hash seeds the next, so nothing is copied together, and the place where the
/// key ends and the value begins changes the result.
pub(super) fn key_record(head: u64, value: &[u8]) -> u64 {
    xxh3_64_with_seed(value, head)
}

/// The numbers of a record that its hash covers.
#[derive(Clone, Copy, Debug)]
pub(super) struct RecordNumbers {
    pub create_revision: u64,
    pub mod_revision: u64,
    pub version: u64,
    pub lease: u64,
    pub deadline_ms: Option<u64>,
    pub change: u64,
}

/// The hash of a client's name with the state that is remembered of the client: the number of its
/// last command, that of its outcome's kind, a number of the outcome, the time, and the rest of the
/// outcome. An outcome without a rest has the hash that it had before format 4.
pub(super) fn client_record(
    name: &[u8],
    [seq, kind, number, last_used_ms]: [u64; 4],
    rest: &[u8],
) -> u64 {
    let seed = numbers([CLIENT_RECORD, seq, kind, number, last_used_ms]);
    let seed = if rest.is_empty() { seed } else { xxh3_64_with_seed(rest, seed) };
    xxh3_64_with_seed(name, seed)
}

/// The hash of a change, from its numbers and the hashes of its records.
pub(super) fn change_record([a, b, c, d, e, f, g]: [u64; 7]) -> u64 {
    numbers([CHANGE_RECORD, a, b, c, d, e, f, g])
}

/// The hash of the numbers of the history.
pub(super) fn history([a, b, c, d, e, f, g, h]: [u64; 8]) -> u64 {
    numbers([HISTORY, a, b, c, d, e, f, g, h])
}

/// The hash of a lease.
pub(super) fn lease(id: u64, ttl: u64, deadline_ms: u64, granted_revision: u64) -> u64 {
    numbers([LEASE, id, ttl, deadline_ms, granted_revision])
}

/// The hash of a lease that has ended with the change of this number, and has keys that are not
/// removed yet.
pub(super) fn ended_lease((id, granted_revision): (u64, u64), change: u64) -> u64 {
    numbers([ENDED_LEASE, id, granted_revision, change])
}

/// An id for a lease: 63 bits that differ with the seed and the attempt. It is part of format 4,
/// because all servers must choose the same.
pub(super) fn lease_id(seed: u64, attempt: u64) -> u64 {
    numbers([LEASE_ID, seed, attempt]) >> 1
}

/// The hash of a record's numbers. They are hashed as little-endian bytes on every machine,
/// so that nodes on different processors agree.
fn numbers<const N: usize>(numbers: [u64; N]) -> u64 {
    xxh3_64(numbers.map(u64::to_le_bytes).as_flattened())
}

#[cfg(test)]
mod tests;
