//! The files of segments: their names, and how they are created and opened.
//!
//! A file in the pool has the name of the segment that it was last, with another suffix.

use std::io;
use std::path::{Path, PathBuf};

use super::header::{SEGMENT_HEADER_BYTES, SegmentHeader};
use crate::storage::disk::{Disk, DiskFile, OpenMode};
use crate::storage::durable_names::create_file;
use crate::storage::error::{IoContext, StorageError};

const SEGMENT: &str = ".segment";
const SPARE: &str = ".spare";

/// The directory of the segments of a data directory.
pub(crate) fn log_dir(dir: &Path) -> PathBuf {
    dir.join("log")
}

/// The path of a segment.
pub(crate) fn segment_path(dir: &Path, number: u64) -> PathBuf {
    numbered_path(dir, number, SEGMENT)
}

/// The path of a file in the pool.
pub(crate) fn spare_path(dir: &Path, number: u64) -> PathBuf {
    numbered_path(dir, number, SPARE)
}

fn numbered_path(dir: &Path, number: u64, suffix: &str) -> PathBuf {
    log_dir(dir).join(format!("{number:08}{suffix}"))
}

/// The numbers of the segments that exist, in ascending order.
pub(crate) fn segment_numbers(disk: &dyn Disk, dir: &Path) -> Result<Vec<u64>, StorageError> {
    numbers(disk, dir, SEGMENT)
}

/// The numbers of the files in the pool, in ascending order.
pub(crate) fn spare_numbers(disk: &dyn Disk, dir: &Path) -> Result<Vec<u64>, StorageError> {
    numbers(disk, dir, SPARE)
}

fn numbers(disk: &dyn Disk, dir: &Path, suffix: &str) -> Result<Vec<u64>, StorageError> {
    let log_dir = log_dir(dir);
    let names = match disk.list(&log_dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        names => names.during("list", &log_dir)?,
    };
    let number = |name: &String| {
        let number: u64 = name.strip_suffix(suffix)?.parse().ok()?;
        (format!("{number:08}{suffix}") == *name).then_some(number)
    };
    let mut numbers: Vec<u64> = names.iter().filter_map(number).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

/// Creates a segment without records, durably, and opens it.
pub(crate) fn create_segment(
    disk: &dyn Disk,
    dir: &Path,
    header: &SegmentHeader,
) -> Result<Box<dyn DiskFile>, StorageError> {
    let path = segment_path(dir, header.number);
    create_file(disk, &path, &header.encode())?;
    open_segment(disk, &path, OpenMode::Write)
}

/// Opens the file of a segment, to be cached page by page. The kernel may keep all pages of one
/// write or read as one folio, and a sync that writes one byte of a folio is charged for all of
/// it. So pages are written and read one by one.
pub(crate) fn open_segment(
    disk: &dyn Disk,
    path: &Path,
    mode: OpenMode,
) -> Result<Box<dyn DiskFile>, StorageError> {
    let file = disk.open(path, mode).during("open", path)?;
    file.cache_by_pages();
    Ok(file)
}

/// Reads the header of a segment.
pub(crate) fn read_header(file: &dyn DiskFile, path: &Path) -> Result<SegmentHeader, StorageError> {
    let mut head = [0; SEGMENT_HEADER_BYTES as usize];
    let read = file.read_at(0, &mut head).during("read", path)?;
    SegmentHeader::decode(&head[..read]).map_err(|error| error.at(path, 0))
}

/// A segment that was opened to be read.
pub(crate) struct OpenSegment {
    pub file: Box<dyn DiskFile>,
    pub file_bytes: u64,
    pub header: SegmentHeader,
}

/// Opens a segment of a damaged log. Returns `None` when its header is damaged.
pub(crate) fn open_if_header_is_whole(
    disk: &dyn Disk,
    path: &Path,
) -> Result<Option<OpenSegment>, StorageError> {
    let file = open_segment(disk, path, OpenMode::Read)?;
    let file_bytes = file.bytes().during("look at", path)?;
    match read_header(&*file, path) {
        Err(StorageError::Damaged { .. }) => Ok(None),
        header => Ok(Some(OpenSegment { file, file_bytes, header: header? })),
    }
}
