//! The commands and queries that the store takes, and its answers.

use std::sync::Arc;

use bytes::Bytes;

use super::history::{HistoryLimits, NotReadable};
use super::pages::{Page, PageQuery, Versions, VersionsQuery};
use super::transaction::{RangeAnswer, RangeQuery, Transaction, TransactionOutcome};
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

/// The result of a [`Command`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// `set`, `add`, `cas`: the value is stored with this version.
    Stored {
        /// The revision of the value. Before format 4: the index of the entry that stored it.
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
    /// A transaction was executed, one of its branches or the other.
    Transaction(Arc<TransactionOutcome>),
    /// A write or a transaction names a lease that is not there; nothing was executed.
    NoLease,
    /// A transaction keeps the value or the lease of a key that is not there; nothing was
    /// executed.
    NoKey,
    /// The lease is granted.
    Granted {
        /// Its id.
        id: u64,
        /// Its time to live in seconds.
        ttl: u64,
    },
    /// The lease with this id is there already; nothing was executed.
    LeaseExists,
    /// The leases begin their time anew: for each of them, in the order of the command, its time
    /// to live in seconds; `None` when it is not there.
    Renewed(Vec<Option<u64>>),
    /// The lease has ended, and its keys are gone.
    Revoked,
    /// The history before this revision is forgotten.
    Compacted {
        /// The revision.
        revision: u64,
    },
    /// The history is compacted further than the command asks; nothing was executed.
    AlreadyCompacted {
        /// The compacted revision.
        revision: u64,
    },
    /// The store has not come to the revision of the command; nothing was executed.
    Future {
        /// The store's revision.
        revision: u64,
    },
    /// The bounds of the history are set.
    HistorySet,
}

impl From<TransactionOutcome> for Outcome {
    fn from(outcome: TransactionOutcome) -> Outcome {
        Outcome::Transaction(Arc::new(outcome))
    }
}

impl From<NotReadable> for Outcome {
    fn from(reason: NotReadable) -> Outcome {
        match reason {
            NotReadable::Compacted { revision } => Outcome::AlreadyCompacted { revision },
            NotReadable::Future { revision } => Outcome::Future { revision },
        }
    }
}

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

/// The store's answer to a [`Query`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// `get`, `getm`: there is no such key.
    NotFound,
    /// `get`: the value.
    Value(Bytes),
    /// `getm`: the value with its version and remaining time.
    Meta(Item),
    /// The history is not kept as far back as the read asks.
    Compacted {
        /// The compacted revision.
        revision: u64,
    },
    /// The store has not come to the revision of the read.
    Future {
        /// The store's revision.
        revision: u64,
    },
    /// The records of a range.
    Range {
        /// The store's revision.
        revision: u64,
        /// The records.
        answer: RangeAnswer,
    },
    /// The outcome of a transaction that only reads.
    Transaction(Arc<TransactionOutcome>),
    /// There is no such lease.
    NoLease,
    /// A lease.
    Lease {
        /// The seconds that it has left, rounded up.
        left: u64,
        /// The seconds of its whole time.
        ttl: u64,
        /// Its keys in byte order, as many as were asked for.
        keys: Vec<Bytes>,
    },
    /// The ids of all leases, in their order.
    Leases(Vec<u64>),
    /// A page of keys.
    Page(Page),
    /// The versions of a key.
    Versions(Versions),
    /// `scan`: one page of keys.
    Scan {
        /// The keys found, in byte order, with their items.
        items: Vec<(Bytes, Item)>,
        /// True when there are further keys.
        more: bool,
    },
}

impl From<NotReadable> for Answer {
    fn from(reason: NotReadable) -> Answer {
        match reason {
            NotReadable::Compacted { revision } => Answer::Compacted { revision },
            NotReadable::Future { revision } => Answer::Future { revision },
        }
    }
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
    /// The store's revision; before format 4 the index of the newest entry.
    pub revision: u64,
    /// The oldest revision that can be read.
    pub compacted_revision: u64,
    /// The number of leases.
    pub leases: u64,
    /// The number of changes that are kept.
    pub history_changes: u64,
    /// Their size in bytes, as the bound of the history counts it.
    pub history_bytes: u64,
}
