//! Reads a whole data directory and judges it; changes nothing.
//!
//! Invariant: of what was acknowledged nothing is lost, and nothing is silently
//! repaired. What the scan cannot prove to be an unacknowledged write that a
//! crash tore is an error, and the server does not start.
//!
//! There is only one place where a crash can leave anything but whole records:
//! behind the last sync, in the last segment. So damage anywhere else is
//! damage. There, the rules are those of `Tail::judge`.

use std::io;
use std::path::Path;

use super::catalog::Catalog;
use super::disk::{Disk, OpenMode};
use super::error::{IoContext, StorageError, damaged};
use super::hard_state::{self, Loaded, Seal, hard_state_path};
use super::record::{ALIGNMENT, HEADER_BYTES, MARK, MARK_OFFSET, RecordHeader};
use super::segment::{
    Found, SECTOR_BYTES, SEGMENT_HEADER_BYTES, SegmentHeader, Window, log_dir, segment_number,
    segment_path,
};
use crate::types::{LogSummary, NodeId};

/// How much of a segment is in memory at a time.
const SCAN_BYTES: usize = 256 * 1024;

/// What was found.
pub(super) struct Scanned {
    pub loaded: Loaded,
    /// Segments that are no longer part of the log.
    pub void: Vec<u64>,
    pub catalog: Catalog,
    pub summary: LogSummary,
    /// Where the records of the last segment end.
    pub end: u64,
    /// Behind `end` stands a torn tail, whose last byte is this one.
    pub torn_to: Option<u64>,
    /// Records read, those that were superseded among them.
    pub records: u64,
    seal_seen: bool,
    /// Sentences for people.
    pub notes: Vec<String>,
}

/// Reads all of `dir`, which has an identity that names `node_id`.
pub(super) fn scan(disk: &dyn Disk, dir: &Path, node_id: NodeId) -> Result<Scanned, StorageError> {
    let numbers = segment_numbers(disk, dir)?;
    check_hard_state_is_there(disk, dir)?;
    let loaded = hard_state::load(disk, dir)?;
    let (start, seal) = (loaded.newest.start, loaded.newest.seal);
    let (void, numbers): (Vec<u64>, Vec<u64>) =
        numbers.into_iter().partition(|number| *number < start.first_segment || start.resetting);
    if !start.resetting {
        check_segments(dir, start.first_segment, &numbers)?;
    }
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
    };
    let last_number = numbers.last().copied().unwrap_or(start.first_segment);
    if seal.segment > last_number {
        return Err(StorageError::FileMissing {
            path: segment_path(dir, seal.segment),
            evidence: format!("entries up to {} were durable in it", seal.last),
        });
    }
    for number in numbers {
        scanned.scan_segment(disk, dir, number, node_id, number == last_number)?;
    }
    scanned.summary.runs = scanned.catalog.runs().clone();
    let (last, current) =
        (scanned.summary.runs.last(), scanned.loaded.newest.hard_state.current_term);
    if last.term > current {
        // A term is durable before the first entry of that term is written.
        return Err(StorageError::HardStateStale { path: hard_state_path(dir), current, last });
    }
    Ok(scanned)
}

