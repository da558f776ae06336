//! Helpers for tests of the store: short constructors of commands and entries, strategies
//! that generate random ones, and a model of the store that is too simple to be wrong.

use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::prelude::*;

use crate::kv::{
    CLIENT_SILENCE_MS, Command, Compare, CompareTarget, HistoryLimits, Item, KeyRange,
    LEASE_ID_MAX, LEASE_TTL, Once, Operation, Outcome, Put, RECORD_OVERHEAD_BYTES, RangeQuery,
    Relation, Store, Transaction, TransactionOperation,
};
use crate::types::{Entry, Format, FormatInForce, FormatRange, LogIndex, Payload, Term};

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

fn command(operation: Operation) -> Command {
    Command { once: None, store_bytes_max: 0, operation }
}

/// A `set` without expiry.
pub(crate) fn set(key: &str, value: &str) -> Command {
    set_for(key, value, 0)
}

/// A `set` that expires after `exptime` seconds; 0 means never.
pub(crate) fn set_for(key: &str, value: &str, exptime: u64) -> Command {
    command(Operation::Set { key: bytes(key), exptime, value: bytes(value), lease: 0 })
}

/// An `add` without expiry.
pub(crate) fn add(key: &str, value: &str) -> Command {
    command(Operation::Add { key: bytes(key), exptime: 0, value: bytes(value), lease: 0 })
}

/// A `cas` without expiry.
pub(crate) fn cas(key: &str, version: u64, value: &str) -> Command {
    command(Operation::Cas { key: bytes(key), exptime: 0, version, value: bytes(value), lease: 0 })
}

/// A `delete`.
pub(crate) fn delete(key: &str) -> Command {
    command(Operation::Delete { key: bytes(key) })
}

/// An `end`, which needs the prefix of [`Command::once`].
pub(crate) fn end() -> Command {
    command(Operation::End)
}

impl Command {
    /// The same command with the prefix `once <client> <seq>`.
    pub(crate) fn once(mut self, client: &str, seq: u64) -> Command {
        self.once = Some(Once { client: bytes(client), seq });
        self
    }

    /// The same command, written by a leader with this size limit in bytes.
    pub(crate) fn limit(mut self, store_bytes_max: u64) -> Command {
        self.store_bytes_max = store_bytes_max;
        self
    }
}

/// The entry that holds `command`.
pub(crate) fn entry(index: u64, stamp_ms: u64, command: &Command) -> Entry {
    let payload = Payload::Command(command.encode());
    Entry { index: LogIndex(index), term: Term(1), stamp_ms, payload }
}

/// A store with the log that it applies.
pub(crate) struct Log {
    pub(crate) store: Store,
    stamp_ms: u64,
}

impl Log {
    /// The store of a new cluster, at revision 1 of format 4.
    pub(crate) fn with_history() -> Log {
        let mut log = Log { store: Store::new(), stamp_ms: 1_000_000 };
        let format = FormatInForce::of(Format(4));
        log.apply_payload(Payload::Format(format));
        log
    }

    /// Applies a command; its outcome.
    pub(crate) fn apply(&mut self, command: &Command) -> Outcome {
        let outcome = self.apply_payload(Payload::Command(command.encode()));
        outcome.expect("a command has an outcome")
    }

    /// Lets time pass until the next entry.
    pub(crate) fn advance(&mut self, ms: u64) {
        self.stamp_ms += ms;
    }

    /// Lets time pass, and applies an entry without a command.
    pub(crate) fn pass(&mut self, ms: u64) {
        self.advance(ms);
        self.apply_payload(Payload::Noop);
    }

    fn apply_payload(&mut self, payload: Payload) -> Option<Outcome> {
        let (index, stamp_ms) = (self.store.last_applied().next(), self.stamp_ms);
        let entry = Entry { index, term: Term(1), stamp_ms, payload };
        self.store.apply(&entry).expect("the store is sound")
    }
}

