//! Transactions: what a client asks for, and what it is told.
//!
//! A transaction has compares, and operations for both results. All compares are judged at one
//! moment, and the operations of one branch are executed in one entry: all of them, or none.
//! The names are those of etcd, whose clients a later door serves.

mod check;

use std::sync::Arc;

use bytes::Bytes;

pub use self::check::{
    TRANSACTION_DEPTH_MAX, TRANSACTION_OPS_MAX, TransactionFault, TransactionLimits,
};
use super::range::KeyRange;
use super::record::Record;

/// A transaction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transaction {
    /// The compares. Without any, all of them hold.
    pub compares: Vec<Compare>,
    /// The operations if all compares hold.
    pub then: Vec<TransactionOperation>,
    /// The operations otherwise.
    pub otherwise: Vec<TransactionOperation>,
}

/// A question whose answer decides between the branches. For a range it holds if it holds for
/// every key of the range; a range without keys is judged like a key that is absent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compare {
    /// The keys.
    pub keys: KeyRange,
    /// The relation of the record's field to the target.
    pub relation: Relation,
    /// The field, with what it is compared to.
    pub target: CompareTarget,
}

/// The relation that a [`Compare`] asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// `=`.
    Equal,
    /// `!=`.
    NotEqual,
    /// `<`.
    Less,
    /// `>`.
    Greater,
}

/// The field of a record that a [`Compare`] is about. Of an absent key all numbers are 0, and no
/// compare of its value holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CompareTarget {
    /// The number of values since the key came into being.
    Version(u64),
    /// The revision at which the key came into being.
    CreateRevision(u64),
    /// The revision of the value.
    ModRevision(u64),
    /// The value, as bytes.
    Value(Bytes),
    /// The lease.
    Lease(u64),
}

/// An operation of a [`Transaction`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransactionOperation {
    /// Writes a key.
    Put(Put),
    /// Removes the keys of a range.
    Delete {
        /// The keys.
        keys: KeyRange,
        /// True when the outcome is to have the records that are removed.
        wants_previous: bool,
    },
    /// Reads. It sees the writes before it in the transaction.
    Read(RangeQuery),
    /// A transaction of its own, judged when its turn comes.
    Nested(Box<Transaction>),
}

/// A write of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Put {
    /// The key.
    pub key: Bytes,
    /// The value; `None` keeps the one that the key has, and then the key must be there.
    pub value: Option<Bytes>,
    /// The lease; 0 for none, `None` keeps the one that the key has, and then the key must be
    /// there.
    pub lease: Option<u64>,
    /// Seconds from the entry's stamp; 0 is never.
    pub exptime: u64,
    /// True when the outcome is to have the record that is replaced.
    pub wants_previous: bool,
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

/// The answer to a [`RangeQuery`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RangeAnswer {
    /// The records found, with their keys, in byte order of the keys.
    pub records: Vec<(Bytes, Arc<Record>)>,
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
        previous: Option<Arc<Record>>,
    },
    /// This number of keys was removed.
    Delete {
        /// The number.
        deleted: u64,
        /// The records that were removed, with their keys, if they were asked for.
        previous: Vec<(Bytes, Arc<Record>)>,
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
