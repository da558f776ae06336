//! A disk in memory that can lose power, fill up, fail and rot.
//!
//! It distinguishes what is durable from what is only in the cache. The bytes of a file become
//! durable by its `sync_data`, names become durable by the `sync_dir` of their directory, and
//! neither by the other. Clones share the disk, so a test keeps one clone while the storage has
//! another, and opens the same disk again after a [`SimDisk::crash`]. Nothing is random but by a
//! seed.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use crate::storage::{Disk, DiskFile, DiskLock, Named, OpenMode};
use file::File;
use names::parent;
use state::{Faults, State};

pub use file::Crash;
pub use state::DiskOperation;

mod file;
mod names;
mod state;

/// A handle of a simulated disk.
#[derive(Clone, Debug, Default)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
}

impl SimDisk {
    /// An empty disk.
    pub fn new() -> SimDisk {
        SimDisk::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no test panics while it holds the lock")
    }

    /// Loses the power, and gets it back. Unsynced changes are lost as `crash` says, locks are
    /// released, open files fail, and no fault is to come any more. But a full disk stays full,
    /// and rotten bytes stay rotten.
    pub fn crash(&self, crash: Crash) {
        self.state().crash(crash);
    }

    /// Kills the process, but not the kernel. Locks are released, open files fail, and no fault
    /// is to come any more. But nothing is lost, and unsynced changes are still not durable.
    pub fn kill(&self) {
        self.state().end_process();
    }

    /// Lets this number of operations succeed. After them everything fails until
    /// [`SimDisk::crash`] or [`SimDisk::kill`].
    pub fn cut_power_after(&self, operations: u64) {
        let mut state = self.state();
        state.faults.power_operations = Some(operations);
    }

    /// Makes the `nth` write from now fail after half of its bytes; 1 is the next write.
    pub fn fail_write(&self, nth: u64, error: io::ErrorKind) {
        let mut state = self.state();
        state.faults.write = Some((state.counts.writes + nth, error));
    }

    /// Makes the `nth` sync of a file from now fail; 1 is the next sync. As on Linux, the writes
    /// that it should have made durable stay in the cache only, and no later sync makes them
    /// durable.
    pub fn fail_sync(&self, nth: u64, error: io::ErrorKind) {
        let mut state = self.state();
        state.faults.sync = Some((state.counts.syncs + nth, error));
    }

    /// Makes the `nth` read from now fail; 1 is the next read.
    pub fn fail_read(&self, nth: u64) {
        let mut state = self.state();
        state.faults.read = Some(state.counts.reads + nth);
    }

