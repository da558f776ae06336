//! Little-endian numbers in the headers of files.

/// Returns the number in the four bytes at `at`.
///
/// # Panics
/// When `bytes` ends before them: callers pass whole headers.
pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(*bytes[at..].first_chunk().expect("callers pass whole headers"))
}

/// Returns the number in the eight bytes at `at`.
///
/// # Panics
/// When `bytes` ends before them: callers pass whole headers.
pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(*bytes[at..].first_chunk().expect("callers pass whole headers"))
}
