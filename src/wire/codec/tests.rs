use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::raft::{
    AppendEntries, AppendEntriesResponse, AppendResult, Envelope, InstallSnapshot,
    InstallSnapshotResponse, PreVote, PreVoteResponse, RejoinResponse, RequestVote,
    RequestVoteResponse,
};
use crate::testing::mutation::mutation;
use crate::types::{Entry, LogIndex, LogPosition, Membership, NodeId, Payload, SnapshotId, Term};
use crate::wire::Hello;

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

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
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

fn append_response(result: AppendResult) -> Frame {
    let response =
        AppendEntriesResponse { request_seq: 7, read_seq: 300, is_rejoining: true, result };
    envelope(3, Rpc::AppendEntriesResponse(response))
}

/// A chunk of a snapshot of 1000 bytes.
fn chunk(offset: u64, bytes: &'static [u8]) -> Frame {
    let snapshot = SnapshotId { last: position(6, 2), bytes: 1000, digest: 0xab << 120 | 1 };
    let bytes = Bytes::from_static(bytes);
    envelope(3, Rpc::InstallSnapshot(InstallSnapshot { request_seq: 7, snapshot, offset, bytes }))
}

/// One frame of every kind and form, each with its name in [`GOLDEN`].
fn samples() -> Vec<(&'static str, Frame)> {
    let entries = vec![
        entry(5, 2, Payload::Noop),
        entry(6, 3, Payload::Command(Bytes::from_static(b"\x01\xff"))),
        entry(7, 3, Payload::Membership(Membership { voters: [NodeId(1), NodeId(2)].into() })),
    ];
    let (from, to) = (NodeId(1), NodeId(2));
    let hello = Hello { cluster: "coracle".into(), from, to, restore_id: None, promise: None };
    let restored = Hello { restore_id: Some(0x1122), ..hello.clone() };
    let promising = Hello { promise: Some(Duration::from_millis(150)), ..hello.clone() };
    let both = Hello { promise: Some(Duration::from_millis(150)), ..restored.clone() };
    let success = AppendResult::Success { match_index: LogIndex(6) };
    let conflict =
        |conflict_term| AppendResult::Conflict { conflict_index: LogIndex(5), conflict_term };
    vec![
        ("hello", Frame::Hello(hello)),
        ("hello_restored", Frame::Hello(restored)),
        ("hello_promising", Frame::Hello(promising)),
        ("hello_restored_promising", Frame::Hello(both)),
        ("refused", Frame::Refused { reason: "no".into() }),
        ("heartbeat", append(3, position(4, 2), vec![])),
        ("append_entries", append(3, position(4, 2), entries)),
        ("append_success", append_response(success)),
        ("append_conflict", append_response(conflict(Some(Term(2))))),
        ("append_short", append_response(conflict(None))),
        ("request_vote", envelope(3, Rpc::RequestVote(RequestVote { last: position(6, 2) }))),
        ("vote", envelope(3, Rpc::RequestVoteResponse(RequestVoteResponse { vote_granted: true }))),
        ("pre_vote", envelope(3, Rpc::PreVote(PreVote { last: position(0, 0) }))),
        (
            "pre_vote_response",
            envelope(3, Rpc::PreVoteResponse(PreVoteResponse { vote_granted: false })),
        ),
        ("rejoin_request", envelope(0, Rpc::RejoinRequest)),
        (
            "rejoin_response",
            envelope(3, Rpc::RejoinResponse(RejoinResponse { last: position(6, 2) })),
        ),
        ("install_snapshot", chunk(300, b"\x01\xff")),
        (
            "install_snapshot_response",
            envelope(
                3,
                Rpc::InstallSnapshotResponse(InstallSnapshotResponse {
                    request_seq: 7,
                    is_rejoining: false,
                    last: position(6, 2),
                    received: 302,
                    is_installed: true,
                }),
            ),
        ),
    ]
}

