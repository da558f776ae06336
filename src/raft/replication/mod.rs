//! One peer's replication: the leader's knowledge of the peer, and the requests to it
//! (§5.3).
//!
//! It is pure like the core, but apart from it: each peer's replication is an actor of its
//! own. The core says what is new ([`Progress::replicate`]); the peer's responses say what
//! has arrived; [`Progress::take_actions`] says what to do.
//!
//! Within a term the leader's log only grows, so a `Progress` that was given the log's
//! terms at the start of the term knows every term in it, and finds the place where the
//! logs part without asking the core. But the log's beginning moves on: a peer that lacks
//! entries from before it is sent a snapshot.
//!
//! | file | part |
//! |---|---|
//! | `probe` | the search for the place where the logs part, the numbers of requests |
//! | `pipeline` | the window of requests that are sent and not acknowledged |
//! | `source` | the entries at hand, and reads from the log for the others |
//! | `install` | a snapshot on its way to the peer |
//! | `backoff` | the pause after a snapshot that could not be sent |
//! | `memory` | the proof that the peer has lost what it acknowledged |
//! | `pacing` | sending at once or in batches |
//! | `announcements` | commit index, round of reads and heartbeat for the next request |
//! | `action` | the things to do |
//! | `settings` | the bounds |

pub(super) mod action;
mod announcements;
mod backoff;
mod install;
pub(super) mod memory;
pub(super) mod pacing;
mod pipeline;
pub(super) mod probe;
pub(super) mod settings;
mod source;

use bytes::Bytes;

use super::effect::Replicate;
use super::peer_fault::PeerFault;
use super::rpc::{AppendEntries, AppendEntriesResponse, AppendResult, InstallSnapshotResponse};
use crate::types::{Entry, LogIndex, LogPosition, SnapshotId, Term, TermRuns};
use action::{ProgressAction, ReplicationReport};
use announcements::Announcements;
use install::{Outcome, SnapshotInstall};
use memory::{PeerLoss, PeerMemory};
use pacing::{Pacing, SendMode};
use pipeline::Pipeline;
use probe::{ProgressState, Requests, place_before_conflict};
use settings::ProgressSettings;
use source::EntrySource;

/// One peer's replication, in one term of its leader.
pub struct Progress {
    settings: ProgressSettings,
    term: Term,
    /// The terms of the leader's log.
    runs: TermRuns,
    state: ProgressState,
    is_connected: bool,
    /// The next entry to send. Invariant: `base < next_index <= last + 1`.
    next_index: LogIndex,
    /// The newest entry that the peer has acknowledged. Invariant: below `next_index`.
    match_index: LogIndex,
    requests: Requests,
    memory: PeerMemory,
    announcements: Announcements,
    pipeline: Pipeline,
    source: EntrySource,
    pacing: Pacing,
    install: SnapshotInstall,
    actions: Vec<ProgressAction>,
}

impl Progress {
    /// The replication to a peer of a leader that has just been elected: "nextIndex, initialized to
    /// leader last log index + 1; matchIndex, initialized to 0" (Figure 2). `runs`
    /// are the terms of the leader's log before its first entry.
    pub fn new(settings: ProgressSettings, term: Term, runs: TermRuns, is_connected: bool) -> Self {
        Progress {
            settings,
            term,
            state: ProgressState::Probe,
            is_connected,
            next_index: runs.last().index.next(),
            runs,
            match_index: LogIndex(0),
            requests: Requests::new(),
            memory: PeerMemory::default(),
            announcements: Announcements::default(),
            pipeline: Pipeline::default(),
            source: EntrySource::default(),
            pacing: Pacing::default(),
            install: SnapshotInstall::default(),
            actions: Vec::new(),
        }
    }

    /// Takes news from the leader: entries, a heartbeat, a round of reads, or a log that
    /// begins later than before.
    ///
    /// # Panics
    /// When the entries do not follow the last one.
    pub fn replicate(&mut self, order: &Replicate) {
        for entry in order.entries.iter() {
            self.runs.push(entry.position());
            self.source.push(entry.clone());
        }
        self.announcements.update(order.leader_commit, order.read_seq, order.heartbeat);
        if order.heartbeat {
            self.source.on_heartbeat();
            self.memory.on_heartbeat();
            if self.install.on_heartbeat() && self.state == ProgressState::Snapshot {
                self.send_snapshot();
            }
        }
        self.trim_source();
        self.compact_to(order.base);
    }

