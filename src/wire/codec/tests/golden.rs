//! The bytes of one frame of every kind.

use std::time::Duration;

use super::*;
use crate::raft::{
    AppendEntriesResponse, AppendResult, Forgotten, InstallSnapshotResponse, PreVote,
    PreVoteResponse, RejoinResponse, RequestVote, RequestVoteResponse, SnapshotRefusal,
};
use crate::types::Membership;
use crate::wire::Hello;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn append_response(result: AppendResult) -> Frame {
    let response =
        AppendEntriesResponse { request_seq: 7, read_seq: 300, is_rejoining: true, result };
    envelope(3, Rpc::AppendEntriesResponse(response))
}

fn hello(from: NodeId, to: NodeId) -> Hello {
    let cluster = "coracle".to_owned();
    Hello { cluster, from, to, restore_id: None, promise: None, introduction: None }
}

/// One frame of every kind and form, each with its name in [`GOLDEN`].
pub(super) fn samples() -> Vec<(&'static str, Frame)> {
    let entries = vec![
        entry(5, 2, Payload::Noop),
        entry(6, 3, Payload::Command(Bytes::from_static(b"\x01\xff"))),
        entry(7, 3, Payload::Membership(Membership { voters: [NodeId(1), NodeId(2)].into() })),
    ];
    let (from, to) = (NodeId(1), NodeId(2));
    let hello = hello(from, to);
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
        ("forgotten", envelope(3, Rpc::Forgotten(Forgotten { acknowledged: position(6, 2) }))),
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
                    refusal: None,
                }),
            ),
        ),
        (
            "install_snapshot_refused",
            envelope(
                3,
                Rpc::InstallSnapshotResponse(InstallSnapshotResponse {
                    request_seq: 7,
                    is_rejoining: false,
                    last: position(6, 2),
                    received: 0,
                    is_installed: false,
                    refusal: Some(SnapshotRefusal::Unusable),
                }),
            ),
        ),
    ]
}

/// The bytes of protocol version 2, header and body. They never change: other bytes are
/// another version.
const GOLDEN: &[(&str, &str, &str)] = &[
    ("hello", "000000140214ca62f1", "9501a7636f7261636c65a7636f7261636c650102"),
    (
        "hello_restored",
        "00000026021a8ddd96",
        "9601a7636f7261636c65a7636f7261636c650102c41000000000000000000000000000001122",
    ),
    ("hello_promising", "0000001702a1cc952b", "9701a7636f7261636c65a7636f7261636c650102c0cc96"),
    (
        "hello_restored_promising",
        "00000028022ac084f5",
        "9701a7636f7261636c65a7636f7261636c650102c41000000000000000000000000000001122cc96",
    ),
    ("refused", "0000000502b5e93777", "9202a26e6f"),
    ("heartbeat", "0000000d0204596493", "9a1001020307040204cd012c90"),
    (
        "append_entries",
        "00000035026edc4ae2",
        concat!(
            "9a1001020307040204cd012c93",
            "950502cd03e800c400",
            "950603cd03e801c40201ff",
            "950703cd03e802c40b81a6766f74657273920102"
        ),
    ),
    ("append_success", "0000000c02cdf92121", "991101020307cd012cc30006"),
    ("append_conflict", "0000000d02c6035813", "9a1101020307cd012cc3010502"),
    ("append_short", "0000000d02e4b50e20", "9a1101020307cd012cc30105c0"),
    ("request_vote", "00000007029c87d47c", "96120102030602"),
    ("vote", "0000000602f97218f6", "9513010203c3"),
    ("pre_vote", "00000007027d0a620d", "96140102030000"),
    ("pre_vote_response", "00000006029b7efa1d", "9515010203c2"),
    ("rejoin_request", "00000005025b52b251", "9416010200"),
    ("rejoin_response", "0000000702c1428812", "96170102030602"),
    ("forgotten", "0000000702fc81cc63", "961a0102030602"),
    (
        "install_snapshot",
        "0000002402cdfe30c1",
        "9b18010203070602cd03e8c410ab000000000000000000000000000001cd012cc40201ff",
    ),
    ("install_snapshot_response", "0000000e020efb211a", "9b1901020307c20602cd012ec3c0"),
    ("install_snapshot_refused", "0000000c02f90e3c75", "9b1901020307c2060200c201"),
];

#[test]
fn every_kind_of_frame_has_the_bytes_of_version_2() {
    let samples = samples();
    assert_eq!(samples.len(), GOLDEN.len());
    for ((name, frame), (golden_name, header, body)) in samples.iter().zip(GOLDEN) {
        assert_eq!((*name, hex(&encode(frame))), (*golden_name, format!("{header}{body}")));
    }
}

/// The body of a frame as an array with one more element, at the place `at` of an array of fewer
/// than 15 elements.
fn with_one_more(body: &[u8], array: usize, end: usize, more: &[u8]) -> Vec<u8> {
    let mut longer = body.to_vec();
    assert!((0x90..0x9f).contains(&longer[array]), "a short array begins there");
    longer[array] += 1;
    longer.splice(end..end, more.iter().copied());
    longer
}

#[test]
fn one_more_element_in_a_frame_of_any_kind_is_refused() {
    for (name, frame) in samples() {
        let bytes = encode(&frame);
        let body = &bytes[FRAME_HEADER_BYTES..];
        for more in [&b"\x01"[..], b"\xc0", b"\x90", b"\xc4\x00"] {
            let surplus = decode(&frame_around(&[body, more].concat()));
            assert!(surplus.is_err(), "{name}: {surplus:?}");
            let longer = decode(&frame_around(&with_one_more(body, 0, body.len(), more)));
            // The end of a hello may be left out, so one more element may be one of those.
            let may_be_longer = matches!(&frame, Frame::Hello(hello) if hello.promise.is_none());
            assert!(longer.is_err() || may_be_longer, "{name}: {longer:?}");
        }
    }
}

#[test]
fn one_more_element_in_an_entry_or_in_its_membership_is_refused() {
    let membership = Payload::Membership(Membership { voters: [NodeId(1), NodeId(2)].into() });
    let frame = append(3, position(4, 2), vec![entry(5, 3, membership)]);
    let bytes = encode(&frame);
    let body = &bytes[FRAME_HEADER_BYTES..];
    let at = body.len() - 20;
    assert_eq!(hex(&body[at..]), "950503cd03e802c40b81a6766f74657273920102");
    for more in [&b"\x01"[..], b"\xc0", b"\x90"] {
        assert!(decode(&frame_around(&with_one_more(body, at, body.len(), more))).is_err());
    }
    // A second list of voters, as a joint membership has it.
    let joint =
        b"\x95\x05\x03\xcd\x03\xe8\x02\xc4\x17\x82\xa6voters\x92\x01\x02\xa8incoming\x92\x01\x03";
    let decoded = decode(&frame_around(&[&body[..at], joint].concat()));
    let sentence = decoded.unwrap_err().to_string();
    assert!(sentence.contains("entry 5: membership entry does not decode"), "{sentence}");
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
