//! The reads of the store.

use bytes::Bytes;

use super::range::{KeyRange, RangeQuery};
use super::transaction::Transaction;

/// A read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Query {
    /// The value of a key.
    Get {
        /// The key.
        key: Bytes,
        /// The revision at which the store is read; 0 means now.
        at: u64,
    },
    /// The value of a key with its version and remaining time.
    GetMeta {
        /// The key.
        key: Bytes,
        /// The revision at which the store is read; 0 means now.
        at: u64,
    },
    /// The keys with a prefix, in byte order.
    Scan {
        /// The prefix; empty for every key.
        prefix: Bytes,
        /// Maximum number of keys to return, 1 to 10,000.
        limit: u64,
        /// Return only keys after this one.
        after: Option<Bytes>,
        /// The revision at which the store is read; 0 means now.
        at: u64,
    },
    /// The records of a range.
    Range(RangeQuery),
    /// A transaction that only reads: all its reads see one moment.
    Transaction(Transaction),
    /// A lease.
    Lease {
        /// The id.
        id: u64,
        /// Maximum number of its keys to return, 0 for none.
        keys_max: u64,
    },
    /// All leases.
    Leases,
    /// A page of the keys of a range, with all that is known of each.
    Page(PageQuery),
    /// The versions of a key that are kept.
    Versions(VersionsQuery),
}

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

/// A key's value with its version and remaining time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// The value.
    pub value: Bytes,
    /// The revision of the write. Before format 4: the index of its entry.
    pub version: u64,
    /// Whole seconds until the key expires, rounded up and at least 1; 0 for never.
    pub exptime: u64,
}
