//! Rejoining: a node that may have forgotten what it promised is not counted until it is
//! known to remember.
//!
//! Such a node has a new data directory in place of one that may have been lost
//! (docs/adr/0005, docs/bugs.md B52), or a log that was cut where it was damaged
//! (docs/adr/0009, docs/bugs.md B61). It follows the leader and stores what it is sent, but
//! it neither votes nor campaigns, and the leader does not count it. It asks every other member
//! for a report of its term and the end of its log. It is counted again when the cluster
//! turns out to be new, or when it has caught up with every other member. A cluster is new when
//! all members are blank, or when a person says so and a majority is (docs/adr/0024).
//!
//! A node that knows exactly where its log ended has forgotten less. It votes for candidates
//! that have all of that, and it is counted again when it has all of it itself, whether or not
//! it has heard from the others (docs/adr/0019).
//!
//! # While the members change
//!
//! A node that fetches a whole log passes every membership that the cluster ever had, and each is
//! in force when it comes (dissertation §4.1). "Every other member" must not be that of an old
//! one: its voters may be empty by now, or gone. So a node is counted only by a membership that
//! is that of today.
//!
//! - Only a voter of the newest membership in its log is counted by reports. A learner is admitted
//!   by its leader (docs/adr/0026), and a node that knows no members by nobody.
//! - The leader that the node follows has reported as well, in the node's term, and the log
//!   holds all that it had then. Let that leader be L of term T, M the newest membership in the
//!   node's log then, and let the node have promised something before it started.
//!     - To L: then L had the entry when it reported, and the node holds it.
//!     - To the leader of an earlier term: what became committed is in L's log before L's first
//!       entry (Leader Completeness), and so in the node's.
//!     - To the leader of a later term, or as a vote for it: the first such leader was elected by
//!       a majority of M's voters, because L had appended no membership after M when it reported,
//!       and each membership is followed by one that shares a half with it. Another voter of M is
//!       in that majority, has the later term, and has reported it: the node is not counted in T.
//! - With two voters no third can lead while one of them rejoins, so no leader is asked for. No
//!   later membership was committed then without the other voter, which has reported.
//! - A sole voter has nobody to hear. If it has a log although its directory is new, another node
//!   has led it, so its membership is old: it waits for that leader.

use std::collections::BTreeMap;

use super::log::RaftLog;
use super::quorum::Quorum;
use crate::types::{HardState, LogIndex, LogPosition, NodeId, Term};

/// The reports that a rejoining node has had since it started.
#[derive(Default)]
pub(super) struct Rejoining {
    /// The latest report of each other member.
    reports: BTreeMap<NodeId, PeerReport>,
    /// True when any report has had a term or an entry.
    has_seen_past: bool,
    /// Ticks since the start of a rejoining node.
    age_ticks: u32,
}

/// The outcome of a tick.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct RejoinTick {
    /// True when the other members are to be asked.
    pub(super) is_asking: bool,
    /// True at the one tick from which on the node has waited for long.
    pub(super) has_waited_long: bool,
}

/// The durable term and the end of the log of one member.
#[derive(Clone, Copy, Default)]
pub(super) struct PeerReport {
    pub(super) term: Term,
    pub(super) last: LogPosition,
}

impl PeerReport {
    /// True of a member that has never had a term or an entry.
    fn is_blank(&self) -> bool {
        self.term == Term(0) && self.last == LogPosition::default()
    }
}

impl Rejoining {
    /// Advances time by one tick. The other members are asked at every tick at first, when all
    /// members are about to start; later at the pace of heartbeats, because a member that stays
    /// silent may be down for days.
    pub(super) fn tick(
        &mut self,
        election_timeout_ticks_max: u32,
        heartbeat_ticks: u32,
    ) -> RejoinTick {
        self.age_ticks = self.age_ticks.saturating_add(1);
        let young_ticks = 10 * election_timeout_ticks_max;
        let is_young = self.age_ticks <= young_ticks;
        RejoinTick {
            is_asking: is_young || self.age_ticks.is_multiple_of(heartbeat_ticks),
            has_waited_long: self.age_ticks == young_ticks,
        }
    }

