//! A reader of the records of one segment.

use std::io;

use super::header::{SECTOR_BYTES, SegmentHeader};
use super::record::{ALIGNMENT, HEADER_BYTES, MAGIC, MAGIC_OFFSET, RecordHeader};
use super::sectors::{self, SectorOwner, SectorState, begin_of, sector_of};
use crate::storage::disk::DiskFile;

/// A buffered view of the records of a segment, read mostly forwards, in bounded memory. Blank
/// sectors read as zeros.
pub(crate) struct SegmentReader<'a> {
    file: &'a dyn DiskFile,
    owner: SectorOwner,
    salt: u32,
    /// The offset at which the last whole sector of the file ends.
    end: u64,
    /// Minimum number of sectors of one read.
    sectors_min: u64,
    /// The first sector in the buffer.
    first: u64,
    /// The payloads of the sectors from `first` on.
    buffer: Vec<u8>,
    /// The states of the sectors in the buffer.
    states: Vec<SectorState>,
}

/// The result of a search for a record at an offset.
pub(crate) enum Found {
    /// A valid record. [`SegmentReader::get`] of its size returns its bytes.
    Record(RecordHeader),
    /// The file's end, or nothing but zeros in the rest of the sector.
    Nothing,
    /// The beginning of a record, or of what may be one, with at least one blank sector.
    Torn,
    /// Bytes that are no valid record.
    Damage,
}

impl<'a> SegmentReader<'a> {
    /// Makes a reader of a file of `file_bytes` bytes, of which at least `chunk_bytes` are read
    /// at a time.
    pub fn new(
        file: &'a dyn DiskFile,
        header: &SegmentHeader,
        file_bytes: u64,
        chunk_bytes: u64,
    ) -> SegmentReader<'a> {
        SegmentReader {
            file,
            owner: SectorOwner::of(header),
            salt: header.salt,
            end: sectors::end_of_stream(file_bytes),
            sectors_min: chunk_bytes.div_ceil(SECTOR_BYTES),
            first: 0,
            buffer: Vec::new(),
            states: Vec::new(),
        }
    }

    /// Returns `wanted` bytes at `offset`, or fewer when the file ends before.
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
            let state = self.owner.state(first + place as u64, sector);
            if state == SectorState::Blank {
                sector.fill(0);
            }
            let tag_bytes = sector_bytes - sectors::payload(sector).len();
            self.states.push(state);
            self.buffer.copy_within(at + tag_bytes..at + sector_bytes, filled);
            filled += sector_bytes - tag_bytes;
        }
        self.buffer.truncate(filled);
        Ok(())
    }

    /// True when the file reaches to `to`, and no sector with a byte between the two offsets is
    /// blank.
    fn is_written(&mut self, from: u64, to: u64) -> io::Result<bool> {
        if to > self.end || self.get(from, to - from)?.len() as u64 != to - from {
            return Ok(false);
        }
        let places = sector_of(from) - self.first..=sector_of(to - 1) - self.first;
        let (first, last) = (*places.start() as usize, *places.end() as usize);
        Ok(self.states[first..=last].iter().all(|state| *state != SectorState::Blank))
    }

    /// Searches for a record at `offset`.
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
        // The bytes alone do not show it: the zeros of a blank sector may also be a value.
        if !self.is_written(offset, offset + header.record_bytes())? {
            return Ok(Found::Torn);
        }
        let record = self.get(offset, header.record_bytes())?;
        Ok(match header.matches(record, salt, offset) {
            true => Found::Record(header),
            false => Found::Damage,
        })
    }

    /// Returns the next valid header of a record at or after `at`, with its offset, whatever
    /// bytes come before it.
    pub fn next_header(&mut self, mut at: u64) -> io::Result<Option<(u64, RecordHeader)>> {
        let salt = self.salt;
        while at + HEADER_BYTES as u64 <= self.end {
            let head = self.get(at, HEADER_BYTES as u64)?;
            if head.len() < HEADER_BYTES {
                break;
            }
            if head[MAGIC_OFFSET..].starts_with(&MAGIC)
                && let Some(header) = RecordHeader::decode(head, salt, at)
            {
                return Ok(Some((at, header)));
            }
            at += ALIGNMENT;
        }
        Ok(None)
    }

    /// Returns the position in the file at which the last sector with data at or after `offset`
    /// ends, or `None` without such a sector. In the sector of `offset`, data is any byte that
    /// is not zero. A later sector has data unless it is blank.
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
mod tests;
