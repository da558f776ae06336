//! A segment file: its name, its header, how it comes into being, and a window
//! to read its records through.

use std::io;
use std::path::{Path, PathBuf};

use super::disk::{Disk, DiskFile, OpenMode};
use super::error::{IoContext, StorageError, damaged};
use super::record::{ALIGNMENT, HEADER_BYTES, MARK, MARK_OFFSET, RecordHeader, u32_at, u64_at};
use super::sectors::{self, Life, SECTOR_BYTES, SectorState, begin_of, sector_of};
use crate::types::{LogIndex, LogPosition, NodeId, Term};

/// The header has a sector of its own, so that no write of a record touches it. The offset
/// of the first record.
pub(super) const SEGMENT_HEADER_BYTES: u64 = SECTOR_BYTES;
/// Files that are being made end in this; a leftover is of no worth.
pub(super) const UNFINISHED: &str = ".new";

const EXTENSION: &str = ".segment";
const MAGIC: [u8; 8] = *b"CORACLOG";
const FORMAT_VERSION: u32 = 2;
const CRC_OFFSET: usize = 508;

/// The first sector of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    /// From 1, without gaps; also the file's name.
    pub number: u64,
    /// Seeds the checksums of its records.
    pub salt: u32,
    /// Whose log it is.
    pub node_id: NodeId,
    /// The end of the log when the segment was made.
    pub prev: LogPosition,
}

