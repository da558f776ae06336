//! The state that all handles of one simulated disk share.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::file::{Crash, File, whole_sectors};
use super::names::{Names, parent};

/// An operation that changed the disk. Reads are not recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DiskOperation {
    /// A directory was created.
    CreateDir(PathBuf),
    /// A file was created, or emptied.
    Create(PathBuf),
    /// Bytes were written: the file, the offset, and the number of bytes.
    Write(PathBuf, u64, usize),
    /// A file was synced.
    Sync(PathBuf),
    /// A file or a directory was renamed from the first name to the second.
    Rename(PathBuf, PathBuf),
    /// A file or a directory was removed.
    Remove(PathBuf),
    /// A directory was synced.
    SyncDir(PathBuf),
}

/// The state of a disk.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) files: Vec<File>,
    pub(super) names: Names,
    pub(super) locks: BTreeSet<PathBuf>,
    /// Number of the process that uses the disk. It rises with every crash and every kill, and
    /// handles of an earlier process fail.
    pub(super) process: u64,
    /// Number of salts that were drawn.
    pub(super) salts: u32,
    pub(super) faults: Faults,
    /// Maximum size of all files together in bytes.
    pub(super) capacity_bytes: Option<u64>,
    /// The directory whose files cannot grow.
    pub(super) full_dir: Option<PathBuf>,
    pub(super) counts: Counts,
    /// The operations since recording began.
    pub(super) record: Option<Vec<DiskOperation>>,
    pub(super) removed: Removed,
    /// Number of renames by the extensions of the old and the new name.
    pub(super) renames: BTreeMap<(String, String), u64>,
    /// Size of the largest file that was renamed to a name with this extension.
    pub(super) largest_renamed: BTreeMap<String, u64>,
}

/// Numbers of operations so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    /// Operations that changed something, or failed to.
    pub(super) operations: u64,
    /// Reads of files.
    pub(super) reads: u64,
    /// Writes to files.
    pub(super) writes: u64,
    /// Syncs of files.
    pub(super) syncs: u64,
}

/// Faults that are to come.
#[derive(Debug, Default)]
pub(super) struct Faults {
    /// Number of operations that still succeed; after them everything fails.
    pub(super) power_operations: Option<u64>,
    /// The number of the write that fails, and its error.
    pub(super) write: Option<(u64, io::ErrorKind)>,
    /// The number of the sync that fails, and its error.
    pub(super) sync: Option<(u64, io::ErrorKind)>,
    /// The number of the read that fails.
    pub(super) read: Option<u64>,
}

/// Files that can still be read after they were removed.
#[derive(Debug, Default)]
pub(super) struct Removed {
    /// The extension of the files that are kept.
    pub(super) extension: Option<&'static str>,
    /// The number of each name with that extension, by the order in which files got them. A
    /// name that is given again gets a new number.
    named: BTreeMap<PathBuf, u64>,
    /// The number of archives before the removal, the number of the name, and the content of each
    /// removed file, in the order of removal.
    files: Vec<(u64, u64, Vec<u8>)>,
    /// The number of archives so far.
    archives: u64,
}

impl Removed {
    /// A file gets this name.
    pub(super) fn on_named(&mut self, path: &Path) {
        if extension(path) == self.extension {
            let number = self.named.values().max().map_or(0, |newest| newest + 1);
            self.named.insert(path.to_owned(), number);
        }
    }

    /// A file with the name `from` is moved, with its directory, and has the name `to`.
    fn on_moved(&mut self, from: &Path, to: &Path) {
        if let Some(number) = self.named.get(from).copied() {
            self.named.insert(to.to_owned(), number);
        }
    }

    /// Number of files that were removed and kept.
    pub(super) fn count(&self) -> usize {
        self.files.len()
    }
}

impl State {
    /// Loses the power: see [`SimDisk::crash`](super::SimDisk::crash).
    pub(super) fn crash(&mut self, crash: Crash) {
        let mut rng = match crash {
            Crash::Seeded(seed) => Some(StdRng::seed_from_u64(seed)),
            _ => None,
        };
        let changes = self.names.unsynced();
        let kept = match (crash, &mut rng) {
            (Crash::KeepUnsynced, _) => changes,
            (_, Some(rng)) => rng.random_range(0..=changes),
            _ => 0,
        };
        self.names.crash(kept);
        for file in &mut self.files {
            file.crash(crash, rng.as_mut());
        }
        let named: BTreeSet<usize> = self.names.files().map(|(_, file)| file).collect();
        for (number, file) in self.files.iter_mut().enumerate() {
            if !named.contains(&number) {
                *file = File::default();
            }
        }
        for (path, file) in self.names.files() {
            self.files[file].set_path(path);
        }
        self.end_process();
    }

    /// Ends the process that uses the disk.
    pub(super) fn end_process(&mut self) {
        self.locks.clear();
        self.process += 1;
        self.faults = Faults::default();
    }

    /// Counts an operation, and fails it when the power is off.
    pub(super) fn operate(&mut self, operation: DiskOperation) -> io::Result<()> {
        self.check_power()?;
        if let Some(left) = &mut self.faults.power_operations {
            *left -= 1;
        }
        self.counts.operations += 1;
        if let Some(record) = &mut self.record {
            record.push(operation);
        }
        Ok(())
    }

    /// Fails when the power is off.
    pub(super) fn check_power(&self) -> io::Result<()> {
        match self.faults.power_operations {
            Some(0) => Err(io::Error::other("the power is gone")),
            _ => Ok(()),
        }
    }

    /// Size of all files together in bytes.
    pub(super) fn used_bytes(&self) -> u64 {
        self.names.files().map(|(_, file)| self.files[file].length()).sum()
    }

