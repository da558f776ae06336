//! Random logs, applied to the store and to a model of it.

use bytes::Bytes;
use proptest::prelude::*;

use crate::kv::{Answer, Item, Query, Store};
use crate::testing::store_model::{Model, any_history, entry, set};
use crate::types::{Entry, Payload};

/// Scans page by page until there are no further keys.
fn scan_in_pages(store: &Store, prefix: &Bytes, limit: u64, now_ms: u64) -> Vec<(Bytes, Item)> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let query = Query::Scan { prefix: prefix.clone(), limit, after, at: 0 };
        let Ok(Answer::Scan { items, more }) = store.query(&query, now_ms) else {
            panic!("a scan is answered by a scan");
        };
        assert!(items.len() as u64 <= limit);
        assert!(!more || !items.is_empty(), "after MORE the client has a key to go on from");
        found.extend(items);
        if !more {
            return found;
        }
        after = found.last().map(|(key, _)| key.clone());
    }
}

/// The entry as recovery reads it: the same bytes in another allocation.
fn reread(entry: &Entry) -> Entry {
    let body = Bytes::from(entry.payload.body().to_vec());
    let payload = Payload::decode(entry.payload.kind(), body).unwrap();
    Entry { payload, ..entry.clone() }
}

proptest! {
    #[test]
    fn the_store_does_what_the_model_does(history in any_history()) {
        let (mut store, mut model) = (Store::new(), Model::default());
        for entry in &history {
            prop_assert_eq!(store.apply(entry), Ok(model.apply(entry)), "{:?}", entry);
            prop_assert_eq!(store.clock_ms(), model.clock_ms);
            prop_assert_eq!(store.keys(), model.keys.len() as u64);
            prop_assert_eq!(store.visible_clients(), model.clients.len());
            prop_assert!(store.bytes() <= store.stored().0, "hidden keys are stored");
            prop_assert_eq!(store.bytes(), model.bytes());
            let deadlines = model.keys.values().map(|key| key.deadline_ms);
            prop_assert_eq!(store.next_deadline_ms(), deadlines.filter(|ms| *ms > 0).min());
            prop_assert_eq!(store.stored(), store.recomputed());
        }
        for prefix in ["", "a", "ab", "c", "zz"] {
            let expected = model.scan(prefix.as_bytes(), model.clock_ms + 300);
            for limit in [1, 2, 100] {
                let found = scan_in_pages(&store, &prefix.into(), limit, model.clock_ms + 300);
                prop_assert_eq!(&found, &expected);
            }
        }
    }

    #[test]
    fn a_replay_of_the_log_makes_the_very_same_store(history in any_history()) {
        let (mut live, mut replayed) = (Store::new(), Store::new());
        for entry in &history {
            let outcome = live.apply(entry);
            prop_assert_eq!(replayed.apply(&reread(entry)), outcome);
            prop_assert_eq!(replayed.digest(), live.digest());
        }
        prop_assert_eq!(replayed, live);
    }

    #[test]
    fn a_clone_goes_on_like_the_original(
        history in any_history(), at in any::<prop::sample::Index>(),
    ) {
        let at = at.index(history.len() + 1);
        let mut store = Store::new();
        for entry in &history[..at] {
            store.apply(entry).unwrap();
        }
        let clone = store.clone();
        let stored = clone.stored();
        for entry in &history[at..] {
            store.apply(entry).unwrap();
        }
        prop_assert_eq!(stored, clone.recomputed());
        let mut resumed = clone;
        for entry in &history[at..] {
            resumed.apply(entry).unwrap();
        }
        prop_assert_eq!(resumed, store);
    }

    #[test]
    fn stores_that_differ_have_different_digests(history in any_history(), value in "[d-z]{3}") {
        let (mut one, mut other) = (Store::new(), Store::new());
        for entry in &history {
            one.apply(entry).unwrap();
            other.apply(entry).unwrap();
        }
        let index = history.len() as u64 + 1;
        let stamp_ms = one.clock_ms();
        one.apply(&entry(index, stamp_ms, &set("a", &value))).unwrap();
        other.apply(&entry(index, stamp_ms, &set("a", "another"))).unwrap();
        prop_assert_ne!(one.digest(), other.digest());
    }
}
