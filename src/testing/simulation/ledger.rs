//! What docs/protocol.md makes of a log, written down a second time and in the
//! plainest way: a store that does anything else is wrong, and so is an answer that
//! was true at no index. (No simulated store has a limit on its size.)

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::kv::{CLIENT_SILENCE_MS, Command, Once, Operation, Outcome};
use crate::types::{Entry, Payload};

/// What is stored under a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) version: u64,
    pub(super) value: Bytes,
    pub(super) deadline_ms: Option<u64>,
}

/// See the module.
#[derive(Default)]
pub(super) struct Ledger {
    /// Of each key: since which index it holds what.
    keys: BTreeMap<Bytes, Vec<(u64, Option<Held>)>>,
    /// The last number of each client, what came of it, and when it last spoke.
    clients: BTreeMap<Bytes, (u64, Outcome, u64)>,
    /// Of each index, and before the first.
    moments: Vec<Moment>,
}

/// What is known of an index.
#[derive(Clone, Default)]
struct Moment {
    /// The store's clock.
    clock_ms: u64,
    /// What came of the entry's command.
    outcome: Option<Outcome>,
    /// The key that it deleted.
    deleted: Option<Bytes>,
}

impl Ledger {
    /// The ledger of a log from its first entry on.
    pub(super) fn of(log: &[Entry]) -> Ledger {
        let mut ledger = Ledger { moments: vec![Moment::default()], ..Ledger::default() };
        for entry in log {
            let clock_ms = ledger.clock_ms(ledger.last_index()).max(entry.stamp_ms);
            ledger.moments.push(Moment { clock_ms, ..Moment::default() });
            ledger.expire();
            if let Payload::Command(bytes) = &entry.payload {
                let command = Command::decode(bytes).expect("every node has applied it");
                let outcome = ledger.execute_once(&command);
                ledger.now().outcome = Some(outcome);
            }
        }
        ledger
    }

    pub(super) fn last_index(&self) -> u64 {
        self.moments.len() as u64 - 1
    }

    /// The store's clock at an index.
    pub(super) fn clock_ms(&self, index: u64) -> u64 {
        self.moments[index as usize].clock_ms
    }

    /// What came of the command of the entry at `index`.
    pub(super) fn outcome(&self, index: u64) -> Option<Outcome> {
        self.moments[index as usize].outcome
    }

    /// The key that the entry at `index` deleted.
    pub(super) fn deleted(&self, index: u64) -> Option<&Bytes> {
        self.moments[index as usize].deleted.as_ref()
    }

    /// What a key held at an index.
    pub(super) fn at(&self, index: u64, key: &[u8]) -> Option<&Held> {
        let changes = self.keys.get(key)?;
        let changes = &changes[..changes.partition_point(|(since, _)| *since <= index)];
        changes.last()?.1.as_ref()
    }

    /// The keys that were there at an index, in byte order.
    pub(super) fn keys_at(&self, index: u64) -> impl Iterator<Item = (&Bytes, &Held)> {
        self.keys.keys().filter_map(move |key| Some((key, self.at(index, key)?)))
    }

    fn now(&mut self) -> &mut Moment {
        self.moments.last_mut().expect("it begins with the moment before the first entry")
    }

    fn put(&mut self, key: &Bytes, held: Option<Held>) {
        let index = self.last_index();
        self.keys.entry(key.clone()).or_default().push((index, held));
    }

    fn expire(&mut self) {
        let (index, clock_ms) = (self.last_index(), self.clock_ms(self.last_index()));
        for changes in self.keys.values_mut() {
            let held = changes.last().and_then(|(_, held)| held.as_ref());
            let deadline_ms = held.and_then(|held| held.deadline_ms);
            if deadline_ms.is_some_and(|deadline_ms| deadline_ms <= clock_ms) {
                changes.push((index, None));
            }
        }
        self.clients.retain(|_, (.., spoke_ms)| *spoke_ms + CLIENT_SILENCE_MS > clock_ms);
    }

