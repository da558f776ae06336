//! A snapshot that is being received, piece by piece.
//!
//! Its file is named by the digest that was offered, so that a transfer goes on
//! where it was, from whichever node has the same snapshot, and no other is mixed
//! into it. Pieces are not synced one by one: what a loss of power leaves of them
//! is found out by the digest at the end.

use std::io;
use std::path::PathBuf;

use super::super::disk::{DiskFile, OpenMode};
use super::super::error::{IoContext, StorageError, damaged};
use super::{SnapshotFile, Snapshots, name, read_snapshot};
use crate::types::SnapshotId;

/// What files that are being received end in.
pub(super) const PART: &str = ".part";

/// How much is written again at a time.
const REWRITE_BYTES: u64 = 256 * 1024;

/// See the module.
pub struct SnapshotPart {
    id: SnapshotId,
    path: PathBuf,
    file: Box<dyn DiskFile>,
    received: u64,
}

impl SnapshotPart {
    /// What is being received.
    pub fn id(&self) -> SnapshotId {
        self.id
    }

    /// How many bytes are there: the next piece begins here.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Takes the piece at `offset`. One that does not begin where the last one
    /// ended is an old one, or was sent in vain: it is not taken.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn take(&mut self, offset: u64, bytes: &[u8]) -> Result<(), StorageError> {
        let fits = offset + bytes.len() as u64 <= self.id.bytes;
        if offset == self.received && fits {
            self.file.write_at(offset, bytes).during("write", &self.path)?;
            self.received += bytes.len() as u64;
        }
        Ok(())
    }

    /// Whether all is there.
    pub fn is_complete(&self) -> bool {
        self.received == self.id.bytes
    }
}

impl Snapshots {
    /// Begins to receive what is offered, or goes on; what was received of another
    /// snapshot is removed.
    ///
    /// # Errors
    /// When the disk does not let it.
    pub fn receive(&self, id: SnapshotId) -> Result<SnapshotPart, StorageError> {
        let part = format!("{}.{:032x}{PART}", name(id.last), id.digest);
        self.remove_where(|name| name.ends_with(PART) && name != part && !mutant!(B70))?;
        let path = self.dir.join(&part);
        let names = self.disk.list(&self.dir).during("list", &self.dir)?;
        let mode = if names.contains(&part) { OpenMode::Write } else { OpenMode::Create };
        let mut file = self.disk.open(&path, mode).during("open", &path)?;
        let received = file.bytes().during("look at", &path)?;
        if received > id.bytes {
            // None of ours is too long: whatever it is, it is of no use.
            let file = self.disk.open(&path, OpenMode::Create).during("create", &path)?;
            return Ok(SnapshotPart { id, path, file, received: 0 });
        }
        // When a sync has failed in an earlier life, the kernel may hold what was not
        // written as if it were: no later sync would write it (ATC'20, bugs.md B62).
        if !mutant!(B62c) {
            rewrite(&mut *file, received).during("rewrite", &path)?;
        }
        Ok(SnapshotPart { id, path, file, received })
    }

    /// Turns what was received into a snapshot, durably, if it is what was offered.
    ///
    /// # Errors
    /// When it is not: it is removed then, and can be received again.
    ///
    /// # Panics
    /// When there is some of it yet to come.
    pub fn complete(&self, mut part: SnapshotPart) -> Result<SnapshotFile, StorageError> {
        assert!(part.is_complete(), "a snapshot is completed when all of it is there");
        if !mutant!(B57b) {
            part.file.sync_data().during("sync", &part.path)?;
        }
        let read = read_snapshot(&*self.disk, &part.path, |_| Ok::<_, StorageError>(()));
        let found = read.and_then(|found| {
            let is_offered = found.digest == part.id.digest && found.head.last == part.id.last;
            (is_offered || mutant!(B56) || mutant!(B57))
                .then_some(found)
                .ok_or_else(|| damaged(&part.path, 0, "this is another snapshot than was offered"))
        });
        if let Err(StorageError::Damaged { .. }) = &found {
            self.remove_where(|name| name.ends_with(PART))?;
        }
        let found = found?;
        let path = self.path(part.id.last);
        self.disk.rename(&part.path, &path).during("rename to", &path)?;
        self.sync_dir()?;
        self.remove_old()?;
        Ok(found)
    }
}

/// Writes again the first so many bytes, as they are.
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
