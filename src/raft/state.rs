//! [`Raft`], the state of one node, with the steps that every rule takes: it sends
//! messages, changes the durable state and becomes a follower.
//!
//! The rules are in files of their own (`election`, `follower`, `leader`, `submit`,
//! `snapshots`). They call the methods of the parts below; the fields of a part are private
//! to its file.

use core::time::Duration;
use std::sync::Arc;

use super::apply_queue::ApplyQueue;
use super::comparison::Comparison;
use super::effect::{Append, Effect, StopReplication};
use super::election_timer::ElectionTimer;
use super::event::Event;
use super::format_gate::FormatGate;
use super::forwards::Forwards;
use super::inquiry::Inquiry;
use super::leader_lease::LeaseClock;
use super::leadership::Leadership;
use super::leaving::MemberNotes;
use super::log::RaftLog;
use super::persistence::Persistence;
use super::quorum::Quorum;
use super::rejoin::Rejoining;
use super::remembered::{Memories, Recall};
use super::role::{LeaderContact, RoleState};
use super::rpc::{Envelope, Rpc, SnapshotRefusal};
use super::settings::RaftSettings;
use super::snapshot_policy::{SnapshotPolicy, SnapshotPositions};
use super::start::Start;
use super::status::{ClusterStatus, NodeStatus, Role, SnapshotProgress};
use crate::types::{
    Entry, HardState, LogIndex, LogPosition, LogSummary, Membership, NodeId, STAMP_MS_MAX, Term,
};

/// The error of a node that refuses to lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this node is not the leader")]
pub struct NotLeader {
    /// The leader, when it is known.
    pub leader_id: Option<NodeId>,
}

/// The core: one node's share of the protocol. Events go in by its methods, and
/// [`Raft::take_effects`] says what to do about them.
// More than fifteen fields: each is one part of the protocol, and most have a file of their own.
pub struct Raft {
    pub(super) settings: RaftSettings,
    /// Term and vote, the writes under way, and the messages that wait for them.
    pub(super) persistence: Persistence,
    pub(super) log: RaftLog,
    pub(super) role: RoleState,
    /// The reports that a rejoining node waits for; empty on any other node.
    pub(super) rejoining: Rejoining,
    /// The acknowledgements of earlier runs: those of the peers, and this node's own.
    pub(super) recall: Recall,
    pub(super) timer: ElectionTimer,
    /// The newest entry known to be committed. It is volatile (Figure 2): after a start it
    /// is what the snapshot covers, and a leader's messages raise it again.
    pub(super) commit_index: LogIndex,
    /// Invariant: its `submitted_index` is at most `commit_index`, and durable.
    pub(super) apply: ApplyQueue,
    pub(super) snapshots: SnapshotPolicy,
    pub(super) lease: LeaseClock,
    /// The digests of this node's store and of the others'.
    pub(super) comparison: Comparison,
    pub(super) gate: FormatGate,
    /// The reads of a node that does not lead; empty on a leader.
    pub(super) inquiry: Inquiry,
    /// The commands on their way between this node and others.
    pub(super) forwards: Forwards,
    /// The notes of this node about members that are removed.
    pub(super) members: MemberNotes,
    /// True when this node has to stop, see [`Raft::has_stopped`].
    pub(super) has_stopped: bool,
    /// True while this node is drained.
    pub(super) is_draining: bool,
    /// True when this node, which is drained, has let an election timeout pass since it heard a
    /// leader.
    pub(super) has_sat_out: bool,
    /// True from the end of a leadership that was being handed over until the next leader is
    /// known, or this node's own election timeout.
    pub(super) awaits_successor: bool,
    /// The orders since the last [`Raft::take_effects`].
    pub(super) effects: Vec<Effect>,
}

