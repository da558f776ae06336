//! The hold: a file by which a server asks its cluster to stay at the format that it has
//! (docs/adr/0023). Only its presence counts, so it cannot be damaged.

use std::path::{Path, PathBuf};

use super::disk::Disk;
use super::durable_names::{create_file, sync_dir};
use super::error::{IoContext, StorageError};

const NAME: &str = "hold";
/// The content of the file, for people.
const CONTENT: &[u8] = b"This server asks its cluster to stay at its format (docs/adr/0023).\n";

fn hold_path(dir: &Path) -> PathBuf {
    dir.join(NAME)
}

/// True when the file is there.
pub(super) fn is_there(disk: &dyn Disk, dir: &Path) -> Result<bool, StorageError> {
    Ok(disk.list(dir).during("list", dir)?.iter().any(|name| name == NAME))
}

/// Creates or removes the file, durably.
pub(super) fn set(disk: &dyn Disk, dir: &Path, is_held: bool) -> Result<(), StorageError> {
    let path = hold_path(dir);
    match (is_there(disk, dir)?, is_held) {
        (_, true) => create_file(disk, &path, CONTENT),
        (true, false) => {
            disk.remove(&path).during("remove", &path)?;
            sync_dir(disk, dir)
        }
        // The removal may be that of a process that was killed before its sync.
        (false, false) => sync_dir(disk, dir),
    }
}