/// An entry without a command.
pub(crate) fn noop(index: u64, stamp_ms: u64) -> Entry {
    Entry { index: LogIndex(index), term: Term(1), stamp_ms, payload: Payload::Noop }
}

/// Generates any command that the format allows.
pub(crate) fn any_command() -> impl Strategy<Value = Command> {
    let name = |max| prop::collection::vec(any::<u8>(), 1..=max).prop_map(Bytes::from);
    let value = prop::collection::vec(any::<u8>(), 0..300).prop_map(Bytes::from);
    let once = prop::option::of((name(64), 1..=u64::MAX))
        .prop_map(|once| once.map(|(client, seq)| Once { client, seq }));
    let lease = prop_oneof![Just(0), 0..=LEASE_ID_MAX];
    let operation = (0..5, name(300), any::<u64>(), any::<u64>(), value, lease).prop_map(
        |(kind, key, exptime, version, value, lease)| match kind {
            0 => Operation::Set { key, exptime, value, lease },
            1 => Operation::Add { key, exptime, value, lease },
            2 => Operation::Cas { key, exptime, version, value, lease },
            3 => Operation::End,
            _ => Operation::Delete { key },
        },
    );
    let id = 1..=LEASE_ID_MAX;
    let operation = prop_oneof![
        5 => operation,
        3 => any_transaction().prop_map(Operation::Transaction),
        1 => (0..=LEASE_ID_MAX, LEASE_TTL, any::<u64>())
            .prop_map(|(id, ttl, leases_max)| Operation::Grant { id, ttl, leases_max }),
        1 => prop::collection::vec(id.clone(), 1..20).prop_map(|ids| Operation::Renew { ids }),
        1 => id.prop_map(|id| Operation::Revoke { id }),
        1 => any::<u64>().prop_map(|revision| Operation::Compact { revision }),
        1 => any::<[u64; 2]>().prop_map(|[keep_revisions, bytes_max]| {
            Operation::SetHistory(HistoryLimits { keep_revisions, bytes_max })
        }),
    ];
    let command = (once, any::<u64>(), operation).prop_map(|(once, store_bytes_max, operation)| {
        Command { once, store_bytes_max, operation }
    });
    command.prop_map(|command| match command {
        Command { once: None, operation: Operation::End, .. } => command.once("a client", 1),
        command => command,
    })
}

/// Generates any range of keys.
fn any_range() -> impl Strategy<Value = KeyRange> {
    let key = prop::collection::vec(any::<u8>(), 1..20).prop_map(Bytes::from);
    let end = prop::collection::vec(any::<u8>(), 0..20).prop_map(Bytes::from);
    (0..3, key, end).prop_map(|(kind, key, end)| match kind {
        0 => KeyRange::key(key),
        1 => KeyRange::between(key, end),
        _ => KeyRange::from(end),
    })
}

