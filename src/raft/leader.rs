//! The rules of a leader (Figure 2, "leaders"; §5.3, §5.4.2, §8; dissertation §6.2, §6.4).

use std::collections::BTreeSet;
use std::sync::Arc;

use super::effect::{Effect, ReadToken, Replicate, SetSendMode, StartPeer, StartReplication};
use super::event::Event;
use super::leadership::Leadership;
use super::peer_fault::check_term;
use super::quorum::Quorum;
use super::replication::action::ReplicationReport;
use super::replication::memory::PeerLoss;
use super::role::RoleState;
use super::state::{NotLeader, Raft};
use super::store_clock::StoreClock;
use crate::types::{Entry, LogIndex, NodeId, Payload, Term};

impl Raft {
    // Clients.

    /// Appends an entry to the leader's log and returns its index. It is committed
    /// when an `Apply` effect brings it back. If `StopReplication` comes first, its
    /// outcome is unknown.
    ///
    /// # Errors
    /// When this node is not the leader, and while it hands its leadership over: no entry was
    /// made.
    pub fn propose(&mut self, payload: Payload) -> Result<LogIndex, NotLeader> {
        if !matches!(self.role, RoleState::Leader(_)) {
            return Err(NotLeader { leader_id: self.leader_id() });
        }
        if self.is_transferring() {
            return Err(NotLeader { leader_id: None });
        }
        Ok(self.append_own(payload))
    }

    /// Adds a linearizable read. `after` is the last entry that the read's session
    /// proposed, 0 for none. The answer is `Effect::ReadReady` or `Effect::ReadFailed` with
    /// this token.
    ///
    /// # Errors
    /// When this node is not the leader.
    ///
    /// # Panics
    /// When the token is not above that of the leadership's read before.
    pub fn read(&mut self, token: ReadToken, after: LogIndex) -> Result<(), NotLeader> {
        let (commit_index, last) = (self.commit_index, self.log.last().index);
        let has_lease = self.holds_lease();
        let leader_id = self.leader_id();
        let RoleState::Leader(leadership) = &mut self.role else {
            return Err(NotLeader { leader_id });
        };
        leadership.reads.add(token, after, commit_index, last, has_lease);
        if has_lease {
            self.release_reads();
        }
        Ok(())
    }

    /// Forgets a read whose client was told that it has timed out. It gets no answer, unless
    /// that is among the effects already.
    pub fn cancel_read(&mut self, token: ReadToken) {
        match &mut self.role {
            RoleState::Leader(leadership) => leadership.reads.cancel(token),
            _ => self.inquiry.cancel(token),
        }
    }

    /// True while nobody else can have been elected, see `LeaseClock::holds_lease`. Once a
    /// transfer has begun, its target may be elected at any time, in spite of all promises
    /// (docs/adr/0028).
    pub(super) fn holds_lease(&self) -> bool {
        let RoleState::Leader(leadership) = &self.role else { return false };
        let is_given_up = leadership.handovers.has_begun();
        !is_given_up && self.lease.holds_lease(leadership.reads.confirmed_at())
    }

    /// Appends an entry of the leader's own. A leader only ever appends (Figure 3, Leader
    /// Append-Only). Its stamp is the store's time, which never falls (docs/adr/0020).
    pub(super) fn append_own(&mut self, payload: Payload) -> LogIndex {
        let stamp_ms = self.store_time_ms();
        let entry =
            Entry { index: self.log.last().index.next(), term: self.term(), stamp_ms, payload };
        let index = entry.index;
        self.log.append(entry);
        index
    }

    // Leadership.

