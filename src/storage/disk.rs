//! The interface to the disk, and the real disk. Tests replace it by a simulated disk.
//!
//! The interface has plain reads, writes and syncs only (no memory mapping, no io_uring), so
//! that strace and fault injectors between a process and its C library see everything.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::hash::{BuildHasher, Hasher};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

/// The mode in which [`Disk::open`] opens a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// The file exists and is read.
    Read,
    /// The file exists and is read and written.
    Write,
    /// The file is created empty and is read and written; a file that exists is emptied.
    Create,
}

/// A lock that is held until it is dropped. The system releases it when the process ends.
pub type DiskLock = Box<dyn Named>;

/// A file or a directory that is held open, and that had a name when it was opened.
pub trait Named: Send {
    /// Returns true when `path` leads to this file, and false when it leads to nothing or to
    /// another file. Links on the way are followed.
    ///
    /// # Errors
    /// The error of the system.
    fn is_at(&self, path: &Path) -> io::Result<bool>;
}

/// A file system. The creation, renaming or removal of a name is durable only after
/// [`Disk::sync_dir`] of its directory.
pub trait Disk: Send {
    /// Creates a directory and the directories above it.
    ///
    /// # Errors
    /// The error of the system.
    fn create_dir_all(&self, path: &Path) -> io::Result<()>;

    /// Returns the names in a directory, sorted.
    ///
    /// # Errors
    /// The error of the system.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;

    /// Opens a file.
    ///
    /// # Errors
    /// The error of the system.
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Box<dyn DiskFile>>;

    /// Renames a file within its directory, atomically. A file that has the new name is
    /// replaced.
    ///
    /// # Errors
    /// The error of the system.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Moves a directory, with everything in it, to a name that nothing has. It is atomic, and
    /// durable after [`Disk::sync_dir`] of both directories.
    ///
    /// # Errors
    /// The error of the system.
    fn rename_dir(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// The error of the system.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Removes an empty directory.
    ///
    /// # Errors
    /// The error of the system.
    fn remove_dir(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in a directory durable.
    ///
    /// # Errors
    /// The error of the system. It is then unknown what is durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// Locks a file, which is created if it does not exist. Returns `None` when another process
    /// holds the lock.
    ///
    /// # Errors
    /// The error of the system.
    fn lock(&self, path: &Path) -> io::Result<Option<DiskLock>>;

    /// Opens a directory, only to see later if it is still at its place.
    ///
    /// # Errors
    /// The error of the system.
    fn hold_dir(&self, dir: &Path) -> io::Result<Box<dyn Named>>;

    /// Returns another handle of the same file system, for another thread.
    fn another_handle(&self) -> Box<dyn Disk>;

    /// Returns an unpredictable number. It distinguishes the records of one file from any other
    /// bytes that may be read in their place.
    fn salt(&self) -> u32;
}

/// An open file.
pub trait DiskFile: Named {
    /// Reads at `offset` until `buffer` is full or the file ends. Returns the number of bytes.
    ///
    /// # Errors
    /// The error of the system.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;

    /// Writes all of `bytes` at `offset`. The file grows when needed.
    ///
    /// # Errors
    /// The error of the system. Any part of the bytes may then be written.
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Makes everything that was written durable, and the length of the file.
    ///
    /// # Errors
    /// The error of the system. It is then unknown what is durable, and stays unknown: a second
    /// sync that succeeds proves nothing.
    fn sync_data(&mut self) -> io::Result<()>;

    /// Returns the length of the file in bytes.
    ///
    /// # Errors
    /// The error of the system.
    fn bytes(&self) -> io::Result<u64>;

    /// Tells the system to cache the file page by page from now on, and to read nothing ahead.
    fn cache_by_pages(&self);
}

/// The file system of the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealDisk;

impl Disk for RealDisk {
    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        fs::create_dir_all(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(dir)? {
            // A name that is not UTF-8 is not the name of a file of ours.
            if let Ok(name) = entry?.file_name().into_string() {
                names.push(name);
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Box<dyn DiskFile>> {
        let mut options = OpenOptions::new();
        options.read(true);
        match mode {
            OpenMode::Read => {}
            OpenMode::Write => {
                options.write(true);
            }
            OpenMode::Create => {
                options.write(true).create(true).truncate(true);
            }
        }
        Ok(Box::new(options.open(path)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn rename_dir(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        // The parent of the first part of a relative path is the empty path.
        let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
        File::open(dir)?.sync_all()
    }

    fn lock(&self, path: &Path) -> io::Result<Option<DiskLock>> {
        // A file that exists is opened for reading only, so that a directory without write
        // permission can still be inspected.
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                OpenOptions::new().write(true).create(true).truncate(false).open(path)?
            }
            Err(error) => return Err(error),
        };
        match file.try_lock() {
            Ok(()) => Ok(Some(Box::new(LockedFile(file)))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    fn hold_dir(&self, dir: &Path) -> io::Result<Box<dyn Named>> {
        Ok(Box::new(File::open(dir)?))
    }

    fn another_handle(&self) -> Box<dyn Disk> {
        Box::new(RealDisk)
    }

    fn salt(&self) -> u32 {
        // The standard library keys its hash tables with entropy of the system. The hash of
        // nothing under such a key is as random as the key.
        let hash = std::collections::hash_map::RandomState::new().build_hasher().finish();
        (hash ^ (hash >> 32)) as u32
    }
}

impl Named for File {
    fn is_at(&self, path: &Path) -> io::Result<bool> {
        use io::ErrorKind::{NotADirectory, NotFound};
        let found = match fs::metadata(path) {
            Err(error) if matches!(error.kind(), NotFound | NotADirectory) => return Ok(false),
            found => found?,
        };
        // While this file is open, no other file of its file system can get its number.
        let own = self.metadata()?;
        Ok((found.dev(), found.ino()) == (own.dev(), own.ino()))
    }
}

impl DiskFile for File {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match FileExt::read_at(self, &mut buffer[filled..], offset + filled as u64) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.write_all_at(bytes, offset)
    }

    fn sync_data(&mut self) -> io::Result<()> {
        File::sync_data(self)
    }

    fn bytes(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn cache_by_pages(&self) {
        // This is advice: a system that ignores it only writes more.
        let _ = rustix::fs::fadvise(self, 0, None, rustix::fs::Advice::Random);
    }
}

/// A file that is locked. It is unlocked before it is closed: a process that was forked and has not
/// become another program yet has the file, too, and would keep the lock for that long.
struct LockedFile(File);

impl Named for LockedFile {
    fn is_at(&self, path: &Path) -> io::Result<bool> {
        self.0.is_at(path)
    }
}

impl Drop for LockedFile {
    fn drop(&mut self) {
        // When it fails, closing the file unlocks it.
        let _ = self.0.unlock();
    }
}

#[cfg(test)]
mod tests;
