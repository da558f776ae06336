//! The index of the journal: the way from an entry's index to its record, in a few bytes of
//! memory.

use std::path::{Path, PathBuf};

use super::files::{open_segment, segment_path};
use super::header::SegmentHeader;
use super::sectors::place_of;
use super::segment::{Found, SegmentReader};
use crate::storage::disk::{Disk, DiskFile, OpenMode};
use crate::storage::error::{IoContext, StorageError, damaged, unknown};
use crate::storage::hard_state::LogStart;
use crate::types::{Entry, LogIndex, LogPosition, TermRuns};

/// Distance in bytes of journal from one point to the next. It bounds the bytes that are read
/// before the wanted entry is found, and the memory of the index: 24 bytes a point, 24 KiB for a
/// segment of 64 MiB.
const POINT_DISTANCE_BYTES: u64 = 64 * 1024;
/// Number of bytes that one read of a file takes.
const READ_BYTES: u64 = 64 * 1024;

/// The place of one record.
///
/// Invariant: indexes, segments and offsets rise from point to point. From one point to the
/// index of the next, the journal holds consecutive entries from the point's place on, in one
/// segment; records that a later record supersedes lie after them. So every superseding record
/// is a point, and so is the first record of every segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Point {
    index: LogIndex,
    segment: u64,
    offset: u64,
}

/// A segment of the log.
struct Segment {
    header: SegmentHeader,
    /// The lowest index of a record in it, superseded or not.
    lowest_index: LogIndex,
}

/// The index of the journal's records.
pub(crate) struct RecordIndex {
    dir: PathBuf,
    runs: TermRuns,
    points: Vec<Point>,
    first_segment: u64,
    /// The segments from the first one on.
    segments: Vec<Segment>,
    /// The segment that was read last, kept open because reads come in sequences.
    open: Option<(u64, Box<dyn DiskFile>)>,
}

impl RecordIndex {
    /// The index of a log in `dir` that begins at `start` and has no segments yet.
    pub fn new(dir: &Path, start: LogStart) -> RecordIndex {
        RecordIndex {
            dir: dir.to_owned(),
            runs: TermRuns::starting_after(start.base),
            points: Vec::new(),
            first_segment: start.first_segment,
            segments: Vec::new(),
            open: None,
        }
    }

    /// The base, the terms and the end of the log.
    pub fn runs(&self) -> &TermRuns {
        &self.runs
    }

    /// Adds the next segment.
    pub fn add_segment(&mut self, header: &SegmentHeader) {
        self.segments.push(Segment { header: *header, lowest_index: LogIndex(u64::MAX) });
    }

    /// The number of the first segment.
    pub fn first_segment(&self) -> u64 {
        self.first_segment
    }

    /// The number of the last segment.
    pub fn last_segment(&self) -> u64 {
        self.first_segment + self.segments.len() as u64 - 1
    }

    /// Returns the latest possible start of the log whose base is at or before `limit`. The log
    /// can start with a segment when neither it nor a later one has a record at or before that
    /// base. It is not enough that the base is in the log: superseded entries can come back, in
    /// records after those that had superseded them.
    pub fn start_at_latest(&self, limit: LogIndex) -> LogStart {
        let mut lowest_index = LogIndex(u64::MAX);
        for (place, segment) in self.segments.iter().enumerate().rev() {
            lowest_index = lowest_index.min(segment.lowest_index);
            let base = segment.header.prev;
            let is_possible = base.index < lowest_index;
            if base.index <= limit && is_possible {
                let first_segment = self.first_segment + place as u64;
                return LogStart { first_segment, base, resetting: false };
            }
        }
        LogStart { first_segment: self.first_segment, base: self.runs.base(), resetting: false }
    }

    /// Forgets the segments before the start.
    pub fn compact(&mut self, start: LogStart) {
        self.segments.drain(..(start.first_segment - self.first_segment) as usize);
        self.first_segment = start.first_segment;
        self.points.retain(|point| point.segment >= start.first_segment);
        self.runs.compact_to(start.base);
        self.open = None;
    }

