//! The answers to people who browse: the keys of a range a page at a time, and the versions of a
//! key. They have whole records, and share them with the store.

use bytes::Bytes;

use super::change::ChangeKind;
use super::record::Record;

/// A page of keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The revision at which the store was read.
    pub revision: u64,
    /// The time of the read on the store's clock, in milliseconds.
    pub clock_ms: u64,
    /// The keys in byte order, with their records.
    pub records: Vec<(Bytes, Record)>,
    /// True when there are further keys.
    pub more: bool,
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
    pub record: Option<Record>,
}
