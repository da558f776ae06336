//! The window of requests with entries that are sent and not acknowledged.

use std::collections::VecDeque;

use super::settings::ProgressSettings;
use crate::types::{Entry, LogIndex};

/// One request with entries.
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

/// The requests with entries under way to one peer.
#[derive(Default)]
pub(super) struct Pipeline {
    /// Invariant: `last_index` rises, and is above the peer's match index.
    inflight: VecDeque<Inflight>,
    /// Invariant: the sum of `entries` over `inflight` (docs/bugs.md B29).
    entries: usize,
    /// Invariant: the sum of `bytes` over `inflight` (docs/bugs.md B29).
    bytes: u64,
}

impl Pipeline {
    /// Entries sent and not acknowledged.
    pub(super) fn entries(&self) -> usize {
        self.entries
    }

    /// True when another request may be sent.
    pub(super) fn has_room(&self, settings: &ProgressSettings) -> bool {
        self.entries < settings.inflight_entries_max && self.bytes < settings.inflight_bytes_max
    }

    /// The first entry of the oldest request.
    pub(super) fn first_index(&self) -> Option<LogIndex> {
        self.inflight.front().map(Inflight::first_index)
    }

    /// Adds a request with these entries; does nothing when there are none.
    pub(super) fn push(&mut self, entries: &[Entry]) {
        let Some(last) = entries.last() else { return };
        let bytes = entries.iter().map(Entry::weight_bytes).sum();
        self.entries += entries.len();
        self.bytes += bytes;
        let last_index = last.index;
        self.inflight.push_back(Inflight { last_index, entries: entries.len(), bytes });
    }

    /// Removes the requests whose entries the peer has acknowledged.
    pub(super) fn acknowledge(&mut self, match_index: LogIndex) {
        while let Some(first) = self.inflight.front()
            && first.last_index <= match_index
        {
            self.entries -= first.entries;
            self.bytes -= first.bytes;
            self.inflight.pop_front();
        }
    }

    /// Forgets all requests: the logs are compared anew.
    pub(super) fn clear(&mut self) {
        self.inflight.clear();
        self.entries = 0;
        self.bytes = 0;
    }

    pub(super) fn check_invariants(&self) {
        debug_assert_eq!(
            (self.entries, self.bytes),
            self.inflight
                .iter()
                .fold((0, 0), |(entries, bytes), f| (entries + f.entries, bytes + f.bytes)),
            "the window's counters are the sum of what is in it (docs/bugs.md B29)"
        );
    }
}

#[cfg(test)]
mod tests;
