//! The commands of a transaction between `begin` and `commit`.
//!
//! They are kept in memory until `commit`, so their number and their size are bounded as they
//! come, by the limits that the whole transaction has.

use bytes::Bytes;

use super::error_reply::ErrorReply;
use super::request::Request;
use crate::kv::{
    Compare, CompareTarget, KeyRange, Operation, Put, Query, RangeQuery, Relation, Transaction,
    TransactionFault, TransactionLimits, TransactionOperation,
};

/// A command of a transaction, as far as its reply depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Queued {
    Set,
    Delete,
    Get,
    GetMeta,
}

/// The commands since `begin`.
#[derive(Debug, Default)]
pub(super) struct TransactionQueue {
    transaction: Transaction,
    /// One for each operation of the transaction.
    commands: Vec<Queued>,
    /// True when a command was refused: the transaction will not be executed, and nothing of it
    /// is kept.
    is_spoiled: bool,
}

impl TransactionQueue {
    /// The memory that the commands take, in bytes: a round figure for budgets.
    pub(super) fn weight_bytes(&self) -> usize {
        let operations = self.transaction.then.len() + self.transaction.compares.len();
        let contents = self.transaction.encoded_bytes_max();
        contents + operations * size_of::<TransactionOperation>()
    }

    /// Notes that a command was refused.
    pub(super) fn spoil(&mut self) {
        *self = TransactionQueue { is_spoiled: true, ..TransactionQueue::default() };
    }

    /// Adds a command.
    ///
    /// # Errors
    /// When it has no place in a transaction, or is one too many. The transaction is spoiled then.
    pub(super) fn push(
        &mut self,
        request: Request,
        limits: &TransactionLimits,
    ) -> Result<(), ErrorReply> {
        let pushed = self.push_unless_refused(request, limits);
        if pushed.is_err() {
            self.spoil();
        }
        pushed
    }

    fn push_unless_refused(
        &mut self,
        request: Request,
        limits: &TransactionLimits,
    ) -> Result<(), ErrorReply> {
        match request {
            Request::Check { key, version } => self.transaction.compares.push(Compare {
                keys: KeyRange::key(key),
                relation: Relation::Equal,
                target: CompareTarget::ModRevision(version),
            }),
            Request::Write { once: Some(_), .. } => {
                return refuse("in a transaction once goes before commit only");
            }
            Request::Write { noreply: true, .. } => {
                return refuse("a command of a transaction has no noreply");
            }
            Request::Write { operation, .. } => self.push_write(operation)?,
            Request::Read(Query::Get { key, at }) => self.push_read(key, at, Queued::Get),
            Request::Read(Query::GetMeta { key, at }) => self.push_read(key, at, Queued::GetMeta),
            _ => return refuse(NO_PLACE),
        }
        if self.is_spoiled {
            self.spoil();
            return Ok(());
        }
        let operations = self.transaction.compares.len().max(self.transaction.then.len());
        let bytes = self.transaction.encoded_bytes_max();
        if operations > limits.ops_max {
            let ops_max = limits.ops_max;
            return Err(refusal(&TransactionFault::TooManyOperations { operations, ops_max }));
        }
        if bytes > limits.bytes_max {
            let bytes_max = limits.bytes_max;
            return Err(refusal(&TransactionFault::TooManyBytes { bytes, bytes_max }));
        }
        Ok(())
    }

    fn push_write(&mut self, operation: Operation) -> Result<(), ErrorReply> {
        let (command, operation) = match operation {
            Operation::Set { key, exptime, value, lease } => {
                // The value outlives the buffer that it was read into, which may be much larger.
                let value = Some(Bytes::copy_from_slice(&value));
                let put = Put { key, value, lease: Some(lease), exptime, wants_previous: false };
                (Queued::Set, TransactionOperation::Put(put))
            }
            Operation::Delete { key } => {
                let keys = KeyRange::key(key);
                (Queued::Delete, TransactionOperation::Delete { keys, wants_previous: false })
            }
            _ => return refuse(NO_PLACE),
        };
        self.commands.push(command);
        self.transaction.then.push(operation);
        Ok(())
    }

    fn push_read(&mut self, key: Bytes, at: u64, command: Queued) {
        let query = RangeQuery { keys: KeyRange::key(key), limit: 0, at, is_count_only: false };
        self.commands.push(command);
        self.transaction.then.push(TransactionOperation::Read(query));
    }

    /// The transaction, and its commands other than `check`.
    ///
    /// # Errors
    /// When a command was refused, or when the transaction as a whole breaks a rule.
    pub(super) fn finish(
        self,
        limits: &TransactionLimits,
    ) -> Result<(Transaction, Vec<Queued>), ErrorReply> {
        if self.is_spoiled {
            return refuse("a command of the transaction was refused; nothing was executed");
        }
        self.transaction.check(limits).map_err(|fault| refusal(&fault))?;
        Ok((self.transaction, self.commands))
    }
}

const NO_PLACE: &str = "a transaction is of check, set, delete, get and getm only";

fn refuse<T>(text: &'static str) -> Result<T, ErrorReply> {
    Err(ErrorReply::CmdErr(text.into()))
}

fn refusal(fault: &TransactionFault) -> ErrorReply {
    let text = fault.to_string().into();
    match fault {
        TransactionFault::TooManyOperations { .. } | TransactionFault::TooManyBytes { .. } => {
            ErrorReply::TooLarge(text)
        }
        TransactionFault::TooDeep | TransactionFault::WrittenTwice => ErrorReply::CmdErr(text),
    }
}

#[cfg(test)]
mod tests;
