//! The scrub: a slow walk over the store that verifies every record (docs/adr/0025).
//!
//! Memory can change without a write. A read verifies what it returns, but a record that nobody
//! reads would stay wrong until it is copied to a snapshot. The walk verifies a bounded number
//! of records a call. It finds each one by its name as well, because a search goes by copies of
//! the names that no record's hash covers. After a walk in which nothing was written, the
//! records must add up to the totals that the store keeps.

use std::ops::Bound;

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
    /// The clients after this one; `None` for all of them.
    Clients(Option<KeyBytes>),
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
        self.records > 0 && self.bytes > 0
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
        if let Place::Keys(last) = &scrub.place {
            let last = last.clone();
            match self.scrub_keys(last, &mut scrub.found, &mut budget)? {
                Some(last) => {
                    scrub.place = Place::Keys(Some(last));
                    return Ok(false);
                }
                None => scrub.place = Place::Clients(None),
            }
        }
        if let Place::Clients(last) = &scrub.place {
            let last = last.clone();
            if let Some(last) = self.scrub_clients(last, &mut scrub.found, &mut budget)? {
                scrub.place = Place::Clients(Some(last));
                return Ok(false);
            }
        }
        scrub.place = Place::Start;
        let (found, kept) = (scrub.found, self.totals());
        if scrub.began_at == self.last_applied() && found != kept {
            return Err(Corruption::Totals { found, kept });
        }
        Ok(true)
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
            if !self.records().finds(key, record) {
                return Err(Corruption::unreachable(key));
            }
            let bytes = weight_bytes(key, &record.value);
            found.keys += 1;
            found.bytes += bytes;
            found.digest = found.digest.wrapping_add(hash);
            if !budget.take(bytes) {
                return Ok(Some(key.clone()));
            }
        }
        Ok(None)
    }

    /// The same for clients.
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
