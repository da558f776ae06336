//! The members of the cluster.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::ids::NodeId;

/// The nodes that have a vote.
///
/// Its encoding has exactly these fields: a field that is unknown or missing is an error. A
/// node that ignored the second half of a joint membership would count other quorums than
/// its peers. So a membership with more in it is another kind of payload with a number of
/// its own, which an older node refuses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Membership {
    /// The nodes whose votes and logs make a quorum; never empty.
    pub voters: BTreeSet<NodeId>,
}
