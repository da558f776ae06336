//! The arithmetic of majorities, written once more: that of `raft` is under test.

use std::collections::BTreeSet;

use crate::types::{Membership, NodeId};

/// True when the voters for which `includes` holds are a majority of each half.
pub(super) fn is_quorum(membership: &Membership, includes: impl Fn(NodeId) -> bool) -> bool {
    let is_majority = |half: &BTreeSet<NodeId>| {
        2 * half.iter().filter(|voter| includes(**voter)).count() > half.len()
    };
    is_majority(&membership.voters)
        && (membership.outgoing.is_empty() || is_majority(&membership.outgoing))
}

/// The membership that ends a joint one.
pub(super) fn second_half(joint: &Membership) -> Membership {
    Membership { outgoing: BTreeSet::new(), ..joint.clone() }
}
