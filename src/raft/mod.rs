//! The Raft consensus protocol, without any input or output of its own.
//!
//! # The problem
//!
//! A cluster of servers is to behave like one server that does not fail. Every server has a
//! copy of the store. If all copies execute the same commands in the same order, they stay
//! equal, and any of them can go on when others are lost. So the servers must agree on one
//! list of commands: the *log*. Raft is a protocol for that agreement. It stays correct
//! while messages are lost, delayed, repeated or reordered, and while servers crash and come
//! back, as long as their disks keep what they said was durable. It makes progress as long
//! as a majority of the servers can talk to each other.
//!
//! # Terms and leaders
//!
//! Time is divided into *terms*, numbered from 1 (§5.1). A term has at most one *leader*,
//! which alone decides what the log is. A server that hears no leader for an *election
//! timeout* starts an election: it increments its term, becomes a *candidate*, and asks the
//! others for their votes (§5.2). A server has one vote a term, and makes it durable before
//! it gives it. A candidate with the votes of a majority, a *quorum*, leads the term. Any two
//! quorums have a server in common, and that server votes only once; so no term has two
//! leaders. Random timeouts make it rare that several candidates split the votes.
//!
//! Every message has its sender's term. A server that sees a higher term takes it over and
//! becomes a *follower*: so a leader of an old term finds out that it was replaced. A message
//! of a lower term is refused.
//!
//! # Replication and commitment
//!
//! A client's command becomes an entry of the leader's log, which has an index and the
//! leader's term. The leader sends new entries to the followers with AppendEntries, which
//! names the position before them: index and term. A follower whose log has that position
//! appends the entries; any other refuses, and the leader tries an earlier position (§5.3).
//! By induction, two logs that have an entry with the same index and term are equal up to
//! it. A follower whose log has other entries there drops them: they were never committed.
//!
//! An entry is *committed* when a quorum holds it durably and it is of the leader's own term;
//! with it, every entry before it is committed (§5.4.2). A voter only votes for a candidate
//! whose log is at least as up-to-date as its own (§5.4.1). Since the quorum that holds a
//! committed entry and the quorum that elects a leader have a server in common, every later
//! leader has every committed entry. Committed entries are applied to the store, in order,
//! and the client gets its answer.
//!
//! A leader that has nothing to send sends empty AppendEntries, the *heartbeats*, so that no
//! follower starts an election.
//!
//! # Reads
//!
//! A read needs no entry, but it must not be answered from an old state by a leader that was
//! replaced and does not know it. So the leader first makes sure that it still leads: it
//! sends a round of messages, and answers when a quorum has responded (ReadIndex,
//! dissertation §6.4). With leader leases it may answer without a round for a while, because
//! followers promise to elect nobody else in that time (§6.4.1, docs/adr/0012).
//!
//! A node that does not lead answers reads, too: it asks the leader for the index that they must
//! see, and waits until its own store has applied it. And it passes commands on to the leader
//! (docs/adr/0031).
//!
//! # Snapshots
//!
//! A log cannot grow for ever. Each server saves its store in a *snapshot* now and then, and
//! removes the entries that the snapshot covers (§7). A follower that lacks entries which the
//! leader no longer has is sent the leader's snapshot instead.
//!
//! # Members
//!
//! The members are in the log, and a membership is in force as soon as it is there (dissertation
//! §4.1). The voters change by two entries: in between, a quorum needs a majority of the voters
//! before the change and a majority of those after it (dissertation §4.3, docs/adr/0026).
//!
//! # How this code is used
//!
//! Nothing here knows a clock, a thread, a file or a socket. A [`Raft`] takes events:
//! [`Raft::step`] a message, [`Raft::tick`] a unit of time, [`Raft::propose`] and
//! [`Raft::read`] a client's command, [`Raft::on_persisted`] a completed write,
//! [`Raft::on_replicated`] a peer's progress, [`Raft::on_applied`] the store,
//! [`Raft::on_snapshot_taken`] and others the snapshots. Then [`Raft::take_effects`] returns
//! the things to do, as [`Effect`]s, in order. The same events in the same order, from the
//! same seed, give the same effects. A leader's view of each peer is a [`Progress`] of its
//! own, outside of the `Raft`, so that each peer's replication can be an actor.
//!
//! In the comments, "§" is a section of the Raft paper (extended version), and "dissertation
//! §" one of Ongaro's thesis. Files, from the bottom up; none uses one that is below it:
//!
//! | file | content |
//! |---|---|
//! | `peer_fault` | the messages that no sound peer sends |
//! | `stop_reason` | the reasons for which a node must stop |
//! | `introduction` | the facts by which a peer introduces itself |
//! | `handover` | the transfers of a leadership, and who is the best successor |
//! | `rpc`, `forwards`, `effect` | messages and orders |
//! | `event`, `status`, `settings` | log lines and data |
//! | `members_event` | the steps of changes of the members, as log lines |
//! | `member_change` | the answers to operators who change the members |
//! | `quorum` | the arithmetic of majorities |
//! | `log` | the terms of the whole log, and the entries that are on their way |
//! | `persistence` | term and vote, writes under way, messages that wait for the disk |
//! | `election_timer`, `leader_lease` | the two clocks of a node |
//! | `peer_questions` | the questions and commands of peers, as their leader keeps them |
//! | `asking` | whether clients of a peer wait for entries, by how often it asks |
//! | `store_clock` | the time that a leader stamps entries with (docs/adr/0020) |
//! | `read_index` | reads and the rounds that confirm them (dissertation §6.4) |
//! | `inquiry` | reads at a node that does not lead, and its question to the leader |
//! | `apply_queue` | the way of committed entries to the store |
//! | `log_weights` | the weight of the log after any of its entries |
//! | `snapshot_policy` | when a snapshot is taken, how far the log is compacted (§7) |
//! | `rejoin` | when a node that may have forgotten is counted again (docs/adr/0005, 0009) |
//! | `start` | the state with which this run started, by which it judges words about earlier ones |
//! | `remembered` | what each peer has acknowledged, and the words to those that start again |
//! | `replication` | one peer's replication: probe, pipeline, snapshot install (§5.3, §7) |
//! | `log_hold` | how long the log is kept for a peer that is sent a snapshot |
//! | `comparison` | the digests of all stores, as a leader has collected them (docs/adr/0025) |
//! | `format_gate` | which members can read the next format, and for how long (docs/adr/0023) |
//! | `transitions` | the memberships on the way of a change (dissertation §4.3) |
//! | `catch_up` | the rounds in which a learner catches up (dissertation §4.2.1) |
//! | `leaving` | the peers that a leader has removed, and that have yet to hear of it |
//! | `log_pace` | the age of a peer's place in the log, for people |
//! | `role`, `leadership` | what a candidate and a leader keep (Figure 2) |
//! | `state` | [`Raft`] itself: sending, changes of term and role |
//! | `snapshots` | rules: taking, compacting, installing (§7) |
//! | `submit` | rules: committed entries and confirmed reads to the store, in one order |
//! | `follower` | rules: AppendEntries at its receiver (§5.3) |
//! | `leader` | rules: propose, read, count, commit, CheckQuorum (§5.3, §5.4.2) |
//! | `any_server` | rules: reads and writes at a node that does not lead (docs/adr/0031) |
//! | `membership` | rules: joint consensus, learners, removed servers (dissertation §4) |
//! | `member_requests` | rules: what operators may change now, and why not (docs/adr/0026) |
//! | `leadership_transfer` | rules: a leader hands its office over (dissertation §3.10) |
//! | `state_check` | rules: stores are compared, and a node that differs stops |
//! | `raising` | rules: the cluster's format and id; the end of a node that cannot read it |
//! | `election` | rules: PreVote and votes (§5.2, §5.4.1; dissertation §9.6) |
//! | `recall` | rules: what peers acknowledged, heard of, told and judged (docs/adr/0024) |
//! | `invariants` | the checks after every event |
//! | this file | the events, each to its rule |
//!
//! # Where this deviates from the paper
//!
//! - An election is preceded by a PreVote, and a node that hears a leader refuses both
//!   (dissertation §9.6, §4.2.3); a leader without a quorum steps down (dissertation §6.2).
//! - A leader whose own disk does not answer steps down, too: a leader that can persist
//!   nothing is of no use, but its heartbeats would keep it in office (docs/bugs.md B17).
//! - The state machine is only given entries that are durable on this very node.
//! - The leader sends entries to its peers while its own disk writes them, and counts itself
//!   when they are durable (dissertation §10.2.1).
//! - A refused connection to the leader's address starts the PreVote early.
//! - A node that has lost its disk, or a part of its log, rejoins under its own id
//!   (docs/adr/0005, docs/adr/0009), a leader tells a peer that shows such a loss
//!   (docs/adr/0018), and every node tells a peer that starts again what it acknowledged before
//!   (docs/adr/0024). The paper assumes that disks keep what they have.
//! - A node that has just started gives no vote before its peers have had the time to tell it.
//! - Peers that no quorum needs are sent entries in batches (docs/adr/0014).
//!
//! # What this does not do
//!
//! - Clients are not known here. An entry is bytes; that a repeated command is executed once
//!   is the store's concern.
//! - Nodes are trusted: a node that lies, or a disk that loses what it said was durable
//!   without a trace, is outside of the model. It is noticed if a node that remembers the
//!   acknowledgement is there in time.

