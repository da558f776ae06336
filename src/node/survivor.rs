//! The recovery of data by hand, when a majority of a cluster's data is lost for good
//! (docs/adr/0019): what a stopped server has, and a new cluster that begins with it.
//!
//! Every entry of the survivor's log is kept, whether or not it is known to be committed: one
//! that was acknowledged must not be dropped, and a write whose outcome is unknown may count.

use std::io;
use std::path::{Path, PathBuf};

use crate::actors::snapshot::load::{LoadError, load};
use crate::kv::{Corruption, Store};
use crate::storage::{
    self, Disk, NewServer, RealDisk, SnapshotFile, SnapshotFiles, SnapshotHead, StoppedServer,
    StorageError, write_snapshot,
};
use crate::types::{ClusterState, Incarnation, LogIndex, LogPosition, Membership, NodeId};

/// A stopped server, as its directory shows it.
pub struct Survivor {
    /// The server's directory.
    pub dir: PathBuf,
    server: StoppedServer,
    /// The newest whole snapshot, and the store in it.
    snapshot: Option<(SnapshotFile, Store)>,
}

/// The condition of a survivor's data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// It has everything that it has ever acknowledged.
    Whole,
    /// It has lost a part, up to the position, and has not fetched all of it from others.
    Rejoining(LogPosition),
    /// Something cannot be read: a sentence that says what.
    Damaged(String),
}

