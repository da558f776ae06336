//! The bytes of a transaction.
//!
//! ```text
//! transaction  [compares, then, otherwise]: arrays of compares, of operations and of operations
//! compare      [keys, relation, target]
//!   keys       {k: key}, {b: [start, end]} or {f: start}: a key, from start before end, from start
//!   relation   0 equal, 1 not equal, 2 less, 3 greater
//!   target     {v: version}, {c: create revision}, {m: mod revision}, {b: value} or {l: lease}
//! operation    {p: [key, value or nil, lease or nil, exptime, previous]}   put
//!              {d: [keys, previous]}                                       delete
//!              {r: [keys, limit, at, count only]}                          read
//!              {t: transaction}                                            nested
//! ```
//!
//! `{x: y}` is a map of one pair, whose key is the text x.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::bounds::{CommandError, KEY_BYTES_MAX, VALUE_BYTES_MAX, check_length, check_number};
use crate::commands::{
    Compare, CompareTarget, KeyRange, LEASE_ID_MAX, Put, RangeQuery, Relation, Transaction,
    TransactionOperation,
};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TransactionFields<'a> {
    #[serde(borrow)]
    compares: Vec<CompareFields<'a>>,
    #[serde(borrow)]
    then: Vec<OperationFields<'a>>,
    #[serde(borrow)]
    otherwise: Vec<OperationFields<'a>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CompareFields<'a> {
    #[serde(borrow)]
    keys: RangeFields<'a>,
    relation: u8,
    #[serde(borrow)]
    target: TargetFields<'a>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
enum RangeFields<'a> {
    #[serde(rename = "k")]
    Key(#[serde(borrow, with = "serde_bytes")] &'a [u8]),
    #[serde(rename = "b")]
    Between(
        #[serde(borrow, with = "serde_bytes")] &'a [u8],
        #[serde(borrow, with = "serde_bytes")] &'a [u8],
    ),
    #[serde(rename = "f")]
    From(#[serde(borrow, with = "serde_bytes")] &'a [u8]),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
enum TargetFields<'a> {
    #[serde(rename = "v")]
    Version(u64),
    #[serde(rename = "c")]
    CreateRevision(u64),
    #[serde(rename = "m")]
    ModRevision(u64),
    #[serde(rename = "b")]
    Value(#[serde(borrow, with = "serde_bytes")] &'a [u8]),
    #[serde(rename = "l")]
    Lease(u64),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
enum OperationFields<'a> {
    #[serde(rename = "p")]
    Put {
        #[serde(borrow, with = "serde_bytes")]
        key: &'a [u8],
        #[serde(borrow, with = "serde_bytes")]
        value: Option<&'a [u8]>,
        lease: Option<u64>,
        exptime: u64,
        previous: bool,
    },
    #[serde(rename = "d")]
    Delete {
        #[serde(borrow)]
        keys: RangeFields<'a>,
        previous: bool,
    },
    #[serde(rename = "r")]
    Read {
        #[serde(borrow)]
        keys: RangeFields<'a>,
        limit: u64,
        at: u64,
        count_only: bool,
    },
    #[serde(rename = "t")]
    Nested(#[serde(borrow)] Box<TransactionFields<'a>>),
}

/// The relations, each at the place of its number.
const RELATIONS: [Relation; 4] =
    [Relation::Equal, Relation::NotEqual, Relation::Less, Relation::Greater];

impl<'a> TransactionFields<'a> {
    pub fn of(transaction: &'a Transaction) -> TransactionFields<'a> {
        let operations =
            |branch: &'a [TransactionOperation]| branch.iter().map(OperationFields::of).collect();
        TransactionFields {
            compares: transaction.compares.iter().map(CompareFields::of).collect(),
            then: operations(&transaction.then),
            otherwise: operations(&transaction.otherwise),
        }
    }

    /// The transaction; what it holds shares `payload`'s bytes.
    ///
    /// # Errors
    /// When a relation has a number that none has.
    pub fn transaction(&self, payload: &Bytes) -> Result<Transaction, CommandError> {
        let operations = |branch: &[OperationFields<'_>]| {
            branch.iter().map(|fields| fields.operation(payload)).collect::<Result<_, _>>()
        };
        Ok(Transaction {
            compares: self.compares.iter().map(|c| c.compare(payload)).collect::<Result<_, _>>()?,
            then: operations(&self.then)?,
            otherwise: operations(&self.otherwise)?,
        })
    }
}

impl<'a> CompareFields<'a> {
    fn of(compare: &'a Compare) -> CompareFields<'a> {
        let place = RELATIONS.iter().position(|relation| *relation == compare.relation);
        let target = match &compare.target {
            CompareTarget::Version(version) => TargetFields::Version(*version),
            CompareTarget::CreateRevision(revision) => TargetFields::CreateRevision(*revision),
            CompareTarget::ModRevision(revision) => TargetFields::ModRevision(*revision),
            CompareTarget::Value(value) => TargetFields::Value(value),
            CompareTarget::Lease(lease) => TargetFields::Lease(*lease),
        };
        let relation = place.expect("the table has every relation") as u8;
        CompareFields { keys: RangeFields::of(&compare.keys), relation, target }
    }

    fn compare(&self, payload: &Bytes) -> Result<Compare, CommandError> {
        let relation = RELATIONS.get(usize::from(self.relation)).ok_or(CommandError::Number {
            field: "relation",
            number: self.relation.into(),
            min: 0,
            max: RELATIONS.len() as u64 - 1,
        })?;
        let target = match self.target {
            TargetFields::Version(version) => CompareTarget::Version(version),
            TargetFields::CreateRevision(revision) => CompareTarget::CreateRevision(revision),
            TargetFields::ModRevision(revision) => CompareTarget::ModRevision(revision),
            TargetFields::Value(value) => CompareTarget::Value(payload.slice_ref(value)),
            TargetFields::Lease(lease) => CompareTarget::Lease(lease),
        };
        Ok(Compare { keys: self.keys.range(payload), relation: *relation, target })
    }
}

impl<'a> RangeFields<'a> {
    fn of(range: &'a KeyRange) -> RangeFields<'a> {
        match (range.as_key(), range.end()) {
            (Some(key), _) => RangeFields::Key(key),
            (None, Some(end)) => RangeFields::Between(range.start(), end),
            (None, None) => RangeFields::From(range.start()),
        }
    }

    fn range(&self, payload: &Bytes) -> KeyRange {
        let share = |field: &[u8]| payload.slice_ref(field);
        match self {
            RangeFields::Key(key) => KeyRange::key(share(key)),
            RangeFields::Between(start, end) => KeyRange::between(share(start), share(end)),
            RangeFields::From(start) => KeyRange::from(share(start)),
        }
    }
}

impl<'a> OperationFields<'a> {
    fn of(operation: &'a TransactionOperation) -> OperationFields<'a> {
        match operation {
            TransactionOperation::Put(Put { key, value, lease, exptime, wants_previous }) => {
                OperationFields::Put {
                    key,
                    value: value.as_deref(),
                    lease: *lease,
                    exptime: *exptime,
                    previous: *wants_previous,
                }
            }
            TransactionOperation::Delete { keys, wants_previous } => {
                OperationFields::Delete { keys: RangeFields::of(keys), previous: *wants_previous }
            }
            TransactionOperation::Read(RangeQuery { keys, limit, at, is_count_only }) => {
                let keys = RangeFields::of(keys);
                OperationFields::Read { keys, limit: *limit, at: *at, count_only: *is_count_only }
            }
            TransactionOperation::Nested(transaction) => {
                OperationFields::Nested(Box::new(TransactionFields::of(transaction)))
            }
        }
    }

    fn operation(&self, payload: &Bytes) -> Result<TransactionOperation, CommandError> {
        Ok(match self {
            OperationFields::Put { key, value, lease, exptime, previous } => {
                TransactionOperation::Put(Put {
                    key: payload.slice_ref(key),
                    value: value.map(|value| payload.slice_ref(value)),
                    lease: *lease,
                    exptime: *exptime,
                    wants_previous: *previous,
                })
            }
            OperationFields::Delete { keys, previous } => TransactionOperation::Delete {
                keys: keys.range(payload),
                wants_previous: *previous,
            },
            OperationFields::Read { keys, limit, at, count_only } => {
                TransactionOperation::Read(RangeQuery {
                    keys: keys.range(payload),
                    limit: *limit,
                    at: *at,
                    is_count_only: *count_only,
                })
            }
            OperationFields::Nested(transaction) => {
                TransactionOperation::Nested(Box::new(transaction.transaction(payload)?))
            }
        })
    }
}

/// Returns an error when a key, a value or a lease is outside the bounds of the format.
pub(super) fn check_contents(transaction: &Transaction) -> Result<(), CommandError> {
    for compare in &transaction.compares {
        check_range(&compare.keys)?;
        if let CompareTarget::Value(value) = &compare.target {
            check_length("value", value.len(), 0, VALUE_BYTES_MAX)?;
        }
    }
    for operation in transaction.then.iter().chain(&transaction.otherwise) {
        match operation {
            TransactionOperation::Put(put) => {
                check_length("key", put.key.len(), 1, KEY_BYTES_MAX)?;
                let value_bytes = put.value.as_ref().map_or(0, Bytes::len);
                check_length("value", value_bytes, 0, VALUE_BYTES_MAX)?;
                check_number("lease", put.lease.unwrap_or(0), 0, LEASE_ID_MAX)?;
            }
            TransactionOperation::Delete { keys, .. } => check_range(keys)?,
            TransactionOperation::Read(query) => check_range(&query.keys)?,
            TransactionOperation::Nested(transaction) => check_contents(transaction)?,
        }
    }
    Ok(())
}

/// The end of a range may be one byte longer than a key: it is the first that is not in it.
fn check_range(keys: &KeyRange) -> Result<(), CommandError> {
    let least = usize::from(keys.as_key().is_some());
    check_length("key", keys.start().len(), least, KEY_BYTES_MAX)?;
    check_length("key", keys.end().map_or(0, Bytes::len), 0, KEY_BYTES_MAX + 1)
}
