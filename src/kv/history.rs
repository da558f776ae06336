//! The changes of the store, back to the compacted revision (docs/adr/0029).
//!
//! Changes are numbered from 1, in the order in which they are made; those of one entry follow
//! each other and have one revision. A change knows the record that it replaced, so that the
//! store as of any revision that is kept can be read from the present one backwards.

use std::sync::Arc;

use imbl::Vector;

use super::key_bytes::KeyBytes;
use super::record::Record;

/// The bounds of the history, from the settings of the leader. They are part of the replicated
/// state, so that all servers trim alike: `Operation::SetHistory` sets them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HistoryLimits {
    /// Number of revisions that are kept before the present one; 0 keeps none.
    pub keep_revisions: u64,
    /// Maximum size of the history in bytes, as `store_bytes_max` counts it.
    pub bytes_max: u64,
}

/// The kind of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// The key was written.
    Put,
    /// The key was removed by a command, or with its lease when that was revoked.
    Delete,
    /// The key was removed because its time, or that of its lease, was over.
    Expire,
}

/// One change of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub key: KeyBytes,
    pub revision: u64,
    pub kind: ChangeKind,
    /// The store's clock when the change was made, in milliseconds.
    pub at_ms: u64,
    /// The record that the change has written; `None` when it removed the key.
    pub record: Option<Arc<Record>>,
    /// The record that was there before; `None` when the key was absent.
    pub previous: Option<Arc<Record>>,
    /// The number of the change of this key before this one; 0 when it is not known.
    pub before: u64,
}

/// The changes that are kept. A clone takes constant time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct History {
    revision: u64,
    compacted: u64,
    limits: HistoryLimits,
    changes: Vector<Change>,
    /// The number of the last change.
    last: u64,
}

impl History {
    /// The store's revision.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The oldest revision that can be read.
    pub fn compacted(&self) -> u64 {
        self.compacted
    }

    /// The bounds in force.
    pub fn limits(&self) -> HistoryLimits {
        self.limits
    }

    /// Sets the bounds.
    pub fn set_limits(&mut self, limits: HistoryLimits) {
        self.limits = limits;
    }

    /// True when changes are kept at all.
    pub fn keeps_changes(&self) -> bool {
        self.limits.keep_revisions > 0
    }

    /// Begins to count revisions: from `revision` on.
    pub fn begin(&mut self, revision: u64) {
        (self.revision, self.compacted) = (revision, revision);
    }

    /// The number that the next change gets.
    pub fn next_change(&self) -> u64 {
        self.last + 1
    }

    /// Adds a change.
    pub fn push(&mut self, change: Change) {
        self.last += 1;
        self.changes.push_back(change);
    }

    /// All changes of an entry are made; they have this revision.
    pub fn finish(&mut self, revision: u64) {
        self.revision = revision;
        if !self.keeps_changes() {
            self.compacted = revision;
        }
    }
}
