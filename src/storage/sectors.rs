//! The sectors of a segment's file: how the stream of its records lies in them, and which
//! of them were written in this life of the file (docs/adr/0013).
//!
//! Everybody else counts in *offsets*, places in the stream: the header is its first 512
//! bytes, and behind that it is the payloads of all sectors, one after the other. Only
//! this module knows where in the file that is.

use super::record::u32_at;
use super::segment::{SEGMENT_HEADER_BYTES, SegmentHeader};
use crate::types::NodeId;

/// What a disk writes all or nothing of.
pub(super) const SECTOR_BYTES: u64 = 512;
/// A sector begins with the number of its segment and a checksum.
const MARK_BYTES: u64 = 8;
/// What a sector holds of the stream.
pub(super) const PAYLOAD_BYTES: u64 = SECTOR_BYTES - MARK_BYTES;

/// The sector that holds the stream's byte at `offset`; that of the header is 0.
pub(super) fn sector_of(offset: u64) -> u64 {
    1 + (offset - SEGMENT_HEADER_BYTES) / PAYLOAD_BYTES
}

/// The offset of a sector's first payload byte.
pub(super) fn begin_of(sector: u64) -> u64 {
    SEGMENT_HEADER_BYTES + (sector - 1) * PAYLOAD_BYTES
}

/// How much of the payload of the sector of `offset` stands before it.
fn before(offset: u64) -> u64 {
    offset - begin_of(sector_of(offset))
}

/// Where in the file the byte at `offset` stands.
pub(super) fn place_of(offset: u64) -> u64 {
    sector_of(offset) * SECTOR_BYTES + MARK_BYTES + before(offset)
}

/// Where in the file ends what stands before `offset`.
pub(super) fn end_place_of(offset: u64) -> u64 {
    match before(offset) {
        0 => sector_of(offset) * SECTOR_BYTES,
        _ => place_of(offset),
    }
}

/// The length of a file with all sectors that hold something before `offset`.
pub(super) fn file_bytes_to(offset: u64) -> u64 {
    end_place_of(offset).next_multiple_of(SECTOR_BYTES)
}

/// The offset behind the last whole sector of a file of this length.
pub(super) fn end_of_stream(file_bytes: u64) -> u64 {
    begin_of((file_bytes / SECTOR_BYTES).max(1))
}

/// What a sector is to a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SectorState {
    /// Its mark is this segment's.
    Written,
    /// Not written in this life of the file: all of it is zero, or its mark is that of the
    /// same sector of an earlier segment.
    Blank,
    /// It has no mark that anybody wrote there.
    Damaged,
}

/// One life of a file: as this segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Life {
    number: u64,
    node_id: NodeId,
}

impl Life {
    pub fn of(header: &SegmentHeader) -> Life {
        let number = if mutant!(S6) { 0 } else { header.number };
        Life { number, node_id: header.node_id }
    }

    /// What a sector begins with when it is written.
    fn mark(self, sector: u64) -> [u8; MARK_BYTES as usize] {
        let mut named = [0; 24];
        named[..8].copy_from_slice(&self.number.to_le_bytes());
        named[8..16].copy_from_slice(&self.node_id.0.to_le_bytes());
        named[16..].copy_from_slice(&sector.to_le_bytes());
        let mut mark = [0; MARK_BYTES as usize];
        mark[..4].copy_from_slice(&named[..4]);
        mark[4..].copy_from_slice(&crc32c::crc32c(&named).to_le_bytes());
        mark
    }

    /// What the sector with these bytes is.
    pub fn state(self, sector: u64, bytes: &[u8]) -> SectorState {
        // The mark has the lower half of the number: the other is the nearest below.
        let age = (self.number as u32).wrapping_sub(u32_at(bytes, 0));
        let owner = self.number.checked_sub(u64::from(age)).map(|number| Life { number, ..self });
        let is_marked = owner.is_some_and(|owner| bytes.starts_with(&owner.mark(sector)));
        match is_marked {
            true if age == 0 => SectorState::Written,
            true if !mutant!(S7) => SectorState::Blank,
            _ if bytes.iter().all(|byte| *byte == 0) => SectorState::Blank,
            _ => SectorState::Damaged,
        }
    }

