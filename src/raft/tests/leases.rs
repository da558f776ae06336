//! The rules of leader leases: dissertation §6.4.1, docs/adr/0012.

use core::time::Duration;

use super::clocks::{PROMISE, TICK};
use super::cluster::{ELECTION_TICKS_MAX, ELECTION_TICKS_MIN, HEARTBEAT_TICKS, i, n};
use super::solo::{Solo, append, at, pre_vote, pre_voted, request_vote, voted};
use crate::raft::{Effect, NotLeader, ReadToken, Replicate, ReplicationReport, Role, Rpc};
use crate::types::{LogIndex, Payload};

const MS: Duration = Duration::from_millis(1);
const LEASE: Duration = Duration::from_millis(75);

/// The reads that were answered or failed since they were last taken.
fn answers(solo: &mut Solo) -> Vec<(u64, bool)> {
    solo.settle();
    let answer = |effect| match effect {
        Effect::ReadReady { token, .. } => Some((token.0, true)),
        Effect::ReadFailed { token } => Some((token.0, false)),
        _ => None,
    };
    std::mem::take(&mut solo.effects).into_iter().filter_map(answer).collect()
}

fn confirm(solo: &mut Solo, peer: u64, report: ReplicationReport) {
    let term = solo.raft.term();
    solo.raft.on_replicated(n(peer), term, report);
}

/// A report of a peer that has all entries, and answers this round.
fn answer(solo: &mut Solo, peer: u64, read_seq: u64) {
    let match_index = solo.raft.last_log().index;
    confirm(solo, peer, ReplicationReport { match_index, read_seq, ..Default::default() });
}

fn read(solo: &mut Solo, token: u64) -> Vec<(u64, bool)> {
    solo.raft.read(ReadToken(token), i(0)).expect("it leads");
    answers(solo)
}

/// The round of the newest message to the peers since it was last taken.
fn round(solo: &mut Solo) -> Option<u64> {
    solo.settle();
    let rounds = solo.effects.iter().filter_map(|effect| match effect {
        Effect::Replicate(Replicate { read_seq, .. }) => Some(*read_seq),
        _ => None,
    });
    let newest = rounds.last();
    solo.effects.clear();
    newest
}

/// A leader of three that has just sent the first heartbeat of its term, round 1. Node 2 has
/// acknowledged its entries, so that they are committed, but not that round.
fn leader() -> Solo {
    let mut solo = Solo::leased(3, &[], 0);
    solo.win();
    assert_eq!(round(&mut solo), Some(1), "a heartbeat is a round");
    answer(&mut solo, 2, 0);
    solo
}

/// Lets the leader send a heartbeat, and returns its round.
fn heartbeat(solo: &mut Solo) -> u64 {
    for _ in 0..HEARTBEAT_TICKS {
        solo.tick(1);
    }
    round(solo).expect("a heartbeat is due")
}

/// "Once the leader's heartbeats were acknowledged by a majority of the cluster, the leader would
/// extend its lease": from the start of the round, not from the answer (docs/bugs.md B41).
#[test]
fn a_lease_runs_from_the_sending_and_not_from_the_answer() {
    let mut solo = leader();
    solo.pass(LEASE - 2 * MS);
    answer(&mut solo, 2, 1);
    assert_eq!(read(&mut solo, 1), [(1, true)], "without a message");
    assert_eq!(round(&mut solo), None);
    solo.pass(2 * MS);
    assert_eq!(read(&mut solo, 2), [], "it is over so long after the sending");
}

#[test]
fn an_answer_that_comes_late_renews_no_lease() {
    let mut solo = leader();
    solo.pass(LEASE);
    answer(&mut solo, 2, 1);
    assert_eq!(read(&mut solo, 1), []);
}

/// A process that was stopped gets no ticks: the lease is counted by the clock.
#[test]
fn a_lease_runs_out_without_a_tick() {
    let mut solo = leader();
    answer(&mut solo, 2, 1);
    solo.pass(LEASE - MS);
    assert_eq!(read(&mut solo, 1), [(1, true)]);
    solo.pass(MS);
    solo.raft.read(ReadToken(2), i(0)).expect("it leads");
    assert_eq!(round(&mut solo), Some(2), "the read asks, as without leases");
    assert_eq!(solo.raft.role(), Role::Leader);
    answer(&mut solo, 2, 1);
    assert_eq!(answers(&mut solo), [], "an older round does not confirm it (B38)");
    answer(&mut solo, 2, 2);
    assert_eq!(answers(&mut solo), [(2, true)]);
    assert_eq!(read(&mut solo, 3), [(3, true)], "and the round renewed the lease");
}

