//! The bounds of what is under way to one peer.

/// The bounds of one peer's replication.
#[derive(Clone, Copy, Debug)]
pub struct ProgressSettings {
    /// Maximum number of entries in one AppendEntries.
    pub append_entries_max: usize,
    /// Maximum sum of `Entry::weight_bytes` in one AppendEntries, unless its only entry is
    /// larger.
    pub append_bytes_max: u64,
    /// Bound on entries that are sent and not acknowledged: no request is sent at or above it.
    pub inflight_entries_max: usize,
    /// Bound on bytes that are sent and not acknowledged: no request is sent at or above it.
    /// It is also the maximum size of the newest entries that are kept in memory for a peer
    /// that lags; older entries are read from the log again.
    pub inflight_bytes_max: u64,
    /// Size of one piece of a snapshot in bytes: small enough that a heartbeat on the same
    /// connection hardly waits for it.
    pub snapshot_piece_bytes: u64,
    /// Bound on bytes of a snapshot that are sent and not acknowledged: no piece is sent at
    /// or above it.
    pub snapshot_window_bytes: u64,
}