mod any_server;
mod apply_queue;
mod asking;
mod catch_up;
mod comparison;
mod effect;
mod election;
mod election_timer;
mod event;
mod follower;
mod format_gate;
mod forwards;
mod handover;
mod inquiry;
mod introduction;
mod invariants;
mod leader;
mod leader_lease;
mod leadership;
mod leadership_transfer;
mod leaving;
mod log;
mod log_hold;
mod log_pace;
mod log_weights;
mod member_change;
mod member_requests;
mod members_event;
mod membership;
mod peer_fault;
mod peer_questions;
mod persistence;
mod quorum;
mod raising;
mod read_index;
mod recall;
mod rejoin;
mod remembered;
mod replication;
mod role;
mod rpc;
mod settings;
mod snapshot_policy;
mod snapshots;
mod start;
mod state;
mod state_check;
mod status;
mod stop_reason;
mod store_clock;
mod submit;
#[cfg(test)]
mod tests;
mod transitions;

pub use effect::{
    Announcement, Append, CompactLog, Effect, PersistSeq, ReadDigest, ReadEntries, ReadSnapshot,
    ReadToken, ReceiveSnapshot, RefusePeer, Replicate, ResetLog, SetSendMode, StartPeer,
    StartReplication, StopReplication, TakeSnapshot, TellCommit,
};
pub use event::{Event, HoldEnd};
pub use format_gate::{MemberWait, RaiseWait};
pub use forwards::{ForwardAnswer, ForwardOrigin, ForwardedCommand};
pub use handover::TransferFailure;
pub use introduction::Introduction;
pub use leader_lease::LeaseSettings;
pub use leadership_transfer::{Transfer, TransferRefusal};
pub use member_change::{ChangePlan, ChangeRefusal, MemberOutcome};
pub use members_event::MembersEvent;
pub use membership::{MembersStatus, PeerView};
pub use peer_fault::PeerFault;
pub use raising::{Raise, RaiseRefusal};
pub use replication::Progress;
pub use replication::action::{ProgressAction, ReplicationReport};
pub use replication::memory::PeerLoss;
pub use replication::pacing::SendMode;
pub use replication::probe::ProgressState;
pub use replication::settings::ProgressSettings;
pub use rpc::{
    Admitted, AppendEntries, AppendEntriesResponse, AppendResult, Envelope, Forgotten, Forward,
    ForwardOutcome, Forwarded, InstallSnapshot, InstallSnapshotResponse, PreVote, PreVoteResponse,
    ReadIndexRequest, ReadIndexResponse, RejoinResponse, Remembered, RequestVote,
    RequestVoteResponse, Rpc, SnapshotRefusal, StateCheck, StateCheckResponse, StateDiverged,
    TimeoutNow,
};
pub use settings::{GateSettings, RaftSettings};
pub use snapshot_policy::SnapshotPositions;
pub use state::{NotLeader, Raft};
pub use status::{ClusterStatus, NodeStatus, Role, SnapshotProgress};
pub use stop_reason::StopReason;

