//! The outcome of a command as the exactly-once table remembers it.
//!
//! The memory of a transaction has the branch, the revision and the outcomes of the writes. It does
//! not have what the reads have found, which could be any number of bytes, but the place of each
//! read in the history: a retry reads there again, with the queries that it brings along.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::codec;
use super::command::Outcome;
use super::corruption::Corruption;
use super::history::{History, NotReadable};
use super::reads::Reads;
use super::records::Records;
use super::transaction::{FailedCompare, OperationOutcome, TransactionOutcome};
use crate::commands::{Operation, Transaction, TransactionOperation};
use crate::types::decode_exact;

/// The outcome of a command as it is remembered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Remembered {
    /// The whole outcome.
    Outcome(Outcome),
    /// A transaction that was executed.
    Transaction(Arc<RememberedTransaction>),
}

/// A transaction that was executed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RememberedTransaction {
    /// The hash of the transaction: a retry is the same one if it has the same.
    hash: u64,
    /// The store's clock when it was executed, in milliseconds.
    clock_ms: u64,
    branch: RememberedBranch,
}

/// The branch that was executed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RememberedBranch {
    /// The store's revision after it.
    pub revision: u64,
    /// The key for which a compare did not hold, with the revision of its value.
    pub failed: Option<(Bytes, u64)>,
    pub operations: Vec<RememberedOperation>,
}

/// An operation that was executed. `next` is the number that the next change would have got before
/// it, or 0 when changes were not kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) enum RememberedOperation {
    #[serde(rename = "p")]
    Put { next: u64 },
    #[serde(rename = "d")]
    Delete { next: u64, deleted: u64 },
    #[serde(rename = "r")]
    Read { next: u64 },
    #[serde(rename = "t")]
    Nested(Box<RememberedBranch>),
}

/// The numbers of the kinds of outcomes in digests and snapshots that no format before 4 has.
mod kind {
    pub const NO_LEASE: u64 = 10;
    pub const NO_KEY: u64 = 11;
    pub const ALREADY_COMPACTED: u64 = 12;
    pub const FUTURE: u64 = 13;
    pub const GRANTED: u64 = 14;
    pub const LEASE_EXISTS: u64 = 15;
    pub const RENEWED: u64 = 16;
    pub const REVOKED: u64 = 17;
    pub const COMPACTED: u64 = 18;
    pub const HISTORY_SET: u64 = 19;
    pub const TRANSACTION: u64 = 20;
}

/// The form of a remembered outcome in digests and snapshots: the number of its kind, a number of
/// it or 0, and the rest of it. Snapshots before format 4 have outcomes without a rest only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RememberedFields {
    pub kind: u64,
    pub number: u64,
    pub rest: Vec<u8>,
}

impl From<Outcome> for Remembered {
    fn from(outcome: Outcome) -> Remembered {
        Remembered::Outcome(outcome)
    }
}

impl Remembered {
    /// The form of the outcome in digests and snapshots.
    pub fn to_fields(&self) -> RememberedFields {
        let whole = |(kind, number)| RememberedFields { kind, number, rest: Vec::new() };
        match self {
            Remembered::Transaction(transaction) => RememberedFields {
                kind: kind::TRANSACTION,
                number: transaction.branch.revision,
                rest: packed(&**transaction),
            },
            Remembered::Outcome(Outcome::Granted { id, ttl }) => {
                RememberedFields { kind: kind::GRANTED, number: *id, rest: packed(ttl) }
            }
            Remembered::Outcome(Outcome::Renewed(left)) => {
                RememberedFields { kind: kind::RENEWED, number: 0, rest: packed(left) }
            }
            Remembered::Outcome(outcome) => whole(numbers_of(outcome)),
        }
    }

    /// The inverse of [`Remembered::to_fields`]; `None` when no outcome has these fields.
    pub fn from_fields(kind: u64, number: u64, rest: &[u8]) -> Option<Remembered> {
        let remembered = match kind {
            kind::TRANSACTION => Remembered::Transaction(Arc::new(decode_exact(rest).ok()?)),
            kind::GRANTED => Outcome::Granted { id: number, ttl: decode_exact(rest).ok()? }.into(),
            kind::RENEWED => Outcome::Renewed(decode_exact(rest).ok()?).into(),
            _ => outcome_of(kind, number)?.into(),
        };
        let fields = remembered.to_fields();
        let is_same = (fields.kind, fields.number, &fields.rest[..]) == (kind, number, rest);
        is_same.then_some(remembered)
    }

