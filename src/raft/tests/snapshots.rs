//! A node's snapshots: files that are bytes when they travel, and the jobs of the
//! actor that keeps them.

use std::sync::Arc;

use bytes::Bytes;

use super::text;
use crate::raft::{InstallSnapshot, SnapshotPoint};
use crate::types::{Entry, LogPosition, NodeId, SnapshotId, Term};

/// The store here is the list of what was applied, and so is a snapshot of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SnapshotFile {
    pub(super) id: SnapshotId,
    pub(super) point: SnapshotPoint,
    pub(super) applied: Vec<Entry>,
    pub(super) bytes: Bytes,
}

impl SnapshotFile {
    pub(super) fn new(point: SnapshotPoint, applied: Vec<Entry>) -> SnapshotFile {
        assert_eq!(
            applied.last().map(Entry::position),
            Some(point.last),
            "a snapshot is taken of the store as it is"
        );
        let bytes = Bytes::from(text::entries(&applied));
        let id =
            SnapshotId { last: point.last, bytes: bytes.len() as u64, digest: digest_of(&bytes) };
        SnapshotFile { id, point, applied, bytes }
    }

    pub(super) fn last(&self) -> LogPosition {
        self.id.last
    }

    pub(super) fn stamp_ms(&self) -> u64 {
        self.applied.last().map_or(0, |entry| entry.stamp_ms)
    }

    pub(super) fn piece(&self, offset: u64, bytes_max: u64) -> Bytes {
        let end = offset.saturating_add(bytes_max).min(self.id.bytes);
        self.bytes.slice(offset as usize..end as usize)
    }
}

/// FNV-1a: what is mixed up does not have it by chance.
pub(super) fn digest_of(bytes: &[u8]) -> u128 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    u128::from(bytes.iter().fold(0xcbf2_9ce4_8422_2325, step))
}

/// What the keeper of the snapshots has still to do.
#[derive(Clone, Debug)]
pub(super) enum Job {
    Take {
        point: SnapshotPoint,
        applied: Vec<Entry>,
    },
    Receive {
        from: NodeId,
        term: Term,
        piece: InstallSnapshot,
    },
    /// To tell the core that one is whole: a crash may come before.
    Deliver {
        from: NodeId,
        term: Term,
        request_seq: u64,
        file: Arc<SnapshotFile>,
    },
    Read {
        peer: NodeId,
        term: Term,
        ticket: u64,
        snapshot: Option<SnapshotId>,
        offset: u64,
        bytes_max: u64,
    },
}
