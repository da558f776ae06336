//! The snapshot files of one server (snapshots: docs/adr/0008). The content of their bodies
//! belongs to the caller that writes them.
//!
//! ```text
//! <data_dir>/<id>/snapshot/00000000000000100000-3.snapshot    up to entry 100000@3
//!                          ...-3.snapshot.new                 being written
//!                          ...-3.snapshot.<digest>.part       being received
//!                          damaged-...-3.snapshot             was damaged at a start
//! ```

mod chunks;
mod format;
mod incoming;

use std::io;
use std::path::{Path, PathBuf};

use super::disk::Disk;
use super::durable_names::UNFINISHED;
use super::error::{IoContext, StorageError, damaged, unknown};
use crate::types::{ClusterState, FormatRange, LogIndex, LogPosition, SnapshotId, Term};
use format::{FrameWriter, read_head, read_snapshot_of};

pub use chunks::SnapshotChunks;
pub use format::{
    SNAPSHOT_FORMAT_VERSION, SnapshotFile, SnapshotHead, read_snapshot, write_snapshot,
};
pub use incoming::IncomingSnapshot;

/// The prefix of a file that was found damaged at a start, and is kept for people.
const DAMAGED: &str = "damaged-";
/// The suffix of a file that is being received.
const INCOMING: &str = ".part";

/// The snapshot files of one server.
pub struct SnapshotFiles {
    disk: Box<dyn Disk>,
    dir: PathBuf,
    /// The formats that this server reads.
    formats: FormatRange,
}

/// The head of a snapshot for a new cluster. The format stays: the store in the file is as that
/// format made it.
fn adopted(head: &SnapshotHead, cluster: &str) -> SnapshotHead {
    let state = ClusterState { format: head.state.format.clone(), ..ClusterState::default() };
    SnapshotHead { cluster: cluster.to_owned(), state, ..head.clone() }
}

impl SnapshotFiles {
    /// Maximum number of files that are kept: the newest, and one in case it is damaged.
    pub const KEPT: usize = 2;

