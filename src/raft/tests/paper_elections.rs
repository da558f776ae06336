//! The rules of elections: §5.1, §5.2, §5.4.1, Figure 2; dissertation §4.2.3, §6.2, §9.6.

use std::collections::BTreeSet;

use super::cluster::{
    Cluster, ELECTION_TICKS_MAX, ELECTION_TICKS_MIN, HEARTBEAT_TICKS, n, settings_of,
};
use super::solo::{Solo, append, appended, at, pre_vote, pre_voted, request_vote, voted};
use crate::raft::{
    Effect, Envelope, Raft, ReplicationReport, Role, Rpc, SnapshotPositions, StopReplication,
};
use crate::types::{HardState, LogSummary, Term};

fn is_request_vote(rpc: &Rpc) -> bool {
    matches!(rpc, Rpc::RequestVote(_))
}

/// §5.2: "When servers start up, they begin as followers."
#[test]
fn a_node_starts_as_a_follower_that_knows_no_leader() {
    let solo = Solo::new(3, &[1, 2], 5);
    assert_eq!(solo.raft.role(), Role::Follower);
    assert_eq!(solo.raft.leader_id(), None);
    assert_eq!(solo.raft.term(), Term(5));
    assert_eq!(solo.raft.commit_index().0, 0);
}

/// §5.2: "A server remains in follower state as long as it receives valid RPCs
/// from a leader or candidate."
#[test]
fn a_follower_remains_one_as_long_as_it_hears_a_leader() {
    let mut solo = Solo::new(3, &[], 0);
    for _ in 0..20 {
        solo.receive(2, 1, append(at(0, 0), &[], 0));
        assert_eq!(solo.tick(ELECTION_TICKS_MIN - 1), []);
        assert_eq!(solo.raft.role(), Role::Follower);
    }
    assert_eq!(solo.raft.leader_id(), Some(n(2)));
    solo.tick(ELECTION_TICKS_MAX);
    assert_ne!(solo.raft.role(), Role::Follower);
}

/// §5.2: "election timeouts are chosen randomly from a fixed interval".
#[test]
fn election_timeouts_fill_their_interval_and_differ_from_node_to_node() {
    let leader_lost = |id, seed| timeout(id, seed, true);
    let timeouts: BTreeSet<u32> = (0..300).map(|seed| leader_lost(1, seed)).collect();
    assert_eq!(timeouts, (ELECTION_TICKS_MIN..=ELECTION_TICKS_MAX).collect());
    assert!((0..20).any(|seed| leader_lost(1, seed) != leader_lost(3, seed)));
    assert_eq!(leader_lost(1, 7), leader_lost(1, 7), "the same seed, the same timeout");
}

/// A node that has just started waits until a leader, if there is one, would have been
/// heard, and no longer than the shortest timeout of the others.
#[test]
fn the_first_election_timeout_after_a_start_is_short() {
    let timeouts: BTreeSet<u32> = (0..300).map(|seed| timeout(1, seed, false)).collect();
    assert_eq!(timeouts, (HEARTBEAT_TICKS + 1..=ELECTION_TICKS_MIN).collect());
}

/// The ticks until a new node starts an election, with or without a leader's message before.
fn timeout(id: u64, seed: u64, hears_leader: bool) -> u32 {
    let mut raft = Raft::new(
        settings_of(id, 3, seed),
        HardState::default(),
        LogSummary::default(),
        SnapshotPositions::default(),
    );
    for peer in raft.other_voters() {
        raft.on_peer_reached(peer);
    }
    if hears_leader {
        let rpc = append(at(0, 0), &[], 0);
        raft.step(Envelope { from: n(2), to: n(id), term: Term(1), rpc });
    }
    for ticks in 1.. {
        raft.tick();
        if raft.role() != Role::Follower {
            return ticks;
        }
    }
    unreachable!("it stands for election some time")
}

