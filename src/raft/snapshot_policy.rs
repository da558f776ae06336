//! The decisions about this node's snapshots: when one is taken, and how far the log may
//! be compacted (docs/adr/0008).
//!
//! Two snapshots are kept, and the log goes on from the older one. So whichever of the two
//! is damaged, the log goes on from the other without a gap (docs/bugs.md B55).

use super::log_weights::LogWeights;
use super::settings::RaftSettings;
use crate::types::{Entry, LogIndex, LogPosition};

/// A log that is kept for a peer weighs at most so many times the larger of
/// `snapshot_bytes_max` and the newest snapshot (docs/adr/0017). A snapshot is due after each
/// such weight, and two are kept: with a factor of 2, a hold would end just as it begins to
/// matter. A peer that receives a snapshot at less than a quarter of the speed at which the
/// log grows would not keep up with the log either.
const HELD_LOG_FACTOR: u64 = 4;

/// A snapshot of more than [`CHEAP_BYTES`] is due after so many times its bytes of log, or after
/// `snapshot_bytes_max` of log (docs/adr/0008).
const WORTH_FACTOR: u64 = 8;

/// A snapshot of so many bytes takes a hundredth of a second, and is worth as many bytes of log.
const CHEAP_BYTES: u64 = 4 << 20;

/// The shortest pause between a snapshot and one that a client wants, in seconds.
const WANTED_PAUSE_SECONDS: u64 = 1;

/// The pause is longer by a second for so many bytes of the newest snapshot. So the snapshots
/// that clients want write no more than this a second.
const WANTED_BYTES_PER_SECOND: u64 = 16 << 20;

/// The snapshots that a node has when it starts; 0 where there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SnapshotPositions {
    /// The last entry in the newest snapshot, which the store was loaded from.
    pub newest: LogPosition,
    /// The size of the newest snapshot's file in bytes.
    pub newest_bytes: u64,
    /// The last entry in the snapshot before it.
    pub older: LogIndex,
}

/// The state of saving the store.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Saving {
    /// No snapshot is being taken.
    #[default]
    Idle,
    /// A snapshot is being taken.
    Running,
    /// There was no room for the last attempt, a snapshot up to `index`. The next attempt
    /// waits until enough new entries for a snapshot have come.
    Failed { index: LogIndex },
}

/// A snapshot that was found to be damaged, and was removed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Loss {
    /// The older one: another snapshot is due at once.
    Older,
    /// The newest one: another snapshot is due at once, and until it is durable the log is
    /// kept for the older one.
    Newest,
    /// The newest one, and its replacement is being taken.
    NewestBeingReplaced,
}

/// The snapshots of this node, and the state of the next one.
///
/// Invariant: `base <= older <= newest <= submitted_index`, where `base` is the position
/// before the log's first entry.
pub(super) struct SnapshotPolicy {
    /// The newest durable snapshot.
    newest: LogPosition,
    /// The size of the newest snapshot that was taken or loaded, in bytes; one that was
    /// received does not change it.
    newest_bytes: u64,
    /// The last entry in the snapshot before it, which is kept in case the newest is damaged.
    older: LogIndex,
    saving: Saving,
    is_compacting: bool,
    loss: Option<Loss>,
    /// A client wants a snapshot at or after this entry (docs/adr/0011); 0 for none.
    wanted_index: LogIndex,
    /// The weight of the entries that were submitted since the last snapshot was begun.
    bytes_since: u64,
    /// The weights of the entries that were submitted since the start.
    weights: LogWeights,
    /// Ticks since the last attempt to take a snapshot ended.
    ticks_since: u32,
}

impl SnapshotPolicy {
    /// The policy of a node that starts with these snapshots and a log after `base`.
    pub(super) fn new(positions: SnapshotPositions, base: LogPosition) -> SnapshotPolicy {
        SnapshotPolicy {
            newest: positions.newest,
            newest_bytes: positions.newest_bytes,
            // A snapshot from before the base is of no use: the log does not reach it.
            older: positions.older.max(base.index),
            saving: Saving::Idle,
            is_compacting: false,
            loss: None,
            wanted_index: LogIndex(0),
            bytes_since: 0,
            // The entries after the snapshot are submitted again.
            weights: LogWeights::starting_after(positions.newest.index),
            ticks_since: u32::MAX,
        }
    }

    pub(super) fn newest(&self) -> LogPosition {
        self.newest
    }

    pub(super) fn older(&self) -> LogIndex {
        self.older
    }

    // Taking.

    /// The store was given these entries.
    pub(super) fn on_submitted(&mut self, entries: &[Entry]) {
        self.bytes_since += self.weights.add(entries);
    }

    /// True when a snapshot is due, and none is being taken.
    pub(super) fn is_due(&self, submitted_index: LogIndex, settings: &RaftSettings) -> bool {
        let since = match self.saving {
            Saving::Running => return false,
            Saving::Failed { index } => self.newest.index.max(index),
            Saving::Idle => self.newest.index,
        };
        let is_enough = submitted_index.0 - since.0 >= settings.snapshot_entries_max
            || self.bytes_since >= settings.snapshot_bytes_max;
        let is_worth_it = self.bytes_since >= self.least_bytes(settings);
        let is_lost = matches!(self.loss, Some(Loss::Older | Loss::Newest));
        is_enough && is_worth_it || is_lost || self.is_wanted_now(settings)
    }

