//! Files of segments that are void, kept to be the files of new ones: to write over them
//! costs no zeros ahead (docs/adr/0013).
//!
//! Invariant: a spare has the number of the segment that it was last, and none of its
//! sectors has the mark of a later one. It is below that of every segment that is to
//! come, so no mark of an earlier life of a file is that of its present one. That is
//! why what was cut off a log never becomes a spare: those numbers come again.

use std::path::{Path, PathBuf};

use super::disk::{Disk, DiskFile, OpenMode};
use super::error::{IoContext, StorageError};
use super::segment::{
    self, SEGMENT_HEADER_BYTES, SegmentHeader, create_segment, log_dir, open_segment, segment_path,
    sync_names,
};
use super::tail::PAGE_BYTES;

/// So many are kept at most.
pub(super) const SPARES_MAX: usize = 4;
const EXTENSION: &str = ".spare";

/// See the module.
pub(super) struct Spares {
    /// Of no more bytes than this: larger files held a record that was too large for a segment.
    file_bytes_max: u64,
    numbers: Vec<u64>,
}

impl Spares {
    /// Those that are there; what cannot be one is removed. The log begins with
    /// `first_segment`.
    pub fn open(
        disk: &dyn Disk,
        dir: &Path,
        first_segment: u64,
        file_bytes_max: u64,
    ) -> Result<Spares, StorageError> {
        let mut spares = Spares { file_bytes_max, numbers: Vec::new() };
        for number in numbers(disk, dir)? {
            let path = spare_path(dir, number);
            if number < first_segment && spares.wants(disk, &path)? {
                spares.numbers.push(number);
            } else {
                disk.remove(&path).during("remove", &path)?;
            }
        }
        Ok(spares)
    }

    fn wants(&self, disk: &dyn Disk, path: &Path) -> Result<bool, StorageError> {
        if self.numbers.len() == SPARES_MAX {
            return Ok(false);
        }
        let file = disk.open(path, OpenMode::Read).during("open", path)?;
        Ok(file.bytes().during("look at", path)? <= self.file_bytes_max)
    }

    /// Takes the files of segments, or removes them. That they come before the log's first
    /// segment is durable.
    pub fn take(
        &mut self,
        disk: &dyn Disk,
        dir: &Path,
        segments: impl IntoIterator<Item = u64>,
    ) -> Result<(), StorageError> {
        for number in segments {
            let path = segment_path(dir, number);
            if self.wants(disk, &path)? {
                disk.rename(&path, &spare_path(dir, number)).during("rename", &path)?;
                self.numbers.push(number);
            } else {
                disk.remove(&path).during("remove", &path)?;
            }
        }
        sync_names(disk, &log_dir(dir))
    }

    /// Makes a segment without records, durably, of a spare if there is one. Opens it.
    pub fn create_segment(
        &mut self,
        disk: &dyn Disk,
        dir: &Path,
        header: &SegmentHeader,
    ) -> Result<Box<dyn DiskFile>, StorageError> {
        let Some(number) = self.numbers.pop() else { return create_segment(disk, dir, header) };
        assert!(
            number < header.number || mutant!(S8),
            "spare {number} would be segment {}, and have its marks",
            header.number
        );
        let spare = spare_path(dir, number);
        // Over a whole page, so that the kernel need not read it first.
        let mut file = open_segment(disk, &spare, OpenMode::Write)?;
        let file_bytes = file.bytes().during("look at", &spare)?;
        let mut head = header.encode().to_vec();
        head.resize(PAGE_BYTES.min(file_bytes).max(SEGMENT_HEADER_BYTES) as usize, 0);
        file.write_at(0, &head).during("write", &spare)?;
        file.sync_data().during("sync", &spare)?;
        segment::give_name(disk, &spare, &segment_path(dir, header.number))?;
        Ok(file)
    }
}

/// The numbers of the spares that are there, in order.
pub(super) fn numbers(disk: &dyn Disk, dir: &Path) -> Result<Vec<u64>, StorageError> {
    segment::numbers(disk, dir, EXTENSION)
}

/// The path of a spare.
pub(super) fn spare_path(dir: &Path, number: u64) -> PathBuf {
    segment::numbered_path(dir, number, EXTENSION)
}
