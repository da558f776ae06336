//! The digests of the store after the entries that it applied last (docs/adr/0025).

use crate::types::LogIndex;

/// Number of entries at the end whose digests are known, each of them.
const RECENT: usize = 4096;

/// Every entry whose index is a multiple of this is a mark.
const MARK_ENTRIES: u64 = 1024;

/// Number of marks whose digests are known.
const MARKS: usize = 1024;

/// The digests after each of the last entries, and after every 1024th entry of a longer time.
#[derive(Clone, Debug)]
pub struct DigestHistory {
    /// The digest after an entry, in the place of its index modulo [`RECENT`].
    recent: Vec<u64>,
    /// The digest after a mark, in the place of its number modulo [`MARKS`].
    marks: Vec<u64>,
    /// Invariant: the digests of the entries from `first` to `last` were added, one after the
    /// other.
    first: LogIndex,
    last: LogIndex,
}

impl DigestHistory {
    /// A history that begins with the digest of the store after the entry at `index`.
    pub fn beginning_at(index: LogIndex, digest: u64) -> DigestHistory {
        let mut history = DigestHistory {
            recent: vec![0; RECENT],
            marks: vec![0; MARKS],
            first: index,
            last: index,
        };
        history.keep(index, digest);
        history
    }

    /// Adds the digest after the next entry.
    ///
    /// # Panics
    /// When `index` is not the one after the last.
    pub fn push(&mut self, index: LogIndex, digest: u64) {
        assert_eq!(index, self.last.next(), "digests are added in the order of the entries");
        self.last = index;
        self.keep(index, digest);
    }

    /// The digest after the entry at `index`; `None` when it is not known, or not any more.
    pub fn at(&self, index: LogIndex) -> Option<u64> {
        if !(self.first..=self.last).contains(&index) {
            return None;
        }
        let (newest_mark, mark) = (self.last.0 / MARK_ENTRIES, index.0 / MARK_ENTRIES);
        if self.last.0 - index.0 < RECENT as u64 {
            Some(self.recent[place(index.0, RECENT)])
        } else if index.0.is_multiple_of(MARK_ENTRIES) && newest_mark - mark < MARKS as u64 {
            Some(self.marks[place(mark, MARKS)])
        } else {
            None
        }
    }

    fn keep(&mut self, index: LogIndex, digest: u64) {
        self.recent[place(index.0, RECENT)] = digest;
        if index.0.is_multiple_of(MARK_ENTRIES) {
            self.marks[place(index.0 / MARK_ENTRIES, MARKS)] = digest;
        }
    }
}

/// The place of a number in a ring of `places`.
fn place(number: u64, places: usize) -> usize {
    (number % places as u64) as usize
}

#[cfg(test)]
mod tests;