    /// Adds a record of the last segment. It supersedes the entry at its index and all entries
    /// after that.
    ///
    /// # Errors
    /// When a Raft log cannot continue with the record; the error is a sentence that says why.
    pub fn add_record(&mut self, position: LogPosition, offset: u64) -> Result<(), String> {
        let last = self.runs.last();
        let index = position.index;
        if index <= self.runs.base().index || index > last.index.next() {
            return Err(format!("entry {position} does not follow entry {last}"));
        }
        let prev_term = self.runs.term_at(index.prev()).expect("the log reaches to it");
        if position.term < prev_term {
            return Err(format!("entry {position} follows one of term {prev_term}"));
        }
        let supersedes = index <= last.index;
        if supersedes {
            self.runs.truncate_from(index);
            let keep = self.points.partition_point(|point| point.index < index);
            self.points.truncate(keep);
        }
        self.runs.push(position);
        if let Some(segment) = self.segments.last_mut() {
            segment.lowest_index = segment.lowest_index.min(index);
        }
        let segment = self.last_segment();
        let near = self.points.last().is_some_and(|point| {
            point.segment == segment && offset < point.offset + POINT_DISTANCE_BYTES
        });
        if supersedes || !near {
            self.points.push(Point { index, segment, offset });
        }
        Ok(())
    }

    /// Reads the entries from `from` to `to`, both included, until their [`Entry::weight_bytes`]
    /// would exceed `bytes_max`, but at least one. Returns no entries when `from` is not in the
    /// log.
    pub fn read(
        &mut self,
        disk: &dyn Disk,
        from: LogIndex,
        to: LogIndex,
        bytes_max: u64,
    ) -> Result<Vec<Entry>, StorageError> {
        let to = to.min(self.runs.last().index);
        if from <= self.runs.base().index {
            return Ok(Vec::new());
        }
        let mut entries: Vec<Entry> = Vec::new();
        let mut bytes = 0;
        let mut next = from;
        while next <= to {
            let following = self.points.partition_point(|point| point.index <= next);
            let point = self.points[following - 1];
            let to = self.points.get(following).map_or(to, |point| to.min(point.index.prev()));
            for entry in self.read_run(disk, point, next, to, bytes_max - bytes)? {
                bytes += entry.weight_bytes();
                if bytes > bytes_max && !entries.is_empty() {
                    return Ok(entries);
                }
                entries.push(entry);
                next = next.next();
                if bytes >= bytes_max {
                    return Ok(entries);
                }
            }
        }
        Ok(entries)
    }

    /// Reads the entries from `from` to `to`, which all lie between `point` and the next point.
    /// Stops after the entry that reaches `bytes_max`.
    fn read_run(
        &mut self,
        disk: &dyn Disk,
        point: Point,
        from: LogIndex,
        to: LogIndex,
        bytes_max: u64,
    ) -> Result<Vec<Entry>, StorageError> {
        let path = segment_path(&self.dir, point.segment);
        let file = match self.open.take() {
            Some((segment, file)) if segment == point.segment => file,
            _ => open_segment(disk, &path, OpenMode::Read)?,
        };
        let header = &self.segments[(point.segment - self.first_segment) as usize].header;
        let file_bytes = file.bytes().during("look at", &path)?;
        let mut reader = SegmentReader::new(&*file, header, file_bytes, READ_BYTES);
        let mut entries = Vec::new();
        let (mut index, mut offset, mut bytes) = (point.index, point.offset, 0);
        while index <= to && bytes < bytes_max.max(1) {
            // The record is checked again: it may have rotted since it was written or recovered.
            let header = match reader.find(offset).during("read", &path)? {
                Found::Record(header) if header.position.index == index => header,
                _ => {
                    let what = format!("entry {index} is not there");
                    return Err(damaged(&path, place_of(offset), what));
                }
            };
            if index >= from {
                let record = reader.get(offset, header.record_bytes()).during("read", &path)?;
                let entry = header
                    .entry(record)
                    .map_err(|error| unknown(&path, place_of(offset), error.to_string()))?;
                bytes += entry.weight_bytes();
                entries.push(entry);
            }
            offset += header.record_bytes();
            index = index.next();
        }
        self.open = Some((point.segment, file));
        Ok(entries)
    }
}
