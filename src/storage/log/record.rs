//! A record: one entry of the log as bytes in a segment. docs/internals/log_format.md draws it.
//!
//! Invariant: a record is valid only with the salt of its segment and at its own offset, which
//! seed both of its checksums. So neither the leftover of an older file, nor a record that the
//! disk wrote to the wrong place (docs/bugs.md B68), nor a client's value that looks like a
//! record is taken for one.

use bytes::Bytes;

use crate::storage::little_endian::{u32_at, u64_at};
use crate::types::{Entry, LogIndex, LogPosition, Payload, PayloadError, Term};

/// Size of a record's header in bytes.
pub(crate) const HEADER_BYTES: usize = 40;
/// Records begin at multiples of this many bytes.
pub(crate) const ALIGNMENT: u64 = 8;
/// Position of [`MAGIC`] in the header.
pub(crate) const MAGIC_OFFSET: usize = 12;
/// Two bytes of every header, by which candidates are found quickly when a reader searches for
/// records after damage.
pub(crate) const MAGIC: [u8; 2] = *b"rc";
/// Flag of a record before which everything was synced before it was written.
const BATCH_START: u8 = 1;

/// The header of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RecordHeader {
    /// Size of the body in bytes.
    pub body_bytes: u32,
    /// Checksum of the body.
    pub body_crc: u32,
    /// Kind of the payload.
    pub kind: u8,
    /// True when everything before this record was synced before it was written.
    pub batch_start: bool,
    /// Index and term of the entry.
    pub position: LogPosition,
    /// Stamp of the entry, in milliseconds.
    pub stamp_ms: u64,
}

impl RecordHeader {
    /// Returns the header at the start of `bytes`, if it is valid.
    pub fn decode(bytes: &[u8], salt: u32, offset: u64) -> Option<RecordHeader> {
        let bytes: &[u8; HEADER_BYTES] = bytes.first_chunk()?;
        if u32_at(bytes, 0) != crc32c::crc32c_append(seed(salt, offset), &bytes[4..]) {
            return None;
        }
        let flags = bytes[MAGIC_OFFSET + 3];
        if bytes[MAGIC_OFFSET..MAGIC_OFFSET + 2] != MAGIC || flags & !BATCH_START != 0 {
            return None;
        }
        Some(RecordHeader {
            body_bytes: u32_at(bytes, 4),
            body_crc: u32_at(bytes, 8),
            kind: bytes[MAGIC_OFFSET + 2],
            batch_start: flags & BATCH_START != 0,
            position: LogPosition {
                index: LogIndex(u64_at(bytes, 16)),
                term: Term(u64_at(bytes, 24)),
            },
            stamp_ms: u64_at(bytes, 32),
        })
    }

    /// Size of the whole record in bytes.
    pub fn record_bytes(&self) -> u64 {
        record_bytes(u64::from(self.body_bytes))
    }

    /// True when `record`, all of its bytes, is what was written.
    pub fn matches(&self, record: &[u8], salt: u32, offset: u64) -> bool {
        let (body, padding) = record[HEADER_BYTES..].split_at(self.body_bytes as usize);
        padding.iter().all(|byte| *byte == 0)
            && self.body_crc == crc32c::crc32c_append(seed(salt, offset), body)
    }

    /// Returns the entry of a record that [`RecordHeader::matches`].
    pub fn entry(&self, record: &[u8]) -> Result<Entry, PayloadError> {
        // The body is copied, so that a small entry that is kept does not keep alive everything
        // that was read together with it.
        let body = &record[HEADER_BYTES..][..self.body_bytes as usize];
        Ok(Entry {
            index: self.position.index,
            term: self.position.term,
            stamp_ms: self.stamp_ms,
            payload: Payload::decode(self.kind, Bytes::copy_from_slice(body))?,
        })
    }
}

/// Size of a record whose body has `body_bytes` bytes.
pub(crate) fn record_bytes(body_bytes: u64) -> u64 {
    (HEADER_BYTES as u64 + body_bytes).next_multiple_of(ALIGNMENT)
}

/// Appends the record of an entry to `out`. The record is valid at `offset` only.
///
/// # Panics
/// When the payload has 4 GiB or more; the limits on values and frames are far below.
pub(crate) fn encode(entry: &Entry, batch_start: bool, salt: u32, offset: u64, out: &mut Vec<u8>) {
    let body = entry.payload.body();
    let body_bytes = u32::try_from(body.len()).expect("limits keep payloads far below 4 GiB");
    let seed = seed(salt, offset);
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&body_bytes.to_le_bytes());
    out.extend_from_slice(&crc32c::crc32c_append(seed, &body).to_le_bytes());
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&[entry.payload.kind(), u8::from(batch_start) * BATCH_START]);
    out.extend_from_slice(&entry.index.0.to_le_bytes());
    out.extend_from_slice(&entry.term.0.to_le_bytes());
    out.extend_from_slice(&entry.stamp_ms.to_le_bytes());
    out.extend_from_slice(&body);
    let size = record_bytes(u64::from(body_bytes)) as usize;
    out.resize(start + size, 0);
    let record = &mut out[start..];
    let header_crc = crc32c::crc32c_append(seed, &record[4..HEADER_BYTES]);
    record[..4].copy_from_slice(&header_crc.to_le_bytes());
}

/// Seed of both checksums of the record at `offset`.
pub(crate) fn seed(salt: u32, offset: u64) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&salt.to_le_bytes()), &offset.to_le_bytes())
}
