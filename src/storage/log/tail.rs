//! The last segment of the log, which is written to.

use std::cmp::Ordering;
use std::io;
use std::path::{Path, PathBuf};

use super::files::{open_segment, read_header, segment_path};
use super::header::{SECTOR_BYTES, SEGMENT_HEADER_BYTES, SegmentHeader};
use super::sectors::{self, PAYLOAD_BYTES, SectorOwner, begin_of, end_place_of, sector_of};
use super::segment::SegmentReader;
use crate::storage::disk::{Disk, DiskFile, OpenMode};
use crate::storage::error::{IoContext, StorageError};
use crate::storage::hard_state::DurableEnd;
use crate::storage::presence::Presence;
use crate::types::LogPosition;

/// Number of bytes by which zeros are written ahead at a time: enough that few syncs are of a
/// growing file, few enough that starting a server writes next to nothing.
const PREWRITE_BYTES: u64 = 1024 * 1024;
/// Size of a page of the page cache in bytes. Each page is written by a call of its own: the
/// kernel would keep all pages of one call as one folio, and a sync that finds one changed byte
/// in a folio walks all of it and is charged for it. A page that is not in the cache is written
/// as a whole, or the kernel would read it first.
pub(crate) const PAGE_BYTES: u64 = 4096;
/// Number of bytes of a tail that are rewritten or erased at a time: whole sectors.
const REWRITE_BYTES: u64 = 512 * PAYLOAD_BYTES;

/// The segment that records are appended to.
pub(crate) struct TailSegment {
    path: PathBuf,
    file: Box<dyn DiskFile>,
    owner: SectorOwner,
    salt: u32,
    /// Length of the file in bytes.
    file_bytes: u64,
    /// The offset of the next record.
    end: u64,
    /// The bytes before `end` in the same sector. Every write begins with that sector.
    partial: Vec<u8>,
    /// The offset up to which everything is durable.
    synced: u64,
    /// The end of the log at `synced`.
    synced_last: LogPosition,
}

impl TailSegment {
    /// Opens a new segment, without records. Its file may be longer than its header.
    pub fn new(
        dir: &Path,
        header: &SegmentHeader,
        file: Box<dyn DiskFile>,
    ) -> Result<TailSegment, StorageError> {
        TailSegment::at(dir, header, file, SEGMENT_HEADER_BYTES, header.prev)
    }

    /// Opens a segment whose records are durable and end at `end`, with the entry `last`.
    pub fn at(
        dir: &Path,
        header: &SegmentHeader,
        file: Box<dyn DiskFile>,
        end: u64,
        last: LogPosition,
    ) -> Result<TailSegment, StorageError> {
        let path = segment_path(dir, header.number);
        let file_bytes = file.bytes().during("look at", &path)?;
        let begin = begin_of(sector_of(end));
        let mut reader = SegmentReader::new(&*file, header, file_bytes, SECTOR_BYTES);
        let partial = reader.get(begin, end - begin).during("read", &path)?.to_vec();
        Ok(TailSegment {
            path,
            file,
            owner: SectorOwner::of(header),
            salt: header.salt,
            file_bytes,
            end,
            partial,
            synced: end,
            synced_last: last,
        })
    }

    /// Checks that the segment is still where it was opened.
    pub fn check_presence(&self, presence: &Presence) -> Result<(), StorageError> {
        presence.check_one(&self.path, &*self.file)
    }

    /// Seed of the checksums of the segment's records.
    pub fn salt(&self) -> u32 {
        self.salt
    }

    /// The offset of the next record.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// The offset up to which everything is durable.
    pub fn synced(&self) -> u64 {
        self.synced
    }

    /// The end of the log at [`TailSegment::synced`].
    pub fn synced_last(&self) -> LogPosition {
        self.synced_last
    }

