//! The durable state of a node besides its log.

use serde::{Deserialize, Serialize};

use super::ids::{LogPosition, NodeId, Term};

/// The state that a node must never forget (Figure 2, "persistent state"). It is kept
/// in one durable record, so that no crash can separate a term from its vote.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HardState {
    /// The latest term that this node has seen.
    pub current_term: Term,
    /// The candidate that this node voted for in that term.
    pub voted_for: Option<NodeId>,
    /// True when the node may have forgotten a promise: its data directory was new
    /// although the node may have run before, or its log was cut where it was damaged.
    /// Such a node is not counted in any quorum until it is known to remember all that
    /// it could have promised (docs/adr/0005, docs/adr/0009, docs/bugs.md B52).
    pub is_rejoining: bool,
    /// The furthest position that is known to have been in the log of a rejoining node and
    /// was lost (docs/adr/0009); 0@0 when nothing is known to be lost, and of any other node.
    pub lost: LogPosition,
    /// True when `lost` is exactly the end that the log had: the node never acknowledged
    /// anything after it. False when the log may have reached further than `lost`.
    pub is_end_known: bool,
}
