//! A disk that forgets what was not synced.

use std::collections::{BTreeSet, VecDeque};
use std::ops::Deref;
use std::sync::Arc;

use super::snapshots::{SnapshotFile, digest_of};
use crate::raft::{InstallSnapshot, PersistSeq, SnapshotPositions};
use crate::types::{
    ClusterHistory, Entry, HardState, LogIndex, LogPosition, LogSummary, SnapshotId, SnapshotPoint,
    TermRuns,
};

/// Files that are kept of a node's snapshots.
const SNAPSHOTS_KEPT: usize = 2;
/// Compaction removes a multiple of this number of entries, as if they were a segment.
const SEGMENT_ENTRIES: u64 = 2;

/// A log: the entries after a base.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Log {
    base: LogPosition,
    entries: Vec<Entry>,
}

/// The state that survives a crash.
#[derive(Clone, Default)]
pub(super) struct Durable {
    pub(super) hard_state: HardState,
    pub(super) log: Log,
    /// Oldest first.
    pub(super) snapshots: Vec<Arc<SnapshotFile>>,
    /// The part of a snapshot that was received, and is not whole yet.
    part: Option<(SnapshotId, Vec<u8>)>,
    /// The entries that a rejoining node has lost. Its promises about them hold as long as it
    /// is not counted.
    forgotten: BTreeSet<LogPosition>,
    /// True when entries were lost without a trace, and the node has not been rejoining since.
    has_amnesia: bool,
}

enum Operation {
    Write(Write),
    Compact(LogIndex),
    Reset(LogPosition),
}

struct Write {
    seq: PersistSeq,
    hard_state: Option<HardState>,
    entries: Vec<Entry>,
}

/// The completion of an operation.
pub(super) enum Done {
    Persisted(PersistSeq),
    Compacted(LogPosition),
    Reset,
}

/// The state of receiving a snapshot.
pub(super) enum Received {
    Part(u64),
    Whole(u128),
}

/// A disk. Invariant: `log` is `durable.log` with every one of `operations` done to it,
/// except compactions, which are seen when they are done.
#[derive(Default)]
pub(super) struct Disk {
    durable: Durable,
    operations: VecDeque<Operation>,
    log: Log,
}

impl Disk {
    pub(super) fn new(durable: Durable) -> Disk {
        Disk { log: durable.log.clone(), operations: VecDeque::new(), durable }
    }

    pub(super) fn durable(&self) -> &Durable {
        &self.durable
    }

    /// The log as its owner knows it, synced or not.
    pub(super) fn log(&self) -> &Log {
        &self.log
    }

    pub(super) fn write(
        &mut self,
        seq: PersistSeq,
        hard_state: Option<HardState>,
        entries: Vec<Entry>,
    ) {
        self.log.splice(&entries);
        self.operations.push_back(Operation::Write(Write { seq, hard_state, entries }));
    }

    pub(super) fn compact(&mut self, limit: LogIndex) {
        self.operations.push_back(Operation::Compact(limit));
    }

    pub(super) fn reset(&mut self, base: LogPosition) {
        self.log.reset(base);
        self.operations.push_back(Operation::Reset(base));
    }

    /// Makes the oldest operation durable.
    pub(super) fn sync_next(&mut self) -> Option<Done> {
        Some(match self.operations.pop_front()? {
            Operation::Write(write) => {
                self.durable.do_write(&write, usize::MAX);
                Done::Persisted(write.seq)
            }
            Operation::Compact(limit) => {
                let base = LogIndex(limit.0 - limit.0 % SEGMENT_ENTRIES);
                self.durable.log.compact_to(base);
                // A reset may be on its way after it.
                if self.log.base.index < base {
                    self.log.compact_to(base);
                }
                Done::Compacted(self.durable.log.base)
            }
            Operation::Reset(base) => {
                self.durable.log.reset(base);
                Done::Reset
            }
        })
    }

    /// The machine stops. The first of the operations that were not synced may have reached
    /// the platter all the same, and `torn_entries` entries of the next one.
    pub(super) fn crash(&mut self, operations: usize, torn_entries: usize) {
        for _ in 0..operations {
            self.sync_next();
        }
        if let Some(Operation::Write(torn)) = self.operations.pop_front()
            && torn_entries > 0
        {
            self.durable.do_write(&torn, torn_entries);
        }
        // A part is not synced before it is whole.
        if let Some((_, bytes)) = &mut self.durable.part {
            bytes.truncate(bytes.len() * torn_entries / 2);
        }
        *self = Disk::new(std::mem::take(&mut self.durable));
    }

    /// Finishes an install, as a start does: a crash may have come between the last step of
    /// receiving a snapshot and the step of installing it (docs/adr/0008).
    pub(super) fn finish_installation(&mut self) {
        let Some(newest) = self.durable.snapshots.last() else {
            assert_eq!(self.log.base.index.0, 0, "the beginning of the log is gone (B55)");
            return;
        };
        let last = newest.last();
        assert!(self.log.base.index <= last.index, "a gap between snapshot and log (B55)");
        if !self.log.contains(last) {
            self.durable.log.reset(last);
            self.log.reset(last);
        }
    }

