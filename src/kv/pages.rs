//! Reads for people who browse: the keys of a range a page at a time, and the versions of a key.
//! Both answer with whole records, and share them with the store.

use std::sync::Arc;

use bytes::Bytes;

use super::change::{Action, Change, ChangeKind, Newest};
use super::corruption::Corruption;
use super::query::SCAN_BYTES_MAX;
use super::range::KeyRange;
use super::reads::Reads;
use super::record::Record;
use super::store::Store;

/// A question for a page of the keys of a range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageQuery {
    /// The keys.
    pub keys: KeyRange,
    /// Only keys after this one are wanted.
    pub after: Option<Bytes>,
    /// Maximum number of keys.
    pub limit: u64,
    /// The revision at which the store is read; 0 means now.
    pub at: u64,
}

/// A page of keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The revision at which the store was read.
    pub revision: u64,
    /// The time of the read on the store's clock, in milliseconds.
    pub clock_ms: u64,
    /// The keys in byte order, with their records.
    pub records: Vec<(Bytes, Arc<Record>)>,
    /// True when there are further keys.
    pub more: bool,
}

/// A question for the versions of a key that are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionsQuery {
    /// The key.
    pub key: Bytes,
    /// Only versions before this revision are wanted; `None` for all.
    pub before: Option<u64>,
    /// Maximum number of versions.
    pub limit: u64,
}

/// Versions of a key, the newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versions {
    /// The store's revision.
    pub revision: u64,
    /// The oldest revision that can be read.
    pub compacted: u64,
    /// The time of the read on the store's clock, in milliseconds.
    pub clock_ms: u64,
    /// The versions.
    pub versions: Vec<Version>,
    /// True when older versions are kept.
    pub more: bool,
}

/// One version of a key: a value, or its removal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// The revision that made it.
    pub revision: u64,
    /// The kind of the change that made it.
    pub kind: ChangeKind,
    /// The value; `None` for a removal.
    pub record: Option<Arc<Record>>,
}

/// Reads a page. It ends before its limit when its keys and values are over [`SCAN_BYTES_MAX`].
///
/// # Errors
/// When a record of the page is not what was written.
pub(super) fn page(
    reads: &Reads<'_>,
    query: &PageQuery,
    revision: u64,
    clock_ms: u64,
) -> Result<Page, Corruption> {
    let mut page = Page { revision, clock_ms, records: Vec::new(), more: false };
    let mut bytes = 0;
    for found in reads.range_after(&query.keys, query.after.as_deref()) {
        let (key, record) = found?;
        bytes += key.len() + record.value.len();
        let is_over = bytes > SCAN_BYTES_MAX && !page.records.is_empty();
        if is_over || page.records.len() as u64 >= query.limit {
            page.more = true;
            break;
        }
        page.records.push((Bytes::copy_from_slice(key), Arc::clone(record)));
    }
    Ok(page)
}

impl Store {
    /// The versions of a key. One that was replaced before the compacted revision is not listed.
    ///
    /// # Errors
    /// When a record is not what was written.
    pub(super) fn versions(
        &self,
        query: &VersionsQuery,
        clock_ms: u64,
    ) -> Result<Versions, Corruption> {
        let (revision, compacted) = (self.revision(), self.compacted());
        let mut found =
            Versions { revision, compacted, clock_ms, versions: Vec::new(), more: false };
        let mut next = self.newest_of(&query.key);
        while let Some((version, older)) = next.and_then(|newest| self.step_back(query, newest)) {
            if let Some(record) = &version.record {
                record.verify(&query.key)?;
            }
            let is_oldest = version.revision <= compacted;
            if query.before.is_none_or(|before| version.revision < before) {
                if found.versions.len() as u64 >= query.limit {
                    found.more = true;
                    break;
                }
                found.versions.push(version);
            }
            next = older.filter(|_| !is_oldest);
        }
        Ok(found)
    }

    /// The key as it is stored, from where it is followed into the past.
    fn newest_of(&self, key: &[u8]) -> Option<Newest<'_>> {
        let gone = |change| Newest { record: None, due_ms: u64::MAX, change };
        let Some(record) = self.records().stored(key) else {
            return Some(gone(self.history().gone(key)));
        };
        Some(match self.records().leases().ended_by(record) {
            Some(change) => gone(change),
            None => Newest { record: Some(record), due_ms: u64::MAX, change: record.change },
        })
    }

    /// The version that a key has at this place, and the place before it, if it is kept.
    fn step_back<'a>(
        &'a self,
        query: &VersionsQuery,
        newest: Newest<'a>,
    ) -> Option<(Version, Option<Newest<'a>>)> {
        let change = self.history().changes().get(newest.change).filter(|_| newest.change > 0);
        let older = change.and_then(|change| change.before(&query.key));
        let older = older.filter(|older| older.change < newest.change);
        let version = match newest.record {
            Some(record) => Version {
                revision: record.mod_revision,
                kind: ChangeKind::Put,
                record: Some(Arc::clone(record)),
            },
            None => Version { revision: change?.revision, kind: removal(change?), record: None },
        };
        Some((version, older))
    }
}

/// The kind of a change that removed a key.
fn removal(change: &Change) -> ChangeKind {
    match &change.action {
        Action::Expire { .. } => ChangeKind::Expire,
        Action::LeaseEnd(end) => end.kind,
        Action::Put { .. } | Action::Delete { .. } => ChangeKind::Delete,
    }
}

#[cfg(test)]
mod tests;
