use super::*;
use crate::types::{Address, MEMBERS_MAX};

fn n(id: u64) -> NodeId {
    NodeId(id)
}

fn i(index: u64) -> LogIndex {
    LogIndex(index)
}

fn member(id: u64) -> Member {
    let address = |port| Address { host: format!("10.0.0.{id}"), port };
    Member { peer: address(9001), client: address(9000) }
}

fn voters(ids: &[u64]) -> Membership {
    Membership::of_voters(ids.iter().map(|id| (n(*id), member(*id))).collect())
}

fn ids(set: &BTreeSet<NodeId>) -> Vec<u64> {
    set.iter().map(|id| id.0).collect()
}

/// Every membership on the way is one that a log may have.
fn sound(membership: Membership) -> Membership {
    assert_eq!(membership.fault(), None, "{membership:?}");
    membership
}

#[test]
fn a_new_server_is_a_learner_then_half_a_voter_then_a_voter() {
    let before = voters(&[1, 2, 3]);
    let what = ChangeKind::Add { id: n(6) };
    let begun = sound(begin(&before, i(10), what, Some(&member(6))));
    assert!(begun.is_learner(n(6)) && !begun.is_joint());
    assert_eq!(begun.change, Some(Change { number: i(10), what }));
    assert_eq!(begun.last_id, n(6));
    let joint = sound(join(&begun));
    assert_eq!((ids(&joint.voters), ids(&joint.outgoing)), (vec![1, 2, 3, 6], vec![1, 2, 3]));
    let ended = sound(finish(&joint, i(12)));
    assert_eq!(
        (ids(&ended.voters), ended.is_joint(), &ended.change),
        (vec![1, 2, 3, 6], false, &None)
    );
    assert_eq!(ended.ended, [EndedChange { number: i(10), what, is_done: true }]);
    assert_eq!(ended.removed.len(), 0);
}

#[test]
fn a_replacement_is_one_joint_change() {
    let before = voters(&[1, 2, 3]);
    let what = ChangeKind::Replace { old: n(3), new: n(4) };
    let begun = sound(begin(&before, i(10), what, Some(&member(4))));
    assert!(begun.is_learner(n(4)) && begun.is_voter(n(3)));
    let joint = sound(join(&begun));
    assert_eq!((ids(&joint.voters), ids(&joint.outgoing)), (vec![1, 2, 4], vec![1, 2, 3]));
    assert!(joint.is_member(n(3)), "it is needed until the end");
    let ended = sound(finish(&joint, i(15)));
    assert_eq!(ids(&ended.ids()), [1, 2, 4]);
    assert!(ended.is_removed(n(3)));
    assert_eq!(ended.removed.get(&n(3)), Some(&i(15)));
}

#[test]
fn the_removal_of_a_voter_is_joint_and_that_of_a_learner_is_one_entry() {
    let before = voters(&[1, 2, 3]);
    let removed = sound(begin(&before, i(10), ChangeKind::Remove { id: n(3) }, None));
    assert_eq!((ids(&removed.voters), ids(&removed.outgoing)), (vec![1, 2], vec![1, 2, 3]));
    let learner = ChangeKind::AddLearner { id: n(4) };
    let added = sound(begin(&before, i(10), learner, Some(&member(4))));
    assert_eq!(added.ended, [EndedChange { number: i(10), what: learner, is_done: true }]);
    assert_eq!(added.change, None);
    let gone = sound(begin(&added, i(11), ChangeKind::Remove { id: n(4) }, None));
    assert_eq!((gone.change.clone(), ids(&gone.ids())), (None, vec![1, 2, 3]));
    assert_eq!((gone.removed.get(&n(4)), gone.last_id), (Some(&i(11)), n(4)));
}

#[test]
fn a_demoted_voter_stays_a_member_and_a_promoted_learner_had_to_catch_up() {
    let before = voters(&[1, 2, 3]);
    let joint = sound(begin(&before, i(10), ChangeKind::Demote { id: n(2) }, None));
    assert!(joint.is_joint());
    let demoted = sound(finish(&joint, i(11)));
    assert!(demoted.is_learner(n(2)) && demoted.removed.is_empty());
    let noted = sound(begin(&demoted, i(12), ChangeKind::Promote { id: n(2) }, None));
    assert!(noted.is_learner(n(2)) && noted.change.is_some());
    let joint = sound(join(&noted));
    assert_eq!(ids(&sound(finish(&joint, i(14))).voters), [1, 2, 3]);
}

#[test]
fn a_change_that_is_taken_back_burns_the_id_of_the_newcomer() {
    let before = voters(&[1, 2, 3]);
    for what in [ChangeKind::Add { id: n(7) }, ChangeKind::Replace { old: n(1), new: n(7) }] {
        let begun = begin(&before, i(10), what, Some(&member(7)));
        let cancelled = sound(cancel(&begun, i(11)));
        assert_eq!((ids(&cancelled.ids()), cancelled.last_id), (vec![1, 2, 3], n(7)));
        assert_eq!(cancelled.ended, [EndedChange { number: i(10), what, is_done: false }]);
        assert!(cancelled.is_removed(n(7)) && !cancelled.is_removed(n(1)));
    }
    let learner = begin(&before, i(10), ChangeKind::AddLearner { id: n(7) }, Some(&member(7)));
    let noted = begin(&learner, i(11), ChangeKind::Promote { id: n(7) }, None);
    assert!(sound(cancel(&noted, i(12))).is_learner(n(7)), "a learner stays what it was");
}

/// docs/bugs.md, and etcd#21694: an update must touch the addresses and nothing else.
#[test]
fn an_update_touches_the_addresses_and_nothing_else() {
    let before = voters(&[1, 2, 3]);
    let learner = begin(&before, i(10), ChangeKind::AddLearner { id: n(7) }, Some(&member(7)));
    let updated = sound(begin(&learner, i(11), ChangeKind::Update { id: n(7) }, Some(&member(9))));
    assert!(updated.is_learner(n(7)));
    assert_eq!(updated.members[&n(7)], member(9));
    let by_itself = sound(with_addresses(&updated, n(2), member(8)));
    assert_eq!(by_itself.members[&n(2)], member(8));
    assert_eq!((&by_itself.ended, &by_itself.change), (&updated.ended, &None));
    assert_eq!(by_itself.voters, before.voters);
}

#[test]
fn what_is_remembered_has_bounds_and_the_oldest_goes_first() {
    let mut membership = voters(&[1]);
    let rounds = REMOVED_MAX as u64 + 3;
    for round in 0..rounds {
        let (id, index) = (n(2 + round), i(10 + 2 * round));
        let added =
            sound(begin(&membership, index, ChangeKind::AddLearner { id }, Some(&member(2))));
        membership = sound(begin(&added, index.next(), ChangeKind::Remove { id }, None));
    }
    assert_eq!(
        (membership.removed.len(), membership.ended.len()),
        (REMOVED_MAX, ENDED_CHANGES_MAX)
    );
    assert!(!membership.removed.contains_key(&n(4)) && membership.removed.contains_key(&n(5)));
    assert!(membership.is_removed(n(4)), "it is known to be gone, and not since when");
    assert_eq!(membership.last_id, n(1 + rounds));
    assert!(membership.ids().len() < MEMBERS_MAX);
}