    /// The newest snapshot turns out to be damaged, if that does no harm: the log goes on
    /// from the snapshot before, and holds the entries that only the newest had besides.
    pub(super) fn lose_newest_snapshot(&mut self) -> bool {
        let snapshots = &mut self.durable.snapshots;
        let [older, newest] = snapshots.as_slice() else { return false };
        let log = &self.durable.log;
        let is_harmless = log.base.index <= older.last().index && log.contains(newest.last());
        if is_harmless {
            snapshots.pop();
        }
        is_harmless
    }

    /// The log turns out to be damaged after `kept`, or after the base, and is cut there, as
    /// by a start (docs/adr/0009). With `is_end_known` the start finds the log's end intact.
    pub(super) fn cut_after(&mut self, kept: LogIndex, is_end_known: bool) {
        assert!(self.operations.is_empty(), "only the disk of a node that is down is judged");
        self.durable.forget();
        let durable = &mut self.durable;
        let before = durable.hard_state;
        let lost = before.lost.max(durable.log.end());
        let is_end_known = is_end_known && (before.is_end_known || !before.is_rejoining);
        durable.hard_state = HardState { is_rejoining: true, lost, is_end_known, ..before };
        durable.log.entries.retain(|entry| entry.index <= kept);
        self.log = durable.log.clone();
    }

    /// The log loses what is after `kept`, as by [`Disk::rewind`], and it may be needed. The test
    /// knows that its node will be told, and will not be counted.
    pub(super) fn rewind_needed(&mut self, kept: LogIndex) {
        self.durable.forget();
        self.rewind(kept);
    }

    /// The log loses what is after `kept`, and nothing on the disk shows it.
    pub(super) fn rewind(&mut self, kept: LogIndex) {
        assert!(self.operations.is_empty(), "only the disk of a node that is down is changed");
        let durable = &mut self.durable;
        durable.has_amnesia = true;
        durable.log.entries.retain(|entry| entry.index <= kept);
        self.log = durable.log.clone();
    }

    /// A snapshot under its final name.
    pub(super) fn add_snapshot(&mut self, file: Arc<SnapshotFile>) {
        let snapshots = &mut self.durable.snapshots;
        snapshots.retain(|kept| kept.id != file.id);
        snapshots.push(file);
        snapshots.sort_by_key(|kept| kept.last().index);
        while snapshots.len() > SNAPSHOTS_KEPT {
            snapshots.remove(0);
        }
    }

    /// Receives a piece, as `storage::IncomingSnapshot` does. A part of another snapshot is
    /// dropped.
    pub(super) fn receive(&mut self, piece: &InstallSnapshot) -> Received {
        let id = piece.snapshot;
        if self.durable.snapshots.iter().any(|kept| kept.id == id) {
            return Received::Part(id.bytes);
        }
        let part = self.durable.part.take().filter(|(kept, _)| *kept == id);
        let (_, mut bytes) = part.unwrap_or((id, Vec::new()));
        if piece.offset == bytes.len() as u64 {
            bytes.extend_from_slice(&piece.bytes);
        }
        if bytes.len() as u64 == id.bytes {
            assert_eq!(digest_of(&bytes), id.digest, "pieces of two snapshots are mixed (B56)");
            return Received::Whole(id.digest);
        }
        let received = bytes.len() as u64;
        self.durable.part = Some((id, bytes));
        Received::Part(received)
    }

    /// The summary that recovery would give.
    pub(super) fn summary(&self) -> LogSummary {
        let newest = self.durable.snapshots.last();
        let mut summary = LogSummary {
            runs: self.log.runs(),
            cluster: ClusterHistory::default(),
            last_stamp_ms: newest.map_or(0, |file| file.stamp_ms()),
        };
        for entry in self.log.iter() {
            summary.last_stamp_ms = entry.stamp_ms;
            summary.cluster.append(entry.index, &entry.payload);
        }
        if let Some(file) = newest {
            let SnapshotPoint { last, cluster } = &file.point;
            summary.cluster = summary.cluster.rebased(last.index, cluster.clone());
        }
        summary
    }

    /// The positions of the snapshots that recovery would give.
    pub(super) fn snapshot_positions(&self) -> SnapshotPositions {
        let mut newest_first = self.durable.snapshots.iter().rev();
        let newest = newest_first.next();
        SnapshotPositions {
            newest: newest.map(|file| file.last()).unwrap_or_default(),
            newest_bytes: newest.map_or(0, |file| file.id.bytes),
            older: newest_first.next().map_or(LogIndex(0), |file| file.last().index),
        }
    }
}

impl Durable {
    pub(super) fn new(hard_state: HardState, log: Vec<Entry>) -> Durable {
        let log = Log { base: LogPosition::default(), entries: log };
        Durable { hard_state, log, ..Durable::default() }
    }

    /// The directory of a node that starts for the first time, as the storage makes it.
    pub(super) fn new_directory() -> Durable {
        Durable::new(HardState { is_rejoining: true, ..HardState::default() }, Vec::new())
    }