    /// The bytes of a part of the stream that begins with the payload of `sector`; the last
    /// sector ends with it.
    pub fn encode(self, sector: u64, payload: &[u8]) -> Vec<u8> {
        let sectors = payload.len().div_ceil(PAYLOAD_BYTES as usize);
        // With room for the zeros that may follow in the last one.
        let mut bytes = Vec::with_capacity(sectors * SECTOR_BYTES as usize);
        for (sector, payload) in (sector..).zip(payload.chunks(PAYLOAD_BYTES as usize)) {
            bytes.extend_from_slice(&self.mark(sector));
            bytes.extend_from_slice(payload);
        }
        bytes
    }
}

/// What a sector of the file holds of the stream.
pub(super) fn payload(sector: &[u8]) -> &[u8] {
    &sector[MARK_BYTES as usize..]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn life(number: u64) -> Life {
        Life { number, node_id: NodeId(3) }
    }

    #[test]
    fn offsets_and_places_belong_together() {
        assert_eq!((place_of(512), end_place_of(512), file_bytes_to(512)), (520, 512, 512));
        assert_eq!((place_of(513), end_place_of(513), file_bytes_to(513)), (521, 521, 1024));
        assert_eq!((place_of(1016), end_place_of(1016), file_bytes_to(1016)), (1032, 1024, 1024));
        let mut place = 512;
        for offset in 512..4000 {
            if place % SECTOR_BYTES == 0 {
                place += MARK_BYTES;
            }
            assert_eq!((place_of(offset), end_place_of(offset + 1)), (place, place + 1));
            assert_eq!(sector_of(offset), place / SECTOR_BYTES);
            assert_eq!(begin_of(sector_of(offset)) + before(offset), offset);
            assert!(end_of_stream(file_bytes_to(offset + 1)) > offset);
            assert!(end_of_stream(file_bytes_to(offset + 1) - 1) <= offset);
            place += 1;
        }
    }

    #[test]
    fn a_mark_is_of_one_number_node_and_sector() {
        let bytes = life(7).encode(2, &[0; 504]);
        assert_eq!(life(7).state(2, &bytes), SectorState::Written, "a payload may be zeros");
        assert_eq!(life(8).state(2, &bytes), SectorState::Blank);
        assert_eq!(life(7 + (1 << 32)).state(2, &bytes), SectorState::Damaged, "half a number");
        assert_eq!(life(6).state(2, &bytes), SectorState::Damaged, "of a later life");
        assert_eq!(life(7).state(3, &bytes), SectorState::Damaged, "in the wrong place");
        let other = Life { node_id: NodeId(4), ..life(7) };
        assert_eq!(other.state(2, &bytes), SectorState::Damaged, "another server's");
        for bit in 0..64 {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            for number in [7, 8, 9, 1 << 20, u64::MAX] {
                assert_eq!(life(number).state(2, &bytes), SectorState::Damaged, "bit {bit}");
            }
        }
    }

    #[test]
    fn a_sector_of_zeros_is_blank_and_one_with_a_byte_that_is_not_is_damaged() {
        let mut bytes = [0; 512];
        assert_eq!(life(7).state(2, &bytes), SectorState::Blank);
        bytes[511] = 1;
        assert_eq!(life(7).state(2, &bytes), SectorState::Damaged);
    }

    #[test]
    fn numbers_of_more_than_32_bits_are_known_in_the_next_segments() {
        let number = (5 << 32) - 1;
        let bytes = life(number).encode(9, &[1; 504]);
        assert_eq!(life(number).state(9, &bytes), SectorState::Written);
        assert_eq!(life(number + 1).state(9, &bytes), SectorState::Blank);
        assert_eq!(life(number + 1000).state(9, &bytes), SectorState::Blank);
    }
}
