use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::clock::Clock;
use crate::metrics::{NodeMetrics, RaftState};
use crate::raft::Role;
use crate::types::{LogIndex, Term};

/// A clock that a test sets, in milliseconds.
#[derive(Default)]
struct SetClock(AtomicU64);

impl Clock for SetClock {
    fn wall_ms(&self) -> u64 {
        0
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::Relaxed))
    }
}

const STATE: RaftState = RaftState {
    role: Role::Follower,
    term: Term(1),
    leader_id: None,
    last_log_index: LogIndex(0),
    commit_index: LogIndex(0),
    last_applied: LogIndex(0),
    snapshot_index: LogIndex(0),
    format: 1,
    is_draining: false,
    proposals_pending: 0,
    pending_bytes: 0,
};

#[test]
fn the_main_thread_is_well_for_as_long_as_livez_says_so_and_the_disk_does_not_count() {
    let clock = Arc::new(SetClock::default());
    let node_clock: Arc<dyn Clock> = clock.clone();
    let metrics = NodeMetrics::new(&node_clock);
    let bound = u64::try_from(MAIN_THREAD_SILENCE_MAX.as_millis()).unwrap();
    assert!(!is_well(&metrics.raft), "it has not begun");
    clock.0.store(1_000, Ordering::Relaxed);
    metrics.log.begin();
    metrics.raft.on_tick(&STATE);
    clock.0.store(1_000 + bound, Ordering::Relaxed);
    assert!(is_well(&metrics.raft));
    clock.0.store(1_001 + bound, Ordering::Relaxed);
    assert!(!is_well(&metrics.raft), "the main thread is stuck");
    metrics.raft.on_tick(&STATE);
    clock.0.store(1_002 + bound, Ordering::Relaxed);
    assert!(metrics.log.silence() > MAIN_THREAD_SILENCE_MAX);
    assert!(is_well(&metrics.raft), "only the disk stands still");
}

#[test]
fn it_beats_while_all_is_well_and_ends_when_the_other_end_is_dropped() {
    let (end, ended) = channel();
    let end = Cell::new(Some(end));
    let (looks, beats) = (Cell::new(0), Cell::new(0));
    let is_well = || {
        looks.set(looks.get() + 1);
        if looks.get() == 6 {
            end.take();
        }
        looks.get() % 2 == 0
    };
    watch(&ended, Duration::from_millis(1), is_well, || beats.set(beats.get() + 1));
    assert_eq!((looks.get(), beats.get()), (6, 3));
}
