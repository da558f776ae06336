//! Names of files that survive a crash: a file is created under another name, synced, and
//! renamed, and the directory is synced (docs/bugs.md B63).

use std::io;
use std::path::{Path, PathBuf};

use super::disk::{Disk, OpenMode};
use super::error::{IoContext, StorageError};

/// The suffix of a file that is being created. A file with it that a crash left is removed.
pub(crate) const UNFINISHED: &str = ".new";

/// Creates a file that exists whole or not at all, and is durable on return.
pub(super) fn create_file(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> Result<(), StorageError> {
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(UNFINISHED);
    let unfinished = PathBuf::from(unfinished);
    let mut file = disk.open(&unfinished, OpenMode::Create).during("create", &unfinished)?;
    file.write_at(0, bytes).during("write", &unfinished)?;
    file.sync_data().during("sync", &unfinished)?;
    rename(disk, &unfinished, path)
}

/// Renames a file whose content is durable. The new name is durable on return.
pub(super) fn rename(disk: &dyn Disk, from: &Path, to: &Path) -> Result<(), StorageError> {
    disk.rename(from, to).during("rename to", to)?;
    sync_dir(disk, to.parent().expect("every file of a data directory has one"))
}

/// Makes the names in a directory durable.
pub(super) fn sync_dir(disk: &dyn Disk, dir: &Path) -> Result<(), StorageError> {
    disk.sync_dir(dir).during("sync the directory", dir)
}

/// Makes the name of a directory, and the names of the directories above it, durable.
pub(super) fn sync_ancestors(disk: &dyn Disk, dir: &Path) -> Result<(), StorageError> {
    for ancestor in dir.ancestors().skip(1) {
        match disk.sync_dir(ancestor) {
            // This process created nothing in a directory that it may not even open.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
            synced => synced.during("sync the directory", ancestor)?,
        }
    }
    Ok(())
}