/// The bytes of protocol version 1, header and body. They never change: other bytes are
/// another version.
const GOLDEN: &[(&str, &str, &str)] = &[
    ("hello", "000000140103d4e4c6", "9501a7636f7261636c65a7636f7261636c650102"),
    (
        "hello_restored",
        "00000026017b8fde14",
        "9601a7636f7261636c65a7636f7261636c650102c41000000000000000000000000000001122",
    ),
    ("hello_promising", "00000017016af0a448", "9701a7636f7261636c65a7636f7261636c650102c0cc96"),
    (
        "hello_restored_promising",
        "0000002801e516dc14",
        "9701a7636f7261636c65a7636f7261636c650102c41000000000000000000000000000001122cc96",
    ),
    ("refused", "00000005018155fcad", "9202a26e6f"),
    ("heartbeat", "0000000d01f8509b59", "9a1001020307040204cd012c90"),
    (
        "append_entries",
        "000000350171ea9119",
        concat!(
            "9a1001020307040204cd012c93",
            "950502cd03e800c400",
            "950603cd03e801c40201ff",
            "950703cd03e802c40b81a6766f74657273920102"
        ),
    ),
    ("append_success", "0000000c019c8f698e", "991101020307cd012cc30006"),
    ("append_conflict", "0000000d013a0aa7d9", "9a1101020307cd012cc3010502"),
    ("append_short", "0000000d0118bcf1ea", "9a1101020307cd012cc30105c0"),
    ("request_vote", "000000070147c35315", "96120102030602"),
    ("vote", "000000060141776dae", "9513010203c3"),
    ("pre_vote", "0000000701a64ee564", "96140102030000"),
    ("pre_vote_response", "0000000601237b8f45", "9515010203c2"),
    ("rejoin_request", "00000005016fee798b", "9416010200"),
    ("rejoin_response", "00000007011a060f7b", "96170102030602"),
    (
        "install_snapshot",
        "0000002401c9bdd4d6",
        "9b18010203070602cd03e8c410ab000000000000000000000000000001cd012cc40201ff",
    ),
    ("install_snapshot_response", "0000000d01fade4281", "9a1901020307c20602cd012ec3"),
];

#[test]
fn every_kind_of_frame_has_the_bytes_of_version_1() {
    let samples = samples();
    assert_eq!(samples.len(), GOLDEN.len());
    for ((name, frame), (golden_name, header, body)) in samples.iter().zip(GOLDEN) {
        assert_eq!((*name, hex(&encode(frame))), (*golden_name, format!("{header}{body}")));
    }
}

#[test]
fn a_stream_of_all_kinds_of_frames_decodes_to_the_same_frames() {
    let mut stream = BytesMut::new();
    for (_, frame) in samples() {
        FrameCodec::new(LIMIT).encode(&frame, &mut stream).unwrap();
    }
    for (name, frame) in samples() {
        assert_eq!(FrameCodec::new(LIMIT).decode(&mut stream).unwrap(), Some(frame), "{name}");
    }
    assert!(stream.is_empty());
}

#[test]
fn a_chunk_outside_of_its_snapshot_is_an_error() {
    assert!(decode(&encode(&chunk(998, b"ab"))).unwrap().is_some());
    for (offset, bytes) in [(999, b"ab".as_slice()), (1001, b""), (u64::MAX, b"ab")] {
        let decoded = decode(&encode(&chunk(offset, bytes)));
        assert!(matches!(decoded, Err(WireError::Chunk { .. })), "{decoded:?}");
    }
}

