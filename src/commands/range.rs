//! A set of keys without gaps: one key, the keys with a prefix, or the keys between two; and the
//! read of such a set.

use std::ops::Bound;

use bytes::Bytes;

/// One key, or all keys from a first one up to an end.
///
/// A range that ends before it begins holds no key, and that is no error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRange {
    start: Bytes,
    end: RangeEnd,
}

/// The end of a [`KeyRange`].
#[derive(Clone, Debug, PartialEq, Eq)]
enum RangeEnd {
    /// The range is its first key alone.
    Single,
    /// The first key that is behind the range.
    Before(Bytes),
    /// The range has no end.
    Never,
}

impl KeyRange {
    /// One key.
    pub fn key(key: Bytes) -> KeyRange {
        KeyRange { start: key, end: RangeEnd::Single }
    }

    /// All keys.
    pub fn all() -> KeyRange {
        KeyRange { start: Bytes::new(), end: RangeEnd::Never }
    }

    /// The keys that begin with `prefix`; of an empty one, all keys.
    pub fn prefix(prefix: Bytes) -> KeyRange {
        // The first key behind them is the prefix whose last byte below 0xff is one higher.
        let mut next = prefix.to_vec();
        while next.last() == Some(&u8::MAX) {
            next.pop();
        }
        let end = match next.last_mut() {
            Some(last) => {
                *last += 1;
                RangeEnd::Before(next.into())
            }
            None => RangeEnd::Never,
        };
        KeyRange { start: prefix, end }
    }

    /// The keys from `start` on, `start` included.
    pub fn from(start: Bytes) -> KeyRange {
        KeyRange { start, end: RangeEnd::Never }
    }

    /// The keys from `start` on that come before `end`.
    pub fn between(start: Bytes, end: Bytes) -> KeyRange {
        KeyRange { start, end: RangeEnd::Before(end) }
    }

    /// The only key of the range, if it is of the kind that has one.
    pub fn as_key(&self) -> Option<&Bytes> {
        matches!(self.end, RangeEnd::Single).then_some(&self.start)
    }

    /// The first key of the range, if it is stored.
    pub fn start(&self) -> &Bytes {
        &self.start
    }

    /// The first key that is behind the range; `None` for one key, and for a range without end.
    pub fn end(&self) -> Option<&Bytes> {
        match &self.end {
            RangeEnd::Before(end) => Some(end),
            RangeEnd::Single | RangeEnd::Never => None,
        }
    }

    /// True when the range holds this key.
    pub fn contains(&self, key: &[u8]) -> bool {
        match &self.end {
            RangeEnd::Single => self.start == key,
            RangeEnd::Before(end) => self.start <= key && key < &end[..],
            RangeEnd::Never => self.start <= key,
        }
    }

    /// True when no key can be in the range.
    pub fn is_empty(&self) -> bool {
        matches!(&self.end, RangeEnd::Before(end) if *end <= self.start)
    }

    /// The bounds of the range, which is not empty, for a search in an ordered map.
    pub fn bounds(&self) -> (Bound<&[u8]>, Bound<&[u8]>) {
        let end = match &self.end {
            RangeEnd::Single => Bound::Included(&self.start[..]),
            RangeEnd::Before(end) => Bound::Excluded(&end[..]),
            RangeEnd::Never => Bound::Unbounded,
        };
        (Bound::Included(&self.start[..]), end)
    }
}

/// A read of the keys of a range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RangeQuery {
    /// The keys.
    pub keys: KeyRange,
    /// Maximum number of records in the answer; 0 means no such limit.
    pub limit: u64,
    /// The revision at which the store is read; 0 means now.
    pub at: u64,
    /// True when the answer is to have the number of keys only.
    pub is_count_only: bool,
}

#[cfg(test)]
mod tests;
