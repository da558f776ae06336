//! For the tests: short ways to write commands and entries, random ones, and a
//! model of the store that is too simple to be wrong.

use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::prelude::*;

use super::{
    Answer, CLIENT_SILENCE_MS, Command, Item, Once, Operation, Outcome, Query,
    RECORD_OVERHEAD_BYTES, Store,
};
use crate::types::{Entry, LogIndex, Payload, Term};

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

fn command(operation: Operation) -> Command {
    Command { once: None, store_bytes_max: 0, operation }
}

pub(super) fn set(key: &str, value: &str) -> Command {
    set_for(key, value, 0)
}

pub(super) fn set_for(key: &str, value: &str, exptime: u64) -> Command {
    command(Operation::Set { key: bytes(key), exptime, value: bytes(value) })
}

pub(super) fn add(key: &str, value: &str) -> Command {
    command(Operation::Add { key: bytes(key), exptime: 0, value: bytes(value) })
}

pub(super) fn cas(key: &str, version: u64, value: &str) -> Command {
    command(Operation::Cas { key: bytes(key), exptime: 0, version, value: bytes(value) })
}

pub(super) fn delete(key: &str) -> Command {
    command(Operation::Delete { key: bytes(key) })
}

impl Command {
    /// The same command behind `once <client> <seq>`.
    pub(super) fn once(mut self, client: &str, seq: u64) -> Command {
        self.once = Some(Once { client: bytes(client), seq });
        self
    }

    /// The same command, written by a leader with this limit.
    pub(super) fn limit(mut self, store_bytes_max: u64) -> Command {
        self.store_bytes_max = store_bytes_max;
        self
    }
}

pub(super) fn entry(index: u64, stamp_ms: u64, command: &Command) -> Entry {
    let payload = Payload::Command(command.encode());
    Entry { index: LogIndex(index), term: Term(1), stamp_ms, payload }
}

pub(super) fn noop(index: u64, stamp_ms: u64) -> Entry {
    Entry { index: LogIndex(index), term: Term(1), stamp_ms, payload: Payload::Noop }
}

/// Any command at all.
pub(super) fn any_command() -> impl Strategy<Value = Command> {
    let name = |max| prop::collection::vec(any::<u8>(), 1..=max).prop_map(Bytes::from);
    let value = prop::collection::vec(any::<u8>(), 0..300).prop_map(Bytes::from);
    let once = prop::option::of((name(64), 1..=u64::MAX))
        .prop_map(|once| once.map(|(client, seq)| Once { client, seq }));
    let operation = (0..4, name(300), any::<u64>(), any::<u64>(), value).prop_map(
        |(kind, key, exptime, version, value)| match kind {
            0 => Operation::Set { key, exptime, value },
            1 => Operation::Add { key, exptime, value },
            2 => Operation::Cas { key, exptime, version, value },
            _ => Operation::Delete { key },
        },
    );
    (once, any::<u64>(), operation).prop_map(|(once, store_bytes_max, operation)| Command {
        once,
        store_bytes_max,
        operation,
    })
}

/// A log whose commands meet each other: few keys, few clients, small numbers,
/// short lives, a tight limit. Some entries are no-ops.
pub(super) fn any_history() -> impl Strategy<Value = Vec<Entry>> {
    let key = prop::sample::select(vec!["a", "ab", "abc", "b", "ba", "c\u{e9}"]);
    let value = prop::sample::select(vec!["", "1", "22", "a longer value than the others"]);
    let operation =
        (0..5, key, 0..4u64, 0..30u64, value).prop_map(|(kind, key, exptime, version, value)| {
            match kind {
                0 | 1 => set_for(key, value, exptime),
                2 => add(key, value),
                3 => cas(key, version, value),
                _ => delete(key),
            }
        });
    let once = prop::option::weighted(0.4, (prop::sample::select(vec!["x", "y", "z"]), 1..6u64));
    let limit = prop::sample::select(vec![0, 0, 0, 2 * (RECORD_OVERHEAD_BYTES + 10)]);
    let command = (operation, once, limit).prop_map(|(command, once, limit)| {
        let command = command.limit(limit);
        match once {
            Some((client, seq)) => command.once(client, seq),
            None => command,
        }
    });
    // Mostly moments, sometimes an hour; and a stamp that falls, which no leader
    // writes, must not turn back the store's clock.
    let step = prop_oneof![
        8 => 0..1500i64,
        1 => Just(-700),
        1 => Just(CLIENT_SILENCE_MS as i64 - 1000),
    ];
    let steps = prop::collection::vec((step, prop::option::weighted(0.9, command)), 0..60);
    steps.prop_map(|steps| {
        let mut stamp_ms = 1_000_000u64;
        let numbered = steps.into_iter().zip(1..);
        numbered
            .map(|((step, command), index)| {
                stamp_ms = stamp_ms.saturating_add_signed(step);
                match command {
                    Some(command) => entry(index, stamp_ms, &command),
                    None => noop(index, stamp_ms),
                }
            })
            .collect()
    })
}

