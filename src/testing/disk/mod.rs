//! A disk in memory that can lose power, fill up, fail and rot.
//!
//! It keeps apart what is durable and what is only in the cache: the bytes of a
//! file become durable by its `sync_data`, names by `sync_dir` of their
//! directory, and neither by the other. Clones share the disk, so a test keeps
//! one while the storage has another, and opens the same disk again after a
//! [`SimDisk::crash`]. Nothing here is random but by a seed.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use file::{File, Image, whole_sectors};

use crate::storage::{Disk, DiskFile, DiskLock, OpenMode};

mod file;

/// What the disk writes all or nothing of.
const SECTOR_BYTES: usize = 512;

/// What a loss of power leaves of that which was not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    /// Nothing.
    LoseUnsynced,
    /// All of it.
    KeepUnsynced,
    /// By chance, for each file: nothing, all, the first so many bytes, or some
    /// of the sectors; and of the names the first so many changes.
    Seeded(u64),
}

/// What was done to the disk; reads are not among it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DiskOperation {
    /// A directory was made.
    CreateDir(PathBuf),
    /// A file was made, or emptied.
    Create(PathBuf),
    /// So many bytes were written at an offset.
    Write(PathBuf, u64, usize),
    /// A file was synced.
    Sync(PathBuf),
    /// A file was given the second name.
    Rename(PathBuf, PathBuf),
    /// A file was removed.
    Remove(PathBuf),
    /// A directory was synced.
    SyncDir(PathBuf),
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    files: Vec<File>,
    dirs: BTreeSet<PathBuf>,
    names: BTreeMap<PathBuf, usize>,
    /// What of `dirs` and `names` is durable.
    durable_dirs: BTreeSet<PathBuf>,
    durable_names: BTreeMap<PathBuf, usize>,
    /// What is between the two, in order.
    unsynced_names: Vec<NameChange>,
    locks: BTreeSet<PathBuf>,
    /// Rises with every crash: handles of an earlier life are dead.
    life: u64,
    salts: u32,
    faults: Faults,
    /// No more bytes than this, over all files.
    capacity_bytes: Option<u64>,
    operations: u64,
    reads: u64,
    writes: u64,
    syncs: u64,
    record: Option<Vec<DiskOperation>>,
    /// What the names end in of files that are kept when they are removed.
    keep: Option<&'static str>,
    removed: Vec<(PathBuf, Vec<u8>)>,
    /// How often a file that ended so was renamed to one that ends so.
    renames: BTreeMap<(String, String), u64>,
    largest: BTreeMap<String, u64>,
}

#[derive(Clone, Debug)]
enum NameChange {
    Dir(PathBuf),
    Set(PathBuf, usize),
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
}

impl NameChange {
    fn dir(&self) -> &Path {
        let (NameChange::Dir(path)
        | NameChange::Set(path, _)
        | NameChange::Rename(_, path)
        | NameChange::Remove(path)) = self;
        parent(path)
    }

    fn apply(&self, dirs: &mut BTreeSet<PathBuf>, names: &mut BTreeMap<PathBuf, usize>) {
        match self {
            NameChange::Dir(path) => {
                dirs.insert(path.clone());
            }
            NameChange::Set(path, file) => {
                names.insert(path.clone(), *file);
            }
            NameChange::Rename(from, to) => {
                if let Some(file) = names.remove(from) {
                    names.insert(to.clone(), file);
                }
            }
            NameChange::Remove(path) => {
                names.remove(path);
            }
        }
    }
}

#[derive(Debug, Default)]
struct Faults {
    /// Operations that still succeed; after them nothing does.
    power_operations: Option<u64>,
    /// The number of the write that fails, and how.
    write: Option<(u64, io::ErrorKind)>,
    sync: Option<(u64, io::ErrorKind)>,
    /// The number of the read that fails.
    read: Option<u64>,
}

impl SimDisk {
    /// An empty disk.
    pub fn new() -> SimDisk {
        SimDisk::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no test panics while it holds the lock")
    }

