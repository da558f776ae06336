//! A command as the log keeps it, and the answers of the store.

use std::sync::Arc;

use bytes::Bytes;

use super::history::NotReadable;
use super::pages::{Page, Versions};
use super::transaction::{RangeAnswer, TransactionOutcome};
use crate::commands::{Item, Once, Operation};
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

/// The store's answer to a [`Query`](crate::commands::Query).
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
