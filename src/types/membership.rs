//! The members of the cluster.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::ids::NodeId;

/// The nodes that have a vote. Encoded as a map, so that learners and joint
/// memberships can be added later without changing what is on disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    /// The nodes whose votes and logs make a quorum; never empty.
    pub voters: BTreeSet<NodeId>,
}
