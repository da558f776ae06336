//! The commands and queries that the store takes, and its answers.

use bytes::Bytes;

use crate::types::LogIndex;

/// A write: the content of a command entry of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// The exactly-once prefix; `None` for a command without one.
    pub once: Option<Once>,
    /// The size limit of the store in bytes, from the settings of the leader that wrote
    /// the entry; 0 means no limit. It travels in the entry so that servers with different
    /// settings still decide alike.
    pub store_bytes_max: u64,
    /// The operation to execute.
    pub operation: Operation,
}

/// The prefix `once <client> <seq>` of a command (dissertation §6.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Once {
    /// The client's name, 1 to 64 bytes.
    pub client: Bytes,
    /// The number of the client's command, from 1.
    pub seq: u64,
}

/// The operation of a [`Command`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Write the key, whether it is present or not.
    Set {
        /// The key.
        key: Bytes,
        /// Seconds from the entry's stamp; 0 is never.
        exptime: u64,
        /// The value.
        value: Bytes,
    },
    /// Write only if the key is absent.
    Add {
        /// The key.
        key: Bytes,
        /// Seconds from the entry's stamp; 0 is never.
        exptime: u64,
        /// The value.
        value: Bytes,
    },
    /// Write only if the key has this version; version 0 means only if it is absent.
    Cas {
        /// The key.
        key: Bytes,
        /// Seconds from the entry's stamp; 0 is never.
        exptime: u64,
        /// The version that the key must have.
        version: u64,
        /// The value.
        value: Bytes,
    },
    /// Remove the key.
    Delete {
        /// The key.
        key: Bytes,
    },
    /// Forget the client that is named in `once`. It is a command of that client only, so
    /// it always has a `once`.
    End,
}

/// The result of a [`Command`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// `set`, `add`, `cas`: the value is stored with this version.
    Stored {
        /// The index of the entry that stored it.
        version: u64,
    },
    /// `delete`: the key was present and has been removed.
    Deleted,
    /// `delete`: there is no such key.
    NotFound,
    /// `cas`: the key has another version than the command names; 0 for an absent key.
    VersionMismatch {
        /// The version of the key.
        version: u64,
    },
    /// `add`: the key is present.
    Exists {
        /// The version of the key.
        version: u64,
    },
    /// `end`: nothing is remembered of the client.
    Ended,
    /// `once`: the number is below the last one executed.
    Stale,
    /// The store is at its size limit; nothing was executed.
    Full,
    /// The exactly-once table is full; nothing was executed.
    Busy,
}

impl Outcome {
    /// The number of the outcome in digests and snapshots, and its version or 0. Both are
    /// part of these formats. No client is remembered with `Ended`, so no snapshot has it.
    pub(super) fn to_numbers(self) -> (u64, u64) {
        match self {
            Outcome::Stored { version } => (1, version),
            Outcome::Deleted => (2, 0),
            Outcome::NotFound => (3, 0),
            Outcome::VersionMismatch { version } => (4, version),
            Outcome::Exists { version } => (5, version),
            Outcome::Stale => (6, 0),
            Outcome::Full => (7, 0),
            Outcome::Busy => (8, 0),
            Outcome::Ended => (9, 0),
        }
    }

    /// The inverse of [`Outcome::to_numbers`]; `None` when no outcome has these numbers.
    pub(super) fn from_numbers(kind: u64, version: u64) -> Option<Outcome> {
        let outcome = match kind {
            1 => Outcome::Stored { version },
            2 => Outcome::Deleted,
            3 => Outcome::NotFound,
            4 => Outcome::VersionMismatch { version },
            5 => Outcome::Exists { version },
            6 => Outcome::Stale,
            7 => Outcome::Full,
            8 => Outcome::Busy,
            _ => return None,
        };
        (outcome.to_numbers() == (kind, version)).then_some(outcome)
    }
}

/// A read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Query {
    /// The value of a key.
    Get {
        /// The key.
        key: Bytes,
    },
    /// The value of a key with its version and remaining time.
    GetMeta {
        /// The key.
        key: Bytes,
    },
    /// The keys with a prefix, in byte order.
    Scan {
        /// The prefix; empty for every key.
        prefix: Bytes,
        /// Maximum number of keys to return, 1 to 10,000.
        limit: u64,
        /// Return only keys after this one.
        after: Option<Bytes>,
    },
}

/// The store's answer to a [`Query`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// `get`, `getm`: there is no such key.
    NotFound,
    /// `get`: the value.
    Value(Bytes),
    /// `getm`: the value with its version and remaining time.
    Meta(Item),
    /// `scan`: one page of keys.
    Scan {
        /// The keys found, in byte order, with their items.
        items: Vec<(Bytes, Item)>,
        /// True when there are further keys.
        more: bool,
    },
}

/// A key's value with its version and remaining time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// The value.
    pub value: Bytes,
    /// The index of the entry that wrote it.
    pub version: u64,
    /// Whole seconds until the key expires, rounded up and at least 1; 0 for never.
    pub exptime: u64,
}

/// The state of a store at one point in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreStatus {
    /// The index of the newest entry that was applied.
    pub last_applied: LogIndex,
    /// The store's clock: the highest stamp that was applied, in milliseconds.
    pub clock_ms: u64,
    /// The number of keys that have not expired.
    pub keys: u64,
    /// The size of the store in bytes, as `store_bytes_max` counts it.
    pub bytes: u64,
    /// The number of clients that are remembered for their retries.
    pub clients: u64,
    /// The digest of the store: equal at equal `last_applied`, on every node.
    pub digest: u64,
}
