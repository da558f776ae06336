//! The rules of Raft: events in, [`Effect`]s out.
//!
//! Nothing here knows a clock, a thread, a file or a socket. A [`Raft`] is told
//! what happened ([`Raft::step`] a message, [`Raft::tick`] a bit of time,
//! [`Raft::propose`] and [`Raft::read`] a client, [`Raft::on_persisted`] the disk,
//! [`Raft::on_replicated`] a peer's progress, [`Raft::on_applied`] the store,
//! [`Raft::on_snapshot_taken`] and its like the snapshots) and
//! [`Raft::take_effects`] says what to do about it. The same events in the same
//! order, from the same seed, give the same effects.
//!
//! Sources: "§" is the Raft paper (extended version), "dissertation §" Ongaro's
//! thesis. Where to find what:
//!
//! | file | rule |
//! |---|---|
//! | `election` | timers, PreVote; where a vote is granted (§5.2, §5.4.1; dissertation §9.6) |
//! | `follower` | AppendEntries at its receiver: consistency check, truncation, commit (§5.3) |
//! | `leader` | propose, count, commit, CheckQuorum (§5.3, §5.4.2; dissertation §6.2); who trails |
//! | `progress` | what a leader knows of one peer: probe, pipeline, conflict hints (§5.3) |
//! | `read` | linearizable reads without a log entry (dissertation §6.4) |
//! | `lease` | promises, and reads without a round while they last (dissertation §6.4.1) |
//! | `apply` | handing committed entries and confirmed reads to the store, in order |
//! | `persist` | what may be said before the disk has answered: nothing (Figure 2) |
//! | `rejoin` | a node that may have forgotten does not vote (docs/adr/0005, 0009) |
//! | `snapshot` | when one is taken, compaction behind it, installing a leader's (§7) |
//! | `install` | a snapshot on its way to a peer (§7) |
//! | `log` | the terms of the whole log, and the entries on their way |
//!
//! # Where this deviates from the paper
//! - Elections are preceded by a PreVote, and a node that hears a leader refuses
//!   both (dissertation §9.6, §4.2.3); a leader without a quorum steps down (§6.2).
//! - A leader whose own disk does not answer steps down, too: a leader that can
//!   persist nothing is as good as dead, but its heartbeats would keep it in
//!   office (bugs.md B17).
//! - The state machine is only given entries that are durable on this very node.
//! - A refused connection to the leader's address starts the PreVote early.

mod apply;
mod effect;
mod election;
mod event;
mod follower;
mod install;
mod invariants;
mod leader;
mod lease;
mod log;
mod persist;
mod progress;
mod read;
mod rejoin;
mod rpc;
mod snapshot;
mod status;
#[cfg(test)]
mod tests;

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::types::{Entry, HardState, LogIndex, LogPosition, LogSummary, Membership, NodeId, Term};

pub use effect::{
    Append, CompactLog, Effect, PersistSeq, ReadEntries, ReadSnapshot, ReadToken, ReceiveSnapshot,
    Replicate, ResetLog, SetSendMode, StartReplication, StopReplication, TakeSnapshot,
};
pub use event::Event;
pub use lease::LeaseSettings;
pub use progress::{
    Progress, ProgressAction, ProgressSettings, ProgressState, ReplicationReport, SendMode,
};
pub use rpc::{
    AppendEntries, AppendEntriesResponse, AppendResult, Envelope, InstallSnapshot,
    InstallSnapshotResponse, PreVote, PreVoteResponse, RejoinResponse, RequestVote,
    RequestVoteResponse, Rpc,
};
pub use snapshot::SnapshotPositions;
pub use status::{NodeStatus, Role, SnapshotProgress};

use log::RaftLog;
use persist::Persistence;
use read::Reads;
use rejoin::Rejoining;
use snapshot::Snapshots;

