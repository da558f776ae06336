//! A block of a snapshot in the making, and the kinds of blocks.

use serde::Serialize;

/// Size in bytes at which a block is full. The record that reaches it is the block's last.
pub const SNAPSHOT_BLOCK_BYTES: usize = 256 * 1024;

pub(super) const HEAD: u8 = 1;
pub(super) const KEYS: u8 = 2;
pub(super) const CLIENTS: u8 = 3;
/// The head from format 4 on.
pub(super) const HEAD_4: u8 = 4;
pub(super) const LEASES: u8 = 5;
/// The leases that have ended and have keys that are not removed yet.
pub(super) const ENDED: u8 = 6;
/// The keys from format 4 on.
pub(super) const KEYS_4: u8 = 7;
pub(super) const CHANGES: u8 = 8;
pub(super) const GONE: u8 = 9;
/// The clients from format 4 on.
pub(super) const CLIENTS_4: u8 = 10;

/// MessagePack's marker of an array whose count takes four bytes.
pub(super) const ARRAY_32: u8 = 0xdd;
/// The place of that count in a block.
pub(super) const COUNT: std::ops::Range<usize> = 2..6;

/// A block in the making.
pub(super) struct Block {
    bytes: Vec<u8>,
    records: u32,
}

impl Block {
    /// A block of this kind, without records.
    pub fn new(kind: u8) -> Block {
        // `finish` writes the count over the four zeros.
        Block { bytes: vec![kind, ARRAY_32, 0, 0, 0, 0], records: 0 }
    }

    /// True when it has no records.
    pub fn is_empty(&self) -> bool {
        self.records == 0
    }

    /// Adds a record; true when the block is full.
    pub fn add(&mut self, record: &impl Serialize) -> bool {
        self.records += 1;
        rmp_serde::encode::write(&mut self.bytes, record)
            .expect("numbers and byte strings always encode to MessagePack in memory");
        self.bytes.len() >= SNAPSHOT_BLOCK_BYTES
    }

    /// The bytes of the block.
    pub fn finish(mut self) -> Vec<u8> {
        self.bytes[COUNT].copy_from_slice(&self.records.to_be_bytes());
        self.bytes
    }
}
