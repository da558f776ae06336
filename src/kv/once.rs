//! The exactly-once table (dissertation §6.3): the last number that each client used,
//! with the outcome of that command.
//!
//! The table is part of the replicated state: it changes only by entries, and it is in
//! every snapshot of the store. So a retry finds the remembered outcome on whichever node
//! is the leader by then.

use std::ops::Bound;

use imbl::OrdMap;

use super::command::Outcome;
use super::corruption::Corruption;
use super::deadlines::Deadlines;
use super::digest;
use super::key_bytes::KeyBytes;
use super::remembered::{Remembered, RememberedFields};
use crate::commands::Once;

/// Maximum number of clients that the store remembers; at the limit a new client gets
/// [`Outcome::Busy`]. It is a constant of the format: nodes with different limits would
/// decide differently.
pub const CLIENTS_MAX: usize = 1_000_000;

/// The time after its last command at which a client is forgotten, in milliseconds of the
/// store's clock: one hour. It is a constant of the format.
pub const CLIENT_SILENCE_MS: u64 = 3_600_000;

/// The table's entry for one client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ClientRecord {
    /// The last number that the client used.
    seq: u64,
    /// The outcome of the command with that number.
    outcome: Remembered,
    /// The store's clock at the client's last command, in milliseconds.
    last_used_ms: u64,
    /// The hash of the record as it was written: its part of the digest.
    hash: u64,
}

/// The state of a client that a snapshot holds: a [`ClientRecord`] without its hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ClientState {
    pub seq: u64,
    pub outcome: Remembered,
    pub last_used_ms: u64,
}

impl ClientRecord {
    /// The hash of the record, after a check that the record is what was written.
    ///
    /// # Errors
    /// When it is not.
    pub fn verify(&self, name: &[u8]) -> Result<u64, Corruption> {
        let hash = client_hash(name, self.seq, &self.outcome, self.last_used_ms);
        if hash == self.hash { Ok(hash) } else { Err(Corruption::of_client(name)) }
    }

    /// The state that a snapshot holds.
    pub fn state(&self) -> ClientState {
        let ClientRecord { seq, outcome, last_used_ms, .. } = self.clone();
        ClientState { seq, outcome, last_used_ms }
    }

    /// True when the client has been silent for too long: it counts as forgotten.
    fn is_hidden(&self, clock_ms: u64) -> bool {
        self.silent_at_ms() <= clock_ms
    }

    /// The time at which the client will have been silent for too long.
    fn silent_at_ms(&self) -> u64 {
        self.last_used_ms.saturating_add(CLIENT_SILENCE_MS)
    }
}

/// All clients that the store remembers. A client that has been silent for too long is
/// hidden: it counts as forgotten, and stays in the table until an entry removes it.
///
/// Every applied command of a client ends its silence, with any outcome: a stale or a
/// refused command also shows that the client is alive and may retry.
///
/// Invariants: `silences` holds exactly the clients, each with the time at which it will
/// have been silent for too long; `digest` is the sum of the hashes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct OnceTable {
    by_name: OrdMap<KeyBytes, ClientRecord>,
    silences: Deadlines,
    digest: u64,
    clients_max: usize,
}

impl OnceTable {
    /// An empty table for `clients_max` clients.
    pub fn new(clients_max: usize) -> OnceTable {
        OnceTable { by_name: OrdMap::new(), silences: Deadlines::default(), digest: 0, clients_max }
    }

    /// Removes hidden clients, at most `clients_max`, in the order of their silences.
    pub fn remove_hidden(&mut self, clock_ms: u64, clients_max: u64) {
        for _ in 0..clients_max {
            if !self.remove_first_hidden(clock_ms) {
                return;
            }
        }
    }

    /// True when there are hidden clients.
    pub fn has_hidden(&self, clock_ms: u64) -> bool {
        self.silences.has_due(clock_ms)
    }

    fn remove_first_hidden(&mut self, clock_ms: u64) -> bool {
        let Some((_, name)) = self.silences.pop_due(clock_ms) else { return false };
        let removed = self.by_name.remove(&name[..]).expect("only known clients fall silent");
        self.digest = self.digest.wrapping_sub(removed.hash);
        true
    }

    /// The record of a client that is not hidden. It is what was written.
    ///
    /// # Errors
    /// When it is not.
    fn get(&self, name: &[u8], clock_ms: u64) -> Result<Option<ClientRecord>, Corruption> {
        let Some(client) = self.by_name.get(name) else { return Ok(None) };
        client.verify(name)?;
        Ok(Some(client.clone()).filter(|client| !client.is_hidden(clock_ms)))
    }

