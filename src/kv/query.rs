//! Reads of one moment of the store. What they return shares the stored bytes.

use std::ops::Bound;

use bytes::Bytes;

use super::command::{Answer, Item, Query};
use super::records::Record;
use super::store::Store;

/// How much one scan returns at the most, in bytes of keys and values, unless
/// its first key alone is more.
pub const SCAN_BYTES_MAX: usize = 4 * 1024 * 1024;

impl Store {
    /// Reads. A key is there until an entry has expired it, whatever `now_ms`
    /// says: the reader's clock only tells how much time a key has left.
    pub fn query(&self, query: &Query, now_ms: u64) -> Answer {
        // The reader's clock may be behind the log's, and then is wrong.
        let now_ms = now_ms.max(self.clock_ms());
        let is_there = |record: &&Record| !(mutant!(B74a) && is_due(record, now_ms));
        match query {
            Query::Get { key } => match self.records.get(key).filter(is_there) {
                Some(record) => Answer::Value(record.value.clone()),
                None => Answer::NotFound,
            },
            Query::GetMeta { key } => match self.records.get(key).filter(is_there) {
                Some(record) => Answer::Meta(item(record, now_ms)),
                None => Answer::NotFound,
            },
            Query::Scan { prefix, limit, after } => {
                self.scan(prefix, *limit, after.as_deref(), now_ms)
            }
        }
    }

    fn scan(&self, prefix: &[u8], limit: u64, after: Option<&[u8]>, now_ms: u64) -> Answer {
        let start = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        let mut items: Vec<(Bytes, Item)> = Vec::new();
        let mut bytes = 0;
        // In byte order the keys with a prefix stand together, behind the prefix.
        let found = self.records.range_from(start).take_while(|(key, _)| key.starts_with(prefix));
        for (key, record) in found {
            bytes += key.len() + record.value.len();
            let is_over = bytes > SCAN_BYTES_MAX && !items.is_empty();
            if is_over || items.len() as u64 >= limit {
                return Answer::Scan { items, more: true };
            }
            items.push((Bytes::copy_from_slice(key), item(record, now_ms)));
        }
        Answer::Scan { items, more: false }
    }
}

/// Whether a key's time is over by a clock that has no say in it.
fn is_due(record: &Record, now_ms: u64) -> bool {
    record.deadline_ms.is_some_and(|deadline_ms| deadline_ms <= now_ms)
}

fn item(record: &Record, now_ms: u64) -> Item {
    let exptime = record
        .deadline_ms
        .map_or(0, |deadline_ms| deadline_ms.saturating_sub(now_ms).div_ceil(1000).max(1));
    Item { value: record.value.clone(), version: record.version, exptime }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kv::model::{entry, set, set_for};

    fn store(entries: &[(u64, crate::kv::Command)]) -> Store {
        let mut store = Store::new();
        for (offset, (stamp_ms, command)) in entries.iter().enumerate() {
            store.apply(&entry(offset as u64 + 1, *stamp_ms, command)).unwrap();
        }
        store
    }

    fn exptime(store: &Store, now_ms: u64) -> u64 {
        match store.query(&Query::GetMeta { key: Bytes::from("k") }, now_ms) {
            Answer::Meta(item) => item.exptime,
            other => panic!("expected the key with its time, got {other:?}"),
        }
    }

    fn scan(store: &Store, prefix: &str, limit: u64, after: Option<&str>) -> (Vec<String>, bool) {
        let (prefix, after) = (prefix.to_owned().into(), after.map(|key| key.to_owned().into()));
        match store.query(&Query::Scan { prefix, limit, after }, 0) {
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
        let value = || match store.query(&Query::Get { key: Bytes::from("k") }, 0) {
            Answer::Value(value) => value,
            other => panic!("expected a value, got {other:?}"),
        };
        assert_eq!(value(), "value");
        assert_eq!(value().as_ptr(), value().as_ptr());
        assert_eq!(store.query(&Query::Get { key: Bytes::from("x") }, 0), Answer::NotFound);
        assert_eq!(store.query(&Query::GetMeta { key: Bytes::from("x") }, 0), Answer::NotFound);
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
}
