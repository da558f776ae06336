//! A second implementation of the store, as docs/protocol.md describes it and as simple as
//! possible. A store with other results is wrong, and so is an answer that was true at no index. No
//! simulated store has a limit on its size.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use crate::kv::{CLIENT_SILENCE_MS, Command, Once, Operation, Outcome};
use crate::types::{Entry, FormatRange, Payload};

/// The value of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) version: u64,
    pub(crate) value: Bytes,
    pub(crate) deadline_ms: Option<u64>,
}

/// The store at every index of a log.
#[derive(Default)]
pub(crate) struct ReferenceStore {
    /// The values of each key, each with the index at which it was written; `None` for a key that
    /// was removed.
    keys: BTreeMap<Bytes, Vec<(u64, Option<Held>)>>,
    /// The last sequence number of each client, its outcome, and the time of its last command.
    clients: BTreeMap<Bytes, (u64, Outcome, u64)>,
    /// The keys that expired, in the order of the log.
    expirations: Vec<Expiration>,
    /// The number of clients that were forgotten.
    forgotten_clients: u64,
    /// The expired keys that no entry has removed yet, in the order of their deadlines. They are
    /// gone; their removal is a change of its own, which has a revision.
    unremoved: BTreeSet<(u64, Bytes)>,
    /// The format in force.
    format: u32,
    /// The index of the entry that stored each version.
    stored: BTreeMap<u64, u64>,
    /// The state before the first entry, and after each.
    states: Vec<StateAt>,
}

/// A key that expired.
pub(crate) struct Expiration {
    pub(crate) key: Bytes,
    /// The value that it had, with the version at which it was written.
    pub(crate) held: Held,
    /// The index from which on it is gone.
    pub(crate) gone: u64,
}

/// The first format in which a version is a revision, and not the index of an entry.
const REVISIONS: u32 = 4;
/// Maximum number of entries with which a cluster is founded.
const FOUNDING_ENTRIES_MAX: u64 = 64;

/// The state at an index.
#[derive(Clone, Default)]
struct StateAt {
    /// The store's revision after the entry.
    revision: u64,
    /// True when the entry has changed a key.
    has_changed: bool,
    /// The store's clock.
    clock_ms: u64,
    /// The outcome of the entry's command.
    outcome: Option<Outcome>,
    /// The key that it deleted.
    deleted: Option<Bytes>,
}

impl ReferenceStore {
    /// The store of a log from its first entry on.
    pub(crate) fn of(log: &[Entry]) -> ReferenceStore {
        let mut store =
            ReferenceStore { states: vec![StateAt::default()], ..ReferenceStore::default() };
        for entry in log {
            let clock_ms = store.clock_ms(store.last_index()).max(entry.stamp_ms);
            let revision = store.revision(store.last_index());
            store.states.push(StateAt { clock_ms, revision, ..StateAt::default() });
            if let Payload::Format(raised) = &entry.payload {
                store.raise(raised.format.0);
            }
            store.expire();
            store.remove_expired(entry);
            if let Payload::Command(bytes) = &entry.payload {
                let command = Command::decode(bytes, FormatRange::OWN.highest)
                    .expect("every node has applied it");
                let outcome = store.execute_once(&command);
                store.current().outcome = Some(outcome);
            }
            if store.current().has_changed && store.format >= REVISIONS {
                store.current().revision += 1;
            }
        }
        store
    }

    /// The store's revision at an index; 0 before revisions are counted.
    pub(crate) fn revision(&self, index: u64) -> u64 {
        self.states[index as usize].revision
    }

    /// The index of the entry that stored a version.
    pub(crate) fn index_of(&self, version: u64) -> Option<u64> {
        self.stored.get(&version).copied()
    }

    /// Puts a format in force. Revisions begin above all versions, or at 1 in a new cluster.
    fn raise(&mut self, format: u32) {
        let (index, before) = (self.last_index(), self.format);
        self.format = format;
        if before < REVISIONS && format >= REVISIONS {
            let is_new = self.keys_at(index).next().is_none()
                && self.unremoved.is_empty()
                && self.clients.is_empty()
                && index <= FOUNDING_ENTRIES_MAX;
            self.current().revision = if is_new { 1 } else { index };
        }
    }

    /// The version that a value gets which is written now.
    fn next_version(&self) -> u64 {
        let index = self.last_index();
        if self.format >= REVISIONS { self.revision(index) + 1 } else { index }
    }

    /// Removes expired keys, as many as an entry removes.
    fn remove_expired(&mut self, entry: &Entry) {
        let count = match &entry.payload {
            Payload::Command(bytes) => 16 + bytes.len() / 256,
            _ => 1_000,
        };
        for _ in 0..count {
            if self.unremoved.pop_first().is_none() {
                return;
            }
            self.current().has_changed = true;
        }
    }

    pub(crate) fn last_index(&self) -> u64 {
        self.states.len() as u64 - 1
    }

