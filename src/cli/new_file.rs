//! A file that appears under its name when all of it is on the disk.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use coracle::storage::{Disk, RealDisk};

use super::failure::{Failure, usage};

/// A file in the making. It is written under another name beside it, which ends in `.new`; dropped
/// before it is kept, that one is removed.
#[derive(Debug)]
pub struct NewFile {
    path: PathBuf,
    unfinished: PathBuf,
}

impl NewFile {
    /// A file that is to be at `path`. Nothing is written yet.
    ///
    /// # Errors
    /// A file is there already, and it is not to be replaced.
    pub fn plan(path: &Path, replaces: bool) -> Result<NewFile, Failure> {
        if !replaces && path.symlink_metadata().is_ok() {
            let file = path.display();
            return Err(usage(format!("{file} is there already: --force replaces it")));
        }
        let mut unfinished = path.to_path_buf().into_os_string();
        unfinished.push(".new");
        Ok(NewFile { path: path.to_path_buf(), unfinished: unfinished.into() })
    }

    /// The name under which it is written.
    pub fn unfinished(&self) -> &Path {
        &self.unfinished
    }

    /// Opens it, empty.
    ///
    /// # Errors
    /// The error of the system, in words.
    pub fn create(&self) -> Result<File, Failure> {
        File::create(&self.unfinished).map_err(|error| cannot("write", &self.unfinished, &error))
    }

    /// Gives it its name. Its bytes must have been synced.
    ///
    /// # Errors
    /// The error of the system, in words.
    pub fn keep(self) -> Result<(), Failure> {
        let directory = self.path.parent().unwrap_or(Path::new(""));
        RealDisk
            .rename(&self.unfinished, &self.path)
            .and_then(|()| RealDisk.sync_dir(directory))
            .map_err(|error| cannot("rename", &self.unfinished, &error))
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        // The removal fails when the file was never made or has its name already.
        let _ = fs::remove_file(&self.unfinished);
    }
}

/// The failure to do something with a file.
pub fn cannot(action: &str, path: &Path, error: &io::Error) -> Failure {
    Failure::No(format!("cannot {action} {}: {error}", path.display()))
}

#[cfg(test)]
mod tests;
