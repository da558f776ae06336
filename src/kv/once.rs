//! The exactly-once table (dissertation §6.3): of each client the last number
//! that it used, with what came of it.
//!
//! The table is part of the replicated state: it changes only by entries, and
//! goes wherever the store goes. So a retry finds the remembered outcome on
//! whichever node leads by then.

use std::ops::Bound;

use imbl::OrdMap;

use super::command::{Once, Outcome};
use super::digest;
use super::expiry::Deadlines;
use super::name::Name;

/// How many clients the store remembers; at the limit a new one gets
/// [`Outcome::Busy`]. A constant of the format: nodes with different limits
/// would decide differently.
pub const CLIENTS_MAX: usize = 1_000_000;

/// How long a client must be silent, by the store's clock, to be forgotten: an
/// hour. A constant of the format.
pub const CLIENT_SILENCE_MS: u64 = 3_600_000;

/// What is remembered of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Client {
    /// The last number that it used.
    seq: u64,
    /// What came of that command.
    outcome: Outcome,
    /// The store's clock when it last spoke.
    last_used_ms: u64,
    /// The record's part of the digest.
    hash: u64,
}

/// What a snapshot holds of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ClientState {
    pub seq: u64,
    pub outcome: Outcome,
    pub last_used_ms: u64,
}

impl Client {
    fn silent_at_ms(&self) -> u64 {
        let silence_ms = if mutant!(B73) { 1_000 } else { CLIENT_SILENCE_MS };
        self.last_used_ms.saturating_add(silence_ms)
    }
}

/// All clients.
///
/// A client speaks with every command of its own that is applied, whatever comes
/// of it: a stale or a refused one shows just as well that it is alive and may
/// yet retry.
///
/// Invariants: `silences` holds exactly the clients, each with the time at which
/// it will have been silent for too long; `digest` is the sum of the hashes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct OnceTable {
    by_name: OrdMap<Name, Client>,
    silences: Deadlines,
    digest: u64,
    clients_max: usize,
}

impl OnceTable {
    /// An empty table for `clients_max` clients.
    pub fn new(clients_max: usize) -> OnceTable {
        OnceTable { by_name: OrdMap::new(), silences: Deadlines::default(), digest: 0, clients_max }
    }

    /// Forgets every client that has been silent for too long.
    pub fn expire(&mut self, clock_ms: u64) {
        while let Some(name) = self.silences.pop_due(clock_ms) {
            let removed = self.by_name.remove(&name[..]).expect("only known clients fall silent");
            self.digest = self.digest.wrapping_sub(removed.hash);
        }
    }

    /// The outcome of a command that is not to be executed: remembered, stale,
    /// or of one client too many. `None` when it is to be executed; then
    /// [`OnceTable::executed`] must follow.
    pub fn outcome_without_executing(&mut self, once: &Once, clock_ms: u64) -> Option<Outcome> {
        let Some(client) = self.by_name.get(&once.client[..]).copied() else {
            return (self.by_name.len() >= self.clients_max).then_some(Outcome::Busy);
        };
        if once.seq > client.seq || mutant!(B71c) && once.seq < client.seq {
            return None;
        }
        self.put(&once.client, client.seq, client.outcome, clock_ms);
        Some(if once.seq == client.seq { client.outcome } else { Outcome::Stale })
    }

    /// Remembers what came of a command that was executed. One that was refused
    /// because the store is full has used no number.
    pub fn executed(&mut self, once: &Once, outcome: Outcome, clock_ms: u64) {
        if outcome != Outcome::Full {
            self.put(&once.client, once.seq, outcome, clock_ms);
        } else if let Some(client) = self.by_name.get(&once.client[..]).copied() {
            self.put(&once.client, client.seq, client.outcome, clock_ms);
        }
    }

    /// How many clients there are.
    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    /// The sum of the records' hashes.
    pub fn digest(&self) -> u64 {
        self.digest
    }