use std::collections::BTreeSet;

use peer_fault::check_term;
use rejoin::{PeerReport, Rejoining, has_all_back};
use role::RoleState;

use crate::types::{HardState, LogIndex, LogPosition, NodeId, Term};

impl Raft {
    /// Takes a message from a peer (Figure 2, "rules for servers").
    ///
    /// # Panics
    /// When the message breaks a property of Figure 3: it shows a second leader of this
    /// node's term, or replaces a committed entry.
    pub fn step(&mut self, envelope: Envelope) {
        let Envelope { from, to, term, rpc } = envelope;
        if self.has_stopped {
            return;
        }
        if to != self.id() || rpc.asks_for_vote() && self.is_known_to_be_removed(from) {
            // Not for this node, or from one that was removed and does not know it. Whoever else
            // asks is answered: the own membership may be old (docs/adr/0026). What a removed
            // leader sends counts until a member has taken its place.
            return;
        }
        if let Err(fault) = check_term(term, self.term()) {
            self.refuse_peer(from, rpc.is_response(), fault);
            return;
        }
        match rpc {
            // A pre-vote asks about a term that no node has taken yet, so it changes no term.
            // The term of a rejoining node is not adopted, because that node does not count.
            Rpc::RejoinRequest => self.on_rejoin_request(from),
            // An acknowledgement is a fact in every term.
            Rpc::Remembered(word) => self.on_remembered(from, term, word),
            Rpc::Forwarded(word) => {
                if term > self.term() {
                    self.adopt_term(term, "a peer has a higher term");
                }
                self.on_forwarded(from, term, word);
            }
            Rpc::PreVote(request) => self.on_pre_vote(from, term, request),
            Rpc::PreVoteResponse(response) if response.vote_granted => {
                self.on_pre_vote_granted(from, term);
            }
            Rpc::RequestVote(_) if term > self.term() && self.has_live_leader() => {
                // Dissertation §4.2.3: neither the candidate's request nor its term counts while
                // the leader lives; otherwise a node that came back could depose it.
            }
            Rpc::RequestVote(_) if self.lease.has_promised() => {
                // The same while our promise to a leader lasts, even if another message has
                // already brought us the candidate's term.
            }
            rpc => {
                if term > self.term() {
                    self.adopt_term(term, "a peer has a higher term");
                }
                if term < self.term() {
                    self.answer_stale_request(from, &rpc);
                    return;
                }
                self.step_in_term(from, term, rpc);
            }
        }
    }

