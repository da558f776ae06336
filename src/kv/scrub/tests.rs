use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::commands::KeyRange;
use crate::kv::{
    Answer, ApplyError, Command, Operation, Query, WatchBudget, WatchCursor, WatchFilter,
    WatchReadError,
};
use crate::testing::store_model::{
    Log, add, any_history, cas, delete, end, entry, noop, set, set_for,
};

/// The result of a whole walk, in steps of `records`.
fn walk(store: &Store, records: u64) -> Result<(), Corruption> {
    let mut scrub = Scrub::default();
    while !store.scrub(&mut scrub, ScrubBudget { records, bytes: u64::MAX })? {}
    Ok(())
}

fn store(keys: u64) -> Store {
    let mut store = Store::new();
    for index in 1..=keys {
        let command = set_for(&format!("key{index:04}"), "value", index % 3).once("client", index);
        store.apply(&entry(index, 0, &command)).unwrap();
    }
    store
}

fn get(store: &Store, key: &str) -> Result<Answer, Corruption> {
    store.query(&Query::Get { key: Bytes::copy_from_slice(key.as_bytes()), at: 0 }, 0)
}

fn scan(store: &Store) -> Result<Answer, Corruption> {
    store.query(&Query::Scan { prefix: Bytes::new(), limit: 100, after: None, at: 0 }, 0)
}

fn snapshot(store: &Store) -> Result<Vec<Vec<u8>>, Corruption> {
    store.snapshot_blocks().collect()
}

fn key_corruption(key: &str, version: u64) -> Corruption {
    Corruption::Key { key: key.to_owned(), version }
}

#[test]
fn a_sound_store_passes_in_steps_of_any_size() {
    let store = store(50);
    for records in [1, 7, 50, 51, 1000] {
        assert_eq!(walk(&store, records), Ok(()), "steps of {records}");
    }
}

#[test]
fn a_step_ends_at_the_number_and_at_the_size_of_the_records() {
    let store = store(50);
    let steps = |budget| {
        let (mut scrub, mut steps) = (Scrub::default(), 1);
        while !store.scrub(&mut scrub, budget).unwrap() {
            steps += 1;
        }
        steps
    };
    assert_eq!(steps(ScrubBudget { records: 10, bytes: u64::MAX }), 6, "50 keys and a client");
    let each = weight_bytes(b"key0001", b"value");
    assert_eq!(steps(ScrubBudget { records: u64::MAX, bytes: 5 * each }), 11);
    assert_eq!(steps(ScrubBudget { records: 0, bytes: 0 }), 52, "a step does something");
}

#[test]
fn a_changed_bit_is_found_by_each_read_by_the_walk_and_by_a_snapshot() {
    for seed in [0, 1 << 8, 0x0003_0500, 0x0005_0200] {
        let mut store = store(1);
        assert!(store.flip_bit(seed));
        let found = get(&store, "key0001").unwrap_err();
        assert!(matches!(&found, Corruption::Key { key, .. } if key == "key0001"), "{found}");
        let meta = Query::GetMeta { key: Bytes::from("key0001"), at: 0 };
        let others = [
            store.query(&meta, 0).map(|_| ()),
            scan(&store).map(|_| ()),
            walk(&store, 10),
            snapshot(&store).map(|_| ()),
        ];
        assert!(others.iter().all(|other| other.as_ref() == Err(&found)), "{others:?}");
    }
}

#[test]
fn a_changed_record_decides_no_outcome() {
    for command in [cas("key0001", 1, "x"), delete("key0001"), set("key0001", "x")] {
        let mut store = store(1);
        assert!(store.flip_bit(0x0005_0000), "the version");
        let applied = store.apply(&entry(2, 0, &command));
        assert_eq!(applied, Err(ApplyError::Corrupted(key_corruption("key0001", 0))));
    }
}

/// A store at revision 2, whose only value has changed.
fn with_changed_value() -> Log {
    let mut log = Log::with_history();
    log.apply(&set("k", "value"));
    assert_eq!(log.store.revision(), 2);
    assert!(log.store.flip_bit(0x0002_0000), "the value");
    log
}