/// The reason why nothing was recovered.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    /// The directory cannot be used.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// An entry cannot be applied.
    #[error("entry {0} cannot be applied: {1}")]
    Entry(LogIndex, String),
    /// The memory of this machine is at fault.
    #[error("the memory of this machine holds other bytes than were written there: {0}")]
    Memory(#[from] Corruption),
    /// A directory cannot be renamed.
    #[error("cannot rename {} to {}: {source}", from.display(), to.display())]
    Rename {
        /// The directory.
        from: PathBuf,
        /// Its new name.
        to: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// A name that is needed is taken.
    #[error("{} is there already, from an earlier attempt: `mv` it away", .0.display())]
    Taken(PathBuf),
}

impl Survivor {
    /// Reads a directory, and changes nothing.
    ///
    /// # Errors
    /// When a server runs there, and when its identity or hard state is damaged.
    pub fn read(dir: &Path) -> Result<Survivor, RecoverError> {
        let server = StoppedServer::open(&RealDisk, dir)?;
        let snapshots = SnapshotFiles::at(RealDisk.another_handle(), dir);
        let mut snapshot = None;
        let has_some = RealDisk.list(dir).is_ok_and(|names| names.iter().any(|n| n == "snapshot"));
        let listed = if has_some { snapshots.list()? } else { Vec::new() };
        for last in listed {
            match load(&snapshots, last) {
                Ok(loaded) => {
                    snapshot = Some(loaded);
                    break;
                }
                Err(LoadError::Storage(error)) if error.is_damage() => {}
                Err(LoadError::Storage(error)) => return Err(error.into()),
                Err(LoadError::Store(error)) => {
                    return Err(snapshots.undecodable(last, &error).into());
                }
            }
        }
        Ok(Survivor { dir: dir.to_owned(), server, snapshot })
    }

    /// The server.
    pub fn id(&self) -> NodeId {
        self.server.id
    }

    /// The name of its cluster, with special characters escaped.
    pub fn cluster(&self) -> &str {
        &self.server.cluster
    }

    /// True when `name` is the name of its cluster.
    pub fn is_of_cluster(&self, name: &str) -> bool {
        self.server.is_of_cluster(name)
    }

    /// The newest entry that is known to be committed: the last one in the snapshot.
    pub fn committed(&self) -> LogPosition {
        self.snapshot.as_ref().map_or(LogPosition::default(), |(file, _)| file.head.last)
    }

    /// The last entry that it has.
    pub fn last(&self) -> LogPosition {
        // A snapshot that the log does not hold replaces the log (§7).
        match self.server.log.runs.contains(self.committed()) {
            true => self.server.log.runs.last(),
            false => self.committed(),
        }
    }

    /// The members of its cluster; empty when it does not know them.
    pub fn membership(&self) -> Membership {
        let membership = self.cluster_state().membership;
        membership.map(|(_, membership)| membership).unwrap_or_default()
    }

    /// The facts about its cluster after its last entry.
    fn cluster_state(&self) -> ClusterState {
        let in_log = &self.server.log.cluster;
        match &self.snapshot {
            Some((file, _)) => {
                let SnapshotHead { last, state, .. } = &file.head;
                in_log.rebased(last.index, state.clone()).newest().clone()
            }
            None => in_log.newest().clone(),
        }
    }

    /// The condition of its data.
    pub fn condition(&self) -> Condition {
        let (base, hard_state) = (self.server.log.runs.base(), self.server.hard_state);
        if let Some(damage) = &self.server.damage {
            return Condition::Damaged(damage.clone());
        }
        if self.committed().index < base.index {
            let snapshots = self.dir.join("snapshot");
            let snapshots = snapshots.display();
            return Condition::Damaged(format!("no whole snapshot in {snapshots} reaches {base}"));
        }
        match hard_state.is_rejoining {
            true => Condition::Rejoining(hard_state.lost),
            false => Condition::Whole,
        }
    }

    /// Writes the store as of the last entry to a snapshot file, which belongs to `cluster`.
    fn export(&mut self, cluster: &str, path: &Path) -> Result<SnapshotFile, RecoverError> {
        let (last, state) = (self.last(), self.cluster_state());
        let stamp_ms = match &self.snapshot {
            Some((file, _)) => self.server.log.last_stamp_ms.max(file.head.stamp_ms),
            None => self.server.log.last_stamp_ms,
        };
        let mut store = self.snapshot.take().map_or_else(Store::new, |(_, store)| store);
        while store.last_applied() < last.index {
            for entry in self.server.read(&RealDisk, store.last_applied().next())? {
                store
                    .apply(&entry)
                    .map_err(|error| RecoverError::Entry(entry.index, error.to_string()))?;
            }
        }
        // The cluster that begins with it gets an id of its own.
        let state = ClusterState { cluster_id: None, ..state };
        let head = SnapshotHead { cluster: cluster.to_owned(), last, stamp_ms, state };
        let blocks = store.snapshot_blocks().map(|block| block.map_err(RecoverError::from));
        write_snapshot(&RealDisk, path, &head, blocks)
    }

    /// The paths that [`Survivor::found`] makes: the backup for the other servers, and the old
    /// directory.
    pub fn new_paths(&self) -> (PathBuf, PathBuf) {
        (with_suffix(&self.dir, ".recovered"), with_suffix(&self.dir, ".before"))
    }

    /// Makes the directory that of the first server of a new cluster, which begins with
    /// everything that this server has, and gives it the id `incarnation`. The old directory is
    /// kept under another name.
    ///
    /// # Errors
    /// When the disk fails, and when files of an earlier attempt are in the way. The old directory
    /// is whole in any case, under one of the two names.
    ///
    /// # Panics
    /// When the survivor is damaged.
    pub fn found(
        mut self,
        old_cluster: &str,
        new_cluster: &str,
        incarnation: Incarnation,
    ) -> Result<SnapshotFile, RecoverError> {
        assert!(!matches!(self.condition(), Condition::Damaged(_)), "there is something to keep");
        if old_cluster == new_cluster {
            let (path, cluster) = (self.dir, new_cluster.to_owned());
            return Err(StorageError::SameCluster { path, cluster }.into());
        }
        let (backup, before) = self.new_paths();
        let new = with_suffix(&self.dir, ".new");
        for path in [&backup, &before, &new] {
            if path.symlink_metadata().is_ok() {
                return Err(RecoverError::Taken(path.clone()));
            }
        }
        self.export(old_cluster, &backup)?;
        let owner = NewServer { cluster: new_cluster, node_id: self.id(), incarnation };
        let restored = storage::restore(&RealDisk, &backup, &new, owner)?;
        for (from, to) in [(&self.dir, &before), (&new, &self.dir)] {
            RealDisk.rename(from, to).and_then(|()| RealDisk.sync_dir(parent(to))).map_err(
                |source| RecoverError::Rename { from: from.clone(), to: to.clone(), source },
            )?;
        }
        Ok(restored)
    }
}

fn with_suffix(dir: &Path, suffix: &str) -> PathBuf {
    // Without a slash at its end, which a shell may have added.
    let mut path: std::ffi::OsString = dir.components().collect::<PathBuf>().into();
    path.push(suffix);
    path.into()
}

fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new(""))
}