    /// The weight of the entries that is worth a snapshot as large as the last one. So all
    /// snapshots together write no more bytes than the log; and where `snapshot_bytes_max` allows
    /// a longer log, a part of them, because a busy store has another history in each snapshot.
    fn least_bytes(&self, settings: &RaftSettings) -> u64 {
        if self.newest_bytes <= CHEAP_BYTES {
            return self.newest_bytes;
        }
        let seldom = self.newest_bytes.saturating_mul(WORTH_FACTOR);
        seldom.min(self.newest_bytes.max(settings.snapshot_bytes_max))
    }

    /// True when a client waits for a snapshot. The one that is being taken may be enough
    /// for it.
    pub(super) fn is_wanted(&self) -> bool {
        self.wanted_index > self.newest.index
    }

    /// True when a client waits for a snapshot, and the last attempt to take one is long
    /// enough ago. Otherwise a client that asks again and again would keep the disk writing
    /// whole snapshots.
    fn is_wanted_now(&self, settings: &RaftSettings) -> bool {
        let ticks_per_second = u64::from(settings.ticks_per_second);
        let pause_ticks = ticks_per_second.saturating_mul(WANTED_PAUSE_SECONDS)
            + (self.newest_bytes / WANTED_BYTES_PER_SECOND).saturating_mul(ticks_per_second);
        self.is_wanted() && u64::from(self.ticks_since) >= pause_ticks
    }

    /// Advances time by one tick.
    pub(super) fn tick(&mut self) {
        self.ticks_since = self.ticks_since.saturating_add(1);
    }

    /// A client wants a snapshot at or after `index`.
    pub(super) fn want(&mut self, index: LogIndex) {
        self.wanted_index = self.wanted_index.max(index);
    }

    /// A snapshot is taken from here on.
    pub(super) fn begin_saving(&mut self) {
        self.saving = Saving::Running;
        self.bytes_since = 0;
        self.loss = match self.loss {
            Some(Loss::Newest | Loss::NewestBeingReplaced) => Some(Loss::NewestBeingReplaced),
            Some(Loss::Older) | None => None,
        };
    }

    /// The snapshot that was being taken is durable, a file of `bytes`.
    ///
    /// # Panics
    /// When none was being taken.
    pub(super) fn on_taken(&mut self, last: LogPosition, bytes: u64) {
        assert!(self.saving == Saving::Running, "no snapshot was asked for");
        self.saving = Saving::Idle;
        self.ticks_since = 0;
        // A newer one may have been installed meanwhile.
        let newest = self.newest.index;
        if last.index >= newest {
            let was_gone = self.replace_newest();
            if last.index > newest && !was_gone {
                self.older = newest;
            }
            self.newest = last;
            self.newest_bytes = bytes;
        }
    }

    /// Updates the loss for another newest snapshot. Returns true when the one before was
    /// lost.
    fn replace_newest(&mut self) -> bool {
        let was_gone = matches!(self.loss, Some(Loss::Newest | Loss::NewestBeingReplaced));
        self.loss = match self.loss {
            // A snapshot was lost while the one that is newest now was being taken. Only the
            // newest is left, so another one is due.
            Some(Loss::Newest | Loss::Older) => Some(Loss::Older),
            Some(Loss::NewestBeingReplaced) | None => None,
        };
        was_gone
    }

    /// There was no room for the snapshot that was being taken. A client that wanted one
    /// has to ask again.
    ///
    /// # Panics
    /// When none was being taken.
    pub(super) fn on_failed(&mut self, last: LogPosition) {
        assert!(self.saving == Saving::Running, "no snapshot was asked for");
        self.saving = Saving::Failed { index: last.index };
        self.ticks_since = 0;
        self.wanted_index = LogIndex(0);
    }

    /// The snapshot up to `last` was damaged, and is gone.
    pub(super) fn on_lost(&mut self, last: LogPosition) {
        let is_newest = last == self.newest
            || matches!(self.loss, Some(Loss::Newest | Loss::NewestBeingReplaced));
        self.loss = Some(if is_newest { Loss::Newest } else { Loss::Older });
    }

    /// A snapshot that the leader sent takes the place of log and store.
    pub(super) fn on_installed(&mut self, base: LogPosition) {
        self.newest = base;
        self.older = base.index;
        self.replace_newest();
        self.bytes_since = 0;
        self.weights = LogWeights::starting_after(base.index);
    }

    // Compaction.

    /// The last entry that both snapshots cover and that followers which lag a little are
    /// not likely to need. `last` is the end of the log.
    pub(super) fn compaction_limit(&self, last: LogIndex, keep_entries: u64) -> LogIndex {
        self.older.min(LogIndex(last.0.saturating_sub(keep_entries)))
    }

    /// Begins a compaction of the log; false when one is under way.
    pub(super) fn begin_compacting(&mut self) -> bool {
        !std::mem::replace(&mut self.is_compacting, true)
    }

    /// The log is compacted up to `base`.
    ///
    /// # Panics
    /// When no compaction was under way.
    pub(super) fn on_compacted(&mut self, base: LogIndex) {
        assert!(self.is_compacting, "no compaction was asked for");
        self.is_compacting = false;
        self.weights.compact_to(base);
    }

    /// True when the log after `index` is too large to be kept for one peer.
    pub(super) fn is_log_too_large(&self, index: LogIndex, settings: &RaftSettings) -> bool {
        let unit = self.newest_bytes.max(settings.snapshot_bytes_max);
        self.weights.after(index) > HELD_LOG_FACTOR.saturating_mul(unit)
    }
}

#[cfg(test)]
mod tests;
