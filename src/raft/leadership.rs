//! The volatile state of a leader (Figure 2): its peers, its reads and its heartbeats. The
//! next indexes and the windows are in each peer's `Progress`.

use std::collections::{BTreeMap, BTreeSet};

use super::asking::Asking;
use super::catch_up::CatchUp;
use super::event::HoldEnd;
use super::handover::Handovers;
use super::leaving::Leavers;
use super::log_hold::LogHold;
use super::log_pace::LogPace;
use super::peer_questions::PeerQuestions;
use super::quorum::Quorum;
use super::read_index::ReadIndex;
use super::replication::action::ReplicationReport;
use super::replication::pacing::SendMode;
use super::rpc::SnapshotRefusal;
use super::status::SnapshotProgress;
use super::store_clock::StoreClock;
use crate::types::{LogIndex, LogPosition, Membership, NodeId, Term};

/// The state that a leader keeps in its term.
pub(super) struct Leadership {
    term: Term,
    peers: BTreeMap<NodeId, PeerState>,
    heartbeat_elapsed_ticks: u32,
    is_heartbeat_due: bool,
    /// The position before the log's first entry, as the peers' `Progress` know it.
    announced_base: LogPosition,
    pub(super) reads: ReadIndex,
    /// The questions of peers, and the commands that they have forwarded.
    pub(super) questions: PeerQuestions,
    /// The store's time in this term.
    pub(super) store_clock: StoreClock,
    /// True when this leader has written the first membership of the log: the cluster is new,
    /// and nobody can want to go back to an older program (docs/adr/0023).
    pub(super) has_founded: bool,
    /// The transfers of this leadership.
    pub(super) handovers: Handovers,
    /// The end of the log at times of this term.
    pub(super) pace: LogPace,
    /// The peers that were removed, and have yet to hear of it.
    pub(super) leavers: Leavers,
    /// The peers whose replication begins with the next orders.
    starting: BTreeSet<NodeId>,
    pub(super) changing: Changing,
}

/// The account that a leader keeps of the changes of the members.
#[derive(Default)]
pub(super) struct Changing {
    /// The rounds of the learner that the change under way waits for.
    pub(super) catch_up: Option<CatchUp>,
    /// The number of the change under way, and the ticks for which this leader has known it.
    pub(super) age: Option<(LogIndex, u32)>,
    /// Ticks until an address may be written on the word of a member again.
    pub(super) address_wait_ticks: u32,
    /// Heartbeats since this leader has known that it is no voter any more.
    pub(super) departure_heartbeats: u32,
}

impl Changing {
    /// Advances time by one tick, while the change `number` is under way.
    pub(super) fn tick(&mut self, number: Option<LogIndex>) {
        self.address_wait_ticks = self.address_wait_ticks.saturating_sub(1);
        if let Some(catch_up) = &mut self.catch_up {
            catch_up.tick();
        }
        self.age = number.map(|number| match self.age {
            Some((same, ticks)) if same == number => (number, ticks.saturating_add(1)),
            _ => (number, 0),
        });
    }
}

/// The facts about one peer.
#[derive(Clone, Copy, Default)]
struct PeerState {
    /// The newest entry that it holds durably. It falls only when the peer has lost it.
    match_index: LogIndex,
    /// The newest entry that it holds durably by its last report, counted or not.
    held_index: LogIndex,
    /// The newest round of reads that it confirmed. Never falls.
    read_seq: u64,
    /// True when it voted for this leader.
    is_elector: bool,
    /// True when it must not be counted, by its last report.
    is_rejoining: bool,
    /// True when it has reported in this term.
    has_reported: bool,
    /// Ticks since its last report that counts.
    silent_ticks: u32,
    /// Ticks since its last report of any kind.
    unheard_ticks: u32,
    /// The part of the log that must stay because the peer is being sent a snapshot, or
    /// catches up after one.
    hold: LogHold,
    /// The progress of that snapshot, by its last answer.
    snapshot_progress: Option<SnapshotProgress>,
    /// The reason why it refused the last snapshot.
    snapshot_refusal: Option<SnapshotRefusal>,
    send_mode: SendMode,
    /// The newest entry that its clients wait for, until it is told that it is committed; 0 for
    /// none.
    awaited_index: LogIndex,
    /// The times at which it asked for its clients.
    asking: Asking,
}

/// The news in a peer's report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ReportNews {
    /// True when the peer holds more entries than before.
    pub(super) has_more: bool,
    /// True when the peer has confirmed a later round than before.
    pub(super) has_confirmed: bool,
}

