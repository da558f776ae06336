//! What a leader knows of one peer, and what it sends to it (§5.3).
//!
//! Pure like the core, but apart from it: each peer's replication is an actor of
//! its own. The core says what there is ([`Progress::replicate`]); the peer's
//! responses say what has arrived; [`Progress::take_actions`] says what to send.
//!
//! Within a term the leader's log only grows, so a `Progress` that was given the
//! log's terms at the start of the term knows every term in it: it needs nobody
//! to find where the logs part. But the log's beginning moves on: a peer that lacks
//! what was there is sent a snapshot (`transfer`).

use std::collections::VecDeque;

use super::effect::{ReadEntries, ReadSnapshot, Replicate};
use super::install::SnapshotInstall;
use super::rpc::{AppendEntries, AppendEntriesResponse, AppendResult, InstallSnapshot};
use super::status::SnapshotProgress;
use crate::types::{Entry, LogIndex, LogPosition, SnapshotId, Term, TermRuns};

/// How much may be under way to one peer.
#[derive(Clone, Copy, Debug)]
pub struct ProgressSettings {
    /// Entries in one AppendEntries.
    pub append_entries_max: usize,
    /// Bytes ([`Entry::weight_bytes`]) in one AppendEntries, unless its only entry
    /// is larger.
    pub append_bytes_max: u64,
    /// Entries sent and not acknowledged.
    pub inflight_entries_max: usize,
    /// Bytes sent and not acknowledged; also what is kept at hand for a peer that
    /// is behind: the rest is read from the log again.
    pub inflight_bytes_max: u64,
    /// Bytes in one piece of a snapshot: so few that a heartbeat hardly waits for it.
    pub snapshot_piece_bytes: u64,
    /// Bytes of a snapshot sent and not acknowledged, but for the last piece.
    pub snapshot_window_bytes: u64,
}

/// How sure the leader is of where the peer's log ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProgressState {
    /// It looks for the place where the logs part: one request at a time.
    Probe,
    /// The logs agree right before `next_index`: requests are pipelined.
    Replicate,
    /// It lacks what is no longer in the log, and is sent a snapshot (§7).
    Snapshot,
}

/// How a peer in [`ProgressState::Replicate`] is sent what there is (docs/adr/0014).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SendMode {
    /// At once, whatever is under way.
    #[default]
    Immediate,
    /// What has gathered, when the last request is answered and a pause is over: fewer
    /// requests, and larger ones, for a peer that no commit waits for.
    Batched,
}

/// What to do for the peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProgressAction {
    /// Send it this.
    Send(AppendEntries),
    /// Read these entries from the log, and pass them to [`Progress::on_entries_read`]
    /// with the ticket.
    ReadEntries(ReadEntries),
    /// Read a piece of a snapshot, and pass it to [`Progress::on_snapshot_read`] with
    /// the ticket, or call [`Progress::on_snapshot_gone`].
    ReadSnapshot(ReadSnapshot),
    /// Send it this piece of a snapshot.
    SendSnapshot(InstallSnapshot),
    /// Call [`Progress::on_pause_over`] after the pause between two requests to a peer
    /// that trails.
    Pause,
    /// Tell the core.
    Report(ReplicationReport),
}

/// What the core must know of a peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReplicationReport {
    /// Up to here the peer's log equals the leader's and is durable.
    pub match_index: LogIndex,
    /// The newest round of reads that it has confirmed.
    pub read_seq: u64,
    /// It must not be counted: see `HardState::is_rejoining`.
    pub is_rejoining: bool,
    /// It is being sent the snapshot that ends here, or has it and catches up from
    /// here: until it has, the log behind this index must stay, and so must the
    /// snapshot.
    pub keep_log_from: Option<LogIndex>,
    /// How far that snapshot is, when it is being sent.
    pub snapshot_progress: Option<SnapshotProgress>,
}