    /// The power goes and comes back: what was not synced is lost as `crash`
    /// says, locks are free, open files are dead and faults are over; but a full
    /// disk stays full, and what is rotten stays so.
    pub fn crash(&self, crash: Crash) {
        let state = &mut *self.state();
        let mut rng = match crash {
            Crash::Seeded(seed) => Some(StdRng::seed_from_u64(seed)),
            _ => None,
        };
        let changes = std::mem::take(&mut state.unsynced_names);
        let kept = match (crash, &mut rng) {
            (Crash::KeepUnsynced, _) => changes.len(),
            (_, Some(rng)) => rng.random_range(0..=changes.len()),
            _ => 0,
        };
        for change in &changes[..kept] {
            change.apply(&mut state.durable_dirs, &mut state.durable_names);
        }
        // A name in a directory that is itself gone is gone with it.
        let dirs = &state.durable_dirs;
        let reachable = |path: &Path| path.ancestors().skip(1).all(|dir| is_dir(dirs, dir));
        state.names = state.durable_names.clone();
        state.names.retain(|path, _| reachable(path));
        state.dirs = dirs.iter().filter(|path| reachable(path)).cloned().collect();
        state.durable_names = state.names.clone();
        state.durable_dirs = state.dirs.clone();
        for file in &mut state.files {
            file.crash(crash, rng.as_mut());
        }
        let named: BTreeSet<usize> = state.names.values().copied().collect();
        for (number, file) in state.files.iter_mut().enumerate() {
            if !named.contains(&number) {
                *file = File::default();
            }
        }
        for (path, file) in &state.names {
            state.files[*file].path = path.clone();
        }
        state.end_process();
    }

    /// Only the process dies, the kernel lives: locks are free, open files are
    /// dead and faults are over, but nothing is lost, and what was not synced is
    /// still not durable.
    pub fn kill(&self) {
        self.state().end_process();
    }

    /// After so many more operations everything fails, until [`SimDisk::crash`]
    /// or [`SimDisk::kill`].
    pub fn cut_power_after(&self, operations: u64) {
        let mut state = self.state();
        state.faults.power_operations = Some(operations);
    }

    /// The `nth` write from now (1 is the next one) fails, after half of it.
    pub fn fail_write(&self, nth: u64, error: io::ErrorKind) {
        let mut state = self.state();
        state.faults.write = Some((state.writes + nth, error));
    }

    /// The `nth` sync of a file from now (1 is the next one) fails. As on Linux,
    /// what it should have written is from then on in the cache only, and no
    /// later sync writes it.
    pub fn fail_sync(&self, nth: u64, error: io::ErrorKind) {
        let mut state = self.state();
        state.faults.sync = Some((state.syncs + nth, error));
    }

    /// The `nth` read from now (1 is the next one) fails.
    pub fn fail_read(&self, nth: u64) {
        let mut state = self.state();
        state.faults.read = Some(state.reads + nth);
    }

