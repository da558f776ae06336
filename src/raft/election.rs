//! Elections (§5.2, §5.4.1), preceded by a PreVote (dissertation §9.6).

use std::collections::BTreeSet;

use rand::RngExt;

use super::effect::Effect;
use super::event::Event;
use super::rpc::{
    AppendEntriesResponse, AppendResult, Envelope, PreVote, PreVoteResponse, RequestVote,
    RequestVoteResponse, Rpc,
};
use super::{Raft, RoleState};
use crate::types::{HardState, LogIndex, LogPosition, NodeId, Term};

impl Raft {
    pub(super) fn reset_election_timer(&mut self) {
        let settings = &self.settings;
        self.election_elapsed_ticks = 0;
        self.election_timeout_ticks = self.rng.random_range(
            settings.election_timeout_ticks_min..=settings.election_timeout_ticks_max,
        );
    }

    /// The first of a node's life is shorter: no leader is known that it could disturb,
    /// only the PreVote of one that starts while a leader lives must be rare. So it waits
    /// for longer than a heartbeat takes, and no longer than the least timeout. With
    /// leases nobody votes before that, so it would be for nothing.
    pub(super) fn start_election_timer(&mut self) {
        if self.has_leases() && !mutant!(B09) {
            return self.reset_election_timer();
        }
        let settings = &self.settings;
        let heard_of = settings.heartbeat_ticks + 1;
        let min = settings.election_timeout_ticks_min;
        self.election_timeout_ticks = self.rng.random_range(heard_of.min(min)..=min);
    }

    pub(super) fn tick_election(&mut self) {
        if let RoleState::Follower { leader: Some(contact) } = &mut self.role {
            contact.silent_ticks = contact.silent_ticks.saturating_add(1);
        }
        self.election_elapsed_ticks = self.election_elapsed_ticks.saturating_add(1);
        if self.election_elapsed_ticks >= self.election_timeout_ticks && !self.has_promised() {
            self.reset_election_timer();
            if self.can_campaign() {
                self.become_pre_candidate();
            }
        }
    }

    /// A node whose disk does not answer could neither vote for itself durably
    /// nor keep what it is sent: it leaves the election to others.
    fn can_campaign(&self) -> bool {
        (self.is_voter() || mutant!(B11a))
            && self.persistence.stalled_ticks() <= self.settings.election_timeout_ticks_max
    }

    /// The peer refused a connection: nobody listens at its address. A hint, never
    /// a proof, and only about the leader: the election timer is cut short.
    /// Followers take turns in the order of their ids behind the leader's, a tick
    /// apart, so that they do not all stand for election at once; and the
    /// PreVote that follows disturbs nobody if the leader is alive after all. With
    /// leases a hint shortens no promise: the turns begin when those have run out.
    pub fn on_connection_refused(&mut self, peer: NodeId) {
        let min = self.settings.election_timeout_ticks_min;
        let has_leases = self.has_leases();
        let RoleState::Follower { leader: Some(contact) } = &mut self.role else { return };
        if contact.leader_id != peer || contact.silent_ticks >= min {
            return; // known already, or not the leader
        }
        // A tick more: the first one came when less than a tick had passed.
        let promised_ticks = if has_leases { min - contact.silent_ticks + 1 } else { 0 };
        contact.silent_ticks = min;
        if mutant!(B41e) {
            self.promise_ends_at = self.now;
        }
        let turn = self.turn_behind(peer);
        self.election_elapsed_ticks = 0;
        self.election_timeout_ticks = promised_ticks + 1 + turn;
    }

    /// How many voters come between `leader` and this node, in the order of ids,
    /// going around.
    fn turn_behind(&self, leader: NodeId) -> u32 {
        let voters = &self.membership().voters;
        let between = |from: NodeId, to: NodeId| {
            voters.iter().filter(|id| **id > from && **id < to).count() as u32
        };
        if self.settings.id > leader {
            between(leader, self.settings.id)
        } else {
            between(leader, NodeId(u64::MAX)) + between(NodeId(0), self.settings.id)
        }
    }

