//! The judgement of words about earlier runs, and the time to settle.

use super::*;

const PEERS: [NodeId; 2] = [NodeId(2), NodeId(3)];

fn at(index: u64, term: u64) -> LogPosition {
    LogPosition { term: Term(term), index: LogIndex(index) }
}

/// A run that started in term 4, with entries 1@2 and 2@3 before its log, and 3@3 4@4 in it.
fn start() -> Start {
    let mut runs = TermRuns::starting_after(at(2, 3));
    runs.push(at(3, 3));
    runs.push(at(4, 4));
    let hard_state = HardState { current_term: Term(4), ..HardState::default() };
    Start::new(hard_state, runs, 10)
}

#[test]
fn a_start_without_the_entry_or_the_term_is_a_loss() {
    let start = start();
    for (leader_term, lost) in [(4, at(5, 4)), (4, at(4, 3)), (5, at(4, 4)), (9, at(1, 1))] {
        assert!(!start.explains(Term(leader_term), lost), "{lost} in term {leader_term}");
    }
}

#[test]
fn a_start_with_the_entry_or_in_a_later_term_is_none() {
    let start = start();
    let kept = [(4, at(4, 4)), (4, at(3, 3)), (4, at(2, 3)), (4, at(1, 9)), (3, at(9, 3))];
    for (leader_term, acknowledged) in kept {
        assert!(start.explains(Term(leader_term), acknowledged), "{acknowledged}");
    }
}

/// A repair has found the loss already.
#[test]
fn entries_that_are_known_to_be_lost_are_not_lost_without_a_trace() {
    let known = HardState { lost: at(7, 4), ..start().hard_state };
    let start = Start { hard_state: known, ..start() };
    assert!(start.explains(Term(4), at(7, 4)));
    assert!(!start.explains(Term(4), at(8, 4)));
    assert!(!start.explains(Term(5), at(7, 4)), "the repair does not know of the term");
}

/// The peer that says it may have heard of this run's acknowledgement before it knew of the run.
#[test]
fn an_acknowledgement_of_this_run_is_no_loss() {
    let mut start = start();
    start.on_acknowledged(Term(5), LogIndex(6));
    start.on_acknowledged(Term(5), LogIndex(4));
    start.on_acknowledged(Term(7), LogIndex(9));
    assert!(start.explains(Term(5), at(6, 5)));
    assert!(start.explains(Term(7), at(9, 7)));
    assert!(!start.explains(Term(5), at(7, 5)), "it has acknowledged less in that term");
    assert!(!start.explains(Term(6), at(6, 5)), "it has acknowledged nothing in that term");
}

/// Memory is bounded. What is forgotten is judged in favour of the disk.
#[test]
fn only_the_last_terms_of_a_run_are_kept() {
    let mut start = start();
    for term in 10..10 + 2 * TERMS_KEPT as u64 {
        start.on_acknowledged(Term(term), LogIndex(5));
    }
    assert_eq!(start.acknowledged.len(), TERMS_KEPT);
    assert!(start.explains(Term(10), at(9, 9)));
    assert!(!start.explains(Term(10 + 2 * TERMS_KEPT as u64 - 1), at(6, 9)));
}

#[test]
fn after_it_has_caught_up_with_every_member_nothing_counts_as_lost() {
    let mut start = start();
    start.on_caught_up();
    assert!(start.explains(Term(9), at(9, 9)));
}

#[test]
fn it_is_settled_when_every_peer_is_accounted_for() {
    let mut start = start();
    start.account_for(NodeId(2));
    assert!(!start.is_settled(&PEERS));
    start.account_for(NodeId(3));
    assert!(start.is_settled(&PEERS));
}

#[test]
fn it_is_settled_when_the_time_is_over() {
    let mut start = start();
    let over: Vec<u32> = (1..20).filter(|_| start.tick()).collect();
    assert_eq!(over, [10]);
    assert!(start.is_settled(&PEERS));
}

#[test]
fn a_node_alone_does_not_wait() {
    assert!(start().is_settled(&[]));
}
