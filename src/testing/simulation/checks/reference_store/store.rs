//! The reference store itself: keys, revisions, expiry and single commands.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use crate::kv::{CLIENT_SILENCE_MS, Command, Once, Operation, Outcome};
use crate::types::{Entry, FormatInForce, FormatRange, Payload};

use super::types::{Became, Changed, Expiration, Held, Lease, LeaseExpiry, OfLeases, Told};

/// The store at every index of a log.
#[derive(Default)]
pub(crate) struct ReferenceStore {
    /// The values of each key, each with the index at which it was written; `None` for a key that
    /// was removed.
    pub(super) keys: BTreeMap<Bytes, Vec<(u64, Option<Held>)>>,
    /// The last sequence number of each client, its outcome, and the time of its last command.
    clients: BTreeMap<Bytes, (u64, Told, u64)>,
    /// The keys that expired, in the order of the log.
    pub(super) expirations: Vec<Expiration>,
    /// The number of clients that were forgotten.
    forgotten_clients: u64,
    /// The expired keys that no entry has removed yet, in the order of their deadlines. They are
    /// gone; their removal is a change of its own, which has a revision.
    unremoved: BTreeSet<(u64, Bytes)>,
    /// The values of these keys.
    hidden: BTreeMap<Bytes, Held>,
    pub(super) leases: BTreeMap<u64, Lease>,
    /// The indexes at which each lease began to be there, or to be gone.
    pub(super) lease_changes: BTreeMap<u64, Vec<(u64, bool)>>,
    pub(super) lease_expiries: Vec<LeaseExpiry>,
    /// The changes that watchers see, in their order.
    changes: Vec<Changed>,
    /// The number of revisions that are kept.
    keep_revisions: u64,
    /// The format in force.
    format: u32,
    /// True when a command was executed.
    is_written: bool,
    /// The index of the entry that stored each version.
    stored: BTreeMap<u64, u64>,
    /// The state before the first entry, and after each.
    pub(super) states: Vec<StateAt>,
}

/// The first format in which a version is a revision, and not the index of an entry.
const REVISIONS: u32 = 4;
/// The number of revisions that are kept before a leader says another one.
const KEEP_REVISIONS: u64 = 100_000;

/// The state at an index.
#[derive(Clone, Default)]
pub(super) struct StateAt {
    /// The store's revision after the entry.
    revision: u64,
    /// True when the entry has changed a key.
    pub(super) has_changed: bool,
    /// The store's clock.
    clock_ms: u64,
    /// The oldest revision that can be read.
    compacted: u64,
    /// The outcome of the entry's command.
    outcome: Option<Told>,
    /// The key that it deleted.
    deleted: Option<Bytes>,
    pub(super) of_leases: OfLeases,
}

impl ReferenceStore {
    /// The store of a log from its first entry on.
    pub(crate) fn of(log: &[Entry]) -> ReferenceStore {
        let mut store =
            ReferenceStore { states: vec![StateAt::default()], ..ReferenceStore::default() };
        for entry in log {
            let clock_ms = store.clock_ms(store.last_index()).max(entry.stamp_ms);
            let StateAt { revision, compacted, .. } = store.states[store.last_index() as usize];
            let state = StateAt { clock_ms, revision, compacted, ..StateAt::default() };
            store.states.push(state);
            if let Payload::Format(raised) = &entry.payload {
                store.raise(raised);
            }
            store.expire();
            store.remove_expired(entry);
            if let Payload::Command(bytes) = &entry.payload {
                let command = Command::decode(bytes, FormatRange::OWN.highest)
                    .expect("every node has applied it");
                store.is_written = true;
                let outcome = store.execute_once(&command);
                store.current().outcome = Some(outcome);
            }
            store.finish();
        }
        store
    }

    /// Counts the revision of an entry, and forgets the revisions that are too old.
    fn finish(&mut self) {
        if self.format < REVISIONS {
            return;
        }
        let (index, keep_revisions) = (self.last_index(), self.keep_revisions);
        let state = self.current();
        if state.has_changed {
            state.revision += 1;
        }
        state.compacted = state.compacted.max(state.revision.saturating_sub(keep_revisions));
        let StateAt { revision, has_changed, .. } = *state;
        if has_changed {
            self.stored.insert(revision, index);
        }
    }