    /// The outcome for a retry, whose reads are answered as of their places in the history.
    ///
    /// # Errors
    /// When a record that a read finds is not what was written.
    pub fn recall(
        &self,
        retry: &Operation,
        records: &Records,
        history: &History,
    ) -> Result<Outcome, Corruption> {
        let transaction = match self {
            Remembered::Outcome(outcome) => return Ok(outcome.clone()),
            Remembered::Transaction(transaction) => transaction,
        };
        let queries = match retry {
            Operation::Transaction(retry) if hash(retry) == transaction.hash => Some(retry),
            _ => None,
        };
        let clock_ms = transaction.clock_ms;
        Ok(Recall { records, history, clock_ms }.branch(&transaction.branch, queries)?.into())
    }
}

impl RememberedTransaction {
    /// The memory of a transaction that was executed.
    pub fn new(
        transaction: &Transaction,
        clock_ms: u64,
        branch: RememberedBranch,
    ) -> RememberedTransaction {
        RememberedTransaction { hash: hash(transaction), clock_ms, branch }
    }
}

/// The answers to a retry.
struct Recall<'a> {
    records: &'a Records,
    history: &'a History,
    clock_ms: u64,
}

impl<'a> Recall<'a> {
    /// The outcome of a branch. `queries` is the transaction that the retry brings along, unless it
    /// is another one.
    fn branch(
        &self,
        branch: &RememberedBranch,
        queries: Option<&Transaction>,
    ) -> Result<TransactionOutcome, Corruption> {
        let queries = queries.map(|transaction| match branch.failed {
            None => &transaction.then[..],
            Some(_) => &transaction.otherwise,
        });
        let mut operations = Vec::new();
        for (place, operation) in branch.operations.iter().enumerate() {
            let query = queries.and_then(|queries| queries.get(place));
            operations.push(self.operation(operation, query, branch.revision)?);
        }
        let failed = branch.failed.clone();
        let failed = failed.map(|(key, mod_revision)| FailedCompare { key, mod_revision });
        Ok(TransactionOutcome {
            revision: branch.revision,
            clock_ms: self.clock_ms,
            failed,
            operations,
        })
    }

    fn operation(
        &self,
        operation: &RememberedOperation,
        query: Option<&TransactionOperation>,
        revision: u64,
    ) -> Result<OperationOutcome, Corruption> {
        use TransactionOperation::{Delete, Nested, Put, Read};
        let read = |next: u64| self.reads_before(next, revision).ok();
        let lost = OperationOutcome::Compacted { revision: self.history.compacted() };
        Ok(match (operation, query) {
            (RememberedOperation::Put { .. }, Some(Put(put))) if !put.wants_previous => {
                OperationOutcome::Put { previous: None }
            }
            (RememberedOperation::Put { next }, Some(Put(put))) => match read(*next) {
                Some(reads) => OperationOutcome::Put { previous: reads.get(&put.key)?.cloned() },
                None => lost,
            },
            (RememberedOperation::Put { .. }, _) => OperationOutcome::Put { previous: None },
            (
                RememberedOperation::Delete { next, deleted },
                Some(Delete { keys, wants_previous: true }),
            ) => match read(*next) {
                Some(reads) => {
                    let found = reads.range(keys).map(|found| {
                        found.map(|(key, record)| (Bytes::copy_from_slice(key), record.clone()))
                    });
                    let previous = found.collect::<Result<_, _>>()?;
                    OperationOutcome::Delete { deleted: *deleted, previous }
                }
                None => lost,
            },
            (RememberedOperation::Delete { deleted, .. }, _) => {
                OperationOutcome::Delete { deleted: *deleted, previous: Vec::new() }
            }
            (RememberedOperation::Read { next }, Some(Read(query))) => {
                let reads = match query.at {
                    0 => self.reads_before(*next, revision),
                    at => self.reads_at(at),
                };
                match reads {
                    Ok(reads) => OperationOutcome::Read(reads.answer(query)?),
                    Err(_) => lost,
                }
            }
            (RememberedOperation::Read { .. }, _) => lost,
            (RememberedOperation::Nested(branch), query) => {
                let nested = match query {
                    Some(Nested(transaction)) => Some(&**transaction),
                    _ => None,
                };
                OperationOutcome::Nested(Box::new(self.branch(branch, nested)?))
            }
        })
    }

