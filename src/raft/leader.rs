//! What a leader does (Figure 2, "leaders"; §5.3, §5.4.2, §8; dissertation §6.2).

use std::sync::Arc;

use super::effect::{Effect, Replicate, SetSendMode, StartReplication, StopReplication};
use super::event::Event;
use super::progress::{ReplicationReport, SendMode};
use super::read::Reads;
use super::{Leadership, NotLeader, PeerState, Raft, RoleState};
use crate::types::{Entry, HardState, LogIndex, NodeId, Payload, Term};

impl Raft {
    /// Appends an entry to the leader's log and returns its index. It is committed
    /// when an `Apply` effect brings it back; if `StopReplication` comes first,
    /// nobody knows.
    ///
    /// # Errors
    /// When this node is not the leader; the entry is nowhere then.
    pub fn propose(&mut self, payload: Payload) -> Result<LogIndex, NotLeader> {
        if !matches!(self.role, RoleState::Leader(_)) {
            return Err(NotLeader { leader_id: self.leader_id() });
        }
        Ok(self.append_own(payload))
    }

    /// Time that has passed in the log has passed for good.
    fn next_stamp_ms(&self) -> u64 {
        self.wall_ms.max(self.log.last_stamp_ms())
    }

    /// A leader only ever appends (Figure 3, Leader Append-Only).
    fn append_own(&mut self, payload: Payload) -> LogIndex {
        let entry = Entry {
            index: self.log.last().index.next(),
            term: self.term(),
            stamp_ms: if mutant!(B74b) { self.wall_ms } else { self.next_stamp_ms() },
            payload,
        };
        let index = entry.index;
        self.log.append(entry);
        index
    }

    pub(super) fn become_leader(&mut self) {
        let term = self.term();
        let runs = self.log.runs().clone();
        let peers = self.peers().into_iter().map(|peer| (peer, PeerState::default())).collect();
        self.role = RoleState::Leader(Leadership {
            term,
            first_index: self.log.last().index.next(),
            peers,
            heartbeat_elapsed_ticks: 0,
            heartbeat_is_due: true,
            announced_base: runs.base(),
            reads: Reads::default(),
        });
        self.effects.push(Effect::Event(Event::BecameLeader { term }));
        self.effects.push(Effect::StartReplication(StartReplication { term, runs }));
        // "a blank no-op entry into the log at the start of its term" (§8).
        self.append_own(Payload::Noop);
        if !self.log.has_membership() {
            // From now on the log says who its members are, and not a file that
            // anyone may edit on one server.
            self.append_own(Payload::Membership(self.settings.initial_membership.clone()));
        }
    }

    pub(super) fn end_leadership(&mut self, leadership: Leadership, reason: &'static str) {
        // The term that ends; a term adopted meanwhile is higher.
        let term = leadership.term;
        self.effects.push(Effect::Event(Event::SteppedDown { term, reason }));
        self.effects.push(Effect::StopReplication(StopReplication { term }));
        for token in leadership.reads.into_tokens() {
            self.effects.push(Effect::ReadFailed { token });
        }
    }

    pub(super) fn tick_leader(&mut self) {
        let stalled_ticks = self.persistence.stalled_ticks();
        let quorum_size = self.membership().quorum_size();
        let RoleState::Leader(leadership) = &mut self.role else { return };
        leadership.heartbeat_elapsed_ticks += 1;
        let waits_for_disk = mutant!(B82) && stalled_ticks > 0;
        if leadership.heartbeat_elapsed_ticks >= self.settings.heartbeat_ticks && !waits_for_disk {
            leadership.heartbeat_elapsed_ticks = 0;
            leadership.heartbeat_is_due = true;
        }
        let mut heard = 1; // itself
        for peer in leadership.peers.values_mut() {
            peer.silent_ticks = peer.silent_ticks.saturating_add(1);
            peer.keep_log_ticks = peer.keep_log_ticks.saturating_add(1);
            if peer.keep_log_ticks > self.settings.election_timeout_ticks_max {
                peer.keep_log_from = None; // a peer that is gone does not hold up the others
                peer.snapshot_progress = None;
            }
            if peer.silent_ticks <= self.settings.election_timeout_ticks_max {
                heard += 1;
            }
        }
        self.choose_send_modes();
        if heard < quorum_size && !mutant!(B16a) {
            // CheckQuorum (dissertation §6.2): clients must not wait on a leader
            // that cannot commit. The term stays, and with it the vote (B04).
            self.become_follower(None, "heard no quorum within the election timeout");
        } else if stalled_ticks > self.settings.disk_stall_ticks && !mutant!(B17) {
            self.become_follower(None, "the disk does not answer");
        }
    }

