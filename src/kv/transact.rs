//! The execution of a transaction.
//!
//! The compares are judged first. Then all that could fail in the branch is looked for, before the
//! first of its operations is executed. A nested transaction is judged when its turn comes, when
//! others are executed already, and the room is known at the end only. So a transaction that has
//! one, or that a limit holds for, can be taken back: the keys and the history before it are kept
//! until it is through, which costs a copy of the nodes that it changes.

use bytes::Bytes;

use super::corruption::Corruption;
use super::edit::{Edit, NewValue};
use super::history::{History, NotReadable};
use super::reads::Reads;
use super::record::Record;
use super::records::Records;
use super::remembered::{RememberedBranch, RememberedOperation};
use super::transaction::{FailedCompare, OperationOutcome, TransactionOutcome};
use crate::commands::{
    Compare, CompareTarget, KeyRange, Put, Relation, Transaction, TransactionOperation,
};

/// The reason why a transaction is not executed.
#[derive(Debug)]
pub(super) enum Stop {
    /// The store has no room for it.
    Full,
    /// A write names a lease that is not there.
    NoLease,
    /// A write keeps the value or the lease of a key that is not there.
    NoKey,
    /// The store cannot be read at the revision of a read.
    NotReadable(NotReadable),
    /// A record that decides the outcome is not what was written.
    Corrupted(Corruption),
}

impl From<Corruption> for Stop {
    fn from(corruption: Corruption) -> Stop {
        Stop::Corrupted(corruption)
    }
}

impl From<NotReadable> for Stop {
    fn from(reason: NotReadable) -> Stop {
        Stop::NotReadable(reason)
    }
}

/// Executes a transaction, all of it or nothing. Returns the outcome, and what is remembered of it.
///
/// # Errors
/// When it is refused, and when a record that decides the outcome is not what was written.
pub(super) fn execute(
    edit: &mut Edit<'_>,
    transaction: &Transaction,
    store_bytes_max: u64,
) -> Result<(TransactionOutcome, RememberedBranch), Stop> {
    if store_bytes_max == 0 && !transaction.has_nested() {
        return branch(edit, transaction);
    }
    let saved = edit.save();
    let bytes_before = edit.records().visible().bytes;
    let executed = branch(edit, transaction).and_then(|executed| {
        // As for a single write: one that does not make the store larger has room.
        let bytes = edit.records().visible().bytes;
        let has_room = store_bytes_max == 0 || bytes <= store_bytes_max || bytes <= bytes_before;
        if has_room { Ok(executed) } else { Err(Stop::Full) }
    });
    if executed.is_err() {
        edit.restore(saved);
    }
    executed
}

/// Answers a transaction that only reads.
///
/// # Errors
/// When it reads at a revision that the store cannot be read at, and when a record that decides the
/// outcome is not what was written.
///
/// # Panics
/// When the transaction writes.
pub(super) fn read(
    records: &Records,
    history: &History,
    transaction: &Transaction,
    clock_ms: u64,
) -> Result<TransactionOutcome, Stop> {
    let now = Reads::now(records);
    let failed = first_failed(&now, &transaction.compares)?;
    let mut operations = Vec::new();
    for operation in transaction.branch(failed.as_ref()) {
        operations.push(match operation {
            TransactionOperation::Read(query) => {
                let reads = if query.at == 0 || query.at == history.revision() {
                    now
                } else {
                    Reads::at(records, history, history.moment(query.at)?)
                };
                OperationOutcome::Read(reads.answer(query)?)
            }
            TransactionOperation::Nested(nested) => {
                OperationOutcome::Nested(Box::new(read(records, history, nested, clock_ms)?))
            }
            TransactionOperation::Put(_) | TransactionOperation::Delete { .. } => {
                unreachable!("a transaction that writes is a command, and no query")
            }
        });
    }
    Ok(TransactionOutcome { revision: history.revision(), clock_ms, failed, operations })
}

impl Transaction {
    /// The operations of the branch that is executed.
    fn branch(&self, failed: Option<&FailedCompare>) -> &[TransactionOperation] {
        if failed.is_none() { &self.then } else { &self.otherwise }
    }

    fn has_nested(&self) -> bool {
        let mut operations = self.then.iter().chain(&self.otherwise);
        operations.any(|operation| matches!(operation, TransactionOperation::Nested(_)))
    }
}

/// Judges the compares and executes one of the branches.
fn branch(
    edit: &mut Edit<'_>,
    transaction: &Transaction,
) -> Result<(TransactionOutcome, RememberedBranch), Stop> {
    let failed = first_failed(&Reads::now(edit.records()), &transaction.compares)?;
    let branch = transaction.branch(failed.as_ref());
    branch.iter().try_for_each(|operation| check(edit, operation))?;
    let (mut operations, mut memory) = (Vec::new(), Vec::new());
    for operation in branch {
        let (outcome, remembered) = execute_operation(edit, operation)?;
        operations.push(outcome);
        memory.push(remembered);
    }
    let revision = edit.present_revision();
    let remembered = RememberedBranch {
        revision,
        // The store keeps bytes of its own: a slice would keep the whole batch alive.
        failed: failed.as_ref().map(|f| (Bytes::copy_from_slice(&f.key), f.mod_revision)),
        operations: memory,
    };
    let clock_ms = edit.records().clock_ms();
    Ok((TransactionOutcome { revision, clock_ms, failed, operations }, remembered))
}