    /// Sets the maximum size of all files together in bytes; `None` is no limit. It holds until
    /// it is set again.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.state().capacity_bytes = bytes;
    }

    /// Makes every write fail that lets a file in this directory grow, as if there were no room;
    /// `None` for no directory. It holds until it is set again.
    pub fn set_full_dir(&self, dir: Option<PathBuf>) {
        self.state().full_dir = dir;
    }

    /// Cancels all faults that are to come.
    pub fn mend(&self) {
        self.state().faults = Faults::default();
    }

    /// Size of all files together in bytes.
    pub fn used_bytes(&self) -> u64 {
        self.state().used_bytes()
    }

    /// The length of a file in bytes.
    pub fn file_bytes(&self, path: &Path) -> u64 {
        let state = self.state();
        state.files[existing(&state, path)].length()
    }

    /// Number of operations so far that changed something, or failed to.
    pub fn operations(&self) -> u64 {
        self.state().counts.operations
    }

    /// Number of writes so far.
    pub fn writes(&self) -> u64 {
        self.state().counts.writes
    }

    /// Number of syncs of files so far.
    pub fn syncs(&self) -> u64 {
        self.state().counts.syncs
    }

    /// Records operations from now on. Returns the operations that were recorded before.
    pub fn record(&self) -> Vec<DiskOperation> {
        self.state().record.replace(Vec::new()).unwrap_or_default()
    }

    /// Keeps the content of files whose names end in `.extension` from now on. It is kept, as it
    /// was written, when a file is removed or lost, or is renamed to another extension.
    pub fn keep_removed(&self, extension: &'static str) {
        self.state().removed.extension = Some(extension);
    }

    /// Number of files that [`SimDisk::keep_removed`] kept.
    pub fn removed_files(&self) -> usize {
        self.state().removed.count()
    }

    /// The contents of the files that [`SimDisk::keep_removed`] kept and of those with that
    /// extension that are there, as they were written, in the order in which the files got their
    /// names. A log that is cut and goes on uses names again, so their own order says nothing.
    pub fn written_files(&self) -> Vec<Vec<u8>> {
        self.state().written_files()
    }

    /// Keeps the files that [`SimDisk::written_files`] tells of as they are now: a repair is about
    /// to erase a part of them.
    pub fn archive(&self) {
        self.state().archive();
    }

    /// Number of renames from a name that ends in `.from` to a name that ends in `.to`.
    pub fn renames(&self, from: &str, to: &str) -> u64 {
        self.state().renames.get(&(from.into(), to.into())).copied().unwrap_or(0)
    }

    /// Size in bytes of the largest file that was ever renamed to a name that ends in `.to`.
    pub fn largest_renamed(&self, to: &str) -> u64 {
        self.state().largest_renamed.get(to).copied().unwrap_or(0)
    }

    /// The paths of all files, sorted.
    pub fn paths(&self) -> Vec<PathBuf> {
        self.state().names.files().map(|(path, _)| path.clone()).collect()
    }

    /// The bytes of a file, as a process sees them.
    ///
    /// # Panics
    /// When there is no such file.
    pub fn contents(&self, path: &Path) -> Vec<u8> {
        let state = self.state();
        state.files[existing(&state, path)].bytes().to_vec()
    }

    /// A value that changes whenever other bytes may be durable.
    pub fn generation(&self) -> (u64, u64) {
        let state = self.state();
        (state.process, state.counts.operations)
    }

    /// Calls `look` with the bytes of a file that would survive a loss of all unsynced changes,
    /// as they were written. Returns `None` when not even the name of the file would survive.
    pub fn look_at_durable<T>(&self, path: &Path, look: impl FnOnce(&[u8]) -> T) -> Option<T> {
        let state = self.state();
        let file = state.names.durable_file(path)?;
        Some(look(&state.files[file].written_durably()))
    }

    /// The files of a directory whose names would survive a loss of all unsynced changes.
    pub fn durable_paths(&self, dir: &Path) -> Vec<PathBuf> {
        self.state().names.durable_in_dir(dir)
    }

    /// Replaces or creates a file, durably, without an operation of the process.
    pub fn set_contents(&self, path: &Path, bytes: Vec<u8>) {
        let state = &mut *self.state();
        let file = state.add_file(File::durable(path.to_owned(), bytes));
        state.names.set_durably(path, file);
    }

    /// Removes a file, durably, without an operation of the process.
    pub fn lose(&self, path: &Path) {
        let mut state = self.state();
        state.keep_removed(path);
        state.names.remove_durably(path);
    }

    /// Flips a bit of a file, durably.
    ///
    /// # Panics
    /// When there is no such file.
    pub fn flip_bit(&self, path: &Path, offset: u64, bit: u32) {
        self.change(path, offset, 1 << bit);
    }

    /// Overwrites bytes of a file, durably, without an operation of the process: they are what a
    /// write to another file, or a write that was lost, has left there.
    ///
    /// # Panics
    /// When there is no such file.
    pub fn damage(&self, path: &Path, offset: u64, bytes: &[u8]) {
        let old = self.contents(path);
        for (at, byte) in (offset..).zip(bytes) {
            let changed = old.get(at as usize).map_or(0, |old| old ^ byte);
            self.change(path, at, changed);
        }
    }

    fn change(&self, path: &Path, offset: u64, bits: u8) {
        let state = &mut *self.state();
        let file = existing(state, path);
        state.files[file].change(offset as usize, bits);
    }

    /// Every byte that a process would read now and that is not what was written.
    pub fn rot(&self) -> Vec<(PathBuf, u64)> {
        let state = self.state();
        let of_file = |(path, file): (&PathBuf, usize)| {
            let rot = state.files[file].rot();
            rot.map(|offset| (path.clone(), offset)).collect::<Vec<_>>()
        };
        state.names.files().flat_map(of_file).collect()
    }

    /// Returns another disk with the content that a process sees on this one, all of it durable.
    #[must_use]
    pub fn duplicate(&self) -> SimDisk {
        self.duplicate_as(File::duplicate)
    }

    /// Returns another disk as [`SimDisk::duplicate`] does, without rotten bytes.
    #[must_use]
    pub fn undamaged(&self) -> SimDisk {
        self.duplicate_as(File::duplicate_undamaged)
    }

    /// Returns another disk with the content that this one would have if every unsynced change
    /// were lost.
    #[must_use]
    pub fn durable_image(&self) -> SimDisk {
        let state = self.state();
        let names = state.names.duplicate_durable();
        let mut files: Vec<File> = state.files.iter().map(|_| File::default()).collect();
        for (path, file) in names.files() {
            files[file] = state.files[file].duplicate_durable(path.clone());
        }
        let copy = State { files, names, salts: state.salts, ..State::default() };
        SimDisk { state: Arc::new(Mutex::new(copy)) }
    }

    /// Puts an earlier [`SimDisk::durable_image`] in the place of everything, as an old backup of
    /// the whole disk does. The process that used the disk has to be dead.
    pub fn return_to(&self, image: &SimDisk) {
        self.state().return_to(&image.state());
    }

    fn duplicate_as(&self, copy: impl Fn(&File) -> File) -> SimDisk {
        let state = self.state();
        let mut files: Vec<File> = state.files.iter().map(|_| File::default()).collect();
        for (_, file) in state.names.files() {
            files[file] = copy(&state.files[file]);
        }
        let names = state.names.duplicate();
        let copy = State { files, names, salts: state.salts, ..State::default() };
        SimDisk { state: Arc::new(Mutex::new(copy)) }
    }
}

