//! Linearizable reads without a log entry: ReadIndex (dissertation §6.4).
//!
//! A read is answered from the leader's store once (1) the leader has committed
//! an entry of its own term, (2) a quorum has answered a message sent after the
//! read arrived, so that no later leader can have been elected before it, and
//! (3) the store has applied what was committed when it arrived. Reads share
//! rounds: all that arrive while [`ROUNDS_MAX`] are under way share the next. With
//! leader leases (`lease`) a round confirms what arrives in the time after it, too.
//!
//! A read also has a place in the order of its session: behind the session's
//! earlier writes, before its later ones. Hence (3) also waits for `after`, the
//! session's last write; and a read is answered before any entry that was
//! appended after it arrived. That one needs no round: when such an entry of our
//! own term is committed, a quorum has answered a message sent after the read.

use core::time::Duration;
use std::collections::VecDeque;

use super::effect::{Effect, ReadToken};
use super::lease::LeaseSettings;
use super::{NotLeader, Raft, RoleState};
use crate::types::{LogIndex, NodeId};

/// Rounds under way at once. One more than one, so that a read rarely waits for a
/// whole foreign round; no more, so that a burst shares instead of flooding.
const ROUNDS_MAX: u64 = 2;

/// A leader's reads. Invariant: places, rounds and tokens never fall along
/// `waiting`.
#[derive(Default)]
pub(super) struct Reads {
    waiting: VecDeque<WaitingRead>,
    /// The newest round that was started.
    started_seq: u64,
    /// The newest round that a quorum has answered.
    confirmed_seq: u64,
    /// With leases: the rounds under way, and when each began.
    begun: VecDeque<(u64, Duration)>,
    /// With leases: when the newest round that a quorum has answered began.
    confirmed_at: Option<Duration>,
}

struct WaitingRead {
    token: ReadToken,
    /// What the store must have applied: (1), (3) and the session's writes.
    read_index: LogIndex,
    /// The end of the log when it arrived: it is answered before the next entry.
    place: LogIndex,
    /// The round that confirms it.
    seq: u64,
}

impl Reads {
    /// The place of the first waiting read.
    pub(super) fn first_place(&self) -> Option<LogIndex> {
        self.waiting.front().map(|read| read.place)
    }

    /// The newest round, for every message to a peer.
    pub(super) fn started_seq(&self) -> u64 {
        self.started_seq
    }

    /// Starts the next round, if a read waits for it and not too many are under
    /// way.
    pub(super) fn maybe_start_round(&mut self) -> bool {
        let is_wanted = self.waiting.back().is_some_and(|read| read.seq > self.started_seq);
        let is_possible = self.started_seq - self.confirmed_seq < ROUNDS_MAX;
        if is_wanted && is_possible {
            self.started_seq += 1;
        }
        is_wanted && is_possible
    }

    /// The same with leases, where each heartbeat is a round. It began now: not later
    /// than anything of it is sent.
    pub(super) fn maybe_start_leased_round(
        &mut self,
        is_heartbeat_due: bool,
        now: Duration,
        lease: &LeaseSettings,
    ) -> bool {
        let has_round = self.maybe_start_round();
        if !has_round && is_heartbeat_due {
            self.started_seq += 1;
        }
        if has_round || is_heartbeat_due {
            // Answers to what is older come too late for a lease.
            while self.begun.front().is_some_and(|(_, began_at)| *began_at + lease.promise < now) {
                self.begun.pop_front();
            }
            self.begun.push_back((self.started_seq, now));
        }
        has_round || is_heartbeat_due
    }

    /// The round that confirms a read which arrives now. Those that are under way
    /// may have been answered before it came (B38).
    fn seq_of_next_read(&self) -> u64 {
        let is_joined = mutant!(B38) && self.started_seq > self.confirmed_seq;
        self.started_seq + u64::from(!is_joined)
    }

    /// That of a read which needs none: no other than that of the reads before it, which
    /// it waits behind.
    fn seq_of_last_read(&self) -> u64 {
        self.waiting.back().map_or(0, |read| read.seq)
    }

    pub(super) fn confirm(&mut self, seq: u64) {
        self.confirmed_seq = self.confirmed_seq.max(seq);
        while let Some((begun_seq, began_at)) = self.begun.front()
            && *begun_seq <= seq
        {
            self.confirmed_at = Some(*began_at);
            self.begun.pop_front();
        }
    }

    /// See the field.
    pub(super) fn confirmed_at(&self) -> Option<Duration> {
        self.confirmed_at
    }

    #[cfg(test)]
    pub(super) fn begun_rounds(&self) -> usize {
        self.begun.len()
    }

    pub(super) fn into_tokens(self) -> impl Iterator<Item = ReadToken> {
        self.waiting.into_iter().map(|read| read.token)
    }
}