/// Generates any transaction that the format allows, two deep at most. No two of its writes are of
/// one key: each branch that writes either puts keys, or deletes.
pub(crate) fn any_transaction() -> impl Strategy<Value = Transaction> {
    let value = || prop::collection::vec(any::<u8>(), 0..300).prop_map(Bytes::from);
    let target = (0..5, any::<u64>(), value()).prop_map(|(kind, number, value)| match kind {
        0 => CompareTarget::Version(number),
        1 => CompareTarget::CreateRevision(number),
        2 => CompareTarget::ModRevision(number),
        3 => CompareTarget::Value(value),
        _ => CompareTarget::Lease(number),
    });
    let relation = prop::sample::select(vec![
        Relation::Equal,
        Relation::NotEqual,
        Relation::Less,
        Relation::Greater,
    ]);
    let compare = (any_range(), relation, target).prop_map(|(keys, relation, target)| Compare {
        keys,
        relation,
        target,
    });
    let compares = prop::collection::vec(compare, 0..4);
    let read = (any_range(), any::<u64>(), any::<u64>(), any::<bool>())
        .prop_map(|(keys, limit, at, is_count_only)| RangeQuery { keys, limit, at, is_count_only })
        .prop_map(TransactionOperation::Read);
    let reads = prop::collection::vec(read, 0..3).boxed();
    let key = prop::collection::vec(any::<u8>(), 1..300);
    let lease = prop::option::of(0..=LEASE_ID_MAX);
    let put = (key, prop::option::of(value()), lease, any::<u64>(), any::<bool>()).prop_map(
        |(key, value, lease, exptime, wants_previous)| Put {
            key: Bytes::from(key),
            value,
            lease,
            exptime,
            wants_previous,
        },
    );
    let puts = prop::collection::vec(put, 0..4).prop_map(|puts| {
        let mut keys = std::collections::BTreeSet::new();
        let puts = puts.into_iter().filter(|put| keys.insert(put.key.clone()));
        puts.map(TransactionOperation::Put).collect::<Vec<_>>()
    });
    let delete = (any_range(), any::<bool>())
        .prop_map(|(keys, wants_previous)| TransactionOperation::Delete { keys, wants_previous });
    let writes = prop_oneof![puts, prop::collection::vec(delete, 0..4)].boxed();
    let branch =
        || (reads.clone(), writes.clone()).prop_map(|(reads, writes)| [reads, writes].concat());
    let flat = (compares, branch(), branch()).prop_map(|(compares, then, otherwise)| Transaction {
        compares,
        then,
        otherwise,
    });
    let flat = flat.boxed();
    (flat.clone(), prop::option::of(flat)).prop_map(|(inner, outer)| match outer {
        None => inner,
        // The outer one keeps its reads, so that the writes stand inside only.
        Some(mut outer) => {
            outer.then.retain(|operation| matches!(operation, TransactionOperation::Read(_)));
            outer.then.push(TransactionOperation::Nested(Box::new(inner)));
            outer
        }
    })
}

/// Generates many writes of keys with the same short expiry time, half of them by clients of
/// their own. When they are due, an entry with a command removes only some of them.
fn any_crowd() -> impl Strategy<Value = Vec<Option<Command>>> {
    (20..60usize, 1..4u64, any::<bool>()).prop_map(|(size, exptime, has_clients)| {
        let write = |place: usize| {
            let write = set_for(&format!("b{place:02}"), "crowd", exptime);
            Some(if has_clients { write.once(&format!("c{place:02}"), 1) } else { write })
        };
        (0..size).map(write).collect()
    })
}

/// Generates a log whose commands interact: they have few keys, few clients, small
/// numbers, short expiry times and a tight size limit. Some entries are no-ops, and sometimes
/// more expires at once than one entry removes.
pub(crate) fn any_history() -> impl Strategy<Value = Vec<Entry>> {
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
    let client = prop::sample::select(vec!["x", "y", "z"]);
    let once = prop::option::weighted(0.4, (client, 1..6u64, prop::bool::weighted(0.2)));
    let limit = prop::sample::select(vec![0, 0, 0, 2 * (RECORD_OVERHEAD_BYTES + 10)]);
    let command = (operation, once, limit).prop_map(|(command, once, limit)| {
        let command = command.limit(limit);
        match once {
            Some((client, seq, true)) => end().once(client, seq),
            Some((client, seq, false)) => command.once(client, seq),
            None => command,
        }
    });
    // Most steps between stamps are short, and some are about an hour. Sometimes a stamp
    // falls: no leader writes such a stamp, and it must not turn back the store's clock.
    let step = prop_oneof![
        8 => 0..1500i64,
        1 => Just(-700),
        1 => Just(CLIENT_SILENCE_MS as i64 - 1000),
    ];
    let one = prop::option::weighted(0.9, command).prop_map(|command| vec![command]);
    let commands = prop_oneof![30 => one, 1 => any_crowd()];
    let steps = prop::collection::vec((step, commands), 0..60);
    steps.prop_map(|steps| {
        let mut stamp_ms = 1_000_000u64;
        let mut history = Vec::new();
        for (step, commands) in steps {
            stamp_ms = stamp_ms.saturating_add_signed(step);
            for command in commands {
                let index = history.len() as u64 + 1;
                history.push(match command {
                    Some(command) => entry(index, stamp_ms, &command),
                    None => noop(index, stamp_ms),
                });
            }
        }
        history
    })
}

