//! Leases: a key goes with the lease that its last write has named.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::store::ReferenceStore;
use super::types::{Became, Expiration, Held, Lease, LeaseExpiry, OfLeases};
use crate::kv::Outcome;

impl ReferenceStore {
    /// True when the lease is there and its time is not over.
    pub(super) fn is_live(&self, id: u64) -> bool {
        self.leases.get(&id).is_some_and(|lease| !lease.is_due)
    }

    /// True when the lease was there after the entry at this index.
    pub(crate) fn was_live(&self, index: u64, id: u64) -> bool {
        let Some(changes) = self.lease_changes.get(&id) else { return false };
        let before = changes.partition_point(|(since, _)| *since <= index);
        changes[..before].last().is_some_and(|(_, is_live)| *is_live)
    }

    /// The leases that the entry at `index` has begun or ended.
    pub(crate) fn of_leases(&self, index: u64) -> &OfLeases {
        &self.states[index as usize].of_leases
    }

    /// The leases whose time was over, in the order of the log.
    pub(crate) fn lease_expiries(&self) -> &[LeaseExpiry] {
        &self.lease_expiries
    }

    fn note_lease(&mut self, id: u64, is_live: bool) {
        let index = self.last_index();
        self.lease_changes.entry(id).or_default().push((index, is_live));
    }

    pub(super) fn grant(&mut self, id: u64, ttl: u64) -> Outcome {
        assert!(id != 0, "the clients of the simulation name their leases");
        if self.is_live(id) {
            return Outcome::LeaseExists;
        }
        self.end_lease(id, Became::Expired);
        let (begun, clock_ms) = (self.last_index(), self.clock_ms(self.last_index()));
        let deadline_ms = clock_ms + 1_000 * ttl;
        let lease = Lease { ttl, deadline_ms, begun, keys: BTreeMap::new(), is_due: false };
        self.leases.insert(id, lease);
        self.note_lease(id, true);
        self.current().of_leases.begun.push((id, ttl));
        Outcome::Granted { id, ttl }
    }

    pub(super) fn renew(&mut self, id: u64) -> Option<u64> {
        let (begun, clock_ms) = (self.last_index(), self.clock_ms(self.last_index()));
        let lease = self.leases.get_mut(&id).filter(|lease| !lease.is_due)?;
        let ttl = lease.ttl;
        (lease.begun, lease.deadline_ms) = (begun, clock_ms + 1_000 * ttl);
        self.current().of_leases.begun.push((id, ttl));
        Some(ttl)
    }

    pub(super) fn revoke(&mut self, id: u64) -> Outcome {
        if !self.is_live(id) {
            return Outcome::NoLease;
        }
        self.end_lease(id, Became::Deleted);
        self.note_lease(id, false);
        self.current().of_leases.revoked = Some(id);
        Outcome::Revoked
    }

    /// Lets a key go with the lease that it names, if it names one.
    pub(super) fn attach(&mut self, key: &Bytes, held: &Held) {
        if let Some(lease) = self.leases.get_mut(&held.lease) {
            lease.keys.insert(key.clone(), held.clone());
        }
    }

    /// A key goes with no lease any more. Returns what it was when it is hidden by a lease that has
    /// not ended.
    pub(super) fn detach(&mut self, key: &Bytes) -> Option<Held> {
        let mut hidden = None;
        for lease in self.leases.values_mut() {
            let held = lease.keys.remove(key);
            hidden = hidden.or(held.filter(|_| lease.is_due));
        }
        hidden
    }

    /// Hides the keys of the leases that are due.
    pub(super) fn hide_due_leases(&mut self) {
        let (index, clock_ms) = (self.last_index(), self.clock_ms(self.last_index()));
        let is_due = |lease: &Lease| !lease.is_due && lease.deadline_ms <= clock_ms;
        let due: Vec<u64> =
            self.leases.iter().filter(|(_, it)| is_due(it)).map(|(id, _)| *id).collect();
        for id in due {
            let Some(lease) = self.leases.get_mut(&id) else { continue };
            lease.is_due = true;
            let Lease { ttl, begun, .. } = *lease;
            self.lease_expiries.push(LeaseExpiry { id, ttl, begun, gone: index });
            for (key, held) in lease.keys.clone() {
                self.keys.entry(key.clone()).or_default().push((index, None));
                self.expirations.push(Expiration { key, held, gone: index });
            }
            self.note_lease(id, false);
        }
    }

    /// Ends leases that are due, by their deadlines: at most one that has keys. `left` is the
    /// number of names that the entry may still remove.
    pub(super) fn end_due_leases(&mut self, mut left: usize) {
        let mut has_ended = false;
        while left > 0 {
            let due = self.leases.iter().filter(|(_, lease)| lease.is_due);
            let first = due.min_by_key(|(id, lease)| (lease.deadline_ms, **id));
            let Some((id, has_keys)) = first.map(|(id, it)| (*id, !it.keys.is_empty())) else {
                return;
            };
            if has_ended && has_keys {
                return;
            }
            self.end_lease(id, Became::Expired);
            has_ended |= has_keys;
            left -= 1;
        }
    }

    /// Ends a lease, if it is there: one change for all its keys.
    fn end_lease(&mut self, id: u64, became: Became) {
        let Some(lease) = self.leases.remove(&id) else { return };
        let index = self.last_index();
        for (key, held) in lease.keys {
            if !lease.is_due {
                self.keys.entry(key.clone()).or_default().push((index, None));
            }
            self.note_change(&key, became.clone(), Some(&held));
        }
    }
}
