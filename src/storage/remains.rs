//! What stands in a data directory, read but not judged: the simulation holds
//! what a start makes of it against this. Not in production builds.

use std::path::Path;

use super::disk::{Disk, OpenMode};
use super::error::{IoContext, StorageError};
use super::hard_state::{self, Copy, hard_state_path};
use super::identity;
use super::sectors::{SECTOR_BYTES, end_place_of, place_of};
use super::segment::{
    Found, SEGMENT_HEADER_BYTES, Window, read_header, segment_numbers, segment_path,
};
use super::snapshot::{self, Snapshots};
use super::spares;
use crate::types::{HardState, LogIndex, LogPosition};

/// How much of a file is in memory at a time.
const READ_BYTES: u64 = 64 * 1024;

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Remains {
    /// The directory was made to its end: it says whose it is.
    pub is_complete: bool,
    /// The two copies of the hard state, as far as they are valid.
    pub hard_states: [Option<HardState>; 2],
    /// The position that the log begins behind.
    pub base: LogPosition,
    /// The number of the first segment of the log.
    pub first_segment: u64,
    /// Every valid record before the first that is not, by segment. What a start has
    /// decided to be void is not among them.
    pub segments: Vec<Vec<RecordPlace>>,
    /// Whether anything stands in the last segment behind its records.
    pub has_tail: bool,
    /// The numbers of the files that are kept for segments to come.
    pub spares: Vec<u64>,
    /// Whatever stands behind the records is void.
    pub is_being_cut: bool,
    /// The log begins anew behind `base`, and its first segment is about to be made.
    pub is_resetting: bool,
    /// The snapshots that are whole, newest first.
    pub snapshots: Vec<LogPosition>,
}

/// A record, and where it stands in its segment's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordPlace {
    /// Its first byte.
    pub from: u64,
    /// The byte behind its last.
    pub to: u64,
    /// The entry that it holds.
    pub position: LogPosition,
}

/// What a byte of a data directory is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Whose directory it is.
    Identity,
    /// A copy of the hard state, 0 or 1.
    HardState(usize),
    /// The header of this segment.
    Header(u64),
    /// A valid record in this segment.
    Record(u64),
    /// The mark of a sector that has a valid record, or a part of one: it has to be right
    /// only if that is not.
    Mark,
    /// In the last segment, in the sector that the next record would begin in.
    Next(u64),
    /// In a sector behind that.
    Tail(u64),
    /// Behind the records of another one.
    Padding(u64),
    /// The snapshot up to there.
    Snapshot(LogPosition),
    /// Nobody looks at it.
    Nothing,
}

