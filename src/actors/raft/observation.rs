//! What RaftActor measures of itself: nothing here changes what it does.

use std::collections::VecDeque;
use std::time::Duration;

use super::RaftActor;
use crate::metrics::{ProposalFailure, RaftMetrics, RaftState};
use crate::raft::{Event, Role};
use crate::types::LogIndex;

/// Maximum number of batches whose commit is waited for. Those beyond it are not measured.
const BATCHES_MAX: usize = 4096;

/// The metrics of RaftActor, and what it remembers for them.
#[derive(Default)]
pub(super) struct Observation {
    metrics: RaftMetrics,
    /// As the leader: the last entry of each batch that is not committed, and when it was
    /// proposed. By rising index.
    uncommitted: VecDeque<(LogIndex, Duration)>,
    /// The last entry that was looked at.
    seen: LogIndex,
}

impl Observation {
    pub(super) fn new(metrics: RaftMetrics) -> Observation {
        Observation { metrics, ..Observation::default() }
    }

    pub(super) fn on_event(&self, event: &Event) {
        self.metrics.on_event(event);
    }

    pub(super) fn on_batch(&self, messages: u32) {
        self.metrics.on_batch(messages);
    }

    pub(super) fn on_failed(&self, failure: ProposalFailure, count: usize) {
        if count > 0 {
            self.metrics.on_failed(failure, count);
        }
    }

    /// Notes what a batch has proposed and committed.
    fn on_executed(&mut self, leads: bool, last: LogIndex, committed: LogIndex, now: Duration) {
        if !leads {
            self.uncommitted.clear();
            self.seen = last;
            return;
        }
        if last > self.seen && self.uncommitted.len() < BATCHES_MAX {
            self.uncommitted.push_back((last, now));
        }
        self.seen = last;
        while let Some((index, proposed)) = self.uncommitted.front()
            && *index <= committed
        {
            self.metrics.on_committed(now.saturating_sub(*proposed));
            self.uncommitted.pop_front();
        }
    }
}

impl RaftActor {
    /// Measures its work by these metrics.
    #[must_use]
    pub fn with_metrics(mut self, metrics: RaftMetrics) -> RaftActor {
        metrics.set_id(self.raft.id());
        self.observation = Observation::new(metrics);
        self
    }

    /// Shows the state at a tick.
    pub(super) fn observe_tick(&self) {
        self.observation.metrics.on_tick(&RaftState {
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
        self.observation.on_executed(leads, last, committed, now);
    }
}
