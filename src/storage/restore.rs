//! The restore of a backup. It creates the first data directory of a server whose cluster begins
//! with a store that is not empty (docs/adr/0011).
//!
//! The snapshot is created first and the identity last. A crash in between leaves a directory
//! that no server takes for a restored one: without the snapshot it counts as empty, and without
//! the identity it is refused.

use std::io;
use std::path::Path;

use super::directory::take_lock;
use super::disk::Disk;
use super::durable_names::sync_ancestors;
use super::error::{IoContext, StorageError};
use super::hard_state::{self, HardStateCopy};
use super::identity::{self, Identity};
use super::incarnation;
use super::log::files::{create_segment, log_dir};
use super::log::header::SegmentHeader;
use super::snapshot::{SnapshotFile, SnapshotFiles, SnapshotHead, read_snapshot};
use crate::types::{Incarnation, NodeId};

/// The owner of a data directory that is restored.
#[derive(Clone, Copy, Debug)]
pub struct NewServer<'a> {
    /// The name of the new cluster.
    pub cluster: &'a str,
    /// The server.
    pub node_id: NodeId,
    /// The id of the data directory.
    pub incarnation: Incarnation,
}

/// Creates the data directory `dir` of a server of a new cluster that begins with the
/// snapshot in the file `source`. The new cluster has the format of the snapshot. Returns the
/// snapshot in the new directory, which is equal for all servers that are restored from equal
/// files.
///
/// # Errors
/// When the file is damaged, has a format that this program does not read, or is from a cluster
/// of the same name, when the directory is not empty, and when the disk fails.
pub fn restore(
    disk: &dyn Disk,
    source: &Path,
    dir: &Path,
    owner: NewServer<'_>,
) -> Result<SnapshotFile, StorageError> {
    let found = read_snapshot(disk, source, |_| Ok::<(), StorageError>(()))?;
    let place = Place { disk, source, dir, owner };
    place.restore(&found.head, |snapshots| snapshots.adopt(source, owner.cluster))
}

/// The same with other bodies than those in the file, whose head is `head`.
///
/// # Errors
/// When the file is from a cluster of the same name, when the directory is not empty, when the disk
/// fails, and the errors of `bodies`.
pub fn restore_bodies<E: From<StorageError>>(
    disk: &dyn Disk,
    (source, head): (&Path, &SnapshotHead),
    bodies: impl Iterator<Item = Result<Vec<u8>, E>>,
    dir: &Path,
    owner: NewServer<'_>,
) -> Result<SnapshotFile, E> {
    let place = Place { disk, source, dir, owner };
    place.restore(head, |snapshots| snapshots.adopt_bodies(head, bodies, owner.cluster))
}

/// The place of a restore: from a file to a directory.
struct Place<'a> {
    disk: &'a dyn Disk,
    source: &'a Path,
    dir: &'a Path,
    owner: NewServer<'a>,
}

impl Place<'_> {
    /// Creates the directory with the snapshot that `adopt` writes.
    fn restore<E: From<StorageError>>(
        &self,
        head: &SnapshotHead,
        adopt: impl FnOnce(&SnapshotFiles) -> Result<SnapshotFile, E>,
    ) -> Result<SnapshotFile, E> {
        let Place { disk, source, dir, owner } = *self;
        let NewServer { cluster, node_id, incarnation } = owner;
        if head.cluster == cluster {
            let (path, cluster) = (source.to_owned(), cluster.to_owned());
            return Err(StorageError::SameCluster { path, cluster }.into());
        }
        refuse_content(disk, dir, &[])?;
        let log_dir = log_dir(dir);
        disk.create_dir_all(&log_dir).during("make the directory", &log_dir)?;
        let _lock = take_lock(disk, dir)?;
        // Another process may have filled the directory before the lock was taken.
        refuse_content(disk, dir, &["lock", "log"])?;
        let snapshots = SnapshotFiles::open(disk.another_handle(), dir)?;
        let restored = adopt(&snapshots)?;
        let base = restored.head.last;
        let header = SegmentHeader { number: 1, salt: disk.salt(), node_id, prev: base };
        create_segment(disk, dir, &header)?;
        hard_state::create(disk, dir, &HardStateCopy::restored(base))?;
        incarnation::create(disk, dir, incarnation)?;
        sync_ancestors(disk, dir)?;
        let (cluster, restore_id) = (cluster.to_owned(), Some(restored.digest));
        identity::create(disk, dir, &Identity { cluster, node_id, restore_id })?;
        Ok(restored)
    }
}

fn refuse_content(disk: &dyn Disk, dir: &Path, own: &[&str]) -> Result<(), StorageError> {
    let names = match disk.list(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        names => names.during("list", dir)?,
    };
    match names.iter().all(|name| own.contains(&name.as_str())) {
        true => Ok(()),
        false => Err(StorageError::NotEmpty { path: dir.to_owned() }),
    }
}

#[cfg(test)]
mod tests;
