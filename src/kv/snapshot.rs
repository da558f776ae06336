//! A store as bytes, and back: the content of a snapshot (docs/adr/0008).
//!
//! A snapshot is a sequence of blocks. The first byte of a block is its kind; the rest
//! is a MessagePack array of records:
//!
//! ```text
//!   1 head     [last_applied, clock_ms, keys, clients, digest]   exactly one, first
//!   2 keys     [key, value, version, deadline_ms or nil]         in the order of keys
//!   3 clients  [name, seq, outcome, version, last_used_ms]       in the order of names
//! ```
//!
//! Keys and clients that have expired and are not removed yet are in it: a store that is
//! loaded removes them with the same entries as any other. Equal stores give equal blocks, on
//! every node. The loader does not rely on that: it
//! compares the counts and the digest of the loaded store with those in the head.

use std::ops::Bound;

use serde::{Deserialize, Serialize};

use super::codec::{CLIENT_BYTES_MAX, KEY_BYTES_MAX, VALUE_BYTES_MAX};
use super::corruption::Corruption;
use super::key_bytes::KeyBytes;
use super::once::ClientState;
use super::remembered::{Remembered, RememberedFields};
use super::store::Store;
use crate::types::{LogIndex, decode_exact};

/// Size in bytes at which a block is full. The record that reaches it is the block's last.
pub const SNAPSHOT_BLOCK_BYTES: usize = 256 * 1024;

const HEAD: u8 = 1;
const KEYS: u8 = 2;
const CLIENTS: u8 = 3;

/// MessagePack's marker of an array whose count takes four bytes.
const ARRAY_32: u8 = 0xdd;
/// The place of that count in a block.
const COUNT: std::ops::Range<usize> = 2..6;

/// The reason why blocks are not a snapshot of a store.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// A block has an unknown kind, or a kind that is not allowed at its place.
    #[error("a block of kind {0} cannot stand here")]
    Kind(u8),
    /// A block has no bytes, or the snapshot has no blocks.
    #[error("a block is empty")]
    Empty,
    /// A record does not decode.
    #[error("a record does not decode: {0}")]
    Malformed(String),
    /// A record cannot be in any store.
    #[error("{0}")]
    Impossible(&'static str),
    /// The loaded records do not match the counts and the digest in the head.
    #[error(
        "the snapshot promises {promised_keys} keys, {promised_clients} clients and digest \
         {promised_digest:016x}, and holds {keys}, {clients} and {digest:016x}"
    )]
    Incomplete {
        /// The number of keys by the head.
        promised_keys: u64,
        /// The number of clients by the head.
        promised_clients: u64,
        /// The digest by the head.
        promised_digest: u64,
        /// The number of keys in the blocks.
        keys: u64,
        /// The number of clients in the blocks.
        clients: u64,
        /// The digest of the records in the blocks.
        digest: u64,
    },
}

/// The content of the head block.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    last_applied: LogIndex,
    clock_ms: u64,
    keys: u64,
    clients: u64,
    digest: u64,
}

/// One record of a block of keys.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyFields<'a> {
    #[serde(with = "serde_bytes")]
    key: &'a [u8],
    #[serde(with = "serde_bytes")]
    value: &'a [u8],
    version: u64,
    deadline_ms: Option<u64>,
}

/// One record of a block of clients.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ClientFields<'a> {
    #[serde(with = "serde_bytes")]
    name: &'a [u8],
    seq: u64,
    /// The outcome's number, as in the digest.
    outcome: u64,
    version: u64,
    last_used_ms: u64,
}

impl Store {
    /// The store, as it is now, as an iterator of blocks. Each block is encoded when it is
    /// asked for, so only a clone of the store and one block are in memory. A block has
    /// about [`SNAPSHOT_BLOCK_BYTES`], or more when its last record is large.
    pub fn snapshot_blocks(&self) -> SnapshotBlocks {
        SnapshotBlocks { store: self.clone(), next: Next::Head }
    }
}

/// The blocks of a snapshot, made by [`Store::snapshot_blocks`].
#[derive(Clone, Debug)]
pub struct SnapshotBlocks {
    store: Store,
    next: Next,
}

/// The kind of the next block.
#[derive(Clone, Debug)]
enum Next {
    Head,
    /// A block of the keys after this one; `None` for the first block of keys.
    Keys(Option<KeyBytes>),
    /// A block of the clients after this one; `None` for the first block of clients.
    Clients(Option<KeyBytes>),
    /// There is no more block.
    End,
}

impl SnapshotBlocks {
    fn head(&self) -> Head {
        Head {
            last_applied: self.store.last_applied(),
            clock_ms: self.store.clock_ms(),
            keys: self.store.records().stored_len(),
            clients: self.store.clients() as u64,
            digest: self.store.digest(),
        }
    }

    fn keys_after(&self, last: Option<&KeyBytes>) -> Result<Block, Corruption> {
        let mut block = Block::new(KEYS);
        for (name, record) in self.store.records().stored_from(after(last)) {
            record.verify(name)?;
            let (version, deadline_ms) = (record.mod_revision, record.deadline_ms);
            let (key, value) = (&name[..], &record.value[..]);
            if block.add(name, &KeyFields { key, value, version, deadline_ms }) {
                break;
            }
        }
        Ok(block)
    }

    fn clients_after(&self, last: Option<&KeyBytes>) -> Result<Block, Corruption> {
        let mut block = Block::new(CLIENTS);
        for (name, client) in self.store.once_table().stored_from(after(last)) {
            client.verify(name)?;
            let ClientState { seq, outcome, last_used_ms } = client.state();
            // No client before format 4 has an outcome with a rest.
            let RememberedFields { kind: outcome, number: version, .. } = outcome.to_fields();
            if block.add(name, &ClientFields { name, seq, outcome, version, last_used_ms }) {
                break;
            }
        }
        Ok(block)
    }

