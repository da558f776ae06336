//! One node of a cluster, with its disk, its store and its connections.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use super::disk::{Disk, Durable};
use super::pending::Pending;
use super::snapshots::{Job, SnapshotFile};
use crate::raft::{Progress, Raft};
use crate::types::{Entry, LogIndex, LogPosition, NodeId};

pub(super) struct Node {
    pub(super) id: NodeId,
    /// `None` while it is down.
    pub(super) raft: Option<Raft>,
    pub(super) progress: BTreeMap<NodeId, Progress>,
    pub(super) disk: Disk,
    pub(super) applied: Vec<Entry>,
    pub(super) pending: VecDeque<Pending>,
    pub(super) slow: Slow,
    /// The jobs that the keeper of its snapshot files has still to do.
    pub(super) jobs: VecDeque<Job>,
    /// The store of a snapshot that was received.
    pub(super) loaded: Option<Arc<SnapshotFile>>,
    /// The entry whose digest the core waits for.
    pub(super) wanted_digest: Option<LogIndex>,
    /// The entries that clients wait for.
    pub(super) waiting: BTreeSet<LogPosition>,
    /// The last write of the one session of this node that writes.
    pub(super) last_write: LogIndex,
    pub(super) peers: Peers,
    /// The members that its servers.toml lists; none on a node that joins.
    pub(super) founders: u64,
    pub(super) lives: u64,
}

/// The parts of a node that work only when a test lets them.
#[derive(Clone, Copy, Default)]
pub(super) struct Slow {
    pub(super) disk: bool,
    pub(super) store: bool,
    /// The keeper of the snapshot files.
    pub(super) keeper: bool,
}

/// The peers of a node.
#[derive(Default)]
pub(super) struct Peers {
    /// The peers that it has connections with, as it has announced them.
    pub(super) ports: BTreeSet<NodeId>,
    /// The peers that it is to have connections with.
    pub(super) wanted: BTreeSet<NodeId>,
}

impl Node {
    pub(super) fn new(id: NodeId, durable: Durable, founders: u64) -> Node {
        Node {
            id,
            raft: None,
            progress: BTreeMap::new(),
            disk: Disk::new(durable),
            applied: Vec::new(),
            pending: VecDeque::new(),
            slow: Slow::default(),
            jobs: VecDeque::new(),
            loaded: None,
            wanted_digest: None,
            waiting: BTreeSet::new(),
            last_write: LogIndex(0),
            peers: Peers::default(),
            founders,
            lives: 0,
        }
    }
}
