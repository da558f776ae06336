//! A segment file: its name, its header, how it comes into being, and a window
//! to read it through.

use std::io;
use std::path::{Path, PathBuf};

use super::disk::{Disk, DiskFile, OpenMode};
use super::error::{IoContext, StorageError};
use super::record::{ALIGNMENT, HEADER_BYTES, MARK, MARK_OFFSET, RecordHeader, u32_at, u64_at};
use crate::types::{LogIndex, LogPosition, NodeId, Term};

/// The header has a sector of its own, so that no write of a record touches it.
pub(super) const SEGMENT_HEADER_BYTES: u64 = 512;
/// What a disk writes all or nothing of.
pub(super) const SECTOR_BYTES: u64 = 512;
/// Files that are being made end in this; a leftover is of no worth.
pub(super) const UNFINISHED: &str = ".new";

const MAGIC: [u8; 8] = *b"CORACLOG";
const FORMAT_VERSION: u32 = 1;
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
    log_dir(dir).join(format!("{number:08}.segment"))
}

/// The number in a segment's name; `None` for other files.
pub(super) fn segment_number(name: &str) -> Option<u64> {
    let number: u64 = name.strip_suffix(".segment")?.parse().ok()?;
    (format!("{number:08}.segment") == name).then_some(number)
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
    disk.rename(&unfinished, path).during("rename to", path)?;
    let dir = path.parent().expect("every file of a data directory stands in one");
    if mutant!(B63a) {
        return Ok(());
    }
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
    disk.open(&path, OpenMode::Write).during("open", &path)
}

/// A buffered view of a file that is read mostly forwards, in bounded memory.
pub(super) struct Window<'a> {
    file: &'a dyn DiskFile,
    /// Where the file ends, or is taken to end.
    pub end: u64,
    chunk_bytes: usize,
    start: u64,
    buffer: Vec<u8>,
}

/// What stands at an offset.
pub(super) enum Found {
    /// A valid record; its bytes are [`Window::get`] of its size.
    Record(RecordHeader),
    /// The file's end, or zeros where a record would begin.
    Nothing,
    /// Bytes that are no valid record; the header, when at least that is valid.
    Damage(Option<RecordHeader>),
}

impl<'a> Window<'a> {
    pub fn new(file: &'a dyn DiskFile, end: u64, chunk_bytes: usize) -> Window<'a> {
        Window { file, end, chunk_bytes, start: 0, buffer: Vec::new() }
    }

    /// The bytes at `offset`, as many as wanted or as there are before the end.
    pub fn get(&mut self, offset: u64, wanted: u64) -> io::Result<&[u8]> {
        let wanted = wanted.min(self.end.saturating_sub(offset));
        if offset < self.start || offset + wanted > self.start + self.buffer.len() as u64 {
            let fill = wanted.max(self.chunk_bytes as u64).min(self.end.saturating_sub(offset));
            self.buffer.resize(usize::try_from(fill).map_err(io::Error::other)?, 0);
            let read = self.file.read_at(offset, &mut self.buffer)?;
            self.buffer.truncate(read);
            self.start = offset;
        }
        let at = (offset - self.start) as usize;
        let available = wanted.min(self.buffer.len().saturating_sub(at) as u64) as usize;
        Ok(self.buffer.get(at..at + available).unwrap_or_default())
    }

    /// What stands at `offset`.
    pub fn find(&mut self, salt: u32, offset: u64) -> io::Result<Found> {
        let head = self.get(offset, HEADER_BYTES as u64)?;
        // A header begins with its checksum and its length; both zero is what a
        // prewritten file holds, and one checksum in four billion.
        let Some(header) = RecordHeader::decode(head, salt, offset) else {
            let is_blank = head.iter().take(8).all(|byte| *byte == 0);
            return Ok(if is_blank { Found::Nothing } else { Found::Damage(None) });
        };
        let record = self.get(offset, header.record_bytes())?;
        let whole = record.len() as u64 == header.record_bytes();
        Ok(if whole && header.matches(record, salt, offset) {
            Found::Record(header)
        } else {
            Found::Damage(Some(header))
        })
    }

    /// The next valid header of a record at or behind `at`, whatever stands before it.
    pub fn next_header(
        &mut self,
        salt: u32,
        mut at: u64,
    ) -> io::Result<Option<(u64, RecordHeader)>> {
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

    /// The last byte at or behind `offset` that is not zero.
    pub fn last_nonzero(&mut self, offset: u64) -> io::Result<Option<u64>> {
        let mut last = None;
        let mut at = offset;
        while at < self.end {
            let chunk = self.get(at, self.chunk_bytes as u64)?;
            if chunk.is_empty() {
                break;
            }
            if let Some(found) = chunk.iter().rposition(|byte| *byte != 0) {
                last = Some(at + found as u64);
            }
            at += chunk.len() as u64;
        }
        Ok(last)
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
        let (salt, offset) = (7, SEGMENT_HEADER_BYTES);
        let entry =
            Entry { index: LogIndex(1), term: Term(1), stamp_ms: 5, payload: Payload::Noop };
        let mut bytes = vec![0; offset as usize];
        record::encode(&entry, true, salt, offset, &mut bytes);
        let record = &mut bytes[offset as usize..];
        record[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
        let crc = crc32c::crc32c_append(record::seed(salt, offset), &record[4..HEADER_BYTES]);
        record[..4].copy_from_slice(&crc.to_le_bytes());

        let (disk, path) = (SimDisk::new(), Path::new("segment"));
        disk.set_contents(path, bytes.clone());
        let file = disk.open(path, OpenMode::Read).unwrap();
        let mut window = Window::new(&*file, bytes.len() as u64, 64);
        let found = window.find(salt, offset).unwrap();
        let Found::Damage(Some(header)) = found else { panic!("only the header is right") };
        assert_eq!(header.body_bytes, u32::MAX);
        assert!(window.buffer.capacity() <= bytes.len());
    }
}