impl Leadership {
    /// The leader of `term`, whose first entry is `first_index`, elected by `electors`.
    pub(super) fn new(
        term: Term,
        first_index: LogIndex,
        base: LogPosition,
        peers: &[NodeId],
        electors: &BTreeSet<NodeId>,
        store_clock: StoreClock,
    ) -> Leadership {
        let state = |peer| PeerState { is_elector: electors.contains(peer), ..Default::default() };
        Leadership {
            term,
            peers: peers.iter().map(|peer| (*peer, state(peer))).collect(),
            heartbeat_elapsed_ticks: 0,
            is_heartbeat_due: true,
            announced_base: base,
            reads: ReadIndex::new(first_index),
            questions: PeerQuestions::default(),
            store_clock,
            has_founded: false,
            handovers: Handovers::default(),
            pace: LogPace::default(),
            leavers: Leavers::default(),
            starting: BTreeSet::new(),
            changing: Changing::default(),
        }
    }

    pub(super) fn term(&self) -> Term {
        self.term
    }

    // Members.

    /// The membership of the entry `index` is in force from now on. Returns true when a peer was
    /// removed by it.
    pub(super) fn follow(&mut self, id: NodeId, index: LogIndex, membership: &Membership) -> bool {
        for member in membership.ids().into_iter().filter(|member| *member != id) {
            self.peers.entry(member).or_default();
        }
        let gone: Vec<NodeId> =
            self.peers.keys().filter(|peer| !membership.is_member(**peer)).copied().collect();
        for peer in &gone {
            let match_index = self.peers.remove(peer).map_or(LogIndex(0), |p| p.match_index);
            self.leavers.add(*peer, index, match_index);
        }
        !gone.is_empty()
    }

    /// The replication to a peer is to begin with the next orders, if it is one of this leader's.
    pub(super) fn start_peer(&mut self, peer: NodeId) {
        if let Some(state) = self.peers.get_mut(&peer) {
            state.send_mode = SendMode::default();
            self.starting.insert(peer);
        } else if self.leavers.contains(peer) {
            self.starting.insert(peer);
        }
    }

    /// The peers whose replication begins now.
    pub(super) fn take_starting(&mut self) -> BTreeSet<NodeId> {
        std::mem::take(&mut self.starting)
    }

    /// True of a peer that is known to be there, and is counted: it has reported in this term and
    /// within `ticks`.
    pub(super) fn is_here(&self, id: NodeId, ticks: u32) -> bool {
        let peer = self.peers.get(&id);
        peer.is_some_and(|p| p.has_reported && !p.is_rejoining && p.silent_ticks <= ticks)
    }

    /// Ticks since the last report of the peer, of any kind; `None` when it has not reported in
    /// this term.
    pub(super) fn unheard_ticks(&self, id: NodeId) -> Option<u32> {
        self.peers.get(&id).filter(|peer| peer.has_reported).map(|peer| peer.unheard_ticks)
    }

    /// The newest entry that the peer holds, as far as it is counted.
    pub(super) fn match_index(&self, id: NodeId) -> LogIndex {
        self.peers.get(&id).map_or(LogIndex(0), |peer| peer.match_index)
    }

    /// The newest entry that the peer holds, counted or not.
    pub(super) fn held_index(&self, id: NodeId) -> LogIndex {
        self.peers.get(&id).map_or(LogIndex(0), |peer| peer.held_index)
    }

    /// The progress of the snapshot that the peer is being sent.
    pub(super) fn snapshot_progress_of(&self, id: NodeId) -> Option<SnapshotProgress> {
        self.peers.get(&id)?.snapshot_progress
    }

    // Time.

    /// Advances time by one tick. Returns the ticks since the last heartbeat.
    pub(super) fn tick(&mut self) -> u32 {
        for peer in self.peers.values_mut() {
            peer.silent_ticks = peer.silent_ticks.saturating_add(1);
            peer.unheard_ticks = peer.unheard_ticks.saturating_add(1);
            peer.asking.tick();
        }
        self.heartbeat_elapsed_ticks += 1;
        self.heartbeat_elapsed_ticks
    }

    /// Advances the time of the holds by one tick. Returns the peers for which the log is
    /// no longer kept from now on, each with the reason. A peer that was silent for more than
    /// `ticks_max` is not among them: the log is kept again as soon as it reports.
    pub(super) fn tick_holds(
        &mut self,
        ticks_max: u32,
        ticks_per_second: u32,
        is_log_too_large: impl Fn(LogIndex) -> bool,
    ) -> Vec<(NodeId, HoldEnd)> {
        let mut ended = Vec::new();
        for (id, peer) in &mut self.peers {
            let end = peer.hold.tick(ticks_max, ticks_per_second, &is_log_too_large);
            ended.extend(end.map(|end| (*id, end)));
            if peer.hold.is_silent(ticks_max) {
                peer.snapshot_progress = None;
                peer.snapshot_refusal = None;
            }
        }
        ended
    }