/// One peer's replication, in one term. Invariants: `match_index < next_index <=
/// last + 1`; `base < next_index`; `buffer` is contiguous and ends at the log's end, or is empty;
/// `inflight` rises, above `match_index`, and adds up to `inflight_bytes`.
pub struct Progress {
    pub(super) settings: ProgressSettings,
    term: Term,
    pub(super) runs: TermRuns,
    pub(super) state: ProgressState,
    is_connected: bool,
    next_index: LogIndex,
    pub(super) match_index: LogIndex,
    leader_commit: LogIndex,
    read_seq: u64,
    confirmed_read_seq: u64,
    /// The round that the last request asks to confirm.
    announced_read_seq: u64,
    send_mode: SendMode,
    /// A peer that trails was sent something a moment ago.
    is_paused: bool,
    /// The newest request that was answered.
    answered_seq: u64,
    /// The number of the last request.
    pub(super) request_seq: u64,
    /// The first request since the last look for the peer's place; a conflict
    /// that answers an earlier one says nothing new (bugs.md B30).
    pub(super) first_seq: u64,
    /// In `Probe`: that first request is under way.
    is_probing: bool,
    inflight: VecDeque<Inflight>,
    inflight_entries: usize,
    inflight_bytes: u64,
    buffer: VecDeque<Entry>,
    buffer_bytes: u64,
    /// Entries before those in `buffer`, read from the log.
    fetched: VecDeque<Entry>,
    pub(super) fetch_ticket: u64,
    is_fetching: bool,
    /// The log had nothing of what was asked for: it is asked again at a heartbeat.
    is_fetch_void: bool,
    /// The snapshot that the peer is being sent; a lost connection does not end that.
    pub(super) snapshot: Option<SnapshotId>,
    /// In `Snapshot`: how far that is.
    pub(super) install: SnapshotInstall,
    /// The peer was sent a snapshot, and has not come up to here since.
    pub(super) catch_up_to: Option<LogIndex>,
    heartbeat_is_due: bool,
    pub(super) actions: Vec<ProgressAction>,
}

struct Inflight {
    last_index: LogIndex,
    entries: usize,
    bytes: u64,
}

impl Inflight {
    fn first_index(&self) -> LogIndex {
        LogIndex(self.last_index.0 + 1 - self.entries as u64)
    }
}

