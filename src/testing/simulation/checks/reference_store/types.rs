//! The values that the reference store is made of.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::kv::{OperationOutcome, Outcome, TransactionOutcome};

/// The value of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) version: u64,
    pub(crate) value: Bytes,
    pub(crate) deadline_ms: Option<u64>,
    /// The lease that it goes with; 0 for none.
    pub(crate) lease: u64,
}

/// A change of a key, as watchers see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Changed {
    pub(crate) revision: u64,
    pub(crate) key: Bytes,
    pub(crate) became: Became,
    /// The version and the value that were there before.
    pub(crate) previous: Option<(u64, Bytes)>,
}

/// The state that a change leaves a key in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Became {
    /// It has this value, and a time to live in seconds; 0 for none.
    Set(u64, Bytes),
    Deleted,
    Expired,
}

/// A key that expired.
pub(crate) struct Expiration {
    pub(crate) key: Bytes,
    /// The value that it had, with the version at which it was written.
    pub(crate) held: Held,
    /// The index from which on it is gone.
    pub(crate) gone: u64,
}

/// A lease that has not ended.
#[derive(Clone, Debug)]
pub(super) struct Lease {
    pub(super) ttl: u64,
    pub(super) deadline_ms: u64,
    /// The index at which its time began, or began anew.
    pub(super) begun: u64,
    pub(super) keys: BTreeMap<Bytes, Held>,
    /// True when its time is over: its keys are hidden, and an entry to come ends it.
    pub(super) is_due: bool,
}

/// A lease whose time was over.
pub(crate) struct LeaseExpiry {
    pub(crate) id: u64,
    pub(crate) ttl: u64,
    /// The index at which its time began, or began anew for the last time.
    pub(crate) begun: u64,
    /// The index from which on it is gone.
    pub(crate) gone: u64,
}

/// The leases that an entry has begun or ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct OfLeases {
    /// The leases that were granted or renewed, with their time to live.
    pub(crate) begun: Vec<(u64, u64)>,
    /// The lease that was revoked.
    pub(crate) revoked: Option<u64>,
}

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
    /// The result of a read, which is not kept for a retry.
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
            OperationOutcome::Read(answer) => Did::Read(
                answer
                    .records
                    .first()
                    .map(|(_, found)| (found.mod_revision, found.value_bytes(), found.deadline_ms)),
            ),
            // No client of the simulation sends nested ones.
            OperationOutcome::Compacted { .. } | OperationOutcome::Nested(_) => Did::Forgotten,
        };
        let parts = outcome.operations.iter().map(part).collect();
        Transacted { revision: outcome.revision, failed, parts }
    }
}