/// Heartbeats alone keep the lease alive, and each counts from its own sending.
#[test]
fn heartbeats_renew_the_lease() {
    let mut solo = leader();
    answer(&mut solo, 2, 1);
    for token in 1..=20 {
        let seq = heartbeat(&mut solo);
        solo.pass(5 * MS);
        answer(&mut solo, 3, seq);
        assert_eq!(read(&mut solo, token), [(token, true)]);
        assert_eq!(round(&mut solo), None, "no read has asked");
    }
    let sent_at = solo.now - 5 * MS;
    solo.pass(sent_at + LEASE - MS - solo.now);
    assert_eq!(read(&mut solo, 30), [(30, true)]);
    solo.pass(MS);
    assert_eq!(read(&mut solo, 31), []);
}

#[test]
fn a_lease_needs_a_majority() {
    let mut solo = Solo::leased(5, &[], 0);
    solo.win();
    let seq = round(&mut solo).expect("a heartbeat is a round");
    for peer in [2, 3] {
        answer(&mut solo, peer, 0);
    }
    answer(&mut solo, 4, seq);
    assert!(!solo.raft.holds_lease(), "it and one other of five");
    // A rejoining node stores entries, but promises nothing.
    let match_index = solo.raft.last_log().index;
    let report =
        ReplicationReport { match_index, read_seq: seq, is_rejoining: true, ..Default::default() };
    confirm(&mut solo, 5, report);
    assert!(!solo.raft.holds_lease());
    answer(&mut solo, 3, seq);
    assert_eq!(read(&mut solo, 1), [(1, true)]);
}

/// The lease replaces the round, but no other condition of a read
/// (docs/bugs.md B37, B39).
#[test]
fn a_leased_read_waits_for_the_first_commit_of_the_term_and_for_its_session() {
    let mut solo = Solo::leased(3, &[1, 1], 1);
    solo.win();
    let seq = round(&mut solo).expect("a heartbeat is a round");
    let report =
        ReplicationReport { match_index: LogIndex(2), read_seq: seq, ..Default::default() };
    confirm(&mut solo, 2, report);
    assert_eq!(read(&mut solo, 1), [], "what is committed?");
    answer(&mut solo, 2, seq);
    assert_eq!(answers(&mut solo), [(1, true)]);

    let own_write = solo.raft.propose(Payload::Noop).expect("it leads");
    solo.raft.read(ReadToken(2), own_write).expect("it leads");
    assert_eq!(answers(&mut solo), [], "its own write is not committed");
    solo.raft.read(ReadToken(3), own_write).expect("it leads");
    assert_eq!(answers(&mut solo), [], "nor for the session's next read");
    answer(&mut solo, 2, seq);
    assert_eq!(answers(&mut solo), [(2, true), (3, true)]);
}

/// A lease ends with the leadership: deposed, without a quorum, or with a disk that does not
/// answer.
#[test]
fn a_leader_that_lost_its_leadership_serves_nothing() {
    let leased = || {
        let mut solo = leader();
        answer(&mut solo, 2, 1);
        assert_eq!(read(&mut solo, 1), [(1, true)]);
        solo
    };
    let refused = |solo: &mut Solo, leader_id| {
        assert_eq!(solo.raft.read(ReadToken(9), i(0)), Err(NotLeader { leader_id }));
    };
    let mut deposed = leased();
    deposed.receive(3, 2, append(at(0, 0), &[], 0));
    refused(&mut deposed, Some(n(3)));

    let mut told = leased();
    let term = told.raft.term().next();
    told.raft.on_replicated(n(3), term, ReplicationReport::default());
    refused(&mut told, None);

    let mut alone = leased();
    for _ in 0..=ELECTION_TICKS_MAX {
        alone.raft.tick(); // no time passes
    }
    refused(&mut alone, None);

    // The lease of one term does not count in the next.
    alone.settle();
    alone.win();
    let seq = round(&mut alone).expect("a heartbeat is a round");
    answer(&mut alone, 2, 0);
    assert!(!alone.raft.holds_lease());
    answer(&mut alone, 2, seq);
    assert_eq!(read(&mut alone, 10), [(10, true)]);
}

/// A follower that has just heard from node 2, the leader of term 1.
fn follower() -> Solo {
    let mut solo = Solo::leased(3, &[1], 1);
    solo.pass(10 * PROMISE);
    solo.receive(2, 1, append(at(1, 1), &[], 0));
    solo
}

/// Asserts that the node votes for nobody until the promise is over, and then does.
fn assert_has_promised_for(solo: &mut Solo, time: Duration) {
    let (term, end) = (solo.raft.term().0, solo.now + time);
    let last = solo.raft.last_log();
    for _ in 0..2 {
        let (_, answer) = solo.ask(3, term + 1, pre_vote(last));
        assert_eq!(answer, pre_voted(false));
        assert_eq!(solo.receive(3, term + 1, request_vote(last)), [], "it is as if not heard");
        assert_eq!(solo.raft.term().0, term);
        for _ in 0..3 * ELECTION_TICKS_MAX {
            solo.raft.tick(); // the ticks are too fast
        }
        assert_eq!(solo.settle(), [], "nor does it stand for election");
        solo.pass((time - MS) / 2);
    }
    solo.pass(end - solo.now);
    assert_eq!(solo.ask(3, term + 1, pre_vote(last)).1, pre_voted(true));
    assert_eq!(solo.ask(3, term + 1, request_vote(last)).1, voted(true));
}

