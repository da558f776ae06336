//! A store as bytes, and back: the content of a snapshot (docs/adr/0008).
//!
//! A snapshot is a sequence of blocks. The first byte of a block is its kind; the rest
//! is a MessagePack array of records. Before format 4:
//!
//! ```text
//!   1 head     [last_applied, clock_ms, keys, clients, digest]   exactly one, first
//!   2 keys     [key, value, version, deadline_ms or nil]         in the order of keys
//!   3 clients  [name, seq, outcome, version, last_used_ms]       in the order of names
//! ```
//!
//! From format 4 on (`fields` has the records in full):
//!
//! ```text
//!    4 head     the fields of 1, and the numbers of the history   exactly one, first
//!    5 leases   [id, ttl, deadline_ms, granted_revision]          in the order of ids
//!    6 ended    [id, granted_revision, number of a change]        in the order of ids
//!    7 keys     [key, record]                                     in the order of keys
//!    8 changes  [action, key, ...]                                in the order of their numbers
//!    9 gone     [key, number of a change]                         in the order of keys
//!   10 clients  [name, seq, outcome, number, rest, last_used_ms]  in the order of names
//! ```
//!
//! A record that several have, the keys and the changes, is written once, and shared again by the
//! store that is loaded.
//!
//! Keys and clients that have expired and are not removed yet are in it: a store that is
//! loaded removes them with the same entries as any other. Equal stores give equal blocks, on
//! every node. The loader does not rely on that: it
//! compares the counts and the digest of the loaded store with those in the head.

mod block;
mod blocks;
mod error;
mod fields;
mod history;
mod loader;

#[cfg(test)]
mod tests;

pub use block::SNAPSHOT_BLOCK_BYTES;
pub use blocks::SnapshotBlocks;
pub use error::SnapshotError;
pub use loader::StoreLoader;
