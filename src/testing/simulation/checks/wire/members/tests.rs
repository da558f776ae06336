//! Memberships that follow each other, rightly or wrongly.

use super::super::quorum::is_quorum;
use super::*;
use crate::types::{Address, Change, ChangeKind, Member};

fn at() -> LogPosition {
    LogPosition { term: Term(3), index: LogIndex(9) }
}

fn member(id: u64) -> Member {
    let address = |port| Address { host: format!("n{id}"), port };
    Member { peer: address(9001), client: address(9000) }
}

fn ids(ids: &[u64]) -> BTreeSet<NodeId> {
    ids.iter().copied().map(NodeId).collect()
}

/// The membership of `voters` with more members that learn.
fn plain(voters: &[u64], learners: &[u64]) -> Membership {
    let all = voters.iter().chain(learners);
    let members = all.clone().map(|id| (NodeId(*id), member(*id))).collect();
    let last_id = NodeId(all.copied().max().unwrap_or(0));
    Membership { voters: ids(voters), members, last_id, ..Membership::default() }
}

fn joint(outgoing: &[u64], voters: &[u64]) -> Membership {
    let both: Vec<u64> = outgoing.iter().chain(voters).copied().collect();
    let change = Change { number: LogIndex(8), what: ChangeKind::Promote { id: NodeId(4) } };
    let all = plain(&both, &[]);
    Membership { voters: ids(voters), outgoing: ids(outgoing), change: Some(change), ..all }
}

fn found(now: &Membership, next: &Membership) -> Option<Check> {
    check_step(now, next, at()).err().map(|violation| violation.check)
}

#[test]
fn voters_change_through_a_joint_membership() {
    let (old, learning) = (plain(&[1, 2, 3], &[]), plain(&[1, 2, 3], &[4]));
    assert_eq!(found(&old, &learning), None);
    assert_eq!(found(&learning, &joint(&[1, 2, 3], &[1, 2, 3, 4])), None);
    assert_eq!(found(&joint(&[1, 2, 3], &[1, 2, 3, 4]), &plain(&[1, 2, 3, 4], &[])), None);
    for (wrong, why) in [
        ((&learning, &plain(&[1, 2, 3, 4], &[])), "one step"),
        ((&learning, &joint(&[1, 2], &[1, 2, 3, 4])), "another first half"),
        ((&old, &joint(&[1, 2, 3], &[1, 2, 3, 4])), "a voter that has not learned"),
        ((&joint(&[1, 2, 3], &[1, 2]), &plain(&[1, 3], &[2])), "another second half"),
        ((&joint(&[1, 2, 3], &[1, 2]), &joint(&[1, 2, 3], &[1, 2])), "two joint ones"),
    ] {
        assert_eq!(found(wrong.0, wrong.1), Some(Check::Membership), "{why}");
    }
}

#[test]
fn an_id_is_used_once() {
    let small = Membership { last_id: NodeId(4), ..plain(&[1, 2, 3], &[]) };
    assert_eq!(found(&small, &plain(&[1, 2, 3], &[4])), Some(Check::Membership));
    assert_eq!(found(&small, &plain(&[1, 2, 3], &[5])), None);
    assert_eq!(found(&small, &plain(&[1, 2, 3], &[])), Some(Check::Membership), "it is forgotten");
}

#[test]
fn a_quorum_of_a_joint_membership_is_one_of_each_half() {
    let joint = joint(&[1, 2, 3], &[3, 4, 5]);
    let is_met = |there: &[u64]| is_quorum(&joint, |id| there.contains(&id.0));
    assert!(is_met(&[2, 3, 4]));
    assert!(!is_met(&[1, 2, 3]));
    assert!(!is_met(&[3, 4, 5]));
    assert!(!is_quorum(&Membership::default(), |_| true), "nobody has a vote");
}
