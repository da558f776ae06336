//! The decision whether a rejoining node is counted again.

use super::*;
use crate::types::{LogSummary, Membership, TermRuns};

const ME: NodeId = NodeId(1);
const PEERS: [NodeId; 2] = [NodeId(2), NodeId(3)];

fn at(index: u64, term: u64) -> LogPosition {
    LogPosition { term: Term(term), index: LogIndex(index) }
}

fn membership() -> Membership {
    Membership::seed([ME, PEERS[0], PEERS[1]])
}

/// A log of `entries` entries of term 4.
fn log(entries: u64) -> RaftLog {
    let mut runs = TermRuns::default();
    (1..=entries).for_each(|index| runs.push(at(index, 4)));
    RaftLog::new(LogSummary { runs, ..LogSummary::default() }, membership())
}

fn reports(of: &[(u64, u64, LogPosition)]) -> Rejoining {
    let mut rejoining = Rejoining::default();
    for (peer, term, last) in of {
        rejoining.on_report(NodeId(*peer), PeerReport { term: Term(*term), last: *last });
    }
    rejoining
}

/// The hard state of a rejoining node that does not know of anything that it lost.
fn in_term(term: u64) -> HardState {
    HardState { current_term: Term(term), is_rejoining: true, ..HardState::default() }
}

fn is_new(rejoining: &Rejoining, is_said_to_be_new: bool) -> bool {
    let membership = membership();
    let quorum = Quorum::of(&membership);
    rejoining.is_cluster_new(ME, PeerReport::default(), quorum, is_said_to_be_new)
}

/// docs/adr/0024: the member that has not answered may be the one with the data.
#[test]
fn a_cluster_is_new_when_every_member_has_nothing() {
    assert!(!is_new(&reports(&[]), false));
    assert!(!is_new(&reports(&[(2, 0, at(0, 0))]), false));
    assert!(is_new(&reports(&[(2, 0, at(0, 0)), (3, 0, at(0, 0))]), false));
}

#[test]
fn a_cluster_that_is_said_to_be_new_is_when_a_quorum_has_nothing() {
    assert!(!is_new(&reports(&[]), true));
    assert!(is_new(&reports(&[(2, 0, at(0, 0))]), true));
}

/// docs/bugs.md B52: a new data directory does not prove a new cluster.
#[test]
fn a_cluster_with_a_member_that_has_a_past_is_not_new() {
    for is_said_to_be_new in [false, true] {
        let of_two = |of: &[_]| is_new(&reports(of), is_said_to_be_new);
        assert!(!of_two(&[(2, 0, at(0, 0)), (3, 1, at(0, 0))]), "a term");
        assert!(!of_two(&[(2, 0, at(0, 0)), (3, 0, at(1, 1))]), "an entry");
        let own = PeerReport { term: Term(1), last: at(0, 0) };
        let membership = membership();
        let rejoining = reports(&[(2, 0, at(0, 0)), (3, 0, at(0, 0))]);
        let quorum = Quorum::of(&membership);
        assert!(!rejoining.is_cluster_new(ME, own, quorum, is_said_to_be_new), "its own");
    }
}

/// The member has lost its disk between its two reports.
#[test]
fn a_past_that_was_seen_once_is_not_forgotten() {
    let rejoining = reports(&[(2, 1, at(1, 1)), (2, 0, at(0, 0)), (3, 0, at(0, 0))]);
    assert!(!is_new(&rejoining, false));
    assert!(!is_new(&rejoining, true));
}

#[test]
fn it_has_caught_up_when_it_holds_all_that_every_other_member_does() {
    let rejoining = reports(&[(2, 4, at(3, 4)), (3, 4, at(2, 4))]);
    assert!(rejoining.has_caught_up(&PEERS, in_term(4), &log(3), LogIndex(3)));
    assert!(!rejoining.has_caught_up(&PEERS, in_term(4), &log(3), LogIndex(2)), "not durable");
    assert!(!rejoining.has_caught_up(&PEERS, in_term(4), &log(2), LogIndex(2)), "not all");
    assert!(!rejoining.has_caught_up(&PEERS, in_term(3), &log(3), LogIndex(3)), "an old term");
}

#[test]
fn every_other_member_must_have_reported() {
    let rejoining = reports(&[(2, 4, at(3, 4))]);
    assert!(!rejoining.has_caught_up(&PEERS, in_term(4), &log(3), LogIndex(3)));
}

/// docs/bugs.md B61: the others may never have had what this node lost.
#[test]
fn entries_that_it_is_known_to_have_lost_must_be_back() {
    let rejoining = reports(&[(2, 4, at(2, 4)), (3, 4, at(2, 4))]);
    let own = HardState { lost: at(3, 4), ..in_term(4) };
    assert!(!rejoining.has_caught_up(&PEERS, own, &log(2), LogIndex(2)));
    assert!(rejoining.has_caught_up(&PEERS, own, &log(3), LogIndex(3)));
}

#[test]
fn it_asks_at_every_tick_at_first_and_then_at_the_pace_of_heartbeats() {
    let mut rejoining = Rejoining::default();
    let asks = (0..300).filter(|_| rejoining.tick(20, 3).is_asking).count();
    assert_eq!(asks, 200 + 34);
}

#[test]
fn it_has_waited_long_once() {
    let mut rejoining = Rejoining::default();
    let long: Vec<u32> = (1..1000).filter(|_| rejoining.tick(20, 3).has_waited_long).collect();
    assert_eq!(long, [200]);
    assert_eq!(reports(&[(3, 0, at(0, 0))]).silent(PEERS.to_vec()), [NodeId(2)]);
}
