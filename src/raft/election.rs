//! Elections (§5.2, §5.4.1), preceded by a PreVote (dissertation §9.6).

use super::effect::Effect;
use super::event::Event;
use super::quorum::Quorum;
use super::role::{Candidacy, RoleState};
use super::rpc::{Envelope, PreVote, PreVoteResponse, RequestVote, RequestVoteResponse, Rpc};
use super::state::Raft;
use crate::types::{HardState, LogPosition, NodeId, Term};

impl Raft {
    // The timer.

    pub(super) fn tick_election(&mut self) {
        if let RoleState::Follower { leader: Some(contact) } = &mut self.role {
            contact.tick();
        }
        if self.timer.tick() && self.is_settled() && !self.lease.has_promised() {
            self.timer.reset();
            if self.can_campaign() && !self.sits_out() {
                self.become_pre_candidate();
            }
        }
    }

    /// A node that has just started settles first: it neither votes nor campaigns before every
    /// other member has answered its hello, or refused the connection, or the shortest election
    /// timeout has passed. Until then those that remember what it acknowledged in an
    /// earlier run may tell it (docs/adr/0024).
    pub(super) fn tick_settling(&mut self) {
        let was_settled = self.is_settled();
        let is_over = self.recall.start.tick();
        // The others may have waited for the same silent member, and must not all campaign now.
        if is_over && !was_settled && self.leader_id().is_none() && !self.lease.is_on() {
            self.timer.reset_shortened(0);
        }
    }

    fn is_settled(&self) -> bool {
        self.recall.start.is_settled(&self.other_voters())
    }

    /// True of a voter that remembers its promises, and whose disk answers. A node whose disk
    /// does not answer could neither vote for itself durably nor keep what it is sent: it leaves
    /// the election to others.
    ///
    /// A voter of the newest membership that is known to be committed campaigns as well: its
    /// removal may be in no other log, and then only its own can win. It counts by the membership
    /// in its log, without itself (docs/adr/0026).
    ///
    /// A voter of a new cluster campaigns when its disk knows that it is one.
    pub(super) fn can_campaign(&self) -> bool {
        let id = self.settings.id;
        let is_committed_voter = self.committed_membership().is_some_and(|m| m.is_voter(id));
        (self.membership().is_voter(id) || is_committed_voter)
            && !self.hard_state().is_rejoining
            && !self.is_becoming_founder()
            && self.removed_at().is_none()
            && self.persistence.stalled_ticks() <= self.settings.election_timeout_ticks_max
    }

    /// True of a voter of a new cluster whose disk may still forget that it is one. Its word does
    /// not yet count for a candidate: the first term bars all from the new cluster who are not
    /// voters by then, so a majority has to be voters for good before there is one
    /// (docs/adr/0024).
    fn is_becoming_founder(&self) -> bool {
        self.term() == Term(0) && !self.persistence.is_hard_state_durable()
    }

    /// The peer refused a connection: nobody listens at its address. If the peer is the
    /// leader, it has probably stopped, so the election timer is cut short. Followers take
    /// turns in the order of their ids after the leader's, a tick apart, so that they do not
    /// all start an election at once. The PreVote that follows disturbs nobody if the leader
    /// is alive after all. With leases the turns begin when the promises to the leader have
    /// run out.
    pub fn on_connection_refused(&mut self, peer: NodeId) {
        self.recall.start.account_for(peer);
        self.on_successor_gone(peer);
        let min = self.settings.election_timeout_ticks_min;
        let has_leases = self.lease.is_on();
        let RoleState::Follower { leader: Some(contact) } = &mut self.role else { return };
        let silent_ticks = contact.silent_ticks();
        if contact.leader_id() != peer || silent_ticks >= min {
            return; // known already, or not the leader
        }
        // One tick more, because the first one came when less than a tick had passed.
        let promised_ticks = if has_leases { min - silent_ticks + 1 } else { 0 };
        contact.give_up(min);
        self.timer.fire_after(promised_ticks + 1 + self.turn_after(peer));
    }

