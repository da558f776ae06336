//! Transactions, and the outcomes of all commands.

use bytes::Bytes;

use super::{Held, ReferenceStore};
use crate::kv::{
    Compare, CompareTarget, KeyRange, OperationOutcome, Outcome, Put, Relation, Transaction,
    TransactionOperation, TransactionOutcome,
};

/// The outcome of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    Outcome(Outcome),
    Transaction(Transacted),
}

/// The outcome of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Transacted {
    /// The store's revision after it.
    pub(crate) revision: u64,
    /// The first key with another version than a compare asks for, and its version.
    pub(crate) failed: Option<(Bytes, u64)>,
    pub(crate) parts: Vec<Did>,
}

/// The outcome of an operation of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Did {
    Put,
    /// The number of keys that were removed.
    Delete(u64),
    /// The first key that was found, by version, value and deadline.
    Read(Option<(u64, Bytes, Option<u64>)>),
    /// What a read has found is not kept for a retry.
    Forgotten,
}

impl Told {
    /// The outcome of a store, as the reference tells it.
    pub(crate) fn of(outcome: &Outcome) -> Told {
        match outcome {
            Outcome::Transaction(outcome) => Told::Transaction(Transacted::of(outcome)),
            outcome => Told::Outcome(outcome.clone()),
        }
    }

    /// True when a store may tell this where the reference, which forgets nothing, tells `all`.
    pub(crate) fn is_all_or_less(&self, all: &Told) -> bool {
        let (Told::Transaction(told), Told::Transaction(all)) = (self, all) else {
            return self == all;
        };
        let is_kept = |(told, all): (&Did, &Did)| {
            told == all || *told == Did::Forgotten && matches!(all, Did::Read(_))
        };
        told.revision == all.revision
            && told.failed == all.failed
            && told.parts.len() == all.parts.len()
            && told.parts.iter().zip(&all.parts).all(is_kept)
    }
}

impl Transacted {
    fn of(outcome: &TransactionOutcome) -> Transacted {
        let failed = outcome.failed.as_ref().map(|it| (it.key.clone(), it.mod_revision));
        let part = |operation: &OperationOutcome| match operation {
            OperationOutcome::Put { .. } => Did::Put,
            OperationOutcome::Delete { deleted, .. } => Did::Delete(*deleted),
            OperationOutcome::Read(answer) => {
                Did::Read(answer.records.first().map(|(_, found)| {
                    (found.mod_revision, Bytes::clone(&found.value), found.deadline_ms)
                }))
            }
            // No client of the simulation sends nested ones.
            OperationOutcome::Compacted { .. } | OperationOutcome::Nested(_) => Did::Forgotten,
        };
        let parts = outcome.operations.iter().map(part).collect();
        Transacted { revision: outcome.revision, failed, parts }
    }
}

impl ReferenceStore {
    /// Executes a transaction of the text protocol: its compares ask for versions, its operations
    /// are about single keys, and there is nothing to do otherwise.
    pub(super) fn transact(&mut self, transaction: &Transaction) -> Told {
        let failed = transaction.compares.iter().find_map(|compare| {
            let (key, version) = question(compare)?;
            let found = self.at(self.last_index(), key).map_or(0, |held| held.version);
            (found != version).then(|| (key.clone(), found))
        });
        let mut parts = Vec::new();
        if failed.is_none() {
            let is_lost = |operation: &TransactionOperation| match operation {
                TransactionOperation::Put(Put { lease, .. }) => {
                    lease.is_some_and(|id| id != 0 && !self.is_live(id))
                }
                _ => false,
            };
            if transaction.then.iter().any(is_lost) {
                return Told::Outcome(Outcome::NoLease);
            }
            parts.extend(transaction.then.iter().map(|operation| self.execute_part(operation)));
        }
        let is_changed = self.current().has_changed;
        let revision = self.revision(self.last_index()) + u64::from(is_changed);
        Told::Transaction(Transacted { revision, failed, parts })
    }

    fn execute_part(&mut self, operation: &TransactionOperation) -> Did {
        match operation {
            TransactionOperation::Put(Put { key, value, lease, exptime, .. }) => {
                let value = value.clone().unwrap_or_default();
                self.write(key, value, *exptime, lease.unwrap_or(0));
                Did::Put
            }
            TransactionOperation::Delete { keys, .. } => {
                let key = single(keys);
                Did::Delete(u64::from(self.delete(key)))
            }
            TransactionOperation::Read(query) => {
                let found = self.at(self.last_index(), single(&query.keys));
                Did::Read(found.map(|Held { version, value, deadline_ms, .. }| {
                    (*version, value.clone(), *deadline_ms)
                }))
            }
            TransactionOperation::Nested(_) => Did::Forgotten,
        }
    }
}

/// The key and the version that a `check` asks for.
fn question(compare: &Compare) -> Option<(&Bytes, u64)> {
    match (&compare.target, compare.relation) {
        (CompareTarget::ModRevision(version), Relation::Equal) => {
            Some((compare.keys.as_key()?, *version))
        }
        _ => None,
    }
}

fn single(keys: &KeyRange) -> &Bytes {
    keys.as_key().unwrap_or(keys.start())
}
