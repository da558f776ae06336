//! A node's status at one point in time.

/// The fields of a `status` reply that are checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sample {
    pub(crate) id: u64,
    /// The number of the node's life, which counts its starts.
    pub(crate) life: u64,
    pub(crate) role: String,
    pub(crate) term: u64,
    pub(crate) commit_index: u64,
    pub(crate) last_applied: u64,
    pub(crate) last_log_index: u64,
    pub(crate) snapshot_index: u64,
    pub(crate) store_digest: u64,
    /// The node's memory that its clients use, in bytes.
    pub(crate) memory_bytes_used: u64,
    /// The format in force.
    pub(crate) format: u64,
    /// The id of the cluster; `none` without one.
    pub(crate) cluster_id: String,
    /// The moment at which the poll was sent, as the wire checker counts.
    pub(crate) asked: u64,
    /// The arrival of the reply, on the logical clock of the clients.
    pub(crate) heard: u64,
    /// The latest time that the store's clock could show by then, in milliseconds.
    pub(crate) latest_clock_ms: u64,
}