    /// Leads the term, elected by `electors`.
    pub(super) fn become_leader(&mut self, electors: &BTreeSet<NodeId>) {
        let term = self.term();
        let runs = self.log.runs().clone();
        let first_index = self.log.last().index.next();
        let store_clock = StoreClock::going_on(self.log.last_stamp_ms(), self.lease.now());
        let leadership = Leadership::new(
            term,
            first_index,
            runs.base(),
            &self.other_members(),
            electors,
            store_clock,
        );
        self.role = RoleState::Leader(Box::new(leadership));
        self.note_leavers();
        self.tell(Event::BecameLeader { term });
        self.effects.push(Effect::StartReplication(StartReplication { term, runs }));
        // "a blank no-op entry into the log at the start of its term" (§8).
        self.append_own(Payload::Noop);
        if !self.log.has_membership() {
            // From now on the members are those in the log, not those in a file that anyone
            // may edit on one server.
            self.append_own(Payload::Membership(self.settings.initial_membership.to_seed()));
            if let RoleState::Leader(leadership) = &mut self.role {
                leadership.has_founded = true;
            }
        }
        self.adopt_inquiry();
    }

    pub(super) fn tick_leader(&mut self) {
        let stalled_ticks = self.persistence.stalled_ticks();
        let ticks_max = self.settings.election_timeout_ticks_max;
        let RoleState::Leader(leadership) = &mut self.role else { return };
        let is_heartbeat_due = leadership.tick() >= self.settings.heartbeat_ticks;
        if is_heartbeat_due {
            leadership.begin_heartbeat();
        }
        let has_quorum = Quorum::of(self.log.membership())
            .is_met(|voter| leadership.has_heard(voter, ticks_max));
        self.tick_holds();
        self.choose_send_modes();
        if !has_quorum {
            // CheckQuorum (dissertation §6.2): clients must not wait on a leader
            // that cannot commit. The term stays, and with it the vote (docs/bugs.md B04).
            self.become_follower(None, "heard no quorum within the election timeout");
        } else if stalled_ticks > self.settings.disk_stall_ticks {
            self.become_follower(None, "the disk does not answer");
        } else {
            self.tick_handover();
            self.tick_raising();
            self.tick_membership(is_heartbeat_due);
        }
    }

    /// When a hold ends, the snapshot and the compaction that it held up are due at once.
    fn tick_holds(&mut self) {
        let RoleState::Leader(leadership) = &mut self.role else { return };
        let (settings, snapshots) = (&self.settings, &self.snapshots);
        let ended = leadership.tick_holds(
            settings.election_timeout_ticks_max,
            settings.ticks_per_second,
            |index| snapshots.is_log_too_large(index, settings),
        );
        if ended.is_empty() {
            return;
        }
        for (peer, reason) in ended {
            self.tell(Event::LogHoldEnded { peer, reason });
        }
        self.maybe_take_snapshot();
        self.maybe_compact();
    }

    fn choose_send_modes(&mut self) {
        if !self.settings.has_batched_peers {
            return;
        }
        let (term, own_id) = (self.term(), self.settings.id);
        let RoleState::Leader(leadership) = &mut self.role else { return };
        let quorum = Quorum::of(self.log.membership());
        for (peer, mode) in leadership.choose_send_modes(own_id, quorum) {
            self.effects.push(Effect::SetSendMode(SetSendMode { term, peer, mode }));
        }
    }

    // Replication.

    /// Takes a report from a peer's `Progress`.
    ///
    /// # Panics
    /// When the peer acknowledges an entry that the leader does not have.
    pub fn on_replicated(&mut self, peer: NodeId, term: Term, report: ReplicationReport) {
        if let Err(fault) = check_term(term, self.term()) {
            self.refuse_peer(peer, true, fault);
            return;
        }
        if term > self.term() {
            self.adopt_term(term, "a follower has a higher term");
            return;
        }
        if term < self.term() {
            return; // a report for an earlier leadership of this node (docs/bugs.md B05)
        }
        if let Some(PeerLoss { acknowledged, held }) = report.loss
            && matches!(self.role, RoleState::Leader(_))
        {
            self.tell(Event::PeerForgot { peer, acknowledged, held });
            if self.membership().is_voter(peer) && !self.quorum().can_spare_one() {
                // Nobody can lead while the peer is rejoining, so it is not told. In a new
                // term this node counts nothing that the peer acknowledged before.
                self.become_follower(None, "its peer has lost what it acknowledged");
            }
        }
        let RoleState::Leader(leadership) = &mut self.role else { return };
        let refused_before = leadership.snapshot_refusal(peer);
        let news = leadership.on_report(peer, report);
        if let Some(refusal) = leadership.snapshot_refusal(peer)
            && refused_before != Some(refusal)
        {
            self.effects.push(Effect::Event(Event::SnapshotRefused { peer, refusal }));
        }
        let Some(news) = news else { return };
        let (match_index, last) = (report.match_index, self.log.last().index);
        assert!(
            match_index <= last,
            "peer {peer} acknowledges {match_index}, behind the end of the leader's own log {last}"
        );
        if news.has_more {
            self.remember_report(peer, match_index);
            self.advance_commit_index();
        }
        if news.has_confirmed {
            self.advance_confirmed_reads();
        }
        if news.has_more {
            self.go_on_with_members();
        }
        self.advance_handover();
    }

