use super::*;
use crate::kv::Outcome;

/// A record that is the first of its key.
fn first(value: &'static [u8], revision: u64, deadline_ms: Option<u64>) -> Record {
    Record {
        value: value.into(),
        create_revision: revision,
        mod_revision: revision,
        version: 1,
        lease: 0,
        deadline_ms,
        change: 0,
        hash: 0,
    }
}

#[test]
fn every_part_of_a_key_record_changes_its_hash() {
    let hash = key_record(b"ab", &first(b"c", 1, None));
    assert_ne!(hash, key_record(b"a", &first(b"bc", 1, None)));
    assert_ne!(hash, key_record(b"ab", &first(b"d", 1, None)));
    assert_ne!(hash, key_record(b"ab", &first(b"c", 2, None)));
    assert_ne!(hash, key_record(b"ab", &first(b"c", 1, Some(1))));
    let second = Record { version: 2, ..first(b"c", 1, None) };
    assert_ne!(hash, key_record(b"ab", &second));
    assert_ne!(key_record(b"ab", &second), key_record(b"ab", &Record { version: 3, ..second }));
    assert_ne!(hash, key_record(b"ab", &Record { lease: 2, ..first(b"c", 1, None) }));
    let older = Record { create_revision: 1, ..first(b"c", 2, None) };
    assert_ne!(key_record(b"ab", &older), key_record(b"ab", &first(b"c", 2, None)));
}

#[test]
fn every_part_of_a_client_record_changes_its_hash() {
    let hash = client_record(b"a", 1, &Outcome::Stored { version: 7 }.into(), 5);
    assert_ne!(hash, client_record(b"b", 1, &Outcome::Stored { version: 7 }.into(), 5));
    assert_ne!(hash, client_record(b"a", 2, &Outcome::Stored { version: 7 }.into(), 5));
    assert_ne!(hash, client_record(b"a", 1, &Outcome::Stored { version: 8 }.into(), 5));
    assert_ne!(hash, client_record(b"a", 1, &Outcome::Exists { version: 7 }.into(), 5));
    assert_ne!(hash, client_record(b"a", 1, &Outcome::Stored { version: 7 }.into(), 6));
}

#[test]
fn the_hash_of_a_record_is_the_same_in_every_version_of_the_program() {
    // Nodes of two versions run side by side during an upgrade and compare
    // digests; a changed hash would look like a diverged store.
    assert_eq!(key_record(b"k", &first(b"v", 3, Some(4000))), 3_540_478_908_485_253_081);
    assert_eq!(client_record(b"c", 3, &Outcome::Deleted.into(), 4000), 4_441_243_830_229_851_136);
}
