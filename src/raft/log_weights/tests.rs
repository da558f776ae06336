use super::*;
use crate::types::{ENTRY_OVERHEAD_BYTES, Payload, Term};

fn entries(from: u64, to: u64) -> Vec<Entry> {
    let entry = |index| Entry {
        index: LogIndex(index),
        term: Term(1),
        stamp_ms: 0,
        payload: Payload::Noop,
    };
    (from..=to).map(entry).collect()
}

#[test]
fn the_weight_after_an_entry_is_that_of_all_later_entries() {
    let mut weights = LogWeights::starting_after(LogIndex(10));
    assert_eq!(weights.after(LogIndex(10)), 0);
    assert_eq!(weights.add(&entries(11, 30)), 20 * ENTRY_OVERHEAD_BYTES);
    for index in 10..=30 {
        assert_eq!(weights.after(LogIndex(index)), (30 - index) * ENTRY_OVERHEAD_BYTES);
    }
    assert_eq!(weights.after(LogIndex(3)), 20 * ENTRY_OVERHEAD_BYTES, "as far as it is known");
    weights.compact_to(LogIndex(20));
    assert_eq!(weights.after(LogIndex(20)), 10 * ENTRY_OVERHEAD_BYTES);
    assert_eq!(weights.after(LogIndex(30)), 0);
}

/// The marks of a log of a million entries fit into a few pages of memory, and an answer is
/// never too low.
#[test]
fn the_marks_are_bounded_and_the_error_is_small() {
    let count = 1_000_000;
    let mut weights = LogWeights::starting_after(LogIndex(0));
    for first in (1..count).step_by(1000) {
        weights.add(&entries(first, first + 999));
        assert!(weights.marks.len() <= MARKS_MAX);
    }
    for index in (0..=count).step_by(777) {
        let exact = (count - index) * ENTRY_OVERHEAD_BYTES;
        let error = weights.after(LogIndex(index)) - exact;
        assert!(error <= count * ENTRY_OVERHEAD_BYTES / 500, "{index}: {error}");
    }
}
