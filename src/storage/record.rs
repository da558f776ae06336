//! A record: one entry of the log as bytes in a segment. docs/internals/log_format.md
//! draws it.
//!
//! Invariant: a record is known only together with its segment's salt and its
//! own offset, which seed both checksums. So neither the leftover of an older
//! file, nor a record that the disk put in the wrong place (B68), nor a client's
//! value that looks like a record can pass for one.

use bytes::Bytes;

use crate::types::{Entry, LogIndex, LogPosition, Payload, PayloadError, Term};

/// Bytes before the body.
pub(super) const HEADER_BYTES: usize = 40;
/// Records begin at multiples of this.
pub(super) const ALIGNMENT: u64 = 8;
/// Where [`MARK`] stands.
pub(super) const MARK_OFFSET: usize = 12;
/// In every header, to find candidates quickly when looking past damage.
pub(super) const MARK: [u8; 2] = *b"rc";
/// Flag: everything before this record was synced before it was written.
const BATCH_START: u8 = 1;

/// What stands before the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RecordHeader {
    pub body_bytes: u32,
    pub body_crc: u32,
    pub kind: u8,
    pub batch_start: bool,
    pub position: LogPosition,
    pub stamp_ms: u64,
}

impl RecordHeader {
    /// The header at the start of `bytes`, if there is a valid one.
    pub fn decode(bytes: &[u8], salt: u32, offset: u64) -> Option<RecordHeader> {
        let bytes: &[u8; HEADER_BYTES] = bytes.first_chunk()?;
        if u32_at(bytes, 0) != crc32c::crc32c_append(seed(salt, offset), &bytes[4..]) {
            return None;
        }
        let flags = bytes[MARK_OFFSET + 3];
        if bytes[MARK_OFFSET..MARK_OFFSET + 2] != MARK || flags & !BATCH_START != 0 {
            return None;
        }
        Some(RecordHeader {
            body_bytes: u32_at(bytes, 4),
            body_crc: u32_at(bytes, 8),
            kind: bytes[MARK_OFFSET + 2],
            batch_start: flags & BATCH_START != 0,
            position: LogPosition {
                index: LogIndex(u64_at(bytes, 16)),
                term: Term(u64_at(bytes, 24)),
            },
            stamp_ms: if mutant!(B69) { 0 } else { u64_at(bytes, 32) },
        })
    }

    /// The size of the whole record.
    pub fn record_bytes(&self) -> u64 {
        record_bytes(u64::from(self.body_bytes))
    }

    /// Whether `record`, all of its bytes, is what was written.
    pub fn matches(&self, record: &[u8], salt: u32, offset: u64) -> bool {
        let (body, padding) = record[HEADER_BYTES..].split_at(self.body_bytes as usize);
        padding.iter().all(|byte| *byte == 0)
            && (self.body_crc == crc32c::crc32c_append(seed(salt, offset), body) || mutant!(B61d))
    }

    /// The entry of a record that [`RecordHeader::matches`].
    pub fn entry(&self, record: &[u8]) -> Result<Entry, PayloadError> {
        // A copy, so that a small entry that is kept does not keep alive all
        // that was read with it.
        let body = &record[HEADER_BYTES..][..self.body_bytes as usize];
        Ok(Entry {
            index: self.position.index,
            term: self.position.term,
            stamp_ms: self.stamp_ms,
            payload: Payload::decode(self.kind, Bytes::copy_from_slice(body))?,
        })
    }
}

/// The size of a record with a body of so many bytes.
pub(super) fn record_bytes(body_bytes: u64) -> u64 {
    (HEADER_BYTES as u64 + body_bytes).next_multiple_of(ALIGNMENT)
}

/// Adds the record of an entry, to stand at `offset`, to `out`.
///
/// # Panics
/// When the payload has 4 GiB; the limits on values and frames are far below.
pub(super) fn encode(entry: &Entry, batch_start: bool, salt: u32, offset: u64, out: &mut Vec<u8>) {
    let body = entry.payload.body();
    let body_bytes = u32::try_from(body.len()).expect("limits keep payloads far below 4 GiB");
    let seed = seed(salt, offset);
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&body_bytes.to_le_bytes());
    out.extend_from_slice(&crc32c::crc32c_append(seed, &body).to_le_bytes());
    out.extend_from_slice(&MARK);
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

/// What both checksums of the record at `offset` begin with.
pub(super) fn seed(salt: u32, offset: u64) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&salt.to_le_bytes()), &offset.to_le_bytes())
}

/// Reads a little-endian number at a place that is known to be there.
pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(*bytes[at..].first_chunk().expect("callers pass whole headers"))
}

/// See [`u32_at`].
pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(*bytes[at..].first_chunk().expect("callers pass whole headers"))
}