    /// The number of voters between `leader` and this node, in the order of ids, going
    /// around.
    fn turn_after(&self, leader: NodeId) -> u32 {
        let voters = self.membership().all_voters();
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
                contact.silent_ticks() < self.settings.election_timeout_ticks_min
            }
            _ => false,
        }
    }

    // The PreVote.

    fn become_pre_candidate(&mut self) {
        let term = self.term().next();
        self.awaits_successor = false;
        self.role = RoleState::PreCandidate(Candidacy::with(self.settings.id));
        self.tell(Event::StartedPreVote { term });
        let (from, last) = (self.settings.id, self.log.last());
        for to in self.other_voters() {
            let rpc = Rpc::PreVote(PreVote { last });
            // A pre-vote changes nobody's state, so it does not wait for the disk.
            self.effects.push(Effect::Send(Envelope { from, to, term, rpc }));
        }
        self.maybe_campaign();
    }

    /// A peer asks whether this node would vote for it. It would only if no leader lives,
    /// the peer's term would be new, and the peer's log is at least as up-to-date as this
    /// node's.
    pub(super) fn on_pre_vote(&mut self, from: NodeId, term: Term, request: PreVote) {
        let vote_granted = term > self.term()
            && !self.has_live_leader()
            && !self.lease.has_promised()
            && self.may_vote()
            && !self.is_becoming_founder()
            && self.is_up_to_date(request.last);
        let rpc = Rpc::PreVoteResponse(PreVoteResponse { vote_granted });
        if vote_granted {
            // The answer has the term that was asked about, so that the answer to an older
            // question is known as such (docs/bugs.md B05).
            let envelope = Envelope { term, ..self.envelope(from, rpc) };
            self.effects.push(Effect::Send(envelope));
        } else {
            // The answer has our own term: a candidate with a lower one must learn it, or a
            // group in which the longest log has the lowest term never elects
            // (docs/bugs.md B12).
            self.send(from, rpc);
        }
    }

    pub(super) fn on_pre_vote_granted(&mut self, from: NodeId, term: Term) {
        let wanted = self.term().next();
        if let RoleState::PreCandidate(candidacy) = &mut self.role
            && term == wanted
        {
            candidacy.grant(from);
            self.maybe_campaign();
        }
    }

    pub(super) fn on_pre_vote_refused(&mut self, from: NodeId) {
        let RoleState::PreCandidate(candidacy) = &mut self.role else { return };
        candidacy.refuse(from);
        self.give_up_if_lost();
    }

    fn maybe_campaign(&mut self) {
        if let RoleState::PreCandidate(candidacy) = &self.role
            && candidacy.is_won(self.quorum())
        {
            self.become_candidate(Rpc::RequestVote);
        }
    }

    // The election.

    /// "On conversion to candidate: increment currentTerm, vote for self, reset
    /// election timer, send RequestVote RPCs" (Figure 2). The requests leave, and
    /// the own vote counts, when both are durable. `request` makes the requests.
    fn become_candidate(&mut self, request: fn(RequestVote) -> Rpc) {
        let term = self.term().next();
        let voted_for = Some(self.settings.id);
        let hard_state = HardState { current_term: term, voted_for, ..self.hard_state() };
        self.persistence.set_hard_state(hard_state);
        self.role = RoleState::Candidate(Candidacy::default());
        self.timer.reset();
        self.tell(Event::StartedElection { term });
        let last = self.log.last();
        for peer in self.other_voters() {
            self.send(peer, request(RequestVote { last }));
        }
    }

    /// True of a voter that has settled, and whose disk answers.
    pub(super) fn may_campaign_now(&self) -> bool {
        self.can_campaign() && self.is_settled()
    }

    /// The leader has asked this node to take its place: there is nobody to ask in advance.
    pub(super) fn campaign_for_transfer(&mut self) {
        self.become_candidate(Rpc::TransferVote);
    }

    pub(super) fn count_own_vote(&mut self) {
        if self.persistence.is_hard_state_durable() {
            let id = self.settings.id;
            self.count_vote(id);
        }
    }

    /// A peer asks for the vote (§5.2, §5.4.1). There is one a term, first come first
    /// served, and only for a log that is at least as up-to-date as ours.
    pub(super) fn on_request_vote(&mut self, from: NodeId, request: RequestVote) {
        let hard_state = self.hard_state();
        let is_free = hard_state.voted_for.is_none_or(|candidate| candidate == from);
        // The leader of a term has won its vote already, and so has every leader
        // that we follow in it: `voted_for` alone would not know after a restart.
        let is_undecided = self.leader_id().is_none();
        let vote_granted =
            is_free && is_undecided && self.may_vote() && self.is_up_to_date(request.last);
        if vote_granted {
            if hard_state.voted_for.is_none() {
                let hard_state = HardState { voted_for: Some(from), ..hard_state };
                self.persistence.set_hard_state(hard_state);
            }
            self.timer.reset();
            self.tell(Event::GrantedVote { candidate: from, term: self.term() });
        }
        self.send(from, Rpc::RequestVoteResponse(RequestVoteResponse { vote_granted }));
    }

    /// True of a node that may give its vote, whatever the membership in its log says, because
    /// that may be old: the candidate knows whose votes count (docs/adr/0026). Only a node that
    /// knows of its own removal rests. A rejoining node may if it knows where its log ended: its
    /// term and its vote are intact, and it refuses every log that is behind that end. So it gives
    /// no vote that it would not give if its log were whole (docs/adr/0019). A node that has just
    /// started settles first.
    pub(super) fn may_vote(&self) -> bool {
        let HardState { is_rejoining, is_end_known, .. } = self.hard_state();
        self.removed_at().is_none() && (!is_rejoining || is_end_known) && self.is_settled()
    }

    /// "up-to-date by comparing the index and term of the last entries" (§5.4.1):
    /// the later term first, then the longer log (docs/bugs.md B07). A log that was cut counts
    /// as far as it reached before.
    fn is_up_to_date(&self, last: LogPosition) -> bool {
        last >= self.log.last().max(self.hard_state().lost)
    }

    pub(super) fn on_request_vote_response(&mut self, from: NodeId, response: RequestVoteResponse) {
        if response.vote_granted {
            self.count_vote(from);
        } else if let RoleState::Candidate(candidacy) = &mut self.role {
            candidacy.refuse(from);
            self.give_up_if_lost();
        }
    }

    /// Counts a vote. Without its own durable vote a candidate is not elected: it could
    /// vote again after a crash.
    fn count_vote(&mut self, from: NodeId) {
        let id = self.settings.id;
        let RoleState::Candidate(candidacy) = &mut self.role else { return };
        candidacy.grant(from);
        let is_own_vote_durable = candidacy.is_granted_by(id);
        if is_own_vote_durable && candidacy.is_won(Quorum::of(self.log.membership())) {
            let electors = candidacy.take_granted();
            self.become_leader(&electors);
        }
    }

    /// Ends an election that the remaining voters cannot win: this node waits for the winner,
    /// or for the next timeout.
    fn give_up_if_lost(&mut self) {
        if let RoleState::PreCandidate(candidacy) | RoleState::Candidate(candidacy) = &self.role
            && candidacy.is_lost(self.quorum())
        {
            self.role = RoleState::Follower { leader: None };
        }
    }
}
