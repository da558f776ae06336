//! The settings of the core.

use super::leader_lease::LeaseSettings;
use crate::types::{BootId, ClusterId, FormatRange, Member, Membership, NodeId};

/// The settings of a `Raft`. All times are counted in ticks, except those of leases.
#[derive(Clone, Debug)]
// More than fifteen fields: each is one setting of a node, and no rule needs a group of them.
pub struct RaftSettings {
    /// The id of this node.
    pub id: NodeId,
    /// The members while the log names none, with their addresses where those are known: the
    /// servers in servers.toml. Without voters on a server that joins a cluster.
    pub initial_membership: Membership,
    /// The addresses at which this node says it is reached; `None` in tests of the core alone.
    pub own_member: Option<Member>,
    /// The shortest election timeout. A follower that heard its leader within it
    /// refuses to vote (dissertation §4.2.3).
    pub election_timeout_ticks_min: u32,
    /// The longest election timeout. A leader that did not hear a quorum within it steps
    /// down.
    pub election_timeout_ticks_max: u32,
    /// The time between two heartbeats; well below the election timeouts.
    pub heartbeat_ticks: u32,
    /// Leader leases, if they are on.
    pub leader_lease: Option<LeaseSettings>,
    /// The number of ticks in a second, for the bounds that the core has in seconds.
    pub ticks_per_second: u32,
    /// A leader steps down when its disk has not completed a write for this long.
    pub disk_stall_ticks: u32,
    /// True when peers outside the quorum are sent batches (docs/adr/0014).
    pub has_batched_peers: bool,
    /// Entries since the last snapshot that cause the next.
    pub snapshot_entries_max: u64,
    /// Bytes of log ([`crate::types::Entry::weight_bytes`]) since the last snapshot that
    /// cause the next. A snapshot is never taken for fewer bytes of log than the last
    /// snapshot has.
    pub snapshot_bytes_max: u64,
    /// Entries that are kept in the log for followers that lag a little, although the
    /// snapshots cover them.
    pub keep_entries: u64,
    /// Maximum sum of [`crate::types::Entry::weight_bytes`] in one page of entries that is
    /// read from the log for the store.
    pub page_bytes_max: u64,
    /// The settings of the cluster's format and identity.
    pub gate: GateSettings,
    /// The seed of the election timeouts.
    pub seed: u64,
}

/// The settings of the cluster's format and identity (docs/adr/0023, docs/adr/0024).
#[derive(Clone, Debug)]
pub struct GateSettings {
    /// The formats that this node reads.
    pub formats: FormatRange,
    /// The id of the cluster, in case that this node is the first leader that can write one.
    pub new_cluster_id: ClusterId,
    /// The id of this run of the process.
    pub boot: BootId,
    /// The format is raised when all members have been able to read the next one for so long.
    pub raise_after_ticks: u32,
    /// True when a person has asked this server to hold the format where it is.
    pub is_held: bool,
    /// True when the person who starts this node says that its cluster is new.
    pub is_new_cluster: bool,
}
