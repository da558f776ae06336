//! Changes of the members, from the beginning to the end (dissertation §4, docs/adr/0026).

use super::cluster::{Cluster, ELECTION_TICKS_MAX, i, n};
use super::members::{add, add_learner, demote, member, promote, remove, replace};
use crate::raft::{MemberOutcome, Role};
use crate::types::MemberOperation;

#[test]
fn a_new_server_becomes_a_learner_catches_up_and_becomes_a_voter() {
    let mut cluster = Cluster::with_members(3, 1);
    let number = cluster.begin(add(4));
    assert!(cluster.members_of(1).is_learner(n(4)));
    cluster.pass(5 * ELECTION_TICKS_MAX);
    assert!(cluster.members_of(1).is_learner(n(4)), "it is not there");
    let waits_for = cluster.status(n(1)).waits_for;
    assert_eq!(waits_for.as_deref(), Some("server 4 is not connected"));
    cluster.add_node(4);
    assert_eq!(cluster.role(4), Role::Learner);
    cluster.pass_until(|cluster| cluster.has_ended(n(1), number));
    cluster.catch_up();
    for id in 1..=4 {
        assert_eq!(cluster.voters_of(id), [1, 2, 3, 4], "node {id}");
        assert!(!cluster.members_of(id).is_joint());
    }
    assert_eq!(cluster.role(4), Role::Follower);
    // It counts: without it the others are too few for one more failure.
    cluster.crash(n(2));
    cluster.crash(n(3));
    cluster.propose(n(1), "no").unwrap();
    cluster.pass(5);
    let before = cluster.raft(n(4)).commit_index();
    cluster.restart(n(2));
    cluster.pass(10 * ELECTION_TICKS_MAX);
    assert!(cluster.raft(n(4)).commit_index() > before);
}

#[test]
fn a_server_is_replaced_by_one_joint_change_although_it_is_dead() {
    let mut cluster = Cluster::with_members(3, 2);
    cluster.crash(n(3));
    cluster.add_node(4);
    cluster.change_and_wait(replace(3, 4));
    cluster.catch_up();
    for id in [1, 2, 4] {
        assert_eq!(cluster.voters_of(id), [1, 2, 4]);
        assert!(cluster.members_of(id).is_removed(n(3)));
    }
    // Two of the three are enough.
    cluster.crash(n(2));
    let index = cluster.propose(n(1), "yes").unwrap();
    cluster.pass(10);
    assert!(cluster.raft(n(4)).commit_index() >= index);
    // The dead one is told when it comes back.
    cluster.restart(n(3));
    assert_eq!(cluster.role(3), Role::Removed);
    assert!(cluster.raft(n(3)).removed_at().is_some());
}

/// Its disk is lost, and its addresses are what they were.
#[test]
fn a_machine_that_was_built_anew_at_its_old_addresses_gets_a_new_id() {
    let mut cluster = Cluster::with_members(3, 2);
    cluster.remove_node(3);
    cluster.pass(2 * ELECTION_TICKS_MAX);
    let operation = MemberOperation::Replace { old: n(3), id: None, member: member(3) };
    let Ok(MemberOutcome::Begun { number, .. }) = cluster.request(n(1), operation.clone(), None)
    else {
        panic!("nobody else has these addresses");
    };
    assert_eq!(cluster.begin(operation.clone()), number, "the same change");
    cluster.add_node(4);
    cluster.move_node(4, 3);
    cluster.pass_until(|cluster| cluster.has_ended(n(1), number));
    cluster.catch_up();
    for id in [1, 2, 4] {
        assert_eq!(cluster.voters_of(id), [1, 2, 4]);
        assert_eq!(cluster.members_of(id).members[&n(4)], member(3));
    }
    assert_eq!(cluster.change(n(1), operation), Ok(MemberOutcome::Already));
}

