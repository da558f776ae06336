use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::kv::change::ChangeKind;
use crate::kv::expiry::Total;
use crate::kv::weight::weight_bytes;
use crate::kv::{
    Answer, ChangeEvent, KeyRange, Query, RangeQuery, Store, WatchBudget, WatchCompacted,
    WatchCursor, WatchFilter, WatchReadError,
};
use crate::testing::store_model::{Log, any_history, delete, in_format_4, noop, set, set_for};
use crate::types::Entry;

/// All keys as a read at a revision sees them; 0 for now.
fn all(store: &Store, at: u64) -> Result<BTreeMap<Bytes, Record>, Answer> {
    let keys = KeyRange::all();
    let query = Query::Range(RangeQuery { keys, limit: 0, at, is_count_only: false });
    match store.query(&query, 0).expect("the store is sound") {
        Answer::Range { answer, .. } => Ok(answer.records.into_iter().collect()),
        other => Err(other),
    }
}

/// The events from a revision on.
fn events(store: &Store, from: u64) -> Vec<ChangeEvent> {
    let filter = WatchFilter { wants_previous: true, ..WatchFilter::all(KeyRange::all()) };
    let budget = WatchBudget { bytes: usize::MAX, keys: usize::MAX };
    let read = store.history_view().read(&WatchCursor::from(from), &filter, budget);
    read.expect("the changes are kept").events
}

/// The history's size, digest, and the keys that are gone, computed from its changes.
fn recompute(history: &History) -> (u64, u64, BTreeMap<KeyBytes, u64>) {
    let (mut bytes, mut digest, mut gone) = (0, 0u64, BTreeMap::new());
    for (number, change) in history.changes().from(0) {
        bytes += change.weight_bytes();
        digest = digest.wrapping_add(change.hash(number));
        match &change.action {
            Action::Put { key, .. } => drop(gone.remove(key)),
            Action::Delete { key, .. } | Action::Expire { key, .. } => {
                gone.insert(key.clone(), number);
            }
            Action::LeaseEnd(_) => {}
        }
    }
    (bytes, digest, gone)
}

/// The store after each entry; before some of them the bounds of the history change.
fn stores(history: Vec<Entry>, limits: &[(usize, HistoryLimits)]) -> Vec<Store> {
    let mut store = Store::new();
    let entries = in_format_4(history).into_iter().enumerate();
    let stores = entries.map(|(place, entry)| {
        let set = limits.iter().filter(|(at, _)| *at == place && place > 0);
        set.for_each(|(_, limits)| store.history_mut().set_limits(*limits));
        store.apply(&entry).expect("the store is sound");
        store.clone()
    });
    stores.collect()
}

fn any_limits() -> impl Strategy<Value = Vec<(usize, HistoryLimits)>> {
    let keep = prop::sample::select(vec![0, 1, 3, 10, 1000]);
    let bytes_max = prop::sample::select(vec![0, 0, 300, 2000]);
    let limits = (keep, bytes_max)
        .prop_map(|(keep_revisions, bytes_max)| HistoryLimits { keep_revisions, bytes_max });
    prop::collection::vec((1..60usize, limits), 0..4)
}

