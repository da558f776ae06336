//! The peers that a leader has removed, and that have yet to hear of it (docs/adr/0026).
//!
//! Such a peer counts for nothing. It is sent entries until it holds the entry that removed it and
//! was sent the commit of that entry, so that it knows, and rests. A peer that is not there is not
//! waited for: it is told when it connects again.

use std::collections::BTreeMap;

use crate::types::{LogIndex, NodeId};

/// Heartbeats that a peer is sent after it can know of the commit, in case that one gets lost.
const HEARTBEATS: u32 = 2;

/// The notes of a node about members that are removed.
#[derive(Default)]
pub(super) struct MemberNotes {
    /// The entry that removed this node, if it knows of one.
    pub(super) removed_at: Option<LogIndex>,
    /// Counts the changes of the set of removed members that have yet to hear of it.
    pub(super) leaving_version: u64,
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
