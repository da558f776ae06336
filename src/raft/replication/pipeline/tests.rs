//! The window by itself.

use super::*;
use crate::types::{ENTRY_OVERHEAD_BYTES, Payload, Term};

fn settings(entries: usize, bytes: u64) -> ProgressSettings {
    ProgressSettings {
        append_entries_max: 10,
        append_bytes_max: 1000,
        inflight_entries_max: entries,
        inflight_bytes_max: bytes,
        snapshot_piece_bytes: 10,
        snapshot_window_bytes: 10,
    }
}

fn entries(indexes: std::ops::RangeInclusive<u64>) -> Vec<Entry> {
    let entry = |index| Entry {
        index: LogIndex(index),
        term: Term(1),
        stamp_ms: 0,
        payload: Payload::Noop,
    };
    indexes.map(entry).collect()
}

#[test]
fn has_room_until_entries_or_bytes_are_used_up() {
    let mut pipeline = Pipeline::default();
    pipeline.push(&entries(1..=3));
    assert!(pipeline.has_room(&settings(4, u64::MAX)));
    assert!(!pipeline.has_room(&settings(3, u64::MAX)));
    assert!(pipeline.has_room(&settings(4, 3 * ENTRY_OVERHEAD_BYTES + 1)));
    assert!(!pipeline.has_room(&settings(4, 3 * ENTRY_OVERHEAD_BYTES)));
}

#[test]
fn only_whole_requests_are_acknowledged() {
    let mut pipeline = Pipeline::default();
    pipeline.push(&entries(1..=3));
    pipeline.push(&entries(4..=5));
    pipeline.acknowledge(LogIndex(2));
    assert_eq!((pipeline.entries(), pipeline.first_index()), (5, Some(LogIndex(1))));
    pipeline.acknowledge(LogIndex(4));
    assert_eq!((pipeline.entries(), pipeline.first_index()), (2, Some(LogIndex(4))));
    pipeline.acknowledge(LogIndex(9));
    assert_eq!((pipeline.entries(), pipeline.first_index()), (0, None));
    pipeline.check_invariants();
}

/// docs/bugs.md B29: a window that is not emptied with its counters is full for ever.
#[test]
fn a_cleared_window_has_all_its_room() {
    let mut pipeline = Pipeline::default();
    pipeline.push(&entries(1..=3));
    pipeline.clear();
    assert!(pipeline.has_room(&settings(1, 1)));
    pipeline.check_invariants();
}

#[test]
fn a_request_without_entries_takes_no_room() {
    let mut pipeline = Pipeline::default();
    pipeline.push(&[]);
    assert_eq!((pipeline.entries(), pipeline.first_index()), (0, None));
}
