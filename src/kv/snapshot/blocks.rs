//! The blocks of a snapshot in the making.

use std::ops::Bound;

use super::block::{
    Block, CHANGES, CLIENTS, CLIENTS_4, ENDED, GONE, HEAD, HEAD_4, KEYS, KEYS_4, LEASES,
};
use super::fields::{
    ClientFields, ClientFields4, EndedFields, GoneFields, Head, Head4, KeyFields, KeyFields4,
    LeaseFields, RecordFields,
};
use super::history::{ChangePlace, ChangesOfKeys, head_of};
use crate::kv::corruption::Corruption;
use crate::kv::key_bytes::KeyBytes;
use crate::kv::leases::{EndedState, LeaseState};
use crate::kv::once::ClientState;
use crate::kv::remembered::RememberedFields;
use crate::kv::store::Store;

impl Store {
    /// The store, as it is now, as an iterator of blocks. Each block is encoded when it is
    /// asked for, so only a clone of the store and one block are in memory. A block has
    /// about [`SNAPSHOT_BLOCK_BYTES`](super::SNAPSHOT_BLOCK_BYTES), or more when its last record
    /// is large.
    pub fn snapshot_blocks(&self) -> SnapshotBlocks {
        let of_keys = ChangesOfKeys::among(self.history().changes());
        SnapshotBlocks { store: self.clone(), of_keys, next: Next::Head }
    }
}

/// The blocks of a snapshot, made by [`Store::snapshot_blocks`].
#[derive(Clone, Debug)]
pub struct SnapshotBlocks {
    store: Store,
    /// The changes whose records are in the blocks of keys, as far as these have come.
    of_keys: ChangesOfKeys,
    next: Next,
}

/// The content of the next block.
#[derive(Clone, Debug)]
enum Next {
    Head,
    /// The leases after the one with this id; `None` for the first block of leases. Likewise for
    /// the others.
    Leases(Option<u64>),
    /// The ended leases after the one with this id, which was granted at this revision.
    Ended(Option<(u64, u64)>),
    /// The keys after this one.
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
    fn keys_after(
        &mut self,
        last: Option<&KeyBytes>,
    ) -> Result<(Block, Option<KeyBytes>), Corruption> {
        let counts_revisions = self.store.counts_revisions();
        let mut block = Block::new(if counts_revisions { KEYS_4 } else { KEYS });
        let mut last_added = None;
        for (name, record) in self.store.records().stored_from(after(last)) {
            record.verify(name)?;
            self.of_keys.add(record.change);
            let (key, value) = (&name[..], record.value());
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

    fn leases_after(&self, last: Option<u64>) -> Result<(Block, Option<u64>), Corruption> {
        let mut block = Block::new(LEASES);
        let mut last_added = None;
        for state in self.store.records().leases().states_after(last) {
            let LeaseState { id, ttl, deadline_ms, granted_revision } = state?;
            last_added = Some(id);
            if block.add(&LeaseFields { id, ttl, deadline_ms, granted_revision }) {
                break;
            }
        }
        Ok((block, last_added))
    }

    fn ended_after(&self, last: Option<(u64, u64)>) -> (Block, Option<(u64, u64)>) {
        let mut block = Block::new(ENDED);
        let mut last_added = None;
        for state in self.store.records().leases().ended_after(last) {
            let EndedState { id, granted_revision, change } = state;
            last_added = Some((id, granted_revision));
            if block.add(&EndedFields { id, granted_revision, change }) {
                break;
            }
        }
        (block, last_added)
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
        let counts_revisions = self.store.counts_revisions();
        let mut block = Block::new(if counts_revisions { CLIENTS_4 } else { CLIENTS });
        let mut last_added = None;
        for (name, client) in self.store.once_table().stored_from(after(last)) {
            client.verify(name)?;
            let ClientState { seq, outcome, last_used_ms } = client.state();
            let RememberedFields { kind: outcome, number, rest } = outcome.to_fields();
            last_added = Some(name.clone());
            let is_full = if counts_revisions {
                let rest = rest.into();
                block.add(&ClientFields4 { name, seq, outcome, number, rest, last_used_ms })
            } else {
                // No client before format 4 has an outcome with a rest.
                let version = number;
                block.add(&ClientFields { name, seq, outcome, version, last_used_ms })
            };
            if is_full {
                break;
            }
        }
        Ok((block, last_added))
    }

    /// A block of the section at this place, and the place behind it; the block is empty when the
    /// section is over.
    fn section(&mut self, place: Next) -> Result<(Block, Next), Corruption> {
        fn go_on<T>(last: Option<T>, same: fn(Option<T>) -> Next, following: Next) -> Next {
            if last.is_some() { same(last) } else { following }
        }
        Ok(match place {
            Next::Head => (self.head(), Next::Leases(None)),
            Next::Leases(last) => {
                let (block, last) = self.leases_after(last)?;
                (block, go_on(last, Next::Leases, Next::Ended(None)))
            }
            Next::Ended(last) => {
                let (block, last) = self.ended_after(last);
                (block, go_on(last, Next::Ended, Next::Keys(None)))
            }
            Next::Keys(last) => {
                let (block, last) = self.keys_after(last.as_ref())?;
                let first_change = ChangePlace::first_of(self.store.history().changes());
                (block, go_on(last, Next::Keys, Next::Changes(first_change)))
            }
            Next::Changes(place) => {
                let mut block = Block::new(CHANGES);
                let place = place.write(&self.store, &self.of_keys, &mut block)?;
                let is_over = block.is_empty();
                (block, if is_over { Next::Gone(None) } else { Next::Changes(place) })
            }
            Next::Gone(last) => {
                let (block, last) = self.gone_after(last.as_ref());
                (block, go_on(last, Next::Gone, Next::Clients(None)))
            }
            Next::Clients(last) => {
                let (block, last) = self.clients_after(last.as_ref())?;
                (block, go_on(last, Next::Clients, Next::End))
            }
            Next::End => (Block::new(HEAD), Next::End),
        })
    }

    /// The next block; `None` after the last one, and after an error. A section that has no records
    /// has no block.
    fn block(&mut self) -> Result<Option<Block>, Corruption> {
        while !matches!(self.next, Next::End) {
            let place = std::mem::replace(&mut self.next, Next::End);
            let (block, next) = self.section(place)?;
            self.next = next;
            if !block.is_empty() {
                return Ok(Some(block));
            }
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
        Some(self.block().transpose()?.map(Block::finish))
    }
}
