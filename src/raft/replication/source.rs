//! The entries for one peer: the newest are kept at hand, older ones are read from the
//! log.

use std::collections::VecDeque;

use super::settings::ProgressSettings;
use crate::raft::effect::ReadEntries;
use crate::types::{Entry, LogIndex, TermRuns};

/// The state of the read from the log.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
enum Reading {
    /// No read is under way.
    #[default]
    Idle,
    /// A read is under way.
    Running,
    /// The log had none of the entries that the last read asked for. The next read waits
    /// for a heartbeat, because reads without a pause would only load the disk.
    Failed,
}

/// The entries that are at hand for one peer, and the read that brings more.
#[derive(Default)]
pub(super) struct EntrySource {
    /// The newest entries. Invariant: contiguous, and ends at the end of the leader's log,
    /// or empty.
    newest: VecDeque<Entry>,
    /// Invariant: the sum of `Entry::weight_bytes` over `newest`.
    newest_bytes: u64,
    /// Entries before those in `newest`, read from the log. Invariant: contiguous.
    read: VecDeque<Entry>,
    reading: Reading,
    /// The number of the last read, which is the only one whose answer counts.
    ticket: u64,
}

impl EntrySource {
    /// Adds a new entry at the end of the leader's log.
    pub(super) fn push(&mut self, entry: Entry) {
        self.newest_bytes += entry.weight_bytes();
        self.newest.push_back(entry);
    }

    /// Drops the entries that the peer has from `newest`, and then its oldest entries until
    /// it holds at most `bytes_max`.
    pub(super) fn trim(&mut self, match_index: LogIndex, bytes_max: u64) {
        while let Some(first) = self.newest.front()
            && (first.index <= match_index || self.newest_bytes > bytes_max)
        {
            self.newest_bytes -= first.weight_bytes();
            self.newest.pop_front();
        }
    }

    /// A heartbeat is due: a read that found nothing may be tried again.
    pub(super) fn on_heartbeat(&mut self) {
        if self.reading == Reading::Failed {
            self.reading = Reading::Idle;
        }
    }

    /// The answer to the read with this ticket. The entries are kept if they begin with
    /// the peer's next entry and are entries of this leader's log.
    pub(super) fn on_read(
        &mut self,
        ticket: u64,
        entries: Vec<Entry>,
        next_index: LogIndex,
        runs: &TermRuns,
    ) {
        if ticket != self.ticket {
            return; // a read from before the last search for the end of the peer's log
        }
        self.reading = if entries.is_empty() { Reading::Failed } else { Reading::Idle };
        let is_wanted = entries.first().is_some_and(|first| first.index == next_index)
            && entries.iter().all(|entry| runs.contains(entry.position()));
        if is_wanted {
            self.read = entries.into();
        }
    }

    /// Forgets the entries that were read and the read under way: the peer may need other
    /// entries.
    pub(super) fn forget_read(&mut self) {
        self.read.clear();
        self.ticket += 1;
        self.reading = Reading::Idle;
    }

    /// The entries from `next_index` on that are at hand, as many as fit into one request;
    /// none when the next one must be read first.
    pub(super) fn batch(
        &mut self,
        next_index: LogIndex,
        settings: &ProgressSettings,
    ) -> Vec<Entry> {
        while self.read.front().is_some_and(|entry| entry.index < next_index) {
            self.read.pop_front();
        }
        let is_next = |entry: Option<&Entry>| entry.is_some_and(|entry| entry.index <= next_index);
        let source = if is_next(self.read.front()) {
            &self.read
        } else if is_next(self.newest.front()) {
            &self.newest
        } else {
            return Vec::new();
        };
        let skip = source.front().map_or(0, |first| (next_index.0 - first.index.0) as usize);
        let mut bytes = 0;
        source
            .iter()
            .skip(skip)
            .take(settings.append_entries_max)
            .take_while(|entry| {
                let is_first = bytes == 0;
                bytes += entry.weight_bytes();
                is_first || bytes <= settings.append_bytes_max
            })
            .cloned()
            .collect()
    }

    /// The read that brings the entries between `next_index` and the newest ones; `None`
    /// when there are none, or a read is under way. `last` is the end of the leader's log.
    pub(super) fn begin_read(
        &mut self,
        next_index: LogIndex,
        last: LogIndex,
        bytes_max: u64,
    ) -> Option<ReadEntries> {
        let at_hand = self.newest.front().map_or(last.next(), |entry| entry.index);
        if self.reading != Reading::Idle || next_index >= at_hand {
            return None;
        }
        self.reading = Reading::Running;
        self.ticket += 1;
        Some(ReadEntries { ticket: self.ticket, from: next_index, to: at_hand.prev(), bytes_max })
    }
}

#[cfg(test)]
mod tests;