    /// The peer's clients wait for what is committed: the peer is told at once.
    pub fn tell_commit(&mut self, leader_commit: LogIndex) {
        self.announcements.tell_commit(leader_commit);
    }

    /// The log begins after `base`. The next probe shows whether the peer needs an entry
    /// before that; a peer that is being sent a snapshot does.
    fn compact_to(&mut self, base: LogPosition) {
        self.runs.compact_to(base);
        if self.next_index > base.index {
            return;
        }
        match self.state {
            ProgressState::Snapshot => self.next_index = base.index.next(),
            // The probe under way still counts: a peer that lacks the entry before it lacks
            // the base, too. Otherwise a log that is compacted faster than a peer answers
            // would never let it have a snapshot (docs/bugs.md B26).
            ProgressState::Probe if self.requests.is_probing() => {
                self.next_index = base.index.next();
            }
            ProgressState::Probe | ProgressState::Replicate => self.probe_from(base.index.next()),
        }
    }

    /// The connection is up.
    pub fn on_connected(&mut self) {
        self.is_connected = true;
    }

    /// The connection and the requests on it are lost: the end of the peer's log is looked
    /// for again. The search begins where the oldest unanswered request began, and not at
    /// `match_index`. In a new term, or while the peer's disk is busy, `match_index` may be
    /// far back, and the probe would send the log again from there.
    pub fn on_disconnected(&mut self) {
        self.is_connected = false;
        let unanswered = self.pipeline.first_index().unwrap_or(self.next_index);
        self.probe_from(unanswered.max(self.match_index.next()));
    }

    /// The peer's answer to one of this term's requests.
    ///
    /// # Errors
    /// When no sound peer answers so: the answer has changed nothing.
    pub fn on_response(&mut self, response: AppendEntriesResponse) -> Result<(), PeerFault> {
        self.check_response(&response)?;
        let AppendEntriesResponse { request_seq, read_seq, is_rejoining, result } = response;
        self.requests.on_answer(request_seq);
        let mut loss = None;
        if let AppendResult::Conflict { conflict_index, conflict_term } = result {
            if is_rejoining {
                // The peer has lost entries that it acknowledged before it was rejoining:
                // replicate them again. The core's own count is not lowered (docs/adr/0018).
                self.match_index = self.match_index.min(conflict_index.prev());
                self.memory.on_match(self.match_index, &self.runs);
            } else if self.requests.is_current(request_seq) {
                loss = self.memory.loss_in(conflict_index, conflict_term);
            }
        }
        let is_success = matches!(result, AppendResult::Success { .. });
        if is_rejoining || is_success && self.requests.is_current(request_seq) {
            self.memory.on_sound_answer();
        }
        match result {
            AppendResult::Success { match_index } => self.on_success(request_seq, match_index),
            AppendResult::Conflict { conflict_index, conflict_term } => {
                self.on_conflict(request_seq, conflict_index, conflict_term);
            }
        }
        if !is_rejoining && loss.is_none() {
            // Even a conflict shows that the peer knows no higher term.
            self.announcements.on_confirmed(read_seq);
        }
        self.report(is_rejoining, loss);
        Ok(())
    }

    /// Holds each number in an answer against what the peer was sent.
    fn check_response(&self, response: &AppendEntriesResponse) -> Result<(), PeerFault> {
        let AppendEntriesResponse { request_seq, read_seq, result, .. } = *response;
        self.check_request(request_seq)?;
        let sent = self.announcements.announced_read_seq();
        if read_seq > sent {
            return Err(PeerFault::Round { confirmed: read_seq, sent });
        }
        let (last, term) = (self.runs.last().index, self.term);
        match result {
            AppendResult::Success { match_index } if match_index > last => {
                Err(PeerFault::Match { match_index, last })
            }
            // A request asks about a place in the leader's log, and a conflict is there or
            // before it.
            AppendResult::Conflict { conflict_index, .. }
                if conflict_index == LogIndex(0) || conflict_index > last =>
            {
                Err(PeerFault::ConflictIndex { conflict_index, last })
            }
            AppendResult::Conflict { conflict_term: Some(conflict_term), .. }
                if conflict_term >= term =>
            {
                Err(PeerFault::ConflictTerm { conflict_term, term })
            }
            _ => Ok(()),
        }
    }

