//! The scan of a whole data directory at a start. It judges what it reads and changes nothing.
//!
//! Invariant: nothing that was acknowledged is lost, and nothing is silently repaired. Bytes
//! that the scan cannot prove to be an unacknowledged write torn by a crash are damage: the
//! server does not start, or has its log repaired by the other servers (`repair`).
//!
//! A crash can leave something other than whole records in one place only: after the last sync,
//! in the last segment. Anything but whole records in any other place is damage. In the last
//! segment the rules are those of `EndOfRecords::judge`.

use std::io;
use std::path::Path;

use super::files::{
    OpenSegment, open_if_header_is_whole, open_segment, read_header, segment_numbers, segment_path,
};
use super::header::{SEGMENT_HEADER_BYTES, SegmentHeader};
use super::index::RecordIndex;
use super::record::{ALIGNMENT, RecordHeader};
use super::sectors::{end_place_of, place_of};
use super::segment::{Found, SegmentReader};
use crate::storage::disk::{Disk, OpenMode};
use crate::storage::error::{DecodeError, IoContext, StorageError, damaged};
use crate::storage::hard_state::{
    self, DurableEnd, HardStateCopy, Loaded, LogStart, hard_state_path,
};
use crate::types::{FormatRange, LogPosition, LogSummary, NodeId, PayloadError, Term};

/// Number of bytes of a segment that are in memory at a time.
pub(crate) const SCAN_BYTES: u64 = 256 * 1024;

/// The result of a scan.
pub(crate) struct Scanned {
    /// The hard state.
    pub loaded: Loaded,
    /// Numbers of segments that are no longer part of the log.
    pub obsolete: Vec<u64>,
    /// The way from indexes to records.
    pub index: RecordIndex,
    /// The log without its entries.
    pub summary: LogSummary,
    /// The offset at which the records of the last segment end.
    pub end: u64,
    /// The position in the file at which a torn write after `end` ends, if there is one.
    pub torn_to: Option<u64>,
    /// Number of records, superseded ones included.
    pub records: u64,
    /// True once the scan has passed the recorded durable end.
    passed_durable_end: bool,
    /// The place, a segment and an offset, after which records may be whole when the scan ends
    /// with damage. `None` when whole records contradict each other: nothing after them tells
    /// more.
    after_damage: Option<(u64, u64)>,
    /// The place up to which everything is whole and fits together. `None` before the end of the
    /// first segment.
    pub kept: Option<DurableEnd>,
    /// Sentences for people.
    pub notes: Vec<String>,
}

/// Reads all of `dir`, whose identity names `node_id`.
pub(crate) fn scan(disk: &dyn Disk, dir: &Path, node_id: NodeId) -> Result<Scanned, StorageError> {
    match scan_to_damage(disk, dir, node_id)? {
        (scanned, None) => Ok(scanned),
        (_, Some(damage)) => Err(damage),
    }
}

/// Reads all of `dir` as [`scan`] does. When the log is damaged, it returns the log before the
/// damage, and the damage. Damage of any other file is an error.
pub(crate) fn scan_to_damage(
    disk: &dyn Disk,
    dir: &Path,
    node_id: NodeId,
) -> Result<(Scanned, Option<StorageError>), StorageError> {
    let numbers = segment_numbers(disk, dir)?;
    check_hard_state_exists(disk, dir)?;
    let loaded = hard_state::load(disk, dir)?;
    let HardStateCopy { start, durable_end, .. } = loaded.newest;
    let is_obsolete = |number: &u64| {
        let is_cut = durable_end.cutting && *number > durable_end.segment;
        *number < start.first_segment || start.resetting || is_cut
    };
    let (obsolete, numbers): (Vec<u64>, Vec<u64>) = numbers.into_iter().partition(is_obsolete);
    let mut scanned = Scanned::beginning_at(dir, loaded, start);
    scanned.obsolete = obsolete;
    let damage = match start.resetting {
        true => None,
        false => scanned.scan_segments(disk, dir, &numbers, node_id)?,
    };
    scanned.summary.runs = scanned.index.runs().clone();
    check_term(dir, &scanned.loaded, scanned.summary.runs.last())?;
    Ok((scanned, damage))
}

