//! One node by itself: a test plays its peers. Its disk and store answer at once.

use core::time::Duration;

use super::clocks::{PROMISE, TICK};
use super::cluster::settings_of;
use super::disk::{Disk, Durable};
use crate::raft::{
    Append, AppendEntries, AppendEntriesResponse, AppendResult, Effect, Envelope, LeaseSettings,
    PreVote, PreVoteResponse, Raft, RaftSettings, ReadEntries, RequestVote, RequestVoteResponse,
    ResetLog, Role, Rpc,
};
use crate::types::{
    Entry, Format, FormatInForce, FormatRange, HardState, LogIndex, LogPosition, NodeId, Payload,
    Term,
};

use super::cluster::log_of;

/// Node 1, with its disk and its store.
pub(super) struct Solo {
    pub(super) raft: Raft,
    settings: RaftSettings,
    disk: Disk,
    /// The time of its clock, with leases. Each tick takes exactly its nominal time.
    pub(super) now: Duration,
    pub(super) applied: Vec<Entry>,
    /// All other effects since they were last taken.
    pub(super) effects: Vec<Effect>,
}

impl Solo {
    /// A node with a log of these terms, in `term`, that has not voted.
    pub(super) fn new(nodes: u64, terms: &[u64], term: u64) -> Solo {
        let hard_state = HardState { current_term: Term(term), ..HardState::default() };
        Solo::with_past(settings_of(1, nodes, 1), Durable::new(hard_state, log_of(terms)))
    }

    /// A node like that of [`Solo::new`], with leader leases.
    pub(super) fn leased(nodes: u64, terms: &[u64], term: u64) -> Solo {
        let hard_state = HardState { current_term: Term(term), ..HardState::default() };
        let lease = LeaseSettings { promise: PROMISE, started_at: Duration::ZERO };
        let settings = RaftSettings { leader_lease: Some(lease), ..settings_of(1, nodes, 1) };
        Solo::with_past(settings, Durable::new(hard_state, log_of(terms)))
    }

    /// A node with a new data directory.
    pub(super) fn rejoining(nodes: u64) -> Solo {
        Solo::with_past(settings_of(1, nodes, 1), Durable::new_directory())
    }

    /// A node in `term` whose log was cut after entries of these terms, and had reached `lost`.
    pub(super) fn damaged(nodes: u64, terms: &[u64], term: u64, lost: LogPosition) -> Solo {
        let hard_state = HardState {
            current_term: Term(term),
            is_rejoining: true,
            lost,
            is_end_known: true,
            ..HardState::default()
        };
        Solo::with_past(settings_of(1, nodes, 1), Durable::new(hard_state, log_of(terms)))
    }

    /// A node with a new log, whose peers outside the quorum are sent batches.
    pub(super) fn with_batched_peers(nodes: u64) -> Solo {
        let settings = RaftSettings { has_batched_peers: true, ..settings_of(1, nodes, 1) };
        Solo::with_past(settings, Durable::default())
    }

    /// A node that reads every format, with a log of term 1 that puts `format` in force: with an
    /// entry for each format after the first, and one entry at least.
    pub(super) fn of_format(nodes: u64, format: Format) -> Solo {
        let hard_state = HardState { current_term: Term(1), ..HardState::default() };
        let mut log = log_of(&vec![1; format.0.max(2) as usize - 1]);
        for (entry, raised) in log.iter_mut().zip(2..=format.0) {
            entry.payload = Payload::Format(FormatInForce::of(Format(raised)));
        }
        let mut settings = settings_of(1, nodes, 1);
        settings.gate.formats = FormatRange::OWN;
        Solo::with_past(settings, Durable::new(hard_state, log))
    }

    fn with_past(settings: RaftSettings, durable: Durable) -> Solo {
        let disk = Disk::new(durable);
        let (hard_state, log) = (disk.durable().hard_state, disk.summary());
        let mut raft = Raft::new(settings.clone(), hard_state, log, disk.snapshot_positions());
        // The first effect is the same in every test: it announces what the snapshot says.
        raft.take_effects();
        let now = Duration::ZERO;
        let mut solo = Solo { raft, settings, disk, now, applied: Vec::new(), effects: Vec::new() };
        solo.reach_all();
        solo
    }

    /// All peers have answered its hello, so it is settled.
    pub(super) fn reach_all(&mut self) {
        for peer in self.raft.other_voters() {
            self.raft.on_peer_reached(peer);
        }
    }

    pub(super) fn restart(&mut self) {
        self.restart_unsettled();
        self.reach_all();
    }

    /// Starts again, and has heard from no peer.
    pub(super) fn restart_unsettled(&mut self) {
        self.applied.clear();
        let hard_state = self.disk.durable().hard_state;
        let (log, snapshots) = (self.disk.summary(), self.disk.snapshot_positions());
        if let Some(lease) = &mut self.settings.leader_lease {
            lease.started_at = self.now;
        }
        self.raft = Raft::new(self.settings.clone(), hard_state, log, snapshots);
        self.raft.take_effects();
        self.pass(Duration::ZERO);
    }

    /// Lets time pass in which nothing happens.
    pub(super) fn pass(&mut self, time: Duration) {
        self.now += time;
        self.raft.set_now(self.now);
    }

