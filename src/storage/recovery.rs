//! Reads a whole data directory and judges it; changes nothing.
//!
//! Invariant: of what was acknowledged nothing is lost, and nothing is silently
//! repaired. What the scan cannot prove to be an unacknowledged write that a
//! crash tore is damage: the server does not start, or has it repaired by the
//! others (`repair`).
//!
//! There is only one place where a crash can leave anything but whole records:
//! behind the last sync, in the last segment. So damage anywhere else is
//! damage. There, the rules are those of `Tail::judge`.

use std::io;
use std::path::Path;

use super::catalog::Catalog;
use super::disk::{Disk, OpenMode};
use super::error::{IoContext, StorageError, damaged};
use super::hard_state::{self, Copy, Loaded, Seal, hard_state_path};
use super::record::{ALIGNMENT, RecordHeader};
use super::sectors::{end_place_of, place_of};
use super::segment::{
    Found, SEGMENT_HEADER_BYTES, SegmentHeader, Window, open_segment, read_header, segment_numbers,
    segment_path,
};
use crate::types::{LogPosition, LogSummary, NodeId};

/// How much of a segment is in memory at a time.
pub(super) const SCAN_BYTES: u64 = 256 * 1024;

/// What was found.
pub(super) struct Scanned {
    pub loaded: Loaded,
    /// Segments that are no longer part of the log.
    pub void: Vec<u64>,
    pub catalog: Catalog,
    pub summary: LogSummary,
    /// Where the records of the last segment end.
    pub end: u64,
    /// Behind `end` stands a torn tail, up to this byte of the file.
    pub torn_to: Option<u64>,
    /// Records read, those that were superseded among them.
    pub records: u64,
    seal_seen: bool,
    /// Up to here everything is whole and fits together. `None` before the end of the
    /// first segment.
    pub kept: Option<Seal>,
    /// Sentences for people.
    pub notes: Vec<String>,
}

/// Reads all of `dir`, which has an identity that names `node_id`.
pub(super) fn scan(disk: &dyn Disk, dir: &Path, node_id: NodeId) -> Result<Scanned, StorageError> {
    match survey(disk, dir, node_id)? {
        (scanned, None) => Ok(scanned),
        (_, Some(damage)) => Err(damage),
    }
}

/// The same, but it also hands out what stands before the damage of a log. Damage of
/// anything else is an error.
pub(super) fn survey(
    disk: &dyn Disk,
    dir: &Path,
    node_id: NodeId,
) -> Result<(Scanned, Option<StorageError>), StorageError> {
    let numbers = segment_numbers(disk, dir)?;
    check_hard_state_is_there(disk, dir)?;
    let loaded = hard_state::load(disk, dir)?;
    let (start, seal) = (loaded.newest.start, loaded.newest.seal);
    let is_void = |number: &u64| {
        let is_cut = seal.cutting && *number > seal.segment;
        *number < start.first_segment || start.resetting || is_cut
    };
    let (void, numbers): (Vec<u64>, Vec<u64>) = numbers.into_iter().partition(is_void);
    let mut scanned = Scanned {
        notes: loaded.note.iter().cloned().collect(),
        loaded,
        void,
        catalog: Catalog::new(dir, start),
        summary: LogSummary::default(),
        end: SEGMENT_HEADER_BYTES,
        torn_to: None,
        records: 0,
        seal_seen: false,
        kept: None,
    };
    let damage = match start.resetting {
        true => None,
        false => scanned.scan_segments(disk, dir, &numbers, node_id)?,
    };
    scanned.summary.runs = scanned.catalog.runs().clone();
    scanned.summary.lost = scanned.loaded.newest.lost;
    check_term(dir, &scanned.loaded, scanned.summary.runs.last())?;
    Ok((scanned, damage))
}