    /// Commits and reads wait for as many peers as make a quorum with this node: those that
    /// are furthest are sent everything at once, and the others trail (docs/adr/0014). One
    /// that falls behind those that trail changes places with them.
    fn choose_send_modes(&mut self) {
        if !self.settings.has_batched_peers {
            return;
        }
        let followers = self.membership().quorum_size() - 1;
        let term = self.term();
        let RoleState::Leader(leadership) = &mut self.role else { return };
        let mut order: Vec<(NodeId, PeerState)> =
            leadership.peers.iter().map(|(id, peer)| (*id, *peer)).collect();
        order.sort_by_key(|(_, peer)| {
            let is_pipelined = peer.send_mode == SendMode::Immediate;
            std::cmp::Reverse((peer.match_index, peer.read_seq, is_pipelined))
        });
        for (place, (id, peer)) in order.into_iter().enumerate() {
            let send_mode = if place < followers { SendMode::Immediate } else { SendMode::Batched };
            if peer.send_mode != send_mode
                && let Some(peer) = leadership.peers.get_mut(&id)
            {
                peer.send_mode = send_mode;
                self.effects.push(Effect::SetSendMode(SetSendMode {
                    term,
                    peer: id,
                    mode: send_mode,
                }));
            }
        }
    }

    /// A peer's responses, as its `Progress` saw them.
    pub fn on_replicated(&mut self, peer: NodeId, term: Term, report: ReplicationReport) {
        if term > self.term() {
            if mutant!(B08a) {
                self.set_hard_state(HardState { current_term: term, ..self.hard_state });
            } else {
                self.adopt_term(term, "a follower has a higher term");
            }
            return;
        }
        if term < self.term() {
            return; // of an earlier leadership of ours (B05)
        }
        let RoleState::Leader(leadership) = &mut self.role else { return };
        let Some(state) = leadership.peers.get_mut(&peer) else { return };
        state.keep_log_from = report.keep_log_from;
        state.snapshot_progress = report.snapshot_progress;
        state.keep_log_ticks = 0;
        if report.is_rejoining {
            return; // it stores what it is sent, and promises nothing (docs/adr/0005)
        }
        state.silent_ticks = 0;
        let has_more = report.match_index > state.match_index;
        let has_confirmed = report.read_seq > state.read_seq;
        state.match_index = state.match_index.max(report.match_index);
        state.read_seq = state.read_seq.max(report.read_seq);
        assert!(
            state.match_index <= self.log.last().index,
            "peer {peer} acknowledges {}, behind the end of the leader's own log {}",
            state.match_index,
            self.log.last().index
        );
        if has_more {
            self.advance_commit_index();
        }
        if has_confirmed {
            self.advance_confirmed_reads();
        }
    }

    /// "If there exists an N such that N > commitIndex, a majority of
    /// matchIndex[i] >= N, and log[N].term == currentTerm: set commitIndex = N"
    /// (§5.3, §5.4.2). The leader counts itself by what its disk has confirmed.
    pub(super) fn advance_commit_index(&mut self) {
        let RoleState::Leader(leadership) = &self.role else { return };
        let membership = self.membership();
        let mut match_indexes: Vec<LogIndex> = membership
            .voters
            .iter()
            .map(|voter| match leadership.peers.get(voter) {
                Some(peer) => peer.match_index,
                None if *voter == self.settings.id && mutant!(B21) => self.log.last().index,
                None if *voter == self.settings.id => self.persistence.persisted_index(),
                None => LogIndex(0),
            })
            .collect();
        if !mutant!(B19b) {
            match_indexes.sort_unstable_by(|a, b| b.cmp(a));
        }
        let needed = membership.quorum_size() - usize::from(mutant!(B19a));
        let replicated = match_indexes[needed.max(1) - 1];
        let is_of_own_term = self.log.term_at(replicated) == Some(self.term()) || mutant!(B18);
        if replicated > self.commit_index && is_of_own_term {
            self.commit_index = replicated;
            self.hand_over();
        }
    }

    /// Tells the replicators what there is to send, if there is anything.
    pub(super) fn flush_replication(&mut self, entries: Arc<[Entry]>) {
        let (term, leader_commit) = (self.term(), self.commit_index);
        let RoleState::Leader(leadership) = &mut self.role else { return };
        let heartbeat = std::mem::take(&mut leadership.heartbeat_is_due);
        let has_round = match &self.settings.leader_lease {
            None => leadership.reads.maybe_start_round(),
            Some(lease) => leadership.reads.maybe_start_leased_round(heartbeat, self.now, lease),
        };
        let base = self.log.base();
        let has_compacted = std::mem::replace(&mut leadership.announced_base, base) != base;
        if entries.is_empty() && !heartbeat && !has_round && !has_compacted {
            return;
        }
        let read_seq = leadership.reads.started_seq();
        let is_alone = leadership.peers.is_empty();
        self.effects.push(Effect::Replicate(Replicate {
            term,
            base,
            entries,
            leader_commit,
            read_seq,
            heartbeat,
        }));
        if has_round && is_alone {
            self.advance_confirmed_reads();
        }
    }
}
