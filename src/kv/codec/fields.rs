//! The fields of each operation, in the order in which they stand in its array. They borrow from
//! the payload.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::bounds::{CommandError, LEASED_SET, REVOKE, SET, check_number};
use super::transaction::TransactionFields;
use crate::commands::{HistoryLimits, LEASE_ID_MAX, Operation};

/// The parts of a command, of which `once` still borrows.
type Parts<'a> = (Option<OnceFields<'a>>, u64, Operation);

#[derive(Serialize, Deserialize)]
pub(super) struct OnceFields<'a>(#[serde(with = "serde_bytes")] pub &'a [u8], pub u64);

/// The fields of `set` and `add`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WriteFields<'a> {
    #[serde(borrow)]
    pub once: Option<OnceFields<'a>>,
    pub store_bytes_max: u64,
    #[serde(with = "serde_bytes")]
    pub key: &'a [u8],
    pub exptime: u64,
    #[serde(with = "serde_bytes")]
    pub value: &'a [u8],
}

impl<'a> WriteFields<'a> {
    pub fn operation(self, operation: u8, payload: &Bytes) -> Parts<'a> {
        let WriteFields { once, store_bytes_max, key, exptime, value } = self;
        let (key, value) = (payload.slice_ref(key), payload.slice_ref(value));
        let operation = if operation == SET {
            Operation::Set { key, exptime, value, lease: 0 }
        } else {
            Operation::Add { key, exptime, value, lease: 0 }
        };
        (once, store_bytes_max, operation)
    }
}

/// The fields of `cas`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CasFields<'a> {
    #[serde(borrow)]
    pub once: Option<OnceFields<'a>>,
    pub store_bytes_max: u64,
    #[serde(with = "serde_bytes")]
    pub key: &'a [u8],
    pub exptime: u64,
    pub version: u64,
    #[serde(with = "serde_bytes")]
    pub value: &'a [u8],
}

impl<'a> CasFields<'a> {
    pub fn operation(self, payload: &Bytes) -> Parts<'a> {
        let CasFields { once, store_bytes_max, key, exptime, version, value } = self;
        let (key, value) = (payload.slice_ref(key), payload.slice_ref(value));
        (once, store_bytes_max, Operation::Cas { key, exptime, version, value, lease: 0 })
    }
}

/// The fields of `delete`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DeleteFields<'a> {
    #[serde(borrow)]
    pub once: Option<OnceFields<'a>>,
    pub store_bytes_max: u64,
    #[serde(with = "serde_bytes")]
    pub key: &'a [u8],
}

impl<'a> DeleteFields<'a> {
    pub fn operation(self, payload: &Bytes) -> Parts<'a> {
        let key = payload.slice_ref(self.key);
        (self.once, self.store_bytes_max, Operation::Delete { key })
    }
}

/// The fields of `end`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EndFields<'a> {
    #[serde(borrow)]
    pub once: Option<OnceFields<'a>>,
    pub store_bytes_max: u64,
}

/// The fields of `set` and `add` with a lease.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LeasedWriteFields<'a> {
    #[serde(borrow)]
    pub once: Option<OnceFields<'a>>,
    pub store_bytes_max: u64,
    #[serde(with = "serde_bytes")]
    pub key: &'a [u8],
    pub exptime: u64,
    #[serde(with = "serde_bytes")]
    pub value: &'a [u8],
    pub lease: u64,
}

impl<'a> LeasedWriteFields<'a> {
    pub fn operation(self, operation: u8, payload: &Bytes) -> Result<Parts<'a>, CommandError> {
        let LeasedWriteFields { once, store_bytes_max, key, exptime, value, lease } = self;
        check_is_leased(lease)?;
        let (key, value) = (payload.slice_ref(key), payload.slice_ref(value));
        let operation = if operation == LEASED_SET {
            Operation::Set { key, exptime, value, lease }
        } else {
            Operation::Add { key, exptime, value, lease }
        };
        Ok((once, store_bytes_max, operation))
    }
}

