use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::*;
use crate::clock::Clock;
use crate::metrics::RaftState;
use crate::raft::Role;
use crate::types::{LogIndex, NodeId, Term};

/// A clock that a test sets.
struct SetClock(AtomicU64);

impl Clock for SetClock {
    fn wall_ms(&self) -> u64 {
        0
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::Relaxed))
    }
}

/// A node that does nothing but what the test says.
struct Patient {
    clock: Arc<SetClock>,
    metrics: NodeMetrics,
    checks: Checks,
}

fn patient() -> Patient {
    let clock = Arc::new(SetClock(AtomicU64::new(1_000)));
    let node_clock: Arc<dyn Clock> = clock.clone();
    let metrics = NodeMetrics::new(&node_clock);
    let limits = HttpLimits {
        connections_max: 8,
        disk_stall_max: Duration::from_secs(30),
        console_timeout: Duration::from_secs(5),
    };
    let probe = ReadProbe::new(Arc::new(OnceLock::new()), metrics.raft.clone());
    let checks = Checks::new(metrics.clone(), limits, probe);
    Patient { clock, metrics, checks }
}

impl Patient {
    fn tick(&self, role: Role, is_draining: bool) {
        self.metrics.raft.on_tick(&RaftState {
            role,
            term: Term(1),
            leader_id: Some(NodeId(1)),
            last_log_index: LogIndex(1),
            commit_index: LogIndex(1),
            last_applied: LogIndex(1),
            snapshot_index: LogIndex(0),
            format: 4,
            is_draining,
            proposals_pending: 0,
            pending_bytes: 0,
        });
    }

    fn pass(&self, ms: u64) {
        self.clock.0.fetch_add(ms, Ordering::Relaxed);
    }

    async fn is_well(&self, check: Check, is_for_clients: bool) -> bool {
        self.checks.run(check, is_for_clients).await.is_ok()
    }
}

#[tokio::test]
async fn a_server_that_starts_is_live_and_not_ready() {
    let patient = patient();
    for check in Check::LIVE {
        assert!(patient.is_well(*check, false).await, "{check:?}");
    }
    assert!(!patient.is_well(Check::Started, true).await);
    assert!(!patient.is_well(Check::LinearizableRead, true).await, "there is no door yet");
    patient.tick(Role::Follower, false);
    assert!(patient.is_well(Check::Started, true).await);
}

#[tokio::test]
async fn a_main_thread_that_is_stuck_is_first_not_ready_and_then_not_live() {
    let patient = patient();
    patient.tick(Role::Follower, false);
    patient.pass(1_001);
    assert!(!patient.is_well(Check::MainThread, true).await);
    assert!(patient.is_well(Check::MainThread, false).await);
    patient.pass(4_000);
    assert!(!patient.is_well(Check::MainThread, false).await);
    patient.tick(Role::Follower, false);
    assert!(patient.is_well(Check::MainThread, true).await);
}

#[tokio::test]
async fn a_disk_that_finishes_nothing_is_first_not_ready_and_then_not_live() {
    let patient = patient();
    patient.metrics.log.begin();
    patient.pass(1_001);
    assert!(!patient.is_well(Check::Disk, true).await);
    patient.pass(28_000);
    assert!(patient.is_well(Check::Disk, false).await);
    patient.pass(1_000);
    assert!(!patient.is_well(Check::Disk, false).await);
    patient.metrics.log.end();
    assert!(patient.is_well(Check::Disk, true).await);
}

#[tokio::test]
async fn a_drained_server_and_a_removed_one_get_no_clients() {
    let patient = patient();
    patient.tick(Role::Leader, true);
    assert!(!patient.is_well(Check::Draining, true).await);
    assert!(patient.is_well(Check::Membership, true).await);
    patient.tick(Role::Removed, false);
    assert!(patient.is_well(Check::Draining, true).await);
    assert!(!patient.is_well(Check::Membership, true).await);
}
