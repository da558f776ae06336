use super::*;
use crate::kv::record::Record;

/// A record that is the first of its key.
fn first(value: &[u8], revision: u64, deadline_ms: Option<u64>) -> Record {
    Record::for_tests(b"", value, revision, deadline_ms)
}

fn key_record(key: &[u8], record: &Record) -> u64 {
    record.computed_hash(key)
}

#[test]
fn every_part_of_a_key_record_changes_its_hash() {
    let hash = key_record(b"ab", &first(b"c", 1, None));
    assert_ne!(hash, key_record(b"a", &first(b"bc", 1, None)));
    assert_ne!(hash, key_record(b"ab", &first(b"d", 1, None)));
    assert_ne!(hash, key_record(b"ab", &first(b"c", 2, None)));
    assert_ne!(hash, key_record(b"ab", &first(b"c", 1, Some(1))));
    let second = first(b"c", 1, None).with(|head, _| head.version = 2);
    let third = second.with(|head, _| head.version = 3);
    assert_ne!(hash, key_record(b"ab", &second));
    assert_ne!(key_record(b"ab", &second), key_record(b"ab", &third));
    let leased = first(b"c", 1, None).with(|head, _| head.lease = 2);
    assert_ne!(hash, key_record(b"ab", &leased));
    let older = first(b"c", 2, None).with(|head, _| head.create_revision = 1);
    assert_ne!(key_record(b"ab", &older), key_record(b"ab", &first(b"c", 2, None)));
}

#[test]
fn every_part_of_a_client_record_changes_its_hash() {
    let hash = client_record(b"a", [1, 1, 7, 5], b"");
    assert_ne!(hash, client_record(b"b", [1, 1, 7, 5], b""));
    for place in 0..4 {
        let mut numbers = [1, 1, 7, 5];
        numbers[place] += 1;
        assert_ne!(hash, client_record(b"a", numbers, b""), "{place}");
    }
    assert_ne!(hash, client_record(b"a", [1, 1, 7, 5], b"rest"));
}

#[test]
fn every_part_of_a_lease_changes_its_hash_and_an_ended_one_has_another() {
    let hash = lease(1, 2, 3, 4);
    let others = [lease(9, 2, 3, 4), lease(1, 9, 3, 4), lease(1, 2, 9, 4), lease(1, 2, 3, 9)];
    assert!(!others.contains(&hash));
    let ended = ended_lease((1, 2), 3);
    let others = [ended_lease((9, 2), 3), ended_lease((1, 9), 3), ended_lease((1, 2), 9), hash];
    assert!(!others.contains(&ended));
}

#[test]
fn the_hash_of_a_record_is_the_same_in_every_version_of_the_program() {
    // Nodes of two versions run side by side during an upgrade and compare
    // digests; a changed hash would look like a diverged store.
    assert_eq!(key_record(b"k", &first(b"v", 3, Some(4000))), 3_540_478_908_485_253_081);
    assert_eq!(client_record(b"c", [3, 2, 0, 4000], b""), 4_441_243_830_229_851_136);
    // The store chooses the ids of leases by this hash.
    assert_eq!(
        (lease_id(7, 0), lease_id(7, 1)),
        (123_128_381_409_553_916, 3_732_600_779_590_821_102)
    );
    assert_eq!(lease(7, 60, 61_000, 5), 16_722_025_021_846_895_948);
}
