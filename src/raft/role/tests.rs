//! Candidacies by themselves.

use super::*;
use crate::types::Membership;

#[test]
fn a_candidacy_is_won_with_a_quorum_and_lost_when_none_is_left() {
    let membership = Membership::seed((1..=5).map(NodeId));
    let quorum = Quorum::of(&membership);
    let mut candidacy = Candidacy::with(NodeId(1));
    candidacy.grant(NodeId(2));
    candidacy.refuse(NodeId(3));
    candidacy.refuse(NodeId(4));
    assert!(!candidacy.is_won(quorum) && !candidacy.is_lost(quorum));
    candidacy.grant(NodeId(5));
    assert!(candidacy.is_won(quorum));
    candidacy.refuse(NodeId(2));
    assert!(candidacy.is_lost(quorum));
}

#[test]
fn the_same_vote_counts_once() {
    let membership = Membership::seed((1..=3).map(NodeId));
    let mut candidacy = Candidacy::default();
    candidacy.grant(NodeId(2));
    candidacy.grant(NodeId(2));
    assert!(!candidacy.is_won(Quorum::of(&membership)));
    assert!(!candidacy.is_granted_by(NodeId(1)));
}

#[test]
fn a_leader_that_is_given_up_counts_as_silent() {
    let mut contact = LeaderContact::heard(NodeId(2));
    contact.tick();
    assert_eq!((contact.leader_id(), contact.silent_ticks()), (NodeId(2), 1));
    contact.give_up(10);
    assert_eq!(contact.silent_ticks(), 10);
}