    /// All files together take at most so many bytes; `None` is no limit. Holds
    /// until it is set anew.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.state().capacity_bytes = bytes;
    }

    /// No fault is to come any more.
    pub fn mend(&self) {
        self.state().faults = Faults::default();
    }

    /// What all files together take.
    pub fn used_bytes(&self) -> u64 {
        self.state().used_bytes()
    }

    /// Operations that changed something, or failed to, so far.
    pub fn operations(&self) -> u64 {
        self.state().operations
    }

    /// Writes so far.
    pub fn writes(&self) -> u64 {
        self.state().writes
    }

    /// Syncs of files so far.
    pub fn syncs(&self) -> u64 {
        self.state().syncs
    }

    /// Records operations from now on; hands out what was recorded before.
    pub fn record(&self) -> Vec<DiskOperation> {
        self.state().record.replace(Vec::new()).unwrap_or_default()
    }

    /// From now on a file whose name ends in `.extension` can still be looked at, as it
    /// was written, when it is removed or lost, or gets a name that ends otherwise.
    pub fn keep_removed(&self, extension: &'static str) {
        self.state().keep = Some(extension);
    }

    /// Those, in the order in which they went.
    pub fn removed(&self) -> Vec<(PathBuf, Vec<u8>)> {
        self.state().removed.clone()
    }

    /// How often a file that ended in `.from` was renamed to one that ends in `.to`.
    pub fn renames(&self, from: &str, to: &str) -> u64 {
        self.state().renames.get(&(from.into(), to.into())).copied().unwrap_or(0)
    }

    /// The size of the largest file that was ever renamed to one that ends in `.to`.
    pub fn largest_renamed(&self, to: &str) -> u64 {
        self.state().largest.get(to).copied().unwrap_or(0)
    }

    /// The paths of all files, in their order.
    pub fn paths(&self) -> Vec<PathBuf> {
        self.state().names.keys().cloned().collect()
    }

    /// The bytes of a file, as a process sees them.
    ///
    /// # Panics
    /// When there is no such file.
    pub fn contents(&self, path: &Path) -> Vec<u8> {
        let state = self.state();
        state.files[state.names[path]].cached.bytes.clone()
    }

    /// Another number whenever other bytes may be durable.
    pub fn generation(&self) -> (u64, u64) {
        let state = self.state();
        (state.life, state.operations)
    }

    /// Looks at what of a file would survive if nothing did that was not synced, and
    /// nothing rotted; `None` when not even its name would.
    pub fn look_at_durable<T>(&self, path: &Path, look: impl FnOnce(&[u8]) -> T) -> Option<T> {
        let state = self.state();
        let file = state.durable_names.get(path)?;
        Some(look(&state.files[*file].durable.as_written()))
    }

    /// The files of a directory whose names would survive if nothing did that was not
    /// synced.
    pub fn durable_paths(&self, dir: &Path) -> Vec<PathBuf> {
        let state = self.state();
        let names = state.durable_names.range(dir.to_owned()..).map(|(path, _)| path);
        let below = names.take_while(|path| path.starts_with(dir));
        below.filter(|path| path.parent() == Some(dir)).cloned().collect()
    }

    /// Replaces a file behind everybody's back, durably; makes it, too.
    pub fn set_contents(&self, path: &Path, bytes: Vec<u8>) {
        let state = &mut *self.state();
        let file = File::durable(path.to_owned(), Image::new(bytes));
        state.files.push(file);
        let file = state.files.len() - 1;
        state.names.insert(path.to_owned(), file);
        state.durable_names.insert(path.to_owned(), file);
    }

    /// Removes a file behind everybody's back, durably.
    pub fn lose(&self, path: &Path) {
        let mut state = self.state();
        state.keep_if_wanted(path);
        state.names.remove(path);
        state.durable_names.remove(path);
    }

    /// Flips a bit of a file, durably.
    ///
    /// # Panics
    /// When there is no such file.
    pub fn flip_bit(&self, path: &Path, offset: u64, bit: u32) {
        self.change(path, offset, 1 << bit);
    }

    /// Puts other bytes into a file behind everybody's back, durably: what another
    /// file's write, or none, has left there.
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
        let file = &mut state.files[state.names[path]];
        for image in [&mut file.cached, &mut file.durable] {
            image.change(offset as usize, bits);
        }
    }

    /// Every byte that a process would read now and that is not what was written.
    pub fn rot(&self) -> Vec<(PathBuf, u64)> {
        let state = self.state();
        let of_file = |(path, file): (&PathBuf, &usize)| {
            let rot = &state.files[*file].cached.rot;
            rot.keys().map(|offset| (path.clone(), *offset as u64)).collect::<Vec<_>>()
        };
        state.names.iter().flat_map(of_file).collect()
    }

    /// A disk of its own with what is on this one now, all of it durable.
    #[must_use]
    pub fn duplicate(&self) -> SimDisk {
        self.duplicate_as(Image::clone)
    }

    /// The same, without what is rotten in it.
    #[must_use]
    pub fn undamaged(&self) -> SimDisk {
        self.duplicate_as(|image| Image::new(image.as_written().into_owned()))
    }

    fn duplicate_as(&self, copy: impl Fn(&Image) -> Image) -> SimDisk {
        let state = self.state();
        let named: BTreeSet<usize> = state.names.values().copied().collect();
        let duplicate = |(number, file): (usize, &File)| match named.contains(&number) {
            true => File::durable(file.path.clone(), copy(&file.cached)),
            false => File::default(),
        };
        let copy = State {
            files: state.files.iter().enumerate().map(duplicate).collect(),
            dirs: state.dirs.clone(),
            names: state.names.clone(),
            durable_dirs: state.dirs.clone(),
            durable_names: state.names.clone(),
            salts: state.salts,
            ..State::default()
        };
        SimDisk { state: Arc::new(Mutex::new(copy)) }
    }
}

