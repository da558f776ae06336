//! The queue of reads and the rounds by themselves.

use super::*;

const FIRST: LogIndex = LogIndex(5);

fn add(reads: &mut ReadIndex, token: u64, commit: u64, last: u64) {
    reads.add(ReadToken(token), LogIndex(0), LogIndex(commit), LogIndex(last), false);
}

fn confirmed(reads: &mut ReadIndex, submitted: u64) -> Vec<u64> {
    std::iter::from_fn(|| reads.pop_confirmed(LogIndex(submitted)))
        .map(|(token, _)| token.0)
        .collect()
}

#[test]
fn a_read_waits_for_its_round_and_for_what_was_committed() {
    let mut reads = ReadIndex::new(FIRST);
    add(&mut reads, 1, 7, 9);
    assert!(reads.maybe_start_round());
    assert_eq!(confirmed(&mut reads, 7), [], "no quorum has answered");
    reads.confirm(1);
    assert_eq!(confirmed(&mut reads, 6), [], "the store has not been given entry 7");
    assert_eq!(confirmed(&mut reads, 7), [1]);
}

/// docs/bugs.md B37: a new leader does not know all that is committed.
#[test]
fn a_read_waits_for_the_first_entry_of_the_term() {
    let mut reads = ReadIndex::new(FIRST);
    add(&mut reads, 1, 2, 5);
    assert!(reads.maybe_start_round());
    reads.confirm(1);
    assert_eq!(confirmed(&mut reads, 4), []);
    assert_eq!(confirmed(&mut reads, 5), [1]);
}

/// docs/bugs.md B39: a read waits until the store has all the entries that it must see.
#[test]
fn a_read_waits_for_the_writes_of_its_session_that_are_in_the_log() {
    let mut reads = ReadIndex::new(FIRST);
    reads.add(ReadToken(1), LogIndex(8), LogIndex(6), LogIndex(9), false);
    reads.add(ReadToken(2), LogIndex(99), LogIndex(6), LogIndex(9), false);
    assert!(reads.maybe_start_round());
    reads.confirm(1);
    assert_eq!(confirmed(&mut reads, 7), []);
    assert_eq!(confirmed(&mut reads, 8), [1]);
    assert_eq!(confirmed(&mut reads, 9), [2], "no entry past the end is waited for");
}

/// docs/bugs.md B38: a round that was sent before the read does not confirm it.
#[test]
fn a_read_does_not_join_a_round_under_way() {
    let mut reads = ReadIndex::new(FIRST);
    add(&mut reads, 1, 7, 9);
    assert!(reads.maybe_start_round());
    add(&mut reads, 2, 7, 9);
    reads.confirm(1);
    assert_eq!(confirmed(&mut reads, 9), [1]);
    assert!(reads.maybe_start_round());
    reads.confirm(2);
    assert_eq!(confirmed(&mut reads, 9), [2]);
}

#[test]
fn reads_share_the_round_after_those_under_way() {
    let mut reads = ReadIndex::new(FIRST);
    add(&mut reads, 1, 7, 9);
    assert!(reads.maybe_start_round());
    add(&mut reads, 2, 7, 9);
    assert!(reads.maybe_start_round());
    add(&mut reads, 3, 7, 9);
    add(&mut reads, 4, 7, 9);
    assert!(!reads.maybe_start_round(), "two are under way");
    reads.confirm(1);
    assert!(reads.maybe_start_round());
    assert_eq!(reads.started_seq(), 3);
    reads.confirm(3);
    assert_eq!(confirmed(&mut reads, 9), [1, 2, 3, 4]);
}

#[test]
fn a_read_is_answered_before_the_next_entry() {
    let mut reads = ReadIndex::new(FIRST);
    add(&mut reads, 1, 7, 9);
    add(&mut reads, 2, 7, 12);
    assert_eq!(reads.first_place(), Some(LogIndex(9)));
    assert_eq!(reads.pop_before(LogIndex(9), LogIndex(8)), None);
    let read = reads.pop_before(LogIndex(10), LogIndex(9));
    assert_eq!(read, Some((ReadToken(1), LogIndex(7))));
    assert_eq!(reads.pop_before(LogIndex(10), LogIndex(9)), None);
}

#[test]
#[should_panic(expected = "a read must see entry 7, and its place is before 10")]
fn a_read_is_never_answered_before_what_it_must_see() {
    let mut reads = ReadIndex::new(FIRST);
    add(&mut reads, 1, 7, 9);
    reads.pop_before(LogIndex(10), LogIndex(6));
}

/// A read that a lease confirms needs no round, but waits for the reads before it.
#[test]
fn a_leased_read_keeps_its_place() {
    let mut reads = ReadIndex::new(FIRST);
    add(&mut reads, 1, 7, 9);
    reads.add(ReadToken(2), LogIndex(0), LogIndex(7), LogIndex(9), true);
    assert_eq!(confirmed(&mut reads, 9), []);
    assert!(reads.maybe_start_round());
    reads.confirm(1);
    reads.add(ReadToken(3), LogIndex(0), LogIndex(7), LogIndex(9), true);
    assert_eq!(confirmed(&mut reads, 9), [1, 2, 3]);
}

#[test]
fn with_leases_each_heartbeat_is_a_round() {
    let ms = Duration::from_millis;
    let lease = LeaseSettings { promise: ms(100), started_at: ms(0) };
    let mut reads = ReadIndex::new(FIRST);
    assert!(reads.maybe_start_leased_round(true, ms(10), &lease));
    assert!(!reads.maybe_start_leased_round(false, ms(20), &lease));
    assert!(reads.maybe_start_leased_round(true, ms(60), &lease));
    reads.confirm(1);
    assert_eq!(reads.confirmed_at, Some(ms(10)));
    assert!(reads.maybe_start_leased_round(true, ms(161), &lease));
    assert_eq!(reads.rounds_under_way(), 1, "the answer to the one of 60 ms is too late");
}