    pub(super) fn log(&self) -> &[Entry] {
        self.disk.log()
    }

    /// The terms of its log.
    pub(super) fn terms(&self) -> Vec<u64> {
        self.log().iter().map(|entry| entry.term.0).collect()
    }

    /// Receives a message from a peer, and returns the messages that it sends then.
    pub(super) fn receive(&mut self, from: u64, term: u64, rpc: Rpc) -> Vec<Envelope> {
        self.raft.step(Envelope { from: NodeId(from), to: NodeId(1), term: Term(term), rpc });
        self.settle()
    }

    /// Receives a request, and returns its one answer.
    pub(super) fn ask(&mut self, from: u64, term: u64, rpc: Rpc) -> (u64, Rpc) {
        let mut sent = self.receive(from, term, rpc);
        assert_eq!(sent.len(), 1, "one answer: {sent:?}");
        let answer = sent.remove(0);
        assert_eq!(answer.to, NodeId(from), "to who asked");
        (answer.term.0, answer.rpc)
    }

    pub(super) fn tick(&mut self, ticks: u32) -> Vec<Envelope> {
        let mut sent = Vec::new();
        for _ in 0..ticks {
            self.pass(TICK);
            self.raft.tick();
            sent.extend(self.settle());
        }
        sent
    }

    /// Ticks until it starts an election, and returns the messages that it sends for that.
    pub(super) fn tick_until_campaign(&mut self) -> Vec<Envelope> {
        loop {
            let sent = self.tick(1);
            if !sent.is_empty() || self.raft.role() == Role::Leader {
                return sent;
            }
        }
    }

    /// Makes it a candidate, with the pre-votes of all.
    pub(super) fn campaign(&mut self) -> Vec<Envelope> {
        let mut requests = Vec::new();
        for request in self.tick_until_campaign() {
            requests.extend(self.receive(request.to.0, request.term.0, pre_voted(true)));
        }
        requests
    }

    /// Makes it the leader, with the votes of all.
    pub(super) fn win(&mut self) {
        for request in self.campaign() {
            self.receive(request.to.0, request.term.0, voted(true));
        }
        assert_eq!(self.raft.role(), Role::Leader);
    }

    pub(super) fn settle(&mut self) -> Vec<Envelope> {
        let mut sent = Vec::new();
        loop {
            let effects = self.raft.take_effects();
            if effects.is_empty() {
                return sent;
            }
            for effect in effects {
                match effect {
                    Effect::Send(envelope) => sent.push(envelope),
                    Effect::Append(Append { seq, hard_state, entries }) => {
                        self.disk.write(seq, hard_state, entries);
                        self.disk.sync_next();
                        self.raft.on_persisted(seq);
                    }
                    Effect::Apply { entries } => {
                        let last_applied = entries.last().expect("something to apply").index;
                        self.applied.extend(entries);
                        self.raft.on_applied(last_applied, 0);
                    }
                    Effect::ReadEntries(ReadEntries { from, to, .. }) => {
                        self.raft.on_entries_read(self.disk.log().page(from, to, u64::MAX >> 1));
                    }
                    Effect::ResetLog(ResetLog { base }) => {
                        self.disk.reset(base);
                        self.disk.sync_next();
                        self.raft.on_applied(base.index, 0);
                        self.effects.push(effect);
                    }
                    effect => self.effects.push(effect),
                }
            }
        }
    }
}

/// The position `index@term`.
pub(super) fn at(index: u64, term: u64) -> LogPosition {
    LogPosition { index: LogIndex(index), term: Term(term) }
}

pub(super) fn request_vote(last: LogPosition) -> Rpc {
    Rpc::RequestVote(RequestVote { last })
}

pub(super) fn voted(vote_granted: bool) -> Rpc {
    Rpc::RequestVoteResponse(RequestVoteResponse { vote_granted })
}

pub(super) fn pre_vote(last: LogPosition) -> Rpc {
    Rpc::PreVote(PreVote { last })
}

pub(super) fn pre_voted(vote_granted: bool) -> Rpc {
    Rpc::PreVoteResponse(PreVoteResponse { vote_granted })
}

/// AppendEntries with entries of these terms after `prev`.
pub(super) fn append(prev: LogPosition, terms: &[u64], leader_commit: u64) -> Rpc {
    let mut all = vec![0; prev.index.0 as usize];
    all.extend_from_slice(terms);
    Rpc::AppendEntries(AppendEntries {
        request_seq: 1,
        prev,
        leader_commit: LogIndex(leader_commit),
        read_seq: 0,
        entries: log_of(&all).split_off(prev.index.0 as usize),
    })
}

pub(super) fn appended(match_index: u64) -> Rpc {
    answered(AppendResult::Success { match_index: LogIndex(match_index) })
}

pub(super) fn conflict(conflict_index: u64, conflict_term: Option<u64>) -> Rpc {
    answered(AppendResult::Conflict {
        conflict_index: LogIndex(conflict_index),
        conflict_term: conflict_term.map(Term),
    })
}

fn answered(result: AppendResult) -> Rpc {
    Rpc::AppendEntriesResponse(AppendEntriesResponse {
        request_seq: 1,
        read_seq: 0,
        is_rejoining: false,
        result,
    })
}