/// Returns the end of the log that `damaged` has read up to its damage, if this end can be relied
/// upon: from the first whole record after the damage on, everything is as in a log without
/// damage. So nothing that this server acknowledged lies after it (docs/adr/0019). Returns `None`
/// when there is any doubt.
pub(crate) fn end_after_damage(
    disk: &dyn Disk,
    dir: &Path,
    node_id: NodeId,
    damaged: &Scanned,
) -> Result<Option<LogPosition>, StorageError> {
    let durable_end = damaged.loaded.newest.durable_end;
    let Some((damaged_number, offset)) = damaged.after_damage else { return Ok(None) };
    if durable_end.cutting {
        return Ok(None); // an earlier start has decided to lose a part of the log
    }
    let numbers = segment_numbers(disk, dir)?;
    let last_number = numbers.last().copied().unwrap_or(0).max(durable_end.segment);
    for number in damaged_number..=last_number {
        if numbers.binary_search(&number).is_err() {
            continue;
        }
        let path = segment_path(dir, number);
        let Some(OpenSegment { file, file_bytes, header }) = open_if_header_is_whole(disk, &path)?
        else {
            continue;
        };
        if number > damaged_number || offset == SEGMENT_HEADER_BYTES {
            let start = LogStart { first_segment: number, base: header.prev, resetting: false };
            let mut rest = Scanned::beginning_at(dir, damaged.loaded.clone(), start);
            return rest.scan_to_the_end(disk, dir, &numbers, node_id, last_number);
        }
        let mut reader = SegmentReader::new(&*file, &header, file_bytes, SCAN_BYTES);
        let Some((at, record)) = next_record(&mut reader, offset).during("read", &path)? else {
            continue;
        };
        // A record may also replace entries from before the damage. The scan finds that it does
        // not follow this base, and so the end counts as unknown.
        let base = LogPosition { index: record.position.index.prev(), term: Term(0) };
        let start = LogStart { first_segment: number, base, resetting: false };
        let mut rest = Scanned::beginning_at(dir, damaged.loaded.clone(), start);
        rest.passed_durable_end = durable_end.segment == number && durable_end.offset <= at;
        rest.index.add_segment(&header);
        let is_last = number == last_number;
        return match rest.scan_records(&path, &header, &mut reader, at, is_last) {
            Err(error) if error.is_damage() => Ok(None),
            Err(error) => Err(error),
            Ok(()) if is_last => Ok(Some(rest.index.runs().last())),
            Ok(()) => rest.scan_to_the_end(disk, dir, &numbers, node_id, last_number),
        };
    }
    Ok(None)
}

/// Returns the first whole record at or after `offset`, and its offset, whatever bytes come before
/// it.
fn next_record(
    reader: &mut SegmentReader<'_>,
    offset: u64,
) -> io::Result<Option<(u64, RecordHeader)>> {
    let mut at = offset;
    while let Some((found, header)) = reader.next_header(at)? {
        if let Found::Record(_) = reader.find(found)? {
            return Ok(Some((found, header)));
        }
        at = found + ALIGNMENT;
    }
    Ok(None)
}

/// Checks that no entry is of a later term than the hard state: a term is durable before the
/// first entry of that term is written.
pub(crate) fn check_term(
    dir: &Path,
    loaded: &Loaded,
    last: LogPosition,
) -> Result<(), StorageError> {
    let current = loaded.newest.hard_state.current_term;
    match last.term > current {
        true => Err(StorageError::HardStateStale { path: hard_state_path(dir), current, last }),
        false => Ok(()),
    }
}

