use bytes::Bytes;

use super::types::Transacted;
use super::*;
use crate::kv::{
    CLIENT_SILENCE_MS, Command, Compare, CompareTarget, KeyRange, Once, Operation, Outcome, Put,
    Relation, Transaction, TransactionOperation,
};
use crate::types::{Entry, Format, FormatInForce, LogIndex, Payload, Term};

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

/// A log whose format is 4 from entry 3 on; the commands follow, each with its stamp.
fn newest(commands: Vec<(u64, Operation)>) -> ReferenceStore {
    let raise = |format| {
        let raised = FormatInForce::of(Format(format)).in_unwritten_log();
        (0, Payload::Format(raised))
    };
    let command = |(stamp_ms, operation)| {
        let command = Command { once: None, store_bytes_max: 0, operation };
        (stamp_ms, Payload::Command(command.encode()))
    };
    let payloads = [raise(2), raise(3), raise(4)].into_iter();
    let entries = (1..).zip(payloads.chain(commands.into_iter().map(command)));
    let entry = |(index, (stamp_ms, payload))| Entry {
        index: LogIndex(index),
        term: Term(1),
        stamp_ms,
        payload,
    };
    ReferenceStore::of(&entries.map(entry).collect::<Vec<_>>())
}

fn set_leased(key: &'static str, lease: u64) -> Operation {
    Operation::Set { key: key.into(), exptime: 0, value: "v".into(), lease }
}

fn grant(id: u64, ttl: u64) -> Operation {
    Operation::Grant { id, ttl, leases_max: 10 }
}

#[test]
fn keys_go_with_their_lease_in_one_revision() {
    let store = newest(vec![
        (10, grant(7, 2)),
        (10, set_leased("a", 7)),
        (10, set_leased("b", 7)),
        (10, set_leased("b", 0)),
        (10, set_leased("c", 7)),
        (1_000, Operation::Renew { ids: vec![7, 8] }),
        (2_999, delete("x")),
        (3_000, delete("x")),
        (3_000, set_leased("a", 7)),
    ]);
    let told = |outcome| Some(Told::Outcome(outcome));
    assert_eq!(store.outcome(4), told(Outcome::Granted { id: 7, ttl: 2 }));
    assert_eq!(store.outcome(9), told(Outcome::Renewed(vec![Some(2), None])));
    assert!(store.was_live(10, 7) && !store.was_live(11, 7));
    assert!(store.at(10, b"a").is_some() && store.at(11, b"a").is_none());
    assert!(store.at(11, b"b").is_some(), "it was written without the lease");
    assert_eq!(store.outcome(12), told(Outcome::NoLease));
    let last: Vec<_> = store.changes().iter().filter(|change| change.revision == 6).collect();
    assert!(last.iter().all(|change| change.became == Became::Expired), "{last:?}");
    assert!(last.iter().map(|change| &change.key[..]).eq([&b"a"[..], b"c"]));
    let [LeaseExpiry { id: 7, ttl: 2, begun: 9, gone: 11 }] = store.lease_expiries() else {
        panic!("one lease has expired");
    };
}

#[test]
fn one_entry_ends_one_lease_that_has_keys() {
    let store = newest(vec![
        (10, grant(7, 1)),
        (10, grant(8, 1)),
        (10, set_leased("a", 7)),
        (10, set_leased("b", 8)),
        (2_000, delete("x")),
        (2_000, delete("x")),
    ]);
    assert_eq!(store.keys_at(8).count(), 0, "both are hidden at once");
    assert_eq!((store.revision(8), store.revision(9)), (4, 5));
}

#[test]
fn a_transaction_is_executed_at_one_revision_or_not_at_all() {
    let put = |key: &'static str| {
        TransactionOperation::Put(Put {
            key: key.into(),
            value: Some("v".into()),
            lease: Some(0),
            exptime: 0,
            wants_previous: false,
        })
    };
    let transaction = |version| {
        let compare = Compare {
            keys: KeyRange::key("a".into()),
            relation: Relation::Equal,
            target: CompareTarget::ModRevision(version),
        };
        let then = vec![put("a"), put("b")];
        Operation::Transaction(Transaction { compares: vec![compare], then, otherwise: vec![] })
    };
    let store = newest(vec![(10, transaction(0)), (10, transaction(0))]);
    let outcome =
        |failed, parts| Some(Told::Transaction(Transacted { revision: 2, failed, parts }));
    assert_eq!(store.outcome(4), outcome(None, vec![Did::Put, Did::Put]));
    assert_eq!(store.outcome(5), outcome(Some(("a".into(), 2)), Vec::new()));
    assert_eq!(store.changes().len(), 2);
    assert_eq!(store.index_of(2), Some(4));
}
