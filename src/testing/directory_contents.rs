//! The contents of a data directory, read without validation. The simulation compares what a
//! node makes of its directory with them.

use std::path::{Path, PathBuf};

use crate::storage::error::IoContext;
use crate::storage::hard_state::{self, HardStateCopy, hard_state_path};
use crate::storage::identity::identity_path;
use crate::storage::log::files::{
    read_header, segment_numbers, segment_path, spare_numbers, spare_path,
};
use crate::storage::log::header::{SECTOR_BYTES, SEGMENT_HEADER_BYTES};
use crate::storage::log::sectors::{end_place_of, place_of};
use crate::storage::log::segment::{Found, SegmentReader};
use crate::storage::snapshot::{self, SnapshotFiles};
use crate::storage::{Disk, OpenMode, StorageError};
use crate::types::{HardState, LogIndex, LogPosition};

/// Number of bytes of a file that are in memory at a time.
const READ_BYTES: u64 = 64 * 1024;

/// The contents of a data directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DirectoryContents {
    /// True when the directory has an identity, which is created last.
    pub is_complete: bool,
    /// The two copies of the hard state, if they are valid.
    pub hard_states: [Option<HardState>; 2],
    /// The position after which the log begins.
    pub base: LogPosition,
    /// The number of the first segment of the log.
    pub first_segment: u64,
    /// The valid records before the first invalid one, by segment. Records that a start has
    /// decided to discard are not among them.
    pub segments: Vec<Vec<RecordPlace>>,
    /// True when the last segment holds something after its records.
    pub has_tail: bool,
    /// The numbers of the files in the segment pool.
    pub pool_files: Vec<u64>,
    /// True when a start has decided to erase everything after the records.
    pub is_being_cut: bool,
    /// True when the log begins anew after `base`, and its first segment is about to be created.
    pub is_resetting: bool,
    /// The whole snapshots, newest first.
    pub snapshots: Vec<LogPosition>,
}

/// A record, and its place in the file of its segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordPlace {
    /// The position of its first byte in the file.
    pub from: u64,
    /// The position after its last byte.
    pub to: u64,
    /// The entry that it holds.
    pub position: LogPosition,
}

/// The part of a data directory that a byte belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Region {
    /// The identity.
    Identity,
    /// A copy of the hard state, 0 or 1.
    HardState(usize),
    /// The header of this segment.
    Header(u64),
    /// A valid record in this segment.
    Record(u64),
    /// The tag of a sector that holds a valid record, or a part of one. It has to be right only
    /// if the record is not.
    SectorTag,
    /// The sector of this segment, the last one, in which the next record would begin.
    Next(u64),
    /// A later sector of this segment, the last one.
    Tail(u64),
    /// The bytes after the records of this segment, which is not the last.
    Padding(u64),
    /// The snapshot up to this entry.
    Snapshot(LogPosition),
    /// A byte that nobody reads.
    Unused,
}

