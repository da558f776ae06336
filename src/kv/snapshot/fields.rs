//! The records of the blocks, field by field, in their order.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::kv::record::Record;
use crate::types::LogIndex;

/// The content of the head block before format 4, and the first field of the later one.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Head {
    pub last_applied: LogIndex,
    pub clock_ms: u64,
    pub keys: u64,
    pub clients: u64,
    pub digest: u64,
}

/// One record of a block of keys before format 4.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KeyFields<'a> {
    #[serde(with = "serde_bytes")]
    pub key: &'a [u8],
    #[serde(with = "serde_bytes")]
    pub value: &'a [u8],
    pub version: u64,
    pub deadline_ms: Option<u64>,
}

/// One record of a block of clients before format 4.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ClientFields<'a> {
    #[serde(with = "serde_bytes")]
    pub name: &'a [u8],
    pub seq: u64,
    /// The outcome's number, as in the digest.
    pub outcome: u64,
    pub version: u64,
    pub last_used_ms: u64,
}

/// The content of the head block from format 4 on.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Head4 {
    pub head: Head,
    pub history: HistoryHead,
}

/// The numbers of the history.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HistoryHead {
    pub revision: u64,
    pub compacted: u64,
    pub kept_from: u64,
    pub base_ms: u64,
    pub keep_revisions: u64,
    pub bytes_max: u64,
    /// The number of the oldest change in the blocks, and that of the change after the newest.
    pub first: u64,
    pub next: u64,
    /// The number of keys that are gone.
    pub gone: u64,
    /// The last key of the oldest change that is forgotten already, if it is the end of a lease.
    #[serde(with = "serde_bytes")]
    pub forgotten: Option<Vec<u8>>,
}

/// One record of a block of leases.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LeaseFields {
    pub id: u64,
    pub ttl: u64,
    pub deadline_ms: u64,
    pub granted_revision: u64,
}

/// One record of a block of leases that have ended.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EndedFields {
    pub id: u64,
    pub granted_revision: u64,
    /// The number of the change that tells of the end.
    pub change: u64,
}

/// One record of a block of clients.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ClientFields4<'a> {
    #[serde(with = "serde_bytes")]
    pub name: &'a [u8],
    pub seq: u64,
    /// The outcome's number, as in the digest.
    pub outcome: u64,
    pub number: u64,
    #[serde(with = "serde_bytes", borrow)]
    pub rest: Cow<'a, [u8]>,
    pub last_used_ms: u64,
}

/// One record of a block of keys.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KeyFields4<'a> {
    #[serde(with = "serde_bytes")]
    pub key: &'a [u8],
    #[serde(borrow)]
    pub record: RecordFields<'a>,
}

/// A record of a key.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RecordFields<'a> {
    #[serde(with = "serde_bytes")]
    pub value: &'a [u8],
    pub create_revision: u64,
    pub mod_revision: u64,
    pub version: u64,
    pub lease: u64,
    pub deadline_ms: Option<u64>,
    pub change: u64,
}

/// One record of a block of changes: a change, or a key of the end of a lease, which follows the
/// change.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangeFields<'a> {
    /// The number of the action: see [`action`].
    pub action: u64,
    /// The key; empty for the end of a lease.
    #[serde(with = "serde_bytes")]
    pub key: &'a [u8],
    /// The revision; 0 for a key of the end of a lease.
    pub revision: u64,
    /// The store's clock; 0 for a key of the end of a lease.
    pub at_ms: u64,
    /// The number of the change before a put; the id of a lease that ends.
    pub number: u64,
    /// The time from which on the keys were hidden; 0 for other actions.
    pub due_ms: u64,
    /// The record that was written; nil when it is the one that is stored, and for other actions.
    #[serde(borrow)]
    pub record: Option<RecordFields<'a>>,
    /// The number of the change that wrote the record which was there before; 0 when there was
    /// none, or when that change is not kept. Of the end of a lease the number of its keys.
    pub written_by: u64,
    /// The record that was there before, when the change that wrote it is not kept.
    #[serde(borrow)]
    pub previous: Option<RecordFields<'a>>,
}

/// The numbers of the actions.
pub(super) mod action {
    pub const PUT: u64 = 1;
    pub const DELETE: u64 = 2;
    pub const EXPIRE: u64 = 3;
    /// The end of a lease that was revoked, and of one that was due.
    pub const REVOKED: u64 = 4;
    pub const LEASE_DUE: u64 = 5;
    /// A key of the end of a lease.
    pub const LEASE_KEY: u64 = 6;
}

/// One record of a block of keys that are gone.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GoneFields<'a> {
    #[serde(with = "serde_bytes")]
    pub key: &'a [u8],
    /// The number of the change that removed the key.
    pub change: u64,
}

impl<'a> RecordFields<'a> {
    pub fn of(record: &'a Record) -> RecordFields<'a> {
        RecordFields {
            value: record.value(),
            create_revision: record.create_revision,
            mod_revision: record.mod_revision,
            version: record.version,
            lease: record.lease,
            deadline_ms: record.deadline_ms,
            change: record.change,
        }
    }
}