    /// Opens the directory of a server's snapshots, which is created if it does not exist. The
    /// caller holds the lock of the data directory.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn open(disk: Box<dyn Disk>, data_dir: &Path) -> Result<SnapshotFiles, StorageError> {
        let snapshots = SnapshotFiles::at(disk, data_dir);
        let dir = &snapshots.dir;
        snapshots.disk.create_dir_all(dir).during("make the directory", dir)?;
        snapshots.disk.sync_dir(data_dir).during("sync the directory", data_dir)?;
        snapshots.remove_where(|name| name.ends_with(UNFINISHED))?;
        Ok(snapshots)
    }

    /// The snapshot files of a directory, which is not changed.
    pub(crate) fn at(disk: Box<dyn Disk>, data_dir: &Path) -> SnapshotFiles {
        SnapshotFiles { disk, dir: data_dir.join("snapshot"), formats: FormatRange::OWN }
    }

    /// The same files, for a server that reads `formats`. A file of any other format is neither
    /// read nor received.
    #[must_use]
    pub fn of_formats(self, formats: FormatRange) -> SnapshotFiles {
        SnapshotFiles { formats, ..self }
    }

    /// The directory.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Returns the positions in the names of all snapshots, newest first.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn list(&self) -> Result<Vec<LogPosition>, StorageError> {
        let names = self.disk.list(&self.dir).during("list", &self.dir)?;
        Ok(newest_first(&names))
    }

    /// Writes a snapshot. It is durable on return, and only the two newest are kept.
    ///
    /// # Errors
    /// When a write or sync fails, and the errors of `bodies`; there is no new snapshot then.
    pub fn write<E: From<StorageError>>(
        &self,
        head: &SnapshotHead,
        mut bodies: impl Iterator<Item = Result<Vec<u8>, E>>,
    ) -> Result<SnapshotFile, E> {
        self.write_with(head, |writer| bodies.try_for_each(|body| Ok(writer.body(&body?)?)))
    }

    /// Copies the snapshot in the file `source`, which belongs to no server, to a snapshot of
    /// `cluster`, which has no members yet (restored from a backup: docs/adr/0011).
    pub(super) fn adopt(&self, source: &Path, cluster: &str) -> Result<SnapshotFile, StorageError> {
        let found = read_snapshot(&*self.disk, source, |_| Ok::<(), StorageError>(()))?;
        self.write_with(&adopted(&found.head, cluster), |writer| {
            let copied = read_snapshot(&*self.disk, source, |body| writer.body(body))?;
            if copied.id() != found.id() {
                return Err(damaged(source, 0, "it changed while it was read"));
            }
            Ok(())
        })
    }

    /// Writes a snapshot of `cluster`, which has no members yet, with these bodies instead of those
    /// that the snapshot of this head has.
    pub(super) fn adopt_bodies<E: From<StorageError>>(
        &self,
        head: &SnapshotHead,
        bodies: impl Iterator<Item = Result<Vec<u8>, E>>,
        cluster: &str,
    ) -> Result<SnapshotFile, E> {
        self.write(&adopted(head, cluster), bodies)
    }

    fn write_with<E: From<StorageError>>(
        &self,
        head: &SnapshotHead,
        add_bodies: impl FnOnce(&mut FrameWriter) -> Result<(), E>,
    ) -> Result<SnapshotFile, E> {
        let path = self.path(head.last);
        let unfinished = self.dir.join(format!("{}{UNFINISHED}", name(head.last)));
        let mut writer = FrameWriter::create(&*self.disk, unfinished.clone(), head)?;
        add_bodies(&mut writer)?;
        let (bytes, digest) = writer.finish()?;
        self.disk.rename(&unfinished, &path).during("rename to", &path)?;
        self.sync_dir()?;
        self.remove_old()?;
        Ok(SnapshotFile { head: head.clone(), bytes, digest })
    }

    /// Reads a snapshot from its first to its last byte, and hands its bodies to `take` one by
    /// one. The bodies must not be used before this returns: only then is the file known to be
    /// whole.
    ///
    /// # Errors
    /// When the file cannot be read or is damaged, and the errors of `take`.
    pub fn read<E: From<StorageError>>(
        &self,
        last: LogPosition,
        take: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<SnapshotFile, E> {
        read_snapshot_of(self.formats, &*self.disk, &self.path(last), take)
    }

    /// Opens a snapshot to be read in chunks.
    ///
    /// # Errors
    /// When it cannot be opened, or has another size than `file` says.
    pub fn chunks(&self, file: &SnapshotFile) -> Result<SnapshotChunks, StorageError> {
        SnapshotChunks::open(&*self.disk, &self.path(file.head.last), file.bytes)
    }

    /// Begins to receive the snapshot that is offered, or continues. The bytes that were
    /// received of another snapshot are removed.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn receive(&self, id: SnapshotId) -> Result<IncomingSnapshot, StorageError> {
        let incoming = format!("{}.{:032x}{INCOMING}", name(id.last), id.digest);
        self.remove_where(|name| name.ends_with(INCOMING) && name != incoming)?;
        let names = self.disk.list(&self.dir).during("list", &self.dir)?;
        let exists = names.contains(&incoming);
        IncomingSnapshot::open(&*self.disk, self.dir.join(incoming), id, exists)
    }

    /// Turns the bytes that were received into a snapshot, durably, if they are the snapshot
    /// that was offered.
    ///
    /// # Errors
    /// When they are not, or have a format that this server does not read: they are removed, and
    /// the snapshot can be received again. When the disk fails.
    ///
    /// # Panics
    /// When not all bytes were received.
    pub fn complete(&self, incoming: IncomingSnapshot) -> Result<SnapshotFile, StorageError> {
        let path = self.path(incoming.id().last);
        let found = incoming.verify(&*self.disk, self.formats);
        if found.as_ref().is_err_and(StorageError::is_of_no_use) {
            self.remove_where(|name| name.ends_with(INCOMING))?;
        }
        let (found, received) = found?;
        self.disk.rename(&received, &path).during("rename to", &path)?;
        self.sync_dir()?;
        self.remove_old()?;
        Ok(found)
    }

    /// Checks that a snapshot is of this cluster.
    ///
    /// # Errors
    /// When it is not.
    pub fn check_owner(&self, file: &SnapshotFile, cluster: &str) -> Result<(), StorageError> {
        if file.head.cluster == cluster {
            return Ok(());
        }
        Err(StorageError::OtherSnapshot {
            path: self.path(file.head.last),
            found: file.head.cluster.clone(),
            cluster: cluster.to_owned(),
        })
    }

    /// Returns the error of a log that begins after `base` when no snapshot reaches that entry.
    pub fn missing(&self, base: LogPosition) -> StorageError {
        StorageError::SnapshotMissing { path: self.dir.clone(), base }
    }

    /// Returns the error of a snapshot whose bytes are whole and whose content does not decode.
    pub fn undecodable(&self, last: LogPosition, what: &dyn std::fmt::Display) -> StorageError {
        unknown(&self.path(last), 0, what.to_string())
    }

    /// Gives a snapshot that a start has found damaged another name, under which it is kept for
    /// people. At most [`SnapshotFiles::KEPT`] such files are kept, those with the furthest
    /// entries, so that the disk does not fill up with them.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn set_aside(&self, last: LogPosition) -> Result<(), StorageError> {
        let path = self.dir.join(format!("{DAMAGED}{}", name(last)));
        self.disk.rename(&self.path(last), &path).during("rename to", &path)?;
        let names = self.disk.list(&self.dir).during("list", &self.dir)?;
        let mut aside: Vec<&str> = names
            .iter()
            .filter_map(|name| name.strip_prefix(DAMAGED))
            .filter(|name| position(name).is_some())
            .collect();
        aside.sort_unstable();
        let old: Vec<String> = aside
            .into_iter()
            .rev()
            .skip(SnapshotFiles::KEPT)
            .map(|name| format!("{DAMAGED}{name}"))
            .collect();
        self.remove_where(|name| old.iter().any(|old| old == name))
    }

    /// Removes a snapshot that has turned out to be damaged.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn remove(&self, last: LogPosition) -> Result<(), StorageError> {
        let damaged = name(last);
        self.remove_where(|name| name == damaged)
    }

    /// Removes snapshots that are being written or received. It is called when the disk has no
    /// room for them.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn remove_unfinished(&self) -> Result<(), StorageError> {
        self.remove_where(|name| name.ends_with(UNFINISHED) || name.ends_with(INCOMING))
    }

    fn path(&self, last: LogPosition) -> PathBuf {
        self.dir.join(name(last))
    }

    fn remove_old(&self) -> Result<(), StorageError> {
        let snapshots = self.list()?.into_iter();
        let old: Vec<String> = snapshots.skip(SnapshotFiles::KEPT).map(name).collect();
        self.remove_where(|name| old.iter().any(|old| old == name))
    }

    fn remove_where(&self, is_worthless: impl Fn(&str) -> bool) -> Result<(), StorageError> {
        for name in self.disk.list(&self.dir).during("list", &self.dir)? {
            if is_worthless(&name) {
                let path = self.dir.join(name);
                self.disk.remove(&path).during("remove", &path)?;
            }
        }
        self.sync_dir()
    }

    fn sync_dir(&self) -> Result<(), StorageError> {
        self.disk.sync_dir(&self.dir).during("sync the directory", &self.dir)
    }
}

