//! The blocks of a snapshot in the making.

use std::ops::Bound;

use serde::Serialize;

use super::fields::{ClientFields, GoneFields, Head, Head4, KeyFields, KeyFields4, RecordFields};
use super::history::{ChangePlace, head_of};
use super::{
    ARRAY_32, CHANGES, CLIENTS, COUNT, GONE, HEAD, HEAD_4, KEYS, KEYS_4, SNAPSHOT_BLOCK_BYTES,
};
use crate::kv::corruption::Corruption;
use crate::kv::key_bytes::KeyBytes;
use crate::kv::once::ClientState;
use crate::kv::store::Store;

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

/// The content of the next block.
#[derive(Clone, Debug)]
enum Next {
    Head,
    /// The keys after this one; `None` for the first block of keys. Likewise for the others.
    Keys(Option<KeyBytes>),
    /// The changes from this place on.
    Changes(ChangePlace),
    /// The keys after this one that are gone.
    Gone(Option<KeyBytes>),
    /// The clients after this one.
    Clients(Option<KeyBytes>),
    /// There is no more block.
    End,
}

impl SnapshotBlocks {
    fn head(&self) -> Block {
        let head = Head {
            last_applied: self.store.last_applied(),
            clock_ms: self.store.clock_ms(),
            keys: self.store.records().stored_len(),
            clients: self.store.clients() as u64,
            digest: self.store.digest(),
        };
        if self.store.counts_revisions() {
            let mut block = Block::new(HEAD_4);
            block.add(&Head4 { head, history: head_of(self.store.history()) });
            block
        } else {
            let mut block = Block::new(HEAD);
            block.add(&head);
            block
        }
    }

    /// A block of the keys after `last`, and the last one of them.
    fn keys_after(&self, last: Option<&KeyBytes>) -> Result<(Block, Option<KeyBytes>), Corruption> {
        let counts_revisions = self.store.counts_revisions();
        let mut block = Block::new(if counts_revisions { KEYS_4 } else { KEYS });
        let mut last_added = None;
        for (name, record) in self.store.records().stored_from(after(last)) {
            record.verify(name)?;
            let (key, value) = (&name[..], &record.value[..]);
            let (version, deadline_ms) = (record.mod_revision, record.deadline_ms);
            last_added = Some(name.clone());
            let is_full = if counts_revisions {
                block.add(&KeyFields4 { key, record: RecordFields::of(record) })
            } else {
                block.add(&KeyFields { key, value, version, deadline_ms })
            };
            if is_full {
                break;
            }
        }
        Ok((block, last_added))
    }

    fn gone_after(&self, last: Option<&KeyBytes>) -> (Block, Option<KeyBytes>) {
        let mut block = Block::new(GONE);
        let mut last_added = None;
        for (key, change) in self.store.history().gone_from(after(last)) {
            last_added = Some(key.clone());
            if block.add(&GoneFields { key, change }) {
                break;
            }
        }
        (block, last_added)
    }

    fn clients_after(
        &self,
        last: Option<&KeyBytes>,
    ) -> Result<(Block, Option<KeyBytes>), Corruption> {
        let mut block = Block::new(CLIENTS);
        let mut last_added = None;
        for (name, client) in self.store.once_table().stored_from(after(last)) {
            client.verify(name)?;
            let ClientState { seq, outcome, last_used_ms } = client.state();
            let (outcome, version) = outcome.to_numbers();
            last_added = Some(name.clone());
            if block.add(&ClientFields { name, seq, outcome, version, last_used_ms }) {
                break;
            }
        }
        Ok((block, last_added))
    }

    /// The next block; `None` after the last one. A section that has no records has no block.
    fn block(&mut self) -> Result<Option<Block>, Corruption> {
        loop {
            let block = match &self.next {
                Next::Head => {
                    self.next = Next::Keys(None);
                    return Ok(Some(self.head()));
                }
                Next::Keys(last) => {
                    let (block, last) = self.keys_after(last.as_ref())?;
                    let first_change = ChangePlace::first_of(self.store.history().changes());
                    self.next = match last {
                        Some(last) => Next::Keys(Some(last)),
                        None => Next::Changes(first_change),
                    };
                    block
                }
                Next::Changes(place) => {
                    let mut block = Block::new(CHANGES);
                    let place = place.write(&self.store, &mut block)?;
                    let is_empty = block.records == 0;
                    self.next = if is_empty { Next::Gone(None) } else { Next::Changes(place) };
                    block
                }
                Next::Gone(last) => {
                    let (block, last) = self.gone_after(last.as_ref());
                    self.next = match last {
                        Some(last) => Next::Gone(Some(last)),
                        None => Next::Clients(None),
                    };
                    block
                }
                Next::Clients(last) => {
                    let (block, last) = self.clients_after(last.as_ref())?;
                    self.next = last.map_or(Next::End, |last| Next::Clients(Some(last)));
                    block
                }
                Next::End => return Ok(None),
            };
            if block.records > 0 {
                return Ok(Some(block));
            }
        }
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
pub(super) struct Block {
    bytes: Vec<u8>,
    records: u32,
}

impl Block {
    fn new(kind: u8) -> Block {
        // `finish` writes the count over the four zeros.
        Block { bytes: vec![kind, ARRAY_32, 0, 0, 0, 0], records: 0 }
    }

    /// Adds a record; true when the block is full.
    pub fn add(&mut self, record: &impl Serialize) -> bool {
        self.records += 1;
        rmp_serde::encode::write(&mut self.bytes, record)
            .expect("numbers and byte strings always encode to MessagePack in memory");
        self.bytes.len() >= SNAPSHOT_BLOCK_BYTES
    }

    fn finish(mut self) -> Vec<u8> {
        self.bytes[COUNT].copy_from_slice(&self.records.to_be_bytes());
        self.bytes
    }
}
