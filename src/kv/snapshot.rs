//! A store as bytes, and back: the inside of a snapshot (docs/adr/0008).
//!
//! A snapshot is a sequence of blocks. Each begins with its kind, a byte; the rest
//! is a MessagePack array of records:
//!
//! ```text
//!   1 head     [last_applied, clock_ms, keys, clients, digest]   only one, first
//!   2 keys     [key, value, version, deadline_ms or nil]         in the order of keys
//!   3 clients  [name, seq, outcome, version, last_used_ms]       in the order of names
//! ```
//!
//! Equal stores give equal blocks, on every node. Nobody trusts them for that:
//! whoever loads them compares counts and digest with what the head promised.

use std::ops::Bound;

use rmp_serde::Deserializer;
use serde::{Deserialize, Serialize};

use super::codec::{CLIENT_BYTES_MAX, KEY_BYTES_MAX, VALUE_BYTES_MAX, is_at_end};
use super::command::Outcome;
use super::name::Name;
use super::once::ClientState;
use super::store::Store;
use crate::types::LogIndex;

/// A block ends with the record that brings it to so many bytes.
pub const SNAPSHOT_BLOCK_BYTES: usize = 256 * 1024;

const HEAD: u8 = 1;
const KEYS: u8 = 2;
const CLIENTS: u8 = 3;

/// MessagePack's mark of an array with a count of four bytes, and where they are.
const ARRAY_32: u8 = 0xdd;
const COUNT: std::ops::Range<usize> = 2..6;

/// Blocks that are not a snapshot of a store.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// A block of no known kind, or where none of its kind can be.
    #[error("a block of kind {0} cannot stand here")]
    Kind(u8),
    /// A block without a kind.
    #[error("a block is empty")]
    Empty,
    /// A record that does not decode.
    #[error("a record does not decode: {0}")]
    Malformed(String),
    /// A record that no store holds.
    #[error("{0}")]
    Impossible(&'static str),
    /// The records are not those that the head promised.
    #[error(
        "the snapshot promises {promised_keys} keys, {promised_clients} clients and digest \
         {promised_digest:016x}, and holds {keys}, {clients} and {digest:016x}"
    )]
    Incomplete {
        /// By the head.
        promised_keys: u64,
        /// By the head.
        promised_clients: u64,
        /// By the head.
        promised_digest: u64,
        /// Of the blocks.
        keys: u64,
        /// Of the blocks.
        clients: u64,
        /// Of the blocks.
        digest: u64,
    },
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Head {
    last_applied: LogIndex,
    clock_ms: u64,
    keys: u64,
    clients: u64,
    digest: u64,
}

#[derive(Serialize, Deserialize)]
struct KeyRecord<'a> {
    #[serde(with = "serde_bytes")]
    key: &'a [u8],
    #[serde(with = "serde_bytes")]
    value: &'a [u8],
    version: u64,
    deadline_ms: Option<u64>,
}

#[derive(Serialize, Deserialize)]
struct ClientRecord<'a> {
    #[serde(with = "serde_bytes")]
    name: &'a [u8],
    seq: u64,
    /// As in the digest.
    outcome: u64,
    version: u64,
    last_used_ms: u64,
}

impl Store {
    /// This moment of the store as blocks, worked out one by one: nothing is held
    /// but the clone and the block. A block has [`SNAPSHOT_BLOCK_BYTES`], or one
    /// record that is larger.
    pub fn snapshot_blocks(&self) -> SnapshotBlocks {
        let store = if mutant!(B73b) { self.without_clients() } else { self.clone() };
        SnapshotBlocks { store, next: Next::Head }
    }
}

/// See [`Store::snapshot_blocks`].
#[derive(Clone, Debug)]
pub struct SnapshotBlocks {
    store: Store,
    next: Next,
}

/// What comes next: records behind this name, or behind none.
#[derive(Clone, Debug)]
enum Next {
    Head,
    Keys(Option<Name>),
    Clients(Option<Name>),
}

