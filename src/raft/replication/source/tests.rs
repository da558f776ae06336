//! The entries at hand, and the reads for those that are not.

use super::*;
use crate::types::{ENTRY_OVERHEAD_BYTES, LogPosition, Payload, Term};

const SETTINGS: ProgressSettings = ProgressSettings {
    append_entries_max: 2,
    append_bytes_max: u64::MAX,
    inflight_entries_max: 100,
    inflight_bytes_max: 1000,
    snapshot_piece_bytes: 10,
    snapshot_window_bytes: 10,
};

fn entry(index: u64) -> Entry {
    Entry { index: LogIndex(index), term: Term(1), stamp_ms: 0, payload: Payload::Noop }
}

fn indexes(entries: &[Entry]) -> Vec<u64> {
    entries.iter().map(|entry| entry.index.0).collect()
}

/// The terms of a log of ten entries.
fn runs() -> TermRuns {
    let mut runs = TermRuns::default();
    (1..=10).for_each(|index| runs.push(LogPosition { term: Term(1), index: LogIndex(index) }));
    runs
}

/// A source with entries 8 to 10 at hand.
fn source() -> EntrySource {
    let mut source = EntrySource::default();
    (8..=10).for_each(|index| source.push(entry(index)));
    source
}

#[test]
fn a_batch_begins_where_it_should_and_has_no_more_than_its_bound() {
    let mut source = source();
    assert_eq!(indexes(&source.batch(LogIndex(8), &SETTINGS)), [8, 9]);
    assert_eq!(indexes(&source.batch(LogIndex(10), &SETTINGS)), [10]);
    assert!(indexes(&source.batch(LogIndex(11), &SETTINGS)).is_empty());
    assert!(indexes(&source.batch(LogIndex(7), &SETTINGS)).is_empty());
}

/// An entry that is larger than the bound of a request goes alone.
#[test]
fn a_batch_has_one_entry_at_least() {
    let settings = ProgressSettings { append_bytes_max: 1, ..SETTINGS };
    assert_eq!(indexes(&source().batch(LogIndex(8), &settings)), [8]);
}

#[test]
fn the_newest_entries_are_kept_within_their_bound() {
    let mut source = source();
    source.trim(LogIndex(0), 2 * ENTRY_OVERHEAD_BYTES);
    assert!(indexes(&source.batch(LogIndex(8), &SETTINGS)).is_empty());
    assert_eq!(indexes(&source.batch(LogIndex(9), &SETTINGS)), [9, 10]);
    source.trim(LogIndex(9), u64::MAX);
    assert_eq!(indexes(&source.batch(LogIndex(10), &SETTINGS)), [10]);
}

#[test]
fn entries_that_are_not_at_hand_are_read_once() {
    let mut source = source();
    let read = source.begin_read(LogIndex(3), LogIndex(10), 1000).expect("a read");
    assert_eq!((read.from, read.to, read.bytes_max), (LogIndex(3), LogIndex(7), 1000));
    assert_eq!(source.begin_read(LogIndex(3), LogIndex(10), 1000), None, "it is under way");
    source.on_read(read.ticket, (3..=5).map(entry).collect(), LogIndex(3), &runs());
    assert_eq!(indexes(&source.batch(LogIndex(3), &SETTINGS)), [3, 4]);
    assert_eq!(indexes(&source.batch(LogIndex(5), &SETTINGS)), [5]);
    let next = source.begin_read(LogIndex(6), LogIndex(10), 1000).expect("the next read");
    assert_eq!((next.from, next.to), (LogIndex(6), LogIndex(7)));
}

#[test]
fn an_answer_to_a_forgotten_read_is_dropped() {
    let mut source = source();
    let read = source.begin_read(LogIndex(3), LogIndex(10), 1000).expect("a read");
    source.forget_read();
    source.on_read(read.ticket, vec![entry(3)], LogIndex(3), &runs());
    assert!(indexes(&source.batch(LogIndex(3), &SETTINGS)).is_empty());
    assert!(source.begin_read(LogIndex(3), LogIndex(10), 1000).is_some());
}

#[test]
fn a_read_that_found_nothing_is_tried_again_at_a_heartbeat() {
    let mut source = source();
    let read = source.begin_read(LogIndex(3), LogIndex(10), 1000).expect("a read");
    source.on_read(read.ticket, Vec::new(), LogIndex(3), &runs());
    assert_eq!(source.begin_read(LogIndex(3), LogIndex(10), 1000), None);
    source.on_heartbeat();
    assert!(source.begin_read(LogIndex(3), LogIndex(10), 1000).is_some());
}

/// A heartbeat does not start a second read while one is under way.
#[test]
fn a_heartbeat_leaves_a_read_under_way_alone() {
    let mut source = source();
    source.begin_read(LogIndex(3), LogIndex(10), 1000).expect("a read");
    source.on_heartbeat();
    assert_eq!(source.begin_read(LogIndex(3), LogIndex(10), 1000), None);
}

/// Entries of another history are not sent.
#[test]
fn entries_that_are_not_of_this_log_are_dropped() {
    let mut source = source();
    let read = source.begin_read(LogIndex(3), LogIndex(10), 1000).expect("a read");
    let foreign = Entry { term: Term(2), ..entry(3) };
    source.on_read(read.ticket, vec![foreign], LogIndex(3), &runs());
    assert!(indexes(&source.batch(LogIndex(3), &SETTINGS)).is_empty());
}
