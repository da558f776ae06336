//! Transactions.

use bytes::Bytes;

use super::store::ReferenceStore;
use super::types::{Did, Held, Told, Transacted};
use crate::kv::{
    Compare, CompareTarget, KeyRange, Outcome, Put, Relation, Transaction, TransactionOperation,
};

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