/// Looks for all that could fail in an operation that is not nested. Nothing before it in its
/// branch can change the result, because no key is written twice.
fn check(edit: &Edit<'_>, operation: &TransactionOperation) -> Result<(), Stop> {
    match operation {
        TransactionOperation::Put(Put { key, value, lease, .. }) => {
            let is_there = edit.records().get(key)?.is_some();
            if (value.is_none() || lease.is_none()) && !is_there {
                return Err(Stop::NoKey);
            }
            let lease = lease.unwrap_or(0);
            if lease != 0 && edit.records().leases().state(lease)?.is_none() {
                return Err(Stop::NoLease);
            }
            Ok(())
        }
        TransactionOperation::Read(query) if query.at != 0 => {
            edit.past(query.at)?;
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Executes an operation that has passed its check.
fn execute_operation(
    edit: &mut Edit<'_>,
    operation: &TransactionOperation,
) -> Result<(OperationOutcome, RememberedOperation), Stop> {
    let next = edit.history().next_change();
    Ok(match operation {
        TransactionOperation::Put(operation) => {
            let previous = put(edit, operation)?;
            (OperationOutcome::Put { previous }, RememberedOperation::Put { next })
        }
        TransactionOperation::Delete { keys, wants_previous } => {
            let (deleted, previous) = delete(edit, keys, *wants_previous)?;
            let remembered = RememberedOperation::Delete { next, deleted };
            (OperationOutcome::Delete { deleted, previous }, remembered)
        }
        TransactionOperation::Read(query) => {
            let answer = match query.at {
                0 => Reads::now(edit.records()).answer(query)?,
                at => edit.past(at)?.answer(query)?,
            };
            (OperationOutcome::Read(answer), RememberedOperation::Read { next })
        }
        TransactionOperation::Nested(transaction) => {
            let (outcome, remembered) = branch(edit, transaction)?;
            let outcome = OperationOutcome::Nested(Box::new(outcome));
            (outcome, RememberedOperation::Nested(Box::new(remembered)))
        }
    })
}

/// Writes a key. Returns the record that it replaced, if it is wanted.
fn put(edit: &mut Edit<'_>, put: &Put) -> Result<Option<Record>, Corruption> {
    let keeps = put.value.is_none() || put.lease.is_none();
    let previous =
        if keeps || put.wants_previous { edit.records().get(&put.key)?.cloned() } else { None };
    let kept = previous.clone();
    let kept_value = || kept.as_ref().map_or(&b""[..], Record::value);
    let value = put.value.as_deref().unwrap_or_else(kept_value);
    let lease = put.lease.unwrap_or_else(|| kept.as_ref().map_or(0, |record| record.lease));
    let deadline_ms = edit.deadline_ms(put.exptime);
    // A record that nobody has asked for is not held, so that it can be written over.
    let previous = previous.filter(|_| put.wants_previous);
    edit.put(&put.key, NewValue { value, lease, deadline_ms })?;
    Ok(previous)
}

/// The number of keys that were removed, and their records if they are wanted.
type Deleted = (u64, Vec<(Bytes, Record)>);

/// Removes the keys of a range.
fn delete(
    edit: &mut Edit<'_>,
    keys: &KeyRange,
    wants_previous: bool,
) -> Result<Deleted, Corruption> {
    if let Some(key) = keys.as_key().filter(|_| !wants_previous) {
        return Ok((u64::from(edit.remove(key)?), Vec::new()));
    }
    let found: Vec<_> = Reads::now(edit.records())
        .range(keys)
        .map(|found| found.map(|(key, record)| (key.clone(), record.clone())))
        .collect::<Result<_, _>>()?;
    let deleted = found.len() as u64;
    let mut previous = Vec::new();
    for (key, record) in found {
        edit.remove(&key)?;
        if wants_previous {
            previous.push((Bytes::copy_from_slice(&key), record));
        }
    }
    Ok((deleted, previous))
}

/// The first compare that does not hold, with the first key for which it does not.
fn first_failed(
    reads: &Reads<'_>,
    compares: &[Compare],
) -> Result<Option<FailedCompare>, Corruption> {
    for compare in compares {
        if let Some(failed) = failed(reads, compare)? {
            return Ok(Some(failed));
        }
    }
    Ok(None)
}

/// The first key for which a compare does not hold. A range without keys is judged like a key that
/// is absent.
fn failed(reads: &Reads<'_>, compare: &Compare) -> Result<Option<FailedCompare>, Corruption> {
    let mut is_empty = true;
    let fails = |key: &[u8], record: Option<&Record>| {
        (!compare.holds(record)).then(|| FailedCompare {
            key: Bytes::copy_from_slice(key),
            mod_revision: record.map_or(0, |record| record.mod_revision),
        })
    };
    if let Some(key) = compare.keys.as_key() {
        return Ok(fails(key, reads.get(key)?));
    }
    for found in reads.range(&compare.keys) {
        let (key, record) = found?;
        is_empty = false;
        if let Some(failed) = fails(key, Some(record)) {
            return Ok(Some(failed));
        }
    }
    Ok(if is_empty { fails(compare.keys.start(), None) } else { None })
}

impl Compare {
    /// True when the compare holds for a key with this record, or for one that is absent.
    fn holds(&self, record: Option<&Record>) -> bool {
        let number = |field: fn(&Record) -> u64| record.map_or(0, field);
        let order = match &self.target {
            CompareTarget::Version(version) => number(|r| r.version).cmp(version),
            CompareTarget::CreateRevision(revision) => number(|r| r.create_revision).cmp(revision),
            CompareTarget::ModRevision(revision) => number(|r| r.mod_revision).cmp(revision),
            CompareTarget::Lease(lease) => number(|r| r.lease).cmp(lease),
            CompareTarget::Value(value) => match record {
                Some(record) => record.value().cmp(value),
                None => return false,
            },
        };
        match self.relation {
            Relation::Equal => order.is_eq(),
            Relation::NotEqual => order.is_ne(),
            Relation::Less => order.is_lt(),
            Relation::Greater => order.is_gt(),
        }
    }
}

#[cfg(test)]
mod tests;