impl DirectoryContents {
    /// Reads a directory.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn read(disk: &dyn Disk, dir: &Path) -> Result<DirectoryContents, StorageError> {
        let Ok(names) = disk.list(dir) else { return Ok(DirectoryContents::default()) };
        let mut contents = DirectoryContents {
            is_complete: names.iter().any(|name| name == "identity"),
            ..DirectoryContents::default()
        };
        let mut newest = None;
        if names.iter().any(|name| name == "hard_state") {
            let copies = hard_state::copies(disk, dir)?.map(Result::ok);
            contents.hard_states = copies.map(|copy| copy.map(|copy| copy.hard_state));
            newest = copies.into_iter().flatten().max_by_key(|copy| copy.sequence);
        }
        let HardStateCopy { start, durable_end, .. } = newest.unwrap_or(HardStateCopy::FIRST);
        (contents.base, contents.first_segment) = (start.base, start.first_segment);
        (contents.is_being_cut, contents.is_resetting) = (durable_end.cutting, start.resetting);
        let cut = durable_end.cutting.then_some(durable_end);
        if start.resetting {
            contents.segments.push(Vec::new());
        } else {
            let is_part = |number: &u64| {
                *number >= start.first_segment && cut.is_none_or(|cut| *number <= cut.segment)
            };
            for number in segment_numbers(disk, dir)?.into_iter().filter(is_part) {
                let cut_at = cut.filter(|cut| cut.segment == number).map(|cut| cut.offset);
                contents.read_segment(disk, dir, number, cut_at.unwrap_or(u64::MAX))?;
            }
        }
        contents.pool_files = spare_numbers(disk, dir)?;
        contents.read_snapshots(disk, dir)?;
        Ok(contents)
    }

    fn read_snapshots(&mut self, disk: &dyn Disk, dir: &Path) -> Result<(), StorageError> {
        for name in disk.list(&dir.join("snapshot")).unwrap_or_default() {
            let Some(last) = snapshot::position(&name) else { continue };
            match SnapshotFiles::at(disk.another_handle(), dir).read(last, |_| Ok(())) {
                Ok(_) => self.snapshots.push(last),
                Err(StorageError::Damaged { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        self.snapshots.sort_unstable_by_key(|last| std::cmp::Reverse(last.index));
        Ok(())
    }

    fn read_segment(
        &mut self,
        disk: &dyn Disk,
        dir: &Path,
        number: u64,
        cut_at: u64,
    ) -> Result<(), StorageError> {
        let path = segment_path(dir, number);
        let file = disk.open(&path, OpenMode::Read).during("open", &path)?;
        let mut records = Vec::new();
        let header = read_header(&*file, &path)?;
        let file_bytes = file.bytes().during("look at", &path)?;
        let mut reader = SegmentReader::new(&*file, &header, file_bytes, READ_BYTES);
        let mut offset = SEGMENT_HEADER_BYTES;
        while offset < cut_at
            && let Found::Record(record) = reader.find(offset).during("read", &path)?
        {
            let from = place_of(offset);
            offset += record.record_bytes();
            let to = end_place_of(offset);
            records.push(RecordPlace { from, to, position: record.position });
        }
        self.has_tail = reader.last_written(offset).during("read", &path)?.is_some();
        self.segments.push(records);
        Ok(())
    }

    /// The number of the last segment.
    pub fn last_segment(&self) -> u64 {
        (self.first_segment + self.segments.len() as u64).saturating_sub(1)
    }

    /// The records of a segment.
    pub fn records(&self, segment: u64) -> &[RecordPlace] {
        let place = segment.checked_sub(self.first_segment);
        place.and_then(|place| self.segments.get(place as usize)).map_or(&[], Vec::as_slice)
    }

    /// The position in its file at which the records of a segment end.
    pub fn end_of(&self, segment: u64) -> u64 {
        self.records(segment).last().map_or(SEGMENT_HEADER_BYTES, |last| last.to)
    }

    /// The end of the log: the journal's last record holds its last entry.
    pub fn last(&self) -> LogPosition {
        let last = self.segments.iter().rev().find_map(|records| records.last());
        last.map_or(self.base, |record| record.position)
    }

    /// True when the log holds an entry, or begins right after it.
    pub fn contains(&self, position: LogPosition) -> bool {
        let records = self.segments.iter().flatten().rev();
        // The records are visited from the last on: each supersedes the entries at its index and
        // after it.
        let mut end = LogIndex(u64::MAX);
        for record in records.map(|record| record.position) {
            if record.index < end && record.index <= position.index {
                return record == position;
            }
            end = end.min(record.index);
        }
        position == self.base
    }

    /// Returns the part of the directory that a byte of a file belongs to.
    pub fn region(&self, dir: &Path, path: &Path, offset: u64) -> Region {
        if path == identity_path(dir) {
            return Region::Identity;
        }
        if path == hard_state_path(dir) {
            return Region::HardState(usize::from(offset >= hard_state::COPY_BYTES as u64));
        }
        if path.parent() == Some(&dir.join("snapshot")) {
            let name = path.file_name().and_then(|name| name.to_str());
            return name.and_then(snapshot::position).map_or(Region::Unused, Region::Snapshot);
        }
        let segments = self.first_segment..=self.last_segment();
        let Some(segment) = segments.clone().find(|number| path == segment_path(dir, *number))
        else {
            return Region::Unused;
        };
        let end = self.end_of(segment);
        match offset {
            _ if offset < SEGMENT_HEADER_BYTES => Region::Header(segment),
            _ if offset < end && is_tag(offset) => Region::SectorTag,
            _ if offset < end => Region::Record(segment),
            _ if segment < *segments.end() => Region::Padding(segment),
            _ if self.is_being_cut => Region::Unused,
            _ if offset / SECTOR_BYTES == end / SECTOR_BYTES => Region::Next(segment),
            _ => Region::Tail(segment),
        }
    }

    /// The paths of the segments, the files of the pool, the hard state and the identity.
    pub fn paths(&self, dir: &Path) -> Vec<PathBuf> {
        let segments = self.first_segment..=self.last_segment();
        let segments = segments.map(|number| segment_path(dir, number));
        let pool_files = self.pool_files.iter().map(|number| spare_path(dir, *number));
        segments.chain(pool_files).chain([hard_state_path(dir), identity_path(dir)]).collect()
    }
}

/// True when this byte of a segment's file belongs to the tag of a sector.
fn is_tag(place: u64) -> bool {
    place % SECTOR_BYTES < place_of(SEGMENT_HEADER_BYTES) % SECTOR_BYTES
}