fn existing(state: &State, path: &Path) -> usize {
    match state.names.file(path) {
        Ok(file) => file,
        Err(_) => panic!("there is no file {}", path.display()),
    }
}

impl Disk for SimDisk {
    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        let mut missing: Vec<&Path> =
            path.ancestors().filter(|dir| !state.names.is_dir(dir)).collect();
        missing.reverse();
        for dir in missing {
            state.operate(DiskOperation::CreateDir(dir.to_owned()))?;
            state.names.add_dir(dir);
        }
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let state = self.state();
        state.check_power()?;
        if !state.names.is_dir(dir) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let children = state.names.in_dir(dir);
        let mut names: Vec<String> = children
            .filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned()))
            .collect();
        names.sort_unstable();
        Ok(names)
    }

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.state();
        state.check_power()?;
        let file = match (state.names.file(path), mode) {
            (Ok(file), OpenMode::Read | OpenMode::Write) => file,
            (Err(error), OpenMode::Read | OpenMode::Write) => return Err(error),
            (_, OpenMode::Create) => {
                if !state.names.is_dir(parent(path)) {
                    return Err(io::ErrorKind::NotFound.into());
                }
                state.operate(DiskOperation::Create(path.to_owned()))?;
                // A file that is emptied is replaced by a new file: simpler, and no more
                // forgiving.
                let file = state.add_file(File::new(path.to_owned()));
                state.names.set(path, file);
                state.removed.on_named(path);
                file
            }
        };
        let writable = mode != OpenMode::Read;
        let (disk, process) = (self.clone(), state.process);
        Ok(Box::new(SimFile { disk, file, process, writable }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.state().rename(from, to)
    }

    fn rename_dir(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.state().rename_dir(from, to)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        if !state.names.is_dir(path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        if state.names.in_dir(path).next().is_some() {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        state.operate(DiskOperation::Remove(path.to_owned()))?;
        state.names.remove_dir(path);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.names.file(path)?;
        state.operate(DiskOperation::Remove(path.to_owned()))?;
        state.keep_removed(path);
        state.names.remove(path);
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.operate(DiskOperation::SyncDir(dir.to_owned()))?;
        state.names.sync_dir(dir);
        Ok(())
    }

    fn lock(&self, path: &Path) -> io::Result<Option<DiskLock>> {
        if self.state().names.file(path).is_err() {
            self.open(path, OpenMode::Create)?;
        }
        let mut state = self.state();
        state.check_power()?;
        if !state.locks.insert(path.to_owned()) {
            return Ok(None);
        }
        let process = state.process;
        let file = state.names.file(path)?;
        Ok(Some(Box::new(SimLock { disk: self.clone(), path: path.to_owned(), file, process })))
    }

    fn hold_dir(&self, dir: &Path) -> io::Result<Box<dyn Named>> {
        let state = self.state();
        state.check_power()?;
        match state.names.is_dir(dir) {
            true => Ok(Box::new(SimDir { disk: self.clone() })),
            false => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn another_handle(&self) -> Box<dyn Disk> {
        Box::new(self.clone())
    }

    fn salt(&self) -> u32 {
        let mut state = self.state();
        state.salts += 1;
        // The multiplication spreads the number over all bits, so that no salt resembles the
        // next.
        state.salts.wrapping_mul(0x9e37_79b1)
    }
}

/// A directory. It has no number: it is known by its name.
struct SimDir {
    disk: SimDisk,
}

impl Named for SimDir {
    fn is_at(&self, path: &Path) -> io::Result<bool> {
        Ok(self.disk.state().names.is_dir(path))
    }
}

struct SimLock {
    disk: SimDisk,
    path: PathBuf,
    file: usize,
    process: u64,
}

impl Named for SimLock {
    fn is_at(&self, path: &Path) -> io::Result<bool> {
        Ok(self.disk.state().names.file(path).is_ok_and(|file| file == self.file))
    }
}

impl Drop for SimLock {
    fn drop(&mut self) {
        let mut state = self.disk.state();
        if state.process == self.process {
            state.locks.remove(&self.path);
        }
    }
}

struct SimFile {
    disk: SimDisk,
    file: usize,
    process: u64,
    writable: bool,
}

impl SimFile {
    fn state(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.disk.state();
        state.check_power()?;
        if state.process != self.process {
            return Err(io::Error::other("this file was opened before a crash"));
        }
        Ok(state)
    }
}

impl Named for SimFile {
    fn is_at(&self, path: &Path) -> io::Result<bool> {
        Ok(self.state()?.names.file(path).is_ok_and(|file| file == self.file))
    }
}

impl DiskFile for SimFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mut state = self.state()?;
        state.counts.reads += 1;
        if state.faults.read == Some(state.counts.reads) {
            return Err(io::Error::other("this sector cannot be read"));
        }
        let cached = state.files[self.file].bytes();
        let available = cached.get(offset as usize..).unwrap_or_default();
        let read = available.len().min(buffer.len());
        buffer[..read].copy_from_slice(&available[..read]);
        Ok(read)
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        if !self.writable {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        self.state()?.write(self.file, offset, bytes)
    }

    fn sync_data(&mut self) -> io::Result<()> {
        self.state()?.sync(self.file)
    }

    fn bytes(&self) -> io::Result<u64> {
        Ok(self.state()?.files[self.file].length())
    }

    fn cache_by_pages(&self) {}
}

#[cfg(test)]
mod tests;
