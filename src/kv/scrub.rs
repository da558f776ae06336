//! The scrub: a slow walk over the store that verifies every record (docs/adr/0025).
//!
//! Memory can change without a write. A read verifies what it returns, but a record that nobody
//! reads would stay wrong until it is copied to a snapshot. The walk verifies a bounded number
//! of records a call. It finds each one by its name as well, because a search goes by copies of
//! the names that no record's hash covers. The changes of the history are walked as well: their
//! records, and whether they agree with each other. After a walk in which nothing was written, all
//! of it must add up to the totals that the store keeps.

use std::ops::Bound;

use super::change::Action;
use super::corruption::{Corruption, Totals};
use super::key_bytes::KeyBytes;
use super::store::Store;
use super::weight::weight_bytes;
use crate::types::LogIndex;

/// The place of a scrub in its walk. It begins with the first walk.
#[derive(Debug, Default)]
pub struct Scrub {
    place: Place,
    /// The newest entry that was applied when the walk began.
    began_at: LogIndex,
    /// The totals of the records that were verified in this walk.
    found: Totals,
}

/// The next record of a walk.
#[derive(Debug, Default)]
enum Place {
    #[default]
    Start,
    /// The keys after this one; `None` for all of them.
    Keys(Option<KeyBytes>),
    /// The leases after the one with this id; `None` for all of them.
    Leases(Option<u64>),
    /// The changes from this number on; of the end of a lease the keys after this one.
    Changes(u64, Option<KeyBytes>),
    /// The keys that are gone after this one.
    Gone(Option<KeyBytes>),
    /// The clients after this one; `None` for all of them.
    Clients(Option<KeyBytes>),
}

impl Place {
    /// True behind a record; false before the first one of a kind.
    fn is_begun(&self) -> bool {
        match self {
            Place::Start => false,
            Place::Keys(last) | Place::Gone(last) | Place::Clients(last) => last.is_some(),
            Place::Leases(last) => last.is_some(),
            Place::Changes(number, _) => *number > 0,
        }
    }
}

/// The bounds of one call. It ends at the first that is reached.
#[derive(Clone, Copy, Debug)]
pub struct ScrubBudget {
    /// Maximum number of records.
    pub records: u64,
    /// The size of verified records in bytes at which the call ends.
    pub bytes: u64,
}

impl ScrubBudget {
    /// Takes a record of this size; false when it was the last one of the call.
    fn take(&mut self, bytes: u64) -> bool {
        self.records = self.records.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
        !self.is_used_up()
    }

    fn is_used_up(&self) -> bool {
        self.records == 0 || self.bytes == 0
    }
}

impl Store {
    /// Verifies the next records of the walk. Returns true when the walk is over: the next call
    /// begins another one.
    ///
    /// # Errors
    /// When a part of the store is not what was written there.
    pub fn scrub(&self, scrub: &mut Scrub, mut budget: ScrubBudget) -> Result<bool, Corruption> {
        if let Place::Start = scrub.place {
            *scrub = Scrub {
                place: Place::Keys(None),
                began_at: self.last_applied(),
                found: Totals::default(),
            };
        }
        while let Some(next) = self.scrub_place(scrub, &mut budget)? {
            let is_begun = next.is_begun();
            scrub.place = next;
            if is_begun && budget.is_used_up() {
                return Ok(false);
            }
        }
        scrub.place = Place::Start;
        let mut found = scrub.found;
        found.digest = found.digest.wrapping_add(self.own_numbers_digest());
        let kept = self.totals();
        if scrub.began_at == self.last_applied() && found != kept {
            return Err(Corruption::Totals { found, kept });
        }
        Ok(true)
    }

    /// Verifies records from the place of the walk on. Returns the place behind them, and `None`
    /// at the end of the walk.
    fn scrub_place(
        &self,
        scrub: &mut Scrub,
        budget: &mut ScrubBudget,
    ) -> Result<Option<Place>, Corruption> {
        let found = &mut scrub.found;
        Ok(match std::mem::take(&mut scrub.place) {
            Place::Start => Some(Place::Keys(None)),
            Place::Keys(last) => Some(match self.scrub_keys(last, found, budget)? {
                Some(last) => Place::Keys(Some(last)),
                None => Place::Leases(None),
            }),
            Place::Leases(last) => Some(match self.scrub_leases(last, found, budget)? {
                Some(last) => Place::Leases(Some(last)),
                None => Place::Changes(0, None),
            }),
            Place::Changes(number, after) => {
                let next = self.scrub_changes(number, after, found, budget)?;
                Some(next.unwrap_or(Place::Gone(None)))
            }
            Place::Gone(last) => Some(match self.scrub_gone(last, budget)? {
                Some(last) => Place::Gone(Some(last)),
                None => Place::Clients(None),
            }),
            Place::Clients(last) => {
                self.scrub_clients(last, found, budget)?.map(|last| Place::Clients(Some(last)))
            }
        })
    }