#[test]
fn a_promise_is_kept_by_the_clock_however_fast_the_ticks_are() {
    assert_has_promised_for(&mut follower(), PROMISE);
}

/// A hint that the leader is gone does not shorten a promise; it only shortens the time after
/// the promise.
#[test]
fn a_hint_does_not_shorten_a_promise() {
    let mut solo = follower();
    solo.raft.on_connection_refused(n(2));
    assert_has_promised_for(&mut solo, PROMISE);

    let mut solo = follower();
    solo.raft.on_connection_refused(n(2));
    assert_eq!(solo.tick(ELECTION_TICKS_MIN), [], "the promise");
    let sent: Vec<Rpc> = solo.tick(3).into_iter().map(|envelope| envelope.rpc).collect();
    assert!(matches!(sent[..], [Rpc::PreVote(_), Rpc::PreVote(_)]), "then its turn: {sent:?}");
}

/// docs/bugs.md B09: a node that has just started does not know which leader it heard before.
#[test]
fn a_restarted_voter_refuses_within_the_promise() {
    let mut solo = follower();
    solo.restart();
    assert_has_promised_for(&mut solo, PROMISE);
}

/// A node that has just started does not start an election early: its first timeout is not
/// shortened.
#[test]
fn a_restarted_voter_stands_for_election_when_the_promise_is_over() {
    let mut solo = follower();
    solo.restart();
    assert_eq!(solo.tick(ELECTION_TICKS_MIN - 1), []);
    let sent = solo.tick_until_campaign();
    assert!(sent.iter().all(|envelope| matches!(envelope.rpc, Rpc::PreVote(_))), "{sent:?}");
}

/// A node may learn of a term in which it has not voted, from a request or from an answer.
/// That takes no promise back: it does not vote in its own term, either.
#[test]
fn a_promise_outlives_the_term_in_which_it_was_given() {
    let mut solo = follower();
    solo.receive(3, 2, pre_voted(false));
    assert_eq!((solo.raft.term().0, solo.raft.leader_id()), (2, None));
    let last = solo.raft.last_log();
    assert_eq!(solo.receive(3, 2, request_vote(last)), [], "in the term that it has now");
    solo.pass(PROMISE - MS);
    assert_eq!(solo.receive(3, 2, request_vote(last)), []);
    solo.pass(MS);
    assert_eq!(solo.ask(3, 2, request_vote(last)).1, voted(true));
}

/// Each message of the leader renews the promise, a piece of a snapshot as well.
#[test]
fn every_message_of_the_leader_renews_the_promise() {
    let mut solo = follower();
    solo.pass(PROMISE - MS);
    solo.receive(2, 1, append(at(1, 1), &[1], 0));
    assert_has_promised_for(&mut solo, PROMISE);
}

/// A leader keeps few rounds under way, even if no peer answers for long.
#[test]
fn a_leader_without_answers_keeps_few_rounds() {
    let mut solo = leader();
    for _ in 0..1000 {
        // The peer answers, so the leader stays, but no round is confirmed.
        confirm(&mut solo, 2, ReplicationReport::default());
        heartbeat(&mut solo);
    }
    assert_eq!(solo.raft.role(), Role::Leader);
    let heartbeats = (PROMISE.as_millis() / (TICK * HEARTBEAT_TICKS).as_millis()) as usize;
    assert!(solo.raft.rounds_under_way() <= heartbeats + 2, "{}", solo.raft.rounds_under_way());
}

/// A leased read waits neither for another session's write nor for a round of others.
#[test]
fn a_leased_read_waits_for_no_other_session() {
    let mut solo = leader();
    answer(&mut solo, 2, 1);
    let write = solo.raft.propose(Payload::Noop).expect("it leads");
    solo.raft.read(ReadToken(1), write).expect("it leads");
    assert_eq!(answers(&mut solo), [], "its own write is not committed");
    assert_eq!(read(&mut solo, 2), [(2, true)]);
    answer(&mut solo, 2, 1);
    assert_eq!(answers(&mut solo), [(1, true)]);
}

/// A lease that holds when a read arrives confirms the reads that arrived before it as well.
/// Otherwise it would be answered before an earlier read of its own session.
#[test]
fn a_leased_read_overtakes_no_read_that_waits_for_its_round() {
    let mut solo = leader();
    solo.pass(LEASE);
    assert_eq!(read(&mut solo, 1), []);
    let second = heartbeat(&mut solo);
    solo.raft.read(ReadToken(2), i(0)).expect("it leads");
    answer(&mut solo, 2, second);
    assert_eq!(answers(&mut solo), [(1, true)], "read 2 needs the round after that heartbeat");
    assert!(solo.raft.holds_lease());
    assert_eq!(read(&mut solo, 3), [(2, true), (3, true)]);
}
