//! The identity of a snapshot and its place in the log.

use super::cluster_state::ClusterState;
use super::ids::LogPosition;

/// The identity of a snapshot: two snapshots with equal ids are the same bytes,
/// whichever node wrote them (docs/adr/0008).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SnapshotId {
    /// The last entry that is in the snapshot.
    pub last: LogPosition,
    /// The size of the snapshot's file in bytes.
    pub bytes: u64,
    /// The digest of the snapshot's file.
    pub digest: u128,
}

/// The place in the log that a snapshot describes, as far as the Raft core needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotPoint {
    /// The last entry that is in the snapshot.
    pub last: LogPosition,
    /// The facts about the cluster at `last`.
    pub cluster: ClusterState,
}
