//! The peers that a leader has removed, and that have yet to hear of it (docs/adr/0026).
//!
//! Such a peer counts for nothing. It is sent entries until it holds the entry that removed it and
//! was sent the commit of that entry, so that it knows, and rests. A peer that is not there is not
//! waited for: it is told when it connects again.
//!
//! A leader that has removed itself is the other way round: it leads until it has handed over, so
//! those that follow it keep their connections with it that long.

use std::collections::BTreeMap;

use crate::types::{LogIndex, NodeId, Term};

/// Heartbeats that a peer is sent after it can know of the commit, in case that one gets lost.
const HEARTBEATS: u32 = 2;

/// The notes of a node about members that are removed.
#[derive(Default)]
pub(super) struct MemberNotes {
    /// The entry that removed this node, if it knows of one.
    pub(super) removed_at: Option<LogIndex>,
    /// Counts the changes of the set of removed members that have yet to hear of it.
    pub(super) leaving_version: u64,
    departing: Option<Departing>,
}

/// A leader that is known to be removed, and hands over.
struct Departing {
    leader: NodeId,
    term: Term,
    /// Ticks for which it is still waited for.
    left_ticks: u32,
}

impl MemberNotes {
    /// This node follows `leader` in `term`. One that is known to be removed has `ticks` for its
    /// handover from the first time that this is said.
    pub(super) fn on_leader(&mut self, leader: NodeId, term: Term, is_removed: bool, ticks: u32) {
        let is_known = |d: &Departing| (d.leader, d.term) == (leader, term);
        if is_removed && self.departing.as_ref().is_some_and(is_known) {
            return;
        }
        let before = self.departing();
        self.departing = is_removed.then_some(Departing { leader, term, left_ticks: ticks });
        self.leaving_version += u64::from(self.departing() != before);
    }

    /// The removed leader whose handover this node waits for. It is that until this node follows
    /// another leader: between the two terms, its connections bring it the news that it leads no
    /// more.
    pub(super) fn departing(&self) -> Option<NodeId> {
        let waited_for = self.departing.as_ref().filter(|departing| departing.left_ticks > 0);
        waited_for.map(|departing| departing.leader)
    }

    /// This node leads now. Returns the removed leader that it takes over from.
    pub(super) fn take_departing(&mut self) -> Option<NodeId> {
        let departing = self.departing();
        self.departing = None;
        self.leaving_version += u64::from(departing.is_some());
        departing
    }

    /// Advances time by one tick.
    pub(super) fn tick(&mut self) {
        let before = self.departing();
        if let Some(departing) = &mut self.departing {
            departing.left_ticks = departing.left_ticks.saturating_sub(1);
        }
        self.leaving_version += u64::from(self.departing() != before);
    }
}

/// The peers that have yet to hear that they were removed.
#[derive(Default)]
pub(super) struct Leavers {
    leavers: BTreeMap<NodeId, Leaver>,
}

struct Leaver {
    /// The entry that removed it.
    removed_by: LogIndex,
    /// The newest entry that it holds durably.
    match_index: LogIndex,
    /// Ticks since that entry is committed.
    ticks: u32,
    /// Heartbeats that it was sent since it holds the entry, and the entry is committed.
    heartbeats: u32,
}

impl Leavers {
    /// The entry `removed_by` has removed a peer, which holds everything up to `match_index`.
    pub(super) fn add(&mut self, id: NodeId, removed_by: LogIndex, match_index: LogIndex) {
        let leaver = Leaver { removed_by, match_index, ticks: 0, heartbeats: 0 };
        self.leavers.insert(id, leaver);
    }

    /// The peers.
    pub(super) fn ids(&self) -> impl Iterator<Item = NodeId> {
        self.leavers.keys().copied()
    }

    pub(super) fn contains(&self, id: NodeId) -> bool {
        self.leavers.contains_key(&id)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.leavers.is_empty()
    }

    /// The peer holds everything up to `match_index`.
    pub(super) fn on_report(&mut self, id: NodeId, match_index: LogIndex) {
        if let Some(leaver) = self.leavers.get_mut(&id) {
            leaver.match_index = leaver.match_index.max(match_index);
        }
    }

    /// A heartbeat with this commit index goes out.
    pub(super) fn on_heartbeat(&mut self, commit_index: LogIndex) {
        for leaver in self.leavers.values_mut() {
            let knows = leaver.match_index.min(commit_index) >= leaver.removed_by;
            leaver.heartbeats += u32::from(knows);
        }
    }

    /// Advances time by one tick. Returns true when a peer is waited for no longer: because it
    /// knows, or because it has had `ticks_max` since the commit.
    pub(super) fn tick(&mut self, commit_index: LogIndex, ticks_max: u32) -> bool {
        let before = self.leavers.len();
        self.leavers.retain(|_, leaver| {
            leaver.ticks += u32::from(commit_index >= leaver.removed_by);
            leaver.heartbeats < HEARTBEATS && leaver.ticks <= ticks_max
        });
        self.leavers.len() < before
    }
}

#[cfg(test)]
mod tests;