/// A term is durable before the first entry of that term is written.
pub(super) fn check_term(
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

/// From the first to the last, or to that of the seal, no segment may be missing.
fn missing_segment(dir: &Path, first: u64, seal: Seal, numbers: &[u64]) -> Option<StorageError> {
    let last = numbers.last().copied();
    let wanted = first..=last.unwrap_or(first).max(seal.segment);
    let missing = wanted.into_iter().find(|number| numbers.binary_search(number).is_err())?;
    let evidence = match last {
        Some(last) if last > missing => format!("segment {last} is there"),
        Some(_) => format!("entries up to {} were durable in it", seal.last),
        None => "the server's identity is there".into(),
    };
    Some(StorageError::FileMissing { path: segment_path(dir, missing), evidence })
}

fn check_hard_state_is_there(disk: &dyn Disk, dir: &Path) -> Result<(), StorageError> {
    let path = hard_state_path(dir);
    if !disk.list(dir).during("list", dir)?.iter().any(|name| name == "hard_state") {
        return Err(StorageError::FileMissing { path, evidence: "the log is there".into() });
    }
    Ok(())
}

impl Scanned {
    /// Reads the segments up to the first that is damaged, or missing; what is wrong.
    fn scan_segments(
        &mut self,
        disk: &dyn Disk,
        dir: &Path,
        numbers: &[u64],
        node_id: NodeId,
    ) -> Result<Option<StorageError>, StorageError> {
        let Copy { start, seal, .. } = self.loaded.newest;
        let last_number = numbers.last().copied().unwrap_or(0).max(seal.segment);
        for number in
            (start.first_segment..).take_while(|number| numbers.binary_search(number).is_ok())
        {
            match self.scan_segment(disk, dir, number, node_id, number == last_number) {
                Err(StorageError::Io { action, path, source }) => {
                    return Err(StorageError::Io { action, path, source });
                }
                Err(damage) => return Ok(Some(damage)),
                Ok(()) => {}
            }
        }
        Ok(missing_segment(dir, start.first_segment, seal, numbers))
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
        let seal = self.loaded.newest.seal;
        let file = open_segment(disk, &path, OpenMode::Read)?;
        let file_bytes = file.bytes().during("look at", &path)?;
        let header = read_header(&*file, &path)?;
        let mut window = Window::new(&*file, &header, file_bytes, SCAN_BYTES);
        self.check_header(&header, number, node_id).map_err(|what| damaged(&path, 0, what))?;
        self.catalog.add_segment(&header);

        let mut offset = SEGMENT_HEADER_BYTES;
        let found = loop {
            let wrong = |what| damaged(&path, place_of(offset), what);
            self.check_seal(number, offset).map_err(wrong)?;
            if seal.cutting && number == seal.segment && offset == seal.offset {
                break Found::Nothing;
            }
            match window.find(offset).during("read", &path)? {
                Found::Record(record) => {
                    let bytes = window.get(offset, record.record_bytes()).during("read", &path)?;
                    self.admit(&record, bytes, offset).map_err(wrong)?;
                    offset += record.record_bytes();
                }
                found => break found,
            }
        };
        self.end = offset;
        let last = self.catalog.runs().last();
        self.kept = Some(Seal { segment: number, offset, last, cutting: true });
        let tail = Tail { path: &path, offset, is_last, seal, number };
        self.torn_to = tail.judge(&mut window, &found)?;
        if let Some(torn_to) = self.torn_to {
            let from = end_place_of(offset);
            let bytes = torn_to - from;
            let what = if tail.is_being_cut() {
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
        let last = self.catalog.runs().last();
        if header.prev != last {
            return Err(format!(
                "this segment begins behind entry {}, but the segments before it end with entry \
                 {last}",
                header.prev
            ));
        }
        Ok(())
    }

    /// At the sealed place the log must be what was sealed: a whole file of an
    /// earlier time, or another log's, is not.
    fn check_seal(&mut self, number: u64, offset: u64) -> Result<(), String> {
        let seal = self.loaded.newest.seal;
        let last = self.catalog.runs().last();
        if number != seal.segment || offset < seal.offset || self.seal_seen {
            return Ok(());
        }
        self.seal_seen = true;
        if offset != seal.offset || last != seal.last {
            return Err(format!(
                "entry {last} ends here, but entry {} was durable at byte {}",
                seal.last,
                end_place_of(seal.offset)
            ));
        }
        Ok(())
    }

    fn admit(&mut self, record: &RecordHeader, bytes: &[u8], offset: u64) -> Result<(), String> {
        let entry = record.entry(bytes).map_err(|error| error.to_string())?;
        self.catalog.add_record(entry.position(), offset)?;
        self.summary.memberships.retain(|(index, _)| *index < entry.index);
        if let crate::types::Payload::Membership(membership) = entry.payload {
            self.summary.memberships.push((entry.index, membership));
        }
        // The journal's last record is the log's last entry, whatever it superseded.
        self.summary.last_stamp_ms = entry.stamp_ms;
        self.records += 1;
        Ok(())
    }
}

/// The place where the valid records of a segment end.
struct Tail<'a> {
    path: &'a Path,
    offset: u64,
    number: u64,
    is_last: bool,
    seal: Seal,
}

impl Tail<'_> {
    /// `None` when nothing stands behind the records; the end in the file of a torn
    /// write when that is what stands there; an error for everything else.
    ///
    /// A crash leaves a part of what was written since the last sync, by whole sectors:
    /// those that are missing are blank, but for the one that the records end in, which
    /// is there without the write, and so with zeros behind them. Rot makes no blank
    /// sector of one that was written.
    fn judge(&self, window: &mut Window<'_>, found: &Found) -> Result<Option<u64>, StorageError> {
        let written_to = window.last_written(self.offset).during("read", self.path)?;
        if self.is_being_cut() {
            return Ok(written_to);
        }
        let sealed_here = self.seal.segment == self.number;
        let below_seal = sealed_here && self.offset < self.seal.offset && !mutant!(B68);
        if below_seal && (written_to.is_none() || matches!(found, Found::Nothing)) {
            return Err(StorageError::EntriesMissing {
                path: self.path.to_owned(),
                offset: end_place_of(self.offset),
                sealed: self.seal.last,
                sealed_to: end_place_of(self.seal.offset),
            });
        }
        let Some(written_to) = written_to else { return Ok(None) };
        if !self.is_last {
            return Err(self.damaged("this is no valid record, and later segments follow"));
        }
        if mutant!(B61a) {
            return Ok(Some(written_to));
        }
        if below_seal {
            return Err(self.damaged("this is no valid record, and one was durable here"));
        }
        // A batch begins only when all before it is synced: then this was once whole.
        if let Some(later) = self.later_batch(window).during("read", self.path)? {
            return Err(self.damaged(format!(
                "this is no valid record, but the one at byte {} was written after it was durable",
                place_of(later)
            )));
        }
        match found {
            Found::Nothing => Ok(Some(written_to)),
            Found::Torn if !mutant!(B61b) => Ok(Some(written_to)),
            _ => Err(self.damaged(
                "this record is complete but does not match its checksum; it may be acknowledged",
            )),
        }
    }

    /// A start has decided before that all behind is void.
    fn is_being_cut(&self) -> bool {
        self.seal.cutting && self.seal.segment == self.number && self.seal.offset == self.offset
    }

    fn damaged(&self, what: impl Into<String>) -> StorageError {
        damaged(self.path, place_of(self.offset), what)
    }

    /// Where the next valid record that begins a batch stands, if one does.
    fn later_batch(&self, window: &mut Window<'_>) -> io::Result<Option<u64>> {
        let mut at = self.offset + ALIGNMENT;
        while let Some((found, header)) = window.next_header(at)? {
            if header.batch_start && matches!(window.find(found)?, Found::Record(_)) {
                return Ok(Some(found));
            }
            at = found + ALIGNMENT;
        }
        Ok(None)
    }
}