impl Raft {
    /// A node as it starts: a follower that knows what was on its disk. Nothing of its log
    /// is known to be committed but what is in its snapshot, which the store was loaded
    /// from.
    ///
    /// # Panics
    /// When the hard state's term is below that of the log's last entry, or the log
    /// does not go on from the newest snapshot: no crash can bring that about. When log or
    /// snapshots have a format that this node does not read: the storage refuses them.
    pub fn new(
        settings: RaftSettings,
        hard_state: HardState,
        log: LogSummary,
        snapshots: SnapshotPositions,
    ) -> Raft {
        let last = log.runs.last();
        assert!(
            hard_state.current_term >= last.term,
            "the log has entries of term {}, above the durable term {}",
            last.term,
            hard_state.current_term
        );
        assert!(
            log.runs.contains(snapshots.newest),
            "there is a gap between the snapshot up to {} and the log behind {}",
            snapshots.newest,
            log.runs.base()
        );
        let (format, reads) = (log.cluster.newest().format.format, settings.gate.formats);
        assert!(reads.contains(format), "the log has format {format}, this node reads {reads}");
        let in_snapshot = snapshots.newest.index;
        let timer = ElectionTimer::new(
            settings.election_timeout_ticks_min,
            settings.election_timeout_ticks_max,
            settings.seed,
        );
        let mut raft = Raft {
            persistence: Persistence::new(hard_state, last.index),
            recall: Recall {
                peers: Memories::default(),
                start: Start::new(
                    hard_state,
                    log.runs.clone(),
                    settings.election_timeout_ticks_min,
                ),
            },
            snapshots: SnapshotPolicy::new(snapshots, log.runs.base()),
            rejoining: Rejoining::default(),
            log: RaftLog::new(log, settings.initial_membership.clone()),
            role: RoleState::Follower { leader: None },
            timer,
            commit_index: in_snapshot,
            apply: ApplyQueue::starting_at(in_snapshot),
            lease: LeaseClock::starting(settings.leader_lease),
            comparison: Comparison::default(),
            gate: FormatGate::new(),
            inquiry: Inquiry::default(),
            forwards: Forwards::default(),
            members: MemberNotes::default(),
            has_stopped: false,
            is_draining: false,
            has_sat_out: false,
            awaits_successor: false,
            effects: Vec::new(),
            settings,
        };
        raft.start_election_timer();
        raft
    }

    /// Starts the first election timeout after a start. It is shorter than any other, so
    /// that a new cluster elects quickly. It is longer than one heartbeat, so that a node
    /// that joins a healthy cluster hears its leader first. With leases no node votes before
    /// the shortest timeout is over, so it is not shortened.
    fn start_election_timer(&mut self) {
        if self.lease.is_on() {
            self.timer.reset();
        } else {
            self.timer.reset_shortened(self.settings.heartbeat_ticks);
        }
    }

    /// Sets the time of this node's monotonic clock, which must go on while the process is
    /// stopped and while the machine sleeps. The shell calls it before each event: a read, a
    /// leader's message and the stamp of an entry must not be handled with an old time.
    pub fn set_now(&mut self, now: Duration) {
        self.lease.set_now(now);
    }

    // Messages, writes and events.

    /// A peer has answered this node's hello, so it knows of this run, and says what it remembers
    /// of earlier ones.
    pub fn on_peer_reached(&mut self, peer: NodeId) {
        self.recall.start.account_for(peer);
        self.inquiry.on_reached(peer);
    }

    pub(super) fn envelope(&self, to: NodeId, rpc: Rpc) -> Envelope {
        Envelope { from: self.settings.id, to, term: self.term(), rpc }
    }

    /// Sends a response or a request for votes, when all that it promises is durable.
    pub(super) fn send(&mut self, to: NodeId, rpc: Rpc) {
        if self.persistence.is_hard_state_durable() {
            self.effects.push(Effect::Send(self.envelope(to, rpc)));
        } else {
            self.send_when_persisted(to, rpc);
        }
    }

    /// Sends when everything that this node has accepted so far is durable.
    pub(super) fn send_when_persisted(&mut self, to: NodeId, rpc: Rpc) {
        let envelope = self.envelope(to, rpc);
        self.persistence.defer(self.log.has_unflushed(), envelope);
    }

    /// Starts a write of the entries and the hard state that no write has yet. Returns the
    /// new entries of a leader, for its peers.
    pub(super) fn flush_writes(&mut self) -> Arc<[Entry]> {
        let entries = self.log.take_unflushed();
        let for_peers: Arc<[Entry]> = match self.role {
            RoleState::Leader(_) => entries.as_slice().into(),
            _ => Arc::new([]),
        };
        if !entries.is_empty() || self.persistence.has_changed() {
            let (seq, hard_state) = self.persistence.start(self.log.last().index);
            self.effects.push(Effect::Append(Append { seq, hard_state, entries }));
        }
        for_peers
    }

