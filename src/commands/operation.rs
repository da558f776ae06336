//! The writes of the store.

use bytes::Bytes;

use super::transaction::Transaction;

/// The least and the greatest time to live of a lease, in seconds: the latter is a hundred years.
pub const LEASE_TTL: std::ops::RangeInclusive<u64> = 1..=3_153_600_000;

/// The greatest id of a lease. An id has 63 bits, so that the clients that take it for a signed
/// number see a positive one.
pub const LEASE_ID_MAX: u64 = i64::MAX as u64;

/// The prefix `once <client> <seq>` of a command (dissertation §6.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Once {
    /// The client's name, 1 to 64 bytes.
    pub client: Bytes,
    /// The number of the client's command, from 1.
    pub seq: u64,
}

/// A write.
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
        /// The lease that the key goes with; 0 for none. Another one needs format 4.
        lease: u64,
    },
    /// Write only if the key is absent.
    Add {
        /// The key.
        key: Bytes,
        /// Seconds from the entry's stamp; 0 is never.
        exptime: u64,
        /// The value.
        value: Bytes,
        /// The lease that the key goes with; 0 for none. Another one needs format 4.
        lease: u64,
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
        /// The lease that the key goes with; 0 for none. Another one needs format 4.
        lease: u64,
    },
    /// Remove the key.
    Delete {
        /// The key.
        key: Bytes,
    },
    /// Forget the client that is named in `once`. It is a command of that client only, so
    /// it always has a `once`.
    End,
    /// Execute a transaction. From format 4 on, as all that follow.
    Transaction(Transaction),
    /// Grant a lease.
    Grant {
        /// The id; 0 lets the store choose one.
        id: u64,
        /// Its time to live in seconds, at least 1.
        ttl: u64,
        /// Maximum number of leases, from the settings of the leader that wrote the entry.
        leases_max: u64,
    },
    /// Let leases begin their time anew. The renewals of many clients share an entry.
    Renew {
        /// The ids.
        ids: Vec<u64>,
    },
    /// End a lease, and remove its keys.
    Revoke {
        /// The id.
        id: u64,
    },
    /// Forget the history before a revision.
    Compact {
        /// The oldest revision that can be read from then on.
        revision: u64,
    },
    /// Set the bounds of the history. A leader writes it when the settings of its server are
    /// others than those in force.
    SetHistory(HistoryLimits),
}

/// The bounds of the history, from the settings of the leader. They are part of the replicated
/// state, so that all servers trim alike: `Operation::SetHistory` sets them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistoryLimits {
    /// Number of revisions that are kept before the present one; 0 keeps none.
    pub keep_revisions: u64,
    /// Maximum size of the history in bytes, as `store_bytes_max` counts it; 0 means no such
    /// bound.
    pub bytes_max: u64,
}

impl Default for HistoryLimits {
    /// The bounds with which the history begins, before a leader has set others. They are part of
    /// format 4.
    fn default() -> HistoryLimits {
        HistoryLimits { keep_revisions: 100_000, bytes_max: 256 * 1024 * 1024 }
    }
}

impl HistoryLimits {
    /// The bounds of a store that has no history.
    pub const NONE: HistoryLimits = HistoryLimits { keep_revisions: 0, bytes_max: 0 };
}
