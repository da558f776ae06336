//! The answers to people who browse: pages of keys, and the versions of a key.

use bytes::Bytes;

use super::change::{Action, Change, ChangeKind, Newest};
use super::corruption::Corruption;
use super::pages::{Page, Version, Versions};
use super::reads::Reads;
use super::store::Store;
use crate::commands::{PageQuery, VersionsQuery};

/// Reads a page. It ends before its limit when its keys and values are over `bytes_max`.
///
/// # Errors
/// When a record of the page is not what was written.
pub(super) fn page(
    reads: &Reads<'_>,
    query: &PageQuery,
    bytes_max: usize,
    revision: u64,
    clock_ms: u64,
) -> Result<Page, Corruption> {
    let mut page = Page { revision, clock_ms, records: Vec::new(), more: false };
    let mut bytes = 0;
    for found in reads.range_after(&query.keys, query.after.as_deref()) {
        let (key, record) = found?;
        bytes += key.len() + record.value().len();
        let is_over = bytes > bytes_max && !page.records.is_empty();
        if is_over || page.records.len() as u64 >= query.limit {
            page.more = true;
            break;
        }
        page.records.push((Bytes::copy_from_slice(key), record.clone()));
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
                record: Some(record.clone()),
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
