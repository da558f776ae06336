use super::*;
use crate::kv::HistoryLimits;

fn now(store_time_ms: u64, last_stamp_ms: u64) -> Now {
    Now { term: Term(3), last_applied: LogIndex(9), store_time_ms, last_stamp_ms }
}

fn at(index: u64, term: u64) -> LogPosition {
    LogPosition { index: LogIndex(index), term: Term(term) }
}

fn applied(last_applied: u64, next_deadline_ms: Option<u64>, has_hidden: bool) -> Applied {
    let (last_applied, history) = (LogIndex(last_applied), HistoryLimits::default());
    let ending_leases = 0;
    Applied { last_applied, next_deadline_ms, has_hidden, ending_leases, digest: 0, history }
}

fn reported(next_deadline_ms: Option<u64>, has_hidden: bool) -> Expiry {
    let mut expiry = Expiry::default();
    expiry.on_applied(&applied(9, next_deadline_ms, has_hidden));
    expiry
}

#[test]
fn a_deadline_needs_an_entry_when_no_entry_behind_it_is_under_way() {
    assert!(!Expiry::default().needs_entry(now(5000, 0)));
    let expiry = reported(Some(1000), false);
    assert!(!expiry.needs_entry(now(999, 0)));
    assert!(expiry.needs_entry(now(1000, 999)));
    assert!(!expiry.needs_entry(now(1000, 1000)));
}

#[test]
fn many_deadlines_get_an_entry_every_quarter_of_a_second() {
    let mut expiry = reported(Some(1000), false);
    expiry.on_written(at(9, 3), 990);
    let times = (1000..1300).filter(|time| expiry.needs_entry(now(*time, 999)));
    assert_eq!(times.min(), Some(990 + DEADLINE_PAUSE_MS));
}

#[test]
fn hidden_keys_get_entries_at_a_bounded_pace_and_one_at_a_time() {
    let mut expiry = reported(None, true);
    assert!(expiry.needs_entry(now(1000, 1000)));
    expiry.on_written(at(10, 3), 1000);
    assert!(!expiry.needs_entry(now(9000, 1000)), "it is under way");
    let then = |time| Now { last_applied: LogIndex(10), ..now(time, 1000) };
    assert!(!expiry.needs_entry(then(1000 + REMOVAL_PAUSE_MS - 1)));
    assert!(expiry.needs_entry(then(1000 + REMOVAL_PAUSE_MS)));
    expiry.on_applied(&applied(10, None, false));
    assert!(!expiry.needs_entry(then(9000)));
}

#[test]
fn leases_that_are_due_together_get_an_entry_each_within_a_bound() {
    let mut expiry = Expiry::default();
    for (ending_leases, needed) in [(0, 1), (1, 1), (5, 5), (64, 64), (1_000_000, TOGETHER_MAX)] {
        expiry.on_applied(&Applied { ending_leases, ..applied(9, None, true) });
        assert_eq!(expiry.needed_entries(now(1000, 1000)), needed, "{ending_leases}");
    }
    expiry.on_written(at(10, 3), 1000);
    assert_eq!(expiry.needed_entries(now(9000, 1000)), 0, "they are under way");
    // A thousand have ended within a second, also when the first had to wait for its turn.
    let turns = 1000_u64.div_ceil(TOGETHER_MAX);
    assert!(DEADLINE_PAUSE_MS + turns * REMOVAL_PAUSE_MS < 1000);
}

/// The entry may be gone, and the log of the new term may be shorter than the old one.
#[test]
fn an_entry_of_an_earlier_term_holds_up_nothing() {
    let mut expiry = reported(Some(1000), false);
    expiry.on_written(at(50, 2), 7000);
    assert!(expiry.needs_entry(now(1000, 0)));
}