    /// The keys as they were before the change with the number `next`, in the entry of `revision`.
    fn reads_before(&self, next: u64, revision: u64) -> Result<Reads<'a>, NotReadable> {
        let compacted = NotReadable::Compacted { revision: self.history.compacted() };
        let change = next.checked_sub(1).ok_or(compacted)?;
        let moment = self.history.moment_of(change, revision, self.clock_ms)?;
        Ok(Reads::at(self.records, self.history, moment))
    }

    fn reads_at(&self, revision: u64) -> Result<Reads<'a>, NotReadable> {
        Ok(Reads::at(self.records, self.history, self.history.moment(revision)?))
    }
}

/// The number of an outcome's kind, and its own number or 0. Both are part of the formats of
/// digests and snapshots. No client is remembered with `Ended`, so no snapshot has it.
fn numbers_of(outcome: &Outcome) -> (u64, u64) {
    match outcome {
        Outcome::Stored { version } => (1, *version),
        Outcome::Deleted => (2, 0),
        Outcome::NotFound => (3, 0),
        Outcome::VersionMismatch { version } => (4, *version),
        Outcome::Exists { version } => (5, *version),
        Outcome::Stale => (6, 0),
        Outcome::Full => (7, 0),
        Outcome::Busy => (8, 0),
        Outcome::Ended => (9, 0),
        Outcome::NoLease => (kind::NO_LEASE, 0),
        Outcome::NoKey => (kind::NO_KEY, 0),
        Outcome::AlreadyCompacted { revision } => (kind::ALREADY_COMPACTED, *revision),
        Outcome::Future { revision } => (kind::FUTURE, *revision),
        Outcome::LeaseExists => (kind::LEASE_EXISTS, 0),
        Outcome::Revoked => (kind::REVOKED, 0),
        Outcome::Compacted { revision } => (kind::COMPACTED, *revision),
        Outcome::HistorySet => (kind::HISTORY_SET, 0),
        Outcome::Granted { .. } | Outcome::Renewed(_) | Outcome::Transaction(_) => {
            unreachable!("these outcomes have more than a number")
        }
    }
}

/// The inverse of [`numbers_of`], of the outcomes that are remembered.
fn outcome_of(kind: u64, number: u64) -> Option<Outcome> {
    Some(match kind {
        1 => Outcome::Stored { version: number },
        2 => Outcome::Deleted,
        3 => Outcome::NotFound,
        4 => Outcome::VersionMismatch { version: number },
        5 => Outcome::Exists { version: number },
        6 => Outcome::Stale,
        7 => Outcome::Full,
        8 => Outcome::Busy,
        kind::NO_LEASE => Outcome::NoLease,
        kind::NO_KEY => Outcome::NoKey,
        kind::ALREADY_COMPACTED => Outcome::AlreadyCompacted { revision: number },
        kind::FUTURE => Outcome::Future { revision: number },
        kind::LEASE_EXISTS => Outcome::LeaseExists,
        kind::REVOKED => Outcome::Revoked,
        kind::COMPACTED => Outcome::Compacted { revision: number },
        kind::HISTORY_SET => Outcome::HistorySet,
        _ => return None,
    })
}

fn packed(content: &impl Serialize) -> Vec<u8> {
    rmp_serde::to_vec(content)
        .expect("numbers and byte strings always encode to MessagePack in memory")
}

/// The hash of a transaction: of its bytes in a command.
fn hash(transaction: &Transaction) -> u64 {
    xxh3_64(&codec::transaction_bytes(transaction))
}

#[cfg(test)]
mod tests;