/// Returns an error when a segment is missing from the first one to the last, or to that of the
/// durable end if that is later.
fn missing_segment(
    dir: &Path,
    first: u64,
    durable_end: DurableEnd,
    numbers: &[u64],
) -> Option<StorageError> {
    let last = numbers.last().copied();
    let wanted = first..=last.unwrap_or(first).max(durable_end.segment);
    let missing = wanted.into_iter().find(|number| numbers.binary_search(number).is_err())?;
    let evidence = match last {
        Some(last) if last > missing => format!("segment {last} is there"),
        Some(_) => format!("entries up to {} were durable in it", durable_end.last),
        None => "the server's identity is there".into(),
    };
    Some(StorageError::FileMissing { path: segment_path(dir, missing), evidence })
}

fn check_hard_state_exists(disk: &dyn Disk, dir: &Path) -> Result<(), StorageError> {
    let path = hard_state_path(dir);
    if !disk.list(dir).during("list", dir)?.iter().any(|name| name == "hard_state") {
        return Err(StorageError::FileMissing { path, evidence: "the log is there".into() });
    }
    Ok(())
}

impl Scanned {
    /// The scan of a log that begins at `start`, before the first segment.
    fn beginning_at(dir: &Path, loaded: Loaded, start: LogStart) -> Scanned {
        Scanned {
            notes: loaded.note.iter().cloned().collect(),
            loaded,
            obsolete: Vec::new(),
            index: RecordIndex::new(dir, start),
            summary: LogSummary::default(),
            end: SEGMENT_HEADER_BYTES,
            torn_to: None,
            records: 0,
            passed_durable_end: false,
            after_damage: None,
            kept: None,
        }
    }

    /// Reads the segments that follow those that were read, and returns the end of the log if
    /// there is no damage.
    fn scan_to_the_end(
        &mut self,
        disk: &dyn Disk,
        dir: &Path,
        numbers: &[u64],
        node_id: NodeId,
        last_number: u64,
    ) -> Result<Option<LogPosition>, StorageError> {
        for number in self.index.last_segment() + 1..=last_number {
            if numbers.binary_search(&number).is_err() {
                return Ok(None);
            }
            match self.scan_segment(disk, dir, number, node_id, number == last_number) {
                Err(error) if error.is_damage() => return Ok(None),
                scanned => scanned?,
            }
        }
        Ok(Some(self.index.runs().last()))
    }

    /// Reads the segments up to the first that is damaged or missing, and returns the damage.
    fn scan_segments(
        &mut self,
        disk: &dyn Disk,
        dir: &Path,
        numbers: &[u64],
        node_id: NodeId,
    ) -> Result<Option<StorageError>, StorageError> {
        let HardStateCopy { start, durable_end, .. } = self.loaded.newest;
        let last_number = numbers.last().copied().unwrap_or(0).max(durable_end.segment);
        for number in
            (start.first_segment..).take_while(|number| numbers.binary_search(number).is_ok())
        {
            match self.scan_segment(disk, dir, number, node_id, number == last_number) {
                Err(error) if error.is_damage() => return Ok(Some(error)),
                scanned => scanned?,
            }
        }
        self.after_damage = Some((self.index.last_segment() + 2, SEGMENT_HEADER_BYTES));
        Ok(missing_segment(dir, start.first_segment, durable_end, numbers))
    }

    fn scan_segment(
        &mut self,
        disk: &dyn Disk,
        dir: &Path,
        number: u64,
        node_id: NodeId,
        is_last: bool,
    ) -> Result<(), StorageError> {
        let path = segment_path(dir, number);
        let file = open_segment(disk, &path, OpenMode::Read)?;
        let file_bytes = file.bytes().during("look at", &path)?;
        self.after_damage = Some((number + 1, SEGMENT_HEADER_BYTES));
        let header = read_header(&*file, &path)?;
        let mut reader = SegmentReader::new(&*file, &header, file_bytes, SCAN_BYTES);
        self.after_damage = None;
        self.check_header(&header, number, node_id).map_err(|what| damaged(&path, 0, what))?;
        self.index.add_segment(&header);
        self.scan_records(&path, &header, &mut reader, SEGMENT_HEADER_BYTES, is_last)
    }