proptest! {
    #[test]
    fn every_revision_that_can_be_read_is_as_it_was(
        history in any_history(), limits in any_limits(),
    ) {
        let stores = stores(history, &limits);
        // The store after the entry that made the revision.
        let mut as_of: BTreeMap<u64, &Store> = BTreeMap::new();
        for (place, store) in stores.iter().enumerate() {
            as_of.entry(store.revision()).or_insert(store);
            if place % 5 > 0 && place + 1 < stores.len() {
                continue;
            }
            let (compacted, revision) = (store.compacted(), store.revision());
            prop_assert!(compacted <= revision);
            for at in 1..compacted {
                prop_assert_eq!(all(store, at), Err(Answer::Compacted { revision: compacted }));
            }
            for at in compacted..revision {
                prop_assert_eq!(all(store, at), all(as_of[&at], 0), "{} of {}", at, revision);
            }
            prop_assert_eq!(all(store, revision + 1), Err(Answer::Future { revision }));
        }
    }

    #[test]
    fn the_events_turn_each_revision_into_the_next(
        history in any_history(), limits in any_limits(),
    ) {
        let stores = stores(history, &limits);
        let store = stores.last().unwrap();
        let kept_from = store.history().kept_from();
        let mut keys = all(store, store.compacted()).unwrap();
        // The revision with which a history begins has no changes.
        let mut revision = kept_from;
        for event in events(store, kept_from) {
            prop_assert!((revision..=revision + 1).contains(&event.revision), "dense, in order");
            revision = event.revision;
            if revision == store.compacted() {
                continue;
            }
            // A key whose time is over is hidden before the event that says so.
            let previous = event.previous.as_ref();
            let before = match (&event.record, event.kind) {
                (Some(record), ChangeKind::Put) => {
                    keys.insert(event.key.clone(), record.clone())
                }
                (None, ChangeKind::Delete | ChangeKind::Expire) => keys.remove(&event.key),
                _ => panic!("{event:?}"),
            };
            if event.kind != ChangeKind::Expire || before.is_some() {
                prop_assert_eq!(before.as_ref(), previous);
            }
            let last = store.history().moment(revision).unwrap().clock_ms;
            prop_assert_eq!(last, event.at_ms, "the time of a revision is that of its changes");
        }
        let visible = all(store, 0).unwrap();
        keys.retain(|_, record| !record.is_due(store.clock_ms()));
        prop_assert_eq!(keys, visible);
    }

    #[test]
    fn the_sums_and_the_bounds_of_the_history_hold(
        history in any_history(), limits in any_limits(),
    ) {
        for store in stores(history, &limits) {
            let history = store.history();
            let (bytes, digest, gone) = recompute(history);
            prop_assert_eq!((history.bytes, history.digest), (bytes, digest));
            let has_kept_always = limits.iter().all(|(_, limits)| limits.keep_revisions > 0);
            if has_kept_always {
                let found: BTreeMap<KeyBytes, u64> =
                    history.gone.iter().map(|(key, number)| (key.clone(), *number)).collect();
                prop_assert_eq!(found, gone);
            }
            let HistoryLimits { keep_revisions, bytes_max } = history.limits();
            prop_assert!(history.revision() - history.compacted() <= keep_revisions);
            let mut later = store.clone();
            later.apply(&noop(store.last_applied().0 + 1, 0)).unwrap();
            prop_assert!(!later.history().has_surplus(), "there are few changes");
            prop_assert!(bytes_max == 0 || later.history().bytes() <= bytes_max);
        }
    }

    #[test]
    fn stores_with_other_histories_have_other_digests(history in any_history()) {
        let stores = stores(history, &[]);
        let store = stores.last().unwrap();
        let mut compacted = store.clone();
        if compacted.history_mut().compact(store.revision()) == Ok(()) && compacted != *store {
            prop_assert_ne!(compacted.digest(), store.digest());
        }
        let mut limited = store.clone();
        limited.history_mut().set_limits(HistoryLimits { keep_revisions: 7, bytes_max: 0 });
        prop_assert_ne!(limited.digest(), store.digest());
    }
}

/// A store with `revisions` writes after revision 1.
fn log(revisions: u64) -> Log {
    let mut log = Log::with_history();
    for revision in 0..revisions {
        log.apply(&set(&format!("k{}", revision % 5), &revision.to_string()));
    }
    log
}

#[test]
fn the_history_begins_with_format_4() {
    let log = Log::with_history();
    assert_eq!((log.store.history().revision(), log.store.history().compacted()), (1, 1));
    assert_eq!(log.store.history().limits(), HistoryLimits::default());
    assert!(!Store::new().history().keeps_changes());
}

