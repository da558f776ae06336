//! The store: applies committed entries, one after the other.

use super::codec::CommandError;
use super::command::{Command, Outcome, StoreStatus};
use super::corruption::{Corruption, Totals};
use super::edit::Edit;
use super::execute::execute_once;
use super::expiry::Step;
use super::history::History;
use super::leases::Leases;
use super::once::{CLIENTS_MAX, ClientState, OnceTable};
use super::record::NewRecord;
use super::records::Records;
use crate::commands::HistoryLimits;
use crate::types::{Entry, Format, FormatInForce, LogIndex, Payload};

/// The reason why an entry cannot be applied.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// The entry's command does not decode. Nothing has changed.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// A record that decides the outcome is not what was written. The store is of no use any
    /// more.
    #[error(transparent)]
    Corrupted(#[from] Corruption),
}

/// The replicated map as of one entry of the log.
///
/// Invariant: the store is a function of the entries up to `last_applied`, and of nothing
/// else. A clone takes constant time, and the two share everything that neither has
/// changed since.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store {
    records: Records,
    history: History,
    clients: OnceTable,
    last_applied: LogIndex,
    /// The format in force: it decides what an entry may do. An entry of the log sets it, so
    /// that a replay of the log after an upgrade does what the log did at first.
    format: Format,
}

impl Default for Store {
    fn default() -> Store {
        Store::new()
    }
}

impl Store {
    /// The store before the first entry.
    pub fn new() -> Store {
        Store::with_clients_max(CLIENTS_MAX)
    }

    /// The store before the first entry, which remembers at most `clients_max` clients.
    pub(super) fn with_clients_max(clients_max: usize) -> Store {
        Store {
            records: Records::default(),
            history: History::default(),
            clients: OnceTable::new(clients_max),
            last_applied: LogIndex(0),
            format: Format::FIRST,
        }
    }

    /// Applies the next entry. First the clock advances to the entry's stamp, which hides the
    /// keys and clients that are due, and a bounded number of hidden ones is removed. Then the
    /// command, if the entry has one, is executed and its outcome returned. It is the outcome
    /// that it would have if all hidden ones were removed.
    ///
    /// # Errors
    /// When the entry's command does not decode, and when a record that decides its outcome is
    /// not what was written. The caller must stop the node: it cannot skip a committed entry,
    /// because a node that understands the entry does not skip it.
    ///
    /// # Panics
    /// When `entry` is not the one that follows [`Store::last_applied`].
    pub fn apply(&mut self, entry: &Entry) -> Result<Option<Outcome>, ApplyError> {
        assert_eq!(
            entry.index,
            self.last_applied.next(),
            "entries are applied in the order of the log, each exactly once"
        );
        let command = match &entry.payload {
            Payload::Noop | Payload::Membership(_) | Payload::Format(_) | Payload::ClusterId(_) => {
                None
            }
            Payload::Command(payload) => Some(Command::decode(payload, self.format)?),
        };
        self.last_applied = entry.index;
        if let Payload::Format(raised) = &entry.payload {
            self.raise(raised);
        }
        // The clock never falls, even if a stamp does. So expired keys stay expired, and no
        // deadline is computed from an earlier time.
        self.records.advance(entry.stamp_ms);
        let step = Step::of(&entry.payload);
        self.clients.remove_hidden(self.clock_ms(), step.names);
        let counts_revisions = self.counts_revisions();
        let revision =
            if counts_revisions { self.history.revision() + 1 } else { self.last_applied.0 };
        let index = self.last_applied;
        let Store { records, history, clients, .. } = self;
        let mut edit = Edit::new(records, history, revision, counts_revisions);
        edit.remove_due(step);
        let outcome =
            command.map(|command| execute_once(&command, &mut edit, clients, index)).transpose();
        edit.finish(step);
        outcome.map_err(ApplyError::Corrupted)
    }

    /// True when the store counts revisions. Before that, a version is the index of an entry.
    pub(super) fn counts_revisions(&self) -> bool {
        self.format >= Format::REVISIONS
    }

    /// Puts a format in force. The first revision is above every version that was ever given: 1
    /// when there was no command before. A store that is empty may have been written to, so the
    /// entry says it (docs/adr/0029).
    fn raise(&mut self, raised: &FormatInForce) {
        let counted_before = self.counts_revisions();
        self.format = raised.format;
        if counted_before || !self.counts_revisions() {
            return;
        }
        let revision = if raised.is_in_unwritten_log { 1 } else { self.last_applied.0 };
        self.history.begin(revision, self.clock_ms());
    }

    /// The index of the newest entry that was applied.
    pub fn last_applied(&self) -> LogIndex {
        self.last_applied
    }

    /// The format in force after the newest entry that was applied.
    pub fn format(&self) -> Format {
        self.format
    }

    /// The store of a snapshot whose head says that `format` was in force at its last entry.
    #[must_use]
    pub fn in_format(self, format: Format) -> Store {
        Store { format, ..self }
    }

    /// The store's time: the highest stamp applied, in milliseconds of the cluster's elapsed
    /// time (docs/adr/0020).
    pub fn clock_ms(&self) -> u64 {
        self.records.clock_ms()
    }

    /// The number of keys; expired keys are not among them.
    pub fn keys(&self) -> u64 {
        self.records.visible().names
    }

    /// The size of the store in bytes, as `store_bytes_max` counts it: for each key the
    /// bytes of the key and of the value, and [`super::RECORD_OVERHEAD_BYTES`]. Expired keys
    /// do not count.
    pub fn bytes(&self) -> u64 {
        self.records.visible().bytes
    }