    /// Makes the next message to every peer a heartbeat.
    pub(super) fn begin_heartbeat(&mut self) {
        self.heartbeat_elapsed_ticks = 0;
        self.is_heartbeat_due = true;
    }

    /// True once for each heartbeat.
    pub(super) fn take_heartbeat(&mut self) -> bool {
        std::mem::take(&mut self.is_heartbeat_due)
    }

    /// True when `id` is not a peer, or was heard within `ticks`.
    pub(super) fn has_heard(&self, id: NodeId, ticks: u32) -> bool {
        self.peers.get(&id).is_none_or(|peer| peer.silent_ticks <= ticks)
    }

    /// The peer says that it is rejoining, before its first report does.
    pub(super) fn on_rejoining(&mut self, id: NodeId) {
        if let Some(peer) = self.peers.get_mut(&id) {
            peer.is_rejoining = true;
        }
    }

    /// True of a peer that is rejoining, by its last word.
    pub(super) fn is_rejoining(&self, id: NodeId) -> bool {
        self.peers.get(&id).is_some_and(|peer| peer.is_rejoining)
    }

    /// True when the peer `id` has reported within `ticks`, counted or not.
    pub(super) fn has_answered(&self, id: NodeId, ticks: u32) -> bool {
        self.peers.get(&id).is_some_and(|peer| peer.unheard_ticks <= ticks)
    }

    /// True when the peer `id` has reported in this term.
    pub(super) fn has_reported(&self, id: NodeId) -> bool {
        self.peers.get(&id).is_some_and(|peer| peer.has_reported)
    }

    /// Ticks since the last report of the peer `id` that counts, or since the term began.
    pub(super) fn silent_ticks(&self, id: NodeId) -> u32 {
        self.peers.get(&id).map_or(0, |peer| peer.silent_ticks)
    }

    /// True once for each new base of the log.
    pub(super) fn announce_base(&mut self, base: LogPosition) -> bool {
        std::mem::replace(&mut self.announced_base, base) != base
    }

    // Reports.

    /// Takes a peer's report. `None` when it is not to be counted, or not from a peer.
    pub(super) fn on_report(
        &mut self,
        peer: NodeId,
        report: ReplicationReport,
    ) -> Option<ReportNews> {
        self.leavers.on_report(peer, report.match_index);
        let state = self.peers.get_mut(&peer)?;
        state.unheard_ticks = 0;
        state.has_reported = true;
        state.held_index = report.match_index;
        state.hold.on_report(&report);
        state.snapshot_progress = report.snapshot_progress;
        state.snapshot_refusal = report.snapshot_refusal;
        state.is_rejoining = report.is_rejoining;
        if report.loss.is_some() {
            // It may vote until it is told, so its lost acknowledgements commit nothing more.
            state.match_index = LogIndex(0);
        }
        if report.is_rejoining {
            // It stores what it is sent, and promises nothing (docs/adr/0005). But a node that
            // could vote for this leader is counted again once it has stored the leader's log.
            // This leader stays in office until then, however long that takes: the next one
            // would need the same vote, and would begin anew (docs/adr/0019).
            if state.is_elector {
                state.silent_ticks = 0;
            }
            return None;
        }
        state.silent_ticks = 0;
        // A round that was never started was confirmed by nobody (docs/bugs.md C15).
        let is_known = report.read_seq <= self.reads.started_seq();
        let read_seq = if is_known { report.read_seq } else { 0 };
        let has_more = report.match_index > state.match_index;
        let has_confirmed = read_seq > state.read_seq;
        state.match_index = state.match_index.max(report.match_index);
        state.read_seq = state.read_seq.max(read_seq);
        Some(ReportNews { has_more, has_confirmed })
    }

    /// The newest entry that a quorum holds durably, if this leader, `id`, holds everything
    /// up to `own_index`.
    pub(super) fn replicated_index(
        &self,
        quorum: Quorum<'_>,
        id: NodeId,
        own_index: LogIndex,
    ) -> LogIndex {
        quorum.committed_index(|voter| match self.peers.get(&voter) {
            Some(peer) => peer.match_index,
            None if voter == id => own_index,
            None => LogIndex(0),
        })
    }

