use proptest::prelude::*;

use super::*;
use crate::testing::memberships::{any_membership, joint, largest, member, membership};

fn ids(ids: &[u64]) -> BTreeSet<NodeId> {
    ids.iter().copied().map(NodeId).collect()
}

fn half(half: &[u64]) -> impl Fn(NodeId) -> bool {
    move |id| half.contains(&id.0)
}

#[test]
fn a_seed_has_voters_and_nothing_else() {
    let seed = Membership::seed([3, 1, 2].map(NodeId));
    assert!(seed.is_seed() && !seed.is_joint());
    assert_eq!((seed.ids(), seed.last_id), (ids(&[1, 2, 3]), NodeId(3)));
    assert_eq!(seed.fault(), None);
    assert_eq!(membership(&[1, 2, 3], &[7]).to_seed(), seed);
    assert!(!seed.is_removed(NodeId(2)) && !seed.is_removed(NodeId(9)));
}

/// A seed says nothing about servers that it does not name: they may be of a later list.
#[test]
fn only_a_membership_with_addresses_knows_that_an_id_is_gone() {
    let members = membership(&[1, 2, 5], &[7]);
    let gone: Vec<u64> = (1..10).filter(|id| members.is_removed(NodeId(*id))).collect();
    assert_eq!(gone, [3, 4, 6]);
    assert!((1..10).all(|id| !Membership::seed([1, 2, 5].map(NodeId)).is_removed(NodeId(id))));
}

#[test]
fn the_members_of_a_joint_membership_are_those_of_both_halves_and_the_learners() {
    let joint = joint();
    assert!(joint.is_joint());
    assert_eq!(joint.all_voters(), ids(&[1, 2, 3, 6]));
    assert_eq!(joint.ids(), ids(&[1, 2, 3, 6, 7]));
    for (id, is_voter) in [(1, true), (3, true), (6, true), (7, false)] {
        assert!(joint.is_member(NodeId(id)));
        assert_eq!(joint.is_voter(NodeId(id)), is_voter);
        assert_eq!(joint.is_learner(NodeId(id)), !is_voter);
    }
    assert!(!joint.is_member(NodeId(4)) && !joint.is_learner(NodeId(4)));
    assert!(joint.is_removed(NodeId(4)) && joint.is_removed(NodeId(5)));
}

/// Counting the union would take 1, 2 and 7 for a quorum here.
#[test]
fn a_quorum_of_a_joint_membership_is_a_majority_of_each_half() {
    let disjoint = Membership { outgoing: ids(&[1, 2, 3]), ..membership(&[4, 5, 6], &[1, 2, 3]) };
    assert!(disjoint.is_quorum(half(&[1, 2, 4, 5])));
    for wanting in [&[1, 2, 3, 4][..], &[1, 4, 5, 6], &[1, 2, 3], &[4, 5, 6], &[]] {
        assert!(!disjoint.is_quorum(half(wanting)), "{wanting:?}");
    }
    assert!(!Membership::default().is_quorum(|_| true), "a server that joins has no quorum");
    assert!((1..9).all(|id| disjoint.is_quorum_without(NodeId(id))));
    let shrinking = Membership { outgoing: ids(&[1, 2]), ..membership(&[1], &[2]) };
    assert!(!shrinking.is_quorum_without(NodeId(1)) && !shrinking.is_quorum_without(NodeId(2)));
    assert!(shrinking.is_quorum_without(NodeId(3)), "a learner is never needed");
}

#[test]
fn a_membership_that_no_log_may_have_is_found_out() {
    let whole = joint();
    assert_eq!(whole.fault(), None);
    assert_eq!(largest().fault(), None);
    let member_of =
        |host: &str, port| Member { peer: Address { host: host.into(), port }, ..member(1) };
    let with = |member: Member| {
        let mut members = whole.members.clone();
        members.insert(NodeId(1), member);
        Membership { members, ..whole.clone() }
    };
    let many: Vec<u64> = (1..=MEMBERS_MAX as u64 + 1).collect();
    let ended = EndedChange {
        number: LogIndex(1),
        what: ChangeKind::Update { id: NodeId(1) },
        is_done: true,
    };
    let removed: BTreeMap<NodeId, LogIndex> =
        (1..=REMOVED_MAX as u64 + 1).map(|id| (NodeId(id), LogIndex(id))).collect();
    let faulty = [
        (Membership { voters: ids(&[]), ..whole.clone() }, "it has no voters"),
        (membership(&[0, 1], &[]), "a member with the id 0"),
        (membership(&many, &[]), "too many members"),
        (Membership { voters: ids(&[1, 2, 9]), ..whole.clone() }, "a voter has no addresses"),
        (Membership { outgoing: ids(&[8]), ..whole.clone() }, "a voter has no addresses"),
        (Membership { last_id: NodeId(6), ..whole.clone() }, "a higher id than any member"),
        (Membership { change: None, ..whole.clone() }, "it is joint, and no change is under way"),
        (Membership { members: BTreeMap::new(), ..whole.clone() }, "its members have no addresses"),
        (
            Membership { last_id: NodeId(4), ..Membership::seed([NodeId(3)]) },
            "its members have no addresses",
        ),
        (
            Membership { ended: vec![ended; ENDED_CHANGES_MAX + 1], ..whole.clone() },
            "it remembers too much",
        ),
        (Membership { removed, ..whole.clone() }, "it remembers too much"),
        (with(member_of("", 1)), "an address is empty"),
        (with(member_of(&"h".repeat(256), 1)), "too long"),
        (with(member_of("a b", 1)), "not printable"),
        (with(member_of("h", 0)), "an address is empty"),
    ];
    for (faulty, expected) in faulty {
        let fault = faulty.fault().expect(expected);
        assert!(fault.contains(expected), "{fault:?} and not {expected:?}");
    }
}

#[test]
fn a_membership_is_one_line_for_people() {
    assert_eq!(Membership::seed([1, 2].map(NodeId)).to_string(), "voters=1,2");
    assert_eq!(
        membership(&[1, 2], &[]).to_string(),
        "voters=1,2 addresses=1=h1:9001/h1:9000,2=h2:9001/h2:9000 last_id=2"
    );
    assert_eq!(
        joint().to_string(),
        "voters=1,2,6 outgoing=1,2,3 learners=7 addresses=1=h1:9001/h1:9000,2=h2:9001/h2:9000,\
         3=h3:9001/h3:9000,6=h6:9001/h6:9000,7=h7:9001/h7:9000 last_id=7 \
         change=\"40: replace 3 by 6\" ended=\"20: add 5 as a voter, cancelled; 30: remove 4, \
         done\" removed=4@31,5@33"
    );
}

proptest! {
    #[test]
    fn any_membership_of_the_tests_is_one_that_a_log_may_have(membership in any_membership()) {
        prop_assert_eq!(membership.fault(), None);
        prop_assert!(!membership.to_string().contains('\n'));
        for id in membership.ids() {
            prop_assert!(!membership.is_removed(id));
            prop_assert!(membership.is_voter(id) != membership.is_learner(id));
        }
    }
}