    fn execute_once(&mut self, command: &Command) -> Outcome {
        let Some(Once { client, seq }) = &command.once else { return self.execute(command) };
        let clock_ms = self.clock_ms(self.last_index());
        let (last_seq, outcome) = match self.clients.get(client).copied() {
            Some((last_seq, _, _)) if *seq < last_seq => {
                self.clients.entry(client.clone()).and_modify(|record| record.2 = clock_ms);
                return Outcome::Stale;
            }
            Some((last_seq, outcome, _)) if *seq == last_seq => (last_seq, outcome),
            _ => (*seq, self.execute(command)),
        };
        self.clients.insert(client.clone(), (last_seq, outcome, clock_ms));
        outcome
    }

    fn execute(&mut self, command: &Command) -> Outcome {
        let (Operation::Set { key, .. }
        | Operation::Add { key, .. }
        | Operation::Cas { key, .. }
        | Operation::Delete { key }) = &command.operation;
        let version = self.at(self.last_index(), key).map_or(0, |held| held.version);
        let (exptime, value) = match &command.operation {
            Operation::Delete { .. } if version == 0 => return Outcome::NotFound,
            Operation::Delete { .. } => {
                self.put(key, None);
                self.now().deleted = Some(key.clone());
                return Outcome::Deleted;
            }
            Operation::Add { .. } if version != 0 => return Outcome::Exists { version },
            Operation::Cas { version: expected, .. } if version != *expected => {
                return Outcome::VersionMismatch { version };
            }
            Operation::Set { exptime, value, .. }
            | Operation::Add { exptime, value, .. }
            | Operation::Cas { exptime, value, .. } => (*exptime, value.clone()),
        };
        let (version, clock_ms) = (self.last_index(), self.clock_ms(self.last_index()));
        let deadline_ms = (exptime > 0).then(|| clock_ms + 1000 * exptime);
        self.put(key, Some(Held { version, value, deadline_ms }));
        Outcome::Stored { version }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{LogIndex, Term};

    /// When, behind which `once`, and what.
    type Stamped = (u64, Option<(&'static str, u64)>, Operation);

    fn log(commands: &[Stamped]) -> Ledger {
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
        Ledger::of(&entries)
    }

    fn set(value: &'static str, exptime: u64) -> Operation {
        Operation::Set { key: "k".into(), exptime, value: value.into() }
    }

    fn delete(key: &'static str) -> Operation {
        Operation::Delete { key: key.into() }
    }

    #[test]
    fn it_knows_every_key_at_every_index() {
        let ledger = log(&[
            (10, None, set("a", 0)),
            (20, None, set("b", 2)),
            (2_019, None, delete("x")),
            (2_020, None, delete("x")),
        ]);
        let values: Vec<_> = (0..=4).map(|index| ledger.at(index, b"k")).collect();
        let value = |held: Option<&Held>| held.map(|held| held.value.clone());
        let expected = [None, Some("a"), Some("b"), Some("b"), None];
        assert!(values.into_iter().map(value).eq(expected.map(|value| value.map(Bytes::from))));
        assert_eq!(ledger.keys_at(3).count(), 1);
    }

    #[test]
    fn a_number_is_executed_once() {
        let ledger = log(&[
            (10, Some(("c", 1)), set("a", 0)),
            (10, Some(("c", 1)), delete("k")),
            (10, Some(("c", 3)), delete("k")),
            (10, Some(("c", 2)), set("b", 0)),
        ]);
        let stored = Outcome::Stored { version: 1 };
        let expected = [stored, stored, Outcome::Deleted, Outcome::Stale];
        assert!((1..=4).map(|index| ledger.outcome(index)).eq(expected.map(Some)));
        assert_eq!(ledger.deleted(3), Some(&Bytes::from("k")));
        assert_eq!(ledger.at(4, b"k"), None);
    }
}
