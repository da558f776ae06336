//! The changes that a watch tells.

use bytes::Bytes;

use crate::protocol::{WatchEvent, WatchKind};

/// All changes of one revision, of the keys that are watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changes {
    /// The revision. All changes up to it have been told; `from(revision + 1)` goes on.
    pub revision: u64,
    /// The changes, in the order in which they were made; none in a note of progress.
    pub changes: Vec<Change>,
}

/// The change of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The key.
    pub key: Vec<u8>,
    /// The kind of the change.
    pub kind: ChangeKind,
    /// The value before, if that was asked for, and the key was there.
    pub previous: Option<Previous>,
}

/// The kind of a [`Change`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// It was written. The revision is the value's version.
    Set {
        /// The value.
        value: Vec<u8>,
        /// The whole seconds that it had left when it was written, rounded up; 0 for never.
        exptime: u64,
    },
    /// It was deleted by a command, or with its lease when that was revoked.
    Deleted,
    /// Its time was over, or that of its lease.
    Expired,
}

/// A value that was replaced or removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Previous {
    /// Its version.
    pub version: u64,
    /// The value.
    pub value: Vec<u8>,
}

impl Change {
    pub(super) fn new(event: WatchEvent) -> Change {
        let kind = match event.kind {
            WatchKind::Set { exptime, value } => ChangeKind::Set { value: vec_of(&value), exptime },
            WatchKind::Deleted => ChangeKind::Deleted,
            WatchKind::Expired => ChangeKind::Expired,
        };
        let previous = event.previous.map(|previous| Previous {
            version: previous.revision,
            value: vec_of(&previous.value),
        });
        Change { key: vec_of(&event.key), kind, previous }
    }
}

/// A copy: a slice would keep the whole buffer alive that it was received in.
fn vec_of(bytes: &Bytes) -> Vec<u8> {
    bytes.to_vec()
}