impl Remains {
    /// Reads a directory.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn read(disk: &dyn Disk, dir: &Path) -> Result<Remains, StorageError> {
        let Ok(names) = disk.list(dir) else { return Ok(Remains::default()) };
        let mut remains = Remains {
            is_complete: names.iter().any(|name| name == "identity"),
            ..Remains::default()
        };
        let mut newest = None;
        if names.iter().any(|name| name == "hard_state") {
            let copies = hard_state::copies(disk, dir)?.map(Result::ok);
            remains.hard_states = copies.map(|copy| copy.map(|copy| copy.hard_state));
            newest = copies.into_iter().flatten().max_by_key(|copy| copy.sequence);
        }
        let Copy { start, seal, .. } = newest.unwrap_or(Copy::FIRST);
        (remains.base, remains.first_segment) = (start.base, start.first_segment);
        (remains.is_being_cut, remains.is_resetting) = (seal.cutting, start.resetting);
        let cut = seal.cutting.then_some(seal);
        if start.resetting {
            remains.segments.push(Vec::new()); // it is about to be made
        } else {
            let is_part = |number: &u64| {
                *number >= start.first_segment && cut.is_none_or(|cut| *number <= cut.segment)
            };
            for number in segment_numbers(disk, dir)?.into_iter().filter(is_part) {
                let cut_at = cut.filter(|cut| cut.segment == number).map(|cut| cut.offset);
                remains.read_segment(disk, dir, number, cut_at.unwrap_or(u64::MAX))?;
            }
        }
        remains.spares = spares::numbers(disk, dir)?;
        remains.read_snapshots(disk, dir)?;
        Ok(remains)
    }

    fn read_snapshots(&mut self, disk: &dyn Disk, dir: &Path) -> Result<(), StorageError> {
        for name in disk.list(&dir.join("snapshot")).unwrap_or_default() {
            let Some(last) = snapshot::position(&name) else { continue };
            match Snapshots::at(disk.another_handle(), dir).read(last, |_| Ok(())) {
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
        let mut window = Window::new(&*file, &header, file_bytes, READ_BYTES);
        let mut offset = SEGMENT_HEADER_BYTES;
        while offset < cut_at
            && let Found::Record(record) = window.find(offset).during("read", &path)?
        {
            let from = place_of(offset);
            offset += record.record_bytes();
            let to = end_place_of(offset);
            records.push(RecordPlace { from, to, position: record.position });
        }
        self.has_tail = window.last_written(offset).during("read", &path)?.is_some();
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

    /// Where the records of a segment end.
    pub fn end_of(&self, segment: u64) -> u64 {
        self.records(segment).last().map_or(SEGMENT_HEADER_BYTES, |last| last.to)
    }

    /// The end of the log: the journal's last record holds its last entry.
    pub fn last(&self) -> LogPosition {
        let last = self.segments.iter().rev().find_map(|records| records.last());
        last.map_or(self.base, |record| record.position)
    }

    /// Whether the log holds an entry, or begins right behind it.
    pub fn contains(&self, position: LogPosition) -> bool {
        let records = self.segments.iter().flatten().rev();
        // From the end on, each record makes void what stood at its index and behind.
        let mut end = LogIndex(u64::MAX);
        for record in records.map(|record| record.position) {
            if record.index < end && record.index <= position.index {
                return record == position;
            }
            end = end.min(record.index);
        }
        position == self.base
    }

    /// What stands at a byte of a file.
    pub fn place(&self, dir: &Path, path: &Path, offset: u64) -> Place {
        if path == identity::identity_path(dir) {
            return Place::Identity;
        }
        if path == hard_state_path(dir) {
            return Place::HardState(usize::from(offset >= hard_state::COPY_BYTES as u64));
        }
        if path.parent() == Some(&dir.join("snapshot")) {
            let name = path.file_name().and_then(|name| name.to_str());
            return name.and_then(snapshot::position).map_or(Place::Nothing, Place::Snapshot);
        }
        let segments = self.first_segment..=self.last_segment();
        let Some(segment) = segments.clone().find(|number| path == segment_path(dir, *number))
        else {
            return Place::Nothing;
        };
        let end = self.end_of(segment);
        match offset {
            _ if offset < SEGMENT_HEADER_BYTES => Place::Header(segment),
            _ if offset < end && is_mark(offset) => Place::Mark,
            _ if offset < end => Place::Record(segment),
            _ if segment < *segments.end() => Place::Padding(segment),
            _ if self.is_being_cut => Place::Nothing,
            _ if offset / SECTOR_BYTES == end / SECTOR_BYTES => Place::Next(segment),
            _ => Place::Tail(segment),
        }
    }

    /// The paths of the segments, the spares, the hard state and the identity.
    pub fn paths(&self, dir: &Path) -> Vec<std::path::PathBuf> {
        let segments = self.first_segment..=self.last_segment();
        let segments = segments.map(|number| segment_path(dir, number));
        let spares = self.spares.iter().map(|number| spares::spare_path(dir, *number));
        segments.chain(spares).chain([hard_state_path(dir), identity::identity_path(dir)]).collect()
    }
}

/// Whether this byte of a segment belongs to the mark of a sector.
fn is_mark(place: u64) -> bool {
    place % SECTOR_BYTES < place_of(SEGMENT_HEADER_BYTES) % SECTOR_BYTES
}