    /// "If there exists an N such that N > commitIndex, a majority of
    /// matchIndex[i] >= N, and log[N].term == currentTerm: set commitIndex = N"
    /// (§5.3, §5.4.2). The leader counts itself by what its disk has confirmed.
    pub(super) fn advance_commit_index(&mut self) {
        let RoleState::Leader(leadership) = &mut self.role else { return };
        let own_index = self.persistence.persisted_index();
        let id = self.settings.id;
        let quorum = Quorum::of(self.log.membership());
        let replicated = leadership.replicated_index(quorum, id, own_index);
        let is_of_own_term = self.log.term_at(replicated) == Some(leadership.term());
        if replicated > self.commit_index && is_of_own_term {
            self.commit_index = replicated;
            leadership.reads.on_committed(replicated);
            self.answer_questions();
            self.submit();
            self.go_on_with_members();
        }
    }

    /// Counts the rounds of reads that the peers have confirmed.
    fn advance_confirmed_reads(&mut self) {
        let id = self.settings.id;
        let RoleState::Leader(leadership) = &mut self.role else { return };
        let confirmed = leadership.confirmed_round(Quorum::of(self.log.membership()), id);
        leadership.reads.confirm(confirmed);
        self.answer_questions();
        self.release_reads();
    }

    /// Orders replication to the peers, if there is anything to send.
    pub(super) fn flush_replication(&mut self, entries: Arc<[Entry]>) {
        let (term, leader_commit) = (self.term(), self.commit_index);
        let quorum = Quorum::of(self.log.membership());
        let RoleState::Leader(leadership) = &mut self.role else { return };
        let heartbeat = leadership.take_heartbeat();
        let now = self.lease.now();
        let has_round = match self.lease.settings() {
            None => leadership.reads.maybe_start_round(),
            Some(lease) => leadership.reads.maybe_start_leased_round(heartbeat, now, lease),
        };
        let base = self.log.base();
        let has_compacted = leadership.announce_base(base);
        if entries.is_empty() && !heartbeat && !has_round && !has_compacted {
            return;
        }
        let read_seq = leadership.reads.started_seq();
        // Learners are asked as well, and no read waits for them.
        let is_alone = quorum.is_met_by(self.settings.id);
        if heartbeat {
            leadership.leavers.on_heartbeat(leader_commit);
        }
        let order = Replicate { term, base, entries, leader_commit, read_seq, heartbeat };
        self.effects.push(Effect::Replicate(order));
        if has_round && is_alone {
            self.advance_confirmed_reads();
        }
        if heartbeat {
            self.check_states();
        }
    }

    /// Orders the replication to the peers whose actors are new. It comes after the entries of
    /// the same batch, so the next order goes on from the log as it is now.
    pub(super) fn start_peers(&mut self) {
        let RoleState::Leader(leadership) = &mut self.role else { return };
        let (term, starting) = (leadership.term(), leadership.take_starting());
        for peer in starting {
            let start = StartReplication { term, runs: self.log.runs().clone() };
            self.effects.push(Effect::StartPeer(StartPeer { peer, start }));
        }
    }
}
