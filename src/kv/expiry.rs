//! The steps in which expired names are removed (docs/adr/0020).
//!
//! A name that is due is hidden at once, and removed by this entry or a later one. An entry
//! removes a bounded number of names, so that a million that are due at one entry hold up no
//! server. Which names an entry removes follows from the log alone, so all nodes remove the
//! same.

use imbl::OrdMap;

use super::weight::RECORD_OVERHEAD_BYTES;
use crate::types::Payload;

/// Maximum number of keys, and of clients, that an entry with a command removes, besides
/// those that make room for the command. It is a constant of the format.
pub const COMMAND_REMOVALS_MAX: u64 = 16;

/// Maximum number of keys, and of clients, that an entry without a command removes. A leader
/// writes such entries to remove what is due. It is a constant of the format.
pub const NOOP_REMOVALS_MAX: u64 = 1_000;

/// The size of removed keys in bytes at which an entry with a command stops removing,
/// besides the size of the command. It is a constant of the format.
const COMMAND_REMOVED_BYTES: u64 = 1024 * 1024;

/// The size of removed keys in bytes at which an entry without a command stops removing. It
/// is a constant of the format.
const NOOP_REMOVED_BYTES: u64 = 16 * 1024 * 1024;

/// Maximum number of keys that the leases have together which end in one go.
pub(super) const ENDING_KEYS_MAX: u64 = 4 * NOOP_REMOVALS_MAX;

/// A number of keys and their size in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Total {
    pub names: u64,
    pub bytes: u64,
}

impl Total {
    pub fn add(&mut self, bytes: u64) {
        self.names += 1;
        self.bytes += bytes;
    }

    pub fn subtract(&mut self, bytes: u64) {
        self.names -= 1;
        self.bytes -= bytes;
    }

    /// The sum of both.
    #[must_use]
    pub fn plus(self, other: Total) -> Total {
        Total { names: self.names + other.names, bytes: self.bytes + other.bytes }
    }

    /// The difference of both.
    #[must_use]
    pub fn less(self, other: Total) -> Total {
        Total { names: self.names - other.names, bytes: self.bytes - other.bytes }
    }
}

/// The bounds of the removal by one entry. Removal stops at the first one that is reached.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    pub names: u64,
    pub bytes: u64,
}

impl Step {
    /// The step of an entry with this payload. A command removes at least as many bytes as
    /// it writes while anything is due: a key has at least [`RECORD_OVERHEAD_BYTES`]. So the
    /// keys that are hidden never make the store larger than its limit.
    pub fn of(payload: &Payload) -> Step {
        match payload {
            Payload::Command(command) => {
                let bytes = command.len() as u64;
                Step {
                    names: COMMAND_REMOVALS_MAX + bytes / RECORD_OVERHEAD_BYTES,
                    bytes: COMMAND_REMOVED_BYTES + bytes,
                }
            }
            Payload::Noop | Payload::Membership(_) | Payload::Format(_) | Payload::ClusterId(_) => {
                Step { names: NOOP_REMOVALS_MAX, bytes: NOOP_REMOVED_BYTES }
            }
        }
    }

    /// True while more may be removed after `removed`.
    pub fn allows_more(&self, removed: Total) -> bool {
        removed.names < self.names && removed.bytes < self.bytes
    }
}

/// The totals of the keys that have a deadline: of those that are due together, and of the
/// others for each deadline.
///
/// Counting the due keys when the clock advances would take a step for each of them. This
/// takes a step for each millisecond that has deadlines, and there are few between two
/// entries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct DueTotals {
    clock_ms: u64,
    due: Total,
    /// Invariant: each deadline is after `clock_ms`, and no total is zero.
    ahead: OrdMap<u64, Total>,
}

impl DueTotals {
    /// The time, in milliseconds of the store's clock.
    pub fn clock_ms(&self) -> u64 {
        self.clock_ms
    }

    /// Advances the clock, which never falls.
    pub fn advance(&mut self, clock_ms: u64) {
        self.clock_ms = self.clock_ms.max(clock_ms);
        while let Some(deadline_ms) = self.next_ms().filter(|next| *next <= self.clock_ms) {
            let total = self.ahead.remove(&deadline_ms).unwrap_or_default();
            self.due.names += total.names;
            self.due.bytes += total.bytes;
        }
    }

    /// Adds a key of this size.
    pub fn add(&mut self, deadline_ms: u64, bytes: u64) {
        self.add_total(deadline_ms, Total { names: 1, bytes });
    }

    /// Adds keys of this number and size, which may be none.
    pub fn add_total(&mut self, deadline_ms: u64, added: Total) {
        if added.names == 0 {
            return;
        }
        if deadline_ms <= self.clock_ms {
            self.due = self.due.plus(added);
        } else if let Some(total) = self.ahead.get_mut(&deadline_ms) {
            *total = total.plus(added);
        } else {
            self.ahead.insert(deadline_ms, added);
        }
    }

    /// Removes a key of this size, which was added with this deadline.
    pub fn remove(&mut self, deadline_ms: u64, bytes: u64) {
        self.remove_total(deadline_ms, Total { names: 1, bytes });
    }

    /// Removes keys of this number and size, which were added with this deadline; they may be
    /// none.
    pub fn remove_total(&mut self, deadline_ms: u64, removed: Total) {
        if removed.names == 0 {
            return;
        }
        if deadline_ms <= self.clock_ms {
            self.due = self.due.less(removed);
            return;
        }
        let total = self.ahead.get_mut(&deadline_ms).expect("a key was added before it is removed");
        *total = total.less(removed);
        if total.names == 0 {
            self.ahead.remove(&deadline_ms);
        }
    }

    /// The total of the keys that are due.
    pub fn due(&self) -> Total {
        self.due
    }

    /// The earliest deadline that is not due.
    pub fn next_ms(&self) -> Option<u64> {
        self.ahead.get_min().map(|(deadline_ms, _)| *deadline_ms)
    }
}

#[cfg(test)]
mod tests;
