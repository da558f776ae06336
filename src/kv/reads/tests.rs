use super::*;
use crate::kv::history::NotReadable;
use crate::kv::{Answer, Item, Query, Store};
use crate::testing::store_model::{Log, delete, set, set_for};

fn get(store: &Store, key: &str, at: u64) -> Answer {
    store.query(&Query::Get { key: Bytes::copy_from_slice(key.as_bytes()), at }, 0).unwrap()
}

fn value(value: &'static str) -> Answer {
    Answer::Value(Bytes::from(value))
}

/// Revision 2: a=1. 3: b=2. 4: a is gone. 5: a=3. 6: b is gone.
fn log() -> Log {
    let mut log = Log::with_history();
    log.apply(&set_for("a", "1", 10));
    log.apply(&set("b", "2"));
    log.advance(2500);
    log.apply(&delete("a"));
    log.apply(&set("a", "3"));
    log.apply(&delete("b"));
    log
}

#[test]
fn a_key_is_read_as_it_was_at_each_revision() {
    let store = log().store;
    let of_a: Vec<Answer> = (1..=6).map(|at| get(&store, "a", at)).collect();
    let gone = || Answer::NotFound;
    assert_eq!(of_a, [gone(), value("1"), value("1"), gone(), value("3"), value("3")]);
    let of_b: Vec<Answer> = (1..=6).map(|at| get(&store, "b", at)).collect();
    assert_eq!(of_b, [gone(), gone(), value("2"), value("2"), value("2"), gone()]);
    assert_eq!(get(&store, "a", 7), Answer::Future { revision: 6 });
    assert_eq!(get(&store, "a", 0), value("3"));
}

#[test]
fn the_time_that_a_key_had_left_is_that_of_the_revision() {
    let store = log().store;
    let meta = |at| {
        let query = Query::GetMeta { key: Bytes::from("a"), at };
        store.query(&query, u64::MAX).unwrap()
    };
    let item = |value, version, exptime| {
        Answer::Meta(Item { value: Bytes::from_static(value), version, exptime })
    };
    assert_eq!(meta(3), item(b"1", 2, 10));
    assert_eq!(meta(5), item(b"3", 5, 0));
}

#[test]
fn a_page_of_the_past_has_keys_that_are_gone_now() {
    let store = log().store;
    let scan = |at, limit, after: Option<&'static str>| {
        let after = after.map(Bytes::from);
        let query = Query::Scan { prefix: Bytes::new(), limit, after, at };
        match store.query(&query, 0).unwrap() {
            Answer::Scan { items, more } => {
                (items.iter().map(|(key, _)| key.escape_ascii().to_string()).collect(), more)
            }
            other => panic!("{other:?}"),
        }
    };
    let keys = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>();
    assert_eq!(scan(3, 10, None), (keys(&["a", "b"]), false));
    assert_eq!(scan(3, 1, None), (keys(&["a"]), true));
    assert_eq!(scan(3, 10, Some("a")), (keys(&["b"]), false));
    assert_eq!(scan(4, 10, None), (keys(&["b"]), false));
    assert_eq!(scan(6, 10, None), (keys(&["a"]), false));
    assert_eq!(scan(1, 10, None), (keys(&[]), false));
}

#[test]
fn a_range_counts_the_keys_beyond_its_limit() {
    let store = log().store;
    let read = |limit, is_count_only| {
        let query = RangeQuery { keys: KeyRange::all(), limit, at: 3, is_count_only };
        match store.query(&Query::Range(query), 0).unwrap() {
            Answer::Range { revision: 6, answer } => (answer.records.len(), answer.count),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!([read(0, false), read(1, false), read(0, true)], [(2, 2), (1, 2), (0, 2)]);
}

#[test]
fn a_moment_can_be_in_the_middle_of_a_revision_and_ends_with_its_changes() {
    let mut log = log();
    let history = log.store.history();
    // The state between the changes 3 (a is gone) and 4 (a=3).
    let moment = history.moment_of(3, 4, log.store.clock_ms()).unwrap();
    let reads = Reads::at(log.store.records(), history, moment);
    assert_eq!(reads.get(b"a"), Ok(None));
    assert_eq!(reads.get(b"b").unwrap().unwrap().value(), b"2");
    log.store.history_mut().compact(5).unwrap();
    let history = log.store.history();
    let compacted = Err(NotReadable::Compacted { revision: 5 });
    assert_eq!(history.moment_of(3, 4, 0), compacted);
    assert!(history.moment_of(3, 5, 0).is_ok(), "before the change of the compacted revision");
    assert_eq!(history.moment_of(2, 5, 0), compacted, "change 3 may be gone");
}

#[test]
fn a_record_of_the_past_that_has_changed_in_memory_is_not_answered() {
    let mut log = log();
    log.apply(&set("a", "4"));
    let record = log.store.records().stored(b"a").unwrap().clone();
    let changed = record.with(|_, value| *value = b"x".to_vec());
    let newest = Newest { record: Some(&changed), due_ms: u64::MAX, change: 1 };
    let history = log.store.history();
    let moment = history.moment(6).unwrap();
    assert!(matches!(history.at(moment, b"a", newest), Err(Corruption::Key { .. })));
    // A change that is not of the key, and one that is not there.
    for change in [5, 100] {
        let newest = Newest { record: Some(&record), due_ms: u64::MAX, change };
        let found = history.at(Moment { change: 1, clock_ms: 0 }, b"b2", newest);
        assert!(matches!(found, Err(Corruption::Unreachable { .. })), "{found:?}");
    }
}

#[test]
fn a_read_that_goes_far_back_takes_long() {
    let mut log = log();
    for number in 0..1000 {
        log.apply(&set("a", &number.to_string()));
    }
    let takes_long = |at| log.store.takes_long(&Query::Get { key: Bytes::from("a"), at });
    assert_eq!([takes_long(5), takes_long(6), takes_long(0)], [true, false, false]);
    assert_eq!(get(&log.store, "a", 5), value("3"));
}