#[test]
fn a_changed_value_decides_no_outcome() {
    for command in [cas("k", 2, "x"), delete("k"), add("k", "x")] {
        let mut log = with_changed_value();
        let next = entry(log.store.last_applied().0 + 1, 0, &command);
        let found = ApplyError::Corrupted(key_corruption("k", 2));
        assert_eq!(log.store.apply(&next), Err(found), "{command:?}");
    }
}

/// A put does not look at the value that it replaces. Those who do look at it in the history are
/// the ones to find it.
#[test]
fn a_changed_value_that_was_replaced_is_found_by_each_reader_of_the_history() {
    let mut log = with_changed_value();
    log.apply(&set("k", "next"));
    let store = &log.store;
    assert!(get(store, "k").is_ok());
    let found = Err(key_corruption("k", 2));
    let past = Query::Get { key: Bytes::from("k"), at: 2 };
    assert_eq!(store.query(&past, 0).map(|_| ()), found);
    assert_eq!(walk(store, 10), found);
    assert_eq!(snapshot(store).map(|_| ()), found);
    let budget = WatchBudget { bytes: usize::MAX, keys: usize::MAX };
    let watch = |from, wants_previous| {
        let filter = WatchFilter { wants_previous, ..WatchFilter::all(KeyRange::all()) };
        let read = store.history_view().read(&WatchCursor::from(from), &filter, budget);
        read.map(|read| read.events.len())
    };
    let found = WatchReadError::Corrupted(key_corruption("k", 2));
    assert_eq!(watch(2, false), Err(found.clone()));
    assert_eq!(watch(3, true), Err(found));
    assert_eq!(watch(3, false), Ok(1), "it is not asked for");
}

#[test]
fn a_watch_is_told_of_no_key_or_number_that_has_changed() {
    let budget = WatchBudget { bytes: usize::MAX, keys: usize::MAX };
    let all = WatchFilter::all(KeyRange::all());
    // The key is written at revision 2, and expires at revision 3.
    for revision in [2, 3] {
        let mut log = Log::with_history();
        log.apply(&set_for("k", "value", 1));
        log.store.records_mut().change(b"k", |head, _| head.version = 7);
        let changed = log.store.records_mut().stored(b"k").unwrap().clone();
        log.store.history_mut().write_again(&changed);
        log.pass(2_000);
        let view = log.store.history_view();
        let read = view.read(&WatchCursor::from(revision), &all, budget);
        let found = WatchReadError::Corrupted(key_corruption("k", 2));
        assert_eq!(read, Err(found), "revision {revision}");
    }
}

#[test]
fn a_changed_deadline_hides_no_key() {
    let mut store = store(1);
    store.records_mut().change(b"key0001", |head, _| head.deadline_ms = Some(0));
    assert_eq!(get(&store, "key0001"), Err(key_corruption("key0001", 1)));
    assert_eq!(scan(&store), Err(key_corruption("key0001", 1)));
}

#[test]
fn a_changed_key_is_found_by_a_scan_by_the_walk_and_by_a_snapshot() {
    let mut store = store(3);
    store.records_mut().rename(b"key0002", b"key0006");
    let found = key_corruption("key0006", 2);
    assert_eq!(get(&store, "key0006"), Err(found.clone()));
    assert_eq!(scan(&store), Err(found.clone()));
    assert_eq!(walk(&store, 10), Err(found.clone()));
    assert_eq!(snapshot(&store), Err(found));
}

#[test]
fn a_changed_client_is_found_by_its_retry_by_the_walk_and_by_a_snapshot() {
    let found = Corruption::Client { name: "client".to_owned() };
    for command in
        [set("k", "v").once("client", 3), set("k", "v").once("client", 4), end().once("client", 3)]
    {
        let mut store = store(3);
        store.clients_mut().change_seq(b"client", 2);
        assert_eq!(walk(&store, 10), Err(found.clone()));
        assert_eq!(snapshot(&store).map(|_| ()), Err(found.clone()));
        let applied = store.apply(&entry(4, 0, &command));
        assert_eq!(applied, Err(ApplyError::Corrupted(found.clone())));
    }
}

