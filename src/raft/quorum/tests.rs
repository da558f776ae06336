//! Majorities of one to seven voters, against their definition.

use super::*;

fn membership(voters: u64) -> Membership {
    Membership::seed((1..=voters).map(NodeId))
}

#[test]
fn a_majority_is_more_than_half_of_the_voters() {
    for (voters, needed) in [(1, 1), (2, 2), (3, 2), (4, 3), (5, 3), (6, 4), (7, 4)] {
        let membership = membership(voters);
        let quorum = Quorum::of(&membership);
        assert!(quorum.is_met(|id| id.0 <= needed), "{needed} of {voters}");
        assert!(!quorum.is_met(|id| id.0 < needed), "fewer than {needed} of {voters}");
    }
}

/// All of Raft depends on this property.
#[test]
fn any_two_majorities_have_a_node_in_common() {
    for voters in 1..=5_u64 {
        let membership = membership(voters);
        let quorum = Quorum::of(&membership);
        let is_in = |set: u64, id: NodeId| set & (1 << (id.0 - 1)) != 0;
        let majorities: Vec<u64> =
            (0..1 << voters).filter(|set| quorum.is_met(|id| is_in(*set, id))).collect();
        for a in &majorities {
            assert!(majorities.iter().all(|b| a & b != 0), "of {voters} voters");
        }
    }
}

#[test]
fn nodes_that_are_no_voters_do_not_count() {
    let membership = membership(3);
    let nodes = BTreeSet::from([NodeId(1), NodeId(8), NodeId(9)]);
    assert!(!Quorum::of(&membership).is_met(|id| nodes.contains(&id)));
}

#[test]
fn an_index_is_committed_when_a_majority_has_reached_it() {
    let cases: [(&[u64], u64); 6] = [
        (&[5], 5),
        (&[5, 3], 3),
        (&[9, 5, 3], 5),
        (&[3, 9, 5, 5], 5),
        (&[0, 0, 7, 8, 9], 7),
        (&[9, 0, 0, 0, 0], 0),
    ];
    for (indexes, committed) in cases {
        let membership = membership(indexes.len() as u64);
        let index_of = |id: NodeId| LogIndex(indexes[id.0 as usize - 1]);
        let reached = Quorum::of(&membership).committed_index(index_of);
        assert_eq!(reached, LogIndex(committed), "{indexes:?}");
        let round_of = |id: NodeId| indexes[id.0 as usize - 1];
        assert_eq!(Quorum::of(&membership).confirmed_round(round_of), committed, "{indexes:?}");
    }
}
