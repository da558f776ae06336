//! The evidence of a loss, and the pace of the words about it.

use super::*;

fn i(index: u64) -> LogIndex {
    LogIndex(index)
}

fn at(index: u64, term: u64) -> LogPosition {
    LogPosition { term: Term(term), index: LogIndex(index) }
}

/// The terms of a leader's log that begins after `base`.
fn runs(base: LogPosition, terms: &[u64]) -> TermRuns {
    let mut runs = TermRuns::starting_after(base);
    for (index, term) in (base.index.0 + 1..).zip(terms) {
        runs.push(at(index, *term));
    }
    runs
}

/// A peer that had acknowledged entry 4@3 before the current search began.
fn memory() -> (PeerMemory, TermRuns) {
    let runs = runs(at(0, 0), &[1, 1, 3, 3, 3, 3]);
    let mut memory = PeerMemory::default();
    memory.on_match(i(4), &runs);
    memory.begin_search();
    (memory, runs)
}

#[test]
fn a_log_that_ends_before_the_acknowledged_entry_is_a_proof() {
    let (memory, _) = memory();
    for end in 0..4 {
        let loss = memory.loss_in(i(end + 1), None);
        assert_eq!(loss, Some(PeerLoss { acknowledged: at(4, 3), held: i(end) }));
    }
    assert_eq!(memory.loss_in(i(5), None), None, "it holds entry 4");
}

#[test]
fn other_entries_in_the_place_of_the_acknowledged_one_are_a_proof() {
    let (memory, _) = memory();
    assert_eq!(memory.loss_in(i(3), Some(Term(2))).map(|loss| loss.held), Some(i(2)));
    assert_eq!(memory.loss_in(i(3), Some(Term(3))), None, "entry 4 is one of that term");
    assert_eq!(memory.loss_in(i(5), Some(Term(2))), None, "they begin after entry 4");
}

#[test]
fn what_was_acknowledged_since_the_search_began_proves_nothing() {
    let (mut memory, runs) = memory();
    memory.on_match(i(6), &runs);
    assert_eq!(memory.loss_in(i(6), None), None, "an answer may have been overtaken");
    memory.begin_search();
    assert!(memory.loss_in(i(6), None).is_some());
}

#[test]
fn nothing_is_lost_before_anything_is_acknowledged() {
    let mut memory = PeerMemory::default();
    memory.begin_search();
    for conflict_index in 0..3 {
        assert_eq!(memory.loss_in(i(conflict_index), None), None);
    }
}

#[test]
fn a_rejoining_peer_has_acknowledged_only_what_it_still_has() {
    let (mut memory, runs) = memory();
    memory.on_match(i(2), &runs);
    assert_eq!(memory.loss_in(i(3), None), None);
    assert!(memory.loss_in(i(2), None).is_some());
}

/// The leader compacts its log when a peer is away for long, and still knows the term of
/// what the peer had.
#[test]
fn an_acknowledged_entry_that_was_compacted_away_counts() {
    let (mut memory, _) = memory();
    memory.on_match(i(4), &runs(at(6, 3), &[3]));
    assert!(memory.loss_in(i(3), None).is_some());
    memory.on_match(i(2), &runs(at(6, 3), &[3]));
    assert_eq!(memory.loss_in(i(2), None), None, "its term is unknown");
}

#[test]
fn the_peer_is_told_at_the_pace_of_heartbeats_and_the_core_once() {
    let (mut memory, _) = memory();
    let loss = memory.loss_in(i(2), None).unwrap();
    assert_eq!(memory.word(loss), Some(Forgotten { acknowledged: at(4, 3) }));
    assert_eq!(memory.word(loss), None);
    memory.on_heartbeat();
    assert!(memory.word(loss).is_some());
    assert!(memory.is_news() && !memory.is_news());
    memory.on_sound_answer();
    assert!(memory.is_news());
}
