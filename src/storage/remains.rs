//! What stands in a data directory, read but not judged: the simulation holds
//! what a start makes of it against this. Not in production builds.

use std::path::Path;

use super::disk::{Disk, OpenMode};
use super::error::{IoContext, StorageError};
use super::hard_state::{self, Copy, hard_state_path};
use super::recovery::segment_numbers;
use super::segment::{Found, SEGMENT_HEADER_BYTES, SegmentHeader, Window, segment_path};
use super::{identity, read_segment_header};
use crate::types::{HardState, LogPosition};

/// How much of a file is in memory at a time.
const READ_BYTES: usize = 64 * 1024;

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Remains {
    /// The directory was made to its end: it says whose it is.
    pub is_complete: bool,
    /// The two copies of the hard state, as far as they are valid.
    pub hard_states: [Option<HardState>; 2],
    /// Every valid record before the first that is not, by segment.
    pub segments: Vec<Vec<RecordPlace>>,
    /// Where anything stands in the last segment that is not zero, behind its records.
    pub has_tail: bool,
}

/// A record, and where it stands in its segment.
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
    /// The header of a segment.
    Header,
    /// A valid record.
    Record,
    /// Behind the records of the last segment.
    Tail,
    /// Behind the records of another one.
    Padding,
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
        if names.iter().any(|name| name == "hard_state") {
            remains.hard_states = hard_state::copies(disk, dir)?
                .map(|copy| copy.ok().map(|Copy { hard_state, .. }| hard_state));
        }
        for number in segment_numbers(disk, dir)? {
            remains.read_segment(disk, dir, number)?;
        }
        Ok(remains)
    }

    fn read_segment(
        &mut self,
        disk: &dyn Disk,
        dir: &Path,
        number: u64,
    ) -> Result<(), StorageError> {
        let path = segment_path(dir, number);
        let file = disk.open(&path, OpenMode::Read).during("open", &path)?;
        let mut records = Vec::new();
        let SegmentHeader { salt, .. } = read_segment_header(&*file, &path)?;
        let end = file.bytes().during("look at", &path)?;
        let mut window = Window::new(&*file, end, READ_BYTES);
        let mut from = SEGMENT_HEADER_BYTES;
        while let Found::Record(record) = window.find(salt, from).during("read", &path)? {
            let to = from + record.record_bytes();
            records.push(RecordPlace { from, to, position: record.position });
            from = to;
        }
        self.has_tail = window.last_nonzero(from).during("read", &path)?.is_some();
        self.segments.push(records);
        Ok(())
    }

    /// Where the records of a segment (from 1) end.
    pub fn end_of(&self, segment: u64) -> u64 {
        let records = self.segments.get(segment as usize - 1);
        records.and_then(|records| records.last()).map_or(SEGMENT_HEADER_BYTES, |last| last.to)
    }

    /// The end of the log: the journal's last record holds its last entry.
    pub fn last(&self) -> LogPosition {
        let last = self.segments.iter().rev().find_map(|records| records.last());
        last.map_or_else(LogPosition::default, |record| record.position)
    }

    /// What stands at a byte of a file.
    pub fn place(&self, dir: &Path, path: &Path, offset: u64) -> Place {
        if path == identity::identity_path(dir) {
            return Place::Identity;
        }
        if path == hard_state_path(dir) {
            return Place::HardState(usize::from(offset >= hard_state::COPY_BYTES as u64));
        }
        let segments = 1..=self.segments.len() as u64;
        let Some(segment) = segments.clone().find(|number| path == segment_path(dir, *number))
        else {
            return Place::Nothing;
        };
        match offset {
            _ if offset < SEGMENT_HEADER_BYTES => Place::Header,
            _ if offset < self.end_of(segment) => Place::Record,
            _ if segment == *segments.end() => Place::Tail,
            _ => Place::Padding,
        }
    }

    /// The path of a segment, of the hard state, of the identity.
    pub fn paths(&self, dir: &Path) -> Vec<std::path::PathBuf> {
        let segments = (1..=self.segments.len() as u64).map(|number| segment_path(dir, number));
        segments.chain([hard_state_path(dir), identity::identity_path(dir)]).collect()
    }
}
