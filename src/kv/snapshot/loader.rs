//! A store from the blocks of its snapshot.

use imbl::OrdMap;
use serde::Deserialize;

use super::block::{CHANGES, CLIENTS, CLIENTS_4, ENDED, GONE, HEAD, HEAD_4, KEYS, KEYS_4, LEASES};
use super::error::SnapshotError;
use super::fields::{
    ChangeFields, ClientFields, ClientFields4, EndedFields, GoneFields, Head, Head4, KeyFields,
    KeyFields4, LeaseFields, RecordFields,
};
use super::history::HistoryLoader;
use crate::kv::codec::{CLIENT_BYTES_MAX, KEY_BYTES_MAX, VALUE_BYTES_MAX};
use crate::kv::leases::{EndedState, LeaseState};
use crate::kv::once::ClientState;
use crate::kv::remembered::Remembered;
use crate::kv::store::Store;
use crate::types::{Format, decode_exact};

/// The kinds of blocks after the head, in their order.
const ORDER: [u8; 8] = [KEYS, LEASES, ENDED, KEYS_4, CHANGES, GONE, CLIENTS, CLIENTS_4];

/// Builds a store from the blocks of a snapshot, in their order.
#[derive(Debug, Default)]
pub struct StoreLoader {
    store: Store,
    head: Option<Head>,
    /// The history; `None` before format 4.
    history: Option<HistoryLoader>,
    /// The place in [`ORDER`] of the last block.
    place: usize,
    last_lease: Option<(u64, u64)>,
    last_ended: Option<(u64, u64)>,
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
            (HEAD, None) => return records(body, |head| self.begin(head)),
            (HEAD_4, None) => return records(body, |head| self.begin_4(head)),
            _ => {}
        }
        let place = ORDER.iter().position(|known| known == kind);
        let is_in_order = self.head.is_some() && place.is_some_and(|place| place >= self.place);
        if !is_in_order {
            return Err(SnapshotError::Kind(*kind));
        }
        self.place = place.unwrap_or_default();
        match (*kind, &mut self.history) {
            (KEYS, None) => records(body, |record| self.add_key(&record)),
            (KEYS_4, Some(_)) => records(body, |record| self.add_key_4(&record)),
            (CHANGES, Some(history)) => {
                records(body, |fields: ChangeFields<'_>| history.add(self.store.records(), &fields))
            }
            (GONE, Some(history)) => {
                records(body, |fields: GoneFields<'_>| history.add_gone(fields.key, fields.change))
            }
            (LEASES, Some(_)) => records(body, |record| self.add_lease(record)),
            (ENDED, Some(_)) => records(body, |record| self.add_ended(record)),
            (CLIENTS, None) => records(body, |record: ClientFields<'_>| {
                let ClientFields { name, seq, outcome, version, last_used_ms } = record;
                let outcome = Remembered::from_fields(outcome, version, &[]);
                self.add_client(name, seq, outcome, last_used_ms)
            }),
            (CLIENTS_4, Some(_)) => records(body, |record: ClientFields4<'_>| {
                let ClientFields4 { name, seq, outcome, number, rest, last_used_ms } = record;
                let outcome = Remembered::from_fields(outcome, number, &rest);
                self.add_client(name, seq, outcome, last_used_ms)
            }),
            (kind, _) => Err(SnapshotError::Kind(kind)),
        }
    }

    /// The loaded store.
    ///
    /// # Errors
    /// When the records do not match the counts and the digest in the head.
    pub fn finish(mut self) -> Result<Store, SnapshotError> {
        if let Some(history) = self.history.take() {
            self.store.restore_history(history.finish()?);
        }
        if self.store.records().leases().has_empty_end() {
            return Err(SnapshotError::Impossible("a lease has ended and has no keys"));
        }
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

    /// The loaded store, of a snapshot that says that `format` was in force at its last entry.
    ///
    /// # Errors
    /// When the records do not match the head, and when the blocks are not those of the format.
    pub fn finish_in(self, format: Format) -> Result<Store, SnapshotError> {
        let store = self.finish()?.in_format(format);
        let has_history = store.history().revision() > 0;
        if has_history == store.counts_revisions() {
            Ok(store)
        } else {
            Err(SnapshotError::Impossible("the blocks are those of another format"))
        }
    }

    fn begin(&mut self, head: Head) -> Result<(), SnapshotError> {
        if self.head.replace(head).is_some() {
            return Err(SnapshotError::Impossible("there is a second head"));
        }
        self.store = Store::empty_at(head.last_applied, head.clock_ms);
        Ok(())
    }

    fn begin_4(&mut self, head: Head4) -> Result<(), SnapshotError> {
        let Head4 { head, history } = head;
        self.begin(head)?;
        let history = HistoryLoader::new(history)?;
        self.store = std::mem::take(&mut self.store).in_format(Format(4));
        self.history = Some(history);
        Ok(())
    }

    fn add_key(&mut self, record: &KeyFields<'_>) -> Result<(), SnapshotError> {
        let KeyFields { key, value, version, deadline_ms } = *record;
        let first = RecordFields {
            value,
            create_revision: version,
            mod_revision: version,
            version: 1,
            lease: 0,
            deadline_ms,
            change: 0,
        };
        let newest = self.store.last_applied().0;
        self.add_record(key, &first, newest)
    }

    fn add_key_4(&mut self, fields: &KeyFields4<'_>) -> Result<(), SnapshotError> {
        let newest = self.history.as_ref().map_or(0, HistoryLoader::revision);
        self.add_record(fields.key, &fields.record, newest)
    }

    /// Adds a key whose version can be at most `newest`.
    fn add_record(
        &mut self,
        key: &[u8],
        record: &RecordFields<'_>,
        newest: u64,
    ) -> Result<(), SnapshotError> {
        if key.is_empty() || key.len() > KEY_BYTES_MAX || record.value.len() > VALUE_BYTES_MAX {
            return Err(SnapshotError::Impossible("a key or value has an impossible length"));
        }
        if key <= &self.last_key[..] {
            return Err(SnapshotError::Impossible("the keys are not in their order"));
        }
        let RecordFields { create_revision, mod_revision, version, .. } = *record;
        let is_possible = (1..=mod_revision).contains(&create_revision) && mod_revision <= newest;
        if !is_possible || version == 0 {
            return Err(SnapshotError::Impossible("a key has a version of no applied entry"));
        }
        key.clone_into(&mut self.last_key);
        self.store.restore_key(key, record.new_record());
        let leases = self.store.records().leases();
        let stored = self.store.records().stored(key).filter(|stored| stored.lease != 0);
        if stored.is_some_and(|stored| !leases.has_owner(stored)) {
            return Err(SnapshotError::Impossible("a key goes with a lease that is not there"));
        }
        Ok(())
    }

    fn add_lease(&mut self, fields: LeaseFields) -> Result<(), SnapshotError> {
        let LeaseFields { id, ttl, deadline_ms, granted_revision } = fields;
        if self.last_lease.is_some_and(|last| (id, granted_revision) <= last) {
            return Err(SnapshotError::Impossible("the leases are not in their order"));
        }
        if id == 0 || self.last_lease.is_some_and(|(last, _)| last == id) {
            return Err(SnapshotError::Impossible("a lease has an impossible id"));
        }
        self.last_lease = Some((id, granted_revision));
        let state = LeaseState { id, ttl, deadline_ms, granted_revision };
        self.store.leases_mut().restore(state);
        Ok(())
    }

    fn add_ended(&mut self, fields: EndedFields) -> Result<(), SnapshotError> {
        let EndedFields { id, granted_revision, change } = fields;
        if self.last_ended.is_some_and(|last| (id, granted_revision) <= last) {
            return Err(SnapshotError::Impossible("the ended leases are not in their order"));
        }
        self.last_ended = Some((id, granted_revision));
        let state = EndedState { id, granted_revision, change };
        self.store.leases_mut().restore_ended(state, OrdMap::new());
        Ok(())
    }

    fn add_client(
        &mut self,
        name: &[u8],
        seq: u64,
        outcome: Option<Remembered>,
        last_used_ms: u64,
    ) -> Result<(), SnapshotError> {
        if name.is_empty() || name.len() > CLIENT_BYTES_MAX || seq == 0 {
            return Err(SnapshotError::Impossible("a client has an impossible name or number"));
        }
        if name <= &self.last_client[..] {
            return Err(SnapshotError::Impossible("the clients are not in their order"));
        }
        if last_used_ms > self.store.clock_ms() {
            return Err(SnapshotError::Impossible("a client has spoken in the future"));
        }
        let outcome =
            outcome.ok_or(SnapshotError::Impossible("a client has an unknown outcome"))?;
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