/// The fields of `cas` with a lease.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LeasedCasFields<'a> {
    #[serde(borrow)]
    pub once: Option<OnceFields<'a>>,
    pub store_bytes_max: u64,
    #[serde(with = "serde_bytes")]
    pub key: &'a [u8],
    pub exptime: u64,
    pub version: u64,
    #[serde(with = "serde_bytes")]
    pub value: &'a [u8],
    pub lease: u64,
}

impl<'a> LeasedCasFields<'a> {
    pub fn operation(self, payload: &Bytes) -> Result<Parts<'a>, CommandError> {
        let LeasedCasFields { once, store_bytes_max, key, exptime, version, value, lease } = self;
        check_is_leased(lease)?;
        let (key, value) = (payload.slice_ref(key), payload.slice_ref(value));
        Ok((once, store_bytes_max, Operation::Cas { key, exptime, version, value, lease }))
    }
}

/// The fields of a transaction.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TransactionCommandFields<'a> {
    #[serde(borrow)]
    pub once: Option<OnceFields<'a>>,
    pub store_bytes_max: u64,
    #[serde(borrow)]
    pub transaction: TransactionFields<'a>,
}

impl<'a> TransactionCommandFields<'a> {
    pub fn operation(self, payload: &Bytes) -> Result<Parts<'a>, CommandError> {
        let transaction = self.transaction.transaction(payload)?;
        Ok((self.once, self.store_bytes_max, Operation::Transaction(transaction)))
    }
}

/// The fields of `grant`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GrantFields<'a> {
    #[serde(borrow)]
    pub once: Option<OnceFields<'a>>,
    pub store_bytes_max: u64,
    pub id: u64,
    pub ttl: u64,
    pub leases_max: u64,
}

impl<'a> GrantFields<'a> {
    pub fn operation(self) -> Parts<'a> {
        let GrantFields { once, store_bytes_max, id, ttl, leases_max } = self;
        (once, store_bytes_max, Operation::Grant { id, ttl, leases_max })
    }
}

/// The fields of `renew`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RenewFields<'a> {
    #[serde(borrow)]
    pub once: Option<OnceFields<'a>>,
    pub store_bytes_max: u64,
    pub ids: Vec<u64>,
}

impl<'a> RenewFields<'a> {
    pub fn operation(self) -> Parts<'a> {
        (self.once, self.store_bytes_max, Operation::Renew { ids: self.ids })
    }
}

/// The fields of `revoke` and `compact`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NumberFields<'a> {
    #[serde(borrow)]
    pub once: Option<OnceFields<'a>>,
    pub store_bytes_max: u64,
    pub number: u64,
}

impl<'a> NumberFields<'a> {
    pub fn operation(self, operation: u8) -> Parts<'a> {
        let NumberFields { once, store_bytes_max, number } = self;
        let operation = if operation == REVOKE {
            Operation::Revoke { id: number }
        } else {
            Operation::Compact { revision: number }
        };
        (once, store_bytes_max, operation)
    }
}

/// The fields of the bounds of the history.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HistoryFields<'a> {
    #[serde(borrow)]
    pub once: Option<OnceFields<'a>>,
    pub store_bytes_max: u64,
    pub keep_revisions: u64,
    pub bytes_max: u64,
}

impl<'a> HistoryFields<'a> {
    pub fn operation(self) -> Parts<'a> {
        let HistoryFields { once, store_bytes_max, keep_revisions, bytes_max } = self;
        let limits = HistoryLimits { keep_revisions, bytes_max };
        (once, store_bytes_max, Operation::SetHistory(limits))
    }
}

/// A write without a lease has a number of its own, and only one encoding.
fn check_is_leased(lease: u64) -> Result<(), CommandError> {
    check_number("lease", lease, 1, LEASE_ID_MAX)
}