/// What a [`Raft`] is told of its surroundings. All times but those of leases are
/// counted in ticks.
#[derive(Clone, Debug)]
pub struct RaftSettings {
    /// This node.
    pub id: NodeId,
    /// The members, as long as the log names none.
    pub initial_membership: Membership,
    /// The shortest election timeout. A follower that heard its leader within it
    /// refuses to vote (dissertation §4.2.3).
    pub election_timeout_ticks_min: u32,
    /// The longest; a leader that did not hear a quorum within it steps down.
    pub election_timeout_ticks_max: u32,
    /// Between two heartbeats; well below the election timeouts.
    pub heartbeat_ticks: u32,
    /// Leader leases, if they are on.
    pub leader_lease: Option<LeaseSettings>,
    /// A leader whose disk has not completed a write for so long steps down.
    pub disk_stall_ticks: u32,
    /// Peers that no quorum needs are sent what there is a little later (docs/adr/0014).
    pub has_batched_peers: bool,
    /// The store is saved when so many entries came since the last snapshot,
    pub snapshot_entries_max: u64,
    /// or so many bytes ([`Entry::weight_bytes`]); but not before as many came as the
    /// last snapshot has.
    pub snapshot_bytes_max: u64,
    /// Entries that stay in the log for followers that are a little behind, though
    /// the snapshots cover them.
    pub keep_entries: u64,
    /// Maximum sum of [`Entry::weight_bytes`] in one page of entries that is read from the
    /// log for the store.
    pub page_bytes_max: u64,
    /// Seeds the election timeouts.
    pub seed: u64,
}

/// A node that refuses to lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this node is not the leader")]
pub struct NotLeader {
    /// Who is, when it is known.
    pub leader_id: Option<NodeId>,
}

/// The core: one node's share of the protocol. See the module.
pub struct Raft {
    settings: RaftSettings,
    hard_state: HardState,
    /// The write that makes `hard_state` durable; one that has not been started
    /// when `hard_state_changed`.
    hard_state_seq: PersistSeq,
    hard_state_changed: bool,
    log: RaftLog,
    persistence: Persistence,
    role: RoleState,
    rejoining: Rejoining,
    /// Ticks since the election timer was last reset.
    election_elapsed_ticks: u32,
    /// When it fires; drawn anew at each reset (§5.2).
    election_timeout_ticks: u32,
    /// The newest entry known to be committed. Volatile (Figure 2): after a start
    /// it is what the snapshot covers, and the leader tells it anew.
    commit_index: LogIndex,
    /// The newest entry in an `Apply` effect; at most `commit_index`.
    submitted_index: LogIndex,
    /// The newest entry that the store has reported as applied.
    last_applied: LogIndex,
    /// A page of the log is being read for the store.
    is_reading_entries: bool,
    /// So many pages are being read of a log that is no more.
    stale_pages: u32,
    snapshots: Snapshots,
    wall_ms: u64,
    /// See [`Raft::set_now`]; 0, as the next, for ever when there are no leases.
    now: Duration,
    /// Until then this node elects nobody, in whatever role and term.
    promise_ends_at: Duration,
    rng: StdRng,
    effects: Vec<Effect>,
}

/// What a node keeps only as long as it plays its part.
enum RoleState {
    Follower { leader: Option<LeaderContact> },
    PreCandidate { granted: BTreeSet<NodeId>, refused: BTreeSet<NodeId> },
    Candidate { granted: BTreeSet<NodeId>, refused: BTreeSet<NodeId> },
    Leader(Leadership),
}

/// A follower's leader, and how long ago it was heard.
#[derive(Clone, Copy)]
struct LeaderContact {
    leader_id: NodeId,
    silent_ticks: u32,
}

/// What a leader keeps (Figure 2, "volatile state on leaders"; the next indexes
/// and windows are in each peer's [`Progress`]).
struct Leadership {
    term: Term,
    /// Its first entry, the no-op: only with it commits what came before (§5.4.2).
    first_index: LogIndex,
    peers: BTreeMap<NodeId, PeerState>,
    heartbeat_elapsed_ticks: u32,
    heartbeat_is_due: bool,
    /// Where the log begins, as far as the peers' `Progress` were told.
    announced_base: LogPosition,
    reads: Reads,
}

#[derive(Clone, Copy, Default)]
struct PeerState {
    match_index: LogIndex,
    /// The newest round of reads that it confirmed.
    read_seq: u64,
    /// Ticks since it last answered.
    silent_ticks: u32,
    /// It is being sent a snapshot: the log behind this index must stay.
    keep_log_from: Option<LogIndex>,
    /// Ticks since it said so.
    keep_log_ticks: u32,
    /// How far that snapshot is, by its last answer.
    snapshot_progress: Option<SnapshotProgress>,
    send_mode: SendMode,
}

