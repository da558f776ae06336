//! Reads of the store. The values that they return share the stored bytes.

use std::ops::Bound;

use bytes::Bytes;

use super::command::{Answer, Item, Query};
use super::corruption::Corruption;
use super::record::Record;
use super::store::Store;

/// Maximum size of one scan's answer, in bytes of keys and values. A first key that is
/// larger than that is returned alone.
pub const SCAN_BYTES_MAX: usize = 4 * 1024 * 1024;

impl Store {
    /// Answers a query. A key is present until an entry has expired it. The store's time on the
    /// leader, `now_ms`, only decides how much time the answer says a key has left: a key that
    /// it hid could be seen again after the next election.
    ///
    /// # Errors
    /// When a record that the answer depends on is not what was written.
    pub fn query(&self, query: &Query, now_ms: u64) -> Result<Answer, Corruption> {
        // A reader that does not lead any more may know less of the time than the store.
        let now_ms = now_ms.max(self.clock_ms());
        Ok(match query {
            Query::Get { key, .. } => match self.records().get(key)? {
                Some(record) => Answer::Value(record.value.clone()),
                None => Answer::NotFound,
            },
            Query::GetMeta { key, .. } => match self.records().get(key)? {
                Some(record) => Answer::Meta(item(record, now_ms)),
                None => Answer::NotFound,
            },
            Query::Scan { prefix, limit, after, .. } => {
                return self.scan(prefix, *limit, after.as_deref(), now_ms);
            }
            query => unreachable!("parts A and B of issue 16: {query:?}"),
        })
    }

    fn scan(
        &self,
        prefix: &[u8],
        limit: u64,
        after: Option<&[u8]>,
        now_ms: u64,
    ) -> Result<Answer, Corruption> {
        let start = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        let mut items: Vec<(Bytes, Item)> = Vec::new();
        let mut bytes = 0;
        // In byte order the keys with a prefix follow the prefix, without a gap.
        let found =
            self.records().stored_from(start).take_while(|(key, _)| key.starts_with(prefix));
        for (key, record) in found {
            record.verify(key)?;
            if self.records().hides(record) {
                continue;
            }
            bytes += key.len() + record.value.len();
            let is_over = bytes > SCAN_BYTES_MAX && !items.is_empty();
            if is_over || items.len() as u64 >= limit {
                return Ok(Answer::Scan { items, more: true });
            }
            items.push((Bytes::copy_from_slice(key), item(record, now_ms)));
        }
        Ok(Answer::Scan { items, more: false })
    }
}

/// The answer for one key.
fn item(record: &Record, now_ms: u64) -> Item {
    let exptime = record
        .deadline_ms
        .map_or(0, |deadline_ms| deadline_ms.saturating_sub(now_ms).div_ceil(1000).max(1));
    Item { value: record.value.clone(), version: record.mod_revision, exptime }
}

#[cfg(test)]
mod tests;
