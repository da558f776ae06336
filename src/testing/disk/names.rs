//! The names on the disk: directories and files, and which of them are durable.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

/// A change of the names.
#[derive(Clone, Debug)]
enum Change {
    AddDir(PathBuf),
    /// The name belongs to this file from now on.
    Set(PathBuf, usize),
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
    RenameDir(PathBuf, PathBuf),
    RemoveDir(PathBuf),
}

/// The names at one point in time. A file is the number that it has on the disk.
#[derive(Clone, Debug, Default)]
struct Tree {
    dirs: BTreeSet<PathBuf>,
    files: BTreeMap<PathBuf, usize>,
}

/// The names that a process sees, and those that survive a loss of power.
#[derive(Debug, Default)]
pub(super) struct Names {
    cached: Tree,
    durable: Tree,
    /// The changes that are in `cached` only, in their order.
    unsynced: Vec<Change>,
}

impl Change {
    /// The directory that has to be synced for the change to become durable.
    fn dir(&self) -> &Path {
        let (Change::AddDir(path)
        | Change::Set(path, _)
        | Change::Rename(_, path)
        | Change::Remove(path)
        | Change::RenameDir(_, path)
        | Change::RemoveDir(path)) = self;
        parent(path)
    }
}

impl Tree {
    fn apply(&mut self, change: &Change) {
        match change {
            Change::AddDir(path) => {
                self.dirs.insert(path.clone());
            }
            Change::Set(path, file) => {
                self.files.insert(path.clone(), *file);
            }
            Change::Rename(from, to) => {
                if let Some(file) = self.files.remove(from) {
                    self.files.insert(to.clone(), file);
                }
            }
            Change::Remove(path) => {
                self.files.remove(path);
            }
            Change::RenameDir(from, to) => {
                let moved = |path: &PathBuf| match path.strip_prefix(from) {
                    // The path of the directory itself gets no slash at its end.
                    Ok(below) if below.as_os_str().is_empty() => to.clone(),
                    Ok(below) => to.join(below),
                    Err(_) => path.clone(),
                };
                self.dirs = self.dirs.iter().map(&moved).collect();
                let files = std::mem::take(&mut self.files);
                self.files = files.iter().map(|(path, file)| (moved(path), *file)).collect();
            }
            Change::RemoveDir(path) => {
                self.dirs.remove(path);
            }
        }
    }

    fn is_dir(&self, path: &Path) -> bool {
        // The empty path and the root have no parent, and always exist.
        path.parent().is_none() || self.dirs.contains(path)
    }

    /// Removes the names below directories that do not exist.
    fn remove_unreachable(&mut self) {
        let tree = self.clone();
        let is_reachable = |path: &Path| path.ancestors().skip(1).all(|dir| tree.is_dir(dir));
        self.files.retain(|path, _| is_reachable(path));
        self.dirs.retain(|path| is_reachable(path));
    }
}

impl Names {
    /// The same names, all of them durable.
    pub(super) fn duplicate(&self) -> Names {
        let (cached, durable) = (self.cached.clone(), self.cached.clone());
        Names { cached, durable, unsynced: Vec::new() }
    }

    /// The names that would be left if all unsynced changes were lost, all of them durable.
    pub(super) fn duplicate_durable(&self) -> Names {
        let mut durable = self.durable.clone();
        durable.remove_unreachable();
        Names { cached: durable.clone(), durable, unsynced: Vec::new() }
    }

    /// True when a process sees the directory.
    pub(super) fn is_dir(&self, path: &Path) -> bool {
        self.cached.is_dir(path)
    }

    /// Returns the file with a name.
    ///
    /// # Errors
    /// When no file has the name.
    pub(super) fn file(&self, path: &Path) -> io::Result<usize> {
        self.cached.files.get(path).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// The paths and the files that a process sees, by path.
    pub(super) fn files(&self) -> impl Iterator<Item = (&PathBuf, usize)> {
        self.cached.files.iter().map(|(path, file)| (path, *file))
    }

    /// The paths of the files and directories in a directory.
    pub(super) fn in_dir(&self, dir: &Path) -> impl Iterator<Item = &PathBuf> {
        let paths = self.cached.files.keys().chain(&self.cached.dirs);
        paths.filter(move |path| path.parent() == Some(dir))
    }

    /// The paths and the files that a process sees in a directory and in those below it.
    pub(super) fn below(&self, dir: &Path) -> impl Iterator<Item = (&PathBuf, usize)> {
        self.files().filter(move |(path, _)| path.starts_with(dir))
    }

    /// Returns the file whose durable name this is.
    pub(super) fn durable_file(&self, path: &Path) -> Option<usize> {
        self.durable.files.get(path).copied()
    }

    /// The paths of the files in a directory whose names are durable.
    pub(super) fn durable_in_dir(&self, dir: &Path) -> Vec<PathBuf> {
        let names = self.durable.files.range(dir.to_owned()..).map(|(path, _)| path);
        let below = names.take_while(|path| path.starts_with(dir));
        below.filter(|path| path.parent() == Some(dir)).cloned().collect()
    }

    /// Creates a directory.
    pub(super) fn add_dir(&mut self, path: &Path) {
        self.change(Change::AddDir(path.to_owned()));
    }

    /// Gives a file a name.
    pub(super) fn set(&mut self, path: &Path, file: usize) {
        self.change(Change::Set(path.to_owned(), file));
    }

    /// Renames a file.
    pub(super) fn rename(&mut self, from: &Path, to: &Path) {
        self.change(Change::Rename(from.to_owned(), to.to_owned()));
    }

    /// Removes the name of a file.
    pub(super) fn remove(&mut self, path: &Path) {
        self.change(Change::Remove(path.to_owned()));
    }

    /// Moves a directory.
    pub(super) fn rename_dir(&mut self, from: &Path, to: &Path) {
        self.change(Change::RenameDir(from.to_owned(), to.to_owned()));
    }

    /// Removes the name of an empty directory.
    pub(super) fn remove_dir(&mut self, path: &Path) {
        self.change(Change::RemoveDir(path.to_owned()));
    }

    fn change(&mut self, change: Change) {
        self.cached.apply(&change);
        self.unsynced.push(change);
    }

    /// Gives a file a name, durably.
    pub(super) fn set_durably(&mut self, path: &Path, file: usize) {
        self.cached.files.insert(path.to_owned(), file);
        self.durable.files.insert(path.to_owned(), file);
    }

    /// Removes the name of a file, durably.
    pub(super) fn remove_durably(&mut self, path: &Path) {
        self.cached.files.remove(path);
        self.durable.files.remove(path);
    }

    /// Makes the names in a directory durable.
    pub(super) fn sync_dir(&mut self, dir: &Path) {
        for change in std::mem::take(&mut self.unsynced) {
            if change.dir() == dir {
                self.durable.apply(&change);
            } else {
                self.unsynced.push(change);
            }
        }
    }

    /// Number of changes that are not durable.
    pub(super) fn unsynced(&self) -> usize {
        self.unsynced.len()
    }

    /// Loses the power. The first `kept` changes that are not durable survive.
    pub(super) fn crash(&mut self, kept: usize) {
        let changes = std::mem::take(&mut self.unsynced);
        changes[..kept].iter().for_each(|change| self.durable.apply(change));
        // A name in a directory that is itself lost is lost with it.
        self.durable.remove_unreachable();
        self.cached = self.durable.clone();
    }
}

/// The directory of a path; the empty path for a path without one.
pub(super) fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new(""))
}
