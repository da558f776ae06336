//! A transaction, as a client asks for it.
//!
//! It has compares, and operations for both results. All compares are judged at one moment, and the
//! operations of one branch are executed in one entry: all of them, or none. The names are those of
//! etcd, whose clients a later door serves.

use bytes::Bytes;

use super::range::{KeyRange, RangeQuery};

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
