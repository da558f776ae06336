//! The moments at which RaftActor is measured.

use super::RaftActor;
use super::observation::Observation;
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

    /// Shows the state at a tick.
    pub(super) fn observe_tick(&mut self) {
        self.upkeep.lines.look_at_disk(self.raft.id());
        if self.ticks.is_multiple_of(MEMBERS_TICKS) {
            self.upkeep.observation.on_members(&self.raft.members_status());
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
        let leads = self.raft.role() == Role::Leader;
        let (last, committed) = (self.raft.last_log().index, self.raft.commit_index());
        let now = self.clock.monotonic();
        self.upkeep.observation.on_executed(leads, last, committed, now);
    }
}