impl Progress {
    /// The peer of a leader that has just been elected: "nextIndex, initialized to
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
            leader_commit: LogIndex(0),
            read_seq: 0,
            confirmed_read_seq: 0,
            announced_read_seq: 0,
            send_mode: SendMode::default(),
            is_paused: false,
            answered_seq: 0,
            request_seq: 0,
            first_seq: 1,
            is_probing: false,
            inflight: VecDeque::new(),
            inflight_entries: 0,
            inflight_bytes: 0,
            buffer: VecDeque::new(),
            buffer_bytes: 0,
            fetched: VecDeque::new(),
            fetch_ticket: 0,
            is_fetching: false,
            is_fetch_void: false,
            snapshot: None,
            install: SnapshotInstall::default(),
            catch_up_to: None,
            heartbeat_is_due: false,
            actions: Vec::new(),
        }
    }

    /// The leader has something to say: new entries, a heartbeat, or both; and its log
    /// begins behind `base` by now.
    pub fn replicate(&mut self, order: &Replicate) {
        let Replicate { base, entries, leader_commit, read_seq, heartbeat, .. } = order;
        for entry in entries.iter() {
            self.runs.push(entry.position());
            self.buffer_bytes += entry.weight_bytes();
            self.buffer.push_back(entry.clone());
        }
        self.leader_commit = *leader_commit;
        self.read_seq = *read_seq;
        self.heartbeat_is_due |= *heartbeat;
        if *heartbeat && std::mem::take(&mut self.is_fetch_void) {
            self.is_fetching = false;
        }
        self.trim_buffer();
        self.compact_to(*base);
    }

    /// The log begins behind `base`. If the peer needs what is gone, the next probe
    /// will tell; one that is being sent a snapshot is known to.
    fn compact_to(&mut self, base: LogPosition) {
        self.runs.compact_to(base);
        if self.next_index > base.index {
            return;
        }
        match self.state {
            ProgressState::Snapshot => self.next_index = base.index.next(),
            // The probe under way still counts: who lacks what it asks for lacks the base,
            // too. Else a log that is compacted faster than a peer answers would never let
            // it have a snapshot (bugs.md B26).
            ProgressState::Probe if self.is_probing && !mutant!(B26) => {
                self.next_index = base.index.next();
            }
            ProgressState::Probe | ProgressState::Replicate => self.probe_from(base.index.next()),
        }
    }

    /// The connection is up.
    pub fn on_connected(&mut self) {
        self.is_connected = true;
    }

    /// The connection is gone, and what was under way on it: find out anew what
    /// the peer has. Where the oldest request without an answer began, and not behind
    /// `match_index`: in a new term, or while the peer's disk is busy, that may be far
    /// back, and the probe would begin the log anew.
    pub fn on_disconnected(&mut self) {
        self.is_connected = false;
        let unanswered = self.inflight.front().map_or(self.next_index, Inflight::first_index);
        self.probe_from(unanswered.max(self.match_index.next()));
    }

    /// The peer's answer to one of this term's requests.
    pub fn on_response(&mut self, response: AppendEntriesResponse) {
        let AppendEntriesResponse { request_seq, read_seq, is_rejoining, result } = response;
        self.answered_seq = self.answered_seq.max(request_seq);
        if is_rejoining && let AppendResult::Conflict { conflict_index, .. } = result {
            // Its former life acknowledged more. It is as if it had no past; what
            // was counted stays counted: the core keeps its own account.
            self.match_index = self.match_index.min(conflict_index.prev());
        }
        match result {
            AppendResult::Success { match_index } => self.on_success(request_seq, match_index),
            AppendResult::Conflict { conflict_index, conflict_term } => {
                self.on_conflict(request_seq, conflict_index, conflict_term);
            }
        }
        // Even a conflict shows that the peer knows no higher term.
        self.confirmed_read_seq = self.confirmed_read_seq.max(read_seq);
        self.report(is_rejoining);
    }

    pub(super) fn report(&mut self, is_rejoining: bool) {
        self.actions.push(ProgressAction::Report(ReplicationReport {
            match_index: self.match_index,
            read_seq: self.confirmed_read_seq,
            is_rejoining,
            keep_log_from: self.keep_log_from(),
            snapshot_progress: self.snapshot_progress(),
        }));
    }

    /// The answer to a `ReadEntries`; empty when the log could not give them.
    pub fn on_entries_read(&mut self, ticket: u64, entries: Vec<Entry>) {
        if ticket != self.fetch_ticket {
            return; // asked for before the peer's place was found to be another
        }
        // To ask again at once would go on as fast as the log answers.
        self.is_fetch_void = entries.is_empty();
        self.is_fetching = self.is_fetch_void;
        let is_wanted = entries.first().is_some_and(|first| first.index == self.next_index)
            && entries.iter().all(|entry| self.runs.contains(entry.position()));
        if is_wanted {
            self.fetched = entries.into();
        }
    }

    /// What is to be done now.
    pub fn take_actions(&mut self) -> Vec<ProgressAction> {
        if self.is_connected {
            self.send_by_mode();
            if std::mem::take(&mut self.heartbeat_is_due) {
                self.send(Vec::new());
                self.ask_again();
            }
            self.send_pieces();
        }
        self.check_invariants();
        std::mem::take(&mut self.actions)
    }

    /// How to send from here on.
    pub fn set_send_mode(&mut self, send_mode: SendMode) {
        self.send_mode = send_mode;
    }

    /// What a [`ProgressAction::Pause`] asked for.
    pub fn on_pause_over(&mut self) {
        self.is_paused = false;
    }

    /// Entries, and the question for a round of reads. A heartbeat waits for no send_mode.
    fn send_by_mode(&mut self) {
        let trails = self.send_mode == SendMode::Batched && self.state == ProgressState::Replicate;
        if trails && (self.is_paused || self.answered_seq < self.request_seq) {
            return;
        }
        let sent_seq = self.request_seq;
        self.send_entries();
        if self.announced_read_seq < self.read_seq {
            self.send(Vec::new());
        }
        if trails && self.request_seq > sent_seq {
            self.is_paused = true;
            self.actions.push(ProgressAction::Pause);
        }
    }

    fn on_success(&mut self, request_seq: u64, match_index: LogIndex) {
        if match_index > self.match_index {
            assert!(
                match_index <= self.runs.last().index,
                "the peer acknowledges entry {match_index}, which the leader does not have"
            );
            self.match_index = match_index;
            let behind = if mutant!(B27) { self.next_index } else { match_index.next() };
            self.next_index = self.next_index.max(behind);
            self.catch_up_to = self.catch_up_to.filter(|end| *end > match_index);
            self.free_window();
            self.trim_buffer();
        }
        if request_seq >= self.first_seq {
            self.state = ProgressState::Replicate;
            self.snapshot = None;
        }
    }

    fn on_conflict(
        &mut self,
        request_seq: u64,
        conflict_index: LogIndex,
        conflict_term: Option<Term>,
    ) {
        // In `Replicate` too: the peer may have lost entries that it had not
        // acknowledged (they were not durable). One that lacks what it did
        // acknowledge, and is not rejoining, is broken: looking further is in vain, and
        // would go on as fast as it answers; the next heartbeat asks again.
        let has_room = self.next_index > self.match_index.next();
        let is_old = request_seq < self.first_seq;
        if is_old || !has_room || self.state == ProgressState::Snapshot {
            return;
        }
        if self.next_index.prev() == self.runs.base().index {
            self.begin_install();
        } else {
            let next = self.place_before_conflict(conflict_index, conflict_term);
            self.regress_next_index(next);
        }
    }

    /// Where the logs may agree, by the hint (§5.3): right behind the last entry of
    /// ours that is of the conflicting term, else at the first of the peer's.
    fn place_before_conflict(&self, conflict_index: LogIndex, term: Option<Term>) -> LogIndex {
        let Some(term) = term else { return conflict_index };
        let last = self.runs.last_index_up_to_term(term).min(self.next_index.prev().prev());
        if self.runs.term_at(last) == Some(term) {
            last.next()
        } else {
            last.next().min(conflict_index)
        }
    }

    fn regress_next_index(&mut self, next: LogIndex) {
        // Never back over what is acknowledged, never past what is there, and at
        // least one step: the probe goes on (bugs.md B27).
        let behind_match = self.match_index.next();
        let step = next.min(self.next_index.prev()).max(behind_match);
        self.probe_from(if mutant!(B31) { self.next_index } else { step });
    }

    /// Before the log's beginning there is nothing to compare: a peer that does not
    /// have even that is found out there.
    pub(super) fn probe_from(&mut self, next: LogIndex) {
        self.state = ProgressState::Probe;
        self.next_index = next.max(self.runs.base().index.next());
        self.first_seq = self.request_seq + 1;
        self.is_probing = false;
        self.inflight.clear();
        if !mutant!(B29a) {
            self.inflight_entries = 0;
            self.inflight_bytes = 0;
        }
        self.fetched.clear();
        self.fetch_ticket += 1;
        self.is_fetching = false;
        self.is_fetch_void = false;
        self.install = SnapshotInstall::default();
    }

    fn send_entries(&mut self) {
        match self.state {
            // An empty probe when the entries are not at hand: reading them would be
            // for nothing if the logs part earlier.
            ProgressState::Probe => {
                if !self.is_probing {
                    self.is_probing = true;
                    let entries = self.next_batch();
                    self.heartbeat_is_due = false;
                    self.send(entries);
                }
            }
            ProgressState::Replicate => {
                while self.has_window() {
                    let entries = self.next_batch();
                    if entries.is_empty() {
                        self.maybe_fetch();
                        return;
                    }
                    self.heartbeat_is_due = false;
                    self.note_inflight(&entries);
                    let last = entries[entries.len() - 1].index;
                    self.send(entries);
                    self.next_index = last.next();
                }
            }
            ProgressState::Snapshot => {}
        }
    }

    fn has_window(&self) -> bool {
        self.inflight_entries < self.settings.inflight_entries_max
            && self.inflight_bytes < self.settings.inflight_bytes_max
    }

    fn note_inflight(&mut self, entries: &[Entry]) {
        let bytes = entries.iter().map(Entry::weight_bytes).sum();
        self.inflight_entries += entries.len();
        self.inflight_bytes += bytes;
        let last_index = entries[entries.len() - 1].index;
        self.inflight.push_back(Inflight { last_index, entries: entries.len(), bytes });
    }

    fn free_window(&mut self) {
        while let Some(first) = self.inflight.front()
            && first.last_index <= self.match_index
        {
            self.inflight_entries -= first.entries;
            self.inflight_bytes -= first.bytes;
            self.inflight.pop_front();
        }
    }

    /// The entries from `next_index` on that are at hand, as many as fit into one
    /// request.
    fn next_batch(&mut self) -> Vec<Entry> {
        while self.fetched.front().is_some_and(|entry| entry.index < self.next_index) {
            self.fetched.pop_front();
        }
        let is_next =
            |entry: Option<&Entry>| entry.is_some_and(|entry| entry.index <= self.next_index);
        let source = if is_next(self.fetched.front()) {
            &self.fetched
        } else if is_next(self.buffer.front()) {
            &self.buffer
        } else {
            return Vec::new();
        };
        let skip = source.front().map_or(0, |first| (self.next_index.0 - first.index.0) as usize);
        let mut bytes = 0;
        source
            .iter()
            .skip(skip)
            .take(self.settings.append_entries_max)
            .take_while(|entry| {
                let is_first = bytes == 0;
                bytes += entry.weight_bytes();
                is_first || bytes <= self.settings.append_bytes_max
            })
            .cloned()
            .collect()
    }

    fn maybe_fetch(&mut self) {
        let at_hand = self.buffer.front().map_or(self.runs.last().index.next(), |e| e.index);
        if self.is_fetching || self.next_index >= at_hand {
            return;
        }
        self.is_fetching = true;
        self.fetch_ticket += 1;
        self.actions.push(ProgressAction::ReadEntries(ReadEntries {
            ticket: self.fetch_ticket,
            from: self.next_index,
            to: at_hand.prev(),
            bytes_max: self.settings.inflight_bytes_max,
        }));
    }

    /// Keeps the newest entries at hand: what the peer lacks, within the bound.
    pub(super) fn trim_buffer(&mut self) {
        while let Some(first) = self.buffer.front()
            && (first.index <= self.match_index
                || self.buffer_bytes > self.settings.inflight_bytes_max)
        {
            self.buffer_bytes -= first.weight_bytes();
            self.buffer.pop_front();
        }
    }

    fn send(&mut self, entries: Vec<Entry>) {
        self.request_seq += 1;
        self.announced_read_seq = self.read_seq;
        let index = self.next_index.prev();
        let term = self
            .runs
            .term_at(index)
            .expect("next_index lies within the log or right behind it, whose terms are all known");
        self.actions.push(ProgressAction::Send(AppendEntries {
            request_seq: self.request_seq,
            prev: LogPosition { term, index },
            leader_commit: self.leader_commit,
            read_seq: self.read_seq,
            entries,
        }));
    }

    fn check_invariants(&self) {
        assert!(self.match_index < self.next_index, "match_index < next_index");
        assert!(self.next_index <= self.runs.last().index.next(), "next_index <= last + 1");
        assert!(self.next_index > self.runs.base().index, "base < next_index");
        debug_assert_eq!(
            (self.inflight_entries, self.inflight_bytes),
            self.inflight
                .iter()
                .fold((0, 0), |(entries, bytes), f| (entries + f.entries, bytes + f.bytes)),
            "the window's counters are the sum of what is in it (bugs.md B29)"
        );
    }

    /// The term of this leadership.
    pub fn term(&self) -> Term {
        self.term
    }

    /// How sure the leader is.
    pub fn state(&self) -> ProgressState {
        self.state
    }

    /// The end of the leader's log, as far as it was told: no peer can have more.
    pub fn last_index(&self) -> LogIndex {
        self.runs.last().index
    }

    /// The next entry to send.
    pub fn next_index(&self) -> LogIndex {
        self.next_index
    }

    /// The newest entry acknowledged.
    pub fn match_index(&self) -> LogIndex {
        self.match_index
    }

    /// Entries sent and not acknowledged.
    pub fn inflight_entries(&self) -> usize {
        self.inflight_entries
    }
}
