//! A snapshot that is being received, chunk by chunk.
//!
//! Its file is named by the digest that was offered. So it is continued after a restart, from
//! any node that has the same snapshot, and chunks of another snapshot are never mixed into it.
//! Chunks are not synced one by one: the digest at the end shows whether a power loss has
//! damaged them.

use std::io;
use std::path::PathBuf;

use super::format::{SnapshotFile, read_snapshot_of};
use crate::storage::disk::{Disk, DiskFile, OpenMode};
use crate::storage::error::{IoContext, StorageError, damaged};
use crate::types::{FormatRange, SnapshotId};

/// Number of bytes that are written again at a time.
const REWRITE_BYTES: u64 = 256 * 1024;

/// A snapshot that is being received.
pub struct IncomingSnapshot {
    id: SnapshotId,
    path: PathBuf,
    file: Box<dyn DiskFile>,
    /// Number of bytes that were received.
    received: u64,
}

impl IncomingSnapshot {
    /// Opens the file `path`, or creates it unless it `exists`.
    pub(super) fn open(
        disk: &dyn Disk,
        path: PathBuf,
        id: SnapshotId,
        exists: bool,
    ) -> Result<IncomingSnapshot, StorageError> {
        let mode = if exists { OpenMode::Write } else { OpenMode::Create };
        let mut file = disk.open(&path, mode).during("open", &path)?;
        let received = file.bytes().during("look at", &path)?;
        if received > id.bytes {
            // This server writes no file that is too long, so this one is of no use.
            let file = disk.open(&path, OpenMode::Create).during("create", &path)?;
            return Ok(IncomingSnapshot { id, path, file, received: 0 });
        }
        // When a sync failed before a restart, the kernel may hold pages as clean that were
        // never written: no later sync would write them (ATC'20, docs/bugs.md B62).
        rewrite(&mut *file, received).during("rewrite", &path)?;
        Ok(IncomingSnapshot { id, path, file, received })
    }

    /// The id of the snapshot.
    pub fn id(&self) -> SnapshotId {
        self.id
    }

    /// Number of bytes that were received. The next chunk begins here.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Writes the chunk at `offset`. A chunk that does not begin where the last one ended is old,
    /// or was sent needlessly. It is ignored, and so is one beyond the size of the snapshot.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_chunk(&mut self, offset: u64, bytes: &[u8]) -> Result<(), StorageError> {
        let fits = offset + bytes.len() as u64 <= self.id.bytes;
        if offset == self.received && fits {
            self.file.write_at(offset, bytes).during("write", &self.path)?;
            self.received += bytes.len() as u64;
        }
        Ok(())
    }

    /// True when all bytes were received.
    pub fn is_complete(&self) -> bool {
        self.received == self.id.bytes
    }

    /// Makes the bytes durable, and checks that they are the snapshot that was offered. Returns
    /// it, and the path of the file.
    pub(super) fn verify(
        mut self,
        disk: &dyn Disk,
        formats: FormatRange,
    ) -> Result<(SnapshotFile, PathBuf), StorageError> {
        assert!(self.is_complete(), "a snapshot is completed when all of it is there");
        self.file.sync_data().during("sync", &self.path)?;
        let read = read_snapshot_of(formats, disk, &self.path, |_| Ok::<_, StorageError>(()));
        // A peer of another version may send what this one cannot read. It is refused like any
        // other file that is not as offered: this server's own data is not concerned.
        let found = read.map_err(|error| match error {
            StorageError::Unknown { path, offset, what } => damaged(&path, offset, what),
            error => error,
        })?;
        let is_offered = found.digest == self.id.digest && found.head.last == self.id.last;
        if is_offered {
            return Ok((found, self.path));
        }
        Err(damaged(&self.path, 0, "this is another snapshot than was offered"))
    }
}

/// Writes the first `bytes` bytes of a file again, unchanged.
fn rewrite(file: &mut dyn DiskFile, bytes: u64) -> io::Result<()> {
    let mut at = 0;
    while at < bytes {
        let mut chunk = vec![0; REWRITE_BYTES.min(bytes - at) as usize];
        if file.read_at(at, &mut chunk)? < chunk.len() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        file.write_at(at, &chunk)?;
        at += chunk.len() as u64;
    }
    Ok(())
}