    /// The next block; `None` after the last one.
    fn block(&mut self) -> Result<Option<Block>, Corruption> {
        if let Next::Head = self.next {
            self.next = Next::Keys(None);
            let mut block = Block::new(HEAD);
            block.write(&self.head());
            return Ok(Some(block));
        }
        if let Next::Keys(last) = &self.next {
            let block = self.keys_after(last.as_ref())?;
            if let Some(last) = block.last.clone() {
                self.next = Next::Keys(Some(last));
                return Ok(Some(block));
            }
            self.next = Next::Clients(None);
        }
        if let Next::Clients(last) = &self.next {
            let block = self.clients_after(last.as_ref())?;
            if let Some(last) = block.last.clone() {
                self.next = Next::Clients(Some(last));
                return Ok(Some(block));
            }
            self.next = Next::End;
        }
        Ok(None)
    }
}

/// The range of names after `name`, or of all names.
fn after(name: Option<&KeyBytes>) -> Bound<&[u8]> {
    name.map_or(Bound::Unbounded, |name| Bound::Excluded(&name[..]))
}

/// The blocks end with an error when a record is not what was written.
impl Iterator for SnapshotBlocks {
    type Item = Result<Vec<u8>, Corruption>;

    fn next(&mut self) -> Option<Result<Vec<u8>, Corruption>> {
        let block = self.block();
        if block.is_err() {
            self.next = Next::End;
        }
        Some(block.transpose()?.map(Block::finish))
    }
}

/// A block in the making.
struct Block {
    bytes: Vec<u8>,
    records: u32,
    /// The key or name of the block's last record.
    last: Option<KeyBytes>,
}

impl Block {
    fn new(kind: u8) -> Block {
        // `finish` writes the count over the four zeros.
        Block { bytes: vec![kind, ARRAY_32, 0, 0, 0, 0], records: 0, last: None }
    }

    /// Adds a record; true when the block is full.
    fn add(&mut self, name: &KeyBytes, record: &impl Serialize) -> bool {
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

/// Builds a store from the blocks of a snapshot, in their order.
#[derive(Debug, Default)]
pub struct StoreLoader {
    store: Store,
    head: Option<Head>,
    last_key: Vec<u8>,
    last_client: Vec<u8>,
}

impl StoreLoader {
    /// A loader that expects the first block.
    pub fn new() -> StoreLoader {
        StoreLoader::default()
    }

    /// Takes the next block.
    ///
    /// # Errors
    /// When the block does not decode or is not allowed at its place; the loader cannot be
    /// used any more then.
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

    /// The loaded store.
    ///
    /// # Errors
    /// When the records do not match the counts and the digest in the head.
    pub fn finish(self) -> Result<Store, SnapshotError> {
        let promised = self.head.ok_or(SnapshotError::Empty)?;
        let (keys, clients) = (self.store.records().stored_len(), self.store.clients() as u64);
        let digest = self.store.digest();
        let is_as_promised =
            (promised.keys, promised.clients, promised.digest) == (keys, clients, digest);
        if !is_as_promised {
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
        self.store = Store::empty_at(head.last_applied, head.clock_ms);
        Ok(())
    }

    fn add_key(&mut self, record: &KeyFields<'_>) -> Result<(), SnapshotError> {
        let KeyFields { key, value, version, deadline_ms } = *record;
        if key.is_empty() || key.len() > KEY_BYTES_MAX || value.len() > VALUE_BYTES_MAX {
            return Err(SnapshotError::Impossible("a key or value has an impossible length"));
        }
        if key <= &self.last_key[..] {
            return Err(SnapshotError::Impossible("the keys are not in their order"));
        }
        if version == 0 || version > self.store.last_applied().0 {
            return Err(SnapshotError::Impossible("a key has a version of no applied entry"));
        }
        key.clone_into(&mut self.last_key);
        self.store.restore_key(key, value, version, deadline_ms);
        Ok(())
    }

    fn add_client(&mut self, record: &ClientFields<'_>) -> Result<(), SnapshotError> {
        let ClientFields { name, seq, outcome, version, last_used_ms } = *record;
        if name.is_empty() || name.len() > CLIENT_BYTES_MAX || seq == 0 {
            return Err(SnapshotError::Impossible("a client has an impossible name or number"));
        }
        if name <= &self.last_client[..] {
            return Err(SnapshotError::Impossible("the clients are not in their order"));
        }
        if last_used_ms > self.store.clock_ms() {
            return Err(SnapshotError::Impossible("a client has spoken in the future"));
        }
        let outcome = Remembered::from_fields(outcome, version, &[])
            .ok_or(SnapshotError::Impossible("a client has an unknown outcome"))?;
        name.clone_into(&mut self.last_client);
        self.store.restore_client(name, ClientState { seq, outcome, last_used_ms });
        Ok(())
    }
}

/// Decodes the records of a block. They borrow from the block: nothing is copied, and no
/// count makes the decoder allocate more than the block has bytes for.
fn records<'a, T: Deserialize<'a>>(
    body: &'a [u8],
    take: impl FnMut(T) -> Result<(), SnapshotError>,
) -> Result<(), SnapshotError> {
    let records = decode_exact::<Vec<T>>(body).map_err(SnapshotError::Malformed)?;
    records.into_iter().try_for_each(take)
}

#[cfg(test)]
mod tests;