#[test]
fn a_value_of_1_mib_takes_1_mib_of_frame() {
    let value = Bytes::from(vec![0xff; 1 << 20]);
    let frame = append(3, position(4, 2), vec![entry(5, 3, Payload::Command(value))]);
    assert!(encode(&frame).len() < (1 << 20) + 100);
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
fn another_version_is_told_from_noise_by_its_header_alone() {
    let mut frame = encode(&samples()[0].1);
    frame[4] = PROTOCOL_VERSION + 1;
    assert!(matches!(
        decode(&frame[..FRAME_HEADER_BYTES]),
        Err(WireError::Version { theirs: 2, ours: 1 })
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

#[test]
fn frames_from_or_to_node_0_are_errors() {
    for (from, to) in [(0, 1), (1, 0)] {
        let (from, to) = (NodeId(from), NodeId(to));
        let hello = Hello { cluster: "c".into(), from, to, restore_id: None, promise: None };
        let hello = Frame::Hello(hello);
        let rpc = Rpc::RequestVoteResponse(RequestVoteResponse { vote_granted: true });
        let vote = Frame::Rpc(Envelope { from, to, term: Term(1), rpc });
        for frame in [hello, vote] {
            assert!(matches!(decode(&encode(&frame)), Err(WireError::NoNode { .. })));
        }
    }
}

#[test]
fn entries_must_follow_each_other_from_the_position_before_them() {
    for indexes in [&[4][..], &[6], &[5, 7], &[5, 5]] {
        let entries = indexes.iter().map(|index| entry(*index, 3, Payload::Noop)).collect();
        let frame = append(3, position(4, 2), entries);
        assert!(matches!(decode(&encode(&frame)), Err(WireError::EntryIndex { .. })));
    }
    let frame = append(3, position(u64::MAX, 2), vec![entry(0, 3, Payload::Noop)]);
    assert!(matches!(decode(&encode(&frame)), Err(WireError::Position { .. })));
}

#[test]
fn terms_of_entries_must_not_fall_nor_exceed_the_term_of_the_leader() {
    for terms in [&[1][..], &[4], &[3, 2]] {
        let entries =
            terms.iter().zip(5..).map(|(term, index)| entry(index, *term, Payload::Noop)).collect();
        let frame = append(3, position(4, 2), entries);
        assert!(matches!(decode(&encode(&frame)), Err(WireError::EntryTerm { .. })), "{terms:?}");
    }
    let frame = append(3, position(0, 0), vec![entry(1, 0, Payload::Noop)]);
    assert!(matches!(decode(&encode(&frame)), Err(WireError::EntryTerm { .. })));
}

#[test]
fn positions_that_no_log_has_are_errors() {
    for last in [position(0, 1), position(1, 0), position(1, 4)] {
        for frame in [
            append(3, last, vec![]),
            envelope(3, Rpc::RequestVote(RequestVote { last })),
            envelope(3, Rpc::PreVote(PreVote { last })),
        ] {
            assert!(matches!(decode(&encode(&frame)), Err(WireError::Position { .. })), "{last}");
        }
    }
}

#[test]
fn a_frame_of_the_last_term_is_an_error() {
    for rpc in [Rpc::RejoinRequest, Rpc::PreVoteResponse(PreVoteResponse { vote_granted: true })] {
        assert!(decode(&encode(&envelope(u64::MAX - 1, rpc.clone()))).is_ok());
        assert!(matches!(decode(&encode(&envelope(u64::MAX, rpc))), Err(WireError::LastTerm)));
    }
}

fn any_node() -> impl Strategy<Value = NodeId> {
    (1..=u64::MAX).prop_map(NodeId)
}

fn any_payload() -> impl Strategy<Value = Payload> {
    let voters = proptest::collection::btree_set(any_node(), 1..6);
    prop_oneof![
        Just(Payload::Noop),
        proptest::collection::vec(any::<u8>(), 0..300)
            .prop_map(|bytes| Payload::Command(bytes.into())),
        voters.prop_map(|voters| Payload::Membership(Membership { voters })),
    ]
}

/// A position that a log of a node in term `term` can have.
fn any_position(term: u64) -> impl Strategy<Value = LogPosition> {
    prop_oneof![
        Just(position(0, 0)),
        (1..u64::MAX / 2, 1..=term).prop_map(|(index, term)| position(index, term)),
    ]
}

fn any_append(term: u64) -> impl Strategy<Value = Rpc> {
    let entries = proptest::collection::vec(
        (any::<prop::sample::Index>(), any::<u64>(), any_payload()),
        0..5,
    );
    let head = (any::<u64>(), any_position(term), any::<u64>(), any::<u64>());
    (head, entries).prop_map(move |((request_seq, prev, commit, read_seq), parts)| {
        let mut before = prev;
        let mut entries = Vec::new();
        for (rise, stamp_ms, payload) in parts {
            let lowest = before.term.0.max(1);
            let range = usize::try_from(term - lowest).unwrap_or(usize::MAX).saturating_add(1);
            before = position(before.index.0 + 1, lowest + rise.index(range) as u64);
            entries.push(Entry { index: before.index, term: before.term, stamp_ms, payload });
        }
        let leader_commit = LogIndex(commit);
        Rpc::AppendEntries(AppendEntries { request_seq, prev, leader_commit, read_seq, entries })
    })
}

fn any_append_result() -> impl Strategy<Value = AppendResult> {
    prop_oneof![
        any::<u64>().prop_map(|index| AppendResult::Success { match_index: LogIndex(index) }),
        (any::<u64>(), any::<Option<u64>>()).prop_map(|(index, term)| AppendResult::Conflict {
            conflict_index: LogIndex(index),
            conflict_term: term.map(Term),
        }),
    ]
}

fn any_chunk(term: u64) -> impl Strategy<Value = InstallSnapshot> {
    let chunk = proptest::collection::vec(any::<u8>(), 0..300);
    (any::<u64>(), any_position(term), any::<u128>(), 0..u64::MAX / 2, chunk).prop_map(
        |(request_seq, last, digest, offset, chunk)| {
            let snapshot = SnapshotId { last, bytes: offset + chunk.len() as u64, digest };
            InstallSnapshot { request_seq, snapshot, offset, bytes: chunk.into() }
        },
    )
}

fn any_rpc(term: u64) -> impl Strategy<Value = Rpc> {
    prop_oneof![
        any_append(term),
        (any::<u64>(), any::<u64>(), any::<bool>(), any_append_result()).prop_map(
            |(request_seq, read_seq, is_rejoining, result)| {
                let response =
                    AppendEntriesResponse { request_seq, read_seq, is_rejoining, result };
                Rpc::AppendEntriesResponse(response)
            }
        ),
        Just(Rpc::RejoinRequest),
        any_chunk(term).prop_map(Rpc::InstallSnapshot),
        (any_position(term), any::<[u64; 2]>(), any::<[bool; 2]>()).prop_map(
            |(last, [request_seq, received], [is_rejoining, is_installed])| {
                Rpc::InstallSnapshotResponse(InstallSnapshotResponse {
                    request_seq,
                    is_rejoining,
                    last,
                    received,
                    is_installed,
                })
            }
        ),
        any_position(term).prop_map(|last| Rpc::RejoinResponse(RejoinResponse { last })),
        any_position(term).prop_map(|last| Rpc::RequestVote(RequestVote { last })),
        any_position(term).prop_map(|last| Rpc::PreVote(PreVote { last })),
        any::<bool>().prop_map(|vote_granted| {
            Rpc::RequestVoteResponse(RequestVoteResponse { vote_granted })
        }),
        any::<bool>()
            .prop_map(|vote_granted| Rpc::PreVoteResponse(PreVoteResponse { vote_granted })),
    ]
}

fn any_frame() -> impl Strategy<Value = Frame> {
    let rpc = (any_node(), any_node(), 1..u64::MAX).prop_flat_map(|(from, to, term)| {
        any_rpc(term).prop_map(move |rpc| Frame::Rpc(Envelope { from, to, term: Term(term), rpc }))
    });
    prop_oneof![
        1 => (any_node(), any_node(), ".*", any::<Option<u128>>(), any::<Option<u64>>()).prop_map(
            |(from, to, cluster, restore_id, promise_ms)| {
                let promise = promise_ms.map(Duration::from_millis);
                Frame::Hello(Hello { cluster, from, to, restore_id, promise })
            }
        ),
        1 => ".*".prop_map(|reason| Frame::Refused { reason }),
        6 => rpc,
    ]
}

proptest! {
    #[test]
    fn every_frame_survives_its_encoding(frame in any_frame()) {
        let mut stream = encode(&frame);
        prop_assert_eq!(FrameCodec::new(LIMIT).decode(&mut stream).unwrap(), Some(frame));
        prop_assert!(stream.is_empty());
    }

    #[test]
    fn a_part_of_a_frame_is_not_a_frame(frame in any_frame(), cut: prop::sample::Index) {
        let bytes = encode(&frame);
        prop_assert!(matches!(decode(&bytes[..cut.index(bytes.len())]), Ok(None)));
    }

    #[test]
    fn a_flipped_bit_never_passes(
        frame in any_frame(),
        next in any_frame(),
        at: prop::sample::Index,
        bit in 0..8u8,
    ) {
        let mut bytes = encode(&frame);
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        // A larger length is not detected at once. It is detected when that many bytes
        // have arrived, because the checksum does not match then.
        bytes.extend_from_slice(&encode(&next));
        match decode(&bytes) {
            Err(_) => {}
            Ok(None) => prop_assert!(at < 4),
            Ok(Some(_)) => prop_assert!(false, "it passed"),
        }
    }

    #[test]
    fn noise_in_a_right_header_never_panics(
        body in proptest::collection::vec(any::<u8>(), 1..200),
    ) {
        let _ = decode(&frame_around(&body));
    }

    #[test]
    fn noise_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode(&bytes);
    }

    #[test]
    fn a_changed_body_with_a_right_checksum_never_panics(
        frame in any_frame(),
        at: prop::sample::Index,
        byte: u8,
    ) {
        let bytes = encode(&frame);
        let mut body = bytes[FRAME_HEADER_BYTES..].to_vec();
        let at = at.index(body.len());
        body[at] = byte;
        let _ = decode(&frame_around(&body));
    }

    #[test]
    fn a_changed_body_is_refused_or_a_frame_that_is_no_larger(
        frame in any_frame(),
        mutation in mutation(),
    ) {
        let body = mutation.of(&encode(&frame)[FRAME_HEADER_BYTES..]);
        let bytes = frame_around(&body);
        if let Ok(Some(decoded)) = decode(&bytes) {
            let encoded = encode(&decoded);
            prop_assert!(encoded.len() <= bytes.len(), "nothing is made out of nothing");
            prop_assert_eq!(decode(&encoded).unwrap(), Some(decoded));
        }
    }

    #[test]
    fn a_changed_stream_ends_or_waits_and_reserves_nothing(
        frame in any_frame(),
        mutation in mutation(),
    ) {
        let whole = encode(&frame);
        let mut stream = BytesMut::from(&mutation.of(&whole)[..]);
        let capacity = stream.capacity();
        if let Ok(Some(decoded)) = FrameCodec::new(LIMIT).decode(&mut stream) {
            prop_assert_eq!(decoded, frame, "it was the end that has changed");
        }
        prop_assert!(stream.capacity() <= capacity);
    }
}