/// The log of a new cluster: it puts format 4 in force, and goes on with `history`.
pub(crate) fn in_format_4(history: Vec<Entry>) -> Vec<Entry> {
    let payload = Payload::Format(FormatInForce::of(Format(4)));
    let raise = Entry { payload, ..noop(1, 0) };
    let later = history.into_iter().map(|entry| {
        let index = entry.index.next();
        Entry { index, ..entry }
    });
    std::iter::once(raise).chain(later).collect()
}

/// A key of the [`Model`].
#[derive(Clone)]
pub(crate) struct ModelKey {
    value: Bytes,
    version: u64,
    /// 0 means never.
    pub(crate) deadline_ms: u64,
}

/// A client of the [`Model`].
pub(crate) struct ModelClient {
    seq: u64,
    outcome: Outcome,
    last_used_ms: u64,
}

/// The rules of docs/protocol.md, each written down once and in the plainest way.
#[derive(Default)]
pub(crate) struct Model {
    pub(crate) keys: BTreeMap<Bytes, ModelKey>,
    pub(crate) clients: BTreeMap<Bytes, ModelClient>,
    pub(crate) clock_ms: u64,
}

impl Model {
    /// Applies an entry; the outcome of its command, if it has one.
    pub(crate) fn apply(&mut self, entry: &Entry) -> Option<Outcome> {
        self.clock_ms = self.clock_ms.max(entry.stamp_ms);
        let now = self.clock_ms;
        self.keys.retain(|_, key| key.deadline_ms == 0 || key.deadline_ms > now);
        self.clients.retain(|_, client| client.last_used_ms + CLIENT_SILENCE_MS > now);
        let Payload::Command(payload) = &entry.payload else { return None };
        let command = Command::decode(payload, FormatRange::OWN.highest).unwrap();
        let Some(once) = &command.once else { return Some(self.execute(&command, entry.index.0)) };
        if let Some(client) = self.clients.get_mut(&once.client) {
            client.last_used_ms = now;
            if once.seq < client.seq {
                return Some(Outcome::Stale);
            }
            if once.seq == client.seq && command.operation != Operation::End {
                return Some(client.outcome.clone());
            }
        }
        if command.operation == Operation::End {
            self.clients.remove(&once.client);
            return Some(Outcome::Ended);
        }
        let outcome = self.execute(&command, entry.index.0);
        if outcome != Outcome::Full {
            let outcome = outcome.clone();
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
            Operation::Set { key, exptime, value, .. }
            | Operation::Add { key, exptime, value, .. }
            | Operation::Cas { key, exptime, value, .. } => (key, exptime, value),
            operation => unreachable!("no command of format 1: {operation:?}"),
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

    /// The size of the store in bytes, as `store_bytes_max` counts it.
    pub(crate) fn bytes(&self) -> u64 {
        size(&self.keys)
    }

    /// All keys with `prefix`, in byte order.
    pub(crate) fn scan(&self, prefix: &[u8], now_ms: u64) -> Vec<(Bytes, Item)> {
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

/// The size of keys in bytes, as `store_bytes_max` counts it.
fn size(keys: &BTreeMap<Bytes, ModelKey>) -> u64 {
    keys.iter()
        .map(|(name, key)| (name.len() + key.value.len()) as u64 + RECORD_OVERHEAD_BYTES)
        .sum()
}
