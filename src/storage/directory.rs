//! The data directory as a whole: its lock, and the files of a new server.

use std::path::Path;

use super::disk::{Disk, DiskLock, OpenMode};
use super::durable_names::sync_ancestors;
use super::error::{IoContext, StorageError};
use super::hard_state::{self, HardStateCopy};
use super::identity::{self, Identity};
use super::incarnation;
use super::log::files::{create_segment, log_dir, segment_numbers, segment_path, spare_numbers};
use super::log::header::{SEGMENT_HEADER_BYTES, SegmentHeader};
use super::snapshot;
use crate::types::{Incarnation, LogPosition};

/// Takes the lock of a data directory. One process uses a directory at a time.
pub(super) fn take_lock(disk: &dyn Disk, dir: &Path) -> Result<DiskLock, StorageError> {
    let path = dir.join("lock");
    disk.lock(&path).during("lock", &path)?.ok_or(StorageError::Locked { path })
}

/// Creates the files of a new server. The identity is created last: a directory with an identity
/// is complete, and a directory without one holds nothing that was acknowledged.
pub(super) fn initialise(
    disk: &dyn Disk,
    dir: &Path,
    owner: &Identity,
    new_incarnation: Incarnation,
) -> Result<(), StorageError> {
    refuse_leftovers(disk, dir)?;
    let log_dir = log_dir(dir);
    disk.create_dir_all(&log_dir).during("make the directory", &log_dir)?;
    let header = SegmentHeader {
        number: 1,
        salt: disk.salt(),
        node_id: owner.node_id,
        prev: LogPosition::default(),
    };
    create_segment(disk, dir, &header)?;
    hard_state::create(disk, dir, &HardStateCopy::FIRST)?;
    incarnation::create(disk, dir, new_incarnation)?;
    sync_ancestors(disk, dir)?;
    identity::create(disk, dir, owner)
}

/// Refuses a directory without an identity that once had one. An interrupted [`initialise`]
/// leaves an empty log and a blank hard state. Anything else shows that the identity was lost,
/// and perhaps more.
fn refuse_leftovers(disk: &dyn Disk, dir: &Path) -> Result<(), StorageError> {
    let missing = |evidence: &str| StorageError::FileMissing {
        path: identity::identity_path(dir),
        evidence: evidence.into(),
    };
    if !spare_numbers(disk, dir)?.is_empty() {
        return Err(missing("there was a log"));
    }
    for number in segment_numbers(disk, dir)? {
        let path = segment_path(dir, number);
        let file = disk.open(&path, OpenMode::Read).during("open", &path)?;
        let bytes = file.bytes().during("look at", &path)?;
        if number > 1 || bytes > SEGMENT_HEADER_BYTES {
            return Err(missing("there is a log"));
        }
    }
    if !snapshot::positions(disk, dir).during("list", dir)?.is_empty() {
        return Err(missing("there are snapshots"));
    }
    let names = disk.list(dir).during("list", dir)?;
    if names.iter().any(|name| name == "hard_state") {
        let newest = hard_state::load(disk, dir)?.newest;
        if newest != HardStateCopy::FIRST {
            return Err(missing("there is the hard state of a server that ran"));
        }
    }
    Ok(())
}
