//! The state machine: a replicated, ordered map with expiry, versions and
//! exactly-once retries.
//!
//! Every node applies the same committed entries in the same order to the same
//! empty [`Store`], so all stores are equal at equal `last_applied`. That holds
//! only while nothing but the entry decides: no clock (time is the entry's
//! stamp), no setting (limits travel in the [`Command`]), no random order (all
//! tables are ordered). [`Store::digest`] shows it from outside.
//!
//! | file | contents |
//! |---|---|
//! | `command` | a command as the log keeps it, and the store's answers |
//! | `codec` | the bytes of a command, as the log keeps them |
//! | `store` | applies entries |
//! | `execute` | executes commands |
//! | `remembered` | an outcome as it is remembered for retries |
//! | `transaction` | outcomes of transactions, and the check before one gets into the log |
//! | `transact` | the execution of a transaction |
//! | `record`, `records` | a value with its numbers, and the keys with theirs |
//! | `edit` | the changes of one entry, with their revision |
//! | `history` | the changes that are kept, and the bounds of their number |
//! | `change`, `changes` | one change, and the queue of those that are kept |
//! | `watch` | the history as watchers read it |
//! | `leases` | the leases with their keys |
//! | `once` | the clients with the outcome of their last command |
//! | `deadlines` | keys and clients ordered by expiry time |
//! | `weight` | the size by which limits count a key |
//! | `expiry` | the steps in which expired keys and clients are removed |
//! | `key_bytes` | a short byte string stored inline |
//! | `pages`, `browse` | answers to people who browse: pages of keys, versions of a key |
//! | `first_key` | the key by which people know a command |
//! | `query`, `reads` | reads, of the present and of the past |
//! | `corruption` | the finding that memory has changed without a write |
//! | `scrub` | the slow walk that verifies every record |
//! | `snapshot` | a store as bytes, and back |
//! | `digest` | the hash of one record |
//! | `digest_history` | the digests after the last entries |
//!
//! The reasons for this structure are in docs/adr/0004-the-store.md and 0020.

mod browse;
mod change;
mod changes;
mod codec;
mod command;
mod corruption;
mod deadlines;
mod digest;
mod digest_history;
mod edit;
mod execute;
mod expiry;
mod first_key;
mod history;
mod key_bytes;
mod leases;
mod once;
mod pages;
mod query;
mod reads;
mod record;
mod records;
mod remembered;
mod scrub;
mod snapshot;
mod store;
mod transact;
mod transaction;
mod watch;
mod weight;

pub use change::ChangeKind;
pub use codec::{
    CLIENT_BYTES_MAX, CommandError, KEY_BYTES_MAX, RENEWALS_MAX, VALUE_BYTES_MAX, needed_format,
    operation_name,
};
pub use command::{Answer, Command, Outcome, StoreStatus};
pub use corruption::{Corruption, Totals};
pub use digest_history::DigestHistory;
pub use first_key::first_key_of;
pub use history::NotReadable;
pub use once::{CLIENT_SILENCE_MS, CLIENTS_MAX};
pub use pages::{Page, Version, Versions};
pub use query::SCAN_BYTES_MAX;
pub use record::{Record, RecordHead};
pub use scrub::{Scrub, ScrubBudget};
pub use snapshot::{SNAPSHOT_BLOCK_BYTES, SnapshotBlocks, SnapshotError, StoreLoader};
pub use store::{ApplyError, Store};
pub use transaction::{
    FailedCompare, OperationOutcome, RangeAnswer, TRANSACTION_DEPTH_MAX, TRANSACTION_OPS_MAX,
    TransactionFault, TransactionLimits, TransactionOutcome,
};
pub use watch::{
    ChangeEvent, HistoryView, WatchBudget, WatchCompacted, WatchCursor, WatchFilter, WatchRead,
    WatchReadError,
};
pub use weight::RECORD_OVERHEAD_BYTES;

pub use crate::commands::{
    Compare, CompareTarget, HistoryLimits, Item, KeyRange, LEASE_ID_MAX, LEASE_TTL, Once,
    Operation, PageQuery, Put, Query, RangeQuery, Relation, Transaction, TransactionOperation,
    VersionsQuery,
};