    fn check_request(&self, answered: u64) -> Result<(), PeerFault> {
        let sent = self.requests.sent_seq();
        if answered > sent {
            return Err(PeerFault::Request { answered, sent });
        }
        Ok(())
    }

    fn report(&mut self, is_rejoining: bool, loss: Option<PeerLoss>) {
        let is_sending = self.state == ProgressState::Snapshot;
        let is_rejoining = is_rejoining || loss.is_some();
        if let Some(loss) = loss {
            self.actions.extend(self.memory.word(loss).map(ProgressAction::SendForgotten));
        }
        self.actions.push(ProgressAction::Report(ReplicationReport {
            match_index: self.match_index,
            read_seq: self.announcements.confirmed_read_seq(),
            is_rejoining,
            loss: loss.filter(|_| self.memory.is_news()),
            keep_log_from: self.install.keep_log_from(self.match_index),
            snapshot_progress: self.install.progress().filter(|_| is_sending),
            snapshot_refusal: self.install.refusal(),
        }));
    }

    fn on_success(&mut self, request_seq: u64, match_index: LogIndex) {
        if match_index > self.match_index {
            self.match_index = match_index;
            self.memory.on_match(match_index, &self.runs);
            self.next_index = self.next_index.max(match_index.next());
            self.install.on_match(match_index);
            self.pipeline.acknowledge(match_index);
            self.trim_source();
        }
        if self.requests.is_current(request_seq) {
            self.state = ProgressState::Replicate;
            self.install.end();
        }
    }

    fn on_conflict(
        &mut self,
        request_seq: u64,
        conflict_index: LogIndex,
        conflict_term: Option<Term>,
    ) {
        // A conflict counts in `Replicate`, too: the peer may have lost entries that it had
        // not acknowledged, because they were not durable.
        let has_room = self.next_index > self.match_index.next();
        let is_old = !self.requests.is_current(request_seq);
        if is_old || self.state == ProgressState::Snapshot {
            return;
        }
        if !has_room {
            // The peer lacks an entry that it has acknowledged, or its answer was overtaken by
            // the acknowledgement. Another probe might be answered in the same way, so the
            // next heartbeat asks again. An answer to that is a proof.
            if !self.memory.knows_all() {
                self.begin_search();
            }
        } else if self.next_index.prev() == self.runs.base().index {
            self.begin_install();
        } else {
            let next =
                place_before_conflict(&self.runs, self.next_index, conflict_index, conflict_term);
            self.regress_next_index(next);
        }
    }

    fn regress_next_index(&mut self, next: LogIndex) {
        // The probe never goes back over acknowledged entries, and it always goes back by at
        // least one entry, so that it ends (docs/bugs.md B27).
        let least = self.match_index.next();
        let step = next.min(self.next_index.prev()).max(least);
        self.probe_from(step);
    }

    /// Looks for the end of the peer's log from `next` on, or from the entry after the base
    /// if that is later: a conflict there shows that the peer lacks the base.
    fn probe_from(&mut self, next: LogIndex) {
        self.state = ProgressState::Probe;
        self.next_index = next.max(self.runs.base().index.next());
        self.begin_search();
        self.requests.set_probing(false);
        self.pipeline.clear();
        self.source.forget_read();
        self.install.pause();
    }

    /// Answers to earlier requests no longer say where the logs part.
    fn begin_search(&mut self) {
        self.requests.begin_anew();
        self.memory.begin_search();
    }

