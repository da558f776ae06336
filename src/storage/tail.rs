//! The segment that is written to.

use std::cmp::Ordering;
use std::io;
use std::path::{Path, PathBuf};

use super::disk::{Disk, DiskFile, OpenMode};
use super::error::{IoContext, StorageError};
use super::hard_state::Seal;
use super::sectors::{self, Life, PAYLOAD_BYTES, SECTOR_BYTES, begin_of, end_place_of, sector_of};
use super::segment::{
    SEGMENT_HEADER_BYTES, SegmentHeader, Window, open_segment, read_header, segment_path,
};
use crate::types::LogPosition;

/// Zeros are written so far ahead at a time: enough that few syncs are of a
/// growing file, little enough that starting a server writes next to nothing.
const PREWRITE_BYTES: u64 = 1024 * 1024;
/// A page of the page cache. Each is written by a call of its own: what one call brings in
/// would be one folio, of which a sync walks, and is charged, all when a byte has changed.
/// And a page that nobody has read is written as a whole, or the kernel would read it first.
pub(super) const PAGE_BYTES: u64 = 4096;
/// How much of a tail is rewritten or erased at a time: whole sectors.
const REWRITE_BYTES: u64 = 512 * PAYLOAD_BYTES;

/// See the module.
pub(super) struct TailSegment {
    path: PathBuf,
    file: Box<dyn DiskFile>,
    life: Life,
    pub salt: u32,
    /// How far the file reaches.
    file_bytes: u64,
    /// Where the next record goes.
    pub end: u64,
    /// What stands before `end` in the same sector. Every write begins with that sector.
    partial: Vec<u8>,
    /// Up to here, and so up to that entry, all is durable.
    pub synced: u64,
    pub synced_last: LogPosition,
}

impl TailSegment {
    /// That of a new segment, without records; the file may reach further than its header.
    pub fn new(
        dir: &Path,
        header: &SegmentHeader,
        file: Box<dyn DiskFile>,
    ) -> Result<TailSegment, StorageError> {
        TailSegment::at(dir, header, file, SEGMENT_HEADER_BYTES, header.prev)
    }

    /// That of a segment whose records end at `end` with that entry, and are durable.
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
        let mut window = Window::new(&*file, header, file_bytes, SECTOR_BYTES);
        let partial = window.get(begin, end - begin).during("read", &path)?.to_vec();
        Ok(TailSegment {
            path,
            file,
            life: Life::of(header),
            salt: header.salt,
            file_bytes,
            end,
            partial,
            synced: end,
            synced_last: last,
        })
    }

    /// Writes records behind the last. What its sector holds already is written once more
    /// with them: the disk writes a sector whole or not at all, so it is there before and
    /// after. In a file that has to grow zeros are written ahead, but not beyond
    /// `file_bytes_max`.
    pub fn write(&mut self, records: &[u8], file_bytes_max: u64) -> Result<(), StorageError> {
        let first = sector_of(self.end);
        let payload = [&self.partial[..], records].concat();
        let mut bytes = self.life.encode(first, &payload);
        let begin = first * SECTOR_BYTES;
        let end = (begin + bytes.len() as u64).next_multiple_of(SECTOR_BYTES);
        let mut to = end;
        if end > self.file_bytes {
            let ahead = (end + 1).next_multiple_of(PREWRITE_BYTES).min(file_bytes_max);
            to = end.max(ahead);
        } else if end > begin.next_multiple_of(PAGE_BYTES) {
            // The last page is one that nobody has written to in this life of the file.
            to = end.next_multiple_of(PAGE_BYTES).min(self.file_bytes);
        }
        bytes.resize((to - begin) as usize, 0);
        let mut at = begin;
        while at < to {
            let piece_end = (at + 1).next_multiple_of(PAGE_BYTES).min(to);
            let piece = &bytes[(at - begin) as usize..(piece_end - begin) as usize];
            let written = self.file.write_at(at, piece).during("write", &self.path);
            if !mutant!(B67a) {
                written?;
            }
            at = piece_end;
        }
        self.file_bytes = self.file_bytes.max(to);
        self.partial = payload[payload.len() - payload.len() % PAYLOAD_BYTES as usize..].to_vec();
        self.end += records.len() as u64;
        Ok(())
    }

    /// Makes all of it durable, up to that entry.
    pub fn sync(&mut self, last: LogPosition) -> Result<(), StorageError> {
        if self.synced < self.end {
            let synced = self.file.sync_data();
            if mutant!(B62b) && synced.is_err() {
                self.file.sync_data().during("sync", &self.path)?;
            } else if !mutant!(B62a) {
                synced.during("sync", &self.path)?;
            }
            (self.synced, self.synced_last) = (self.end, last);
        }
        Ok(())
    }
}

/// Makes a segment durable up to `end`, where its records end, and opens it.
///
/// What was read behind the seal may be in the page cache only. A sync alone would
/// not do: when an earlier sync failed, the kernel may hold those pages as clean
/// though they were never written (ATC'20), so they are written again.
pub(super) fn make_durable(
    disk: &dyn Disk,
    dir: &Path,
    seal: Seal,
    number: u64,
    end: u64,
) -> Result<(SegmentHeader, Box<dyn DiskFile>), StorageError> {
    let path = segment_path(dir, number);
    let mut file = open_segment(disk, &path, OpenMode::Write)?;
    let header = read_header(&*file, &path)?;
    let sealed = match seal.segment.cmp(&number) {
        Ordering::Less => SEGMENT_HEADER_BYTES,
        Ordering::Equal => seal.offset,
        Ordering::Greater => end,
    };
    if sealed < end && !mutant!(S3) {
        rewrite(&mut *file, &header, sealed, end).during("rewrite", &path)?;
    }
    file.sync_data().during("sync", &path)?;
    Ok((header, file))
}

/// Writes again what stands there. What stands behind `to` in its sector stays as it is:
/// it may be a torn write or damage, and that it goes is not decided yet.
fn rewrite(file: &mut dyn DiskFile, header: &SegmentHeader, from: u64, to: u64) -> io::Result<()> {
    let file_bytes = file.bytes()?;
    let mut at = begin_of(sector_of(from));
    while at < to {
        let wanted = REWRITE_BYTES.min(to - at);
        let mut window = Window::new(file, header, file_bytes, SECTOR_BYTES);
        let payload = window.get(at, wanted)?;
        if (payload.len() as u64) < wanted {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let bytes = Life::of(header).encode(sector_of(at), payload);
        file.write_at(sector_of(at) * SECTOR_BYTES, &bytes)?;
        at += wanted;
    }
    Ok(())
}

/// Makes zeros of what stands behind `from`, up to this byte of the file.
pub(super) fn erase(file: &mut dyn DiskFile, from: u64, to: u64) -> io::Result<()> {
    let zeros = vec![0; REWRITE_BYTES as usize];
    let mut at = end_place_of(from);
    while at < to {
        let bytes = REWRITE_BYTES.min(to - at);
        file.write_at(at, &zeros[..bytes as usize])?;
        at += bytes;
    }
    Ok(())
}

/// How long the files of segments are that hold no record too large for one.
pub(super) fn ordinary_file_bytes(segment_bytes: u64) -> u64 {
    segment_bytes.next_multiple_of(SECTOR_BYTES)
}

/// Whether a segment of that length has room for what ends at `offset`.
pub(super) fn fits(offset: u64, file_bytes_max: u64) -> bool {
    sectors::file_bytes_to(offset) <= file_bytes_max
}