    /// The store's revision; before format 4 the index of the newest entry that was applied.
    pub fn revision(&self) -> u64 {
        if self.counts_revisions() { self.history.revision() } else { self.last_applied.0 }
    }

    /// Raises the revision of a store from a backup, so that clients that have seen later ones
    /// of the cluster that is lost see none of them a second time. The history is forgotten: who
    /// watches from a revision of the lost cluster is told so. Returns false when the store counts
    /// no revisions, which is before format 4.
    #[must_use]
    pub fn bump_revision(&mut self, by: u64) -> bool {
        if self.counts_revisions() {
            self.history.bump(by, self.clock_ms());
        }
        self.counts_revisions()
    }

    /// The oldest revision that can be read.
    pub fn compacted(&self) -> u64 {
        if self.counts_revisions() { self.history.compacted() } else { self.last_applied.0 }
    }

    /// The bounds of the history that are in force; [`HistoryLimits::NONE`] before format 4.
    pub fn history_limits(&self) -> HistoryLimits {
        self.history.limits()
    }

    /// The state of the store at this point in time.
    pub fn status(&self) -> StoreStatus {
        StoreStatus {
            last_applied: self.last_applied(),
            clock_ms: self.clock_ms(),
            keys: self.keys(),
            bytes: self.bytes(),
            clients: self.clients() as u64,
            digest: self.digest(),
            revision: self.revision(),
            compacted_revision: self.compacted(),
            history_changes: self.history.changes().len(),
            history_bytes: self.history.bytes(),
            leases: self.records.leases().len(),
        }
    }

    /// The time at which the next key expires, if any does. From then on an entry is due
    /// that advances the clock. Clients do not count here: no reader can see when a silent
    /// client is forgotten, so that waits for the next entry of any kind.
    pub fn next_deadline_ms(&self) -> Option<u64> {
        self.records.next_deadline_ms()
    }

    /// True when keys or clients have expired and are not removed yet. From then on entries
    /// are due that remove them.
    pub fn has_hidden(&self) -> bool {
        self.records.has_hidden()
            || self.history.has_surplus()
            || self.clients.has_hidden(self.clock_ms())
    }

    /// The number of leases that are due and may end in one go. An entry ends one lease that has
    /// keys, at most.
    pub fn ending_leases(&self) -> u64 {
        self.records.leases().ending()
    }

    /// The number of clients that are stored for their retries, with the hidden ones.
    pub fn clients(&self) -> usize {
        self.clients.stored_len()
    }

    /// A hash of all keys and clients that are stored, with the hidden ones. It is equal on all
    /// nodes at equal [`Store::last_applied`]. Every change updates it; this call computes no
    /// hash.
    pub fn digest(&self) -> u64 {
        let digest = self.records.digest().wrapping_add(self.clients.digest());
        // Before format 4 there was no history, and digests were without it.
        if self.counts_revisions() { digest.wrapping_add(self.history.digest()) } else { digest }
    }

    /// The totals of all that is stored, as the store keeps them.
    pub(super) fn totals(&self) -> Totals {
        Totals {
            keys: self.records.stored_len(),
            bytes: self.records.stored_bytes(),
            changes: self.history.changes().len(),
            clients: self.clients() as u64,
            digest: self.digest(),
        }
    }

    /// The part of the digest that is not of a record, a change or a client.
    pub(super) fn own_numbers_digest(&self) -> u64 {
        let history = if self.counts_revisions() { self.history.numbers_digest() } else { 0 };
        history.wrapping_add(self.records.leases().ended_digest())
    }

    /// The keys, for reads and snapshots.
    pub(super) fn records(&self) -> &Records {
        &self.records
    }

    /// The history, for reads, watchers and snapshots.
    pub(super) fn history(&self) -> &History {
        &self.history
    }

    /// The clients, for snapshots.
    pub(super) fn once_table(&self) -> &OnceTable {
        &self.clients
    }

    /// An empty store as of an entry, to be filled from a snapshot.
    pub(super) fn empty_at(last_applied: LogIndex, clock_ms: u64) -> Store {
        let mut store = Store { last_applied, ..Store::new() };
        store.records.advance(clock_ms);
        store
    }

    /// Adds a key that a snapshot holds.
    pub(super) fn restore_key(&mut self, key: &[u8], record: NewRecord<'_>) {
        self.records.insert(key, record);
    }

    /// The leases, to add those that a snapshot holds.
    pub(super) fn leases_mut(&mut self) -> &mut Leases {
        self.records.leases_mut()
    }

    /// Sets the history that a snapshot holds.
    pub(super) fn restore_history(&mut self, history: History) {
        self.history = history;
    }

    /// Adds a client that a snapshot holds.
    pub(super) fn restore_client(&mut self, name: &[u8], state: ClientState) {
        self.clients.restore(name, state);
    }
}

#[cfg(any(test, feature = "testing"))]
impl Store {
    /// Changes one bit of a stored record and leaves its hashes as they are, as a fault of the
    /// memory does. The change that wrote the record has it as well: it is one place of the
    /// memory. Returns false when there is no record.
    pub fn flip_bit(&mut self, seed: u64) -> bool {
        let Some(record) = self.records.flip_bit(seed) else { return false };
        self.history.write_again(&record);
        true
    }

    /// Changes a stored record with its hash and the digest, as an entry that is applied wrongly
    /// does. Returns false when there is no record.
    pub fn diverge(&mut self, seed: u64) -> bool {
        let Some(record) = self.records.diverge(seed) else { return false };
        self.history.write_again(&record);
        true
    }
}

#[cfg(test)]
mod tests;
