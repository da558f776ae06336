use super::*;
use crate::types::{Payload, Term};

fn written(index: u64, term: u64, prev_term: u64, is_sure: bool) -> Written {
    let (index, term) = (LogIndex(index), Term(term));
    let entry = Entry { index, term, stamp_ms: 0, payload: Payload::Noop };
    Written { entry, prev_term: Term(prev_term), is_sure }
}

#[test]
fn a_sure_term_before_an_entry_counts_whenever_it_is_read() {
    for is_first_sure in [true, false] {
        let mut log = CommittedLog::default();
        log.add(1, written(1, 2, 0, true));
        let both = [written(2, 3, 2, true), written(2, 3, 1, false)];
        let (sure, guess) = both.into();
        let (first, second) = if is_first_sure { (sure, guess) } else { (guess, sure) };
        log.add(1, first);
        log.add(2, second);
        let end = LogPosition { term: Term(3), index: LogIndex(2) };
        assert_eq!(log.log_to(end).map(|entries| entries.len()), Ok(2));
    }
}

#[test]
fn two_sure_terms_before_one_entry_are_a_conflict() {
    let mut log = CommittedLog::default();
    log.add(1, written(2, 3, 2, true));
    log.add(2, written(2, 3, 1, true));
    let end = LogPosition { term: Term(3), index: LogIndex(2) };
    assert!(log.log_to(end).is_err());
}