/// Figure 2: "On conversion to candidate: increment currentTerm, vote for self,
/// reset election timer, send RequestVote RPCs to all other servers."
#[test]
fn a_candidate_takes_the_next_term_votes_for_itself_and_asks_all_others() {
    let mut solo = Solo::new(5, &[1, 3], 4);
    let requests = solo.campaign();
    assert_eq!(solo.raft.role(), Role::Candidate);
    let expected =
        HardState { current_term: Term(5), voted_for: Some(n(1)), ..HardState::default() };
    assert_eq!(solo.raft.hard_state(), expected);
    assert_eq!(requests.iter().map(|m| m.to.0).collect::<Vec<_>>(), [2, 3, 4, 5]);
    for request in requests {
        assert_eq!((request.term, request.rpc), (Term(5), request_vote(at(2, 3))));
    }
    assert_eq!(solo.tick(ELECTION_TICKS_MIN - 1), [], "the timer was reset");
}

/// §5.2: "A candidate wins an election if it receives votes from a majority of the
/// servers in the full cluster for the same term."
#[test]
fn a_candidate_wins_with_a_majority_and_not_with_one_vote_less() {
    for nodes in 1..=7 {
        let mut solo = Solo::new(nodes, &[], 0);
        solo.campaign();
        let needed = nodes / 2; // besides its own
        for votes in 1..=needed {
            assert_eq!(solo.raft.role(), Role::Candidate, "{votes} of {nodes}");
            solo.receive(1 + votes, 1, voted(true));
            if votes < needed {
                // docs/bugs.md B05: a duplicate is no vote.
                solo.receive(1 + votes, 1, voted(true));
            }
        }
        assert_eq!(solo.raft.role(), Role::Leader, "of {nodes}");
    }
}

/// §5.2: "Each server will vote for at most one candidate in a given term, on a
/// first-come-first-served basis."
#[test]
fn a_vote_is_given_once_a_term_to_the_first_that_asks() {
    let mut solo = Solo::new(3, &[1], 1);
    assert_eq!(solo.ask(2, 2, request_vote(at(1, 1))), (2, voted(true)));
    assert_eq!(solo.ask(3, 2, request_vote(at(9, 1))), (2, voted(false)));
    assert_eq!(solo.ask(2, 2, request_vote(at(1, 1))), (2, voted(true)), "asked once more");
    assert_eq!(solo.ask(3, 3, request_vote(at(9, 1))), (3, voted(true)), "a new term");
}

/// Figure 2: votedFor is "updated on stable storage before responding to RPCs".
#[test]
fn a_vote_survives_a_restart() {
    let mut solo = Solo::new(3, &[1], 1);
    solo.ask(2, 2, request_vote(at(1, 1)));
    solo.restart();
    assert_eq!(solo.ask(3, 2, request_vote(at(1, 1))), (2, voted(false)));
    assert_eq!(solo.ask(2, 2, request_vote(at(1, 1))), (2, voted(true)));
}

/// §5.4.1: "the voter denies its vote if its own log is more up-to-date than that of
/// the candidate": by the last terms, and by the lengths if they are equal.
#[test]
fn a_vote_and_a_pre_vote_go_only_to_a_log_that_is_as_up_to_date() {
    for (terms, last, is_granted) in [
        (&[][..], at(0, 0), true),
        (&[], at(1, 1), true),
        (&[1], at(0, 0), false),
        (&[1, 1], at(2, 1), true),
        (&[1, 1], at(1, 1), false),
        (&[1, 1], at(3, 1), true),
        (&[1, 1, 1], at(1, 2), true),
        (&[1, 2], at(9, 1), false),
        (&[1, 2], at(2, 2), true),
    ] {
        let mut solo = Solo::new(3, terms, 4);
        let (_, answer) = solo.ask(2, 5, pre_vote(last));
        assert_eq!(answer, pre_voted(is_granted), "{terms:?} and {last}");
        let (_, answer) = solo.ask(2, 5, request_vote(last));
        assert_eq!(answer, voted(is_granted), "{terms:?} and {last}");
        assert_eq!(solo.raft.hard_state().voted_for.is_some(), is_granted, "(B06)");
    }
}