impl Raft {
    /// A client wants to read. `after` is the last entry that its session
    /// proposed, 0 for none. Answered by `Effect::ReadReady` or
    /// `Effect::ReadFailed` with this token.
    ///
    /// # Errors
    /// When this node is not the leader.
    pub fn read(&mut self, token: ReadToken, after: LogIndex) -> Result<(), NotLeader> {
        let (commit_index, place) = (self.commit_index, self.log.last().index);
        let is_confirmed = self.holds_lease() || self.trusts_its_role();
        let leader_id = self.leader_id();
        let RoleState::Leader(leadership) = &mut self.role else {
            return self.refuse_read(token, leader_id);
        };
        let reads = &mut leadership.reads;
        // The session may have proposed `after` in an earlier leadership of ours, and
        // it was truncated since: behind the log's end there is nothing to wait for.
        let own_write = after.min(place);
        // (1): what was committed before our no-op may be more than we know (B37).
        let first_index = if mutant!(B37) { LogIndex(0) } else { leadership.first_index };
        let read_index = commit_index.max(own_write).max(first_index);
        let read_index = if mutant!(B39) { LogIndex(0) } else { read_index };
        let seq = if is_confirmed { reads.seq_of_last_read() } else { reads.seq_of_next_read() };
        reads.waiting.push_back(WaitingRead { token, read_index, place, seq });
        if is_confirmed {
            self.release_confirmed_reads();
        }
        Ok(())
    }

    fn refuse_read(
        &mut self,
        token: ReadToken,
        leader_id: Option<NodeId>,
    ) -> Result<(), NotLeader> {
        if mutant!(B44) && leader_id.is_some() {
            let read_index = self.last_applied;
            self.effects.push(Effect::ReadReady { token, read_index });
            return Ok(());
        }
        Err(NotLeader { leader_id })
    }

    /// Never: that a node leads, and was heard a moment ago, says nothing about now.
    fn trusts_its_role(&self) -> bool {
        let RoleState::Leader(leadership) = &self.role else { return false };
        let is_heard = |peer: &&super::PeerState| {
            peer.silent_ticks <= self.settings.election_timeout_ticks_min
        };
        let heard = 1 + leadership.peers.values().filter(is_heard).count();
        if mutant!(B41b) { heard >= self.membership().quorum_size() } else { mutant!(B41a) }
    }

    /// Counts the rounds that the peers have confirmed.
    pub(super) fn advance_confirmed_reads(&mut self) {
        let quorum_size = self.membership().quorum_size();
        let voters: Vec<NodeId> = self.membership().voters.iter().copied().collect();
        let id = self.settings.id;
        let RoleState::Leader(leadership) = &mut self.role else { return };
        let mut seqs: Vec<u64> = voters
            .iter()
            .map(|voter| match leadership.peers.get(voter) {
                Some(peer) => peer.read_seq,
                None if *voter == id => leadership.reads.started_seq(),
                None => 0,
            })
            .collect();
        seqs.sort_unstable_by(|a, b| b.cmp(a));
        let confirming = if mutant!(B43) { 1.max(quorum_size - 1) } else { quorum_size };
        leadership.reads.confirm(seqs[confirming - 1]);
        if mutant!(B41c) {
            leadership.reads.confirmed_at = Some(self.now);
        }
        self.release_confirmed_reads();
    }

    /// In order: a read behind one that still waits, waits too.
    pub(super) fn release_confirmed_reads(&mut self) {
        let submitted_index = self.submitted_index;
        let RoleState::Leader(leadership) = &mut self.role else { return };
        let reads = &mut leadership.reads;
        while let Some(read) = reads.waiting.front()
            && read.seq <= reads.confirmed_seq
            && read.read_index <= submitted_index
        {
            let WaitingRead { token, read_index, .. } = *read;
            reads.waiting.pop_front();
            self.effects.push(Effect::ReadReady { token, read_index });
        }
    }

    /// The entry `next`, committed, is about to be handed over: reads that arrived
    /// before it was appended come first. If it is of our term they are confirmed
    /// by it; reads only ever wait in front of such entries, since a read's place
    /// is at or behind the term's first.
    pub(super) fn release_reads_before(&mut self, next: LogIndex) {
        let submitted_index = self.submitted_index;
        let RoleState::Leader(leadership) = &mut self.role else { return };
        let reads = &mut leadership.reads;
        while let Some(read) = reads.waiting.front()
            && read.place < next
        {
            assert!(
                read.read_index <= submitted_index && read.place >= leadership.first_index,
                "a read must see entry {}, and its place is before {next}",
                read.read_index
            );
            let WaitingRead { token, read_index, .. } = *read;
            reads.waiting.pop_front();
            self.effects.push(Effect::ReadReady { token, read_index });
        }
    }
}
