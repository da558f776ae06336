//! The status that a node reports.

use std::fmt;

use super::rpc::SnapshotRefusal;
use crate::types::{ClusterId, FormatInForce, FormatRange, LogIndex, NodeId, Term};

/// A node's role in its term (§5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Follows a leader, or waits for one.
    Follower,
    /// Asks whether it would be elected (dissertation §9.6).
    PreCandidate,
    /// Asks for votes.
    Candidate,
    /// Leads its term.
    Leader,
    /// A voter that has lost what it had: it follows, and is not counted until it has
    /// caught up.
    Rejoining,
    /// Follows without a vote: a learner, or a server that is not known to be a member yet.
    Learner,
    /// Was a member, and knows that it is none any more.
    Removed,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Role::Follower => "follower",
            Role::PreCandidate => "pre_candidate",
            Role::Candidate => "candidate",
            Role::Leader => "leader",
            Role::Rejoining => "rejoining",
            Role::Learner => "learner",
            Role::Removed => "removed",
        })
    }
}

/// The progress of a snapshot that is being sent to a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotProgress {
    /// Bytes that the peer has acknowledged.
    pub acked_bytes: u64,
    /// Size of the snapshot in bytes.
    pub bytes: u64,
}

/// The state of one node at one point in time, without that of its store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeStatus {
    /// The node.
    pub id: NodeId,
    /// Its role.
    pub role: Role,
    /// Its current term.
    pub term: Term,
    /// The leader of that term, when it knows one.
    pub leader_id: Option<NodeId>,
    /// The newest entry that it knows to be committed.
    pub commit_index: LogIndex,
    /// The end of its log.
    pub last_log_index: LogIndex,
    /// The newest entry that its disk has for certain.
    pub last_persisted_index: LogIndex,
    /// The last entry that its newest snapshot includes; 0 for none.
    pub snapshot_index: LogIndex,
    /// The peers that a leader is sending a snapshot to, each with its progress.
    pub snapshot_progress: Vec<(NodeId, SnapshotProgress)>,
    /// The peers that refused the snapshot which a leader sent them last, each with its
    /// reason.
    pub snapshot_refusals: Vec<(NodeId, SnapshotRefusal)>,
    /// The entry that removed this node from the cluster, if it knows that it was removed.
    pub removed_at: Option<LogIndex>,
    /// The format and the identity of the cluster, as this node knows them.
    pub cluster: ClusterStatus,
}

/// The format and the identity of the cluster, as one node knows them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterStatus {
    /// The format in force.
    pub format: FormatInForce,
    /// The id of the cluster, when it is known.
    pub cluster_id: Option<ClusterId>,
    /// The formats that this node reads.
    pub formats: FormatRange,
    /// True when a person has asked this server to hold the format where it is.
    pub is_held: bool,
    /// True while this server is drained.
    pub is_draining: bool,
    /// As the leader: a clause that says what the next raise waits for; `None` when there is no
    /// higher format, and on any other node.
    pub raise_waits_for: Option<String>,
}
