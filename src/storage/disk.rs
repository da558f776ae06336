//! The seam to the disk: what the storage asks of a file system, and the real
//! one. A simulated one takes its place in tests.
//!
//! Only plain reads, writes and syncs (no mapping, no ring), so that strace and
//! fault injectors that sit between a process and its C library see everything.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::hash::{BuildHasher, Hasher};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// How [`Disk::open`] opens a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// One that exists, to be read.
    Read,
    /// One that exists, to be read and written.
    Write,
    /// An empty one, to be read and written; one that is there loses its content.
    Create,
}

/// Held for as long as it lives; the system lets go of it when the process ends.
pub type DiskLock = Box<dyn Send>;

/// A file system. Names that were made, renamed or removed are durable only
/// after [`Disk::sync_dir`] of their directory.
pub trait Disk: Send {
    /// Makes a directory and those above it.
    ///
    /// # Errors
    /// What the system says.
    fn create_dir_all(&self, path: &Path) -> io::Result<()>;

    /// The names in a directory, in their order.
    ///
    /// # Errors
    /// What the system says.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;

    /// Opens a file.
    ///
    /// # Errors
    /// What the system says.
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Box<dyn DiskFile>>;

    /// Gives a file another name in its directory, at once and in the place of
    /// whatever had it.
    ///
    /// # Errors
    /// What the system says.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// What the system says.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in a directory durable.
    ///
    /// # Errors
    /// What the system says; what is durable then is unknown.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// Takes a lock file, made if it is not there; `None` when it is held.
    ///
    /// # Errors
    /// What the system says.
    fn lock(&self, path: &Path) -> io::Result<Option<DiskLock>>;

    /// Another handle on the same file system, for another thread.
    fn another_handle(&self) -> Box<dyn Disk>;

    /// A number that nobody can foresee, to tell the records of one file from
    /// everything else that may stand in its place.
    fn salt(&self) -> u32;
}

/// An open file.
pub trait DiskFile: Send {
    /// Reads at `offset` until `buffer` is full or the file ends; how much it was.
    ///
    /// # Errors
    /// What the system says.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;

    /// Writes all of `bytes` at `offset`, growing the file when needed.
    ///
    /// # Errors
    /// What the system says; any part may then be written.
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Makes everything written, and the length, durable.
    ///
    /// # Errors
    /// What the system says; what is durable then is unknown, and stays so: a
    /// second sync that succeeds proves nothing.
    fn sync_data(&mut self) -> io::Result<()>;

    /// The file's length in bytes.
    ///
    /// # Errors
    /// What the system says.
    fn bytes(&self) -> io::Result<u64>;

    /// What is read of it from now on is cached page by page, and nothing ahead.
    fn cache_by_pages(&self);
}

/// The system's files.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealDisk;

impl Disk for RealDisk {
    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        fs::create_dir_all(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(dir)? {
            // A name that is not UTF-8 is none of ours.
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

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        // The parent of a relative path's first part is the empty path.
        let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
        File::open(dir)?.sync_all()
    }

    fn lock(&self, path: &Path) -> io::Result<Option<DiskLock>> {
        // Without writing when it exists, so that a directory that may only be
        // read can still be inspected.
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                OpenOptions::new().write(true).create(true).truncate(false).open(path)?
            }
            Err(error) => return Err(error),
        };
        match file.try_lock() {
            Ok(()) => Ok(Some(Box::new(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    fn another_handle(&self) -> Box<dyn Disk> {
        Box::new(RealDisk)
    }

    fn salt(&self) -> u32 {
        // The standard library keys its hash tables from the system's entropy;
        // the hash of nothing under such a key is as random as the key.
        let hash = std::collections::hash_map::RandomState::new().build_hasher().finish();
        (hash ^ (hash >> 32)) as u32
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
        // Advice: a system that does not take it writes more, and that is all.
        let _ = rustix::fs::fadvise(self, 0, None, rustix::fs::Advice::Random);
    }
}
