//! What the store is asked and what it answers.

use bytes::Bytes;

/// A write: what a command entry of the log holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// The exactly-once prefix, when it has one.
    pub once: Option<Once>,
    /// The size limit of the store, in bytes, as the leader that wrote the
    /// entry was told it; 0 is none. It travels in the entry so that servers
    /// with different settings still decide alike.
    pub store_bytes_max: u64,
    /// What to do.
    pub operation: Operation,
}

/// `once <client> <seq>` (dissertation §6.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Once {
    /// The client's name, 1 to 64 bytes.
    pub client: Bytes,
    /// The number of its command, from 1.
    pub seq: u64,
}

/// What a [`Command`] does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Write, whatever is there.
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
    /// Write only if the key has this version; 0: only if it is absent.
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
}

/// What became of a [`Command`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// `set`, `add`, `cas`: the value is there, at this version.
    Stored {
        /// The index of the entry that stored it.
        version: u64,
    },
    /// `delete`: the key was there and is gone.
    Deleted,
    /// `delete`: no such key.
    NotFound,
    /// `cas`: the key's version is this one, 0 for an absent key.
    VersionMismatch {
        /// The version that it has.
        version: u64,
    },
    /// `add`: the key is there.
    Exists {
        /// The version that it has.
        version: u64,
    },
    /// `once`: a number below the last one executed.
    Stale,
    /// The store is at its size limit; nothing was executed.
    Full,
    /// The exactly-once table is full; nothing was executed.
    Busy,
}

impl Outcome {
    /// Its number in digests and snapshots, and the version in it; part of both
    /// formats.
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
        }
    }

    /// The inverse; `None` for numbers of no outcome.
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
    /// The value with version and remaining time.
    GetMeta {
        /// The key.
        key: Bytes,
    },
    /// The keys with a prefix, in byte order.
    Scan {
        /// The prefix; empty for every key.
        prefix: Bytes,
        /// At most so many keys, 1 to 10,000.
        limit: u64,
        /// Only keys behind this one.
        after: Option<Bytes>,
    },
}

/// What the store answers to a [`Query`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// `get`, `getm`: no such key.
    NotFound,
    /// `get`.
    Value(Bytes),
    /// `getm`.
    Meta(Item),
    /// `scan`.
    Scan {
        /// The keys found, in byte order, with their items.
        items: Vec<(Bytes, Item)>,
        /// Whether there are further keys.
        more: bool,
    },
}

/// A key's value with what is known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// The value.
    pub value: Bytes,
    /// The index of the entry that wrote it.
    pub version: u64,
    /// Whole seconds left, rounded up and at least 1; 0 for never.
    pub exptime: u64,
}