    /// Verifies keys after `last`. Returns the last one that was verified when the budget is
    /// used up, and `None` after the last key.
    fn scrub_keys(
        &self,
        last: Option<KeyBytes>,
        found: &mut Totals,
        budget: &mut ScrubBudget,
    ) -> Result<Option<KeyBytes>, Corruption> {
        for (key, record) in self.records().stored_from(after(last.as_ref())) {
            let hash = record.verify(key)?;
            let is_leased = record.lease != 0;
            if !self.records().finds(key, record)
                || is_leased && !self.records().leases().finds(key, record)
            {
                return Err(Corruption::unreachable(key));
            }
            let bytes = weight_bytes(key, record.value());
            found.keys += 1;
            found.bytes += bytes;
            found.digest = found.digest.wrapping_add(hash);
            if !budget.take(bytes) {
                return Ok(Some(key.clone()));
            }
        }
        Ok(None)
    }

    /// Verifies leases after `last`, as [`Store::scrub_keys`] does with keys.
    fn scrub_leases(
        &self,
        last: Option<u64>,
        found: &mut Totals,
        budget: &mut ScrubBudget,
    ) -> Result<Option<u64>, Corruption> {
        for lease in self.records().leases().hashes_after(last) {
            let (id, hash) = lease?;
            found.digest = found.digest.wrapping_add(hash);
            if !budget.take(weight_bytes(b"", b"")) {
                return Ok(Some(id));
            }
        }
        Ok(None)
    }

    /// Verifies changes from `number` on, and returns the place behind them when the budget is used
    /// up. A record that a change has replaced is verified with the change that wrote it, if that
    /// one is kept.
    fn scrub_changes(
        &self,
        number: u64,
        mut after: Option<KeyBytes>,
        found: &mut Totals,
        budget: &mut ScrubBudget,
    ) -> Result<Option<Place>, Corruption> {
        let changes = self.history().changes();
        let mut newest = changes.get(number.wrapping_sub(1)).map(|change| change.revision);
        for (number, change) in changes.from(number) {
            let bytes =
                change.verify(number, newest, |written_by| changes.get(written_by).is_none())?;
            newest = Some(change.revision);
            if let Action::LeaseEnd(end) = &change.action {
                let start = after.take();
                for (key, record) in
                    end.keys.range::<_, [u8]>((self::after(start.as_ref()), Bound::Unbounded))
                {
                    record.verify(key)?;
                    if !budget.take(weight_bytes(key, record.value())) {
                        return Ok(Some(Place::Changes(number, Some(key.clone()))));
                    }
                }
            }
            found.changes += 1;
            found.digest = found.digest.wrapping_add(change.hash(number));
            if !budget.take(bytes) {
                return Ok(Some(Place::Changes(number + 1, None)));
            }
        }
        Ok(None)
    }

    /// Verifies that the keys that are gone are those of changes that removed them.
    fn scrub_gone(
        &self,
        last: Option<KeyBytes>,
        budget: &mut ScrubBudget,
    ) -> Result<Option<KeyBytes>, Corruption> {
        for (key, number) in self.history().gone_from(after(last.as_ref())) {
            let change = self.history().changes().get(number);
            if !change.is_some_and(|change| change.removes(key)) {
                return Err(Corruption::unreachable(key));
            }
            if !budget.take(weight_bytes(key, b"")) {
                return Ok(Some(key.clone()));
            }
        }
        Ok(None)
    }

    /// Verifies clients after `last`, as [`Store::scrub_keys`] does with keys.
    fn scrub_clients(
        &self,
        last: Option<KeyBytes>,
        found: &mut Totals,
        budget: &mut ScrubBudget,
    ) -> Result<Option<KeyBytes>, Corruption> {
        for (name, client) in self.once_table().stored_from(after(last.as_ref())) {
            let hash = client.verify(name)?;
            if !self.once_table().finds(name, client) {
                return Err(Corruption::unreachable(name));
            }
            found.clients += 1;
            found.digest = found.digest.wrapping_add(hash);
            if !budget.take(weight_bytes(name, b"")) {
                return Ok(Some(name.clone()));
            }
        }
        Ok(None)
    }
}

/// The range of names after `name`, or of all names.
fn after(name: Option<&KeyBytes>) -> Bound<&[u8]> {
    name.map_or(Bound::Unbounded, |name| Bound::Excluded(&name[..]))
}

#[cfg(test)]
mod tests;
