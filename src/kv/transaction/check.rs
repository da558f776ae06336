//! The check of a transaction before it gets into the log.

use std::collections::BTreeSet;

use bytes::Bytes;

use crate::commands::{Compare, CompareTarget, KeyRange, Transaction, TransactionOperation};

/// Maximum depth of transactions in each other. It is a constant of the format.
pub const TRANSACTION_DEPTH_MAX: usize = 16;

/// Maximum number of compares and operations that `[limits] transaction_ops_max` may allow. It is
/// a constant of the format.
pub const TRANSACTION_OPS_MAX: usize = 4096;

/// Maximum size of a compare or an operation besides its keys and its value, in bytes: that of a
/// put in which every number and length has its widest encoding is below it.
const ELEMENT_BYTES_MAX: usize = 40;

/// The bounds of a transaction, from the settings of the server that takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransactionLimits {
    /// Maximum number of compares, and of operations of each branch. What stands in a nested
    /// transaction counts for the branch that it is in.
    pub ops_max: usize,
    /// Maximum size in bytes, as [`Transaction::encoded_bytes_max`] counts it.
    pub bytes_max: usize,
}

impl TransactionLimits {
    /// The bounds of the format, which no settings exceed.
    pub(in crate::kv) const OF_FORMAT: TransactionLimits =
        TransactionLimits { ops_max: TRANSACTION_OPS_MAX, bytes_max: 64 * 1024 * 1024 };
}

/// The reason why a transaction is not executed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransactionFault {
    /// It has more compares or operations than the limit.
    #[error("the transaction has {operations} operations; it must have at most {ops_max}")]
    TooManyOperations {
        /// The number of its compares, or of the operations of a branch.
        operations: usize,
        /// The limit.
        ops_max: usize,
    },
    /// It is larger than the limit.
    #[error("the transaction has {bytes} bytes; it must have at most {bytes_max}")]
    TooManyBytes {
        /// Its size in bytes.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
    /// It has transactions in each other deeper than the format allows.
    #[error("the transaction is more than {TRANSACTION_DEPTH_MAX} transactions deep")]
    TooDeep,
    /// Two writes that could both be executed are of one key.
    #[error("the transaction writes a key twice")]
    WrittenTwice,
}

impl Transaction {
    /// Checks that the transaction may get into the log.
    ///
    /// # Errors
    /// When it breaks a limit, or when it may write a key twice: a transaction has one revision,
    /// and a key has one value at a revision. Two writes count as long as one execution could have
    /// both, so those of different branches of one transaction do not. Deletes may overlap each
    /// other, because the second of them finds nothing.
    pub fn check(&self, limits: &TransactionLimits) -> Result<(), TransactionFault> {
        if !self.is_within_depth(TRANSACTION_DEPTH_MAX) {
            return Err(TransactionFault::TooDeep);
        }
        let ops_max = limits.ops_max;
        for operations in [self.compares.len(), count(&self.then), count(&self.otherwise)] {
            if operations > ops_max {
                return Err(TransactionFault::TooManyOperations { operations, ops_max });
            }
        }
        let (bytes, bytes_max) = (self.encoded_bytes_max(), limits.bytes_max);
        if bytes > bytes_max {
            return Err(TransactionFault::TooManyBytes { bytes, bytes_max });
        }
        self.writes().map(|_| ())
    }

    /// An upper bound of the encoded size in bytes: the keys and the values, and 40 for each
    /// compare, each operation and the transaction.
    pub fn encoded_bytes_max(&self) -> usize {
        let compares: usize = self.compares.iter().map(Compare::bytes).sum();
        let operations = self.then.iter().chain(&self.otherwise);
        ELEMENT_BYTES_MAX + compares + operations.map(TransactionOperation::bytes).sum::<usize>()
    }

