//! The leases, each with its keys (docs/adr/0029).
//!
//! A key goes with its lease. A lease that is due hides its keys at once, as a deadline of their
//! own would, and one that has ended hides what is still stored of them. Ending takes constant time
//! for any number of keys: the map of the keys moves to the change that tells of the end, and to
//! the ended leases, whose keys are removed a bounded number an entry.
//!
//! An id may be granted again while keys of an ended lease with this id are still stored. Which
//! lease a key belongs to follows from the revision of its value: it was written after its lease
//! was granted, and before the next one with this id was.

use std::ops::Bound;

use imbl::{OrdMap, OrdSet};

use super::corruption::Corruption;
use super::digest;
use super::expiry::{DueTotals, ENDING_KEYS_MAX, Total};
use super::key_bytes::KeyBytes;
use super::record::Record;

/// A lease that was granted: its id, and the store's revision then. It is the name of a lease
/// among all that ever had the id.
type Granted = (u64, u64);

/// A lease that has not ended.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Lease {
    ttl: u64,
    deadline_ms: u64,
    granted_revision: u64,
    keys: LeaseKeys,
    /// The number and the size of the keys that are not hidden by a deadline of their own.
    fresh: Total,
    /// The hash of the lease as it was written: its part of the digest.
    hash: u64,
}

/// The keys of a lease.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct LeaseKeys {
    /// The keys with their records.
    pub by_key: OrdMap<KeyBytes, Record>,
    /// Their number and size, as `store_bytes_max` counts it.
    pub total: Total,
    /// The sum of the hashes of the records.
    pub hash: u64,
}

/// A lease that has ended and has keys that are not removed yet.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Ended {
    /// The number of the change that tells of the end; 0 when changes were not kept.
    change: u64,
    keys: OrdMap<KeyBytes, Record>,
}

/// The state of a lease that a snapshot holds. Its keys know that they belong to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LeaseState {
    pub id: u64,
    pub ttl: u64,
    pub deadline_ms: u64,
    pub granted_revision: u64,
}

/// The state of an ended lease that a snapshot holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EndedState {
    pub id: u64,
    pub granted_revision: u64,
    pub change: u64,
}

/// All leases.
///
/// Invariants: `deadlines` and `due_leases` have exactly the leases of `by_id`, each with its
/// deadline, and `due_keys` the fresh keys of each. `ended_total` is that of the fresh keys of the
/// ended leases. `timed` has the keys that have a deadline of their own after the clock, by the
/// deadline and the lease. `digest` is the sum of the hashes of all leases, ended or not. A clone
/// takes constant time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Leases {
    by_id: OrdMap<u64, Lease>,
    deadlines: OrdSet<(u64, u64)>,
    due_leases: DueTotals,
    due_keys: DueTotals,
    ended: OrdMap<Granted, Ended>,
    ended_total: Total,
    timed: OrdMap<(u64, Granted), Total>,
    digest: u64,
}

impl Leases {
    /// Advances the clock, which never falls. A lease that is due hides its keys from then on.
    pub fn advance(&mut self, clock_ms: u64) {
        // A key that is hidden by its own deadline counts with the deadlines, and no longer here.
        while let Some(((deadline_ms, granted), _)) = self.timed.get_min().copied() {
            if deadline_ms > clock_ms {
                break;
            }
            let total = self.timed.remove(&(deadline_ms, granted)).unwrap_or_default();
            match self.by_id.get_mut(&granted.0).filter(|l| l.granted_revision == granted.1) {
                Some(lease) => {
                    lease.fresh = lease.fresh.less(total);
                    self.due_keys.remove_total(lease.deadline_ms, total);
                }
                None => self.ended_total = self.ended_total.less(total),
            }
        }
        self.due_keys.advance(clock_ms);
        self.due_leases.advance(clock_ms);
    }

    fn clock_ms(&self) -> u64 {
        self.due_leases.clock_ms()
    }

    /// The lease with this id, unless it is due. It is what was written.
    fn get(&self, id: u64) -> Result<Option<&Lease>, Corruption> {
        let Some(lease) = self.by_id.get(&id) else { return Ok(None) };
        lease.verify(id)?;
        Ok(Some(lease).filter(|lease| lease.deadline_ms > self.clock_ms()))
    }

    /// The lease with this id, unless it is due.
    ///
    /// # Errors
    /// When it is not what was written.
    pub fn state(&self, id: u64) -> Result<Option<LeaseState>, Corruption> {
        Ok(self.get(id)?.map(|lease| lease.state(id)))
    }

    /// The number of leases that are not due.
    pub fn len(&self) -> u64 {
        self.by_id.len() as u64 - self.due_leases.due().names
    }