    /// Reads the records of a segment from `offset` on, and judges what comes after them.
    fn scan_records(
        &mut self,
        path: &Path,
        header: &SegmentHeader,
        reader: &mut SegmentReader<'_>,
        mut offset: u64,
        is_last: bool,
    ) -> Result<(), StorageError> {
        let (number, durable_end) = (header.number, self.loaded.newest.durable_end);
        let found = loop {
            let wrong = |what| damaged(path, place_of(offset), what);
            self.check_durable_end(number, offset).map_err(wrong)?;
            let is_at_durable_end = number == durable_end.segment && offset == durable_end.offset;
            if durable_end.cutting && is_at_durable_end {
                break Found::Nothing;
            }
            match reader.find(offset).during("read", path)? {
                Found::Record(record) => {
                    let bytes = reader.get(offset, record.record_bytes()).during("read", path)?;
                    let added = self.add_record(&record, bytes, offset);
                    added.map_err(|error| error.at(path, place_of(offset)))?;
                    offset += record.record_bytes();
                }
                found => break found,
            }
        };
        self.end = offset;
        let last = self.index.runs().last();
        self.kept = Some(DurableEnd { segment: number, offset, last, cutting: true });
        self.after_damage = Some((number, offset + ALIGNMENT));
        let end = EndOfRecords { path, offset, is_last, durable_end, number };
        self.torn_to = end.judge(reader, &found)?;
        if let Some(torn_to) = self.torn_to {
            let from = end_place_of(offset);
            let bytes = torn_to - from;
            let what = if end.is_being_cut() {
                format!("an earlier start has begun to cut {bytes} bytes from byte {from} on")
            } else {
                format!("a torn write at byte {from}, of {bytes} bytes, was never acknowledged")
            };
            self.notes.push(format!("{}: {what}, behind entry {last}", path.display()));
        }
        Ok(())
    }

    fn check_header(
        &self,
        header: &SegmentHeader,
        number: u64,
        node_id: NodeId,
    ) -> Result<(), String> {
        if header.number != number {
            return Err(format!("this is segment {}, under another's name", header.number));
        }
        if header.node_id != node_id {
            return Err(format!("this segment is of server {}", header.node_id));
        }
        let last = self.index.runs().last();
        if header.prev != last {
            return Err(format!(
                "this segment begins behind entry {}, but the segments before it end with entry \
                 {last}",
                header.prev
            ));
        }
        Ok(())
    }

    /// Checks that the log at the recorded durable end is the log that was recorded. An intact
    /// file that is older, or of another log, fails the check.
    fn check_durable_end(&mut self, number: u64, offset: u64) -> Result<(), String> {
        let durable_end = self.loaded.newest.durable_end;
        let last = self.index.runs().last();
        let is_before = number != durable_end.segment || offset < durable_end.offset;
        if is_before || self.passed_durable_end {
            return Ok(());
        }
        self.passed_durable_end = true;
        if offset != durable_end.offset || last != durable_end.last {
            return Err(format!(
                "entry {last} ends here, but entry {} was durable at byte {}",
                durable_end.last,
                end_place_of(durable_end.offset)
            ));
        }
        Ok(())
    }

    /// The error of a whole record that does not decode. An entry of a later format follows the
    /// entry that puts that format in force, which says what program reads it.
    fn undecodable(&self, error: PayloadError) -> DecodeError {
        let format = &self.summary.cluster.newest().format;
        match format.format > FormatRange::OWN.highest {
            true => DecodeError::Newer(format.clone()),
            false => DecodeError::Unknown(error.to_string()),
        }
    }