    /// A new directory in the place of one that is lost as a whole.
    pub(super) fn replaced(mut self) -> Durable {
        self.forget();
        Durable { forgotten: self.forgotten, ..Durable::new_directory() }
    }

    /// True of a node that has lost entries without a trace, until it is counted again after it
    /// was rejoining.
    pub(super) fn has_amnesia(&self) -> bool {
        self.has_amnesia
    }

    fn forget(&mut self) {
        let last = self.log.end().index.0;
        let all = (1..=last).filter_map(|index| self.position_at(LogIndex(index)));
        let all: Vec<LogPosition> = all.collect();
        self.forgotten.extend(all);
    }

    /// True when the disk holds an entry, or is that of a node which has forgotten it and is
    /// not counted.
    pub(super) fn stands_for(&self, position: LogPosition) -> bool {
        self.contains(position) || self.forgotten.contains(&position)
    }

    /// The hard state goes first: a log never has a term that it does not know.
    fn do_write(&mut self, write: &Write, entries_max: usize) {
        let was_rejoining = self.hard_state.is_rejoining;
        self.hard_state = write.hard_state.unwrap_or(self.hard_state);
        if !self.hard_state.is_rejoining {
            self.forgotten.clear();
            self.has_amnesia &= !was_rejoining;
        }
        self.log.splice(&write.entries[..write.entries.len().min(entries_max)]);
    }

    /// The position of the entry at `index`, in the snapshot or in the log after it. A log
    /// that does not hold the snapshot's last entry does not count, as in
    /// [`Disk::finish_installation`].
    pub(super) fn position_at(&self, index: LogIndex) -> Option<LogPosition> {
        let Some(newest) = self.snapshots.last() else { return self.log.position_at(index) };
        let in_snapshot = |place: u64| newest.applied.get(place as usize).map(Entry::position);
        match index.0.checked_sub(1) {
            None => Some(LogPosition::default()),
            Some(place) if index <= newest.last().index => in_snapshot(place),
            Some(_) if self.log.contains(newest.last()) => self.log.position_at(index),
            Some(_) => None,
        }
    }

    /// True when the snapshot or the log holds an entry (or the beginning) at
    /// `position`.
    pub(super) fn contains(&self, position: LogPosition) -> bool {
        self.position_at(position.index) == Some(position)
    }
}

impl Log {
    pub(super) fn base(&self) -> LogPosition {
        self.base
    }

    /// The position of its last entry; the base when it has none.
    pub(super) fn end(&self) -> LogPosition {
        self.entries.last().map_or(self.base, Entry::position)
    }

    pub(super) fn entry(&self, index: LogIndex) -> Option<&Entry> {
        let place = index.0.checked_sub(self.base.index.0 + 1)?;
        self.entries.get(place as usize)
    }

    /// The position of the entry at `index`, or of the base.
    pub(super) fn position_at(&self, index: LogIndex) -> Option<LogPosition> {
        if index == self.base.index {
            return Some(self.base);
        }
        self.entry(index).map(Entry::position)
    }

    pub(super) fn contains(&self, position: LogPosition) -> bool {
        self.position_at(position.index) == Some(position)
    }

    /// The entries `from..=to`, at most `entries_max`; none when the log begins later.
    pub(super) fn page(&self, from: LogIndex, to: LogIndex, entries_max: u64) -> Vec<Entry> {
        let to = to.0.min(from.0 + entries_max - 1).min(self.end().index.0);
        (from.0..=to).map_while(|index| self.entry(LogIndex(index)).cloned()).collect()
    }

    pub(super) fn runs(&self) -> TermRuns {
        let mut runs = TermRuns::starting_after(self.base);
        for entry in &self.entries {
            runs.push(entry.position());
        }
        runs
    }

    fn splice(&mut self, entries: &[Entry]) {
        let Some(first) = entries.first() else { return };
        let keep = first.index.prev().0.checked_sub(self.base.index.0);
        let keep = keep.expect("what is committed is not written again") as usize;
        assert!(keep <= self.entries.len(), "entry {} is written after a gap", first.index);
        self.entries.truncate(keep);
        self.entries.extend_from_slice(entries);
    }

    fn compact_to(&mut self, base: LogIndex) {
        if base <= self.base.index {
            return;
        }
        let position = self.position_at(base).expect("a log is compacted to what it holds");
        self.entries.retain(|entry| entry.index > base);
        self.base = position;
    }

    fn reset(&mut self, base: LogPosition) {
        assert!(!self.contains(base), "a log that reaches a snapshot goes on");
        *self = Log { base, entries: Vec::new() };
    }
}

impl Deref for Log {
    type Target = [Entry];

    fn deref(&self) -> &[Entry] {
        &self.entries
    }
}

/// Whole logs from their terms, for tests that begin with a past.
pub(super) fn runs_of(log: &[Entry]) -> TermRuns {
    let mut runs = TermRuns::default();
    for entry in log {
        runs.push(entry.position());
    }
    runs
}
