//! The measurements of RaftActor: they change nothing of what it does.

use std::time::Duration;

use super::batches::{Batches, Unapplied};
use super::log_ages::LogAges;
use crate::metrics::{LeadersView, PeersMetrics, ProposalFailure, RaftMetrics, RaftState};
use crate::raft::{Event, MembersStatus};
use crate::types::LogIndex;

/// The metrics of RaftActor, and the facts that it remembers for them.
#[derive(Default)]
pub(super) struct Observation {
    metrics: RaftMetrics,
    peers: PeersMetrics,
    /// The committed entries that the store has yet to apply.
    unapplied: Unapplied,
    /// As the leader: the ages of the entries.
    ages: LogAges,
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

    /// Takes the leader's view of the members, of a log that ends with `last`.
    pub(super) fn on_members(&self, status: &MembersStatus, last: LogIndex, now: Duration) {
        self.metrics.set_tolerance(status.tolerance);
        if !status.is_leader {
            return self.peers.end_views();
        }
        for (id, view) in &status.peers {
            if let Some(peer) = self.peers.find(*id) {
                peer.set_view(&LeadersView {
                    lag_entries: Some(view.behind_entries),
                    unheard: view.seen_ms.map(Duration::from_millis),
                    behind: Some(self.ages.age_after(view.match_index, last, now)),
                });
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

    /// Notes the end of a leader's log, by whose age its peers are known to be behind.
    pub(super) fn note_age(&mut self, leads: bool, last: LogIndex, now: Duration) {
        if leads {
            self.ages.note(last, now);
        } else {
            self.ages.clear();
        }
    }

    /// Measures the batches of which everything is committed.
    pub(super) fn on_executed(
        &mut self,
        batches: &mut Batches,
        committed: LogIndex,
        now: Duration,
    ) {
        self.unapplied.commit(committed, now);
        self.metrics.set_unapplied_since(self.unapplied.oldest());
        batches.commit(committed, |handed_over_at| {
            self.metrics.on_committed(now.saturating_sub(handed_over_at));
        });
    }

    /// The store has applied everything up to `last_applied`.
    pub(super) fn on_applied(&mut self, last_applied: LogIndex, now: Duration) {
        while let Some(committed_at) = self.unapplied.pop_applied(last_applied) {
            self.metrics.on_applied(now.saturating_sub(committed_at));
        }
        self.metrics.set_unapplied_since(self.unapplied.oldest());
    }
}
