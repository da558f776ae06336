//! The measurements of RaftActor: they change nothing of what it does.

use std::collections::VecDeque;
use std::time::Duration;

use crate::metrics::{PeersMetrics, ProposalFailure, RaftMetrics, RaftState};
use crate::raft::{Event, MembersStatus};
use crate::types::LogIndex;

/// Maximum number of batches whose commit is waited for. Those beyond it are not measured.
const BATCHES_MAX: usize = 4096;

/// The metrics of RaftActor, and the facts that it remembers for them.
#[derive(Default)]
pub(super) struct Observation {
    metrics: RaftMetrics,
    peers: PeersMetrics,
    /// As the leader: the last entry of each batch that is not committed, and when it was
    /// proposed. By rising index.
    uncommitted: VecDeque<(LogIndex, Duration)>,
    /// The last entry that was looked at.
    seen: LogIndex,
}

impl Observation {
    pub(super) fn new(metrics: RaftMetrics, peers: PeersMetrics) -> Observation {
        Observation { metrics, peers, ..Observation::default() }
    }

    pub(super) fn on_event(&self, event: &Event) {
        self.metrics.on_event(event);
    }

    pub(super) fn on_batch(&self, messages: u32) {
        self.metrics.on_batch(messages);
    }

    /// Takes the leader's view of the members.
    pub(super) fn on_members(&self, status: &MembersStatus) {
        self.metrics.set_tolerance(status.tolerance);
        if !status.is_leader {
            return self.peers.end_views();
        }
        for (id, view) in &status.peers {
            if let Some(peer) = self.peers.find(*id) {
                let unheard = view.seen_ms.map(Duration::from_millis);
                peer.set_view(Some(view.behind_entries), unheard);
            }
        }
    }

    pub(super) fn on_failed(&self, failure: ProposalFailure, count: usize) {
        if count > 0 {
            self.metrics.on_failed(failure, count);
        }
    }

    pub(super) fn on_tick(&self, state: &RaftState) {
        self.metrics.on_tick(state);
    }

    /// Takes the ends of the log and of its committed part after a batch.
    pub(super) fn on_executed(
        &mut self,
        leads: bool,
        last: LogIndex,
        committed: LogIndex,
        now: Duration,
    ) {
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
