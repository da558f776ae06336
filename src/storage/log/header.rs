//! The header of a segment: the first sector of its file.

use crate::storage::error::DecodeError;
use crate::storage::little_endian::{u32_at, u64_at};
use crate::types::{LogIndex, LogPosition, NodeId, Term};

/// Size of a sector in bytes. A disk writes a sector whole or not at all.
pub(crate) const SECTOR_BYTES: u64 = 512;
/// Size of the header in bytes, and the offset of the first record. The header has a sector of
/// its own, so that no write of a record touches it.
pub(crate) const SEGMENT_HEADER_BYTES: u64 = SECTOR_BYTES;

const MAGIC: [u8; 8] = *b"CORACLOG";
const FORMAT_VERSION: u32 = 2;
/// Offset at which the numbers of a header end; zeros follow.
const NUMBERS_END: usize = 48;
const CRC_OFFSET: usize = 508;

/// The header of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    /// Number of the segment, from 1 and without gaps; also the name of its file.
    pub number: u64,
    /// Seed of the checksums of its records.
    pub salt: u32,
    /// The server that the log belongs to.
    pub node_id: NodeId,
    /// The end of the log when the segment was created.
    pub prev: LogPosition,
}

impl SegmentHeader {
    /// Returns the header's bytes.
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

    /// Returns the header with these bytes, or a sentence that says what is wrong with them.
    pub fn decode(bytes: &[u8]) -> Result<SegmentHeader, DecodeError> {
        let Some(bytes) = bytes.first_chunk::<{ SEGMENT_HEADER_BYTES as usize }>() else {
            let what = format!("the segment has {} bytes, less than its header", bytes.len());
            return Err(DecodeError::Damaged(what));
        };
        if u32_at(bytes, CRC_OFFSET) != crc32c::crc32c(&bytes[..CRC_OFFSET]) {
            let what = "the segment's header does not match its checksum";
            return Err(DecodeError::Damaged(what.into()));
        }
        if bytes[0..8] != MAGIC {
            return Err(DecodeError::Damaged("this is no segment of a log".into()));
        }
        if u32_at(bytes, 8) != FORMAT_VERSION {
            return Err(DecodeError::Unknown(format!(
                "the log has format version {}, this server knows {FORMAT_VERSION}",
                u32_at(bytes, 8)
            )));
        }
        if bytes[NUMBERS_END..CRC_OFFSET].iter().any(|byte| *byte != 0) {
            let what = "the segment's header has more than its numbers";
            return Err(DecodeError::Unknown(what.into()));
        }
        Ok(SegmentHeader {
            salt: u32_at(bytes, 12),
            number: u64_at(bytes, 16),
            node_id: NodeId(u64_at(bytes, 24)),
            prev: LogPosition { index: LogIndex(u64_at(bytes, 32)), term: Term(u64_at(bytes, 40)) },
        })
    }
}
