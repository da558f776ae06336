//! The sectors of a segment's file: how the stream of its records is spread over them, and which
//! of them this segment has written (recycled files: docs/adr/0013).
//!
//! All other files count in *offsets*, positions in the stream: the header is the first 512
//! bytes of the stream, and the payloads of all sectors follow one after the other. Only this
//! file knows which byte of the file an offset is.

use super::header::{SECTOR_BYTES, SEGMENT_HEADER_BYTES, SegmentHeader};
use crate::storage::little_endian::u32_at;
use crate::types::NodeId;

/// Size of a sector's tag in bytes: the lower half of its segment's number, and a checksum.
const TAG_BYTES: u64 = 8;
/// Bytes of the stream in one sector.
pub(crate) const PAYLOAD_BYTES: u64 = SECTOR_BYTES - TAG_BYTES;

/// The sector that holds the stream's byte at `offset`. The header's sector is 0.
pub(crate) fn sector_of(offset: u64) -> u64 {
    1 + (offset - SEGMENT_HEADER_BYTES) / PAYLOAD_BYTES
}

/// The offset of the first payload byte of a sector.
pub(crate) fn begin_of(sector: u64) -> u64 {
    SEGMENT_HEADER_BYTES + (sector - 1) * PAYLOAD_BYTES
}

/// Number of payload bytes that come before `offset` in its sector.
fn bytes_before(offset: u64) -> u64 {
    offset - begin_of(sector_of(offset))
}

/// The position in the file of the byte at `offset`.
pub(crate) fn place_of(offset: u64) -> u64 {
    sector_of(offset) * SECTOR_BYTES + TAG_BYTES + bytes_before(offset)
}

/// The position in the file where the bytes before `offset` end.
pub(crate) fn end_place_of(offset: u64) -> u64 {
    match bytes_before(offset) {
        0 => sector_of(offset) * SECTOR_BYTES,
        _ => place_of(offset),
    }
}

/// The length of a file with all sectors that hold a byte before `offset`.
pub(crate) fn file_bytes_to(offset: u64) -> u64 {
    end_place_of(offset).next_multiple_of(SECTOR_BYTES)
}

/// The offset at which the last whole sector of a file of this length ends.
pub(crate) fn end_of_stream(file_bytes: u64) -> u64 {
    begin_of((file_bytes / SECTOR_BYTES).max(1))
}

/// The payload of a sector with its tag.
pub(crate) fn payload(sector: &[u8]) -> &[u8] {
    &sector[TAG_BYTES as usize..]
}

/// The state of a sector, as its segment sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SectorState {
    /// The tag is this segment's.
    Written,
    /// This segment has not written the sector: all of it is zero, or the tag is that of the
    /// same sector of an earlier segment.
    Blank,
    /// No segment wrote this tag there.
    Damaged,
}

/// A segment as the owner of sectors of its file. A file belongs to one segment after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SectorOwner {
    number: u64,
    node_id: NodeId,
}

impl SectorOwner {
    /// The segment with this header.
    pub fn of(header: &SegmentHeader) -> SectorOwner {
        SectorOwner { number: header.number, node_id: header.node_id }
    }

    /// The first bytes of a sector that this segment writes.
    fn tag(self, sector: u64) -> [u8; TAG_BYTES as usize] {
        let mut named = [0; 24];
        named[..8].copy_from_slice(&self.number.to_le_bytes());
        named[8..16].copy_from_slice(&self.node_id.0.to_le_bytes());
        named[16..].copy_from_slice(&sector.to_le_bytes());
        let mut tag = [0; TAG_BYTES as usize];
        tag[..4].copy_from_slice(&named[..4]);
        tag[4..].copy_from_slice(&crc32c::crc32c(&named).to_le_bytes());
        tag
    }

    /// Returns the state of the sector with these bytes.
    pub fn state(self, sector: u64, bytes: &[u8]) -> SectorState {
        // The tag has the lower half of the number. The upper half is that of the nearest number
        // which is not above this segment's.
        let age = (self.number as u32).wrapping_sub(u32_at(bytes, 0));
        let owner =
            self.number.checked_sub(u64::from(age)).map(|number| SectorOwner { number, ..self });
        let is_tagged = owner.is_some_and(|owner| bytes.starts_with(&owner.tag(sector)));
        match is_tagged {
            true if age == 0 => SectorState::Written,
            true => SectorState::Blank,
            _ if bytes.iter().all(|byte| *byte == 0) => SectorState::Blank,
            _ => SectorState::Damaged,
        }
    }

    /// Returns the sectors, from `sector` on, with this part of the stream. The last of them
    /// ends with the payload and may be shorter than a sector.
    pub fn encode(self, sector: u64, payload: &[u8]) -> Vec<u8> {
        let sectors = payload.len().div_ceil(PAYLOAD_BYTES as usize);
        // The capacity has room for the zeros that may follow in the last sector.
        let mut bytes = Vec::with_capacity(sectors * SECTOR_BYTES as usize);
        for (sector, payload) in (sector..).zip(payload.chunks(PAYLOAD_BYTES as usize)) {
            bytes.extend_from_slice(&self.tag(sector));
            bytes.extend_from_slice(payload);
        }
        bytes
    }
}

#[cfg(test)]
mod tests;
