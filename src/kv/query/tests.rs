use super::*;
use crate::testing::store_model::{entry, set, set_for};

fn store(entries: &[(u64, crate::kv::Command)]) -> Store {
    let mut store = Store::new();
    for (offset, (stamp_ms, command)) in entries.iter().enumerate() {
        store.apply(&entry(offset as u64 + 1, *stamp_ms, command)).unwrap();
    }
    store
}

fn exptime(store: &Store, now_ms: u64) -> u64 {
    match store.query(&Query::GetMeta { key: Bytes::from("k"), at: 0 }, now_ms).unwrap() {
        Answer::Meta(item) => item.exptime,
        other => panic!("expected the key with its time, got {other:?}"),
    }
}

fn scan(store: &Store, prefix: &str, limit: u64, after: Option<&str>) -> (Vec<String>, bool) {
    let (prefix, after) = (prefix.to_owned().into(), after.map(|key| key.to_owned().into()));
    match store.query(&Query::Scan { prefix, limit, after, at: 0 }, 0).unwrap() {
        Answer::Scan { items, more } => {
            let keys = items.iter().map(|(key, _)| String::from_utf8_lossy(key).into_owned());
            (keys.collect(), more)
        }
        other => panic!("expected a scan, got {other:?}"),
    }
}

#[test]
fn the_time_left_is_rounded_up_and_at_least_a_second() {
    let store = store(&[(10_000, set_for("k", "v", 2))]);
    assert_eq!(exptime(&store, 10_000), 2);
    assert_eq!(exptime(&store, 10_001), 2);
    assert_eq!(exptime(&store, 11_000), 1);
    assert_eq!(exptime(&store, 11_999), 1);
    assert_eq!(exptime(&store, 99_000), 1, "due by the reader's clock, not yet by the log's");
    assert_eq!(exptime(&store, 3_000), 2, "the log's clock is ahead of the reader's");
}

#[test]
fn a_key_without_deadline_has_an_exptime_of_0() {
    assert_eq!(exptime(&store(&[(10_000, set("k", "v"))]), 20_000), 0);
}

#[test]
fn get_shares_the_value_with_the_store() {
    let store = store(&[(0, set("k", "value"))]);
    let value = || match store.query(&Query::Get { key: Bytes::from("k"), at: 0 }, 0).unwrap() {
        Answer::Value(value) => value,
        other => panic!("expected a value, got {other:?}"),
    };
    assert_eq!(value(), "value");
    assert_eq!(value().as_ptr(), value().as_ptr());
    assert_eq!(store.query(&Query::Get { key: Bytes::from("x"), at: 0 }, 0), Ok(Answer::NotFound));
    assert_eq!(
        store.query(&Query::GetMeta { key: Bytes::from("x"), at: 0 }, 0),
        Ok(Answer::NotFound)
    );
}

#[test]
fn scan_returns_the_keys_with_the_prefix_in_byte_order() {
    let keys = ["b", "a", "ab", "abc", "b\u{ff}", "ac", "c"];
    let store = store(&keys.map(|key| (0, set(key, "v"))));
    let all = ["a", "ab", "abc", "ac", "b", "b\u{ff}", "c"].map(String::from).to_vec();
    assert_eq!(scan(&store, "", 100, None), (all.clone(), false));
    assert_eq!(scan(&store, "a", 100, None), (all[..4].to_vec(), false));
    assert_eq!(scan(&store, "b", 100, None), (all[4..6].to_vec(), false));
    assert_eq!(scan(&store, "d", 100, None), (vec![], false));
    assert_eq!(scan(&store, "a", 100, Some("ab")), (all[2..4].to_vec(), false));
    assert_eq!(scan(&store, "a", 100, Some("aba")), (all[2..4].to_vec(), false));
    assert_eq!(scan(&store, "b", 100, Some("a")), (all[4..6].to_vec(), false));
    assert_eq!(scan(&store, "a", 100, Some("b")), (vec![], false));
}

#[test]
fn more_is_true_only_when_there_really_are_further_keys_with_the_prefix() {
    let store = store(&["a1", "a2", "b"].map(|key| (0, set(key, "v"))));
    assert_eq!(scan(&store, "a", 1, None), (vec!["a1".into()], true));
    assert_eq!(scan(&store, "a", 2, None), (vec!["a1".into(), "a2".into()], false));
    assert_eq!(scan(&store, "a", 1, Some("a1")), (vec!["a2".into()], false));
}

#[test]
fn scan_stops_at_its_size_but_never_before_the_first_key() {
    let value = |bytes: usize| String::from_utf8(vec![b'v'; bytes]).unwrap();
    let half = value(SCAN_BYTES_MAX / 2 - 1);
    let huge = value(SCAN_BYTES_MAX);
    let store = store(&[
        (0, set("a", &half)),
        (0, set("b", &half)),
        (0, set("c", "")),
        (0, set("d", &huge)),
        (0, set("e", "")),
    ]);
    let keys = |keys: &[&str]| keys.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(scan(&store, "", 100, None), (keys(&["a", "b"]), true));
    assert_eq!(scan(&store, "", 100, Some("b")), (keys(&["c"]), true));
    assert_eq!(scan(&store, "", 100, Some("c")), (keys(&["d"]), true));
    assert_eq!(scan(&store, "", 100, Some("d")), (keys(&["e"]), false));
}
