use std::path::Path;

use super::*;
use crate::storage::disk::{Disk, OpenMode};
use crate::storage::log::header::SEGMENT_HEADER_BYTES;
use crate::storage::log::record;
use crate::testing::SimDisk;
use crate::types::{Entry, LogIndex, LogPosition, NodeId, Payload, Term};

#[test]
fn a_record_that_claims_4_gib_reserves_no_more_than_the_file_has() {
    let header =
        SegmentHeader { number: 1, salt: 7, node_id: NodeId(1), prev: LogPosition::default() };
    let (salt, offset) = (header.salt, SEGMENT_HEADER_BYTES);
    let entry = Entry { index: LogIndex(1), term: Term(1), stamp_ms: 5, payload: Payload::Noop };
    let mut record = Vec::new();
    record::encode(&entry, true, salt, offset, &mut record);
    record[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
    let crc = crc32c::crc32c_append(record::seed(salt, offset), &record[4..HEADER_BYTES]);
    record[..4].copy_from_slice(&crc.to_le_bytes());
    record.resize(sectors::PAYLOAD_BYTES as usize, 0);
    let bytes = [&header.encode()[..], &SectorOwner::of(&header).encode(1, &record)].concat();

    let (disk, path) = (SimDisk::new(), Path::new("segment"));
    disk.set_contents(path, bytes.clone());
    let file = disk.open(path, OpenMode::Read).unwrap();
    let mut reader = SegmentReader::new(&*file, &header, bytes.len() as u64, 64);
    assert!(matches!(reader.find(offset).unwrap(), Found::Torn), "only the header is right");
    let (at, found) = reader.next_header(offset).unwrap().unwrap();
    assert_eq!((at, found.body_bytes), (offset, u32::MAX));
    assert!(reader.buffer.capacity() <= bytes.len());
}