#[test]
fn totals_that_the_records_do_not_add_up_to_are_found() {
    let mut store = store(3);
    let kept = store.totals();
    store.records_mut().change_totals(|digest, _| *digest ^= 1);
    let (found, changed) = (kept, Totals { digest: store.digest(), ..kept });
    assert_eq!(walk(&store, 2), Err(Corruption::Totals { found, kept: changed }));
    let mut store = self::store(3);
    store.records_mut().change_totals(|_, bytes| *bytes ^= 1 << 20);
    assert!(matches!(walk(&store, 2), Err(Corruption::Totals { .. })));
}

#[test]
fn a_walk_with_writes_in_between_compares_no_totals() {
    let mut store = store(50);
    let mut scrub = Scrub::default();
    let budget = ScrubBudget { records: 10, bytes: u64::MAX };
    assert_eq!(store.scrub(&mut scrub, budget), Ok(false));
    // The walk has seen the first of these keys, and the second is new.
    store.apply(&entry(51, 0, &set("key0001", "other"))).unwrap();
    store.apply(&entry(52, 0, &set("key9999", "new"))).unwrap();
    while !store.scrub(&mut scrub, budget).unwrap() {}
    assert_eq!(walk(&store, 10), Ok(()));
}

#[test]
fn a_store_that_diverges_is_sound_by_itself_and_has_another_digest() {
    let (mut other, sound) = (store(5), store(5));
    assert!(other.diverge(3));
    assert_eq!(walk(&other, 10), Ok(()));
    assert_ne!(other.digest(), sound.digest());
    assert_eq!(other.last_applied(), sound.last_applied());
    assert!(!Store::new().diverge(0) && !Store::new().flip_bit(0));
}

proptest! {
    #[test]
    fn no_history_makes_a_sound_store_fail(history in any_history(), records in 1u64..20) {
        let mut store = Store::new();
        let mut scrub = Scrub::default();
        for entry in &history {
            store.apply(entry).unwrap();
            let step = store.scrub(&mut scrub, ScrubBudget { records, bytes: 2000 });
            prop_assert!(step.is_ok(), "{:?}", step);
        }
        prop_assert_eq!(walk(&store, records), Ok(()));
    }

    #[test]
    fn no_changed_bit_survives_a_walk(seed in any::<u64>(), keys in 1u64..40) {
        let mut store = store(keys);
        prop_assert!(store.flip_bit(seed));
        prop_assert!(walk(&store, 10).is_err());
        // An expired record leaves with the hash that it was written with.
        store.apply(&noop(keys + 1, 10_000)).unwrap();
    }
}

#[test]
fn a_lease_that_has_changed_is_found() {
    let mut log = Log::with_history();
    for id in [7, 8] {
        let grant = Operation::Grant { id, ttl: 60, leases_max: 10 };
        log.apply(&Command { once: None, store_bytes_max: 0, operation: grant });
    }
    assert_eq!(walk(&log.store, 1), Ok(()));
    log.store.records_mut().leases_mut().change_ttl(8);
    assert_eq!(walk(&log.store, 1), Err(Corruption::Lease { id: 8 }));
}

#[test]
fn a_key_that_its_lease_has_lost_is_found() {
    let mut log = Log::with_history();
    let grant = Operation::Grant { id: 7, ttl: 60, leases_max: 10 };
    let key = Bytes::from("key");
    let set = Operation::Set { key: key.clone(), exptime: 0, value: key.clone(), lease: 7 };
    for operation in [grant, set] {
        log.apply(&Command { once: None, store_bytes_max: 0, operation });
    }
    assert_eq!(walk(&log.store, 1), Ok(()));
    let record = log.store.records().stored(&key).unwrap().clone();
    let leases = log.store.records_mut().leases_mut();
    leases.detach(&KeyBytes::from(&key[..]), &record, weight_bytes(&key, &key));
    assert_eq!(walk(&log.store, 1), Err(Corruption::unreachable(&key)));
}