    pub(super) fn on_report(&mut self, from: NodeId, report: PeerReport) {
        self.has_seen_past |= !report.is_blank();
        self.reports.insert(from, report);
    }

    /// True when every other member has reported that it has never had a term or an entry, and
    /// neither has this node `id`. When a person has said that the cluster is new, it is enough
    /// that a quorum with this node has, and that nobody has reported anything else.
    pub(super) fn is_cluster_new(
        &self,
        id: NodeId,
        own: PeerReport,
        quorum: Quorum<'_>,
        is_said_to_be_new: bool,
    ) -> bool {
        let has_reported = |voter| voter == id || self.reports.contains_key(&voter);
        self.may_be_new(own)
            && (quorum.is_unanimous(has_reported)
                || is_said_to_be_new && quorum.is_met(has_reported))
    }

    /// True when neither this node nor any report has had a term or an entry.
    pub(super) fn may_be_new(&self, own: PeerReport) -> bool {
        own.is_blank() && !self.has_seen_past
    }

    /// The members of `peers` that have not reported.
    pub(super) fn silent(&self, mut peers: Vec<NodeId>) -> Vec<NodeId> {
        peers.retain(|peer| !self.reports.contains_key(peer));
        peers
    }

    /// True when no later membership than the one in `log`, with the voters `peers` besides this
    /// node, can be in force without a sign of it in the reports (see the top of this file).
    pub(super) fn is_view_new(
        &self,
        peers: &[NodeId],
        leader: Option<NodeId>,
        own: HardState,
        log: &RaftLog,
        quorum: Quorum<'_>,
    ) -> bool {
        let is_log_given = own.lost == LogPosition::default() && log.last() != own.lost;
        let is_leader_needed = quorum.can_spare_one() || peers.is_empty() && is_log_given;
        let report = leader.and_then(|leader| self.reports.get(&leader));
        let has_leader_reported = report.is_some_and(|report| report.term == own.current_term);
        !is_leader_needed || has_leader_reported
    }

    /// True when this follower with `own` hard state holds durably all that any other member
    /// holds. At least one of them has every committed entry that this node may have
    /// acknowledged and lost. The log is durable up to `persisted_index`.
    pub(super) fn has_caught_up(
        &self,
        peers: &[NodeId],
        own: HardState,
        log: &RaftLog,
        persisted_index: LogIndex,
    ) -> bool {
        let durable = durable_end(log, persisted_index);
        let has_all_reports = peers.iter().all(|peer| self.reports.contains_key(peer));
        let highest = self.reports.values().map(|report| report.term).max().unwrap_or_default();
        let furthest = self.reports.values().map(|report| report.last).max().unwrap_or_default();
        has_all_reports
            && own.current_term >= highest
            // A log that ends before ours begins can add nothing to what is committed.
            && (log.contains(furthest) || furthest <= log.base())
            && persisted_index >= furthest.index
            // When the log is at least as up-to-date as the lost position (§5.4.1), it has
            // every entry up to there that was or can be committed.
            && durable >= own.lost
    }
}

/// True when a node with `own` hard state knows where its log ended, and holds durably a log that
/// is at least as up-to-date as that (§5.4.1): every entry that it acknowledged and that was or
/// can be committed is in it. It need not ask the others (docs/adr/0019).
pub(super) fn has_all_back(own: HardState, log: &RaftLog, persisted_index: LogIndex) -> bool {
    own.is_end_known && durable_end(log, persisted_index) >= own.lost
}

/// The end of a log that is durable up to `persisted_index`.
fn durable_end(log: &RaftLog, persisted_index: LogIndex) -> LogPosition {
    let term = log.term_at(persisted_index).unwrap_or_default();
    LogPosition { term, index: persisted_index }
}

#[cfg(test)]
mod tests;
