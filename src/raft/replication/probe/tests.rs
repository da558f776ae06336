//! The numbers of requests, and the next place to try after a conflict.

use super::*;
use crate::types::LogPosition;

fn runs(terms: &[u64]) -> TermRuns {
    let mut runs = TermRuns::default();
    for (place, term) in terms.iter().enumerate() {
        runs.push(LogPosition { term: Term(*term), index: LogIndex(place as u64 + 1) });
    }
    runs
}

fn place(terms: &[u64], next: u64, conflict: u64, term: Option<u64>) -> u64 {
    place_before_conflict(&runs(terms), LogIndex(next), LogIndex(conflict), term.map(Term)).0
}

#[test]
fn a_shorter_log_is_tried_at_its_end() {
    assert_eq!(place(&[1, 1, 1, 4], 5, 3, None), 3);
}

#[test]
fn a_term_that_the_leader_has_is_tried_after_its_last_entry_of_it() {
    assert_eq!(place(&[1, 1, 2, 4, 4], 6, 2, Some(2)), 4);
}

#[test]
fn a_term_that_the_leader_lacks_is_skipped() {
    assert_eq!(place(&[1, 1, 4, 4], 5, 2, Some(3)), 2);
    assert_eq!(place(&[1, 1, 4, 4], 5, 4, Some(3)), 3, "the leader's log has no more of it");
}

/// The entry that was compared already is not tried again.
#[test]
fn the_next_try_is_before_the_last_one() {
    assert_eq!(place(&[2, 2, 2, 2], 4, 1, Some(2)), 3);
}

#[test]
fn answers_to_requests_before_a_new_search_are_old() {
    let mut requests = Requests::new();
    assert!(requests.is_current(requests.sent_seq() + 1));
    let old = requests.next();
    requests.begin_anew();
    let current = requests.next();
    assert!(!requests.is_current(old));
    assert!(requests.is_current(current));
}

#[test]
fn only_the_answer_to_the_last_request_leaves_none_unanswered() {
    let mut requests = Requests::new();
    assert!(!requests.is_unanswered());
    let (first, second) = (requests.next(), requests.next());
    requests.on_answer(first);
    assert!(requests.is_unanswered());
    requests.on_answer(second);
    requests.on_answer(first);
    assert!(!requests.is_unanswered());
}