impl Raft {
    /// A node as it starts: a follower that knows what its disk told, and that
    /// nothing of it is committed but what is in its snapshot, which the store was
    /// loaded from.
    ///
    /// # Panics
    /// When the hard state's term is below that of the log's last entry, or the log
    /// does not go on from the newest snapshot: no crash can bring that about.
    pub fn new(
        settings: RaftSettings,
        hard_state: HardState,
        log: LogSummary,
        snapshots: SnapshotPositions,
    ) -> Raft {
        assert!(
            hard_state.current_term >= log.runs.last().term,
            "the log has entries of term {}, above the durable term {}",
            log.runs.last().term,
            hard_state.current_term
        );
        assert!(
            log.runs.contains(snapshots.newest),
            "there is a gap between the snapshot up to {} and the log behind {}",
            snapshots.newest,
            log.runs.base()
        );
        let in_snapshot = snapshots.newest.index;
        let lost = log.lost;
        let committed = if mutant!(B84a) { log.runs.last().index } else { in_snapshot };
        let mut raft = Raft {
            rng: StdRng::seed_from_u64(settings.seed),
            hard_state: HardState {
                voted_for: hard_state.voted_for.filter(|_| !mutant!(B03)),
                is_rejoining: hard_state.is_rejoining && !mutant!(B52),
                ..hard_state
            },
            hard_state_seq: PersistSeq::default(),
            hard_state_changed: false,
            persistence: Persistence::new(log.runs.last().index),
            snapshots: Snapshots::new(snapshots, log.runs.base()),
            log: RaftLog::new(log, settings.initial_membership.clone()),
            role: RoleState::Follower { leader: None },
            rejoining: Rejoining::having_lost(lost),
            election_elapsed_ticks: 0,
            election_timeout_ticks: 0,
            commit_index: committed,
            submitted_index: in_snapshot,
            last_applied: in_snapshot,
            is_reading_entries: false,
            stale_pages: 0,
            wall_ms: 0,
            now: settings.leader_lease.map_or(Duration::ZERO, |lease| lease.started_at),
            promise_ends_at: Duration::ZERO,
            effects: Vec::new(),
            settings,
        };
        raft.start_election_timer();
        raft.promise_at_start();
        raft
    }

    /// A message from a peer (Figure 2, "rules for servers").
    pub fn step(&mut self, envelope: Envelope) {
        let Envelope { from, to, term, rpc } = envelope;
        if to != self.settings.id || !self.membership().voters.contains(&from) {
            return; // not for us, or from a node that is not a member (bugs.md B10)
        }
        match rpc {
            // A pre-vote speaks of a term that nobody has taken: it changes none. A
            // rejoining node has no say in anything.
            Rpc::RejoinRequest => self.on_rejoin_request(from),
            Rpc::PreVote(request) => self.on_pre_vote(from, term, request),
            Rpc::PreVoteResponse(response) if response.vote_granted => {
                self.on_pre_vote_granted(from, term);
            }
            Rpc::RequestVote(_) if term > self.term() && self.has_live_leader() => {
                // Dissertation §4.2.3: neither its vote nor its term counts while
                // the leader lives; else a node that came back could depose it.
            }
            Rpc::RequestVote(_) if self.has_promised() => {
                // The same, and in our own term, too: that we heard of it elsewhere takes
                // back no promise.
            }
            rpc => {
                if term > self.term() {
                    self.adopt_term(term, "a peer has a higher term");
                }
                let is_vote = matches!(rpc, Rpc::RequestVoteResponse(_));
                if term < self.term() && !(is_vote && mutant!(B05a)) {
                    self.answer_stale_request(from, &rpc);
                    return;
                }
                match rpc {
                    Rpc::AppendEntries(request) => self.on_append_entries(from, request),
                    Rpc::RequestVote(request) => self.on_request_vote(from, request),
                    Rpc::RequestVoteResponse(response) => {
                        self.on_request_vote_response(from, response);
                    }
                    Rpc::PreVoteResponse(_) => self.on_pre_vote_refused(from),
                    Rpc::RejoinResponse(response) => {
                        self.on_rejoin_response(from, term, response);
                    }
                    Rpc::InstallSnapshot(piece) => self.on_install_snapshot(from, piece),
                    // These responses are for the peer's `Progress`.
                    Rpc::AppendEntriesResponse(_)
                    | Rpc::InstallSnapshotResponse(_)
                    | Rpc::PreVote(_)
                    | Rpc::RejoinRequest => {}
                }
            }
        }
    }

