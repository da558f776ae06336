//! Tests of the header and of bodies that do not decode. `golden` pins the bytes of every kind
//! of frame, `content` tests the validation, `random` uses generated frames and noise.

mod content;
mod golden;
mod random;

use bytes::Bytes;

use super::*;
use crate::raft::{AppendEntries, Envelope, InstallSnapshot};
use crate::types::{
    ENTRY_OVERHEAD_BYTES, Entry, LogIndex, LogPosition, NodeId, Payload, SnapshotId, Term,
};

const LIMIT: usize = 4 * 1024 * 1024;

fn encode(frame: &Frame) -> BytesMut {
    let mut output = BytesMut::new();
    FrameCodec::new(LIMIT).encode(frame, &mut output).unwrap();
    output
}

fn decode(bytes: &[u8]) -> Result<Option<Frame>, WireError> {
    FrameCodec::new(LIMIT).decode(&mut BytesMut::from(bytes))
}

/// A frame with a correct header around any body.
fn frame_around(body: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    frame.extend_from_slice(&(body.len() as u32).to_be_bytes());
    frame.push(PROTOCOL_VERSION);
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(body);
    let checksum = checksum(&frame);
    frame[CHECKSUM_OFFSET..FRAME_HEADER_BYTES].copy_from_slice(&checksum.to_be_bytes());
    frame
}

fn position(index: u64, term: u64) -> LogPosition {
    LogPosition { index: LogIndex(index), term: Term(term) }
}

fn envelope(term: u64, rpc: Rpc) -> Frame {
    Frame::Rpc(Envelope { from: NodeId(1), to: NodeId(2), term: Term(term), rpc })
}

fn entry(index: u64, term: u64, payload: Payload) -> Entry {
    Entry { index: LogIndex(index), term: Term(term), stamp_ms: 1000, payload }
}

fn append(term: u64, prev: LogPosition, entries: Vec<Entry>) -> Frame {
    let rpc =
        AppendEntries { request_seq: 7, prev, leader_commit: LogIndex(4), read_seq: 300, entries };
    envelope(term, Rpc::AppendEntries(rpc))
}

/// A chunk of a snapshot of 1000 bytes.
fn chunk(offset: u64, bytes: &'static [u8]) -> Frame {
    let snapshot = SnapshotId { last: position(6, 2), bytes: 1000, digest: 0xab << 120 | 1 };
    let bytes = Bytes::from_static(bytes);
    envelope(3, Rpc::InstallSnapshot(InstallSnapshot { request_seq: 7, snapshot, offset, bytes }))
}

#[test]
fn a_value_of_1_mib_takes_1_mib_of_frame() {
    let value = Bytes::from(vec![0xff; 1 << 20]);
    let frame = append(3, position(4, 2), vec![entry(5, 3, Payload::Command(value))]);
    assert!(encode(&frame).len() < (1 << 20) + 100);
}

#[test]
fn the_largest_entry_of_any_server_fits_into_a_frame() {
    let value = Bytes::from(vec![0xff; (ENTRY_BYTES_MAX - ENTRY_OVERHEAD_BYTES) as usize]);
    let entry = entry(5, 3, Payload::Command(value));
    assert_eq!(entry.weight_bytes(), ENTRY_BYTES_MAX);
    let frame = append(3, position(4, 2), vec![entry]);
    let mut codec = FrameCodec::new(FRAME_BYTES_MAX);
    let mut bytes = BytesMut::new();
    codec.encode(&frame, &mut bytes).unwrap();
    assert!(codec.decode(&mut bytes).unwrap() == Some(frame));
}

/// An entry costs less on the wire than it weighs, so a batch of any number of entries that
/// keeps to a bound on their weight fits into a frame as well.
#[test]
fn a_batch_has_fewer_bytes_in_a_frame_than_it_weighs() {
    for payload_bytes in [0, 1, 20, 300, 70_000] {
        let entries: Vec<Entry> = (0..100)
            .map(|place| Entry {
                index: LogIndex(u64::MAX - 200 + place),
                term: Term(u64::MAX - 1),
                stamp_ms: u64::MAX,
                payload: Payload::Command(Bytes::from(vec![1; payload_bytes])),
            })
            .collect();
        let weight = entries.iter().map(Entry::weight_bytes).sum::<u64>();
        let prev = position(u64::MAX - 201, u64::MAX - 1);
        let frame = append(u64::MAX - 1, prev, entries);
        let mut bytes = BytesMut::new();
        FrameCodec::new(FRAME_BYTES_MAX).encode(&frame, &mut bytes).unwrap();
        assert!((bytes.len() as u64) < weight + 128, "{payload_bytes}");
    }
}