    /// Writes records after the last one. The bytes of the last record's sector are written
    /// again with them: the disk writes a sector whole or not at all, so they are there before
    /// the write and after it. Zeros are written ahead in a file that has to grow, but not
    /// beyond `file_bytes_max`.
    pub fn write(&mut self, records: &[u8], file_bytes_max: u64) -> Result<(), StorageError> {
        let first = sector_of(self.end);
        let payload = [&self.partial[..], records].concat();
        let mut bytes = self.owner.encode(first, &payload);
        let begin = first * SECTOR_BYTES;
        let end = (begin + bytes.len() as u64).next_multiple_of(SECTOR_BYTES);
        let mut to = end;
        if end > self.file_bytes {
            let ahead = (end + 1).next_multiple_of(PREWRITE_BYTES).min(file_bytes_max);
            to = end.max(ahead);
        } else if end > begin.next_multiple_of(PAGE_BYTES) {
            // This segment has not written to the last page yet: all of it is written.
            to = end.next_multiple_of(PAGE_BYTES).min(self.file_bytes);
        }
        bytes.resize((to - begin) as usize, 0);
        let mut at = begin;
        while at < to {
            let page_end = (at + 1).next_multiple_of(PAGE_BYTES).min(to);
            let page = &bytes[(at - begin) as usize..(page_end - begin) as usize];
            self.file.write_at(at, page).during("write", &self.path)?;
            at = page_end;
        }
        self.file_bytes = self.file_bytes.max(to);
        self.partial = payload[payload.len() - payload.len() % PAYLOAD_BYTES as usize..].to_vec();
        self.end += records.len() as u64;
        Ok(())
    }

    /// Makes everything that was written durable. `last` is the entry of the last record.
    pub fn sync(&mut self, last: LogPosition) -> Result<(), StorageError> {
        if self.synced < self.end {
            self.file.sync_data().during("sync", &self.path)?;
            (self.synced, self.synced_last) = (self.end, last);
        }
        Ok(())
    }
}

/// Makes a segment durable up to `end`, where its records end, and opens it.
///
/// The bytes after the durable end may have been read from the page cache only. A sync alone is
/// not enough: when an earlier sync failed, the kernel may hold those pages as clean though they
/// were never written (ATC'20). So they are written again.
pub(crate) fn make_durable(
    disk: &dyn Disk,
    dir: &Path,
    durable_end: DurableEnd,
    number: u64,
    end: u64,
) -> Result<(SegmentHeader, Box<dyn DiskFile>), StorageError> {
    let path = segment_path(dir, number);
    let mut file = open_segment(disk, &path, OpenMode::Write)?;
    let header = read_header(&*file, &path)?;
    let durable = match durable_end.segment.cmp(&number) {
        Ordering::Less => SEGMENT_HEADER_BYTES,
        Ordering::Equal => durable_end.offset,
        Ordering::Greater => end,
    };
    if durable < end {
        rewrite(&mut *file, &header, durable, end).during("rewrite", &path)?;
    }
    file.sync_data().during("sync", &path)?;
    Ok((header, file))
}

/// Writes the bytes between two offsets again, unchanged. The bytes after `to` in its sector
/// stay as they are: they may be a torn write or damage, and it is not decided yet that they are
/// erased.
fn rewrite(file: &mut dyn DiskFile, header: &SegmentHeader, from: u64, to: u64) -> io::Result<()> {
    let file_bytes = file.bytes()?;
    let mut at = begin_of(sector_of(from));
    while at < to {
        let wanted = REWRITE_BYTES.min(to - at);
        let mut reader = SegmentReader::new(file, header, file_bytes, SECTOR_BYTES);
        let payload = reader.get(at, wanted)?;
        if (payload.len() as u64) < wanted {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let bytes = SectorOwner::of(header).encode(sector_of(at), payload);
        file.write_at(sector_of(at) * SECTOR_BYTES, &bytes)?;
        at += wanted;
    }
    Ok(())
}

/// Overwrites with zeros everything from the offset `from` to the position `to` in the file.
pub(crate) fn erase(file: &mut dyn DiskFile, from: u64, to: u64) -> io::Result<()> {
    let zeros = vec![0; REWRITE_BYTES as usize];
    let mut at = end_place_of(from);
    while at < to {
        let bytes = REWRITE_BYTES.min(to - at);
        file.write_at(at, &zeros[..bytes as usize])?;
        at += bytes;
    }
    Ok(())
}

/// Length in bytes of the file of a segment that holds no record too large for one.
pub(crate) fn ordinary_file_bytes(segment_bytes: u64) -> u64 {
    segment_bytes.next_multiple_of(SECTOR_BYTES)
}

/// True when a file of that length has room for the bytes before `offset`.
pub(crate) fn fits(offset: u64, file_bytes_max: u64) -> bool {
    sectors::file_bytes_to(offset) <= file_bytes_max
}
