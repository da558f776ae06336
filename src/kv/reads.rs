//! Reads of the keys: as they are, or as they were at a moment that the history still knows.
//!
//! A key is followed into the past from its present record, or from the change that removed it,
//! by the records that later changes have replaced. So a read of the past costs a step for each
//! later change of the keys that it finds, and a read of the present costs nothing more.

use std::iter::Peekable;
use std::ops::Bound;

use bytes::Bytes;

use super::change::Newest;
use super::corruption::Corruption;
use super::history::{History, Moment};
use super::key_bytes::KeyBytes;
use super::record::Record;
use super::records::Records;
use super::transaction::RangeAnswer;
use crate::commands::{KeyRange, RangeQuery};

/// The keys as a read sees them. No record that is returned was hidden then, and each one is what
/// was written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reads<'a> {
    records: &'a Records,
    /// The history with the moment of the read; `None` reads the keys as they are.
    past: Option<(&'a History, Moment)>,
}

impl<'a> Reads<'a> {
    /// The keys as they are.
    pub fn now(records: &'a Records) -> Reads<'a> {
        Reads { records, past: None }
    }

    /// The keys as they were at `moment`, which is one of `history`.
    pub fn at(records: &'a Records, history: &'a History, moment: Moment) -> Reads<'a> {
        Reads { records, past: Some((history, moment)) }
    }

    /// The time of the read, in milliseconds of the store's clock.
    pub fn clock_ms(&self) -> u64 {
        self.past.map_or(self.records.clock_ms(), |(_, moment)| moment.clock_ms)
    }

    /// True when the keys are read as they were.
    pub fn is_of_the_past(&self) -> bool {
        self.past.is_some()
    }

    /// The record of a key.
    ///
    /// # Errors
    /// When it is not what was written.
    pub fn get(&self, key: &[u8]) -> Result<Option<&'a Record>, Corruption> {
        let Some((history, _)) = self.past else { return self.records.get(key) };
        match self.records.stored(key) {
            Some(record) => self.seen(key, Some(record), record.change),
            None => self.seen(key, None, history.gone(key)),
        }
    }

    /// The keys of a range with their records, in byte order.
    pub fn range(
        &self,
        keys: &KeyRange,
    ) -> impl Iterator<Item = Result<(&'a KeyBytes, &'a Record), Corruption>> + use<'a> {
        self.range_after(keys, None)
    }

    /// The same, of the keys after `after` only.
    pub fn range_after(
        &self,
        keys: &KeyRange,
        after: Option<&[u8]>,
    ) -> impl Iterator<Item = Result<(&'a KeyBytes, &'a Record), Corruption>> + use<'a> {
        let (reads, end) = (*self, keys.clone());
        let start = match after {
            Some(after) if after >= &keys.start()[..] => Bound::Excluded(after),
            _ => Bound::Included(&keys.start()[..]),
        };
        let gone = self.past.map(|(history, _)| history.gone_from(start).peekable());
        let candidates = Merged { stored: self.records.stored_from(start).peekable(), gone };
        let candidates = candidates.take_while(move |(key, _, _)| end.contains(key));
        candidates.filter_map(move |(key, stored, change)| {
            let seen = reads.seen(key, stored, change);
            Some(seen.transpose()?.map(|record| (key, record)))
        })
    }

    /// The answer to a query whose revision is that of this read.
    ///
    /// # Errors
    /// When a record of the range is not what was written.
    pub fn answer(&self, query: &RangeQuery) -> Result<RangeAnswer, Corruption> {
        let RangeQuery { keys, limit, is_count_only, .. } = query;
        let mut answer = RangeAnswer::default();
        for found in self.range(keys) {
            let (key, record) = found?;
            answer.count += 1;
            if !is_count_only && (*limit == 0 || answer.count <= *limit) {
                answer.records.push((Bytes::copy_from_slice(key), record.clone()));
            }
        }
        Ok(answer)
    }

    /// The record that the read sees of a key, from what is stored of it and the number of its
    /// newest change.
    fn seen(
        &self,
        key: &[u8],
        stored: Option<&'a Record>,
        change: u64,
    ) -> Result<Option<&'a Record>, Corruption> {
        if let Some((history, moment)) = self.past {
            let leases = self.records.leases();
            let newest = match stored {
                None => Newest { record: None, due_ms: u64::MAX, change },
                Some(record) => match leases.ended_by(record) {
                    // It went with its lease, and is only not removed yet.
                    Some(change) => Newest { record: None, due_ms: u64::MAX, change },
                    None => Newest { record: stored, due_ms: leases.due_ms(record), change },
                },
            };
            return history.at(moment, key, newest);
        }
        let Some(record) = stored else { return Ok(None) };
        record.verify(key)?;
        Ok(Some(record).filter(|record| !self.records.hides(record)))
    }
}

/// The keys that are stored and those that are gone, together in byte order.
struct Merged<S: Iterator, G: Iterator> {
    stored: Peekable<S>,
    gone: Option<Peekable<G>>,
}

impl<'a, S, G> Iterator for Merged<S, G>
where
    S: Iterator<Item = (&'a KeyBytes, &'a Record)>,
    G: Iterator<Item = (&'a KeyBytes, u64)>,
{
    type Item = (&'a KeyBytes, Option<&'a Record>, u64);

    fn next(&mut self) -> Option<Self::Item> {
        let stored = self.stored.peek().map(|(key, _)| *key);
        if let Some(gone) = &mut self.gone {
            // A key that is stored is not gone, even if the history has not heard of it because
            // changes were not kept for a while.
            while gone.next_if(|(key, _)| Some(*key) == stored).is_some() {}
            let is_first = |key| stored.is_none_or(|stored| key < stored);
            if let Some((key, change)) = gone.next_if(|(key, _)| is_first(*key)) {
                return Some((key, None, change));
            }
        }
        let (key, record) = self.stored.next()?;
        Some((key, Some(record), record.change))
    }
}

#[cfg(test)]
mod tests;