    /// A tick of time has passed.
    pub fn tick(&mut self) {
        if let Some(lease) = self.settings.leader_lease
            && mutant!(B41d)
        {
            self.now += lease.promise / self.settings.election_timeout_ticks_min;
        }
        self.persistence.tick();
        self.tick_rejoin();
        self.tick_snapshots();
        if matches!(self.role, RoleState::Leader(_)) {
            self.tick_leader();
        } else {
            self.tick_election();
        }
    }

    /// The wall clock, for the stamps of entries that this node creates from here
    /// on. Stamps never fall, whatever the clock does.
    pub fn set_wall_ms(&mut self, wall_ms: u64) {
        self.wall_ms = wall_ms;
    }

    /// The disk has completed every write up to `seq`: what waited for it goes
    /// out, and a leader counts itself (bugs.md B21).
    ///
    /// # Panics
    /// When no such write was started.
    pub fn on_persisted(&mut self, seq: PersistSeq) {
        let term = self.term();
        for envelope in self.persistence.complete(seq, term) {
            self.effects.push(Effect::Send(envelope));
        }
        match self.role {
            RoleState::Candidate { .. } => self.count_own_vote(),
            RoleState::Leader(_) => self.advance_commit_index(),
            _ => self.maybe_become_voter(),
        }
        self.hand_over();
    }

    /// What is to be done, in this order. Entries and votes that gathered since
    /// the last call leave together: one write, one message a peer.
    pub fn take_effects(&mut self) -> Vec<Effect> {
        self.flush();
        self.check_invariants();
        std::mem::take(&mut self.effects)
    }

    fn flush(&mut self) {
        let unflushed = self.log.take_unflushed();
        let entries: Arc<[Entry]> = match self.role {
            RoleState::Leader(_) => unflushed.as_slice().into(),
            _ => Arc::new([]),
        };
        if !unflushed.is_empty() || self.hard_state_changed {
            let seq = self.persistence.start(self.log.last().index);
            let hard_state = self.hard_state_changed.then_some(self.hard_state);
            self.hard_state_changed = false;
            self.effects.push(Effect::Append(Append { seq, hard_state, entries: unflushed }));
        }
        self.flush_replication(entries);
    }

    /// Sends a response or a request for votes, when all that it promises is
    /// durable.
    fn send(&mut self, to: NodeId, rpc: Rpc) {
        let envelope = Envelope { from: self.settings.id, to, term: self.term(), rpc };
        if self.is_hard_state_durable() || mutant!(B02) {
            self.effects.push(Effect::Send(envelope));
        } else {
            self.persistence.defer(self.barrier(), envelope);
        }
    }

    /// Sends when everything that this node has accepted so far is durable.
    fn send_when_persisted(&mut self, to: NodeId, rpc: Rpc) {
        let envelope = Envelope { from: self.settings.id, to, term: self.term(), rpc };
        self.persistence.defer(self.barrier(), envelope);
    }

    /// The write after which all accepted so far is durable.
    fn barrier(&self) -> PersistSeq {
        if self.hard_state_changed || self.log.has_unflushed() {
            self.persistence.next_seq()
        } else {
            self.persistence.last_seq()
        }
    }

    fn is_hard_state_durable(&self) -> bool {
        !self.hard_state_changed && self.persistence.is_done(self.hard_state_seq)
    }

    fn set_hard_state(&mut self, hard_state: HardState) {
        assert!(hard_state.current_term >= self.hard_state.current_term, "terms never fall");
        self.hard_state = hard_state;
        self.hard_state_changed = true;
        self.hard_state_seq = self.persistence.next_seq();
    }

    /// "If RPC request or response contains term T > currentTerm: set currentTerm
    /// = T, convert to follower" (§5.1). Only a new term clears the vote (B04).
    fn adopt_term(&mut self, term: Term, reason: &'static str) {
        let hard_state = HardState { current_term: term, voted_for: None, ..self.hard_state };
        self.set_hard_state(hard_state);
        if mutant!(B08b) && matches!(self.role, RoleState::Leader(_)) {
            return;
        }
        self.become_follower(None, reason);
    }

