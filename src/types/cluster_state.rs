//! The facts that the log says about the cluster itself: its members, its format and its id.

use super::entry::Payload;
use super::format::{Format, FormatInForce};
use super::identity::ClusterId;
use super::ids::{LogIndex, NodeId};
use super::membership::Membership;

/// The facts about the cluster after one entry of its log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClusterState {
    /// The members in force, and the index of the entry that says so; `None` before the first
    /// such entry.
    pub membership: Option<(LogIndex, Membership)>,
    /// The format in force.
    pub format: FormatInForce,
    /// The id of the cluster; `None` before the entry that says so.
    pub cluster_id: Option<ClusterId>,
}

impl ClusterState {
    /// The entry with the members in force; 0 when they have no addresses, because they are a seed
    /// or there are none.
    pub fn members_at(&self) -> LogIndex {
        let with_addresses = self.membership.as_ref().filter(|(_, members)| !members.is_seed());
        with_addresses.map_or(LogIndex(0), |(index, _)| *index)
    }

    /// Takes over what the entry at `index` says. Returns false when it says nothing about the
    /// cluster.
    fn take(&mut self, index: LogIndex, payload: &Payload) -> bool {
        match payload {
            Payload::Noop | Payload::Command(_) => return false,
            Payload::Membership(membership) => self.membership = Some((index, membership.clone())),
            Payload::Format(format) => self.format = format.clone(),
            Payload::ClusterId(cluster_id) => self.cluster_id = Some(*cluster_id),
        }
        true
    }
}

/// True when the others are a quorum without `id`, and so have all that was acknowledged. Of
/// `known`, the facts in the log and in a snapshot, the newest members count: a compacted log may
/// say nothing about them, and one that is damaged may end before they changed. `configured` counts
/// only while nothing says who they are: a cluster may have grown.
pub fn is_quorum_without<'a>(
    known: impl IntoIterator<Item = &'a ClusterState>,
    id: NodeId,
    configured: bool,
) -> bool {
    let memberships = known.into_iter().filter_map(|state| state.membership.as_ref());
    let newest = memberships.max_by_key(|(index, _)| *index);
    newest.map_or(configured, |(_, members)| members.is_quorum_without(id))
}

/// The facts about the cluster after every entry of a log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClusterHistory {
    /// The facts at the place where the history begins.
    base: ClusterState,
    /// The entries after it that change the facts, oldest first.
    changes: Vec<Change>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Change {
    index: LogIndex,
    payload: Payload,
    /// The facts after the entry.
    state: ClusterState,
}

impl ClusterHistory {
    /// The history of a log that begins with these facts.
    pub fn beginning_with(base: ClusterState) -> ClusterHistory {
        ClusterHistory { base, changes: Vec::new() }
    }

    /// Adds an entry at the end of the log.
    pub fn append(&mut self, index: LogIndex, payload: &Payload) {
        if matches!(payload, Payload::Noop | Payload::Command(_)) {
            return;
        }
        let mut state = self.newest().clone();
        if state.take(index, payload) {
            self.changes.push(Change { index, payload: payload.clone(), state });
        }
    }

    /// Forgets the entry at `index` and all entries after it.
    pub fn truncate_from(&mut self, index: LogIndex) {
        while self.changes.last().is_some_and(|change| change.index >= index) {
            self.changes.pop();
        }
    }

    /// Forgets the entries up to `index`, and keeps the facts that were in force there.
    pub fn compact_to(&mut self, index: LogIndex) {
        let covered = self.changes.partition_point(|change| change.index <= index);
        if let Some(last) = self.changes.drain(..covered).next_back() {
            self.base = last.state;
        }
    }

    /// The same log, whose facts at `index` are now known to be `state`, by a snapshot.
    #[must_use]
    pub fn rebased(&self, index: LogIndex, state: ClusterState) -> ClusterHistory {
        let mut history = ClusterHistory::beginning_with(state);
        for change in self.changes.iter().filter(|change| change.index > index) {
            history.append(change.index, &change.payload);
        }
        history
    }

    /// The facts at the end of the log, committed or not.
    pub fn newest(&self) -> &ClusterState {
        self.changes.last().map_or(&self.base, |change| &change.state)
    }

    /// The facts after the entry at `index`, which is not before the place where the history
    /// begins.
    pub fn at(&self, index: LogIndex) -> &ClusterState {
        let after = self.changes.partition_point(|change| change.index <= index);
        after.checked_sub(1).map_or(&self.base, |place| &self.changes[place].state)
    }

    /// The last entry that puts a format in force, and the format; `None` when there is none
    /// after the place where the history begins.
    pub fn newest_format(&self) -> Option<(LogIndex, Format)> {
        self.changes.iter().rev().find_map(|change| match &change.payload {
            Payload::Format(raised) => Some((change.index, raised.format)),
            _ => None,
        })
    }

    /// The number of memberships in the entries after `index`, which is not before the place where
    /// the history begins.
    pub fn memberships_after(&self, index: LogIndex) -> usize {
        let after = self.changes.partition_point(|change| change.index <= index);
        let later = self.changes[after..].iter();
        later.filter(|change| matches!(change.payload, Payload::Membership(_))).count()
    }

    /// True when each format is the one after the format before it, and the cluster gets its id
    /// once, in a format that has ids.
    pub fn is_in_order(&self) -> bool {
        let mut before = &self.base;
        self.changes.iter().all(|change| {
            let is_in_order = match &change.payload {
                Payload::Format(raised) => raised.format == before.format.format.next(),
                Payload::ClusterId(_) => {
                    before.format.format > Format::FIRST && before.cluster_id.is_none()
                }
                _ => true,
            };
            before = &change.state;
            is_in_order
        })
    }

    /// The index of the last entry that changes the facts; `None` when there is none after the
    /// place where the history begins.
    pub fn last_change(&self) -> Option<LogIndex> {
        self.changes.last().map(|change| change.index)
    }
}
