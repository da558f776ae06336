//! The bytes of one frame of every kind.

use std::time::Duration;

use super::*;
use crate::raft::{
    AppendEntriesResponse, AppendResult, Forgotten, InstallSnapshotResponse, Introduction, PreVote,
    PreVoteResponse, RejoinResponse, Remembered, RequestVote, RequestVoteResponse, SnapshotRefusal,
    StateCheck, StateCheckResponse, StateDiverged,
};
use crate::types::{
    BootId, ClusterId, Format, FormatInForce, FormatRange, Incarnation, Membership,
};
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

fn introduction() -> Introduction {
    Introduction {
        formats: FormatRange { lowest: Format(1), highest: Format(2) },
        binary: "0.2.0".to_owned(),
        incarnation: Incarnation(0xab << 120 | 1),
        boot: BootId(300),
        cluster_id: None,
        is_held: false,
        member: None,
        is_draining: false,
    }
}

/// The frames that format 2 has added, and the long hello, each with its name in [`GOLDEN`].
fn samples_of_format_2() -> Vec<(&'static str, Frame)> {
    let (from, to) = (NodeId(1), NodeId(2));
    let long = Hello { introduction: Some(introduction()), ..hello(from, to) };
    let cluster_id = Some(ClusterId(0xcd << 120 | 2));
    let all = Introduction { cluster_id, is_held: true, ..introduction() };
    let longest = Hello {
        restore_id: Some(0x1122),
        promise: Some(Duration::from_millis(150)),
        introduction: Some(all),
        ..hello(from, to)
    };
    let entries = vec![
        entry(5, 3, Payload::Format(FormatInForce { format: Format(2), since: "0.2.0".into() })),
        entry(6, 3, Payload::ClusterId(ClusterId(0xcd << 120 | 2))),
    ];
    let digest = 0x0102_0304_0506_0708;
    let acknowledged = vec![(NodeId(2), position(6, 2)), (NodeId(3), position(0, 0))];
    let check = StateCheck { index: LogIndex(6), digest, acknowledged };
    let answer = StateCheckResponse { index: LogIndex(6), digest };
    let diverged = StateDiverged { index: LogIndex(6), digest };
    let remembered =
        Remembered { boot: BootId(300), leader_term: Term(2), acknowledged: position(6, 2) };
    vec![
        ("hello_long", Frame::Hello(long)),
        ("hello_longest", Frame::Hello(longest)),
        ("append_facts", append(3, position(4, 2), entries)),
        ("state_check", envelope(3, Rpc::StateCheck(check))),
        ("state_check_response", envelope(3, Rpc::StateCheckResponse(answer))),
        ("state_diverged", envelope(3, Rpc::StateDiverged(diverged))),
        ("remembered", envelope(3, Rpc::Remembered(remembered))),
    ]
}

/// One frame of every kind and form, each with its name in [`GOLDEN`].
pub(super) fn samples() -> Vec<(&'static str, Frame)> {
    [samples_of_format_1(), samples_of_format_2()].concat()
}

/// The frames of format 1, each with its name in [`GOLDEN`].
fn samples_of_format_1() -> Vec<(&'static str, Frame)> {
    let entries = vec![
        entry(5, 2, Payload::Noop),
        entry(6, 3, Payload::Command(Bytes::from_static(b"\x01\xff"))),
        entry(7, 3, Payload::Membership(Membership::seed([NodeId(1), NodeId(2)]))),
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
/// another version. From `hello_long` on they are those of format 2.
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
    (
        "hello_long",
        "00000055026ace96fe",
        concat!(
            "9801a7636f7261636c65a7636f7261636c650102c0c0",
            "84a7666f726d617473920102a662696e617279a5302e322e30",
            "ab696e6361726e6174696f6ec410ab000000000000000000000000000001a4626f6f74cd012c"
        ),
    ),
    (
        "hello_longest",
        "0000008a0290c910c7",
        concat!(
            "9801a7636f7261636c65a7636f7261636c650102c41000000000000000000000000000001122cc96",
            "86a7666f726d617473920102a662696e617279a5302e322e30",
            "ab696e6361726e6174696f6ec410ab000000000000000000000000000001a4626f6f74cd012c",
            "aa636c75737465725f6964c410cd000000000000000000000000000002a468656c64c3"
        ),
    ),
    (
        "append_facts",
        "00000046021fe43dfb",
        concat!(
            "9a1001020307040204cd012c92",
            "950503cd03e803c41582a6666f726d617402a573696e6365a5302e322e30",
            "950603cd03e804c412c410cd000000000000000000000000000002"
        ),
    ),
    ("state_check", "0000001802ffadcd05", "971b01020306cf0102030405060708929302060293030000"),
    ("state_check_response", "0000000f0219935922", "961c01020306cf0102030405060708"),
    ("state_diverged", "0000000f024d940c64", "961d01020306cf0102030405060708"),
    ("remembered", "0000000b02cb6c7335", "981e010203cd012c020602"),
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
            // The end of a hello may be left out, so one more element may be one of those. What
            // follows the introduction is from a later version.
            let Frame::Hello(hello) = &frame else {
                assert!(longer.is_err(), "{name}: {longer:?}");
                continue;
            };
            if hello.introduction.is_some() {
                assert_eq!(longer.unwrap(), Some(frame.clone()), "{name}");
            } else {
                assert!(longer.is_err() || hello.promise.is_none(), "{name}: {longer:?}");
            }
        }
    }
}