    /// Orders the end of the connection on which a peer has sent what no sound node sends
    /// (docs/bugs.md C11).
    fn refuse_peer(&mut self, peer: NodeId, is_response: bool, fault: PeerFault) {
        self.effects.push(Effect::RefusePeer(RefusePeer { peer, is_response, fault }));
    }

    /// Takes a message of our term, or one that does not depend on the term.
    fn step_in_term(&mut self, from: NodeId, term: Term, rpc: Rpc) {
        match rpc {
            Rpc::AppendEntries(request) => self.on_append_entries(from, request),
            Rpc::RequestVote(request) => self.on_request_vote(from, request),
            Rpc::RequestVoteResponse(response) => self.on_request_vote_response(from, response),
            Rpc::PreVoteResponse(_) => self.on_pre_vote_refused(from),
            Rpc::RejoinResponse(response) => self.on_rejoin_response(from, term, response),
            Rpc::InstallSnapshot(piece) => self.on_install_snapshot(from, piece),
            Rpc::Forgotten(word) => self.on_forgotten(from, word.acknowledged),
            // These responses are for the peer's `Progress`.
            Rpc::AppendEntriesResponse(_)
            | Rpc::InstallSnapshotResponse(_)
            | Rpc::PreVote(_)
            | Rpc::RejoinRequest => {}
            Rpc::StateCheck(request) => self.on_state_check(from, &request),
            Rpc::StateCheckResponse(response) => self.on_state_check_response(from, response),
            Rpc::StateDiverged(word) => self.on_state_diverged(from, word),
            Rpc::TimeoutNow(order) => self.on_timeout_now(from, order),
            Rpc::TransferVote(request) => self.on_request_vote(from, request),
            Rpc::TransferRefused => self.on_transfer_refused(from),
            Rpc::Remembered(_) | Rpc::Forwarded(_) => {}
            Rpc::ReadIndex(request) => self.on_read_index(from, request),
            Rpc::ReadIndexResponse(response) => self.on_read_index_response(from, response),
            Rpc::Forward(forward) => self.on_forward(from, forward),
            Rpc::Admitted(word) => self.on_admitted(from, word),
        }
    }

