//! The moments at which RaftActor is measured.

use super::RaftActor;
use super::observation::Observation;
use crate::actors::io::slow_operations::SlowOperations;
use crate::metrics::{LogMetrics, PeersMetrics, RaftMetrics, RaftState};
use crate::raft::Role;

/// Number of ticks between two looks at the members, which cost more than the other numbers.
const MEMBERS_TICKS: u64 = 20;

impl RaftActor {
    /// Measures its work by these metrics.
    #[must_use]
    pub fn with_metrics(mut self, metrics: RaftMetrics, peers: PeersMetrics) -> RaftActor {
        metrics.set_id(self.raft.id());
        self.upkeep.observation = Observation::new(metrics, peers);
        self
    }

    /// Says when the disk of the log stalls, by these metrics.
    #[must_use]
    pub fn watching_disk(mut self, disk: LogMetrics) -> RaftActor {
        self.upkeep.lines.watch_disk(disk);
        self
    }

    /// Judges the commands that end here without an answer of the store.
    #[must_use]
    pub fn with_slow_operations(mut self, slow: SlowOperations) -> RaftActor {
        self.pending.moments.slow = slow;
        self
    }

    /// Shows the state at a tick.
    pub(super) fn observe_tick(&mut self) {
        self.upkeep.lines.look_at_disk(self.raft.id());
        let (last, now) = (self.raft.last_log().index, self.pending.moments.now);
        self.upkeep.observation.note_age(self.raft.role() == Role::Leader, last, now);
        if self.ticks.is_multiple_of(MEMBERS_TICKS) {
            self.upkeep.observation.on_members(&self.raft.members_status(), last, now);
        }
        self.upkeep.observation.on_tick(&RaftState {
            role: self.raft.role(),
            term: self.raft.term(),
            leader_id: self.raft.leader_id(),
            last_log_index: self.raft.last_log().index,
            commit_index: self.raft.commit_index(),
            last_applied: self.raft.last_applied(),
            snapshot_index: self.raft.snapshot_index(),
            format: u64::from(self.raft.store_format().0),
            is_draining: self.raft.is_draining(),
            proposals_pending: self.pending.writes(),
            pending_bytes: self.pending.weight_bytes(),
        });
    }

    /// Measures the commits, after the effects of a batch.
    pub(super) fn observe_batch(&mut self) {
        let (last, committed) = (self.raft.last_log().index, self.raft.commit_index());
        let now = self.clock.monotonic();
        let batches = &mut self.pending.moments.batches;
        if self.raft.role() == Role::Leader {
            batches.hand_over(last, now);
        } else {
            batches.clear(last);
        }
        self.upkeep.observation.on_executed(batches, committed, now);
    }
}