#[derive(Clone)]
struct ModelKey {
    value: Bytes,
    version: u64,
    deadline_ms: u64,
}

struct ModelClient {
    seq: u64,
    outcome: Outcome,
    last_used_ms: u64,
}

/// The rules of protocol.md, each written down once and in the plainest way.
#[derive(Default)]
struct Model {
    keys: BTreeMap<Bytes, ModelKey>,
    clients: BTreeMap<Bytes, ModelClient>,
    clock_ms: u64,
}

impl Model {
    fn apply(&mut self, entry: &Entry) -> Option<Outcome> {
        self.clock_ms = self.clock_ms.max(entry.stamp_ms);
        let now = self.clock_ms;
        self.keys.retain(|_, key| key.deadline_ms == 0 || key.deadline_ms > now);
        self.clients.retain(|_, client| client.last_used_ms + CLIENT_SILENCE_MS > now);
        let Payload::Command(payload) = &entry.payload else { return None };
        let command = Command::decode(payload).unwrap();
        let Some(once) = &command.once else { return Some(self.execute(&command, entry.index.0)) };
        if let Some(client) = self.clients.get_mut(&once.client) {
            client.last_used_ms = now;
            if once.seq == client.seq {
                return Some(client.outcome);
            }
            if once.seq < client.seq {
                return Some(Outcome::Stale);
            }
        }
        let outcome = self.execute(&command, entry.index.0);
        if outcome != Outcome::Full {
            let client = ModelClient { seq: once.seq, outcome, last_used_ms: now };
            self.clients.insert(once.client.clone(), client);
        }
        Some(outcome)
    }

    fn execute(&mut self, command: &Command, index: u64) -> Outcome {
        let (key, exptime, value) = match &command.operation {
            Operation::Delete { key } => {
                let removed = self.keys.remove(key);
                return removed.map_or(Outcome::NotFound, |_| Outcome::Deleted);
            }
            Operation::Set { key, exptime, value }
            | Operation::Add { key, exptime, value }
            | Operation::Cas { key, exptime, value, .. } => (key, exptime, value),
        };
        let found = self.keys.get(key).map_or(0, |key| key.version);
        match &command.operation {
            Operation::Add { .. } if found != 0 => return Outcome::Exists { version: found },
            Operation::Cas { version, .. } if found != *version => {
                return Outcome::VersionMismatch { version: found };
            }
            _ => {}
        }
        let deadline_ms = if *exptime == 0 { 0 } else { self.clock_ms + exptime * 1000 };
        let stored = ModelKey { value: value.clone(), version: index, deadline_ms };
        let mut keys = self.keys.clone();
        keys.insert(key.clone(), stored);
        let (before, after) = (size(&self.keys), size(&keys));
        if command.store_bytes_max != 0 && after > command.store_bytes_max && after > before {
            return Outcome::Full;
        }
        self.keys = keys;
        Outcome::Stored { version: index }
    }

    fn scan(&self, prefix: &[u8], now_ms: u64) -> Vec<(Bytes, Item)> {
        let with_prefix = self.keys.iter().filter(|(key, _)| key.starts_with(prefix));
        with_prefix
            .map(|(name, key)| {
                let left_ms = key.deadline_ms.saturating_sub(now_ms.max(self.clock_ms));
                let exptime = if key.deadline_ms == 0 { 0 } else { left_ms.div_ceil(1000).max(1) };
                let item = Item { value: key.value.clone(), version: key.version, exptime };
                (name.clone(), item)
            })
            .collect()
    }
}

fn size(keys: &BTreeMap<Bytes, ModelKey>) -> u64 {
    keys.iter()
        .map(|(name, key)| (name.len() + key.value.len()) as u64 + RECORD_OVERHEAD_BYTES)
        .sum()
}

/// Follows `MORE` until `END`.
fn scan_in_pages(store: &Store, prefix: &Bytes, limit: u64, now_ms: u64) -> Vec<(Bytes, Item)> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let query = Query::Scan { prefix: prefix.clone(), limit, after };
        let Answer::Scan { items, more } = store.query(&query, now_ms) else {
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

/// The entry as recovery reads it: another allocation, the same bytes.
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
            prop_assert_eq!(store.clients(), model.clients.len());
            prop_assert_eq!(store.bytes(), size(&model.keys));
            let deadlines = model.keys.values().map(|key| key.deadline_ms);
            prop_assert_eq!(store.next_deadline_ms(), deadlines.filter(|ms| *ms > 0).min());
            prop_assert_eq!((store.bytes(), store.digest()), store.recomputed());
        }
        for prefix in ["", "a", "ab", "c", "zz"] {
            let expected = model.scan(prefix.as_bytes(), model.clock_ms + 300);
            for limit in [1, 2, 100] {
                let found = scan_in_pages(&store, &bytes(prefix), limit, model.clock_ms + 300);
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
        let moment = store.clone();
        let digest = moment.digest();
        for entry in &history[at..] {
            store.apply(entry).unwrap();
        }
        prop_assert_eq!((moment.bytes(), digest), moment.recomputed());
        let mut resumed = moment;
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
