//! The key that a command or a query names first, to tell people which one it was.

use bytes::Bytes;

use super::command::Command;
use crate::commands::{Operation, Query, Transaction, TransactionOperation};
use crate::types::FormatRange;

/// The key that an encoded command names first; `None` when it names none, or is no command that
/// this version knows.
pub fn first_key_of(command: &Bytes) -> Option<Bytes> {
    match Command::decode(command, FormatRange::OWN.highest).ok()?.operation {
        Operation::Set { key, .. }
        | Operation::Add { key, .. }
        | Operation::Cas { key, .. }
        | Operation::Delete { key } => Some(key),
        Operation::Transaction(transaction) => first_key_in(&transaction),
        Operation::End
        | Operation::Grant { .. }
        | Operation::Renew { .. }
        | Operation::Revoke { .. }
        | Operation::Compact { .. }
        | Operation::SetHistory(_) => None,
    }
}

impl Query {
    /// The key that the query names first: that of one key, the beginning of a range, a prefix.
    /// `None` when it names none.
    pub fn first_key(&self) -> Option<Bytes> {
        match self {
            Query::Get { key, .. } | Query::GetMeta { key, .. } => Some(key.clone()),
            Query::Scan { prefix, .. } => Some(prefix.clone()),
            Query::Range(range) => Some(range.keys.start().clone()),
            Query::Transaction(transaction) => first_key_in(transaction),
            Query::Page(page) => Some(page.keys.start().clone()),
            Query::Versions(versions) => Some(versions.key.clone()),
            Query::Lease { .. } | Query::Leases => None,
        }
    }
}

/// The key of the first compare, or of the first operation if nothing is compared.
fn first_key_in(transaction: &Transaction) -> Option<Bytes> {
    let compared = transaction.compares.first().map(|compare| compare.keys.start().clone());
    compared.or_else(|| match transaction.then.first()? {
        TransactionOperation::Put(put) => Some(put.key.clone()),
        TransactionOperation::Delete { keys, .. } => Some(keys.start().clone()),
        TransactionOperation::Read(range) => Some(range.keys.start().clone()),
        TransactionOperation::Nested(nested) => first_key_in(nested),
    })
}

#[cfg(test)]
mod tests;