/// §5.2: "If the leader's term is at least as large as the candidate's current
/// term, then the candidate recognizes the leader as legitimate." It keeps
/// its vote of the term for itself (docs/bugs.md B04).
#[test]
fn a_candidate_recognizes_a_leader_of_its_term_and_keeps_its_vote() {
    let mut solo = Solo::new(3, &[], 0);
    solo.campaign();
    assert_eq!(solo.ask(2, 1, append(at(0, 0), &[1], 0)), (1, appended(1)));
    assert_eq!((solo.raft.role(), solo.raft.leader_id()), (Role::Follower, Some(n(2))));
    assert_eq!(solo.raft.hard_state().voted_for, Some(n(1)));
    solo.restart();
    assert_eq!(solo.ask(3, 1, request_vote(at(1, 1))), (1, voted(false)));
}

/// §5.2: "If the term in the RPC is smaller than the candidate's current term, then
/// the candidate rejects the RPC and continues in candidate state."
#[test]
fn a_candidate_rejects_a_leader_of_an_older_term() {
    let mut solo = Solo::new(3, &[1], 4);
    solo.campaign();
    let (term, _) = solo.ask(2, 4, append(at(1, 1), &[4], 1));
    assert_eq!(term, 5, "the answer tells the newer term");
    assert_eq!(solo.raft.role(), Role::Candidate);
    assert_eq!(solo.terms(), [1]);
}

/// §5.1: "If a candidate or leader discovers that its term is out of date, it
/// immediately reverts to follower state."
#[test]
fn a_higher_term_makes_every_role_a_follower_whose_vote_is_free() {
    for role in [Role::Follower, Role::PreCandidate, Role::Candidate, Role::Leader] {
        let messages = [append(at(0, 0), &[], 0), voted(false), pre_voted(false), appended(0)];
        for rpc in messages {
            let mut solo = Solo::new(3, &[], 0);
            match role {
                Role::PreCandidate => drop(solo.tick_until_campaign()),
                Role::Candidate => drop(solo.campaign()),
                Role::Leader => solo.win(),
                _ => {}
            }
            assert_eq!(solo.raft.role(), role);
            solo.receive(2, 9, rpc);
            assert_eq!(solo.raft.role(), Role::Follower);
            let expected = HardState { current_term: Term(9), ..HardState::default() };
            assert_eq!(solo.raft.hard_state(), expected);
        }
    }
}

/// A higher term that comes with a replicator's report deposes the leader, too.
#[test]
fn a_report_of_a_higher_term_deposes_the_leader() {
    let mut solo = Solo::new(3, &[], 0);
    solo.win();
    solo.raft.on_replicated(n(2), Term(7), ReplicationReport::default());
    solo.settle();
    assert_eq!((solo.raft.role(), solo.raft.term()), (Role::Follower, Term(7)));
    assert!(solo.effects.contains(&Effect::StopReplication(StopReplication { term: Term(1) })));
}

/// §5.1: "If a server receives a request with a stale term number, it rejects the
/// request." A stale response is dropped.
#[test]
fn a_message_of_an_older_term_changes_nothing() {
    let mut solo = Solo::new(3, &[1], 6);
    assert_eq!(solo.ask(2, 5, request_vote(at(9, 5))), (6, voted(false)));
    assert_eq!(solo.ask(2, 5, append(at(1, 1), &[5], 2)).0, 6);
    assert_eq!(solo.receive(2, 5, voted(true)), []);
    assert_eq!(solo.ask(2, 6, pre_vote(at(9, 5))), (6, pre_voted(false)));
    let expected = HardState { current_term: Term(6), ..HardState::default() };
    assert_eq!((solo.raft.hard_state(), solo.raft.leader_id()), (expected, None));
    assert_eq!(solo.terms(), [1]);
}

/// Figure 2: "Upon election: send initial empty AppendEntries RPCs (heartbeat) to
/// each server; repeat during idle periods to prevent election timeouts."
#[test]
fn a_leader_sends_at_once_and_then_every_heartbeat_interval() {
    let mut cluster = Cluster::new(3, 1);
    cluster.tick_until_campaign(n(1));
    while cluster.raft(n(1)).role() != Role::Leader {
        cluster.deliver(0);
    }
    let to_all = |cluster: &mut Cluster| {
        let sent = std::mem::take(&mut cluster.network);
        let appends = sent.iter().filter(|m| matches!(m.rpc, Rpc::AppendEntries(_)));
        appends.map(|m| m.to.0).collect::<Vec<_>>()
    };
    assert_eq!(to_all(&mut cluster), [2, 3]);
    for ticks in 1..=3 * HEARTBEAT_TICKS {
        cluster.tick(n(1));
        let expected = if ticks % HEARTBEAT_TICKS == 0 { vec![2, 3] } else { vec![] };
        assert_eq!(to_all(&mut cluster), expected, "after {ticks} ticks");
    }
}