impl SegmentHeader {
    pub fn encode(&self) -> [u8; SEGMENT_HEADER_BYTES as usize] {
        let mut bytes = [0; SEGMENT_HEADER_BYTES as usize];
        bytes[0..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.salt.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.number.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.node_id.0.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.prev.index.0.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.prev.term.0.to_le_bytes());
        let crc = crc32c::crc32c(&bytes[..CRC_OFFSET]);
        bytes[CRC_OFFSET..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// The inverse; what is wrong with the bytes otherwise.
    pub fn decode(bytes: &[u8]) -> Result<SegmentHeader, String> {
        let Some(bytes) = bytes.first_chunk::<{ SEGMENT_HEADER_BYTES as usize }>() else {
            return Err(format!("the segment has {} bytes, less than its header", bytes.len()));
        };
        if u32_at(bytes, CRC_OFFSET) != crc32c::crc32c(&bytes[..CRC_OFFSET]) {
            return Err("the segment's header does not match its checksum".into());
        }
        if bytes[0..8] != MAGIC {
            return Err("this is no segment of a log".into());
        }
        if u32_at(bytes, 8) != FORMAT_VERSION {
            return Err(format!(
                "the log has format version {}, this server knows {FORMAT_VERSION}",
                u32_at(bytes, 8)
            ));
        }
        Ok(SegmentHeader {
            salt: u32_at(bytes, 12),
            number: u64_at(bytes, 16),
            node_id: NodeId(u64_at(bytes, 24)),
            prev: LogPosition { index: LogIndex(u64_at(bytes, 32)), term: Term(u64_at(bytes, 40)) },
        })
    }
}

/// Where the segments of a data directory are.
pub(super) fn log_dir(dir: &Path) -> PathBuf {
    dir.join("log")
}

/// The path of a segment.
pub(super) fn segment_path(dir: &Path, number: u64) -> PathBuf {
    numbered_path(dir, number, EXTENSION)
}

/// That of a file that is named by a number.
pub(super) fn numbered_path(dir: &Path, number: u64, extension: &str) -> PathBuf {
    log_dir(dir).join(format!("{number:08}{extension}"))
}

/// The numbers of the segments that are there, in order.
pub(super) fn segment_numbers(disk: &dyn Disk, dir: &Path) -> Result<Vec<u64>, StorageError> {
    numbers(disk, dir, EXTENSION)
}

/// The numbers in the names of files that end so, in order.
pub(super) fn numbers(
    disk: &dyn Disk,
    dir: &Path,
    extension: &str,
) -> Result<Vec<u64>, StorageError> {
    let log_dir = log_dir(dir);
    let names = match disk.list(&log_dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        names => names.during("list", &log_dir)?,
    };
    let number = |name: &String| {
        let number: u64 = name.strip_suffix(extension)?.parse().ok()?;
        (format!("{number:08}{extension}") == *name).then_some(number)
    };
    let mut numbers: Vec<u64> = names.iter().filter_map(number).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

/// Makes a file that is there whole or not at all, and durable on return: under
/// another name first, then renamed (B63).
pub(super) fn install(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> Result<(), StorageError> {
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(UNFINISHED);
    let unfinished = PathBuf::from(unfinished);
    let mut file = disk.open(&unfinished, OpenMode::Create).during("create", &unfinished)?;
    file.write_at(0, bytes).during("write", &unfinished)?;
    file.sync_data().during("sync", &unfinished)?;
    give_name(disk, &unfinished, path)
}

/// Gives a file that is durable its name, durably.
pub(super) fn give_name(disk: &dyn Disk, from: &Path, to: &Path) -> Result<(), StorageError> {
    disk.rename(from, to).during("rename to", to)?;
    match mutant!(B63a) {
        true => Ok(()),
        false => sync_names(disk, to.parent().expect("every file of a data directory has one")),
    }
}

/// Makes the names in a directory durable.
pub(super) fn sync_names(disk: &dyn Disk, dir: &Path) -> Result<(), StorageError> {
    disk.sync_dir(dir).during("sync the directory", dir)
}

/// Makes a segment without records and opens it.
pub(super) fn create_segment(
    disk: &dyn Disk,
    dir: &Path,
    header: &SegmentHeader,
) -> Result<Box<dyn DiskFile>, StorageError> {
    let path = segment_path(dir, header.number);
    install(disk, &path, &header.encode())?;
    open_segment(disk, &path, OpenMode::Write)
}

/// Opens the file of a segment. Whatever a write brings into the page cache, or a read, is
/// kept in one folio, if that is possible, and a sync that writes a byte of it is charged
/// all of it: so single pages are written, and read.
pub(super) fn open_segment(
    disk: &dyn Disk,
    path: &Path,
    mode: OpenMode,
) -> Result<Box<dyn DiskFile>, StorageError> {
    let file = disk.open(path, mode).during("open", path)?;
    file.cache_by_pages();
    Ok(file)
}

/// Reads the header of a segment.
pub(super) fn read_header(file: &dyn DiskFile, path: &Path) -> Result<SegmentHeader, StorageError> {
    let mut head = [0; SEGMENT_HEADER_BYTES as usize];
    let read = file.read_at(0, &mut head).during("read", path)?;
    SegmentHeader::decode(&head[..read]).map_err(|what| damaged(path, 0, what))
}

/// A buffered view of the records of a segment, read mostly forwards, in bounded memory.
/// Sectors that are blank read as zeros.
pub(super) struct Window<'a> {
    file: &'a dyn DiskFile,
    life: Life,
    salt: u32,
    /// Where the last whole sector of the file ends.
    end: u64,
    sectors_min: u64,
    /// The sector that the buffer begins with.
    first: u64,
    buffer: Vec<u8>,
    /// Of the sectors in the buffer.
    states: Vec<SectorState>,
}

/// What stands at an offset.
pub(super) enum Found {
    /// A valid record; its bytes are [`Window::get`] of its size.
    Record(RecordHeader),
    /// The file's end, or nothing but zeros in the rest of the sector.
    Nothing,
    /// The beginning of a record, as it seems; a sector of it is blank.
    Torn,
    /// Bytes that are no valid record.
    Damage,
}

impl<'a> Window<'a> {
    /// Of a file of this length, of which so much is read at a time.
    pub fn new(
        file: &'a dyn DiskFile,
        header: &SegmentHeader,
        file_bytes: u64,
        chunk_bytes: u64,
    ) -> Window<'a> {
        Window {
            file,
            life: Life::of(header),
            salt: header.salt,
            end: sectors::end_of_stream(file_bytes),
            sectors_min: chunk_bytes.div_ceil(SECTOR_BYTES),
            first: 0,
            buffer: Vec::new(),
            states: Vec::new(),
        }
    }

    /// The bytes at `offset`, as many as wanted or as there are before the end.
    pub fn get(&mut self, offset: u64, wanted: u64) -> io::Result<&[u8]> {
        let wanted = wanted.min(self.end.saturating_sub(offset));
        if wanted == 0 {
            return Ok(&[]);
        }
        let (first, last) = (sector_of(offset), sector_of(offset + wanted - 1));
        if first < self.first || last >= self.first + self.states.len() as u64 {
            let sectors = (last - first + 1).max(self.sectors_min);
            self.load(first, sectors.min(sector_of(self.end) - first))?;
        }
        let at = (offset - begin_of(self.first)) as usize;
        let available = wanted.min(self.buffer.len().saturating_sub(at) as u64) as usize;
        Ok(self.buffer.get(at..at + available).unwrap_or_default())
    }

    fn load(&mut self, first: u64, sectors: u64) -> io::Result<()> {
        let bytes = usize::try_from(sectors * SECTOR_BYTES).map_err(io::Error::other)?;
        self.buffer.resize(bytes, 0);
        let read = self.file.read_at(first * SECTOR_BYTES, &mut self.buffer)?;
        self.first = first;
        self.states.clear();
        let sector_bytes = SECTOR_BYTES as usize;
        let mut filled = 0;
        for place in 0..read / sector_bytes {
            let at = place * sector_bytes;
            let sector = &mut self.buffer[at..at + sector_bytes];
            let state = self.life.state(first + place as u64, sector);
            if state == SectorState::Blank {
                sector.fill(0);
            }
            let mark_bytes = sector_bytes - sectors::payload(sector).len();
            self.states.push(state);
            self.buffer.copy_within(at + mark_bytes..at + sector_bytes, filled);
            filled += sector_bytes - mark_bytes;
        }
        self.buffer.truncate(filled);
        Ok(())
    }

    /// Whether the file reaches to `to`, and no sector that holds something of what stands
    /// between is blank.
    fn is_written(&mut self, from: u64, to: u64) -> io::Result<bool> {
        if to > self.end || self.get(from, to - from)?.len() as u64 != to - from {
            return Ok(false);
        }
        let places = sector_of(from) - self.first..=sector_of(to - 1) - self.first;
        let (first, last) = (*places.start() as usize, *places.end() as usize);
        Ok(self.states[first..=last].iter().all(|state| *state != SectorState::Blank))
    }

    /// What stands at `offset`.
    pub fn find(&mut self, offset: u64) -> io::Result<Found> {
        let salt = self.salt;
        let head = self.get(offset, HEADER_BYTES as u64)?;
        let Some(header) = RecordHeader::decode(head, salt, offset) else {
            let rest = begin_of(sector_of(offset) + 1) - offset;
            return Ok(if self.get(offset, rest)?.iter().all(|byte| *byte == 0) {
                Found::Nothing
            } else if self.is_written(offset, offset + HEADER_BYTES as u64)? {
                Found::Damage
            } else {
                Found::Torn
            });
        };
        // Its bytes alone would not do: a value may be as zero as a sector that is blank.
        if !self.is_written(offset, offset + header.record_bytes())? {
            return Ok(Found::Torn);
        }
        let record = self.get(offset, header.record_bytes())?;
        Ok(match header.matches(record, salt, offset) {
            true => Found::Record(header),
            false => Found::Damage,
        })
    }

    /// The next valid header of a record at or behind `at`, whatever stands before it.
    pub fn next_header(&mut self, mut at: u64) -> io::Result<Option<(u64, RecordHeader)>> {
        let salt = self.salt;
        while at + HEADER_BYTES as u64 <= self.end {
            let head = self.get(at, HEADER_BYTES as u64)?;
            if head.len() < HEADER_BYTES {
                break;
            }
            if head[MARK_OFFSET..].starts_with(&MARK)
                && let Some(header) = RecordHeader::decode(head, salt, at)
            {
                return Ok(Some((at, header)));
            }
            at += ALIGNMENT;
        }
        Ok(None)
    }

    /// Where in the file the last sector ends that has something at or behind `offset`:
    /// bytes that are not zero, or, in a later sector, a mark that does not make it blank.
    pub fn last_written(&mut self, offset: u64) -> io::Result<Option<u64>> {
        let own = sector_of(offset);
        let rest = self.get(offset, begin_of(own + 1) - offset)?;
        let mut last = rest.iter().any(|byte| *byte != 0).then_some(own);
        for sector in own + 1..sector_of(self.end) {
            if self.get(begin_of(sector), 1)?.is_empty() {
                break;
            }
            if self.states[(sector - self.first) as usize] != SectorState::Blank {
                last = Some(sector);
            }
        }
        Ok(last.map(|sector| (sector + 1) * SECTOR_BYTES))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::record;
    use crate::testing::SimDisk;
    use crate::types::{Entry, Payload};

    #[test]
    fn a_record_that_claims_4_gib_reserves_no_more_than_the_file_has() {
        let header =
            SegmentHeader { number: 1, salt: 7, node_id: NodeId(1), prev: LogPosition::default() };
        let (salt, offset) = (header.salt, SEGMENT_HEADER_BYTES);
        let entry =
            Entry { index: LogIndex(1), term: Term(1), stamp_ms: 5, payload: Payload::Noop };
        let mut record = Vec::new();
        record::encode(&entry, true, salt, offset, &mut record);
        record[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
        let crc = crc32c::crc32c_append(record::seed(salt, offset), &record[4..HEADER_BYTES]);
        record[..4].copy_from_slice(&crc.to_le_bytes());
        record.resize(sectors::PAYLOAD_BYTES as usize, 0);
        let bytes = [&header.encode()[..], &Life::of(&header).encode(1, &record)].concat();

        let (disk, path) = (SimDisk::new(), Path::new("segment"));
        disk.set_contents(path, bytes.clone());
        let file = disk.open(path, OpenMode::Read).unwrap();
        let mut window = Window::new(&*file, &header, bytes.len() as u64, 64);
        assert!(matches!(window.find(offset).unwrap(), Found::Torn), "only the header is right");
        let (at, found) = window.next_header(offset).unwrap().unwrap();
        assert_eq!((at, found.body_bytes), (offset, u32::MAX));
        assert!(window.buffer.capacity() <= bytes.len());
    }
}
