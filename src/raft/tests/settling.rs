//! A node that has just started neither votes nor campaigns before those that remember what it
//! acknowledged could tell it (docs/adr/0024).

use super::cluster::{ELECTION_TICKS_MAX, ELECTION_TICKS_MIN, n};
use super::solo::{Solo, append, at, pre_vote, pre_voted, request_vote, voted};
use crate::raft::{Role, Rpc};

/// Node 1 of three with a log of one entry in term 1. It has heard from nobody.
fn starting() -> Solo {
    let mut solo = Solo::new(3, &[1], 1);
    solo.restart_unsettled();
    solo
}

/// The answer to a pre-vote for term 9.
fn is_pre_vote_granted(solo: &mut Solo) -> bool {
    let (_, answer) = solo.ask(2, 9, pre_vote(at(5, 1)));
    answer == pre_voted(true)
}

#[test]
fn it_gives_no_vote_before_every_peer_has_answered_or_refused() {
    let mut solo = starting();
    assert!(!is_pre_vote_granted(&mut solo));
    assert_eq!(solo.ask(2, 2, request_vote(at(5, 1))), (2, voted(false)));
    solo.raft.on_peer_reached(n(2));
    assert!(!is_pre_vote_granted(&mut solo), "node 3 is missing");
    solo.raft.on_connection_refused(n(3));
    assert!(is_pre_vote_granted(&mut solo));
    assert_eq!(solo.ask(2, 3, request_vote(at(5, 1))), (3, voted(true)));
}

#[test]
fn it_waits_no_longer_than_the_shortest_election_timeout() {
    let mut solo = starting();
    solo.tick(ELECTION_TICKS_MIN - 1);
    assert!(!is_pre_vote_granted(&mut solo));
    solo.tick(1);
    assert!(is_pre_vote_granted(&mut solo));
}

/// All that wait for the same silent peer are over it at the same time.
#[test]
fn it_campaigns_only_then_and_at_a_random_time() {
    let mut solo = starting();
    assert_eq!(solo.tick(ELECTION_TICKS_MIN), []);
    assert_eq!(solo.raft.role(), Role::Follower);
    let sent = solo.tick(ELECTION_TICKS_MIN);
    assert!(sent.iter().any(|envelope| matches!(envelope.rpc, Rpc::PreVote(_))), "{sent:?}");
}

#[test]
fn it_follows_a_leader_at_once_and_does_not_disturb_it() {
    let mut solo = starting();
    solo.ask(2, 2, append(at(1, 1), &[2], 1));
    assert_eq!(solo.raft.leader_id(), Some(n(2)));
    for _ in 0..ELECTION_TICKS_MAX {
        assert_eq!(solo.tick(1), []);
        solo.ask(2, 2, append(at(2, 2), &[], 1));
    }
}

#[test]
fn a_node_alone_does_not_wait() {
    let mut solo = Solo::new(1, &[], 0);
    solo.restart_unsettled();
    solo.tick(ELECTION_TICKS_MIN);
    assert_eq!(solo.raft.role(), Role::Leader);
}

/// Promises of leases last longer. Both rules hold.
#[test]
fn with_leases_it_keeps_the_promise_that_it_may_have_given_as_well() {
    let mut solo = Solo::leased(3, &[1], 1);
    solo.restart();
    assert_eq!(solo.receive(2, 2, request_vote(at(5, 1))), [], "all have answered");
    solo.tick(ELECTION_TICKS_MIN + 1);
    assert_eq!(solo.ask(2, 2, request_vote(at(5, 1))), (2, voted(true)));
}