/// The positions in the names of all snapshots of a data directory, whole or not, newest first.
pub(super) fn positions(disk: &dyn Disk, data_dir: &Path) -> io::Result<Vec<LogPosition>> {
    match disk.list(&data_dir.join("snapshot")) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        names => Ok(newest_first(&names?)),
    }
}

fn newest_first(names: &[String]) -> Vec<LogPosition> {
    let mut found: Vec<LogPosition> = names.iter().filter_map(|name| position(name)).collect();
    found.sort_unstable_by_key(|last| std::cmp::Reverse(last.index));
    found
}

/// Returns the head of the newest snapshot of a data directory whose head is whole.
///
/// # Errors
/// When its format is not one of `formats`, and when the disk fails.
pub(super) fn newest_head(
    disk: &dyn Disk,
    data_dir: &Path,
    formats: FormatRange,
) -> Result<Option<SnapshotHead>, StorageError> {
    let dir = data_dir.join("snapshot");
    for last in positions(disk, data_dir).during("list", &dir)? {
        match read_head(formats, disk, &dir.join(name(last))) {
            Err(error) if error.is_damage() => {}
            head => return head.map(Some),
        }
    }
    Ok(None)
}

fn name(last: LogPosition) -> String {
    format!("{:020}-{}.snapshot", last.index.0, last.term)
}

/// Returns the position in a snapshot's file name, or `None` for any other file.
pub(crate) fn position(file_name: &str) -> Option<LogPosition> {
    let (index, term) = file_name.strip_suffix(".snapshot")?.split_once('-')?;
    let last = LogPosition { index: LogIndex(index.parse().ok()?), term: Term(term.parse().ok()?) };
    (name(last) == file_name).then_some(last)
}

#[cfg(test)]
mod tests;
