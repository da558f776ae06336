//! The outcomes of transactions, and the check before one gets into the log.

mod check;

use bytes::Bytes;

pub use self::check::{
    TRANSACTION_DEPTH_MAX, TRANSACTION_OPS_MAX, TransactionFault, TransactionLimits,
};
use super::record::Record;

/// The answer to a [`RangeQuery`](crate::commands::RangeQuery).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RangeAnswer {
    /// The records found, with their keys, in byte order of the keys.
    pub records: Vec<(Bytes, Record)>,
    /// The number of keys in the range, those beyond the limit included.
    pub count: u64,
}

/// The outcome of a transaction that was executed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionOutcome {
    /// The store's revision after the transaction.
    pub revision: u64,
    /// The store's clock when the transaction was executed, or its reads were answered, in
    /// milliseconds: it tells the time that the records have left.
    pub clock_ms: u64,
    /// The first compare that did not hold. None: `then` was executed; else `otherwise`.
    pub failed: Option<FailedCompare>,
    /// The outcomes of the operations of the branch, in their order.
    pub operations: Vec<OperationOutcome>,
}

/// A compare that did not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedCompare {
    /// The first key for which it did not hold.
    pub key: Bytes,
    /// The revision of that key's value; 0 when the key is absent.
    pub mod_revision: u64,
}

/// The outcome of one operation of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OperationOutcome {
    /// The key was written.
    Put {
        /// The record that was replaced, if it was asked for and was there.
        previous: Option<Record>,
    },
    /// This number of keys was removed.
    Delete {
        /// The number.
        deleted: u64,
        /// The records that were removed, with their keys, if they were asked for.
        previous: Vec<(Bytes, Record)>,
    },
    /// The answer to a read.
    Read(RangeAnswer),
    /// The reads of a transaction whose outcome was remembered for a retry, and whose revision is
    /// compacted.
    Compacted {
        /// The compacted revision.
        revision: u64,
    },
    /// The outcome of a transaction in the transaction.
    Nested(Box<TransactionOutcome>),
}