/// Figure 2: "If election timeout elapses without receiving AppendEntries RPC from
/// current leader or granting vote to candidate: convert to candidate." A request
/// that is refused does not count: a candidate that cannot win must not hold up others.
#[test]
fn a_vote_granted_resets_the_timer_and_a_vote_refused_does_not() {
    let ticks_until_campaign = |last| {
        let mut solo = Solo::new(3, &[1], 1);
        for ticks in 0.. {
            if solo.raft.role() != Role::Follower {
                return ticks;
            }
            if ticks == HEARTBEAT_TICKS {
                solo.receive(2, 2, request_vote(last));
            }
            solo.tick(1);
        }
        unreachable!("it stands for election some time")
    };
    let undisturbed = {
        let mut solo = Solo::new(3, &[1], 1);
        (1..).find(|_| !solo.tick(1).is_empty()).expect("it stands for election")
    };
    assert_eq!(ticks_until_campaign(at(0, 0)), undisturbed);
    assert!(ticks_until_campaign(at(1, 1)) >= HEARTBEAT_TICKS + ELECTION_TICKS_MIN);
}

/// Dissertation §4.2.3: "if a server receives a RequestVote request within the
/// minimum election timeout of hearing from a current leader, it does not update
/// its term or grant its vote".
#[test]
fn a_request_for_votes_counts_for_nothing_while_the_leader_lives() {
    let mut solo = Solo::new(3, &[1], 1);
    solo.receive(2, 1, append(at(1, 1), &[], 0));
    solo.tick(ELECTION_TICKS_MIN - 1);
    assert_eq!(solo.receive(3, 8, request_vote(at(9, 1))), []);
    assert_eq!(solo.ask(3, 8, pre_vote(at(9, 1))), (1, pre_voted(false)));
    assert_eq!((solo.raft.term(), solo.raft.leader_id()), (Term(1), Some(n(2))));
    let mut solo = Solo::new(3, &[1], 1);
    solo.receive(2, 1, append(at(1, 1), &[], 0));
    // The leader is silent from here on. The answer does not depend on the node's own timer.
    solo.tick(ELECTION_TICKS_MIN);
    assert_eq!(solo.receive(3, 8, request_vote(at(9, 1)))[0].rpc, voted(true));
}

/// The leader itself refuses, too: it hears a quorum, or steps down (CheckQuorum).
#[test]
fn a_leader_does_not_listen_to_requests_for_votes() {
    let mut solo = Solo::new(3, &[], 0);
    solo.win();
    assert_eq!(solo.receive(3, 8, request_vote(at(9, 1))), []);
    assert_eq!((solo.raft.role(), solo.raft.term()), (Role::Leader, Term(1)));
}

/// Dissertation §9.6: "a candidate only increments its term if it first learns from
/// a majority of the cluster that they would be willing to grant the candidate
/// their votes".
#[test]
fn a_pre_candidate_takes_a_term_only_with_the_support_of_a_majority() {
    let mut solo = Solo::new(5, &[1], 3);
    let requests = solo.tick_until_campaign();
    assert_eq!(requests.len(), 4);
    for request in requests {
        assert_eq!((request.term, request.rpc), (Term(4), pre_vote(at(1, 1))));
    }
    assert_eq!(solo.raft.hard_state(), HardState { current_term: Term(3), ..HardState::default() });
    assert_eq!(solo.receive(2, 4, pre_voted(true)), []);
    assert_eq!(solo.receive(2, 4, pre_voted(true)), [], "a duplicate");
    assert_eq!(solo.raft.role(), Role::PreCandidate);
    assert!(solo.receive(3, 4, pre_voted(true)).iter().all(|m| is_request_vote(&m.rpc)));
    assert_eq!((solo.raft.role(), solo.raft.term()), (Role::Candidate, Term(4)));
}

