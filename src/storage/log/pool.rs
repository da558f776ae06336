//! The pool of segment files: files of old segments are kept to become the files of new ones.
//! Writing over them needs no zeros ahead (recycled files: docs/adr/0013).
//!
//! Invariant: a file in the pool has the number of the segment that it was last, and none of its
//! sectors has the tag of a later segment. Its number is below that of every segment to come, so
//! a tag that an earlier segment left is never that of the present one. That is why a segment
//! that was cut off the log never comes into the pool: its number is used again.

use std::path::Path;

use super::files::{
    create_segment, log_dir, open_segment, segment_path, spare_numbers, spare_path,
};
use super::header::{SEGMENT_HEADER_BYTES, SegmentHeader};
use super::tail::PAGE_BYTES;
use crate::storage::disk::{Disk, DiskFile, OpenMode};
use crate::storage::durable_names::{rename, sync_dir};
use crate::storage::error::{IoContext, StorageError};

/// Maximum size of the pool in bytes, if that is not less than [`POOL_FILES_MIN`] files: as much
/// log as comes between two snapshots of a large store.
const POOL_BYTES_MAX: u64 = 256 << 20;
/// Maximum number of files in the pool, if they are large.
const POOL_FILES_MIN: u64 = 4;
/// Maximum number of files in the pool, if they are small.
pub(crate) const POOL_FILES_MAX: u64 = 32;

/// The files of old segments that wait to become new ones.
pub(crate) struct SegmentPool {
    /// Maximum length of a file in bytes. A longer one held a record that was too large for a
    /// segment.
    file_bytes_max: u64,
    /// Maximum number of files.
    files_max: u64,
    /// The segments that the files were last.
    numbers: Vec<u64>,
}

/// Maximum number of files in a pool of files that are no longer than this.
pub(crate) fn files_max(file_bytes_max: u64) -> u64 {
    (POOL_BYTES_MAX / file_bytes_max).clamp(POOL_FILES_MIN, POOL_FILES_MAX)
}

impl SegmentPool {
    /// Opens the pool of a log that begins with `first_segment`. Files that cannot be in the
    /// pool are removed.
    pub fn open(
        disk: &dyn Disk,
        dir: &Path,
        first_segment: u64,
        file_bytes_max: u64,
    ) -> Result<SegmentPool, StorageError> {
        let files_max = files_max(file_bytes_max);
        let mut pool = SegmentPool { file_bytes_max, files_max, numbers: Vec::new() };
        for number in spare_numbers(disk, dir)? {
            let path = spare_path(dir, number);
            if number < first_segment && pool.has_room_for(disk, &path)? {
                pool.numbers.push(number);
            } else {
                disk.remove(&path).during("remove", &path)?;
            }
        }
        Ok(pool)
    }

    fn has_room_for(&self, disk: &dyn Disk, path: &Path) -> Result<bool, StorageError> {
        if self.numbers.len() as u64 == self.files_max {
            return Ok(false);
        }
        let file = disk.open(path, OpenMode::Read).during("open", path)?;
        Ok(file.bytes().during("look at", path)? <= self.file_bytes_max)
    }

    /// Takes the files of segments into the pool, or removes them when it has no room. The
    /// caller has made durable that the log begins after these segments.
    pub fn recycle(
        &mut self,
        disk: &dyn Disk,
        dir: &Path,
        segments: impl IntoIterator<Item = u64>,
    ) -> Result<(), StorageError> {
        for number in segments {
            let path = segment_path(dir, number);
            if self.has_room_for(disk, &path)? {
                disk.rename(&path, &spare_path(dir, number)).during("rename", &path)?;
                self.numbers.push(number);
            } else {
                disk.remove(&path).during("remove", &path)?;
            }
        }
        sync_dir(disk, &log_dir(dir))
    }

    /// Creates a segment without records, durably, from a file of the pool if there is one, and
    /// opens it.
    pub fn create_segment(
        &mut self,
        disk: &dyn Disk,
        dir: &Path,
        header: &SegmentHeader,
    ) -> Result<Box<dyn DiskFile>, StorageError> {
        let Some(number) = self.numbers.pop() else { return create_segment(disk, dir, header) };
        assert!(
            number < header.number,
            "spare {number} would be segment {}, and have its tags",
            header.number
        );
        let spare = spare_path(dir, number);
        // A whole page is written, so that the kernel need not read it first.
        let mut file = open_segment(disk, &spare, OpenMode::Write)?;
        let file_bytes = file.bytes().during("look at", &spare)?;
        let mut head = header.encode().to_vec();
        head.resize(PAGE_BYTES.min(file_bytes).max(SEGMENT_HEADER_BYTES) as usize, 0);
        file.write_at(0, &head).during("write", &spare)?;
        file.sync_data().during("sync", &spare)?;
        rename(disk, &spare, &segment_path(dir, header.number))?;
        Ok(file)
    }
}
