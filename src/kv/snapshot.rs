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
//!   4 head     the fields of 1, and the numbers of the history   exactly one, first
//!   7 keys     [key, record]                                     in the order of keys
//!   8 changes  [action, key, ...]                                in the order of their numbers
//!   9 gone     [key, number of a change]                         in the order of keys
//!   3 clients  as above
//! ```
//!
//! A record that several have, the keys and the changes, is written once, and shared again by the
//! store that is loaded.
//!
//! Keys and clients that have expired and are not removed yet are in it: a store that is
//! loaded removes them with the same entries as any other. Equal stores give equal blocks, on
//! every node. The loader does not rely on that: it
//! compares the counts and the digest of the loaded store with those in the head.

mod blocks;
mod fields;
mod history;
mod loader;

#[cfg(test)]
mod tests;

pub use blocks::SnapshotBlocks;
pub use loader::{SnapshotError, StoreLoader};

/// Size in bytes at which a block is full. The record that reaches it is the block's last.
pub const SNAPSHOT_BLOCK_BYTES: usize = 256 * 1024;

const HEAD: u8 = 1;
const KEYS: u8 = 2;
const CLIENTS: u8 = 3;
/// The head from format 4 on.
const HEAD_4: u8 = 4;
/// The keys from format 4 on.
const KEYS_4: u8 = 7;
const CHANGES: u8 = 8;
const GONE: u8 = 9;

/// MessagePack's marker of an array whose count takes four bytes.
const ARRAY_32: u8 = 0xdd;
/// The place of that count in a block.
const COUNT: std::ops::Range<usize> = 2..6;