impl SnapshotBlocks {
    fn head(&self) -> Head {
        Head {
            last_applied: self.store.last_applied,
            clock_ms: self.store.clock_ms,
            keys: self.store.keys(),
            clients: self.store.clients.len() as u64,
            digest: self.store.digest(),
        }
    }

    fn keys_behind(&self, last: Option<&Name>) -> Block {
        let mut block = Block::new(KEYS);
        for (name, record) in self.store.records.range_from(behind(last)) {
            let (version, deadline_ms) = (record.version, record.deadline_ms);
            let (key, value) = (&name[..], &record.value[..]);
            if block.add(name, &KeyRecord { key, value, version, deadline_ms }) {
                break;
            }
        }
        block
    }

    fn clients_behind(&self, last: Option<&Name>) -> Block {
        let mut block = Block::new(CLIENTS);
        for (name, client) in self.store.clients.range_from(behind(last)) {
            let ClientState { seq, outcome, last_used_ms } = client;
            let (outcome, version) = outcome.to_numbers();
            if block.add(name, &ClientRecord { name, seq, outcome, version, last_used_ms }) {
                break;
            }
        }
        block
    }
}

fn behind(name: Option<&Name>) -> Bound<&[u8]> {
    name.map_or(Bound::Unbounded, |name| Bound::Excluded(&name[..]))
}

impl Iterator for SnapshotBlocks {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        if let Next::Head = self.next {
            self.next = Next::Keys(None);
            let mut block = Block::new(HEAD);
            block.write(&self.head());
            return Some(block.finish());
        }
        if let Next::Keys(last) = &self.next {
            let block = self.keys_behind(last.as_ref());
            if let Some(last) = block.last.clone() {
                self.next = Next::Keys(Some(last));
                return Some(block.finish());
            }
            self.next = Next::Clients(None);
        }
        let Next::Clients(last) = &self.next else { return None };
        let block = self.clients_behind(last.as_ref());
        self.next = Next::Clients(Some(block.last.clone()?));
        Some(block.finish())
    }
}

/// A block in the making.
struct Block {
    bytes: Vec<u8>,
    records: u32,
    /// The name of its last record.
    last: Option<Name>,
}

impl Block {
    fn new(kind: u8) -> Block {
        // The count is written when it is known.
        Block { bytes: vec![kind, ARRAY_32, 0, 0, 0, 0], records: 0, last: None }
    }

    /// Adds a record; true when the block is full.
    fn add(&mut self, name: &Name, record: &impl Serialize) -> bool {
        self.write(record);
        self.last = Some(name.clone());
        self.bytes.len() >= SNAPSHOT_BLOCK_BYTES
    }

    fn write(&mut self, record: &impl Serialize) {
        self.records += 1;
        rmp_serde::encode::write(&mut self.bytes, record)
            .expect("numbers and byte strings always encode to MessagePack in memory");
    }

    fn finish(mut self) -> Vec<u8> {
        self.bytes[COUNT].copy_from_slice(&self.records.to_be_bytes());
        self.bytes
    }
}

/// Makes a store of the blocks of a snapshot, in their order.
#[derive(Debug, Default)]
pub struct StoreLoader {
    store: Store,
    head: Option<Head>,
    last_key: Vec<u8>,
    last_client: Vec<u8>,
}

impl StoreLoader {
    /// A loader that waits for the first block.
    pub fn new() -> StoreLoader {
        StoreLoader::default()
    }

    /// Takes the next block.
    ///
    /// # Errors
    /// When it is not one, or cannot stand here; the loader is of no use then.
    pub fn load(&mut self, block: &[u8]) -> Result<(), SnapshotError> {
        let (kind, body) = block.split_first().ok_or(SnapshotError::Empty)?;
        match (*kind, self.head) {
            (HEAD, None) => records(body, |head| self.begin(head)),
            (KEYS, Some(_)) if self.last_client.is_empty() => {
                records(body, |record| self.add_key(&record))
            }
            (CLIENTS, Some(_)) => records(body, |record| self.add_client(&record)),
            (kind, _) => Err(SnapshotError::Kind(kind)),
        }
    }

