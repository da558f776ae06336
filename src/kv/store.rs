//! The store itself: applies committed entries, one after the other.

use super::codec::CommandError;
use super::command::{Command, Operation, Outcome};
use super::once::{CLIENTS_MAX, OnceTable};
use super::records::{Records, weight_bytes};
use crate::types::{Entry, LogIndex, Payload};

/// The replicated map at one moment of the log.
///
/// Invariant: it is a function of the entries up to `last_applied`, and of
/// nothing else. Cloning it takes constant time and shares what neither clone
/// has changed since.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store {
    pub(super) records: Records,
    pub(super) clients: OnceTable,
    /// The highest stamp applied: the only clock that the store knows.
    pub(super) clock_ms: u64,
    pub(super) last_applied: LogIndex,
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

    pub(super) fn with_clients_max(clients_max: usize) -> Store {
        Store {
            records: Records::default(),
            clients: OnceTable::new(clients_max),
            clock_ms: 0,
            last_applied: LogIndex(0),
        }
    }

    /// Applies the next entry: first time passes up to its stamp, and what is
    /// due goes; then its command, when it has one, is executed and its outcome
    /// returned.
    ///
    /// # Errors
    /// When the entry's command does not decode; nothing has changed then. The
    /// caller must stop the node: an entry that is committed cannot be skipped,
    /// because a node that does understand it has not skipped it.
    ///
    /// # Panics
    /// When `entry` is not the one that follows [`Store::last_applied`].
    pub fn apply(&mut self, entry: &Entry) -> Result<Option<Outcome>, CommandError> {
        assert_eq!(
            entry.index,
            self.last_applied.next(),
            "entries are applied in the order of the log, each exactly once"
        );
        let command = match &entry.payload {
            Payload::Noop | Payload::Membership(_) => None,
            Payload::Command(payload) => Some(Command::decode(payload)?),
        };
        self.last_applied = entry.index;
        // A clock that never falls, even were a stamp to: what has expired stays
        // expired, and a deadline is never computed from an earlier time.
        self.clock_ms = self.clock_ms.max(entry.stamp_ms);
        if mutant!(B71b) && entry.payload == Payload::Noop {
            self.clients = OnceTable::new(CLIENTS_MAX);
        }
        self.records.expire(self.clock_ms);
        self.clients.expire(self.clock_ms);
        Ok(command.map(|command| self.execute_once(&command)))
    }

    /// What a snapshot would be that forgets who has asked for what (bugs.md B73).
    pub(super) fn without_clients(&self) -> Store {
        Store { clients: OnceTable::new(CLIENTS_MAX), ..self.clone() }
    }

    /// The newest entry that was applied.
    pub fn last_applied(&self) -> LogIndex {
        self.last_applied
    }

    /// The store's time: the highest stamp applied, in milliseconds since the
    /// Unix epoch.
    pub fn clock_ms(&self) -> u64 {
        self.clock_ms
    }

    /// How many keys there are; the expired ones are gone.
    pub fn keys(&self) -> u64 {
        self.records.len() as u64
    }

    /// The size of the keys, as `store_bytes_max` counts it: for each key its
    /// bytes, its value's, and [`super::RECORD_OVERHEAD_BYTES`].
    pub fn bytes(&self) -> u64 {
        self.records.bytes()
    }

    /// When the next key expires, if any does: from then on an entry is due that
    /// lets the time pass. Clients do not count: nobody sees when a silent one
    /// is forgotten, so that waits for whatever entry comes next.
    pub fn next_deadline_ms(&self) -> Option<u64> {
        self.records.next_deadline_ms()
    }

    /// How many clients are remembered for their retries.
    pub fn clients(&self) -> usize {
        self.clients.len()
    }

    /// A hash of all keys and clients, equal on all nodes at equal
    /// [`Store::last_applied`]. It is kept up to date, not computed here.
    pub fn digest(&self) -> u64 {
        self.records.digest().wrapping_add(self.clients.digest())
    }

    /// Executes a command, or tells why its `once` forbids it.
    fn execute_once(&mut self, command: &Command) -> Outcome {
        let once = command.once.as_ref().filter(|_| !mutant!(B71a));
        let Some(once) = once else { return self.execute(command) };
        if let Some(outcome) = self.clients.outcome_without_executing(once, self.clock_ms) {
            return outcome;
        }
        let outcome = self.execute(command);
        self.clients.executed(once, outcome, self.clock_ms);
        outcome
    }

    fn execute(&mut self, command: &Command) -> Outcome {
        let bytes_max = command.store_bytes_max;
        match &command.operation {
            Operation::Set { key, exptime, value } => self.write(key, *exptime, value, bytes_max),
            Operation::Add { key, exptime, value } => match self.version_of(key) {
                0 => self.write(key, *exptime, value, bytes_max),
                version => Outcome::Exists { version },
            },
            Operation::Cas { key, exptime, version: expected, value } => {
                let version = self.version_of(key);
                if version == *expected {
                    self.write(key, *exptime, value, bytes_max)
                } else {
                    Outcome::VersionMismatch { version }
                }
            }
            Operation::Delete { key } => {
                if self.records.remove(key) {
                    Outcome::Deleted
                } else {
                    Outcome::NotFound
                }
            }
        }
    }

    fn write(&mut self, key: &[u8], exptime: u64, value: &[u8], bytes_max: u64) -> Outcome {
        if !self.has_room(key, value, bytes_max) {
            return Outcome::Full;
        }
        let version = self.last_applied.0;
        let deadline_ms =
            (exptime > 0).then(|| self.clock_ms.saturating_add(exptime.saturating_mul(1000)));
        self.records.put(key, value, version, deadline_ms);
        Outcome::Stored { version }
    }

    /// Whether the limit (0: none) lets `value` be stored under `key`. A value
    /// that takes no more room than the one in its place always may, even in a
    /// store that is over a limit that was lowered: it makes nothing worse, and
    /// shrinking values is a way back.
    fn has_room(&self, key: &[u8], value: &[u8], bytes_max: u64) -> bool {
        if bytes_max == 0 {
            return true;
        }
        let replaced = self.records.get(key).map_or(0, |record| weight_bytes(key, &record.value));
        let written = weight_bytes(key, value);
        written <= replaced || self.bytes() - replaced + written <= bytes_max
    }

    /// The version of `key`; 0 when it is absent, which no entry's index is.
    fn version_of(&self, key: &[u8]) -> u64 {
        self.records.get(key).map_or(0, |record| record.version)
    }
}

#[cfg(test)]
impl Store {
    /// Size and digest from the records themselves.
    pub(super) fn recomputed(&self) -> (u64, u64) {
        let (bytes, digest) = self.records.recomputed();
        (bytes, digest.wrapping_add(self.clients.recomputed_digest()))
    }
}

#[cfg(test)]
mod tests;