    /// The clients whose names lie behind `start`, in byte order.
    pub fn range_from<'a>(
        &'a self,
        start: Bound<&[u8]>,
    ) -> impl Iterator<Item = (&'a Name, ClientState)> + use<'a> {
        let clients = self.by_name.range::<_, [u8]>((start, Bound::Unbounded));
        clients.map(|(name, client)| {
            let Client { seq, outcome, last_used_ms, .. } = *client;
            (name, ClientState { seq, outcome, last_used_ms })
        })
    }

    /// Puts back a client of a snapshot.
    pub fn restore(&mut self, name: &[u8], state: ClientState) {
        self.put(name, state.seq, state.outcome, state.last_used_ms);
    }

    fn put(&mut self, name: &[u8], seq: u64, outcome: Outcome, last_used_ms: u64) {
        let hash = digest::client_record(name, seq, outcome, last_used_ms);
        let client = Client { seq, outcome, last_used_ms, hash };
        self.digest = self.digest.wrapping_add(hash);
        if let Some((name, known)) = self.by_name.get_key_value_mut(name) {
            let replaced = std::mem::replace(known, client);
            self.digest = self.digest.wrapping_sub(replaced.hash);
            if replaced.last_used_ms != last_used_ms {
                self.silences.remove(replaced.silent_at_ms(), name.clone());
                self.silences.insert(client.silent_at_ms(), name.clone());
            }
        } else {
            let name = Name::from(name);
            self.silences.insert(client.silent_at_ms(), name.clone());
            self.by_name.insert(name, client);
        }
    }
}

#[cfg(test)]
impl OnceTable {
    /// The digest from the records themselves.
    pub fn recomputed_digest(&self) -> u64 {
        self.by_name.iter().fold(0, |sum, (name, client)| {
            let Client { seq, outcome, last_used_ms, .. } = *client;
            sum.wrapping_add(digest::client_record(name, seq, outcome, last_used_ms))
        })
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn once(client: &'static str, seq: u64) -> Once {
        Once { client: Bytes::from(client), seq }
    }

    #[test]
    fn the_table_takes_so_many_clients_and_then_only_those_that_it_knows() {
        let mut table = OnceTable::new(2);
        for client in ["a", "b"] {
            assert_eq!(table.outcome_without_executing(&once(client, 1), 0), None);
            table.executed(&once(client, 1), Outcome::Deleted, 0);
        }
        assert_eq!(table.outcome_without_executing(&once("c", 1), 0), Some(Outcome::Busy));
        assert_eq!(table.outcome_without_executing(&once("a", 2), 0), None);
        assert_eq!(table.len(), 2, "a refused client leaves no trace");

        table.expire(CLIENT_SILENCE_MS);
        assert_eq!(table.outcome_without_executing(&once("c", 1), CLIENT_SILENCE_MS), None);
        assert_eq!(table.digest(), 0);
    }

    #[test]
    fn a_client_is_forgotten_an_hour_after_it_last_spoke_and_not_before() {
        let mut table = OnceTable::new(CLIENTS_MAX);
        table.executed(&once("a", 5), Outcome::Deleted, 0);
        // A retry, a stale number and a refusal each count as speech.
        assert_eq!(table.outcome_without_executing(&once("a", 5), 1), Some(Outcome::Deleted));
        table.expire(CLIENT_SILENCE_MS);
        assert_eq!(table.outcome_without_executing(&once("a", 4), 2), Some(Outcome::Stale));
        table.expire(CLIENT_SILENCE_MS + 1);
        table.executed(&once("a", 6), Outcome::Full, 3);
        table.expire(CLIENT_SILENCE_MS + 2);
        assert_eq!(table.digest(), table.recomputed_digest());
        assert_eq!(table.len(), 1);
        table.expire(CLIENT_SILENCE_MS + 3);
        assert_eq!((table.len(), table.digest()), (0, 0));
    }

    #[test]
    fn a_number_that_met_a_full_store_is_not_used() {
        let mut table = OnceTable::new(CLIENTS_MAX);
        table.executed(&once("new", 1), Outcome::Full, 0);
        assert_eq!(table.len(), 0);
        table.executed(&once("old", 1), Outcome::Deleted, 0);
        table.executed(&once("old", 2), Outcome::Full, 0);
        assert_eq!(table.outcome_without_executing(&once("old", 2), 0), None);
        assert_eq!(table.outcome_without_executing(&once("old", 1), 0), Some(Outcome::Deleted));
    }
}