    /// True while this node has good reason to believe that its term's leader
    /// lives: it is the leader, or heard it within the shortest election timeout.
    pub(super) fn has_live_leader(&self) -> bool {
        match &self.role {
            RoleState::Leader(_) => true,
            RoleState::Follower { leader: Some(contact) } => {
                contact.silent_ticks < self.settings.election_timeout_ticks_min && !mutant!(B16b)
            }
            RoleState::Follower { leader: None } => {
                mutant!(B13b) && self.hard_state.voted_for == Some(self.settings.id)
            }
            _ => false,
        }
    }

    fn become_pre_candidate(&mut self) {
        let term = self.term().next();
        self.role = RoleState::PreCandidate {
            granted: BTreeSet::from([self.settings.id]),
            refused: BTreeSet::new(),
        };
        self.effects.push(Effect::Event(Event::StartedPreVote { term }));
        let last = self.log.last();
        for to in self.peers() {
            let rpc = Rpc::PreVote(PreVote { last });
            // Changes nobody's state, so it waits for no disk.
            self.effects.push(Effect::Send(Envelope { from: self.settings.id, to, term, rpc }));
        }
        self.maybe_campaign();
    }

    /// Would we vote for it? Only if no leader lives, its term would be new to us,
    /// and its log is at least as up-to-date as ours.
    pub(super) fn on_pre_vote(&mut self, from: NodeId, term: Term, request: PreVote) {
        if mutant!(B13a) {
            self.become_follower(Some(from), "heard from a candidate");
        }
        let vote_granted = term > self.term()
            && !self.has_live_leader()
            && !self.has_promised()
            && self.is_voter()
            && self.is_up_to_date(request.last);
        let rpc = Rpc::PreVoteResponse(PreVoteResponse { vote_granted });
        if vote_granted {
            // The term it asked about, so that the answer to an older question is
            // known as such (B05).
            self.effects.push(Effect::Send(Envelope {
                from: self.settings.id,
                to: from,
                term,
                rpc,
            }));
        } else if !mutant!(B12) {
            // Our own term: a candidate that is behind must learn it, or a group in
            // which the longest log has the lowest term never elects (B12).
            self.send(from, rpc);
        }
    }

    pub(super) fn on_pre_vote_granted(&mut self, from: NodeId, term: Term) {
        if mutant!(B15) && matches!(self.role, RoleState::Leader(_)) {
            self.become_candidate();
        }
        let wanted = self.term().next();
        if let RoleState::PreCandidate { granted, .. } = &mut self.role
            && (term == wanted || mutant!(B05b))
        {
            granted.insert(from);
            self.maybe_campaign();
        }
    }

    pub(super) fn on_pre_vote_refused(&mut self, from: NodeId) {
        let RoleState::PreCandidate { refused, .. } = &mut self.role else { return };
        refused.insert(from);
        self.give_up_if_lost();
    }

    fn maybe_campaign(&mut self) {
        if let RoleState::PreCandidate { granted, .. } = &self.role
            && self.is_quorum(granted)
        {
            self.become_candidate();
        }
    }

    /// "On conversion to candidate: increment currentTerm, vote for self, reset
    /// election timer, send RequestVote RPCs" (Figure 2). The requests leave, and
    /// the own vote counts, when both are durable.
    fn become_candidate(&mut self) {
        let term = self.term().next();
        let voted_for = Some(self.settings.id);
        self.set_hard_state(HardState { current_term: term, voted_for, ..self.hard_state });
        self.role = RoleState::Candidate { granted: BTreeSet::new(), refused: BTreeSet::new() };
        self.reset_election_timer();
        self.effects.push(Effect::Event(Event::StartedElection { term }));
        let last = self.log.last();
        for peer in self.peers() {
            self.send(peer, Rpc::RequestVote(RequestVote { last }));
        }
    }

    pub(super) fn count_own_vote(&mut self) {
        if self.is_hard_state_durable() {
            let id = self.settings.id;
            self.count_vote(id);
        }
    }