#[test]
fn compact_says_what_it_cannot_do_and_may_be_repeated() {
    let mut log = log(10);
    let history = log.store.history_mut();
    assert_eq!(history.compact(12), Err(NotReadable::Future { revision: 11 }));
    assert_eq!(history.compact(8), Ok(()));
    assert_eq!(history.compact(8), Ok(()), "a retry of it");
    assert_eq!(history.compact(7), Err(NotReadable::Compacted { revision: 8 }));
    assert_eq!((history.compacted(), history.kept_from()), (8, 8));
    log.pass(0);
    assert_eq!(log.store.history().changes().oldest().unwrap().revision, 8);
    let view = log.store.history_view();
    let budget = WatchBudget { bytes: 1000, keys: 1000 };
    let filter = WatchFilter::all(KeyRange::all());
    let read = view.read(&WatchCursor::from(8), &filter, budget).unwrap();
    assert_eq!(read.events[0].revision, 8, "the change at the compacted revision is kept");
    let below = view.read(&WatchCursor::from(7), &filter, budget).unwrap_err();
    assert_eq!(below, WatchReadError::Compacted(WatchCompacted { revision: 8 }));
}

#[test]
fn an_entry_removes_a_bounded_number_of_changes_and_later_ones_go_on() {
    let mut log = log(3000);
    log.store.history_mut().compact(3001).unwrap();
    assert!(log.store.has_hidden(), "the leader is to write entries");
    let left = |log: &Log| log.store.history().changes().len();
    log.apply(&set("k", "v"));
    assert!((2900..3000).contains(&left(&log)), "a command removes few: {}", left(&log));
    let before = left(&log);
    log.pass(0);
    assert_eq!(left(&log), before - 1000);
    (0..2).for_each(|_| log.pass(0));
    assert_eq!(left(&log), 2, "the change at the compacted revision and the one after it");
    assert!(!log.store.has_hidden());
}

#[test]
fn a_smaller_bound_in_bytes_moves_the_compacted_revision_in_steps() {
    let mut log = log(3000);
    let bytes_max = 100 * 300;
    log.store.history_mut().set_limits(HistoryLimits { keep_revisions: 100_000, bytes_max });
    let mut compacted = vec![log.store.compacted()];
    while log.store.has_hidden() {
        log.pass(0);
        compacted.push(log.store.compacted());
        assert!(compacted.is_sorted());
    }
    assert_eq!(compacted.len(), 4, "1,000 an entry: {compacted:?}");
    assert!((bytes_max - 300..=bytes_max).contains(&log.store.history().bytes()));
    // A write of the size of all of it takes the place of all of it.
    log.apply(&set("k0", &"v".repeat(40_000)));
    log.apply(&set("k0", "small"));
    assert!(log.store.history().bytes() <= bytes_max);
    assert_eq!((log.store.compacted(), log.store.revision()), (3003, 3003));
}

#[test]
fn without_revisions_to_keep_nothing_is_kept() {
    let mut log = log(10);
    log.store.history_mut().set_limits(HistoryLimits { keep_revisions: 0, bytes_max: 0 });
    log.apply(&set("k1", "v"));
    log.apply(&delete("k1"));
    log.apply(&set("k2", "w"));
    let history = log.store.history();
    assert_eq!((history.changes().len(), history.bytes(), history.gone_len()), (0, 0, 0));
    assert_eq!((history.revision(), history.compacted(), history.kept_from()), (14, 14, 15));
    assert!(!log.store.records().get(b"k2").unwrap().unwrap().is_shared());
    let next = log.store.history_view();
    let budget = WatchBudget { bytes: 1000, keys: 1000 };
    let filter = WatchFilter::all(KeyRange::all());
    assert!(next.read(&WatchCursor::from(14), &filter, budget).is_err(), "its change is not kept");
    assert!(next.read(&WatchCursor::from(15), &filter, budget).is_ok());
}

#[test]
fn a_key_is_hidden_in_the_past_from_its_deadline_on() {
    let mut log = Log::with_history();
    log.apply(&set_for("short", "v", 2));
    log.apply(&set("other", "1"));
    // A crowd that is due before the key, so that the key is removed by a later entry.
    (0..40).for_each(|place| drop(log.apply(&set_for(&format!("a{place:02}"), "v", 1))));
    let last_seen = log.store.revision();
    log.advance(2000);
    log.apply(&set("other", "2"));
    let hidden = log.store.revision();
    assert!(log.store.records().stored(b"short").is_some(), "it is hidden, and still stored");
    log.apply(&set("other", "3"));
    (0..3).for_each(|_| log.pass(0));
    assert!(log.store.records().stored(b"short").is_none());
    let key = Bytes::from("short");
    assert!(all(&log.store, last_seen).unwrap().contains_key(&key));
    assert!(!all(&log.store, hidden).unwrap().contains_key(&key));
}

