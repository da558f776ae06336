//! The incarnation: the file with the id of a data directory, which tells the directory from any
//! other that the same server had or will have (docs/adr/0024).
//!
//! A server from before format 2 does not look at the file. So a directory of format 1 may have
//! none, and gets one. A directory of a later format always has one.

use std::path::{Path, PathBuf};

use super::checked_text::Lines;
use super::disk::Disk;
use super::error::{StorageError, damaged};
use crate::types::{Format, FormatInForce, Incarnation};

const LINES: Lines<1> = Lines { names: ["incarnation"] };

/// The path of the file.
pub(crate) fn incarnation_path(dir: &Path) -> PathBuf {
    dir.join("incarnation")
}

/// Creates the file, durably.
pub(super) fn create(
    disk: &dyn Disk,
    dir: &Path,
    incarnation: Incarnation,
) -> Result<Incarnation, StorageError> {
    LINES.create(disk, &incarnation_path(dir), [incarnation.to_string()])?;
    Ok(incarnation)
}

/// Returns the id of a directory whose newest entry or snapshot has the format `format`. A
/// directory of format 1 may have none.
///
/// # Errors
/// When the file is damaged, and when it is missing although the directory has a later format.
pub(super) fn read(
    disk: &dyn Disk,
    dir: &Path,
    format: &FormatInForce,
) -> Result<Option<Incarnation>, StorageError> {
    let path = incarnation_path(dir);
    match LINES.read(disk, &path)? {
        Some([digits]) => match u128::from_str_radix(&digits, 16) {
            Ok(id) => Ok(Some(Incarnation(id))),
            Err(_) => Err(damaged(&path, 0, "it has no id")),
        },
        None if format.format > Format::FIRST => {
            let evidence = format!("the log or a snapshot there has format {}", format.format);
            Err(StorageError::FileMissing { path, evidence })
        }
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests;
