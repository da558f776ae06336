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