#[test]
fn a_decoded_value_does_not_keep_its_input_buffer_alive() {
    let value = Bytes::from(vec![7; 10]);
    let frame = append(3, position(4, 2), vec![entry(5, 3, Payload::Command(value))]);
    let input = encode(&frame);
    let range = input.as_ptr_range();
    let Some(Frame::Rpc(Envelope { rpc: Rpc::AppendEntries(append), .. })) =
        FrameCodec::new(LIMIT).decode(&mut input.clone()).unwrap()
    else {
        panic!("an AppendEntries went in");
    };
    let Payload::Command(value) = &append.entries[0].payload else { panic!("so did a command") };
    assert!(!range.contains(&value.as_ptr()));
    assert!(value.is_unique(), "its allocation is nobody else's");
}

#[test]
fn lengths_of_0_and_above_the_limit_are_errors_before_anything_is_reserved() {
    let header = |length: u32| {
        let mut header = BytesMut::new();
        header.put_u32(length);
        header.put_u8(PROTOCOL_VERSION);
        header.put_u32(0);
        header
    };
    assert!(matches!(decode(&header(0)), Err(WireError::Empty)));
    for length in [u32::MAX, LIMIT as u32 - 8] {
        assert!(matches!(
            decode(&header(length)),
            Err(WireError::TooLarge { frame_bytes, frame_bytes_max: LIMIT })
                if frame_bytes == u64::from(length) + 9
        ));
    }
    let mut input = header(LIMIT as u32 - 9);
    let capacity = input.capacity();
    assert!(matches!(FrameCodec::new(LIMIT).decode(&mut input), Ok(None)));
    assert_eq!(input.capacity(), capacity);
}

#[test]
fn a_frame_above_the_limit_is_not_sent_and_leaves_the_output_as_it_was() {
    let value = Bytes::from(vec![0; 100]);
    let frame = append(3, position(4, 2), vec![entry(5, 3, Payload::Command(value))]);
    let frame_bytes = encode(&frame).len();
    let mut output = BytesMut::from(&b"before"[..]);
    let error = FrameCodec::new(frame_bytes - 1).encode(&frame, &mut output).unwrap_err();
    assert!(matches!(error, WireError::TooLarge { .. }));
    assert_eq!(&output[..], b"before");
    FrameCodec::new(frame_bytes).encode(&frame, &mut output).unwrap();
    assert_eq!(&output[6..], &encode(&frame)[..]);
}

#[test]
fn another_version_is_recognized_by_its_header_alone() {
    let mut frame = encode(&golden::samples()[0].1);
    frame[4] = PROTOCOL_VERSION + 1;
    assert!(matches!(
        decode(&frame[..FRAME_HEADER_BYTES]),
        Err(WireError::Version { theirs, ours: PROTOCOL_VERSION }) if theirs == PROTOCOL_VERSION + 1
    ));
}

#[test]
fn a_body_with_missing_surplus_or_trailing_elements_is_an_error() {
    // [2, "no"] is a refusal; the last element left out, repeated, or followed.
    assert!(decode(&frame_around(b"\x92\x02\xa2no")).unwrap().is_some());
    for body in [&b"\x91\x02"[..], b"\x93\x02\xa2no\xa2no", b"\x92\x02\xa2no\x00", b"\x02", b"\xc1"]
    {
        let error = decode(&frame_around(body)).unwrap_err();
        assert!(matches!(error, WireError::Malformed(_) | WireError::Trailing), "{error}");
    }
}

#[test]
fn unknown_kinds_of_frames_entries_and_outcomes_are_errors() {
    let bodies: [&[u8]; 4] = [
        b"\x94\x63\x01\x02\x03",
        // A hello with another magic.
        b"\x95\x01\xa5other\xa1c\x01\x02",
        // A response with outcome 2.
        b"\x98\x11\x01\x02\x03\x07\x00\x02\x06",
        // An AppendEntries with an entry of kind 9.
        b"\x9a\x10\x01\x02\x03\x07\x04\x02\x04\x00\x91\x95\x05\x03\x00\x09\xc4\x00",
    ];
    for body in bodies {
        assert!(matches!(decode(&frame_around(body)), Err(WireError::Malformed(_))));
    }
}

#[test]
fn a_count_of_four_billion_entries_is_an_error_and_not_an_allocation() {
    let body = b"\x9a\x10\x01\x02\x03\x07\x04\x02\x04\x00\xdd\xff\xff\xff\xff";
    assert!(matches!(decode(&frame_around(body)), Err(WireError::Malformed(_))));
}