    /// The ids of the leases that are not due, in their order.
    pub fn ids(&self) -> impl Iterator<Item = u64> + use<'_> {
        let clock_ms = self.clock_ms();
        self.by_id.iter().filter(move |(_, lease)| lease.deadline_ms > clock_ms).map(|(id, _)| *id)
    }

    /// The keys of a lease with their records, in byte order; with those that are hidden by a
    /// deadline of their own.
    pub fn keys(&self, id: u64) -> impl Iterator<Item = (&KeyBytes, &Record)> + use<'_> {
        self.by_id.get(&id).into_iter().flat_map(|lease| lease.keys.by_key.iter())
    }

    /// True of a record whose lease is there and not due.
    pub fn holds(&self, record: &Record) -> bool {
        self.live(record).is_some_and(|lease| lease.deadline_ms > self.clock_ms())
    }

    /// The time from which on a record is hidden because of its lease; `u64::MAX` when it has none,
    /// or that has ended.
    pub fn due_ms(&self, record: &Record) -> u64 {
        let lease = if record.lease == 0 { None } else { self.live(record) };
        lease.map_or(u64::MAX, |lease| lease.deadline_ms)
    }

    /// The number of the change with which the lease of a record has ended; `None` when it has not
    /// ended, or the record has no lease.
    pub fn ended_by(&self, record: &Record) -> Option<u64> {
        if record.lease == 0 || self.live(record).is_some() {
            return None;
        }
        self.ended.get(&self.ended_name(record)?).map(|ended| ended.change)
    }

    /// The lease of a record, if it has not ended.
    fn live(&self, record: &Record) -> Option<&Lease> {
        let lease = self.by_id.get(&record.lease)?;
        (lease.granted_revision < record.mod_revision).then_some(lease)
    }

    /// The name of the ended lease of a record whose lease is not there.
    fn ended_name(&self, record: &Record) -> Option<Granted> {
        let before = (record.lease, record.mod_revision);
        let (name, _) =
            self.ended.range((Bound::Unbounded, Bound::Excluded(before))).next_back()?;
        (name.0 == record.lease).then_some(*name)
    }

    /// True when there is a lease, ended or not, that a record with these fields belongs to.
    pub fn has_owner(&self, record: &Record) -> bool {
        self.live(record).is_some() || self.ended_name(record).is_some()
    }

    /// The number and the size of the keys that are hidden by their lease alone.
    pub fn hidden(&self) -> Total {
        self.due_keys.due().plus(self.ended_total)
    }

    /// True when a lease is due and has not ended, or keys of an ended one are not removed yet.
    pub fn has_work(&self) -> bool {
        self.due_leases.due().names > 0 || !self.ended.is_empty()
    }

    /// The earliest deadline of a lease that is not due.
    pub fn next_deadline_ms(&self) -> Option<u64> {
        self.due_leases.next_ms()
    }

    /// The sum of the hashes.
    pub fn digest(&self) -> u64 {
        self.digest
    }

    /// Grants a lease, whose id is free.
    pub fn grant(&mut self, id: u64, ttl: u64, granted_revision: u64) {
        let deadline_ms = deadline_ms(self.clock_ms(), ttl);
        self.restore(LeaseState { id, ttl, deadline_ms, granted_revision });
    }

    /// An id that is free, chosen by `seed`. It has 63 bits and is not 0.
    pub fn free_id(&self, seed: u64) -> u64 {
        let is_free = |id: &u64| {
            let mut ended = self.ended.range((*id, 0)..=(*id, u64::MAX));
            *id != 0 && !self.by_id.contains_key(id) && ended.next().is_none()
        };
        let mut ids = (0..=u64::MAX).map(|attempt| digest::lease_id(seed, attempt));
        ids.find(is_free).expect("a store has far fewer leases than there are ids")
    }

    /// True when a lease has this id, due or not.
    pub fn has_id(&self, id: u64) -> bool {
        self.by_id.contains_key(&id)
    }

    /// Lets a lease begin its time anew. Returns its time to live; `None` when it is not there.
    ///
    /// # Errors
    /// When it is not what was written.
    pub fn renew(&mut self, id: u64) -> Result<Option<u64>, Corruption> {
        let Some(LeaseState { ttl, deadline_ms: before_ms, .. }) = self.state(id)? else {
            return Ok(None);
        };
        let after_ms = deadline_ms(self.clock_ms(), ttl);
        if let Some(lease) = self.by_id.get_mut(&id).filter(|_| after_ms != before_ms) {
            lease.deadline_ms = after_ms;
            self.digest = self.digest.wrapping_sub(lease.hash);
            lease.hash = lease.computed_hash(id);
            self.digest = self.digest.wrapping_add(lease.hash);
            self.due_keys.remove_total(before_ms, lease.fresh);
            self.due_keys.add_total(after_ms, lease.fresh);
            self.due_leases.remove(before_ms, 0);
            self.due_leases.add(after_ms, 0);
            self.deadlines.remove(&(before_ms, id));
            self.deadlines.insert((after_ms, id));
        }
        Ok(Some(ttl))
    }

    /// The first lease that is due, by its deadline and id, with the number of its keys.
    pub fn first_due(&self) -> Option<(u64, u64)> {
        let (deadline_ms, id) = *self.deadlines.get_min()?;
        let lease = self.by_id.get(&id).filter(|_| deadline_ms <= self.clock_ms())?;
        Some((id, lease.keys.total.names))
    }

    /// The number of due leases that may end in one go, each by an entry of its own: those that
    /// have few keys, because each of the entries removes keys as well.
    pub fn ending(&self) -> u64 {
        let (leases, keys) = (self.due_leases.due().names, self.due_keys.due().names);
        let keys_each = keys.checked_div(leases).unwrap_or(0).max(1);
        leases.min((ENDING_KEYS_MAX / keys_each).max(1))
    }

    /// Ends a lease with the change of this number. Returns its deadline and its keys, which are
    /// hidden and still stored; `None` when it is not there.
    pub fn end(&mut self, id: u64, change: u64) -> Option<(u64, LeaseKeys)> {
        let lease = self.by_id.remove(&id)?;
        self.deadlines.remove(&(lease.deadline_ms, id));
        self.due_leases.remove(lease.deadline_ms, 0);
        self.due_keys.remove_total(lease.deadline_ms, lease.fresh);
        self.digest = self.digest.wrapping_sub(lease.hash);
        let state = EndedState { id, granted_revision: lease.granted_revision, change };
        if lease.keys.total.names > 0 {
            self.restore_ended(state, lease.keys.by_key.clone());
            self.ended_total = self.ended_total.plus(lease.fresh);
        }
        Some((lease.deadline_ms, lease.keys))
    }

    /// A key of an ended lease that is still stored.
    pub fn first_ended_key(&self) -> Option<&KeyBytes> {
        self.ended.get_min().and_then(|(_, ended)| ended.keys.get_min()).map(|(key, _)| key)
    }

    /// Adds a key that is stored now to the lease that its record names.
    pub fn attach(&mut self, key: &KeyBytes, record: &Record, bytes: u64) {
        let is_fresh = !record.is_due(self.clock_ms());
        let granted;
        if self.live(record).is_some() {
            let Some(lease) = self.by_id.get_mut(&record.lease) else { return };
            granted = (record.lease, lease.granted_revision);
            lease.keys.by_key.insert(key.clone(), record.clone());
            lease.keys.total.add(bytes);
            lease.keys.hash = lease.keys.hash.wrapping_add(record.hash);
            if is_fresh {
                lease.fresh.add(bytes);
                self.due_keys.add(lease.deadline_ms, bytes);
            }
        } else {
            let Some(name) = self.ended_name(record) else { return };
            let Some(ended) = self.ended.get_mut(&name) else { return };
            granted = name;
            ended.keys.insert(key.clone(), record.clone());
            if is_fresh {
                self.ended_total.add(bytes);
            }
        }
        if let Some(deadline_ms) = record.deadline_ms.filter(|_| is_fresh) {
            self.timed.entry((deadline_ms, granted)).or_default().add(bytes);
        }
    }

    /// Removes a key that will not be stored any more with this record.
    pub fn detach(&mut self, key: &KeyBytes, record: &Record, bytes: u64) {
        let is_fresh = !record.is_due(self.clock_ms());
        let granted;
        if self.live(record).is_some() {
            let Some(lease) = self.by_id.get_mut(&record.lease) else { return };
            if lease.keys.by_key.remove(key).is_none() {
                return;
            }
            granted = (record.lease, lease.granted_revision);
            lease.keys.total.subtract(bytes);
            lease.keys.hash = lease.keys.hash.wrapping_sub(record.hash);
            if is_fresh {
                lease.fresh.subtract(bytes);
                self.due_keys.remove(lease.deadline_ms, bytes);
            }
        } else {
            let Some(name) = self.ended_name(record) else { return };
            let Some(ended) = self.ended.get_mut(&name) else { return };
            if ended.keys.remove(key).is_none() {
                return;
            }
            granted = name;
            if is_fresh {
                self.ended_total.subtract(bytes);
            }
            if ended.keys.is_empty() {
                self.digest = self.digest.wrapping_sub(digest::ended_lease(name, ended.change));
                self.ended.remove(&name);
            }
        }
        if let Some(deadline_ms) = record.deadline_ms.filter(|_| is_fresh) {
            let place = (deadline_ms, granted);
            let Some(total) = self.timed.get_mut(&place) else { return };
            total.subtract(bytes);
            if total.names == 0 {
                self.timed.remove(&place);
            }
        }
    }

    /// True when the lease of a record has the key with exactly this record.
    pub fn finds(&self, key: &[u8], record: &Record) -> bool {
        let found = match self.live(record) {
            Some(lease) => lease.keys.by_key.get(key),
            None => {
                let ended = self.ended_name(record).and_then(|name| self.ended.get(&name));
                ended.and_then(|ended| ended.keys.get(key))
            }
        };
        found.is_some_and(|found| found.is(record))
    }

    /// The hash of each lease that has not ended, after the one with the id `after`. They are
    /// verified, and will be found when they are due.
    pub fn hashes_after(
        &self,
        after: Option<u64>,
    ) -> impl Iterator<Item = Result<(u64, u64), Corruption>> + use<'_> {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.by_id.range((start, Bound::Unbounded)).map(|(id, lease)| {
            lease.verify(*id)?;
            let is_found = self.deadlines.contains(&(lease.deadline_ms, *id));
            if is_found { Ok((*id, lease.hash)) } else { Err(Corruption::Lease { id: *id }) }
        })
    }

    /// The sum of the hashes of the ended leases.
    pub fn ended_digest(&self) -> u64 {
        let hashes = self.ended.iter().map(|(name, e)| digest::ended_lease(*name, e.change));
        hashes.fold(0, u64::wrapping_add)
    }

    /// The leases that have not ended, after the one with the id `after`, for snapshots. They are
    /// verified.
    pub fn states_after(
        &self,
        after: Option<u64>,
    ) -> impl Iterator<Item = Result<LeaseState, Corruption>> + use<'_> {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.by_id.range((start, Bound::Unbounded)).map(|(id, lease)| {
            lease.verify(*id)?;
            Ok(lease.state(*id))
        })
    }

    /// The ended leases whose keys are not removed yet, after the one with this name.
    pub fn ended_after(
        &self,
        after: Option<Granted>,
    ) -> impl Iterator<Item = EndedState> + use<'_> {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let ended = self.ended.range((start, Bound::Unbounded));
        ended.map(|(&(id, granted_revision), ended)| EndedState {
            id,
            granted_revision,
            change: ended.change,
        })
    }

    /// True when an ended lease has no keys, which is forgotten otherwise: a snapshot that says so
    /// is not that of a store.
    pub fn has_empty_end(&self) -> bool {
        self.ended.values().any(|ended| ended.keys.is_empty())
    }

    /// Adds a lease without keys, as it is granted or as a snapshot holds it.
    pub fn restore(&mut self, state: LeaseState) {
        let LeaseState { id, ttl, deadline_ms, granted_revision } = state;
        let (keys, fresh) = (LeaseKeys::default(), Total::default());
        let mut lease = Lease { ttl, deadline_ms, granted_revision, keys, fresh, hash: 0 };
        lease.hash = lease.computed_hash(id);
        self.digest = self.digest.wrapping_add(lease.hash);
        self.due_leases.add(deadline_ms, 0);
        self.deadlines.insert((deadline_ms, id));
        let replaced = self.by_id.insert(id, lease);
        assert!(replaced.is_none(), "an id is granted to one lease at a time");
    }

    /// Adds an ended lease. Of a snapshot, it gets its keys when they are added.
    pub fn restore_ended(&mut self, state: EndedState, keys: OrdMap<KeyBytes, Record>) {
        let EndedState { id, granted_revision, change } = state;
        let name = (id, granted_revision);
        self.digest = self.digest.wrapping_add(digest::ended_lease(name, change));
        self.ended.insert(name, Ended { change, keys });
    }
}

impl Lease {
    fn state(&self, id: u64) -> LeaseState {
        let Lease { ttl, deadline_ms, granted_revision, .. } = *self;
        LeaseState { id, ttl, deadline_ms, granted_revision }
    }

    fn computed_hash(&self, id: u64) -> u64 {
        digest::lease(id, self.ttl, self.deadline_ms, self.granted_revision)
    }

    /// Checks that the lease is what was written.
    fn verify(&self, id: u64) -> Result<(), Corruption> {
        if self.computed_hash(id) == self.hash { Ok(()) } else { Err(Corruption::Lease { id }) }
    }
}

/// The time at which a lease is due that begins now.
fn deadline_ms(clock_ms: u64, ttl: u64) -> u64 {
    clock_ms.saturating_add(ttl.saturating_mul(1000))
}

#[cfg(test)]
mod tests;
