//! The size by which limits count a key.

/// The cost of a key in bytes, besides the bytes of key and value: its place in the
/// ordered map and among the deadlines, the record, and the allocations of a long key and
/// of the value. It is a round figure for limits, not an exact size. It is part of the
/// format, because `ERR_FULL` depends on it.
pub const RECORD_OVERHEAD_BYTES: u64 = 256;

/// The size by which `store_bytes_max` counts a key.
pub(super) fn weight_bytes(key: &[u8], value: &[u8]) -> u64 {
    key.len() as u64 + value.len() as u64 + RECORD_OVERHEAD_BYTES
}