    /// Replaces the files and the names by those of `image`, durably. The process has ended.
    pub(super) fn return_to(&mut self, image: &State) {
        self.archive();
        self.names = image.names.duplicate();
        self.files = image.files.iter().map(File::duplicate).collect();
        // The order of these names is that of the image, whatever had them since.
        let paths: Vec<PathBuf> = self.names.files().map(|(path, _)| path.clone()).collect();
        paths.iter().for_each(|path| self.removed.on_named(path));
        // Other bytes are durable now.
        self.counts.operations += 1;
    }

    /// Keeps the contents of all files with the kept extension as they are now, as if they were
    /// removed. They come before everything that is removed or present later.
    pub(super) fn archive(&mut self) {
        let paths: Vec<PathBuf> = self.names.files().map(|(path, _)| path.clone()).collect();
        paths.iter().for_each(|path| self.keep_removed(path));
        self.removed.archives += 1;
    }

    /// Adds a file without a name and returns its number.
    pub(super) fn add_file(&mut self, file: File) -> usize {
        self.files.push(file);
        self.files.len() - 1
    }

    /// Keeps the content of a file that is about to lose its name, if its extension says so.
    pub(super) fn keep_removed(&mut self, path: &Path) {
        let is_kept = extension(path) == self.removed.extension;
        if let Ok(file) = self.names.file(path)
            && is_kept
        {
            let number = self.removed.named.get(path).copied().unwrap_or(0);
            let archives = self.removed.archives;
            self.removed.files.push((archives, number, self.files[file].written()));
        }
    }

    /// The contents of all files whose names have the kept extension, and of those that were
    /// removed or archived, as they were written, in the order in which the files got their names
    /// since the archive before.
    pub(super) fn written_files(&self) -> Vec<Vec<u8>> {
        let is_kept = |path: &Path| extension(path) == self.removed.extension;
        let present = self.names.files().filter(|(path, _)| is_kept(path));
        let present = present.map(|(path, file)| {
            let number = self.removed.named.get(path).copied().unwrap_or(0);
            (self.removed.archives, number, self.files[file].written())
        });
        let mut files: Vec<(u64, u64, Vec<u8>)> =
            self.removed.files.iter().cloned().chain(present).collect();
        files.sort_by_key(|(archives, number, _)| (*archives, *number));
        files.into_iter().map(|(.., bytes)| bytes).collect()
    }

    /// Renames a file.
    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let file = self.names.file(from)?;
        if parent(from) != parent(to) {
            return Err(io::Error::other("files are renamed within their directory only"));
        }
        self.operate(DiskOperation::Rename(from.to_owned(), to.to_owned()))?;
        let extensions = [from, to].map(|path| extension(path).unwrap_or_default().to_owned());
        if extensions[0] != extensions[1] {
            self.keep_removed(from);
            self.removed.on_named(to);
        }
        let largest = self.largest_renamed.entry(extensions[1].clone()).or_default();
        *largest = self.files[file].length().max(*largest);
        *self.renames.entry(extensions.into()).or_default() += 1;
        self.files[file].set_path(to);
        self.names.rename(from, to);
        Ok(())
    }

    /// Moves a directory to a name that nothing has.
    pub(super) fn rename_dir(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        if !self.names.is_dir(from) || !self.names.is_dir(parent(to)) {
            return Err(io::ErrorKind::NotFound.into());
        }
        if self.names.is_dir(to) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        self.operate(DiskOperation::Rename(from.to_owned(), to.to_owned()))?;
        let moved: Vec<(PathBuf, usize)> =
            self.names.below(from).map(|(path, file)| (path.clone(), file)).collect();
        for (path, file) in moved {
            let below = path.strip_prefix(from).expect("it is below the directory");
            let moved = to.join(below);
            self.removed.on_moved(&path, &moved);
            self.files[file].set_path(&moved);
        }
        self.names.rename_dir(from, to);
        Ok(())
    }

    /// Writes bytes to a file, as many as the faults and the capacity let it.
    pub(super) fn write(&mut self, file: usize, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let path = self.files[file].path().to_owned();
        self.operate(DiskOperation::Write(path, offset, bytes.len()))?;
        self.counts.writes += 1;
        let growth = (offset + bytes.len() as u64).saturating_sub(self.files[file].length());
        let free = match self.capacity_bytes {
            _ if self.full_dir.as_deref() == Some(parent(self.files[file].path())) => 0,
            Some(capacity) => capacity.saturating_sub(self.used_bytes()),
            None => u64::MAX,
        };
        let (taken, error) = match self.faults.write {
            Some((nth, error)) if nth == self.counts.writes => (bytes.len() / 2, Some(error)),
            _ if growth > free => {
                let taken = bytes.len() - ((growth - free) as usize).min(bytes.len());
                (taken, Some(io::ErrorKind::StorageFull))
            }
            _ => (bytes.len(), None),
        };
        // The page cache takes a page whole or not at all: no sector is torn.
        let taken = whole_sectors(offset as usize, taken, bytes.len());
        self.files[file].write(offset as usize, bytes[..taken].to_vec());
        error.map_or(Ok(()), |error| Err(error.into()))
    }

    /// Syncs a file, unless this sync is to fail.
    pub(super) fn sync(&mut self, file: usize) -> io::Result<()> {
        let path = self.files[file].path().to_owned();
        self.operate(DiskOperation::Sync(path))?;
        self.counts.syncs += 1;
        let error = self.faults.sync.filter(|(nth, _)| *nth == self.counts.syncs);
        self.files[file].sync(error.is_some());
        error.map_or(Ok(()), |(_, error)| Err(error.into()))
    }
}

fn extension(path: &Path) -> Option<&str> {
    path.extension()?.to_str()
}
