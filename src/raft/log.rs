//! The core's view of the log: where it begins, every term of it, what it says about the cluster,
//! and the entries that are still on their way to the disk or to the state machine.
//!
//! The entries themselves are on disk. The rules only ask for the terms of the past (§5.3,
//! §5.4.1), and those are a few runs.

use std::collections::VecDeque;

use crate::types::{
    ClusterHistory, ClusterState, Entry, LogIndex, LogPosition, LogSummary, Membership, Payload,
    Term, TermRuns,
};

/// The log as far as the core keeps it in memory.
pub(super) struct RaftLog {
    /// The terms of the whole log.
    runs: TermRuns,
    /// The facts about the cluster at the base, and every later change of them.
    cluster: ClusterHistory,
    /// The membership while the log has none.
    initial_membership: Membership,
    /// True when no entry of the log has ever had a command, as far as is known: it is false of a
    /// log that was there when the process began.
    is_unwritten: bool,
    /// The stamp of the last entry. The store's time goes on from it when this node is
    /// elected, so it must not be that of an entry that was truncated: a deposed leader may
    /// have stamped one long after the entries that took its place.
    last_stamp_ms: u64,
    /// The newest entries. Invariant: contiguous, and ends at the log's end, or empty.
    tail: VecDeque<Entry>,
    /// The first entry that was not handed to the disk, or one past the log's end.
    /// Invariant: every entry from here on is in `tail`.
    unflushed_from: LogIndex,
}

impl RaftLog {
    pub(super) fn new(summary: LogSummary, initial_membership: Membership) -> RaftLog {
        RaftLog {
            unflushed_from: summary.runs.last().index.next(),
            is_unwritten: summary.runs.last() == LogPosition::default(),
            runs: summary.runs,
            cluster: summary.cluster,
            initial_membership,
            last_stamp_ms: summary.last_stamp_ms,
            tail: VecDeque::new(),
        }
    }

    pub(super) fn last(&self) -> LogPosition {
        self.runs.last()
    }

    /// The position before the log's first entry (docs/adr/0008).
    pub(super) fn base(&self) -> LogPosition {
        self.runs.base()
    }

    pub(super) fn runs(&self) -> &TermRuns {
        &self.runs
    }

    pub(super) fn term_at(&self, index: LogIndex) -> Option<Term> {
        self.runs.term_at(index)
    }

    pub(super) fn contains(&self, position: LogPosition) -> bool {
        self.runs.contains(position)
    }

    /// The stamp of the last entry, in milliseconds of the store's clock.
    pub(super) fn last_stamp_ms(&self) -> u64 {
        self.last_stamp_ms
    }

    /// The newest membership in the log, committed or not (dissertation §4.1).
    pub(super) fn membership(&self) -> &Membership {
        let membership = self.cluster.newest().membership.as_ref();
        membership.map_or(&self.initial_membership, |(_, membership)| membership)
    }

    /// The facts about the cluster after every entry of the log.
    pub(super) fn cluster(&self) -> &ClusterHistory {
        &self.cluster
    }

    /// True when the log itself names the members.
    pub(super) fn has_membership(&self) -> bool {
        self.cluster.newest().membership.is_some()
    }

    /// True when it is certain that no entry of the log has ever had a command.
    pub(super) fn is_unwritten(&self) -> bool {
        self.is_unwritten
    }

    pub(super) fn append(&mut self, entry: Entry) {
        self.is_unwritten &= !matches!(entry.payload, Payload::Command(_));
        self.runs.push(entry.position());
        self.cluster.append(entry.index, &entry.payload);
        self.last_stamp_ms = entry.stamp_ms;
        self.tail.push_back(entry);
    }

    /// Forgets `index` and everything after it, memberships too (docs/bugs.md B48). The caller
    /// appends the entry that takes its place, and with it the stamp of the last entry.
    pub(super) fn truncate_from(&mut self, index: LogIndex) {
        self.runs.truncate_from(index);
        while self.tail.back().is_some_and(|entry| entry.index >= index) {
            self.tail.pop_back();
        }
        self.cluster.truncate_from(index);
        self.unflushed_from = self.unflushed_from.min(index);
    }

    /// Forgets everything up to `base`, except the facts about the cluster there.
    pub(super) fn compact_to(&mut self, base: LogPosition) {
        self.runs.compact_to(base);
        self.cluster.compact_to(base.index);
    }

    /// Forgets everything: a snapshot up to `base` has taken its place.
    pub(super) fn reset(&mut self, base: LogPosition, stamp_ms: u64, cluster: ClusterState) {
        self.runs = TermRuns::starting_after(base);
        self.is_unwritten = false;
        self.cluster = ClusterHistory::beginning_with(cluster);
        self.last_stamp_ms = stamp_ms;
        self.tail.clear();
        self.unflushed_from = base.index.next();
    }

    /// The entries that have not been handed to the disk. From here on they count as handed
    /// over.
    pub(super) fn take_unflushed(&mut self) -> Vec<Entry> {
        let first = self.unflushed_from;
        self.unflushed_from = self.last().index.next();
        self.slice(first, self.last().index).unwrap_or_default()
    }

    pub(super) fn has_unflushed(&self) -> bool {
        self.unflushed_from <= self.last().index
    }

    /// The entries `from..=to`; `None` when some of them are only on disk.
    pub(super) fn slice(&self, from: LogIndex, to: LogIndex) -> Option<Vec<Entry>> {
        let first = self.tail.front()?.index;
        if from < first || to > self.last().index || from > to {
            return None;
        }
        let (start, end) = ((from.0 - first.0) as usize, (to.0 - first.0) as usize);
        Some(self.tail.range(start..=end).cloned().collect())
    }

    /// The first entry that is in memory; one past the end when there is none.
    pub(super) fn first_in_memory(&self) -> LogIndex {
        self.tail.front().map_or(self.last().index.next(), |entry| entry.index)
    }

    /// Lets go of the entries up to `index` that were handed to the disk.
    pub(super) fn evict_to(&mut self, index: LogIndex) {
        let keep_from = self.unflushed_from.min(index.next());
        while self.tail.front().is_some_and(|entry| entry.index < keep_from) {
            self.tail.pop_front();
        }
    }
}
