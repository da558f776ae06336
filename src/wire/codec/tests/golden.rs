//! The bytes of one frame of every kind.

use std::time::Duration;

use super::*;
use crate::raft::{
    Admitted, AppendEntriesResponse, AppendResult, Forgotten, Forward, ForwardOutcome, Forwarded,
    InstallSnapshotResponse, Introduction, PreVote, PreVoteResponse, ReadIndexRequest,
    ReadIndexResponse, RejoinResponse, Remembered, RequestVote, RequestVoteResponse,
    SnapshotRefusal, StateCheck, StateCheckResponse, StateDiverged, TimeoutNow,
};
use crate::testing::memberships::membership;
use crate::types::{
    BootId, ClusterId, Format, FormatInForce, FormatRange, Incarnation, Member, Membership,
};
use crate::wire::{Hello, JoinAnswer, JoinRequest};

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
        http: None,
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
        entry(5, 3, Payload::Format(FormatInForce::read(Format(2), "0.2.0"))),
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

/// The frames that format 3 has added, the hello of a server that says where it is reached, and
/// the frames of joining, each with its name in [`GOLDEN`].
fn samples_of_format_3() -> Vec<(&'static str, Frame)> {
    let (from, to) = (NodeId(1), NodeId(2));
    let address = |text: &str| text.parse().unwrap();
    let own = Member { peer: address("h1:9001"), client: address("[::1]:9000") };
    let reached = Introduction { member: Some(own), is_draining: true, ..introduction() };
    let hello = Hello { introduction: Some(reached), ..hello(from, to) };
    let members = Payload::Membership(membership(&[1, 2], &[7]));
    let admitted = Admitted { boot: BootId(300), membership: LogIndex(6) };
    let cluster = Some("coracle".to_owned());
    let formats = FormatRange { lowest: Format(1), highest: Format(3) };
    let blank = JoinRequest { id: NodeId(7), cluster: None, formats, binary: "0.3.0".into() };
    let answer = JoinAnswer {
        cluster: "coracle".into(),
        cluster_id: None,
        format: FormatInForce::read(Format(3), "0.3.0"),
        membership: membership(&[1], &[]),
        at: LogIndex(6),
        promise: None,
        restore_id: None,
    };
    let longest = JoinAnswer {
        cluster_id: Some(ClusterId(0xcd << 120 | 2)),
        promise: Some(Duration::from_millis(150)),
        restore_id: Some(0x1122),
        ..answer.clone()
    };
    vec![
        ("hello_reached", Frame::Hello(hello)),
        ("append_members", append(3, position(4, 2), vec![entry(5, 3, members)])),
        ("timeout_now", envelope(3, Rpc::TimeoutNow(TimeoutNow { last: position(6, 2) }))),
        ("transfer_vote", envelope(3, Rpc::TransferVote(RequestVote { last: position(6, 2) }))),
        ("transfer_refused", envelope(3, Rpc::TransferRefused)),
        ("admitted", envelope(3, Rpc::Admitted(admitted))),
        ("removed", Frame::Removed { at: LogIndex(300) }),
        ("join", Frame::Join(blank.clone())),
        ("join_named", Frame::Join(JoinRequest { cluster, ..blank })),
        ("joined", Frame::Joined(answer)),
        ("joined_longest", Frame::Joined(longest)),
    ]
}

/// The frames that format 4 has added, each with its name in [`GOLDEN`].
fn samples_of_format_4() -> Vec<(&'static str, Frame)> {
    let (boot, number) = (BootId(300), 7);
    let answer = |index| Rpc::ReadIndexResponse(ReadIndexResponse { boot, number, index });
    let word = |outcome| Rpc::Forwarded(Forwarded { boot, number, outcome });
    let command = Bytes::from_static(b"\x01ab");
    vec![
        ("read_index", envelope(3, Rpc::ReadIndex(ReadIndexRequest { boot, number }))),
        ("read_index_response", envelope(3, answer(Some(LogIndex(300))))),
        ("read_index_refused", envelope(3, answer(None))),
        ("forward", envelope(3, Rpc::Forward(Forward { boot, number, command }))),
        ("forwarded", envelope(3, word(ForwardOutcome::Appended(LogIndex(300))))),
        ("forwarded_not_leader", envelope(3, word(ForwardOutcome::NotLeader))),
        ("forwarded_busy", envelope(3, word(ForwardOutcome::Busy))),
        ("forwarded_not_yet", envelope(3, word(ForwardOutcome::NotYet))),
        ("probe", Frame::Probe),
        ("probe_answer", Frame::ProbeAnswer),
    ]
}

