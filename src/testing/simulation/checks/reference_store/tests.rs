use super::*;
use crate::types::{LogIndex, Term};

/// A stamp, the `once` of the command, and its operation.
type Stamped = (u64, Option<(&'static str, u64)>, Operation);

fn log(commands: &[Stamped]) -> ReferenceStore {
    let entries: Vec<Entry> = (1..)
        .zip(commands)
        .map(|(index, (stamp_ms, once, operation))| {
            let once = once.map(|(client, seq)| Once { client: client.into(), seq });
            let operation = operation.clone();
            let command = Command { once, store_bytes_max: 0, operation };
            let payload = Payload::Command(command.encode());
            Entry { index: LogIndex(index), term: Term(1), stamp_ms: *stamp_ms, payload }
        })
        .collect();
    ReferenceStore::of(&entries)
}

fn set(value: &'static str, exptime: u64) -> Operation {
    Operation::Set { key: "k".into(), exptime, value: value.into(), lease: 0 }
}

fn delete(key: &'static str) -> Operation {
    Operation::Delete { key: key.into() }
}

#[test]
fn it_knows_every_key_at_every_index() {
    let store = log(&[
        (10, None, set("a", 0)),
        (20, None, set("b", 2)),
        (2_019, None, delete("x")),
        (2_020, None, delete("x")),
    ]);
    let values: Vec<_> = (0..=4).map(|index| store.at(index, b"k")).collect();
    let value = |held: Option<&Held>| held.map(|held| held.value.clone());
    let expected = [None, Some("a"), Some("b"), Some("b"), None];
    assert!(values.into_iter().map(value).eq(expected.map(|value| value.map(Bytes::from))));
    assert_eq!(store.keys_at(3).count(), 1);
}

#[test]
fn a_number_is_executed_once() {
    let store = log(&[
        (10, Some(("c", 1)), set("a", 0)),
        (10, Some(("c", 1)), delete("k")),
        (10, Some(("c", 3)), delete("k")),
        (10, Some(("c", 2)), set("b", 0)),
    ]);
    let stored = Outcome::Stored { version: 1 };
    let expected = [stored.clone(), stored, Outcome::Deleted, Outcome::Stale];
    assert!(
        (1..=4).map(|index| store.outcome(index)).eq(expected.map(|it| Some(Told::Outcome(it))))
    );
    assert_eq!(store.deleted(3), Some(&Bytes::from("k")));
    assert_eq!(store.at(4, b"k"), None);
}

#[test]
fn it_knows_the_keys_that_have_expired_and_counts_the_clients_that_are_forgotten() {
    let store = log(&[
        (10, Some(("c", 1)), set("a", 2)),
        (2_009, None, delete("x")),
        (2_010, None, delete("x")),
        (CLIENT_SILENCE_MS + 9, None, delete("x")),
        (CLIENT_SILENCE_MS + 10, None, delete("x")),
    ]);
    let [Expiration { key, held, gone }] = store.expirations() else { panic!("one has expired") };
    assert_eq!((&key[..], &held.value[..], held.version, *gone), (&b"k"[..], &b"a"[..], 1, 3));
    assert_eq!(store.forgotten_clients(), 1);
}
