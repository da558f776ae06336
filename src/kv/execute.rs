//! The execution of commands. Every change of the keys goes through an [`Edit`].

use std::sync::Arc;

use super::change::ChangeKind;
use super::command::{Command, Outcome};
use super::corruption::Corruption;
use super::edit::{Edit, NewValue};
use super::once::OnceTable;
use super::records::Records;
use super::remembered::{Remembered, RememberedTransaction};
use super::transact::{self, Stop};
use super::weight::weight_bytes;
use crate::commands::{Operation, Transaction};
use crate::types::LogIndex;

/// Executes the command of the entry at `index`, unless its `once` prefix forbids it; returns the
/// outcome.
pub(super) fn execute_once(
    command: &Command,
    edit: &mut Edit<'_>,
    clients: &mut OnceTable,
    index: LogIndex,
) -> Result<Outcome, Corruption> {
    let clock_ms = edit.records().clock_ms();
    let Some(once) = &command.once else { return Ok(execute(command, edit, index)?.0) };
    if command.operation == Operation::End {
        return clients.end(once, clock_ms);
    }
    if let Some(remembered) = clients.outcome_without_executing(once, clock_ms)? {
        return remembered.recall(&command.operation, edit.records(), edit.history());
    }
    let (outcome, transaction) = execute(command, edit, index)?;
    let remembered = match transaction {
        Some(transaction) => Remembered::Transaction(Arc::new(transaction)),
        None => Remembered::Outcome(outcome.clone()),
    };
    clients.executed(once, remembered, clock_ms)?;
    Ok(outcome)
}

/// Executes a command. Returns the outcome, and what is remembered of a transaction.
fn execute(
    command: &Command,
    edit: &mut Edit<'_>,
    index: LogIndex,
) -> Result<(Outcome, Option<RememberedTransaction>), Corruption> {
    let bytes_max = command.store_bytes_max;
    let outcome = match &command.operation {
        Operation::Set { key, exptime, value, lease } => {
            write(edit, key, (value, *exptime, *lease), bytes_max)?
        }
        Operation::Add { key, exptime, value, lease } => match version_of(edit, key)? {
            0 => write(edit, key, (value, *exptime, *lease), bytes_max)?,
            version => Outcome::Exists { version },
        },
        Operation::Cas { key, exptime, version: expected, value, lease } => {
            let version = version_of(edit, key)?;
            if version == *expected {
                write(edit, key, (value, *exptime, *lease), bytes_max)?
            } else {
                Outcome::VersionMismatch { version }
            }
        }
        Operation::Delete { key } => {
            if edit.remove(key)? {
                Outcome::Deleted
            } else {
                Outcome::NotFound
            }
        }
        // Without a client there is nothing to forget; no such command is ever encoded.
        Operation::End => Outcome::Ended,
        Operation::Transaction(transaction) => {
            return execute_transaction(edit, transaction, bytes_max);
        }
        &Operation::Compact { revision } => match edit.compact(revision) {
            Ok(()) => Outcome::Compacted { revision },
            Err(reason) => reason.into(),
        },
        Operation::SetHistory(limits) => {
            edit.set_history_limits(*limits);
            Outcome::HistorySet
        }
        &Operation::Grant { id, ttl, leases_max } => grant(edit, (id, ttl), leases_max, index)?,
        Operation::Renew { ids } => {
            let renewed = ids.iter().map(|id| edit.renew(*id));
            Outcome::Renewed(renewed.collect::<Result<_, _>>()?)
        }
        &Operation::Revoke { id } => match edit.records().leases().state(id)? {
            Some(_) => {
                edit.end_lease(id, ChangeKind::Delete);
                Outcome::Revoked
            }
            None => Outcome::NoLease,
        },
    };
    Ok((outcome, None))
}

/// Grants a lease. The index of the entry chooses its id if the command names none.
fn grant(
    edit: &mut Edit<'_>,
    (id, ttl): (u64, u64),
    leases_max: u64,
    index: LogIndex,
) -> Result<Outcome, Corruption> {
    let leases = edit.records().leases();
    if id != 0 && leases.state(id)?.is_some() {
        return Ok(Outcome::LeaseExists);
    }
    if leases.len() >= leases_max {
        return Ok(Outcome::Full);
    }
    let id = edit.grant(id, ttl, index.0);
    Ok(Outcome::Granted { id, ttl })
}

/// Executes a transaction.
fn execute_transaction(
    edit: &mut Edit<'_>,
    transaction: &Transaction,
    bytes_max: u64,
) -> Result<(Outcome, Option<RememberedTransaction>), Corruption> {
    match transact::execute(edit, transaction, bytes_max) {
        Ok((outcome, branch)) => {
            let remembered = RememberedTransaction::new(transaction, outcome.clock_ms, branch);
            Ok((outcome.into(), Some(remembered)))
        }
        Err(Stop::Full) => Ok((Outcome::Full, None)),
        Err(Stop::NoLease) => Ok((Outcome::NoLease, None)),
        Err(Stop::NoKey) => Ok((Outcome::NoKey, None)),
        Err(Stop::NotReadable(reason)) => Ok((reason.into(), None)),
        Err(Stop::Corrupted(corruption)) => Err(corruption),
    }
}

fn write(
    edit: &mut Edit<'_>,
    key: &[u8],
    (value, exptime, lease): (&[u8], u64, u64),
    bytes_max: u64,
) -> Result<Outcome, Corruption> {
    if lease != 0 && edit.records().leases().state(lease)?.is_none() {
        return Ok(Outcome::NoLease);
    }
    if !has_room(edit.records(), key, value, bytes_max) {
        return Ok(Outcome::Full);
    }
    let deadline_ms = edit.deadline_ms(exptime);
    edit.put(key, NewValue { value, lease, deadline_ms })?;
    Ok(Outcome::Stored { version: edit.revision() })
}

/// True when the limit `bytes_max` (0: no limit) lets `value` be stored under `key`. A
/// value that is no larger than the one that it replaces is always stored, even when the
/// limit was lowered below the size of the store: it does not make the store larger, and
/// writing smaller values is a way to come below the limit again.
fn has_room(records: &Records, key: &[u8], value: &[u8], bytes_max: u64) -> bool {
    if bytes_max == 0 {
        return true;
    }
    let replaced = records.weight_of(key);
    let written = weight_bytes(key, value);
    written <= replaced || records.visible().bytes - replaced + written <= bytes_max
}

/// The version of `key`; 0 when it is absent, because no entry has index 0.
fn version_of(edit: &Edit<'_>, key: &[u8]) -> Result<u64, Corruption> {
    Ok(edit.records().get(key)?.map_or(0, |record| record.mod_revision))
}