    /// The newest round of reads that a quorum has confirmed, this leader, `id`, included.
    pub(super) fn confirmed_round(&self, quorum: Quorum<'_>, id: NodeId) -> u64 {
        quorum.confirmed_round(|voter| match self.peers.get(&voter) {
            Some(peer) => peer.read_seq,
            None if voter == id => self.reads.started_seq(),
            None => 0,
        })
    }

    // Snapshots.

    /// The place from which the log must be kept for peers that are being sent a snapshot.
    pub(super) fn keep_log_from(&self) -> Option<LogIndex> {
        self.peers.values().filter_map(|peer| peer.hold.keep_log_from()).min()
    }

    /// The peers that are being sent a snapshot, each with its progress.
    pub(super) fn snapshot_progress(&self) -> Vec<(NodeId, SnapshotProgress)> {
        let peers = self.peers.iter();
        peers.filter_map(|(id, peer)| Some((*id, peer.snapshot_progress?))).collect()
    }

    /// The peers that refused the last snapshot that they were sent, each with its reason.
    pub(super) fn snapshot_refusals(&self) -> Vec<(NodeId, SnapshotRefusal)> {
        let peers = self.peers.iter();
        peers.filter_map(|(id, peer)| Some((*id, peer.snapshot_refusal?))).collect()
    }

    /// The reason why this peer refused the last snapshot that it was sent.
    pub(super) fn snapshot_refusal(&self, peer: NodeId) -> Option<SnapshotRefusal> {
        self.peers.get(&peer)?.snapshot_refusal
    }

    // Peers whose clients wait (docs/adr/0031).

    /// The peer asks for something for its clients: if it does so often, it is sent entries at
    /// once, until it has not for a second. Returns the send mode if that is another one than
    /// before.
    pub(super) fn on_asking(&mut self, id: NodeId, ticks_per_second: u32) -> Option<SendMode> {
        let peer = self.peers.get_mut(&id)?;
        peer.asking.on_ask(ticks_per_second);
        if peer.send_mode != SendMode::Batched || !peer.asking.has_waiting() {
            return None;
        }
        peer.send_mode = SendMode::EntriesAtOnce;
        Some(SendMode::EntriesAtOnce)
    }

    /// The peer's clients wait for the entry at `index`.
    pub(super) fn await_commit(&mut self, id: NodeId, index: LogIndex) {
        if let Some(peer) = self.peers.get_mut(&id) {
            peer.awaited_index = peer.awaited_index.max(index);
        }
    }

    /// The peers whose clients wait for entries that are committed now, each of them once.
    pub(super) fn take_awaited(&mut self, commit_index: LogIndex) -> Vec<NodeId> {
        let mut due = Vec::new();
        for (id, peer) in &mut self.peers {
            if peer.awaited_index > LogIndex(0) && peer.awaited_index <= commit_index {
                peer.awaited_index = LogIndex(0);
                due.push(*id);
            }
        }
        due
    }

    // Send modes.

    /// The peers whose send mode changes. Commits and reads wait for as many peers as make
    /// a quorum with this leader: those that are furthest are sent everything at once, and
    /// the others are sent batches (docs/adr/0014). A peer in the quorum that falls behind
    /// a batched one changes places with it. A peer whose clients have asked often is sent
    /// entries at once, too: they wait for entries, and not for its answers.
    pub(super) fn choose_send_modes(
        &mut self,
        own_id: NodeId,
        quorum: Quorum<'_>,
    ) -> Vec<(NodeId, SendMode)> {
        let mut order: Vec<(NodeId, PeerState)> =
            self.peers.iter().map(|(id, peer)| (*id, *peer)).collect();
        order.sort_by_key(|(_, peer)| {
            let is_immediate = peer.send_mode == SendMode::Immediate;
            std::cmp::Reverse((peer.match_index, peer.read_seq, is_immediate))
        });
        let mut changes = Vec::new();
        let mut nearest = BTreeSet::from([own_id]);
        for (id, peer) in order {
            let is_needed = !quorum.is_met(|voter| nearest.contains(&voter));
            nearest.insert(id);
            let mode = match (is_needed, peer.asking.has_waiting()) {
                (true, _) => SendMode::Immediate,
                (false, true) => SendMode::EntriesAtOnce,
                (false, false) => SendMode::Batched,
            };
            if peer.send_mode != mode {
                changes.push((id, mode));
            }
        }
        for (id, mode) in &changes {
            if let Some(peer) = self.peers.get_mut(id) {
                peer.send_mode = *mode;
            }
        }
        changes
    }
}

#[cfg(test)]
mod tests;
