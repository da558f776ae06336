//! A disk that forgets what was not synced.

use std::collections::VecDeque;

use crate::raft::PersistSeq;
use crate::types::{Entry, HardState, LogPosition, LogSummary, Payload, TermRuns};

/// What survives a crash.
#[derive(Clone, Default)]
pub(super) struct Durable {
    pub(super) hard_state: HardState,
    pub(super) log: Vec<Entry>,
}

struct Write {
    seq: PersistSeq,
    hard_state: Option<HardState>,
    entries: Vec<Entry>,
}

/// Invariant: `log` is `durable.log` with every one of `writes` done to it.
#[derive(Default)]
pub(super) struct Disk {
    durable: Durable,
    writes: VecDeque<Write>,
    log: Vec<Entry>,
}

impl Disk {
    pub(super) fn new(durable: Durable) -> Disk {
        Disk { log: durable.log.clone(), writes: VecDeque::new(), durable }
    }

    pub(super) fn durable(&self) -> &Durable {
        &self.durable
    }

    /// The log as its owner knows it, synced or not.
    pub(super) fn log(&self) -> &[Entry] {
        &self.log
    }

    pub(super) fn write(
        &mut self,
        seq: PersistSeq,
        hard_state: Option<HardState>,
        entries: Vec<Entry>,
    ) {
        splice(&mut self.log, &entries);
        self.writes.push_back(Write { seq, hard_state, entries });
    }

    /// Makes the oldest write durable.
    pub(super) fn sync_next(&mut self) -> Option<PersistSeq> {
        let write = self.writes.pop_front()?;
        self.durable.do_write(&write, usize::MAX);
        Some(write.seq)
    }

    /// The machine stops. Of what was not synced, `writes` may have reached the
    /// platter all the same, and of the next one its first `torn_entries`.
    pub(super) fn crash(&mut self, writes: usize, torn_entries: usize) {
        for _ in 0..writes {
            self.sync_next();
        }
        if let Some(torn) = self.writes.pop_front()
            && torn_entries > 0
        {
            self.durable.do_write(&torn, torn_entries);
        }
        *self = Disk::new(std::mem::take(&mut self.durable));
    }

    /// What recovery would tell.
    pub(super) fn summary(&self) -> LogSummary {
        let mut summary = LogSummary::default();
        for entry in &self.log {
            summary.runs.push(entry.position());
            summary.last_stamp_ms = entry.stamp_ms;
            if let Payload::Membership(membership) = &entry.payload {
                summary.memberships.push((entry.index, membership.clone()));
            }
        }
        summary
    }
}

impl Durable {
    /// As the storage makes it.
    pub(super) fn new_directory() -> Durable {
        let hard_state = HardState { is_newcomer: true, ..HardState::default() };
        Durable { hard_state, log: Vec::new() }
    }

    /// The hard state goes first: a log never has a term that it does not know.
    fn do_write(&mut self, write: &Write, entries_max: usize) {
        self.hard_state = write.hard_state.unwrap_or(self.hard_state);
        splice(&mut self.log, &write.entries[..write.entries.len().min(entries_max)]);
    }

    /// True when the log holds an entry (or its beginning) at `position`.
    pub(super) fn contains(&self, position: LogPosition) -> bool {
        position_at(&self.log, position.index.0) == Some(position)
    }
}

/// The position of the entry at `index` of a whole log.
pub(super) fn position_at(log: &[Entry], index: u64) -> Option<LogPosition> {
    match index {
        0 => Some(LogPosition::default()),
        index => log.get(index as usize - 1).map(Entry::position),
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

fn splice(log: &mut Vec<Entry>, entries: &[Entry]) {
    let Some(first) = entries.first() else { return };
    let keep = first.index.prev().0 as usize;
    assert!(keep <= log.len(), "entry {} is written behind a gap", first.index);
    log.truncate(keep);
    log.extend_from_slice(entries);
}