#[test]
fn a_removed_server_hears_of_it_and_rests() {
    let mut cluster = Cluster::with_members(3, 3);
    cluster.change_and_wait(remove(3));
    cluster.pass_until(|cluster| cluster.role(3) == Role::Removed);
    let at = cluster.members_of(1).removed[&n(3)];
    assert_eq!(cluster.raft(n(3)).status().removed_at, Some(at));
    assert_eq!(cluster.raft(n(3)).forwards_to(), None, "it would hear of no entry");
    let term = cluster.raft(n(1)).term();
    cluster.pass(10 * ELECTION_TICKS_MAX);
    assert_eq!(cluster.raft(n(1)).term(), term, "it disturbs nobody");
    assert_eq!(
        cluster.node(n(1)).peers.ports,
        [n(2)].into(),
        "and nobody keeps a connection to it"
    );
    assert_eq!(cluster.leader(), Some(n(1)));
}

#[test]
fn a_leader_that_removes_itself_leads_until_that_is_committed_and_leaves() {
    let mut cluster = Cluster::with_members(3, 4);
    let number = cluster.begin(remove(1));
    cluster.pass_until(|cluster| cluster.leader().is_some_and(|leader| leader != n(1)));
    let leader = cluster.leader().unwrap();
    cluster.pass_until(|cluster| cluster.role(1) == Role::Removed);
    assert!(cluster.has_ended(leader, number));
    assert_eq!(cluster.voters_of(leader.0), [2, 3]);
    cluster.propose(leader, "on").unwrap();
    cluster.pass(10);
    assert_eq!(cluster.raft(n(2)).commit_index(), cluster.raft(n(3)).commit_index());
}

#[test]
fn a_voter_is_demoted_and_promoted_again() {
    let mut cluster = Cluster::with_members(3, 5);
    cluster.change_and_wait(demote(2));
    cluster.catch_up();
    assert_eq!((cluster.role(2), cluster.voters_of(2)), (Role::Learner, vec![1, 3]));
    let outcome = cluster.change(n(1), demote(2));
    assert_eq!(outcome, Ok(MemberOutcome::Already));
    cluster.change_and_wait(promote(2));
    cluster.catch_up();
    assert_eq!((cluster.role(2), cluster.voters_of(2)), (Role::Follower, vec![1, 2, 3]));
}

#[test]
fn a_learner_gets_everything_and_counts_for_nothing() {
    let mut cluster = Cluster::with_members(3, 6);
    cluster.add_node(4);
    cluster.change_and_wait(add_learner(4));
    cluster.pass(20);
    let index = cluster.propose(n(1), "x").unwrap();
    cluster.pass(10);
    assert!(cluster.raft(n(4)).commit_index() >= index);
    cluster.crash(n(2));
    cluster.crash(n(3));
    let lost = cluster.propose(n(1), "alone").unwrap();
    cluster.pass(5);
    assert!(cluster.raft(n(1)).commit_index() < lost, "one of three voters is no majority");
    assert!(cluster.node(n(4)).disk.log().entry(lost).is_some());
    assert!(cluster.raft(n(4)).last_log().index >= i(1));
}

/// Whoever added it has mistyped its address, and it has found the others by itself. Between its
/// vote and a later update nobody else would know where it is.
#[test]
fn a_new_server_becomes_a_voter_with_the_addresses_that_it_says() {
    let mut cluster = Cluster::with_members(1, 1);
    let mistyped = MemberOperation::Add { id: Some(n(2)), member: member(12), is_learner: false };
    let number = cluster.begin(mistyped);
    cluster.add_node(2);
    // It was told the id of the cluster when it asked to join.
    cluster.crash(n(2));
    cluster.gate_mut(n(2)).cluster_id = cluster.gate(n(1)).cluster_id;
    cluster.restart(n(2));
    cluster.pass_until(|cluster| cluster.members_of(1).is_voter(n(2)));
    assert_eq!(cluster.members_of(1).members[&n(2)], member(2));
    cluster.pass_until(|cluster| cluster.has_ended(n(1), number));
    assert_eq!(cluster.members_of(2).members[&n(2)], member(2));
}