    /// The answer to a `ReadEntries`; empty when the log could not give the entries.
    pub fn on_entries_read(&mut self, ticket: u64, entries: Vec<Entry>) {
        self.source.on_read(ticket, entries, self.next_index, &self.runs);
    }

    /// The peer lacks entries that are no longer in the log.
    fn begin_install(&mut self) {
        self.state = ProgressState::Snapshot;
        self.begin_search();
        self.source.forget_read();
        self.send_snapshot();
    }

    /// Sends the snapshot from what the peer has of it, unless the pause after a failure
    /// lasts.
    fn send_snapshot(&mut self) {
        let read = self.install.begin();
        self.actions.extend(read.map(ProgressAction::ReadSnapshot));
    }

    /// The answer to a `ReadSnapshot`.
    pub fn on_snapshot_read(
        &mut self,
        ticket: u64,
        snapshot: SnapshotId,
        offset: u64,
        bytes: Bytes,
    ) {
        let outcome = self.install.on_read(ticket, snapshot, offset, bytes);
        self.on_outcome(outcome);
    }

    /// The other answer to a `ReadSnapshot`: the snapshot no longer exists. The end
    /// of the peer's log is looked for again, and the peer is sent the newest snapshot.
    pub fn on_snapshot_gone(&mut self, ticket: u64) {
        let outcome = self.install.on_gone(ticket);
        self.on_outcome(outcome);
    }

    /// The peer's answer to one of this term's pieces. An answer to an earlier install
    /// is ignored.
    ///
    /// # Errors
    /// When no sound peer answers so: the answer has changed nothing.
    pub fn on_snapshot_response(
        &mut self,
        response: InstallSnapshotResponse,
    ) -> Result<(), PeerFault> {
        self.check_request(response.request_seq)?;
        let (snapshot, last) = (response.last, self.runs.last().index);
        if snapshot.index > last {
            return Err(PeerFault::Snapshot { snapshot, last });
        }
        let is_current = self.requests.is_current(response.request_seq);
        if is_current {
            self.install.check_received(&response)?;
        }
        if self.state == ProgressState::Snapshot && is_current {
            let outcome = self.install.on_response(&response);
            self.on_outcome(outcome);
        }
        self.report(response.is_rejoining, None);
        Ok(())
    }

