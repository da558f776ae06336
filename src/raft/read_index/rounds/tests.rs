//! Rounds by themselves: which read is confirmed by which.

use super::*;

fn add(rounds: &mut Rounds, token: u64, place: u64) {
    rounds.add(ReadToken(token), LogIndex(7), LogIndex(place));
}

fn confirmed(rounds: &mut Rounds) -> Vec<u64> {
    std::iter::from_fn(|| rounds.pop_confirmed()).map(|(token, _)| token.0).collect()
}

/// docs/bugs.md B38: a round that was sent before the read does not confirm it.
#[test]
fn a_read_does_not_join_a_round_under_way() {
    let mut rounds = Rounds::default();
    add(&mut rounds, 1, 9);
    assert!(rounds.maybe_start());
    add(&mut rounds, 2, 9);
    rounds.confirm(1);
    assert_eq!(confirmed(&mut rounds), [1]);
    assert!(rounds.maybe_start());
    rounds.confirm(2);
    assert_eq!(confirmed(&mut rounds), [2]);
}

#[test]
fn reads_share_the_round_after_those_under_way() {
    let mut rounds = Rounds::default();
    add(&mut rounds, 1, 9);
    assert!(rounds.maybe_start());
    add(&mut rounds, 2, 9);
    assert!(rounds.maybe_start());
    add(&mut rounds, 3, 9);
    add(&mut rounds, 4, 9);
    assert!(!rounds.maybe_start(), "two are under way");
    rounds.confirm(1);
    assert!(rounds.maybe_start());
    assert_eq!(rounds.started_seq(), 3);
    rounds.confirm(3);
    assert_eq!(confirmed(&mut rounds), [1, 2, 3, 4]);
}

/// docs/bugs.md C15: a broken peer repeats a number that it was never sent.
#[test]
fn a_round_that_was_never_started_confirms_nothing() {
    let mut rounds = Rounds::default();
    add(&mut rounds, 1, 9);
    rounds.confirm(u64::MAX);
    assert!(confirmed(&mut rounds).is_empty());
    assert!(rounds.maybe_start(), "and the next round begins");
    add(&mut rounds, 2, 9);
    rounds.confirm(u64::MAX);
    assert_eq!(confirmed(&mut rounds), [1]);
    assert!(rounds.maybe_start());
}

#[test]
fn an_entry_confirms_the_reads_that_arrived_before_it() {
    let mut rounds = Rounds::default();
    add(&mut rounds, 1, 9);
    add(&mut rounds, 2, 12);
    assert_eq!(rounds.first_place(), Some(LogIndex(9)));
    assert_eq!(rounds.pop_before(LogIndex(9)), None);
    assert_eq!(rounds.pop_before(LogIndex(10)).map(|(token, _)| token), Some(ReadToken(1)));
    assert_eq!(rounds.pop_before(LogIndex(10)), None);
    assert_eq!(rounds.len(), 1);
}

#[test]
fn a_cancelled_read_wants_no_round() {
    let mut rounds = Rounds::default();
    add(&mut rounds, 1, 9);
    assert!(rounds.cancel(ReadToken(1)));
    assert!(!rounds.cancel(ReadToken(1)));
    assert!(!rounds.maybe_start());
    assert_eq!(rounds.len(), 0);
}

#[test]
fn with_leases_each_heartbeat_is_a_round() {
    let ms = Duration::from_millis;
    let lease = LeaseSettings { promise: ms(100), started_at: ms(0) };
    let mut rounds = Rounds::default();
    assert!(rounds.maybe_start_leased(true, ms(10), &lease));
    assert!(!rounds.maybe_start_leased(false, ms(20), &lease));
    assert!(rounds.maybe_start_leased(true, ms(60), &lease));
    rounds.confirm(1);
    assert_eq!(rounds.confirmed_at(), Some(ms(10)));
    assert!(rounds.maybe_start_leased(true, ms(161), &lease));
    assert_eq!(rounds.under_way(), 1, "the answer to the one of 60 ms is too late");
}
