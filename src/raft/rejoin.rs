//! A node with a new data directory, which may have lived before
//! (docs/adr/0005, bugs.md B52), or with a log that was cut where it was damaged
//! (docs/adr/0009, bugs.md B61).
//!
//! It follows, but is not counted, until it is known to remember whatever it may
//! have promised: because the cluster is new, or because it has caught up with
//! every other member.

use std::collections::BTreeMap;

use super::effect::Effect;
use super::event::Event;
use super::rpc::{Envelope, RejoinResponse, Rpc};
use super::{Raft, RoleState};
use crate::types::{HardState, LogPosition, NodeId, Term};

/// The reports that a rejoining node has had since it started: the latest of each member.
#[derive(Default)]
pub(super) struct Rejoining {
    reports: BTreeMap<NodeId, PeerReport>,
    age_ticks: u32,
    /// See `LogSummary::lost`.
    lost: LogPosition,
}

impl Rejoining {
    /// One that is known to have had a log that reached to `lost`.
    pub(super) fn having_lost(lost: LogPosition) -> Rejoining {
        Rejoining { lost, ..Rejoining::default() }
    }
}

#[derive(Clone, Copy)]
struct PeerReport {
    term: Term,
    last: LogPosition,
}

impl PeerReport {
    /// It has never taken part in anything.
    fn is_blank(&self) -> bool {
        self.term == Term(0) && self.last == LogPosition::default()
    }
}

impl Raft {
    pub(super) fn tick_rejoin(&mut self) {
        if !self.hard_state.is_rejoining {
            return;
        }
        self.rejoining.age_ticks = self.rejoining.age_ticks.saturating_add(1);
        // Eager at first, when all are about to start; a member that stays silent
        // may be down for days.
        let is_young = self.rejoining.age_ticks <= 10 * self.settings.election_timeout_ticks_max;
        if !is_young && !self.rejoining.age_ticks.is_multiple_of(self.settings.heartbeat_ticks) {
            return;
        }
        let (from, term) = (self.settings.id, self.term());
        for to in self.peers() {
            self.effects.push(Effect::Send(Envelope { from, to, term, rpc: Rpc::RejoinRequest }));
        }
        // Alone in its cluster there is nobody to wait for.
        self.maybe_become_voter();
    }

    /// What we have to say waits for the disk, like every answer: a term that we
    /// could forget again would be no report.
    /// What we know to have had and lost counts: somebody who has nothing may not make
    /// a majority with others that never had it.
    pub(super) fn on_rejoin_request(&mut self, from: NodeId) {
        let last = self.log.last().max(self.rejoining.lost);
        self.send(from, Rpc::RejoinResponse(RejoinResponse { last }));
    }

    pub(super) fn on_rejoin_response(
        &mut self,
        from: NodeId,
        term: Term,
        response: RejoinResponse,
    ) {
        if self.hard_state.is_rejoining {
            self.rejoining.reports.insert(from, PeerReport { term, last: response.last });
            self.maybe_become_voter();
        }
    }

    pub(super) fn maybe_become_voter(&mut self) {
        if !self.hard_state.is_rejoining || !(self.is_cluster_new() || self.has_caught_up()) {
            return;
        }
        let voted_for = if self.term() == Term(0) {
            None
        } else {
            // It may have voted in this term, in the life that it has forgotten.
            Some(self.hard_state.voted_for.unwrap_or(self.settings.id))
        };
        self.set_hard_state(HardState { voted_for, is_rejoining: false, ..self.hard_state });
        self.rejoining = Rejoining::default();
        self.effects.push(Effect::Event(Event::BecameVoter { term: self.term() }));
    }

    /// The members of a quorum, this node among them, have never taken part in
    /// anything, and nobody is known who has.
    fn is_cluster_new(&self) -> bool {
        let own = PeerReport { term: self.term(), last: self.log.last() };
        let reports = &self.rejoining.reports;
        own.is_blank()
            && reports.values().all(PeerReport::is_blank)
            && reports.len() + 1 >= self.membership().quorum_size()
    }

    /// It holds, durably, all that any other member does: of what it may have
    /// acknowledged and forgotten, the committed part is held by one of them.
    fn has_caught_up(&self) -> bool {
        let persisted_index = self.persistence.persisted_index();
        let term = self.log.term_at(persisted_index).unwrap_or_default();
        let durable = LogPosition { term, index: persisted_index };
        let reports = &self.rejoining.reports;
        let has_heard_all = self.peers().iter().all(|peer| reports.contains_key(peer));
        let term = reports.values().map(|report| report.term).max().unwrap_or_default();
        let furthest = reports.values().map(|report| report.last).max().unwrap_or_default();
        has_heard_all
            && self.term() >= term
            // What ends before our log begins can add nothing to what is committed.
            && (self.log.contains(furthest) || furthest <= self.log.base())
            && persisted_index >= furthest.index
            // Of what it is known to have had, all that was or can be committed is back
            // when its log is at least as up-to-date (§5.4.1).
            && durable >= self.rejoining.lost
            && matches!(self.role, RoleState::Follower { .. })
    }
}