    pub(super) fn tell(&mut self, event: Event) {
        self.effects.push(Effect::Event(event));
    }

    // Changes of term and role.

    /// "If RPC request or response contains term T > currentTerm: set currentTerm
    /// = T, convert to follower" (§5.1). Only a new term clears the vote (docs/bugs.md B04).
    pub(super) fn adopt_term(&mut self, term: Term, reason: &'static str) {
        let hard_state = HardState { current_term: term, voted_for: None, ..self.hard_state() };
        self.persistence.set_hard_state(hard_state);
        self.become_follower(None, reason);
    }

    /// Follows `from`, which leads our term.
    ///
    /// # Panics
    /// When this node leads the very same term (Election Safety, Figure 3).
    pub(super) fn follow(&mut self, from: NodeId) {
        assert!(
            !matches!(self.role, RoleState::Leader(_)),
            "node {from} leads term {}, and so does this one",
            self.term()
        );
        if self.leader_id() != Some(from) {
            self.tell(Event::FollowsLeader { leader_id: from, term: self.term() });
        }
        self.become_follower(Some(from), "heard from the leader");
    }

    /// Becomes a follower. The election timer goes on unless a leader was heard, or this
    /// node was the leader: a candidate that cannot win must not hold up one that can
    /// (Figure 2).
    pub(super) fn become_follower(&mut self, leader: Option<NodeId>, reason: &'static str) {
        let leader = leader.map(LeaderContact::heard);
        let has_leader = leader.is_some();
        if has_leader {
            self.lease.promise();
            self.has_sat_out = false;
            self.awaits_successor = false;
        }
        let before = std::mem::replace(&mut self.role, RoleState::Follower { leader });
        let has_led = if let RoleState::Leader(leadership) = before {
            self.end_leadership(*leadership, reason);
            true
        } else {
            false
        };
        if has_leader || has_led {
            self.timer.reset();
        }
    }

    fn end_leadership(&mut self, leadership: Leadership, reason: &'static str) {
        // The term that ends; a term adopted meanwhile is higher.
        let term = leadership.term();
        self.awaits_successor = leadership.handovers.target().is_some();
        self.tell(Event::SteppedDown { term, reason });
        self.effects.push(Effect::StopReplication(StopReplication { term }));
        if !leadership.leavers.is_empty() {
            self.members.leaving_version += 1;
        }
        self.fail_reads(leadership.reads.into_tokens());
    }

    // Members.

    pub(super) fn membership(&self) -> &Membership {
        self.log.membership()
    }