impl State {
    fn end_process(&mut self) {
        self.locks.clear();
        self.life += 1;
        self.faults = Faults::default();
    }

    /// Counts an operation, and fails it when the power is gone.
    fn operate(&mut self, operation: DiskOperation) -> io::Result<()> {
        self.powered()?;
        if let Some(left) = &mut self.faults.power_operations {
            *left -= 1;
        }
        self.operations += 1;
        if let Some(record) = &mut self.record {
            record.push(operation);
        }
        Ok(())
    }

    fn powered(&self) -> io::Result<()> {
        match self.faults.power_operations {
            Some(0) => Err(io::Error::other("the power is gone")),
            _ => Ok(()),
        }
    }

    fn used_bytes(&self) -> u64 {
        self.names.values().map(|file| self.files[*file].cached.bytes.len() as u64).sum()
    }

    fn keep_if_wanted(&mut self, path: &Path) {
        let Some(file) = self.names.get(path).filter(|_| extension(path) == self.keep) else {
            return;
        };
        let written = self.files[*file].cached.as_written().into_owned();
        self.removed.push((path.to_owned(), written));
    }

    fn change_names(&mut self, change: NameChange) {
        change.apply(&mut self.dirs, &mut self.names);
        self.unsynced_names.push(change);
    }

    fn file(&self, path: &Path) -> io::Result<usize> {
        self.names.get(path).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn write(&mut self, file: usize, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let path = self.files[file].path.clone();
        self.operate(DiskOperation::Write(path, offset, bytes.len()))?;
        self.writes += 1;
        let length = self.files[file].cached.bytes.len() as u64;
        let growth = (offset + bytes.len() as u64).saturating_sub(length);
        let free = self
            .capacity_bytes
            .map_or(u64::MAX, |capacity| capacity.saturating_sub(self.used_bytes()));
        let (taken, error) = match self.faults.write {
            Some((nth, error)) if nth == self.writes => (bytes.len() / 2, Some(error)),
            _ if growth > free => {
                let taken = bytes.len() - ((growth - free) as usize).min(bytes.len());
                (taken, Some(io::ErrorKind::StorageFull))
            }
            _ => (bytes.len(), None),
        };
        // The page cache takes a page or does not: no sector is torn.
        let taken = whole_sectors(offset as usize, taken, bytes.len());
        self.files[file].write(offset as usize, bytes[..taken].to_vec());
        error.map_or(Ok(()), |error| Err(error.into()))
    }

    fn sync(&mut self, file: usize) -> io::Result<()> {
        let path = self.files[file].path.clone();
        self.operate(DiskOperation::Sync(path))?;
        self.syncs += 1;
        let error = self.faults.sync.filter(|(nth, _)| *nth == self.syncs);
        self.files[file].sync(error.is_some());
        error.map_or(Ok(()), |(_, error)| Err(error.into()))
    }
}

fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new(""))
}

fn extension(path: &Path) -> Option<&str> {
    path.extension()?.to_str()
}

fn is_dir(dirs: &BTreeSet<PathBuf>, path: &Path) -> bool {
    // The empty path and the root have no parent, and are always there.
    path.parent().is_none() || dirs.contains(path)
}