/// A server of a later version has added a key to the map, whose value is of any form, and
/// elements after the map (docs/adr/0023).
#[test]
fn a_hello_with_keys_and_elements_of_a_later_version_is_read() {
    let hello = Hello { introduction: Some(introduction()), ..hello(NodeId(1), NodeId(2)) };
    let bytes = encode(&Frame::Hello(hello.clone()));
    let body = &bytes[FRAME_HEADER_BYTES..];
    let map = body.iter().position(|byte| *byte == 0x84).unwrap();
    assert_eq!(&body[map + 1..map + 9], b"\xa7formats");
    for value in [
        &b"\x01"[..],
        b"\xc0",
        b"\xa2no",
        b"\x93\x01\x91\xc0\xc4\x01\xff",
        b"\x81\xa1a\xcb\x40\x00\x00\x00\x00\x00\x00\x00",
    ] {
        for at in [map + 1, body.len()] {
            let mut later = body.to_vec();
            later[map] += 1;
            later.splice(at..at, [b"\xa5later", value].concat());
            later = with_one_more(&later, 0, later.len(), value);
            later = with_one_more(&later, 0, later.len(), b"\xa4more");
            let decoded = decode(&frame_around(&later));
            assert_eq!(decoded.unwrap(), Some(Frame::Hello(hello.clone())), "{}", hex(&later));
        }
    }
}

/// Only a map with all the facts that every version sends is an introduction.
#[test]
fn an_introduction_without_a_fact_or_of_another_form_is_refused() {
    let long = "9801a7636f7261636c65a7636f7261636c650102c0c0";
    let bytes = |hex: &str| -> Vec<u8> {
        (0..hex.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
            .collect()
    };
    let facts = [
        (&b"\xa7formats"[..], &b"\x92\x01\x02"[..]),
        (b"\xa6binary", b"\xa50.2.0"),
        (b"\xabincarnation", b"\xc4\x10................"),
        (b"\xa4boot", b"\x07"),
    ];
    let with = |left_out: Option<usize>| {
        let mut body = bytes(long);
        body.push(0x80 + facts.len() as u8 - u8::from(left_out.is_some()));
        for (place, (key, value)) in facts.iter().enumerate() {
            if left_out != Some(place) {
                body.extend([*key, *value].concat());
            }
        }
        decode(&frame_around(&body))
    };
    assert!(with(None).unwrap().is_some());
    for place in 0..facts.len() {
        assert!(matches!(with(Some(place)), Err(WireError::Malformed(_))));
    }
    let values = facts.iter().map(|(_, value)| *value).collect::<Vec<_>>().concat();
    for form in [&b"\xc0"[..], b"\x01", b"\x80", &[&b"\x94"[..], &values].concat()] {
        let decoded = decode(&frame_around(&[&bytes(long)[..], form].concat()));
        assert!(matches!(decoded, Err(WireError::Malformed(_))), "{decoded:?}");
    }
}

#[test]
fn one_more_element_in_an_entry_or_in_its_membership_is_refused() {
    let membership = Payload::Membership(Membership::seed([NodeId(1), NodeId(2)]));
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
