//! A leader's account of its peers.

use super::*;
use crate::raft::ReadToken;
use crate::types::Membership;

const ME: NodeId = NodeId(1);

fn membership() -> Membership {
    Membership::seed((1..=5).map(NodeId))
}

/// A leader that nodes 2 and 3 have elected.
fn leadership() -> Leadership {
    let peers: Vec<NodeId> = (2..=5).map(NodeId).collect();
    let electors = [1, 2, 3].map(NodeId).into();
    let clock = StoreClock::going_on(0, core::time::Duration::ZERO);
    Leadership::new(Term(3), LogIndex(5), LogPosition::default(), &peers, &electors, clock)
}

fn report(match_index: u64, read_seq: u64) -> ReplicationReport {
    ReplicationReport { match_index: LogIndex(match_index), read_seq, ..Default::default() }
}

#[test]
fn a_report_says_what_is_new_and_nothing_falls() {
    let mut leadership = leadership();
    let (last, commit_index) = (LogIndex(5), LogIndex(4));
    leadership.reads.add(ReadToken(1), LogIndex(0), commit_index, last, false);
    assert!(leadership.reads.maybe_start_round());
    let news = |has_more, has_confirmed| Some(ReportNews { has_more, has_confirmed });
    assert_eq!(leadership.on_report(NodeId(2), report(5, 1)), news(true, true));
    assert_eq!(leadership.on_report(NodeId(2), report(4, 1)), news(false, false));
    let unknown = leadership.on_report(NodeId(2), report(4, 2));
    assert_eq!(unknown, news(false, false), "round 2 was never started");
    assert_eq!(leadership.on_report(NodeId(9), report(4, 1)), None);
    leadership.on_report(NodeId(3), report(7, 1));
    let membership = membership();
    let quorum = Quorum::of(&membership);
    assert_eq!(leadership.replicated_index(quorum, ME, LogIndex(9)), LogIndex(5));
}

/// docs/adr/0005: a rejoining peer stores entries, but promises nothing.
#[test]
fn a_rejoining_peer_is_not_counted_and_not_heard() {
    let mut leadership = leadership();
    (0..30).for_each(|_| {
        leadership.tick();
    });
    let rejoining =
        ReplicationReport { is_rejoining: true, keep_log_from: Some(LogIndex(4)), ..report(9, 9) };
    assert_eq!(leadership.on_report(NodeId(4), rejoining), None);
    assert!(!leadership.has_heard(NodeId(4), 20));
    assert_eq!(leadership.keep_log_from(), Some(LogIndex(4)), "but it is sent a snapshot");
}

#[test]
fn a_peer_that_is_gone_does_not_hold_up_the_log() {
    let mut leadership = leadership();
    let snapshot_progress = Some(SnapshotProgress { acked_bytes: 3, bytes: 10 });
    let keeping =
        ReplicationReport { keep_log_from: Some(LogIndex(4)), snapshot_progress, ..report(0, 0) };
    leadership.on_report(NodeId(2), keeping);
    (0..20).for_each(|_| {
        leadership.tick_holds(20, 100, |_| false);
    });
    assert_eq!(leadership.snapshot_progress().len(), 1);
    leadership.tick_holds(20, 100, |_| false);
    assert_eq!((leadership.keep_log_from(), leadership.snapshot_progress()), (None, Vec::new()));
}

#[test]
fn a_leader_has_heard_itself_and_peers_that_answered_in_time() {
    let mut leadership = leadership();
    (0..21).for_each(|_| {
        leadership.tick();
    });
    leadership.on_report(NodeId(2), report(0, 0));
    assert!(leadership.has_heard(ME, 20) && leadership.has_heard(NodeId(2), 20));
    assert!(!leadership.has_heard(NodeId(3), 20));
}

#[test]
fn peers_outside_the_quorum_are_batched_and_only_changes_are_returned() {
    let mut leadership = leadership();
    let membership = membership();
    let quorum = Quorum::of(&membership);
    leadership.on_report(NodeId(4), report(9, 0));
    leadership.on_report(NodeId(5), report(9, 0));
    let batched = [(NodeId(2), SendMode::Batched), (NodeId(3), SendMode::Batched)];
    assert_eq!(leadership.choose_send_modes(NodeId(1), quorum), batched);
    assert_eq!(leadership.choose_send_modes(NodeId(1), quorum), []);
    leadership.on_report(NodeId(2), report(10, 0));
    let changes = leadership.choose_send_modes(NodeId(1), quorum);
    assert_eq!(changes, [(NodeId(2), SendMode::Immediate), (NodeId(5), SendMode::Batched)]);
}

#[test]
fn a_heartbeat_and_a_base_are_announced_once() {
    let mut leadership = leadership();
    assert!(leadership.take_heartbeat(), "a new leader says so at once");
    assert!(!leadership.take_heartbeat());
    assert_eq!((leadership.tick(), leadership.tick()), (1, 2));
    leadership.begin_heartbeat();
    assert_eq!((leadership.take_heartbeat(), leadership.tick()), (true, 1));
    let base = LogPosition { term: Term(1), index: LogIndex(4) };
    assert!(leadership.announce_base(base));
    assert!(!leadership.announce_base(base));
}

/// docs/adr/0019: the rejoining peer that elected this leader is still catching up.
#[test]
fn a_rejoining_peer_is_heard_only_by_the_leader_that_it_elected() {
    let mut leadership = leadership();
    for _ in 0..7 {
        leadership.tick();
    }
    let rejoining = ReplicationReport { is_rejoining: true, ..report(9, 9) };
    assert_eq!(leadership.on_report(NodeId(2), rejoining), None);
    assert_eq!(leadership.on_report(NodeId(4), rejoining), None);
    assert!(leadership.has_heard(NodeId(2), 0));
    assert!(!leadership.has_heard(NodeId(4), 6));
    let membership = membership();
    let quorum = Quorum::of(&membership);
    assert_eq!(leadership.replicated_index(quorum, ME, LogIndex(9)), LogIndex(0));
    assert_eq!(leadership.confirmed_round(quorum, ME), 0);
}
