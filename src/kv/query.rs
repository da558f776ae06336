//! Reads of the store. The values that they return share the stored bytes.

use std::sync::Arc;

use bytes::Bytes;

use super::browse;
use super::command::Answer;
use super::corruption::Corruption;
use super::history::NotReadable;
use super::leases::LeaseState;
use super::reads::Reads;
use super::record::Record;
use super::store::Store;
use super::transact::{self, Stop};
use crate::commands::{Item, KeyRange, PageQuery, Query, RangeQuery};

/// Maximum size of one scan's answer, in bytes of keys and values. A first key that is
/// larger than that is returned alone.
pub const SCAN_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Number of changes after a revision at which a read of one key is too long to be done at once: a
/// key may have been written by all of them.
const CHANGES_AT_ONCE_MAX: u64 = 1_000;

impl Store {
    /// True when the answer can take as long as thousands of others: of a scan, and of a read that
    /// goes far back, or lists.
    pub fn takes_long(&self, query: &Query) -> bool {
        match query {
            Query::Scan { .. } | Query::Page(_) | Query::Versions(_) => true,
            Query::Get { at, .. } | Query::GetMeta { at, .. } => {
                *at > 0 && self.history().changes_after(*at) > CHANGES_AT_ONCE_MAX
            }
            _ => false,
        }
    }

    /// Answers a query. A key is present until an entry has expired it. The store's time on the
    /// leader, `now_ms`, only decides how much time the answer says a key has left: a key that
    /// it hid could be seen again after the next election.
    ///
    /// # Errors
    /// When a record that the answer depends on is not what was written.
    pub fn query(&self, query: &Query, now_ms: u64) -> Result<Answer, Corruption> {
        let at = match query {
            Query::Get { at, .. } | Query::GetMeta { at, .. } | Query::Scan { at, .. } => *at,
            Query::Range(RangeQuery { at, .. }) | Query::Page(PageQuery { at, .. }) => *at,
            Query::Transaction(_) | Query::Lease { .. } | Query::Leases | Query::Versions(_) => 0,
        };
        let reads = match self.reads_at(at) {
            Ok(reads) => reads,
            Err(reason) => return Ok(reason.into()),
        };
        // A reader that does not lead any more may know less of the time than the store. A read of
        // the past says how much time a key had left then.
        let now_ms = if reads.is_of_the_past() { 0 } else { now_ms }.max(reads.clock_ms());
        Ok(match query {
            Query::Get { key, .. } => match reads.get(key)? {
                Some(record) => Answer::Value(record.value_bytes()),
                None => Answer::NotFound,
            },
            Query::GetMeta { key, .. } => match reads.get(key)? {
                Some(record) => Answer::Meta(item(record, now_ms)),
                None => Answer::NotFound,
            },
            Query::Scan { prefix, limit, after, .. } => {
                return scan(&reads, prefix, *limit, after.as_deref(), now_ms);
            }
            Query::Range(query) => {
                Answer::Range { revision: self.revision(), answer: reads.answer(query)? }
            }
            Query::Transaction(transaction) => {
                match transact::read(self.records(), self.history(), transaction, now_ms) {
                    Ok(outcome) => Answer::Transaction(Arc::new(outcome)),
                    Err(Stop::NotReadable(reason)) => reason.into(),
                    Err(Stop::Corrupted(corruption)) => return Err(corruption),
                    Err(Stop::Full | Stop::NoLease | Stop::NoKey) => {
                        unreachable!("only a write is refused so")
                    }
                }
            }
            Query::Lease { id, keys_max } => return self.lease(*id, *keys_max, now_ms),
            Query::Page(query) => {
                let revision = if query.at == 0 { self.revision() } else { query.at };
                Answer::Page(browse::page(&reads, query, SCAN_BYTES_MAX, revision, now_ms)?)
            }
            Query::Versions(query) => Answer::Versions(self.versions(query, now_ms)?),
            Query::Leases => Answer::Leases(self.records().leases().ids().collect()),
        })
    }

    /// A lease with at most `keys_max` of its keys.
    fn lease(&self, id: u64, keys_max: u64, now_ms: u64) -> Result<Answer, Corruption> {
        let leases = self.records().leases();
        let Some(LeaseState { ttl, deadline_ms, .. }) = leases.state(id)? else {
            return Ok(Answer::NoLease);
        };
        let left = deadline_ms.saturating_sub(now_ms).div_ceil(1000).max(1);
        // A key that is hidden by its own deadline is with the lease until it is removed.
        let keys = leases.keys(id).filter(|(_, record)| !self.records().hides(record));
        let keys = keys.take(usize::try_from(keys_max).unwrap_or(usize::MAX));
        let keys = keys.map(|(key, _)| Bytes::copy_from_slice(key)).collect();
        Ok(Answer::Lease { left, ttl, keys })
    }

    /// The keys as they were at a revision; 0 and the present revision mean as they are.
    ///
    /// # Errors
    /// When the store cannot be read at that revision.
    pub(super) fn reads_at(&self, at: u64) -> Result<Reads<'_>, NotReadable> {
        if at == 0 || at == self.revision() {
            return Ok(Reads::now(self.records()));
        }
        if at < self.compacted() {
            return Err(NotReadable::Compacted { revision: self.compacted() });
        }
        Ok(Reads::at(self.records(), self.history(), self.history().moment(at)?))
    }
}

/// One page of the keys with a prefix.
fn scan(
    reads: &Reads<'_>,
    prefix: &Bytes,
    limit: u64,
    after: Option<&[u8]>,
    now_ms: u64,
) -> Result<Answer, Corruption> {
    let keys = KeyRange::prefix(prefix.clone());
    let mut items: Vec<(Bytes, Item)> = Vec::new();
    let mut bytes = 0;
    for found in reads.range_after(&keys, after) {
        let (key, record) = found?;
        bytes += key.len() + record.value().len();
        let is_over = bytes > SCAN_BYTES_MAX && !items.is_empty();
        if is_over || items.len() as u64 >= limit {
            return Ok(Answer::Scan { items, more: true });
        }
        items.push((Bytes::copy_from_slice(key), item(record, now_ms)));
    }
    Ok(Answer::Scan { items, more: false })
}

/// The answer for one key.
fn item(record: &Record, now_ms: u64) -> Item {
    let exptime = record
        .deadline_ms
        .map_or(0, |deadline_ms| deadline_ms.saturating_sub(now_ms).div_ceil(1000).max(1));
    Item { value: record.value_bytes(), version: record.mod_revision, exptime }
}

#[cfg(test)]
mod tests;