    /// Answers a request of an old term with our term, so that its sender steps down
    /// (§5.1). A stale response is dropped.
    fn answer_stale_request(&mut self, from: NodeId, rpc: &Rpc) {
        let answer = match rpc {
            Rpc::RequestVote(_) | Rpc::TransferVote(_) => {
                Rpc::RequestVoteResponse(RequestVoteResponse { vote_granted: false })
            }
            Rpc::AppendEntries(_) => Rpc::AppendEntriesResponse(AppendEntriesResponse {
                // 0 answers no request: the sender may lead our term by now.
                request_seq: 0,
                read_seq: 0,
                is_rejoining: self.hard_state().is_rejoining,
                // The envelope's term is the answer; nothing was compared.
                result: AppendResult::Success { match_index: LogIndex(0) },
            }),
            Rpc::TimeoutNow(_) => Rpc::TransferRefused,
            Rpc::ReadIndex(ReadIndexRequest { boot, number }) => {
                let (boot, number) = (*boot, *number);
                Rpc::ReadIndexResponse(ReadIndexResponse { boot, number, index: None })
            }
            Rpc::Forward(Forward { boot, number, .. }) => Rpc::Forwarded(Forwarded {
                boot: *boot,
                number: *number,
                outcome: ForwardOutcome::NotLeader,
            }),
            Rpc::InstallSnapshot(piece) => {
                Rpc::InstallSnapshotResponse(self.snapshot_response(0, piece.snapshot.last, 0))
            }
            _ => return,
        };
        self.send(from, answer);
    }

    /// Advances time by one tick, the unit of all settings in ticks.
    pub fn tick(&mut self) {
        if self.has_stopped {
            return;
        }
        self.persistence.tick();
        self.tick_settling();
        self.tick_gate();
        self.tick_rejoin();
        self.tick_snapshots();
        self.tick_inquiry();
        self.members.tick();
        if matches!(self.role, RoleState::Leader(_)) {
            self.tick_leader();
        } else {
            self.tick_election();
        }
    }

    /// The disk has completed every write up to `seq`: the messages that waited for it go
    /// out, and a leader counts itself (docs/bugs.md B21).
    ///
    /// # Panics
    /// When no such write was started.
    pub fn on_persisted(&mut self, seq: PersistSeq) {
        let released = self.persistence.complete(seq);
        self.effects.extend(released.into_iter().map(Effect::Send));
        match self.role {
            RoleState::Candidate(_) => self.count_own_vote(),
            RoleState::Leader(_) => self.advance_commit_index(),
            _ => self.maybe_become_voter(),
        }
        self.submit();
        self.advance_handover();
    }

    /// Returns the things to do, in order. Entries and votes that gathered since the last
    /// call leave together: in one write, and in one message to each peer.
    ///
    /// # Panics
    /// When an invariant does not hold, see [`Raft::check_invariants`].
    pub fn take_effects(&mut self) -> Vec<Effect> {
        self.inquiry.has_failed_reads = false;
        if self.has_stopped {
            return self.take_last_effects();
        }
        let entries = self.flush_writes();
        self.flush_replication(entries);
        self.start_peers();
        self.tell_commits();
        self.ask_leader();
        self.announce_changes();
        self.check_invariants();
        std::mem::take(&mut self.effects)
    }

    /// The effects up to the stop of this node, which are the last: later events have none.
    fn take_last_effects(&mut self) -> Vec<Effect> {
        let mut effects = std::mem::take(&mut self.effects);
        let stop = effects.iter().position(|effect| matches!(effect, Effect::Stop(_)));
        effects.truncate(stop.map_or(0, |place| place + 1));
        effects
    }

    // Rejoining.

    fn tick_rejoin(&mut self) {
        if !self.hard_state().is_rejoining {
            return;
        }
        let settings = &self.settings;
        let ticks_max = settings.election_timeout_ticks_max;
        let tick = self.rejoining.tick(ticks_max, settings.heartbeat_ticks);
        let is_voter = self.membership().is_voter(self.settings.id);
        if tick.has_waited_long && is_voter && self.rejoining.may_be_new(self.own_report()) {
            let silent = self.rejoining.silent(self.other_voters());
            self.tell(Event::WaitsForMembers { silent });
        }
        if !tick.is_asking || !is_voter {
            return;
        }
        // The leader is asked as well: it may be no voter by the log that it has sent so far.
        let mut asked: BTreeSet<NodeId> = self.other_voters().into_iter().collect();
        asked.extend(self.leader_id());
        for to in asked {
            self.effects.push(Effect::Send(self.envelope(to, Rpc::RejoinRequest)));
        }
        // A node without peers has nobody to wait for.
        self.maybe_become_voter();
    }

