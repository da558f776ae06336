//! The cluster's snapshots: files that are bytes when they travel, and the keeper of each
//! node's files, which does one job after the other.

use std::sync::Arc;

use bytes::Bytes;

use super::cluster::{Cluster, WINDOW};
use super::disk::Received;
use super::pending::Pending;
use super::text;
use crate::raft::InstallSnapshot;
use crate::types::{Entry, LogPosition, NodeId, SnapshotId, SnapshotPoint, Term};

/// The rules by which snapshots are taken and sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct SnapshotRules {
    pub(super) entries_max: u64,
    pub(super) bytes_max: u64,
    pub(super) keep_entries: u64,
    pub(super) piece_bytes: u64,
    pub(super) window_bytes: u64,
}

impl SnapshotRules {
    pub(super) const NONE: SnapshotRules = SnapshotRules {
        entries_max: u64::MAX,
        bytes_max: u64::MAX,
        keep_entries: 0,
        piece_bytes: WINDOW.snapshot_piece_bytes,
        window_bytes: WINDOW.snapshot_window_bytes,
    };
}

/// A snapshot. The store here is the list of applied entries, and so is a snapshot of it.
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
        // The entries are in reverse order, so that no snapshot is the beginning of another.
        let backwards: Vec<Entry> = applied.iter().rev().cloned().collect();
        let bytes = Bytes::from(text::entries(&backwards));
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

/// The FNV-1a hash of a file, which a mixture of two files does not have by chance.
pub(super) fn digest_of(bytes: &[u8]) -> u128 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    u128::from(bytes.iter().fold(0xcbf2_9ce4_8422_2325, step))
}

/// A job of the keeper of the snapshot files.
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
    /// Tells the core that a snapshot is whole: a crash may come before.
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

impl Cluster {
    pub(super) fn complete_job(&mut self, id: NodeId) -> bool {
        let Some(job) = self.node_mut(id).jobs.pop_front() else { return false };
        match job {
            Job::Take { point, applied } => {
                let file = Arc::new(SnapshotFile::new(point, applied));
                // These snapshots have all entries that were ever applied, so by their size
                // they would become ever rarer.
                let bytes = if self.seed.is_multiple_of(2) { file.id.bytes } else { 0 };
                let last = file.last();
                self.files.insert(file.id.digest, Arc::clone(&file));
                self.node_mut(id).disk.add_snapshot(file);
                self.say(|| format!("n{id} took snapshot={last}"));
                self.raft_mut(id).on_snapshot_taken(last, bytes);
            }
            Job::Receive { from, term, piece } => match self.node_mut(id).disk.receive(&piece) {
                Received::Part(received) => self.raft_mut(id).on_snapshot_piece(
                    from,
                    term,
                    piece.request_seq,
                    piece.snapshot,
                    Ok(received),
                ),
                Received::Whole(digest) => {
                    let file = Arc::clone(&self.files[&digest]);
                    let node = self.node_mut(id);
                    node.disk.add_snapshot(Arc::clone(&file));
                    let request_seq = piece.request_seq;
                    node.jobs.push_back(Job::Deliver { from, term, request_seq, file });
                }
            },
            Job::Deliver { from, term, request_seq, file } => {
                let (point, stamp_ms) = (file.point.clone(), file.stamp_ms());
                let raft = self.raft_mut(id);
                if raft.on_snapshot_received(from, term, request_seq, point, stamp_ms) {
                    self.node_mut(id).loaded = Some(file);
                }
            }
            Job::Read { peer, term, ticket, snapshot, offset, bytes_max } => {
                let node = self.node_mut(id);
                let kept = &node.disk.durable().snapshots;
                let file = kept.iter().rfind(|file| snapshot.is_none_or(|id| id == file.id));
                let Some(progress) = node.progress.get_mut(&peer) else { return true };
                if progress.term() == term {
                    match file {
                        Some(file) => {
                            let bytes = file.piece(offset, bytes_max);
                            progress.on_snapshot_read(ticket, file.id, offset, bytes);
                        }
                        None => progress.on_snapshot_gone(ticket),
                    }
                }
            }
        }
        true
    }

    pub(super) fn install(&mut self, id: NodeId, base: LogPosition) {
        let node = self.nodes.get_mut(&id).expect("a node of the cluster");
        let file = node.loaded.take().expect("the snapshot was loaded");
        assert_eq!(file.last(), base, "it is the one that was received");
        assert!(
            node.waiting.iter().all(|position| position.index > base.index),
            "node {id}: a client waits for an entry that will never be applied (B58)"
        );
        self.oracle.on_restore(id, &file.applied);
        node.applied = file.applied.clone();
        node.disk.reset(base);
        node.pending.push_back(Pending::Applied(base.index));
        self.installed += 1;
        self.say(|| format!("n{id} installed snapshot={base}"));
    }
}