    /// All changes that watchers see, in their order.
    pub(crate) fn changes(&self) -> &[Changed] {
        &self.changes
    }

    /// The oldest revision that could be read at an index.
    pub(crate) fn compacted(&self, index: u64) -> u64 {
        self.states[index as usize].compacted
    }

    /// The store's revision at an index; 0 before revisions are counted.
    pub(crate) fn revision(&self, index: u64) -> u64 {
        self.states[index as usize].revision
    }

    /// The index of the entry that stored a version, or has another change of this revision.
    pub(crate) fn index_of(&self, version: u64) -> Option<u64> {
        self.stored.get(&version).copied()
    }

    /// Puts a format in force. Revisions begin above all versions: at 1 when the leader is certain
    /// that there was no command.
    fn raise(&mut self, raised: &FormatInForce) {
        let (index, before, format) = (self.last_index(), self.format, raised.format.0);
        self.format = format;
        if before < REVISIONS && format >= REVISIONS {
            let is_new = raised.is_in_unwritten_log && !self.is_written;
            let revision = if is_new { 1 } else { index };
            (self.current().revision, self.current().compacted) = (revision, revision);
            self.keep_revisions = KEEP_REVISIONS;
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
        let mut left = count;
        while left > 0
            && let Some((_, key)) = self.unremoved.pop_first()
        {
            let held = self.hidden.remove(&key);
            self.note_change(&key, Became::Expired, held.as_ref());
            left -= 1;
        }
        self.end_due_leases(left);
    }

    pub(crate) fn last_index(&self) -> u64 {
        self.states.len() as u64 - 1
    }

    /// The store's clock at an index.
    pub(crate) fn clock_ms(&self, index: u64) -> u64 {
        self.states[index as usize].clock_ms
    }

    /// The outcome of the command of the entry at `index`.
    pub(crate) fn outcome(&self, index: u64) -> Option<Told> {
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

    pub(super) fn current(&mut self) -> &mut StateAt {
        self.states.last_mut().expect("it begins with the state before the first entry")
    }

    pub(super) fn note_change(&mut self, key: &Bytes, became: Became, previous: Option<&Held>) {
        let (key, previous) =
            (key.clone(), previous.map(|held| (held.version, held.value.clone())));
        let revision = self.next_version();
        self.current().has_changed = true;
        if self.format >= REVISIONS {
            self.changes.push(Changed { revision, key, became, previous });
        }
    }

    /// Writes a key. One that is hidden and not removed yet is removed first.
    pub(super) fn write(&mut self, key: &Bytes, value: Bytes, exptime: u64, lease: u64) -> u64 {
        let (index, version) = (self.last_index(), self.next_version());
        let previous = self.at(index, key).cloned();
        self.unremoved.retain(|(_, unremoved)| unremoved != key);
        let hidden = self.hidden.remove(key);
        let hidden = self.detach(key).or(hidden);
        if hidden.is_some() {
            self.note_change(key, Became::Expired, hidden.as_ref());
        }
        self.note_change(key, Became::Set(exptime, value.clone()), previous.as_ref());
        let deadline_ms = (exptime > 0).then(|| self.clock_ms(index) + 1000 * exptime);
        let held = Held { version, value, deadline_ms, lease };
        self.attach(key, &held);
        self.stored.insert(version, index);
        self.keys.entry(key.clone()).or_default().push((index, Some(held)));
        version
    }

    /// Removes a key; false when it is absent.
    pub(super) fn delete(&mut self, key: &Bytes) -> bool {
        let index = self.last_index();
        let Some(previous) = self.at(index, key).cloned() else { return false };
        self.detach(key);
        self.note_change(key, Became::Deleted, Some(&previous));
        self.keys.entry(key.clone()).or_default().push((index, None));
        true
    }

    fn expire(&mut self) {
        let (index, clock_ms) = (self.last_index(), self.clock_ms(self.last_index()));
        for (key, changes) in &mut self.keys {
            let Some((_, Some(held))) = changes.last() else { continue };
            if let Some(deadline_ms) = held.deadline_ms.filter(|deadline| *deadline <= clock_ms) {
                let (key, held) = (key.clone(), held.clone());
                self.unremoved.insert((deadline_ms, key.clone()));
                self.hidden.insert(key.clone(), held.clone());
                self.expirations.push(Expiration { key, held, gone: index });
                changes.push((index, None));
            }
        }
        self.hide_due_leases();
        let clients = self.clients.len();
        self.clients.retain(|_, (.., spoke_ms)| *spoke_ms + CLIENT_SILENCE_MS > clock_ms);
        self.forgotten_clients += (clients - self.clients.len()) as u64;
    }

    fn execute_once(&mut self, command: &Command) -> Told {
        let Some(Once { client, seq }) = &command.once else { return self.execute(command) };
        let clock_ms = self.clock_ms(self.last_index());
        let (last_seq, outcome) = match self.clients.get(client).cloned() {
            Some((last_seq, _, _)) if *seq < last_seq => {
                self.clients.entry(client.clone()).and_modify(|record| record.2 = clock_ms);
                return Told::Outcome(Outcome::Stale);
            }
            _ if command.operation == Operation::End => {
                self.clients.remove(client);
                return Told::Outcome(Outcome::Ended);
            }
            Some((last_seq, outcome, _)) if *seq == last_seq => (last_seq, outcome),
            _ => (*seq, self.execute(command)),
        };
        self.clients.insert(client.clone(), (last_seq, outcome.clone(), clock_ms));
        outcome
    }

    fn execute(&mut self, command: &Command) -> Told {
        let outcome = match &command.operation {
            Operation::Transaction(transaction) => return self.transact(transaction),
            &Operation::Grant { id, ttl, .. } => self.grant(id, ttl),
            Operation::Renew { ids } => {
                Outcome::Renewed(ids.iter().map(|id| self.renew(*id)).collect())
            }
            &Operation::Revoke { id } => self.revoke(id),
            &Operation::Compact { revision } => self.compact(revision),
            Operation::SetHistory(limits) => {
                self.keep_revisions = limits.keep_revisions;
                Outcome::HistorySet
            }
            Operation::End => Outcome::Ended,
            Operation::Set { key, .. }
            | Operation::Add { key, .. }
            | Operation::Cas { key, .. }
            | Operation::Delete { key } => self.execute_single(key, &command.operation),
        };
        Told::Outcome(outcome)
    }

    fn execute_single(&mut self, key: &Bytes, operation: &Operation) -> Outcome {
        let version = self.at(self.last_index(), key).map_or(0, |held| held.version);
        let (exptime, value, lease) = match operation {
            Operation::Delete { .. } if !self.delete(key) => return Outcome::NotFound,
            Operation::Delete { .. } => {
                self.current().deleted = Some(key.clone());
                return Outcome::Deleted;
            }
            Operation::Add { .. } if version != 0 => return Outcome::Exists { version },
            Operation::Cas { version: expected, .. } if version != *expected => {
                return Outcome::VersionMismatch { version };
            }
            Operation::Set { exptime, value, lease, .. }
            | Operation::Add { exptime, value, lease, .. }
            | Operation::Cas { exptime, value, lease, .. } => (*exptime, value.clone(), *lease),
            _ => return Outcome::Ended,
        };
        if lease != 0 && !self.is_live(lease) {
            return Outcome::NoLease;
        }
        Outcome::Stored { version: self.write(key, value, exptime, lease) }
    }

    fn compact(&mut self, to: u64) -> Outcome {
        let StateAt { revision, compacted, .. } = *self.current();
        if to > revision {
            return Outcome::Future { revision };
        }
        if to < compacted {
            return Outcome::AlreadyCompacted { revision: compacted };
        }
        self.current().compacted = to;
        Outcome::Compacted { revision: to }
    }
}
