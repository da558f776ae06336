//! The id of the cluster that a data directory belongs to, in a file of its own. The log has it
//! as well, but a server that starts does not know how far its log is committed, and must not
//! take a server of another cluster for one of its own until then (docs/adr/0024).
//!
//! The file is created when the id is known to be committed, and so while format 2 or a later one
//! is in force. A server from before format 2 does not look at it.

use std::path::{Path, PathBuf};

use super::checked_text::Lines;
use super::disk::Disk;
use super::error::{StorageError, damaged};
use crate::types::ClusterId;

const LINES: Lines<1> = Lines { names: ["cluster_id"] };

fn cluster_id_path(dir: &Path) -> PathBuf {
    dir.join("cluster_id")
}

/// Creates the file, durably.
pub(super) fn create(
    disk: &dyn Disk,
    dir: &Path,
    cluster_id: ClusterId,
) -> Result<(), StorageError> {
    LINES.create(disk, &cluster_id_path(dir), [cluster_id.to_string()])
}

/// Returns the id in the file, or `None` when there is no file.
///
/// # Errors
/// When the file is damaged.
pub(super) fn read(disk: &dyn Disk, dir: &Path) -> Result<Option<ClusterId>, StorageError> {
    let path = cluster_id_path(dir);
    let Some([digits]) = LINES.read(disk, &path)? else { return Ok(None) };
    match u128::from_str_radix(&digits, 16) {
        Ok(id) => Ok(Some(ClusterId(id))),
        Err(_) => Err(damaged(&path, 0, "it has no id")),
    }
}

#[cfg(test)]
mod tests;