    /// The outcome of a command that must not be executed: its remembered outcome, or
    /// stale, or busy when the table is full. `None` when the command is to be executed;
    /// then the caller must call [`OnceTable::executed`] afterwards.
    ///
    /// # Errors
    /// When the client's record is not what was written.
    pub fn outcome_without_executing(
        &mut self,
        once: &Once,
        clock_ms: u64,
    ) -> Result<Option<Remembered>, Corruption> {
        let Some(client) = self.get(&once.client, clock_ms)? else {
            // A hidden client makes room for a new one.
            let has_room =
                self.by_name.len() < self.clients_max || self.remove_first_hidden(clock_ms);
            return Ok((!has_room).then_some(Outcome::Busy.into()));
        };
        if once.seq > client.seq {
            return Ok(None);
        }
        self.put(&once.client, client.seq, client.outcome.clone(), clock_ms);
        Ok(Some(if once.seq == client.seq { client.outcome } else { Outcome::Stale.into() }))
    }

    /// Remembers the outcome of a command that was executed. A command that was refused
    /// because the store is full has used no number.
    ///
    /// # Errors
    /// When the client's record is not what was written.
    pub fn executed(
        &mut self,
        once: &Once,
        outcome: Remembered,
        clock_ms: u64,
    ) -> Result<(), Corruption> {
        if outcome != Remembered::Outcome(Outcome::Full) {
            self.put(&once.client, once.seq, outcome, clock_ms);
        } else if let Some(client) = self.get(&once.client, clock_ms)? {
            self.put(&once.client, client.seq, client.outcome, clock_ms);
        }
        Ok(())
    }

    /// Forgets a client that says that it has ended. A number below the last one used is an
    /// old command of it, and does not forget the newer one (docs/bugs.md C16). An unknown
    /// client has ended already, so a retry has the same outcome.
    ///
    /// # Errors
    /// When the client's record is not what was written.
    pub fn end(&mut self, once: &Once, clock_ms: u64) -> Result<Outcome, Corruption> {
        let Some(client) = self.get(&once.client, clock_ms)? else {
            return Ok(Outcome::Ended);
        };
        if once.seq < client.seq {
            self.put(&once.client, client.seq, client.outcome, clock_ms);
            return Ok(Outcome::Stale);
        }
        self.by_name.remove(&once.client[..]);
        self.silences.remove(client.silent_at_ms(), KeyBytes::from(&once.client[..]));
        self.digest = self.digest.wrapping_sub(client.hash);
        Ok(Outcome::Ended)
    }

    /// The number of clients, with the hidden ones.
    pub fn stored_len(&self) -> usize {
        self.by_name.len()
    }

    /// The sum of the records' hashes, with the hidden ones.
    pub fn digest(&self) -> u64 {
        self.digest
    }

    /// The clients from `start` on, also the hidden ones, in the byte order of their names. They
    /// are not verified.
    pub fn stored_from<'a>(
        &'a self,
        start: Bound<&[u8]>,
    ) -> impl Iterator<Item = (&'a KeyBytes, &'a ClientRecord)> + use<'a> {
        self.by_name.range::<_, [u8]>((start, Bound::Unbounded))
    }

    /// True when a search for `name` finds exactly `client`.
    pub fn finds(&self, name: &[u8], client: &ClientRecord) -> bool {
        self.by_name.get(name).is_some_and(|found| std::ptr::eq(found, client))
    }

    /// Adds a client that a snapshot holds.
    pub fn restore(&mut self, name: &[u8], state: ClientState) {
        self.put(name, state.seq, state.outcome, state.last_used_ms);
    }

    fn put(&mut self, name: &[u8], seq: u64, outcome: Remembered, last_used_ms: u64) {
        let hash = client_hash(name, seq, &outcome, last_used_ms);
        let client = ClientRecord { seq, outcome, last_used_ms, hash };
        self.digest = self.digest.wrapping_add(hash);
        if let Some((name, known)) = self.by_name.get_key_value_mut(name) {
            let silent_at_ms = client.silent_at_ms();
            let replaced = std::mem::replace(known, client);
            self.digest = self.digest.wrapping_sub(replaced.hash);
            if replaced.last_used_ms != last_used_ms {
                self.silences.remove(replaced.silent_at_ms(), name.clone());
                self.silences.insert(silent_at_ms, name.clone());
            }
        } else {
            let name = KeyBytes::from(name);
            self.silences.insert(client.silent_at_ms(), name.clone());
            self.by_name.insert(name, client);
        }
    }
}

/// The hash of a client's name with the state that is remembered of the client.
fn client_hash(name: &[u8], seq: u64, outcome: &Remembered, last_used_ms: u64) -> u64 {
    let RememberedFields { kind, number, rest } = outcome.to_fields();
    digest::client_record(name, [seq, kind, number, last_used_ms], &rest)
}

#[cfg(test)]
mod tests;