impl Disk for SimDisk {
    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        let mut missing: Vec<&Path> =
            path.ancestors().filter(|dir| !is_dir(&state.dirs, dir)).collect();
        missing.reverse();
        for dir in missing {
            state.operate(DiskOperation::CreateDir(dir.to_owned()))?;
            state.change_names(NameChange::Dir(dir.to_owned()));
        }
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let state = self.state();
        state.powered()?;
        if !is_dir(&state.dirs, dir) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let paths = state.names.keys().chain(&state.dirs);
        let children = paths.filter(|path| path.parent() == Some(dir));
        let mut names: Vec<String> = children
            .filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned()))
            .collect();
        names.sort_unstable();
        Ok(names)
    }

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.state();
        state.powered()?;
        let file = match (state.file(path), mode) {
            (Ok(file), OpenMode::Read | OpenMode::Write) => file,
            (Err(error), OpenMode::Read | OpenMode::Write) => return Err(error),
            (_, OpenMode::Create) => {
                if !is_dir(&state.dirs, parent(path)) {
                    return Err(io::ErrorKind::NotFound.into());
                }
                state.operate(DiskOperation::Create(path.to_owned()))?;
                // A new file even when one is emptied: simpler, and no kinder.
                state.files.push(File { path: path.to_owned(), ..File::default() });
                let file = state.files.len() - 1;
                state.change_names(NameChange::Set(path.to_owned(), file));
                file
            }
        };
        let writable = mode != OpenMode::Read;
        let (disk, life) = (self.clone(), state.life);
        Ok(Box::new(SimFile { disk, file, life, writable }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state();
        let file = state.file(from)?;
        if parent(from) != parent(to) {
            return Err(io::Error::other("files are renamed within their directory only"));
        }
        state.operate(DiskOperation::Rename(from.to_owned(), to.to_owned()))?;
        let extensions = [from, to].map(|path| extension(path).unwrap_or_default().to_owned());
        if extensions[0] != extensions[1] {
            state.keep_if_wanted(from);
        }
        let bytes = state.files[file].cached.bytes.len() as u64;
        let largest = state.largest.entry(extensions[1].clone()).or_default();
        *largest = bytes.max(*largest);
        *state.renames.entry(extensions.into()).or_default() += 1;
        state.files[file].path = to.to_owned();
        state.change_names(NameChange::Rename(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.file(path)?;
        state.operate(DiskOperation::Remove(path.to_owned()))?;
        state.keep_if_wanted(path);
        state.change_names(NameChange::Remove(path.to_owned()));
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let state = &mut *self.state();
        state.operate(DiskOperation::SyncDir(dir.to_owned()))?;
        let changes = std::mem::take(&mut state.unsynced_names);
        for change in changes {
            if change.dir() == dir {
                change.apply(&mut state.durable_dirs, &mut state.durable_names);
            } else {
                state.unsynced_names.push(change);
            }
        }
        Ok(())
    }

    fn lock(&self, path: &Path) -> io::Result<Option<DiskLock>> {
        if self.state().file(path).is_err() {
            self.open(path, OpenMode::Create)?;
        }
        let mut state = self.state();
        state.powered()?;
        if !state.locks.insert(path.to_owned()) {
            return Ok(None);
        }
        Ok(Some(Box::new(SimLock { disk: self.clone(), path: path.to_owned(), life: state.life })))
    }

    fn another_handle(&self) -> Box<dyn Disk> {
        Box::new(self.clone())
    }

    fn salt(&self) -> u32 {
        let mut state = self.state();
        state.salts += 1;
        // Spread over all bits, so that no salt is like the next.
        state.salts.wrapping_mul(0x9e37_79b1)
    }
}

struct SimLock {
    disk: SimDisk,
    path: PathBuf,
    life: u64,
}

impl Drop for SimLock {
    fn drop(&mut self) {
        let mut state = self.disk.state();
        if state.life == self.life {
            state.locks.remove(&self.path);
        }
    }
}

struct SimFile {
    disk: SimDisk,
    file: usize,
    life: u64,
    writable: bool,
}

impl SimFile {
    fn state(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.disk.state();
        state.powered()?;
        if state.life != self.life {
            return Err(io::Error::other("this file was opened before a crash"));
        }
        Ok(state)
    }
}

impl DiskFile for SimFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mut state = self.state()?;
        state.reads += 1;
        if state.faults.read == Some(state.reads) {
            return Err(io::Error::other("this sector cannot be read"));
        }
        let cached = &state.files[self.file].cached.bytes;
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
        Ok(self.state()?.files[self.file].cached.bytes.len() as u64)
    }

    fn cache_by_pages(&self) {}
}

#[cfg(test)]
mod tests;