    /// The election timer goes on unless a leader was heard or was us: a candidate
    /// that cannot win must not keep those waiting that can (Figure 2).
    fn become_follower(&mut self, leader: Option<NodeId>, reason: &'static str) {
        if mutant!(B04) && !matches!(self.role, RoleState::Follower { .. }) {
            self.set_hard_state(HardState { voted_for: None, ..self.hard_state });
        }
        let leader = leader.map(|leader_id| LeaderContact { leader_id, silent_ticks: 0 });
        let has_leader = leader.is_some();
        if has_leader {
            self.promise();
        }
        let before = std::mem::replace(&mut self.role, RoleState::Follower { leader });
        let has_led = if let RoleState::Leader(leadership) = before {
            self.end_leadership(leadership, reason);
            true
        } else {
            false
        };
        if has_leader || has_led {
            self.reset_election_timer();
        }
    }

    fn membership(&self) -> &Membership {
        self.log.membership()
    }

    /// A member that is known to remember its promises.
    fn is_voter(&self) -> bool {
        self.membership().voters.contains(&self.settings.id) && !self.hard_state.is_rejoining
    }

    /// The other voters.
    fn peers(&self) -> Vec<NodeId> {
        let id = self.settings.id;
        self.membership().voters.iter().copied().filter(|peer| *peer != id).collect()
    }

    /// This node.
    pub fn id(&self) -> NodeId {
        self.settings.id
    }

    /// Its current term.
    pub fn term(&self) -> Term {
        self.hard_state.current_term
    }

    /// Its term and vote, durable or about to be.
    pub fn hard_state(&self) -> HardState {
        self.hard_state
    }

    /// Its part in the term.
    pub fn role(&self) -> Role {
        match self.role {
            RoleState::Follower { .. } if !self.is_voter() => Role::Rejoining,
            RoleState::Follower { .. } => Role::Follower,
            RoleState::PreCandidate { .. } => Role::PreCandidate,
            RoleState::Candidate { .. } => Role::Candidate,
            RoleState::Leader(_) => Role::Leader,
        }
    }

    /// The leader of the term, when this node knows it.
    pub fn leader_id(&self) -> Option<NodeId> {
        match &self.role {
            RoleState::Leader(_) => Some(self.settings.id),
            RoleState::Follower { leader } => leader.map(|contact| contact.leader_id),
            _ => None,
        }
    }

    /// The newest entry known to be committed.
    pub fn commit_index(&self) -> LogIndex {
        self.commit_index
    }

    /// The newest entry handed to the state machine.
    pub fn submitted_index(&self) -> LogIndex {
        self.submitted_index
    }

    /// The newest entry that the state machine has applied.
    pub fn last_applied(&self) -> LogIndex {
        self.last_applied
    }

    /// The end of the log, durable or about to be.
    pub fn last_log(&self) -> LogPosition {
        self.log.last()
    }

    /// Up to here the log is durable.
    pub fn persisted_index(&self) -> LogIndex {
        self.persistence.persisted_index()
    }

    /// The position that the log begins behind: a snapshot stands for what is before.
    pub fn log_base(&self) -> LogPosition {
        self.log.base()
    }

    /// The last entry in the newest snapshot.
    pub fn snapshot_index(&self) -> LogIndex {
        self.snapshots.newest().index
    }

    /// The term of the entry at `index`; `None` before and behind the log.
    pub fn term_at(&self, index: LogIndex) -> Option<Term> {
        self.log.term_at(index)
    }

    /// The stamp that this node's next entry will not go below.
    pub fn last_stamp_ms(&self) -> u64 {
        self.log.last_stamp_ms()
    }

    fn snapshot_progress(&self) -> Vec<(NodeId, SnapshotProgress)> {
        let RoleState::Leader(leadership) = &self.role else { return Vec::new() };
        let peers = leadership.peers.iter();
        peers.filter_map(|(id, peer)| Some((*id, peer.snapshot_progress?))).collect()
    }

    /// One moment of this node; what only the store knows is 0.
    pub fn status(&self) -> NodeStatus {
        NodeStatus {
            id: self.settings.id,
            role: self.role(),
            term: self.term(),
            leader_id: self.leader_id(),
            commit_index: self.commit_index,
            last_applied: self.last_applied,
            last_log_index: self.log.last().index,
            snapshot_index: self.snapshot_index(),
            keys: 0,
            store_bytes: 0,
            store_digest: 0,
            snapshot_progress: self.snapshot_progress(),
        }
    }
}
