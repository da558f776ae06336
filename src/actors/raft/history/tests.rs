use super::*;

const WANTED: HistoryLimits = HistoryLimits { keep_revisions: 5, bytes_max: 100 };

fn reported(history: HistoryLimits) -> HistoryBounds {
    let mut bounds = HistoryBounds::default();
    let last_applied = LogIndex(4);
    let (next_deadline_ms, has_hidden, ending_leases, digest) = (None, false, 0, 0);
    bounds.on_applied(&Applied {
        last_applied,
        next_deadline_ms,
        has_hidden,
        ending_leases,
        digest,
        history,
    });
    bounds
}

#[test]
fn an_entry_is_needed_when_other_bounds_are_in_force_and_none_is_under_way() {
    let needs = |bounds: &HistoryBounds, term, last_applied| {
        bounds.needs_entry(WANTED, Term(term), LogIndex(last_applied))
    };
    assert!(!needs(&HistoryBounds::default(), 1, 4), "the store has not said what it has");
    assert!(!needs(&reported(WANTED), 1, 4));
    let mut bounds = reported(HistoryLimits::default());
    assert!(needs(&bounds, 1, 4));
    bounds.on_written(LogPosition { index: LogIndex(5), term: Term(1) });
    assert!(!needs(&bounds, 1, 4), "it is under way");
    assert!(needs(&bounds, 2, 4), "it may be truncated");
    assert!(needs(&bounds, 1, 5), "it is applied, and another one was after it");
}