/// The numbers of the segments that are there, in order.
pub(super) fn segment_numbers(disk: &dyn Disk, dir: &Path) -> Result<Vec<u64>, StorageError> {
    let log_dir = log_dir(dir);
    let names = match disk.list(&log_dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        names => names.during("list", &log_dir)?,
    };
    let mut numbers: Vec<u64> = names.iter().filter_map(|name| segment_number(name)).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

/// From the first on, no segment may be missing.
fn check_segments(dir: &Path, first: u64, numbers: &[u64]) -> Result<(), StorageError> {
    let missing = (first..)
        .zip(0..numbers.len().max(1))
        .find(|(expected, place)| numbers.get(*place) != Some(expected));
    let Some((missing, _)) = missing else { return Ok(()) };
    let evidence = match numbers.last() {
        None => "the server's identity is there".into(),
        Some(last) => format!("segment {last} is there"),
    };
    Err(StorageError::FileMissing { path: segment_path(dir, missing), evidence })
}

fn check_hard_state_is_there(disk: &dyn Disk, dir: &Path) -> Result<(), StorageError> {
    let path = hard_state_path(dir);
    if !disk.list(dir).during("list", dir)?.iter().any(|name| name == "hard_state") {
        return Err(StorageError::FileMissing { path, evidence: "the log is there".into() });
    }
    Ok(())
}

impl Scanned {
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
        let file = disk.open(&path, OpenMode::Read).during("open", &path)?;
        let file_bytes = file.bytes().during("look at", &path)?;
        let mut window = Window::new(&*file, file_bytes, SCAN_BYTES);
        let head = window.get(0, SEGMENT_HEADER_BYTES).during("read", &path)?;
        let header = SegmentHeader::decode(head).map_err(|what| damaged(&path, 0, what))?;
        self.check_header(&header, number, node_id).map_err(|what| damaged(&path, 0, what))?;
        self.catalog.add_segment(&header);

        let mut offset = SEGMENT_HEADER_BYTES;
        let found = loop {
            self.check_seal(number, offset).map_err(|what| damaged(&path, offset, what))?;
            match window.find(header.salt, offset).during("read", &path)? {
                Found::Record(record) => {
                    let bytes = window.get(offset, record.record_bytes()).during("read", &path)?;
                    self.admit(&record, bytes, offset)
                        .map_err(|what| damaged(&path, offset, what))?;
                    offset += record.record_bytes();
                }
                found => break found,
            }
        };
        self.end = offset;
        let tail = Tail { path: &path, salt: header.salt, offset, is_last, seal, number };
        self.torn_to = tail.judge(&mut window, &found)?;
        if let Some(torn_to) = self.torn_to {
            self.notes.push(format!(
                "{}: a torn write at byte {offset}, of {} bytes, that was never acknowledged \
                 stands behind entry {}",
                path.display(),
                torn_to + 1 - offset,
                self.catalog.runs().last()
            ));
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
                seal.last, seal.offset
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
    salt: u32,
    offset: u64,
    number: u64,
    is_last: bool,
    seal: Seal,
}

impl Tail<'_> {
    /// `None` when nothing stands behind the records; the last byte of a torn
    /// write when that is what stands there; an error for everything else.
    fn judge(&self, window: &mut Window<'_>, found: &Found) -> Result<Option<u64>, StorageError> {
        let last_nonzero = window.last_nonzero(self.offset).during("read", self.path)?;
        let sealed_here = self.seal.segment == self.number;
        let below_seal = sealed_here && self.offset < self.seal.offset && !mutant!(B68);
        if below_seal && (last_nonzero.is_none() || matches!(found, Found::Nothing)) {
            return Err(StorageError::EntriesMissing {
                path: self.path.to_owned(),
                offset: self.offset,
                sealed: self.seal.last,
                sealed_to: self.seal.offset,
            });
        }
        let Some(last_nonzero) = last_nonzero else { return Ok(None) };
        if !self.is_last {
            return Err(self.damaged("this is no valid record, and later segments follow"));
        }
        if mutant!(B61a) {
            return Ok(Some(last_nonzero));
        }
        if below_seal {
            return Err(self.damaged("this is no valid record, and one was durable here"));
        }
        // A batch begins only when all before it is synced: then this was once whole.
        if let Some(later) = self.later_batch(window).during("read", self.path)? {
            return Err(self.damaged(format!(
                "this is no valid record, but the one at byte {later} was written after it was \
                 durable"
            )));
        }
        let cutting = self.seal.cutting && sealed_here && self.offset == self.seal.offset;
        let header = match found {
            Found::Damage(header) => header.as_ref(),
            // Zeros, and then the remains of a batch whose first part is not there.
            _ => return Ok(Some(last_nonzero)),
        };
        let looks_torn = self.looks_torn(window, header, last_nonzero).during("read", self.path)?;
        if (cutting || looks_torn) && !mutant!(B61b) {
            return Ok(Some(last_nonzero));
        }
        Err(self.damaged(
            "this record is complete but does not match its checksum; it may be acknowledged",
        ))
    }

    fn damaged(&self, what: impl Into<String>) -> StorageError {
        damaged(self.path, self.offset, what)
    }

    /// Where the next valid record that begins a batch stands, if one does.
    fn later_batch(&self, window: &mut Window<'_>) -> io::Result<Option<u64>> {
        let mut at = self.offset + ALIGNMENT;
        while at + HEADER_BYTES as u64 <= window.end {
            let chunk = window.get(at, SCAN_BYTES as u64)?;
            if chunk.len() < HEADER_BYTES {
                return Ok(None);
            }
            let starts = chunk.len() - HEADER_BYTES + 1;
            let candidates: Vec<u64> = (0..starts)
                .step_by(ALIGNMENT as usize)
                .filter(|start| chunk[start + MARK_OFFSET..].starts_with(&MARK))
                .filter(|start| {
                    let offset = at + *start as u64;
                    RecordHeader::decode(&chunk[*start..], self.salt, offset)
                        .is_some_and(|header| header.batch_start)
                })
                .map(|start| at + start as u64)
                .collect();
            at += starts.next_multiple_of(ALIGNMENT as usize) as u64;
            for candidate in candidates {
                if matches!(window.find(self.salt, candidate)?, Found::Record(_)) {
                    return Ok(Some(candidate));
                }
            }
        }
        Ok(None)
    }

    /// True when the damage is what a crash leaves of a write over zeros: a part
    /// of it, by whole sectors, is still zero. Rot changes bits; it does not make
    /// zeros of a sector. (A value may be zeros, but then its record says so.)
    fn looks_torn(
        &self,
        window: &mut Window<'_>,
        header: Option<&RecordHeader>,
        last_nonzero: u64,
    ) -> io::Result<bool> {
        let header_end = self.offset + HEADER_BYTES as u64;
        let Some(header) = header else {
            // Nothing behind the header: it was not even written to its end.
            return Ok(last_nonzero < header_end || self.has_zero_sector(window, header_end)?);
        };
        let record_end = self.offset + header.record_bytes();
        let last_byte = window.get(record_end - 1, 1)?.first().copied();
        let tells = !header.holds_zeros && self.has_zero_sector(window, record_end)?;
        Ok(last_byte.unwrap_or(0) == 0 || tells)
    }

    /// Whether a sector that begins in the record, before `to`, is all zero.
    fn has_zero_sector(&self, window: &mut Window<'_>, to: u64) -> io::Result<bool> {
        let mut sector = self.offset.next_multiple_of(SECTOR_BYTES);
        while sector < to {
            if window.get(sector, SECTOR_BYTES)?.iter().all(|byte| *byte == 0) {
                return Ok(true);
            }
            sector += SECTOR_BYTES;
        }
        Ok(false)
    }
}
