use super::*;

fn runs(terms: &[u64]) -> TermRuns {
    let mut runs = TermRuns::default();
    for (offset, term) in terms.iter().enumerate() {
        runs.push(LogPosition { term: Term(*term), index: LogIndex(offset as u64 + 1) });
    }
    runs
}

#[test]
fn runs_answer_like_the_list_of_terms() {
    let terms = [1, 1, 1, 4, 4, 5, 5, 6, 6, 6];
    let runs = runs(&terms);
    assert_eq!(runs.term_at(LogIndex(0)), Some(Term(0)));
    for (offset, term) in terms.iter().enumerate() {
        let index = LogIndex(offset as u64 + 1);
        assert_eq!(runs.term_at(index), Some(Term(*term)));
        let first = terms.iter().position(|t| t == term).map(|o| LogIndex(o as u64 + 1));
        assert_eq!(runs.first_index_of_run(index), first);
    }
    assert_eq!(runs.term_at(LogIndex(11)), None);
    for term in 0..8 {
        let expected = terms.iter().filter(|t| **t <= term).count() as u64;
        assert_eq!(runs.last_index_up_to_term(Term(term)), LogIndex(expected));
    }
}

/// Compares the log with itself compacted to each possible base.
#[test]
fn a_compacted_log_answers_the_same_about_the_entries_that_are_left() {
    let terms = [1, 1, 1, 4, 4, 5, 5, 6, 6, 6];
    let whole = runs(&terms);
    for base in 0..=terms.len() as u64 {
        let position =
            LogPosition { index: LogIndex(base), term: whole.term_at(LogIndex(base)).unwrap() };
        let mut log = whole.clone();
        log.compact_to(position);
        assert_eq!((log.base(), log.last()), (position, whole.last()));
        for index in (0..12).map(LogIndex) {
            let is_known = index.0 >= base;
            assert_eq!(log.term_at(index), whole.term_at(index).filter(|_| is_known));
            let first = whole.first_index_of_run(index).filter(|_| index.0 > base);
            let first = first.map(|first| first.max(LogIndex(base + 1)));
            assert_eq!(log.first_index_of_run(index), first, "{index} after {base}");
        }
        for term in (0..8).map(Term) {
            let expected = Some(whole.last_index_up_to_term(term)).filter(|i| i.0 >= base);
            assert_eq!(log.last_index_up_to_term(term), expected.unwrap_or_default());
        }
        let mut pushed = TermRuns::starting_after(position);
        for index in (base + 1)..=10 {
            let index = LogIndex(index);
            pushed.push(LogPosition { index, term: whole.term_at(index).unwrap() });
        }
        assert_eq!(pushed, log);
        for keep in base..=10 {
            let (mut cut, mut both) = (log.clone(), whole.clone());
            cut.truncate_from(LogIndex(keep + 1));
            both.truncate_from(LogIndex(keep + 1));
            both.compact_to(position);
            assert_eq!(cut, both);
        }
    }
}

#[test]
#[should_panic(expected = "an entry that it holds")]
fn a_log_is_not_compacted_to_an_entry_that_it_does_not_hold() {
    runs(&[1, 1]).compact_to(LogPosition { term: Term(2), index: LogIndex(2) });
}

#[test]
fn truncation_at_every_index_leaves_the_prefix() {
    let terms = [1, 1, 2, 5, 5];
    for keep in 0..=terms.len() {
        let mut cut = runs(&terms);
        cut.truncate_from(LogIndex(keep as u64 + 1));
        assert_eq!(cut, runs(&terms[..keep]));
    }
}

#[test]
#[should_panic(expected = "no gaps")]
fn a_gap_is_refused() {
    runs(&[1]).push(LogPosition { term: Term(1), index: LogIndex(3) });
}