    /// The store, when all that the head promised was there.
    ///
    /// # Errors
    /// When it was not.
    pub fn finish(self) -> Result<Store, SnapshotError> {
        let promised = self.head.ok_or(SnapshotError::Empty)?;
        let (keys, clients) = (self.store.keys(), self.store.clients.len() as u64);
        let digest = self.store.digest();
        let is_as_promised =
            (promised.keys, promised.clients, promised.digest) == (keys, clients, digest);
        if !is_as_promised && !mutant!(B56) && !mutant!(B57) {
            return Err(SnapshotError::Incomplete {
                promised_keys: promised.keys,
                promised_clients: promised.clients,
                promised_digest: promised.digest,
                keys,
                clients,
                digest,
            });
        }
        Ok(self.store)
    }

    fn begin(&mut self, head: Head) -> Result<(), SnapshotError> {
        if self.head.replace(head).is_some() {
            return Err(SnapshotError::Impossible("there is a second head"));
        }
        self.store.last_applied = head.last_applied;
        self.store.clock_ms = head.clock_ms;
        Ok(())
    }

    fn add_key(&mut self, record: &KeyRecord<'_>) -> Result<(), SnapshotError> {
        let KeyRecord { key, value, version, deadline_ms } = *record;
        if key.is_empty() || key.len() > KEY_BYTES_MAX || value.len() > VALUE_BYTES_MAX {
            return Err(SnapshotError::Impossible("a key or value has an impossible length"));
        }
        if key <= &self.last_key[..] {
            return Err(SnapshotError::Impossible("the keys are not in their order"));
        }
        if version == 0 || version > self.store.last_applied.0 {
            return Err(SnapshotError::Impossible("a key has a version of no applied entry"));
        }
        if deadline_ms.is_some_and(|deadline_ms| deadline_ms <= self.store.clock_ms) {
            return Err(SnapshotError::Impossible("a key has expired"));
        }
        key.clone_into(&mut self.last_key);
        self.store.records.put(key, value, version, deadline_ms);
        Ok(())
    }

    fn add_client(&mut self, record: &ClientRecord<'_>) -> Result<(), SnapshotError> {
        let ClientRecord { name, seq, outcome, version, last_used_ms } = *record;
        if name.is_empty() || name.len() > CLIENT_BYTES_MAX || seq == 0 {
            return Err(SnapshotError::Impossible("a client has an impossible name or number"));
        }
        if name <= &self.last_client[..] {
            return Err(SnapshotError::Impossible("the clients are not in their order"));
        }
        if last_used_ms > self.store.clock_ms {
            return Err(SnapshotError::Impossible("a client has spoken in the future"));
        }
        let outcome = Outcome::from_numbers(outcome, version)
            .ok_or(SnapshotError::Impossible("a client has an unknown outcome"))?;
        name.clone_into(&mut self.last_client);
        self.store.clients.restore(name, ClientState { seq, outcome, last_used_ms });
        Ok(())
    }
}

/// Decodes the records of a block. They borrow from it: nothing is copied, and no
/// count makes anything allocate more than the block has bytes for.
fn records<'a, T: Deserialize<'a>>(
    body: &'a [u8],
    take: impl FnMut(T) -> Result<(), SnapshotError>,
) -> Result<(), SnapshotError> {
    let mut deserializer = Deserializer::from_read_ref(body);
    let records = Vec::<T>::deserialize(&mut deserializer)
        .map_err(|error| SnapshotError::Malformed(error.to_string()))?;
    if !is_at_end(&mut deserializer) {
        return Err(SnapshotError::Impossible("something stands behind a block's records"));
    }
    records.into_iter().try_for_each(take)
}

#[cfg(test)]
mod tests;