    /// The store's clock at an index.
    pub(crate) fn clock_ms(&self, index: u64) -> u64 {
        self.states[index as usize].clock_ms
    }

    /// The outcome of the command of the entry at `index`.
    pub(crate) fn outcome(&self, index: u64) -> Option<Outcome> {
        self.states[index as usize].outcome.clone()
    }

    /// The key that the entry at `index` deleted.
    pub(crate) fn deleted(&self, index: u64) -> Option<&Bytes> {
        self.states[index as usize].deleted.as_ref()
    }

    /// The keys that expired.
    pub(crate) fn expirations(&self) -> &[Expiration] {
        &self.expirations
    }

    /// The number of clients that were forgotten because they were silent.
    pub(crate) fn forgotten_clients(&self) -> u64 {
        self.forgotten_clients
    }

    /// The value of a key at an index.
    pub(crate) fn at(&self, index: u64, key: &[u8]) -> Option<&Held> {
        let changes = self.keys.get(key)?;
        let changes = &changes[..changes.partition_point(|(since, _)| *since <= index)];
        changes.last()?.1.as_ref()
    }

    /// The keys that existed at an index, in byte order.
    pub(crate) fn keys_at(&self, index: u64) -> impl Iterator<Item = (&Bytes, &Held)> {
        self.keys.keys().filter_map(move |key| Some((key, self.at(index, key)?)))
    }

    fn current(&mut self) -> &mut StateAt {
        self.states.last_mut().expect("it begins with the state before the first entry")
    }

    fn put(&mut self, key: &Bytes, held: Option<Held>) {
        let index = self.last_index();
        self.current().has_changed = true;
        self.unremoved.retain(|(_, unremoved)| unremoved != key);
        self.keys.entry(key.clone()).or_default().push((index, held));
    }

    fn expire(&mut self) {
        let (index, clock_ms) = (self.last_index(), self.clock_ms(self.last_index()));
        for (key, changes) in &mut self.keys {
            let Some((_, Some(held))) = changes.last() else { continue };
            if let Some(deadline_ms) = held.deadline_ms.filter(|deadline| *deadline <= clock_ms) {
                let (key, held) = (key.clone(), held.clone());
                self.unremoved.insert((deadline_ms, key.clone()));
                self.expirations.push(Expiration { key, held, gone: index });
                changes.push((index, None));
            }
        }
        let clients = self.clients.len();
        self.clients.retain(|_, (.., spoke_ms)| *spoke_ms + CLIENT_SILENCE_MS > clock_ms);
        self.forgotten_clients += (clients - self.clients.len()) as u64;
    }

    fn execute_once(&mut self, command: &Command) -> Outcome {
        let Some(Once { client, seq }) = &command.once else { return self.execute(command) };
        let clock_ms = self.clock_ms(self.last_index());
        let (last_seq, outcome) = match self.clients.get(client).cloned() {
            Some((last_seq, _, _)) if *seq < last_seq => {
                self.clients.entry(client.clone()).and_modify(|record| record.2 = clock_ms);
                return Outcome::Stale;
            }
            _ if command.operation == Operation::End => {
                self.clients.remove(client);
                return Outcome::Ended;
            }
            Some((last_seq, outcome, _)) if *seq == last_seq => (last_seq, outcome),
            _ => (*seq, self.execute(command)),
        };
        self.clients.insert(client.clone(), (last_seq, outcome.clone(), clock_ms));
        outcome
    }

    fn execute(&mut self, command: &Command) -> Outcome {
        let (Operation::Set { key, .. }
        | Operation::Add { key, .. }
        | Operation::Cas { key, .. }
        | Operation::Delete { key }) = &command.operation
        else {
            return Outcome::Ended;
        };
        let version = self.at(self.last_index(), key).map_or(0, |held| held.version);
        let (exptime, value) = match &command.operation {
            Operation::Delete { .. } if version == 0 => return Outcome::NotFound,
            Operation::Delete { .. } => {
                self.put(key, None);
                self.current().deleted = Some(key.clone());
                return Outcome::Deleted;
            }
            Operation::Add { .. } if version != 0 => return Outcome::Exists { version },
            Operation::Cas { version: expected, .. } if version != *expected => {
                return Outcome::VersionMismatch { version };
            }
            Operation::Set { exptime, value, .. }
            | Operation::Add { exptime, value, .. }
            | Operation::Cas { exptime, value, .. } => (*exptime, value.clone()),
            _ => return Outcome::Ended,
        };
        let (version, clock_ms) = (self.next_version(), self.clock_ms(self.last_index()));
        self.stored.insert(version, self.last_index());
        let deadline_ms = (exptime > 0).then(|| clock_ms + 1000 * exptime);
        self.put(key, Some(Held { version, value, deadline_ms }));
        Outcome::Stored { version }
    }
}

#[cfg(test)]
mod tests;