    fn add_record(
        &mut self,
        record: &RecordHeader,
        bytes: &[u8],
        offset: u64,
    ) -> Result<(), DecodeError> {
        // The checksum is right, so the record is whole.
        let entry = record.entry(bytes).map_err(|error| self.undecodable(error))?;
        self.index.add_record(entry.position(), offset).map_err(DecodeError::Damaged)?;
        self.summary.cluster.truncate_from(entry.index);
        self.summary.cluster.append(entry.index, &entry.payload);
        // The journal's last record is the log's last entry, whatever it superseded.
        self.summary.last_stamp_ms = entry.stamp_ms;
        self.records += 1;
        Ok(())
    }
}

/// The place where the valid records of a segment end.
struct EndOfRecords<'a> {
    path: &'a Path,
    /// The offset of the place.
    offset: u64,
    /// Number of the segment.
    number: u64,
    /// True for the last segment of the log.
    is_last: bool,
    /// The recorded durable end of the log.
    durable_end: DurableEnd,
}

impl EndOfRecords<'_> {
    /// Judges the bytes after the records. Returns `None` when there are none, the position in
    /// the file at which they end when they are a torn write, and an error for anything else.
    ///
    /// A crash leaves a part of what was written since the last sync, in whole sectors. The
    /// sectors that are missing are blank. The sector in which the records end is an exception:
    /// without the write it has zeros after the records. Rot never turns a sector that was
    /// written into a blank one.
    fn judge(
        &self,
        reader: &mut SegmentReader<'_>,
        found: &Found,
    ) -> Result<Option<u64>, StorageError> {
        let written_to = reader.last_written(self.offset).during("read", self.path)?;
        if self.is_being_cut() {
            return Ok(written_to);
        }
        let ends_here = self.durable_end.segment == self.number;
        let was_durable = ends_here && self.offset < self.durable_end.offset;
        if was_durable && (written_to.is_none() || matches!(found, Found::Nothing)) {
            return Err(StorageError::EntriesMissing {
                path: self.path.to_owned(),
                offset: end_place_of(self.offset),
                durable: self.durable_end.last,
                durable_to: end_place_of(self.durable_end.offset),
            });
        }
        let Some(written_to) = written_to else { return Ok(None) };
        if !self.is_last {
            return Err(self.damaged("this is no valid record, and later segments follow"));
        }
        if was_durable {
            return Err(self.damaged("this is no valid record, and one was durable here"));
        }
        // A batch begins only after everything before it was synced. So if a later batch exists,
        // these bytes were once a whole record.
        if let Some(later) = self.later_batch(reader).during("read", self.path)? {
            return Err(self.damaged(format!(
                "this is no valid record, but the one at byte {} was written after it was durable",
                place_of(later)
            )));
        }
        match found {
            Found::Nothing => Ok(Some(written_to)),
            Found::Torn => Ok(Some(written_to)),
            _ => Err(self.damaged(
                "this record is complete but does not match its checksum; it may be acknowledged",
            )),
        }
    }

    /// True when an earlier start has decided that everything after this place is erased.
    fn is_being_cut(&self) -> bool {
        self.durable_end.cutting
            && self.durable_end.segment == self.number
            && self.durable_end.offset == self.offset
    }

    fn damaged(&self, what: impl Into<String>) -> StorageError {
        damaged(self.path, place_of(self.offset), what)
    }

    /// Returns the offset of the next valid record that begins a batch, if there is one.
    fn later_batch(&self, reader: &mut SegmentReader<'_>) -> io::Result<Option<u64>> {
        let mut at = self.offset + ALIGNMENT;
        while let Some((found, header)) = reader.next_header(at)? {
            if header.batch_start && matches!(reader.find(found)?, Found::Record(_)) {
                return Ok(Some(found));
            }
            at = found + ALIGNMENT;
        }
        Ok(None)
    }
}