/// Dissertation §9.6, at the receiver: the answer gives no vote and changes no term.
#[test]
fn a_pre_vote_changes_nobodys_term_and_nobodys_vote() {
    let mut solo = Solo::new(3, &[1], 3);
    assert_eq!(solo.ask(2, 7, pre_vote(at(1, 1))), (7, pre_voted(true)));
    assert_eq!(solo.ask(3, 7, pre_vote(at(1, 1))), (7, pre_voted(true)));
    assert_eq!(solo.raft.hard_state(), HardState { current_term: Term(3), ..HardState::default() });
}

/// docs/bugs.md B15 (openraft 511f33c7): pre-votes that come late start no new election.
#[test]
fn a_late_pre_vote_starts_no_new_election() {
    let mut solo = Solo::new(3, &[], 0);
    solo.win();
    assert_eq!(solo.receive(3, 1, pre_voted(true)), []);
    assert_eq!(solo.receive(3, 2, pre_voted(true)), []);
    assert_eq!((solo.raft.role(), solo.raft.term()), (Role::Leader, Term(1)));

    let mut solo = Solo::new(5, &[], 0);
    solo.campaign();
    solo.tick(ELECTION_TICKS_MAX);
    assert_eq!((solo.raft.role(), solo.raft.term()), (Role::PreCandidate, Term(1)));
    for peer in 2..=5 {
        solo.receive(peer, 1, pre_voted(true)); // answers to the question about term 1
    }
    assert_eq!((solo.raft.role(), solo.raft.term()), (Role::PreCandidate, Term(1)));
}

#[test]
fn a_message_for_another_node_is_dropped() {
    let mut solo = Solo::new(3, &[1], 1);
    for rpc in [append(at(1, 1), &[9], 2), request_vote(at(9, 9)), pre_vote(at(9, 9)), voted(true)]
    {
        solo.raft.step(Envelope { from: n(2), to: n(3), term: Term(9), rpc });
        assert_eq!(solo.settle(), []);
    }
    assert_eq!(solo.raft.hard_state(), HardState { current_term: Term(1), ..HardState::default() });
    assert_eq!(solo.terms(), [1]);
}

/// Dissertation §6.2: "a leader steps down if an election timeout elapses without a
/// successful round of heartbeats to a majority of its cluster".
#[test]
fn a_leader_that_hears_no_majority_steps_down_within_its_term() {
    for (nodes, speakers, stays) in [(3, 0, false), (3, 1, true), (4, 1, false), (5, 2, true)] {
        let mut solo = Solo::new(nodes, &[], 0);
        solo.win();
        for _ in 0..3 {
            solo.tick(ELECTION_TICKS_MAX - 1);
            for peer in 2..2 + speakers {
                solo.raft.on_replicated(n(peer), Term(1), ReplicationReport::default());
            }
        }
        let has_stayed = solo.raft.role() == Role::Leader;
        assert_eq!(has_stayed, stays, "{speakers} of {nodes}");
        let expected =
            HardState { current_term: Term(1), voted_for: Some(n(1)), ..HardState::default() };
        assert_eq!(solo.raft.hard_state(), expected, "the vote is kept (B04)");
    }
}

/// A refused connection is a hint about the leader only; followers take turns.
#[test]
fn a_refused_connection_cuts_the_timer_short_if_it_was_the_leaders() {
    let mut solo = Solo::new(5, &[1], 1);
    solo.receive(4, 1, append(at(1, 1), &[], 0));
    solo.raft.on_connection_refused(n(3));
    assert_eq!(solo.tick(2), []);
    solo.raft.on_connection_refused(n(4));
    // After 4 come 5 and then 1: node 1 waits for the turn of 5.
    assert_eq!(solo.tick(1), []);
    assert_eq!(solo.tick(1).len(), 4);
    assert_eq!((solo.raft.role(), solo.raft.term()), (Role::PreCandidate, Term(1)));
}