    fn on_outcome(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::GoesOn => {}
            Outcome::Ask => {
                let question = self.install.question(&mut self.requests);
                self.actions.extend(question.map(ProgressAction::SendSnapshot));
            }
            Outcome::Failed => self.send_snapshot(),
            Outcome::GivenUp => {
                self.install.forget_snapshot();
                self.probe_from(self.match_index.next());
            }
            Outcome::Installed(last_index) => {
                self.match_index = self.match_index.max(last_index);
                self.memory.on_match(self.match_index, &self.runs);
                self.install.on_installed(self.runs.last().index);
                self.trim_source();
                self.probe_from(self.match_index.next());
            }
        }
    }

    /// Returns the things to do now.
    ///
    /// # Panics
    /// When an invariant of the indexes or of the window does not hold.
    pub fn take_actions(&mut self) -> Vec<ProgressAction> {
        if self.is_connected {
            self.send_by_mode();
            if self.announcements.take_heartbeat() {
                self.send(Vec::new());
                let is_sending = self.state == ProgressState::Snapshot;
                let question = self.install.question_at_heartbeat(is_sending, &mut self.requests);
                self.actions.extend(question.map(ProgressAction::SendSnapshot));
            }
            if self.announcements.take_due_commit() {
                self.send(Vec::new());
            }
            self.send_pieces();
        }
        self.check_invariants();
        std::mem::take(&mut self.actions)
    }

    /// Changes how the peer is sent entries from here on.
    pub fn set_send_mode(&mut self, mode: SendMode) {
        self.pacing.set_mode(mode);
    }

    /// The pause that a [`ProgressAction::Pause`] asked for is over.
    pub fn on_pause_over(&mut self) {
        self.pacing.end_pause();
    }

    /// Sends entries, and the question for a round of reads, which a request with entries asks as
    /// well. A heartbeat is sent in every mode at once.
    fn send_by_mode(&mut self) {
        let is_replicating = self.state == ProgressState::Replicate;
        let batches_entries = is_replicating && self.pacing.batches_entries();
        let batches_rounds = is_replicating && self.pacing.batches_rounds();
        let must_wait = self.pacing.is_paused() || self.requests.is_unanswered();
        let sent_seq = self.requests.sent_seq();
        if !(batches_entries && must_wait) {
            self.send_entries();
        }
        if self.announcements.has_new_round() && !(batches_rounds && must_wait) {
            self.send(Vec::new());
        }
        let has_sent = self.requests.sent_seq() > sent_seq;
        if batches_rounds && has_sent && !self.pacing.is_paused() {
            self.pacing.begin_pause();
            self.actions.push(ProgressAction::Pause);
        }
    }

    fn send_entries(&mut self) {
        match self.state {
            // A probe is empty when the entries are not at hand: reading them would be
            // wasted if the logs part earlier.
            ProgressState::Probe => {
                if !self.requests.is_probing() {
                    self.requests.set_probing(true);
                    let entries = self.source.batch(self.next_index, &self.settings);
                    self.announcements.take_heartbeat();
                    self.send(entries);
                }
            }
            ProgressState::Replicate => {
                while self.pipeline.has_room(&self.settings) {
                    let entries = self.source.batch(self.next_index, &self.settings);
                    let Some(last) = entries.last().map(|entry| entry.index) else {
                        self.read_entries();
                        return;
                    };
                    self.announcements.take_heartbeat();
                    self.pipeline.push(&entries);
                    self.send(entries);
                    self.next_index = last.next();
                }
            }
            ProgressState::Snapshot => {}
        }
    }

    fn read_entries(&mut self) {
        let bytes_max = self.settings.inflight_bytes_max;
        let last = self.runs.last().index;
        let read = self.source.begin_read(self.next_index, last, bytes_max);
        self.actions.extend(read.map(ProgressAction::ReadEntries));
    }

    /// Sends the piece at hand if the window has room, and reads one piece ahead.
    fn send_pieces(&mut self) {
        if self.state == ProgressState::Snapshot {
            let piece = self.install.next_piece(&self.settings, &mut self.requests);
            self.actions.extend(piece.map(ProgressAction::SendSnapshot));
            let read = self.install.next_read(&self.settings);
            self.actions.extend(read.map(ProgressAction::ReadSnapshot));
        }
    }

    fn trim_source(&mut self) {
        self.source.trim(self.match_index, self.settings.inflight_bytes_max);
    }

    fn send(&mut self, entries: Vec<Entry>) {
        let request_seq = self.requests.next();
        let (leader_commit, read_seq) = self.announcements.announce();
        let index = self.next_index.prev();
        let term = self
            .runs
            .term_at(index)
            .expect("next_index is within the log or one past it, whose terms are all known");
        let prev = LogPosition { term, index };
        let request = AppendEntries { request_seq, prev, leader_commit, read_seq, entries };
        self.actions.push(ProgressAction::Send(request));
    }

    fn check_invariants(&self) {
        assert!(self.match_index < self.next_index, "match_index < next_index");
        assert!(self.next_index <= self.runs.last().index.next(), "next_index <= last + 1");
        assert!(self.next_index > self.runs.base().index, "base < next_index");
        self.pipeline.check_invariants();
    }

    /// The term of this leadership.
    pub fn term(&self) -> Term {
        self.term
    }

    /// The leader's knowledge of where the peer's log ends.
    pub fn state(&self) -> ProgressState {
        self.state
    }

    /// The end of the leader's log, as far as this `Progress` knows it: no peer can have
    /// more.
    pub fn last_index(&self) -> LogIndex {
        self.runs.last().index
    }

    /// The next entry to send.
    pub fn next_index(&self) -> LogIndex {
        self.next_index
    }

    /// The newest entry that the peer has acknowledged.
    pub fn match_index(&self) -> LogIndex {
        self.match_index
    }

    /// Entries sent and not acknowledged.
    pub fn inflight_entries(&self) -> usize {
        self.pipeline.entries()
    }
}
