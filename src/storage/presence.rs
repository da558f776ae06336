//! The question whether the data directory that was opened is still the one that a restart would
//! find.
//!
//! A directory that is deleted or moved takes every write without an error: its files live on
//! without a name until the process ends. So the files that matter are compared with those that
//! their paths lead to (docs/bugs.md C18). A symbolic link on the way is followed.

use std::path::{Path, PathBuf};

use super::disk::{Disk, DiskLock, Named};
use super::error::{IoContext, StorageError};

/// The directories of an open data directory, and its lock.
pub(super) struct Presence {
    data_dir: PathBuf,
    held: Vec<(PathBuf, Box<dyn Named>)>,
    /// The lock is the last field, so that it is released last.
    lock: DiskLock,
}

impl Presence {
    /// Begins to watch `data_dir`, whose lock is `lock`.
    pub(super) fn new(data_dir: &Path, lock: DiskLock) -> Presence {
        Presence { data_dir: data_dir.to_owned(), held: Vec::new(), lock }
    }

    /// Watches a directory as well. It is held open, so that no other can get its number.
    pub(super) fn hold(&mut self, disk: &dyn Disk, dir: &Path) -> Result<(), StorageError> {
        let held = disk.hold_dir(dir).during("open the directory", dir)?;
        self.held.push((dir.to_owned(), held));
        Ok(())
    }

    /// Checks that the paths of the lock and of all directories still lead to them.
    ///
    /// # Errors
    /// When one was deleted, moved or replaced.
    pub(super) fn check(&self) -> Result<(), StorageError> {
        for (path, held) in &self.held {
            self.check_one(path, &**held)?;
        }
        self.check_one(&self.data_dir.join("lock"), &*self.lock)
    }

    /// Checks that `path` still leads to a file that is open.
    ///
    /// # Errors
    /// When it was deleted, moved or replaced.
    pub(super) fn check_one<T: Named + ?Sized>(
        &self,
        path: &Path,
        file: &T,
    ) -> Result<(), StorageError> {
        if file.is_at(path).during("look at", path)? {
            return Ok(());
        }
        Err(self.gone(path))
    }

    /// The error of a path that leads to nothing any more, or to something else.
    pub(super) fn gone(&self, path: &Path) -> StorageError {
        StorageError::Gone { path: path.to_owned(), data_dir: self.data_dir.clone() }
    }
}

#[cfg(test)]
mod tests;