    /// True when none of its operations writes.
    pub fn is_read_only(&self) -> bool {
        self.then.iter().chain(&self.otherwise).all(|operation| match operation {
            TransactionOperation::Put(_) | TransactionOperation::Delete { .. } => false,
            TransactionOperation::Read(_) => true,
            TransactionOperation::Nested(transaction) => transaction.is_read_only(),
        })
    }

    fn is_within_depth(&self, depth: usize) -> bool {
        let Some(inner) = depth.checked_sub(1) else { return false };
        self.then.iter().chain(&self.otherwise).all(|operation| match operation {
            TransactionOperation::Nested(transaction) => transaction.is_within_depth(inner),
            _ => true,
        })
    }

    /// The writes of both branches, each of which is checked.
    fn writes(&self) -> Result<Writes<'_>, TransactionFault> {
        let mut writes = branch_writes(&self.then)?;
        writes.merge(branch_writes(&self.otherwise)?);
        Ok(writes)
    }
}

impl Compare {
    fn bytes(&self) -> usize {
        let value_bytes = match &self.target {
            CompareTarget::Value(value) => value.len(),
            _ => 0,
        };
        ELEMENT_BYTES_MAX + range_bytes(&self.keys) + value_bytes
    }
}

impl TransactionOperation {
    fn bytes(&self) -> usize {
        let contents = match self {
            TransactionOperation::Put(put) => {
                put.key.len() + put.value.as_ref().map_or(0, Bytes::len)
            }
            TransactionOperation::Delete { keys, .. } => range_bytes(keys),
            TransactionOperation::Read(query) => range_bytes(&query.keys),
            TransactionOperation::Nested(transaction) => transaction.encoded_bytes_max(),
        };
        ELEMENT_BYTES_MAX + contents
    }
}

fn range_bytes(keys: &KeyRange) -> usize {
    keys.start().len() + keys.end().map_or(0, Bytes::len)
}

/// The number of operations, with all that nested transactions hold.
fn count(operations: &[TransactionOperation]) -> usize {
    operations
        .iter()
        .map(|operation| match operation {
            TransactionOperation::Nested(nested) => {
                1 + nested.compares.len() + count(&nested.then) + count(&nested.otherwise)
            }
            _ => 1,
        })
        .sum()
}

/// The keys that operations may write.
#[derive(Default)]
struct Writes<'a> {
    puts: BTreeSet<&'a [u8]>,
    deletes: Vec<&'a KeyRange>,
}

impl<'a> Writes<'a> {
    /// True when one execution with the writes of both sides would write a key twice.
    fn collides_with(&self, other: &Writes<'a>) -> bool {
        let (few, many) =
            if self.puts.len() < other.puts.len() { (self, other) } else { (other, self) };
        few.puts.iter().any(|key| many.puts.contains(key))
            || self.deletes.iter().any(|keys| other.puts_into(keys))
            || other.deletes.iter().any(|keys| self.puts_into(keys))
    }

    /// True when a put is of a key of the range.
    fn puts_into(&self, keys: &KeyRange) -> bool {
        !keys.is_empty() && self.puts.range::<[u8], _>(keys.bounds()).next().is_some()
    }

    fn merge(&mut self, other: Writes<'a>) {
        self.puts.extend(other.puts);
        self.deletes.extend(other.deletes);
    }
}

/// The writes of the operations, which one execution has all.
fn branch_writes(operations: &[TransactionOperation]) -> Result<Writes<'_>, TransactionFault> {
    let mut all = Writes::default();
    for operation in operations {
        let mut writes = Writes::default();
        match operation {
            TransactionOperation::Put(put) => {
                writes.puts.insert(&put.key);
            }
            TransactionOperation::Delete { keys, .. } => writes.deletes.push(keys),
            TransactionOperation::Read(_) => {}
            TransactionOperation::Nested(transaction) => writes = transaction.writes()?,
        }
        if all.collides_with(&writes) {
            return Err(TransactionFault::WrittenTwice);
        }
        all.merge(writes);
    }
    Ok(all)
}

#[cfg(test)]
mod tests;
