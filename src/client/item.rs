//! Keys with their values, as clients get them.

use crate::commands;

/// A key with its value, as `getm` and `scan` return it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// The key; empty from `getm`, where it is known.
    pub key: Vec<u8>,
    /// The store's revision of the write that produced the value.
    pub version: u64,
    /// The whole seconds left, rounded up; 0 for never.
    pub exptime: u64,
    /// The value.
    pub value: Vec<u8>,
}

/// The result of one `scan`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The keys in byte order.
    pub items: Vec<Item>,
    /// True when there are further keys.
    pub more: bool,
}

/// All keys with a prefix, as they were at one revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The revision. A watch from the next one on tells all that has changed since.
    pub revision: u64,
    /// The keys in byte order.
    pub items: Vec<Item>,
}

impl Item {
    pub(super) fn new(key: &[u8], item: &commands::Item) -> Item {
        let commands::Item { value, version, exptime } = item;
        Item { key: key.to_vec(), version: *version, exptime: *exptime, value: value.to_vec() }
    }
}