    pub(super) fn quorum(&self) -> Quorum<'_> {
        Quorum::of(self.log.membership())
    }

    /// The other voters.
    pub(super) fn other_voters(&self) -> Vec<NodeId> {
        let mut voters = self.membership().all_voters();
        voters.remove(&self.settings.id);
        voters.into_iter().collect()
    }

    /// The other members, with a vote or without.
    pub(super) fn other_members(&self) -> Vec<NodeId> {
        let mut members = self.membership().ids();
        members.remove(&self.settings.id);
        members.into_iter().collect()
    }

    // The state, for the shell and for tests.

    /// This node.
    pub fn id(&self) -> NodeId {
        self.settings.id
    }

    /// The current term.
    pub fn term(&self) -> Term {
        self.hard_state().current_term
    }

    /// The term and vote, durable or about to be.
    pub fn hard_state(&self) -> HardState {
        self.persistence.hard_state()
    }

    /// The role of this node in the term.
    pub fn role(&self) -> Role {
        match self.role {
            RoleState::Follower { .. } => self.follower_role(),
            RoleState::PreCandidate(_) => Role::PreCandidate,
            RoleState::Candidate(_) => Role::Candidate,
            RoleState::Leader(_) => Role::Leader,
        }
    }

    fn follower_role(&self) -> Role {
        if self.removed_at().is_some() {
            Role::Removed
        } else if !self.membership().is_voter(self.settings.id) {
            Role::Learner
        } else if self.hard_state().is_rejoining {
            Role::Rejoining
        } else {
            Role::Follower
        }
    }

    /// The leader of the term, when this node knows it.
    pub fn leader_id(&self) -> Option<NodeId> {
        match &self.role {
            RoleState::Leader(_) => Some(self.settings.id),
            RoleState::Follower { leader } => leader.map(|contact| contact.leader_id()),
            _ => None,
        }
    }

    /// The end of the log on the own disk.
    pub fn last_persisted_index(&self) -> LogIndex {
        self.persistence.persisted_index()
    }

    /// The newest entry known to be committed.
    pub fn commit_index(&self) -> LogIndex {
        self.commit_index
    }

    /// The newest entry that was submitted to the state machine.
    pub fn submitted_index(&self) -> LogIndex {
        self.apply.submitted_index()
    }

    /// The newest entry that the state machine has applied.
    pub fn last_applied(&self) -> LogIndex {
        self.apply.last_applied()
    }

    /// The end of the log, durable or about to be.
    pub fn last_log(&self) -> LogPosition {
        self.log.last()
    }

    /// The log is durable up to here.
    pub fn persisted_index(&self) -> LogIndex {
        self.persistence.persisted_index()
    }

    /// The position before the log's first entry: a snapshot covers everything up to it.
    pub fn log_base(&self) -> LogPosition {
        self.log.base()
    }

    /// The last entry in the newest snapshot.
    pub fn snapshot_index(&self) -> LogIndex {
        self.snapshots.newest().index
    }

    /// The term of the entry at `index`; `None` outside of the log.
    pub fn term_at(&self, index: LogIndex) -> Option<Term> {
        self.log.term_at(index)
    }

    /// The stamp of the log's last entry, in milliseconds of the store's clock.
    pub fn last_stamp_ms(&self) -> u64 {
        self.log.last_stamp_ms()
    }

    /// The store's time in milliseconds: the stamp that a leader would give an entry now. On
    /// any other node time stands still at the end of its log, and at [`STAMP_MS_MAX`] it
    /// stands still for ever: peers refuse a later stamp.
    pub fn store_time_ms(&self) -> u64 {
        let last_stamp_ms = self.log.last_stamp_ms();
        match &self.role {
            RoleState::Leader(leadership) => {
                let now_ms = leadership.store_clock.now_ms(self.lease.now());
                now_ms.min(STAMP_MS_MAX).max(last_stamp_ms)
            }
            _ => last_stamp_ms,
        }
    }

    fn snapshot_progress(&self) -> Vec<(NodeId, SnapshotProgress)> {
        let RoleState::Leader(leadership) = &self.role else { return Vec::new() };
        leadership.snapshot_progress()
    }

    fn snapshot_refusals(&self) -> Vec<(NodeId, SnapshotRefusal)> {
        let RoleState::Leader(leadership) = &self.role else { return Vec::new() };
        leadership.snapshot_refusals()
    }

    /// The state of this node at one point in time.
    pub fn status(&self) -> NodeStatus {
        NodeStatus {
            id: self.settings.id,
            role: self.role(),
            term: self.term(),
            leader_id: self.leader_id(),
            commit_index: self.commit_index,
            last_log_index: self.log.last().index,
            last_persisted_index: self.last_persisted_index(),
            snapshot_index: self.snapshot_index(),
            snapshot_progress: self.snapshot_progress(),
            snapshot_refusals: self.snapshot_refusals(),
            removed_at: self.removed_at(),
            cluster: self.cluster_status(),
        }
    }

    fn cluster_status(&self) -> ClusterStatus {
        let state = self.log.cluster().at(self.commit_index);
        ClusterStatus {
            format: state.format.clone(),
            cluster_id: state.cluster_id,
            formats: self.settings.gate.formats,
            is_held: self.settings.gate.is_held,
            is_draining: self.is_draining,
            raise_waits_for: self.raise_waits_for(),
        }
    }

    /// The number of reads that wait for their answers.
    pub fn waiting_reads(&self) -> usize {
        match &self.role {
            RoleState::Leader(leadership) => leadership.reads.waiting(),
            _ => self.inquiry.len(),
        }
    }

    /// The number of rounds of reads that wait for their answers.
    #[cfg(test)]
    pub(super) fn rounds_under_way(&self) -> usize {
        let RoleState::Leader(leadership) = &self.role else { return 0 };
        leadership.reads.rounds_under_way()
    }
}
