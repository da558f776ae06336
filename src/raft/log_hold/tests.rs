//! The hold of one peer by itself. A tick is a hundredth of a second.

use super::*;
use crate::raft::rpc::SnapshotRefusal;
use crate::raft::status::SnapshotProgress;

const SILENT_TICKS_MAX: u32 = 20;
const TICKS_PER_SECOND: u32 = 100;
const IDLE_TICKS_MAX: u32 = 3000;

/// A peer that has `acked_bytes` of the snapshot up to entry `last`.
fn sending(last: u64, acked_bytes: u64) -> ReplicationReport {
    let snapshot_progress = Some(SnapshotProgress { acked_bytes, bytes: 1000 });
    let keep_log_from = Some(LogIndex(last));
    ReplicationReport { keep_log_from, snapshot_progress, ..Default::default() }
}

fn refused(last: u64) -> ReplicationReport {
    let snapshot_refusal = Some(SnapshotRefusal::NoRoom);
    ReplicationReport { snapshot_refusal, ..sending(last, 0) }
}

/// A peer that catches up and has everything up to `match_index`.
fn catching_up(match_index: u64) -> ReplicationReport {
    let keep_log_from = Some(LogIndex(match_index));
    ReplicationReport { keep_log_from, match_index: LogIndex(match_index), ..Default::default() }
}

impl LogHold {
    /// Lets ticks pass, each with this report. Returns the ticks until the hold ended.
    fn pass(&mut self, ticks: u32, report: ReplicationReport) -> Option<(u32, HoldEnd)> {
        for passed in 1..=ticks {
            self.on_report(&report);
            if let Some(end) = self.tick(SILENT_TICKS_MAX, TICKS_PER_SECOND, |_| false) {
                return Some((passed, end));
            }
        }
        None
    }

    fn is_held(&self) -> bool {
        self.keep_log_from().is_some()
    }
}

#[test]
fn a_hold_ends_without_progress_and_the_same_report_does_not_begin_it_again() {
    let mut hold = LogHold::default();
    assert_eq!(hold.pass(IDLE_TICKS_MAX, sending(9, 5)), None);
    assert_eq!(hold.keep_log_from(), Some(LogIndex(9)));
    assert_eq!(hold.pass(1, sending(9, 5)), Some((1, HoldEnd::NoProgress)));
    for acked_bytes in [5, 0, 3, 5] {
        assert_eq!(hold.pass(100, sending(9, acked_bytes)), None, "an end is told once");
        assert!(!hold.is_held(), "{acked_bytes}");
    }
    hold.on_report(&sending(9, 6));
    assert!(hold.is_held(), "this is more than ever");
}

#[test]
fn progress_keeps_the_hold() {
    let mut hold = LogHold::default();
    for acked_bytes in 1..10 {
        assert_eq!(hold.pass(IDLE_TICKS_MAX - 1, sending(9, acked_bytes)), None);
    }
    for match_index in 9..20 {
        assert_eq!(hold.pass(IDLE_TICKS_MAX - 1, catching_up(match_index)), None);
        assert_eq!(hold.keep_log_from(), Some(LogIndex(match_index)));
    }
}

/// docs/bugs.md C1: each step of such a peer may come just in time.
#[test]
fn progress_in_tiny_steps_does_not_keep_the_hold_for_ever() {
    let mut hold = LogHold::default();
    let mut ends = Vec::new();
    for acked_bytes in 1..200 {
        ends.extend(hold.pass(IDLE_TICKS_MAX, sending(9, acked_bytes)).map(|(_, end)| end));
    }
    assert_eq!(ends, [HoldEnd::TooSlow]);
    assert!(!hold.is_held());
    hold.on_report(&sending(10, 0));
    assert!(!hold.is_held(), "another snapshot has to make progress first");
    hold.on_report(&sending(10, 1));
    assert!(hold.is_held());
}

/// A peer that has all of a large snapshot verifies and loads it, and makes no progress.
#[test]
fn a_large_snapshot_is_given_the_time_to_be_loaded() {
    let bytes = 10 << 30;
    let snapshot_progress = Some(SnapshotProgress { acked_bytes: bytes, bytes });
    let report = ReplicationReport { snapshot_progress, ..sending(9, 0) };
    let mut hold = LogHold::default();
    let (ticks, end) = hold.pass(100_000, report).expect("it ends");
    assert_eq!(end, HoldEnd::NoProgress);
    assert_eq!(ticks, 1 + IDLE_TICKS_MAX + 100 * (10 * 1024 / 25));
}

#[test]
fn a_hold_ends_when_the_log_is_too_large_whatever_the_progress() {
    let mut hold = LogHold::default();
    hold.on_report(&sending(9, 1));
    let is_too_large = |index| index == LogIndex(9);
    let tick = |hold: &mut LogHold| hold.tick(SILENT_TICKS_MAX, TICKS_PER_SECOND, is_too_large);
    assert_eq!(tick(&mut hold), Some(HoldEnd::LogTooLarge));
    for report in [sending(9, 2), sending(9, 3), catching_up(10), catching_up(11)] {
        hold.on_report(&report);
        assert_eq!((tick(&mut hold), hold.is_held()), (None, false), "{report:?}");
    }
    hold.on_report(&sending(12, 1));
    assert_eq!(hold.keep_log_from(), Some(LogIndex(12)));
}

#[test]
fn a_refusal_ends_the_hold_until_the_peer_gets_further() {
    let mut hold = LogHold::default();
    hold.on_report(&sending(9, 5));
    hold.on_report(&refused(9));
    assert!(!hold.is_held());
    for acked_bytes in 0..=5 {
        hold.on_report(&sending(9, acked_bytes));
        assert!(!hold.is_held());
    }
    hold.on_report(&sending(9, 6));
    assert!(hold.is_held());
    hold.on_report(&refused(9));
    hold.on_report(&ReplicationReport::default());
    hold.on_report(&refused(10));
    hold.on_report(&sending(10, 0));
    assert!(!hold.is_held(), "the next snapshot may be refused as well");
    hold.on_report(&sending(10, 1));
    assert!(hold.is_held());
}

#[test]
fn a_silent_peer_is_waited_for_again_as_soon_as_it_answers() {
    let mut hold = LogHold::default();
    hold.on_report(&sending(9, 5));
    for _ in 0..SILENT_TICKS_MAX {
        assert_eq!(hold.tick(SILENT_TICKS_MAX, TICKS_PER_SECOND, |_| false), None);
        assert!(hold.is_held());
    }
    hold.tick(SILENT_TICKS_MAX, TICKS_PER_SECOND, |_| false);
    assert!(!hold.is_held() && hold.is_silent(SILENT_TICKS_MAX));
    hold.on_report(&sending(9, 5));
    assert!(hold.is_held());
    let left = IDLE_TICKS_MAX - SILENT_TICKS_MAX + 1;
    assert_eq!(hold.pass(100_000, sending(9, 5)), Some((left, HoldEnd::NoProgress)));
}

#[test]
fn a_peer_that_has_caught_up_begins_anew() {
    let mut hold = LogHold::default();
    assert!(hold.pass(100_000, sending(9, 5)).is_some());
    let caught_up = ReplicationReport { match_index: LogIndex(20), ..Default::default() };
    hold.on_report(&caught_up);
    assert!(!hold.is_held());
    hold.on_report(&sending(30, 0));
    assert!(hold.is_held());
    assert_eq!(hold.pass(IDLE_TICKS_MAX, sending(30, 0)), None);
}