/// A change of a lease with these keys, which are stored.
fn end_lease(log: &mut Log, keys: &[&str]) -> u64 {
    let store = &mut log.store;
    let mut end = LeaseEnd {
        id: 7,
        kind: ChangeKind::Delete,
        due_ms: u64::MAX,
        keys: OrdMap::new(),
        total: Total::default(),
        hash: 0,
    };
    for key in keys {
        let record = store.records().stored(key.as_bytes()).unwrap().clone();
        end.total.add(weight_bytes(key.as_bytes(), record.value()));
        end.hash = end.hash.wrapping_add(record.hash);
        end.keys.insert(KeyBytes::from(key.as_bytes()), record);
    }
    let (revision, at_ms) = (store.revision() + 1, store.clock_ms());
    let number = store.history().next_change();
    let action = Action::LeaseEnd(Arc::new(end));
    store.history_mut().push(Change { revision, at_ms, action });
    store.history_mut().finish(revision, at_ms);
    for key in keys {
        let (key, _) = store.records_mut().remove(key.as_bytes()).unwrap();
        store.history_mut().add_gone(key, number);
    }
    number
}

#[test]
fn the_end_of_a_lease_is_read_watched_and_forgotten_key_by_key() {
    let mut log = Log::with_history();
    let keys: Vec<String> = (0..50).map(|place| format!("k{place:02}")).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    keys.iter().for_each(|key| drop(log.apply(&set(key, "v"))));
    let before = log.store.revision();
    let number = end_lease(&mut log, &keys);
    assert_eq!(all(&log.store, before).unwrap().len(), 50);
    assert_eq!(all(&log.store, 0).unwrap().len(), 0);
    let view = log.store.history_view();
    let filter = WatchFilter::all(KeyRange::between(Bytes::from("k05"), Bytes::from("k25")));
    let (mut cursor, mut found, mut parts) = (WatchCursor::from(before + 1), Vec::new(), 0);
    loop {
        let budget = WatchBudget { bytes: 9, keys: 10 };
        let read = view.read(&cursor, &filter, budget).unwrap();
        found.extend(read.events.into_iter().map(|event| event.key));
        assert_eq!(read.complete_to, if read.has_more { before } else { before + 1 });
        (cursor, parts) = (read.cursor, parts + 1);
        if !read.has_more {
            break;
        }
    }
    assert_eq!((found.len(), parts), (20, 9), "three keys a read, and ten that are looked at");
    assert!(found.is_sorted() && found[0] == "k05");
    let mut seen = Vec::new();
    let mut cursor = WatchCursor::from(before + 1);
    loop {
        let (next, has_more) =
            view.changed_keys(&cursor, 7, |key| seen.push(key.to_vec())).unwrap();
        cursor = next;
        if !has_more {
            break;
        }
    }
    assert_eq!(seen, keys.iter().map(|key| key.as_bytes().to_vec()).collect::<Vec<_>>());
    // A write of one of the keys, then all before it is forgotten.
    log.apply(&set("k10", "new"));
    let change = log.store.history().changes().get(number + 1).unwrap();
    assert!(matches!(change.action, Action::Put { before, .. } if before == number), "{change:?}");
    assert_eq!(all(&log.store, before).unwrap().len(), 50);
    let revision = log.store.revision();
    let history = log.store.history_mut();
    history.compact(revision).unwrap();
    assert_eq!(history.gone_len(), 49);
    history.trim(50 + 20);
    assert_eq!((history.changes().first(), history.gone_len()), (number, 30), "20 of 50 keys");
    assert_eq!(history.forgotten().map(|key| &key[..]), Some(&b"k19"[..]));
    history.add_gone(KeyBytes::from(&b"k03"[..]), number);
    assert_eq!(history.gone_len(), 30, "what is forgotten is not remembered again");
    history.trim(1000);
    assert_eq!((history.changes().first(), history.gone_len()), (number + 1, 0));
    assert_eq!(history.forgotten(), None);
}