/// One frame of every kind and form, each with its name in [`GOLDEN`].
pub(super) fn samples() -> Vec<(&'static str, Frame)> {
    let since_format_3 = [samples_of_format_3(), samples_of_format_4()].concat();
    [samples_of_format_1(), samples_of_format_2(), since_format_3].concat()
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
/// another version. From `hello_long` on they are those of format 2, and from `hello_reached` on
/// those of format 3.
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
    (
        "hello_reached",
        "0000007d020a979ee9",
        concat!(
            "9801a7636f7261636c65a7636f7261636c650102c0c086a7666f726d617473920102a662696e6172",
            "79a5302e322e30ab696e6361726e6174696f6ec410ab000000000000000000000000000001a4626f",
            "6f74cd012ca961646472657373657392a768313a39303031aa5b3a3a315d3a39303030a864726169",
            "6e696e67c3",
        ),
    ),
    (
        "append_members",
        "000000e502e8ea935c",
        concat!(
            "9a1001020307040204cd012c91950503cd03e805c4cf87a6766f74657273920102a86f7574676f69",
            "6e6790a76d656d62657273830182a47065657282a4686f7374a26831a4706f7274cd2329a6636c69",
            "656e7482a4686f7374a26831a4706f7274cd23280282a47065657282a4686f7374a26832a4706f72",
            "74cd2329a6636c69656e7482a4686f7374a26832a4706f7274cd23280782a47065657282a4686f73",
            "74a26837a4706f7274cd2329a6636c69656e7482a4686f7374a26837a4706f7274cd2328a6636861",
            "6e6765c0a5656e64656490a76c6173745f696407a772656d6f76656480",
        ),
    ),
    ("timeout_now", "0000000702a144900d", "961f0102030602"),
    ("transfer_vote", "000000070202f3520c", "96200102030602"),
    ("transfer_refused", "00000005026f435cd9", "9421010203"),
    ("admitted", "0000000902dc4d538c", "9622010203cd012c06"),
    ("removed", "00000009022232f4f3", "922381a26174cd012c"),
    (
        "join",
        "0000002702e305ba02",
        "9324a7636f7261636c6583a2696407a7666f726d617473920103a662696e617279a5302e332e30",
    ),
    (
        "join_named",
        "000000370210b4a863",
        concat!(
            "9324a7636f7261636c6584a2696407a7666f726d617473920103a662696e617279a5302e332e30a7",
            "636c7573746572a7636f7261636c65",
        ),
    ),
    (
        "joined",
        "000000a302c0f4f871",
        concat!(
            "922584a7636c7573746572a7636f7261636c65a6666f726d61749203a5302e332e30aa6d656d6265",
            "72736869709205c46e87a6766f746572739101a86f7574676f696e6790a76d656d62657273810182",
            "a47065657282a4686f7374a26831a4706f7274cd2329a6636c69656e7482a4686f7374a26831a470",
            "6f7274cd2328a66368616e6765c0a5656e64656490a76c6173745f696401a772656d6f76656480a2",
            "617406",
        ),
    ),
    (
        "joined_longest",
        "000000ea0258abd012",
        concat!(
            "922587a7636c7573746572a7636f7261636c65a6666f726d61749203a5302e332e30aa6d656d6265",
            "72736869709205c46e87a6766f746572739101a86f7574676f696e6790a76d656d62657273810182",
            "a47065657282a4686f7374a26831a4706f7274cd2329a6636c69656e7482a4686f7374a26831a470",
            "6f7274cd2328a66368616e6765c0a5656e64656490a76c6173745f696401a772656d6f76656480a2",
            "617406aa636c75737465725f6964c410cd000000000000000000000000000002aa70726f6d697365",
            "5f6d73cc96aa726573746f72655f6964c41000000000000000000000000000001122",
        ),
    ),
    ("read_index", "00000009020f3b52e2", "9626010203cd012c07"),
    ("read_index_response", "0000000c025ad66b0b", "9727010203cd012c07cd012c"),
    ("read_index_refused", "0000000a02ff0e4797", "9727010203cd012c07c0"),
    ("forward", "0000000e02e332e57e", "9728010203cd012c07c403016162"),
    ("forwarded", "0000000d0205847b1c", "9829010203cd012c0700cd012c"),
    ("forwarded_not_leader", "0000000b024061596b", "9829010203cd012c0701c0"),
    ("forwarded_busy", "0000000b027486f1f2", "9829010203cd012c0702c0"),
    ("forwarded_not_yet", "0000000b0267246985", "9829010203cd012c0703c0"),
    ("probe", "0000000202d7cd2e08", "912a"),
    ("probe_answer", "000000020225a6ad0b", "912b"),
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
            let hello = match &frame {
                Frame::Hello(hello) => hello,
                Frame::Removed { .. } | Frame::Join(_) | Frame::Joined(_) => {
                    assert_eq!(longer.unwrap(), Some(frame.clone()), "{name}");
                    continue;
                }
                _ => {
                    assert!(longer.is_err(), "{name}: {longer:?}");
                    continue;
                }
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