    /// The vote (§5.2, §5.4.1): one a term, first come first served, and only for
    /// a log that is at least as up-to-date as ours.
    pub(super) fn on_request_vote(&mut self, from: NodeId, request: RequestVote) {
        let is_free = self.hard_state.voted_for.is_none_or(|candidate| candidate == from);
        // The leader of a term has won its vote already, and so has every leader
        // that we follow in it: `voted_for` alone would not know after a restart.
        let is_undecided = self.leader_id().is_none();
        let has_vote = self.is_voter() || mutant!(B11b);
        let is_up_to_date = self.is_up_to_date(request.last) || mutant!(B06a);
        let vote_granted = is_free && is_undecided && has_vote && is_up_to_date;
        if vote_granted {
            if self.hard_state.voted_for.is_none() {
                self.set_hard_state(HardState { voted_for: Some(from), ..self.hard_state });
            }
            self.reset_election_timer();
            let event = Event::GrantedVote { candidate: from, term: self.term() };
            self.effects.push(Effect::Event(event));
        }
        self.send(from, Rpc::RequestVoteResponse(RequestVoteResponse { vote_granted }));
    }

    /// "up-to-date by comparing the index and term of the last entries" (§5.4.1):
    /// the later term first, then the longer log (B07).
    fn is_up_to_date(&self, last: LogPosition) -> bool {
        let own = self.log.last();
        if mutant!(B07) {
            return (last.index, last.term) >= (own.index, own.term);
        }
        last >= own
    }

    pub(super) fn on_request_vote_response(&mut self, from: NodeId, response: RequestVoteResponse) {
        if response.vote_granted || mutant!(B06b) {
            self.count_vote(from);
        } else if let RoleState::Candidate { refused, .. } = &mut self.role {
            refused.insert(from);
            self.give_up_if_lost();
        }
    }

    fn count_vote(&mut self, from: NodeId) {
        let RoleState::Candidate { granted, .. } = &mut self.role else { return };
        granted.insert(from);
        if self.is_elected() {
            self.become_leader();
        }
    }

    /// Without its own durable vote a candidate could vote again after a crash.
    fn is_elected(&self) -> bool {
        let RoleState::Candidate { granted, .. } = &self.role else { return false };
        granted.contains(&self.settings.id) && self.is_quorum(granted)
    }

    /// When those left could not make a quorum, the election is lost: wait for the
    /// winner, or for the next timeout.
    fn give_up_if_lost(&mut self) {
        let (RoleState::PreCandidate { refused, .. } | RoleState::Candidate { refused, .. }) =
            &self.role
        else {
            return;
        };
        let membership = self.membership();
        if membership.voters.difference(refused).count() < membership.quorum_size() {
            self.role = RoleState::Follower { leader: None };
        }
    }

    fn is_quorum(&self, nodes: &BTreeSet<NodeId>) -> bool {
        let membership = self.membership();
        membership.voters.intersection(nodes).count() >= membership.quorum_size()
    }

    /// A request of an old term gets our term, so that its sender steps down
    /// (§5.1); a stale response is dropped.
    pub(super) fn answer_stale_request(&mut self, from: NodeId, rpc: &Rpc) {
        let answer = match rpc {
            Rpc::RequestVote(_) => {
                Rpc::RequestVoteResponse(RequestVoteResponse { vote_granted: false })
            }
            Rpc::AppendEntries(_) => Rpc::AppendEntriesResponse(AppendEntriesResponse {
                // Answers no request of our term, should the sender lead it by now.
                request_seq: 0,
                read_seq: 0,
                is_rejoining: self.hard_state.is_rejoining,
                // The envelope's term is the answer; nothing was compared.
                result: AppendResult::Success { match_index: LogIndex(0) },
            }),
            Rpc::InstallSnapshot(piece) => {
                Rpc::InstallSnapshotResponse(self.snapshot_response(0, piece.snapshot.last, 0))
            }
            _ => return,
        };
        self.send(from, answer);
    }
}
