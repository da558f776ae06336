//! A node with a new data directory, which may have lived before
//! (docs/adr/0005, bugs.md B52), or with a log that was cut where it was damaged
//! (docs/adr/0009, bugs.md B61).
//!
//! It follows, but is not counted, until it is known to remember whatever it may
//! have promised: because the cluster is new, or because it has caught up with
//! every other member.

use std::collections::BTreeMap;

use super::effect::{Effect, Note};
use super::rpc::{Envelope, NewcomerResponse, Rpc};
use super::{Raft, RoleState};
use crate::types::{HardState, LogPosition, NodeId, Term};

/// What a newcomer has heard since it started, of each member its latest word.
#[derive(Default)]
pub(super) struct Newcomer {
    heard: BTreeMap<NodeId, Word>,
    age_ticks: u32,
    /// See `LogSummary::lost`.
    lost: LogPosition,
}

impl Newcomer {
    /// One that is known to have had a log that reached to `lost`.
    pub(super) fn having_lost(lost: LogPosition) -> Newcomer {
        Newcomer { lost, ..Newcomer::default() }
    }
}

#[derive(Clone, Copy)]
struct Word {
    term: Term,
    last: LogPosition,
}

impl Word {
    /// It has never taken part in anything.
    fn is_blank(&self) -> bool {
        self.term == Term(0) && self.last == LogPosition::default()
    }
}

impl Raft {
    pub(super) fn tick_newcomer(&mut self) {
        if !self.hard_state.is_newcomer {
            return;
        }
        self.newcomer.age_ticks = self.newcomer.age_ticks.saturating_add(1);
        // Eager at first, when all are about to start; a member that stays silent
        // may be down for days.
        let is_young = self.newcomer.age_ticks <= 10 * self.settings.election_timeout_ticks_max;
        if !is_young && !self.newcomer.age_ticks.is_multiple_of(self.settings.heartbeat_ticks) {
            return;
        }
        let (from, term) = (self.settings.id, self.term());
        for to in self.peers() {
            self.effects.push(Effect::Send(Envelope { from, to, term, rpc: Rpc::Newcomer }));
        }
        // Alone in its cluster there is nobody to wait for.
        self.maybe_become_voter();
    }

    /// What we have to say waits for the disk, like every answer: a term that we
    /// could forget again would be no word.
    /// What we know to have had and lost counts: somebody who has nothing may not make
    /// a majority with others that never had it.
    pub(super) fn on_newcomer(&mut self, from: NodeId) {
        let last = self.log.last().max(self.newcomer.lost);
        self.send(from, Rpc::NewcomerResponse(NewcomerResponse { last }));
    }

    pub(super) fn on_newcomer_response(
        &mut self,
        from: NodeId,
        term: Term,
        response: NewcomerResponse,
    ) {
        if self.hard_state.is_newcomer {
            self.newcomer.heard.insert(from, Word { term, last: response.last });
            self.maybe_become_voter();
        }
    }

    pub(super) fn maybe_become_voter(&mut self) {
        if !self.hard_state.is_newcomer || !(self.is_cluster_new() || self.has_caught_up()) {
            return;
        }
        let voted_for = if self.term() == Term(0) {
            None
        } else {
            // It may have voted in this term, in the life that it has forgotten.
            Some(self.hard_state.voted_for.unwrap_or(self.settings.id))
        };
        self.set_hard_state(HardState { voted_for, is_newcomer: false, ..self.hard_state });
        self.newcomer = Newcomer::default();
        self.effects.push(Effect::Note(Note::BecameVoter { term: self.term() }));
    }

    /// The members of a quorum, this node among them, have never taken part in
    /// anything, and nobody is known who has.
    fn is_cluster_new(&self) -> bool {
        let own = Word { term: self.term(), last: self.log.last() };
        let heard = &self.newcomer.heard;
        own.is_blank()
            && heard.values().all(Word::is_blank)
            && heard.len() + 1 >= self.membership().quorum_size()
    }

    /// It holds, durably, all that any other member does: of what it may have
    /// acknowledged and forgotten, the committed part is held by one of them.
    fn has_caught_up(&self) -> bool {
        let persisted_index = self.persistence.persisted_index();
        let term = self.log.term_at(persisted_index).unwrap_or_default();
        let durable = LogPosition { term, index: persisted_index };
        let heard = &self.newcomer.heard;
        let has_heard_all = self.peers().iter().all(|peer| heard.contains_key(peer));
        let term = heard.values().map(|word| word.term).max().unwrap_or_default();
        let furthest = heard.values().map(|word| word.last).max().unwrap_or_default();
        has_heard_all
            && self.term() >= term
            // What ends before our log begins can add nothing to what is committed.
            && (self.log.contains(furthest) || furthest <= self.log.base())
            && persisted_index >= furthest.index
            // Of what it is known to have had, all that was or can be committed is back
            // when its log is at least as up-to-date (§5.4.1).
            && durable >= self.newcomer.lost
            && matches!(self.role, RoleState::Follower { .. })
    }
}
