//! The rules by which stores are compared (docs/adr/0025).
//!
//! A leader sends its digest with each heartbeat and collects those of its peers. A digest that a
//! majority of the voters has is right, and whoever has another one stops. Without a majority
//! nobody can know who is right: nobody stops, and the leader reports it.

use super::comparison::{Accusation, Question, Split};
use super::effect::{Effect, ReadDigest};
use super::event::Event;
use super::quorum::Quorum;
use super::role::RoleState;
use super::rpc::{Rpc, StateCheck, StateCheckResponse, StateDiverged};
use super::state::Raft;
use super::stop_reason::StopReason;
use crate::types::{Format, LogIndex, NodeId};

/// The format from which on stores are compared.
const SINCE: Format = Format(2);

impl Raft {
    /// The digest of the store after the entry at `index`, for a [`Effect::ReadDigest`].
    pub fn on_digest_read(&mut self, index: LogIndex, digest: u64) {
        let (term, leader_id) = (self.term(), self.leader_id());
        let is_asked = |question: &mut Question| question.index == index;
        if let Some(question) = self.comparison.question.take_if(is_asked)
            && (question.term, Some(question.leader_id)) == (term, leader_id)
        {
            let response = StateCheckResponse { index, digest };
            self.send(question.leader_id, Rpc::StateCheckResponse(response));
        }
        let is_meant = |accusation: &mut Accusation| accusation.index == index;
        if let Some(accusation) = self.comparison.accusation.take_if(is_meant)
            && (accusation.term, Some(accusation.leader_id)) == (term, leader_id)
            && accusation.digest != digest
        {
            self.stop(StopReason::Diverged { index, own: digest, majority: accusation.digest });
        }
    }

    /// A part of the store in memory is not what was written there. `what` is a clause for
    /// people.
    pub fn on_store_corrupted(&mut self, what: String) {
        self.stop(StopReason::Corrupted { index: self.last_applied(), what });
    }

    /// As the leader, with each heartbeat: asks all peers for their digests.
    pub(super) fn check_states(&mut self) {
        let format = self.log.cluster().at(self.commit_index).format.format;
        let Some((index, digest)) = self.comparison.applied.filter(|_| format >= SINCE) else {
            return;
        };
        let (term, id) = (self.term(), self.id());
        self.comparison.rounds.ask(term, id, index, digest);
        let acknowledged = self.acknowledged_table();
        let request = StateCheck { index, digest, acknowledged };
        for peer in self.other_members() {
            let envelope = self.envelope(peer, Rpc::StateCheck(request.clone()));
            self.effects.push(Effect::Send(envelope));
        }
        self.report_split();
    }

    /// The leader asks for the digest after an entry. One question waits for the store at a time:
    /// a store that lags would never get as far as the newest one.
    pub(super) fn on_state_check(&mut self, from: NodeId, request: &StateCheck) {
        if self.leader_id() != Some(from) {
            return;
        }
        self.on_acknowledged_table(&request.acknowledged);
        let (term, last_applied, index) = (self.term(), self.last_applied(), request.index);
        let is_waiting =
            |question: &Question| question.term == term && question.index > last_applied;
        if !self.comparison.question.as_ref().is_some_and(is_waiting) {
            self.comparison.question = Some(Question { leader_id: from, term, index });
            self.effects.push(Effect::ReadDigest(ReadDigest { index }));
        }
    }

    /// A peer answers this leader with its digest.
    pub(super) fn on_state_check_response(&mut self, from: NodeId, response: StateCheckResponse) {
        let RoleState::Leader(leadership) = &self.role else { return };
        if !self.membership().is_member(from) {
            return; // a late answer of a server that was removed
        }
        let StateCheckResponse { index, digest } = response;
        // A rejoining peer may have its store from this leader: it is no second witness.
        let is_counted = !leadership.is_rejoining(from);
        let term = self.term();
        self.comparison.rounds.on_answer(term, (from, is_counted), index, digest);
        self.judge(index);
    }

    /// Tells the peers that differ from a majority, or stops when this leader does.
    fn judge(&mut self, index: LogIndex) {
        let quorum = Quorum::of(self.log.membership());
        let Some(verdict) = self.comparison.rounds.verdict(index, quorum) else {
            return self.report_split();
        };
        let (id, digest) = (self.id(), verdict.digest);
        if let Some((_, own)) = verdict.wrong.iter().find(|(wrong, _)| *wrong == id) {
            self.stop(StopReason::Diverged { index, own: *own, majority: digest });
            return;
        }
        for (peer, _) in verdict.wrong {
            if self.comparison.rounds.is_to_be_told(index, peer) {
                let word = Rpc::StateDiverged(StateDiverged { index, digest });
                self.effects.push(Effect::Send(self.envelope(peer, word)));
            }
            if self.comparison.rounds.is_to_be_reported(peer) {
                self.tell(Event::PeerDiverged { peer, index });
            }
        }
    }

    /// Reports stores that differ while no majority says which is right.
    fn report_split(&mut self) {
        let quorum = Quorum::of(self.log.membership());
        if let Some(Split { index, one, other }) = self.comparison.rounds.take_split(quorum) {
            self.tell(Event::StoresDiffer { index, one, other });
        }
    }

    /// The leader says that a majority has another store than this node. That is checked by the
    /// digest of this node's own, because the word may be late.
    pub(super) fn on_state_diverged(&mut self, from: NodeId, word: StateDiverged) {
        if self.leader_id() != Some(from) {
            return;
        }
        let (term, StateDiverged { index, digest }) = (self.term(), word);
        self.comparison.accusation = Some(Accusation { leader_id: from, term, index, digest });
        self.effects.push(Effect::ReadDigest(ReadDigest { index }));
    }
}