    /// A rejoining peer asks for our term and the end of our log. The answer waits until our
    /// term is durable: a term that a crash can take back must not be reported.
    ///
    /// As the leader this node no longer counts on the peer for a change of the members, although
    /// the peer's last report may be that of a time when it had its disk.
    fn on_rejoin_request(&mut self, from: NodeId) {
        if let RoleState::Leader(leadership) = &mut self.role {
            leadership.on_rejoining(from);
        }
        let PeerReport { last, .. } = self.own_report();
        self.send(from, Rpc::RejoinResponse(RejoinResponse { last }));
    }

    fn on_rejoin_response(&mut self, from: NodeId, term: Term, response: RejoinResponse) {
        if self.hard_state().is_rejoining {
            self.rejoining.on_report(from, PeerReport { term, last: response.last });
            self.maybe_become_voter();
        }
    }

    /// The leader of our term says that we have acknowledged an entry to it which we lack. That
    /// is checked here: the word may be late. Within a term the leader's log only grows, and
    /// nothing takes from us what we acknowledged in it. So a log that lacks the entry has
    /// lost it, and whatever else this node had promised may be lost, too (docs/adr/0018).
    fn on_forgotten(&mut self, from: NodeId, acknowledged: LogPosition) {
        let is_held =
            acknowledged.index <= self.log.base().index || self.log.contains(acknowledged);
        if is_held || self.leader_id() != Some(from) || !self.can_be_spared() {
            return;
        }
        self.forget(from, acknowledged, self.log.last());
    }

    /// True when the others can lead and commit without this node's vote.
    pub(super) fn can_be_spared(&self) -> bool {
        !self.membership().is_voter(self.settings.id) || self.quorum().can_spare_one()
    }

    fn maybe_become_voter(&mut self) {
        let hard_state = self.hard_state();
        // A learner is admitted by its leader, and a node that knows no members by nobody.
        if !hard_state.is_rejoining || !self.membership().is_voter(self.settings.id) {
            return;
        }
        if self.has_caught_up() {
            self.recall.start.on_caught_up();
        } else if !self.has_all_back() && !self.is_cluster_new() {
            return;
        }
        self.end_rejoining();
        self.tell(Event::BecameVoter { term: self.term() });
    }

    /// From here on this node remembers what it promises.
    pub(super) fn end_rejoining(&mut self) {
        let HardState { current_term, voted_for, .. } = self.hard_state();
        let voted_for = if current_term == Term(0) {
            None
        } else {
            // This node may have voted in this term before it lost its disk.
            Some(voted_for.unwrap_or(self.id()))
        };
        let hard_state = HardState { current_term, voted_for, ..HardState::default() };
        self.persistence.set_hard_state(hard_state);
        self.rejoining = Rejoining::default();
    }

    fn is_cluster_new(&self) -> bool {
        let is_said_to_be_new = self.settings.gate.is_new_cluster;
        let own = self.own_report();
        self.rejoining.is_cluster_new(self.id(), own, self.quorum(), is_said_to_be_new)
    }

    /// The term of this node and the end of its log, which includes what this node is known to
    /// have had and to have lost: a node that has nothing must not make a majority with others
    /// that never had it.
    fn own_report(&self) -> PeerReport {
        let last = self.log.last().max(self.hard_state().lost);
        PeerReport { term: self.term(), last }
    }

    fn has_all_back(&self) -> bool {
        let (own, persisted_index) = (self.hard_state(), self.persistence.persisted_index());
        matches!(self.role, RoleState::Follower { .. })
            && has_all_back(own, &self.log, persisted_index)
    }

    fn has_caught_up(&self) -> bool {
        let (own, persisted_index) = (self.hard_state(), self.persistence.persisted_index());
        let peers = self.other_voters();
        let leader = self.leader_id();
        matches!(self.role, RoleState::Follower { .. })
            && self.rejoining.is_view_new(&peers, leader, own, &self.log, self.quorum())
            && self.rejoining.has_caught_up(&peers, own, &self.log, persisted_index)
    }
}
