//! The entries that a leader writes when a key is due and nobody else writes: time passes in
//! the store only with entries, and entries remove what has expired (docs/adr/0020).

use crate::actors::messages::kv::Applied;
use crate::types::{LogIndex, LogPosition, Term};

/// The shortest time between two such entries, in milliseconds. The keys that are due in it
/// share an entry; the promise is that a key is gone within a second of its deadline.
const DEADLINE_PAUSE_MS: u64 = 250;

/// The same while expired keys or clients wait for their removal. An entry removes a bounded
/// number of them, and takes every server a few milliseconds.
const REMOVAL_PAUSE_MS: u64 = 25;

/// Maximum number of such entries that are written together. An entry ends one lease that has
/// keys, so that a watch is told of one end a revision; so a thousand leases that are due together
/// have ended within a second.
const TOGETHER_MAX: u64 = 64;

/// The state of the store, as far as it asks for entries.
#[derive(Debug, Default)]
pub(super) struct Expiry {
    /// The time at which the next key expires, as KvActor reported last, in milliseconds of
    /// the store's clock.
    next_deadline_ms: Option<u64>,
    /// True when expired keys or clients waited for their removal then.
    has_hidden: bool,
    /// The number of due leases that may end in one go.
    ending_leases: u64,
    /// The newest entry of this kind, and the store's time when it was written.
    written: Option<(LogPosition, u64)>,
}

/// The state of the node that decides with the store's.
#[derive(Clone, Copy, Debug)]
pub(super) struct Now {
    pub term: Term,
    pub last_applied: LogIndex,
    /// The stamp that an entry would get, in milliseconds.
    pub store_time_ms: u64,
    /// The stamp of the log's last entry.
    pub last_stamp_ms: u64,
}

impl Expiry {
    /// The store has reported its state.
    pub(super) fn on_applied(&mut self, applied: &Applied) {
        self.next_deadline_ms = applied.next_deadline_ms;
        self.has_hidden = applied.has_hidden;
        self.ending_leases = applied.ending_leases;
    }

    /// The number of entries that a leader has to write. None is needed while one of this kind is
    /// under way.
    pub(super) fn needed_entries(&self, now: Now) -> u64 {
        if self.needs_entry(now) { self.ending_leases.clamp(1, TOGETHER_MAX) } else { 0 }
    }

    fn needs_entry(&self, now: Now) -> bool {
        let pause_ms = if self.has_hidden { REMOVAL_PAUSE_MS } else { DEADLINE_PAUSE_MS };
        // An entry of another term may have been truncated, and its time does not compare.
        let written = self.written.filter(|(position, _)| position.term == now.term);
        let is_too_early = written.is_some_and(|(position, at_ms)| {
            position.index > now.last_applied || now.store_time_ms < at_ms.saturating_add(pause_ms)
        });
        let is_overdue = |deadline_ms| {
            // An entry under way with a later stamp does it.
            now.store_time_ms >= deadline_ms && now.last_stamp_ms < deadline_ms
        };
        !is_too_early && (self.has_hidden || self.next_deadline_ms.is_some_and(is_overdue))
    }

    /// This node has written an entry of this kind.
    pub(super) fn on_written(&mut self, position: LogPosition, store_time_ms: u64) {
        self.written = Some((position, store_time_ms));
    }
}

#[cfg(test)]
mod tests;
