//! Frames that decode and have a content that no node sends.

use std::time::Duration;

use super::*;
use crate::raft::{
    AppendEntriesResponse, AppendResult, Forgotten, Forward, ForwardOutcome, Forwarded,
    InstallSnapshotResponse, Introduction, PreVote, PreVoteResponse, ReadIndexResponse,
    RejoinResponse, Remembered, RequestVote, RequestVoteResponse, StateCheck, StateCheckResponse,
    StateDiverged,
};
use crate::testing::introduction;
use crate::testing::memberships::{joint, largest};
use crate::types::{
    BootId, ClusterId, Format, FormatInForce, FormatRange, Incarnation, Member, Membership,
    SINCE_BYTES_MAX,
};
use crate::wire::{
    BINARY_BYTES_MAX, CLUSTER_BYTES_MAX, HELLO_FRAME_BYTES_MAX, Hello, JOINED_FRAME_BYTES_MAX,
    JoinAnswer, JoinRequest,
};

#[test]
fn a_chunk_outside_of_its_snapshot_is_an_error() {
    assert!(decode(&encode(&chunk(998, b"ab"))).unwrap().is_some());
    for (offset, bytes) in [(999, b"ab".as_slice()), (1001, b""), (u64::MAX, b"ab")] {
        let decoded = decode(&encode(&chunk(offset, bytes)));
        assert!(matches!(decoded, Err(WireError::Chunk { .. })), "{decoded:?}");
    }
}

#[test]
fn frames_from_or_to_node_0_are_errors() {
    for (from, to) in [(0, 1), (1, 0)] {
        let (from, to) = (NodeId(from), NodeId(to));
        let hello = Hello {
            cluster: "c".into(),
            from,
            to,
            restore_id: None,
            promise: None,
            introduction: None,
        };
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

/// Indexes near the end of u64 would overflow in the core.
#[test]
fn indexes_that_no_log_reaches_are_errors() {
    let max = LogIndex::MAX.0;
    for index in [max + 1, u64::MAX] {
        let last = position(index, 1);
        let answer = |result| {
            let (request_seq, read_seq, is_rejoining) = (1, 0, false);
            let response = AppendEntriesResponse { request_seq, read_seq, is_rejoining, result };
            Rpc::AppendEntriesResponse(response)
        };
        let conflict = |conflict_term| AppendResult::Conflict {
            conflict_index: LogIndex(index),
            conflict_term,
        };
        let remembered = Remembered { boot: BootId(1), leader_term: Term(3), acknowledged: last };
        let install = InstallSnapshotResponse {
            request_seq: 1,
            is_rejoining: false,
            last,
            received: 0,
            is_installed: false,
            refusal: None,
        };
        let mut piece = chunk(0, b"ab");
        if let Frame::Rpc(Envelope { rpc: Rpc::InstallSnapshot(piece), .. }) = &mut piece {
            piece.snapshot.last = last;
        }
        let mut commit = append(3, position(0, 0), vec![]);
        if let Frame::Rpc(Envelope { rpc: Rpc::AppendEntries(append), .. }) = &mut commit {
            append.leader_commit = LogIndex(index);
        }
        for frame in [
            append(3, last, vec![]),
            commit,
            piece,
            envelope(3, answer(AppendResult::Success { match_index: LogIndex(index) })),
            envelope(3, answer(conflict(None))),
            envelope(3, answer(conflict(Some(Term(1))))),
            envelope(3, Rpc::RequestVote(RequestVote { last })),
            envelope(3, Rpc::PreVote(PreVote { last })),
            envelope(3, Rpc::RejoinResponse(RejoinResponse { last })),
            envelope(3, Rpc::Forgotten(Forgotten { acknowledged: last })),
            envelope(3, Rpc::InstallSnapshotResponse(install)),
            envelope(
                3,
                Rpc::StateCheck(StateCheck { index: last.index, digest: 1, acknowledged: vec![] }),
            ),
            envelope(
                3,
                Rpc::StateCheckResponse(StateCheckResponse { index: last.index, digest: 1 }),
            ),
            envelope(3, Rpc::StateDiverged(StateDiverged { index: last.index, digest: 1 })),
            envelope(3, Rpc::Remembered(remembered)),
            envelope(3, read_index_answer(last.index)),
            envelope(3, forwarded(last.index)),
        ] {
            let decoded = decode(&encode(&frame));
            assert!(matches!(decoded, Err(WireError::Index(_))), "{frame:?}: {decoded:?}");
        }
    }
    let frame = append(3, position(max, 2), vec![entry(max + 1, 3, Payload::Noop)]);
    assert!(matches!(decode(&encode(&frame)), Err(WireError::Index(_))));
    assert!(decode(&encode(&append(3, position(max, 2), vec![]))).is_ok());
}

fn read_index_answer(index: LogIndex) -> Rpc {
    let (boot, number, index) = (BootId(1), 2, Some(index));
    Rpc::ReadIndexResponse(ReadIndexResponse { boot, number, index })
}

fn forwarded(index: LogIndex) -> Rpc {
    let (boot, number, outcome) = (BootId(1), 2, ForwardOutcome::Appended(index));
    Rpc::Forwarded(Forwarded { boot, number, outcome })
}

/// The place before the first entry is no entry, and a command has at least its operation.
#[test]
fn answers_to_nodes_that_do_not_lead_name_entries_and_commands_have_bytes() {
    for rpc in [read_index_answer(LogIndex(0)), forwarded(LogIndex(0))] {
        assert!(matches!(decode(&encode(&envelope(3, rpc))), Err(WireError::NoEntry)));
    }
    for rpc in [read_index_answer(LogIndex(1)), forwarded(LogIndex(1))] {
        assert!(decode(&encode(&envelope(3, rpc))).is_ok());
    }
    let command = Bytes::new();
    let empty = Rpc::Forward(Forward { boot: BootId(1), number: 2, command });
    assert!(matches!(decode(&encode(&envelope(3, empty))), Err(WireError::NoCommand)));
}

/// An outcome that has no entry does not name one, and no later outcome is guessed.
#[test]
fn a_word_about_a_forwarded_command_of_another_form_is_an_error() {
    let bytes = encode(&envelope(3, forwarded(LogIndex(5))));
    let body = &bytes[FRAME_HEADER_BYTES..];
    let (outcome, index) = (body.len() - 2, body.len() - 1);
    for (place, byte) in [(outcome, 1), (outcome, 3), (outcome, 4), (index, 0xc0)] {
        let mut changed = body.to_vec();
        changed[place] = byte;
        assert!(matches!(decode(&frame_around(&changed)), Err(WireError::Malformed(_))));
    }
}

#[test]
fn a_conflict_is_in_a_log_of_the_peers_term() {
    let conflict = |index, term: Option<u64>| {
        let result = AppendResult::Conflict {
            conflict_index: LogIndex(index),
            conflict_term: term.map(Term),
        };
        let response =
            AppendEntriesResponse { request_seq: 1, read_seq: 0, is_rejoining: false, result };
        decode(&encode(&envelope(3, Rpc::AppendEntriesResponse(response))))
    };
    assert!(matches!(conflict(0, None), Err(WireError::ConflictIndex)));
    assert!(matches!(conflict(0, Some(0)), Err(WireError::ConflictIndex)));
    assert!(matches!(conflict(1, Some(0)), Err(WireError::Position { .. })));
    assert!(matches!(conflict(1, Some(4)), Err(WireError::Position { .. })));
    assert!(conflict(1, Some(3)).is_ok());
    assert!(conflict(1, None).is_ok());
}

/// A stamp near the end of u64 would move the store's time there for ever.
#[test]
fn a_stamp_after_the_end_of_all_clocks_is_an_error() {
    for (stamp_ms, is_good) in [(1 << 53, true), ((1 << 53) + 1, false), (u64::MAX, false)] {
        let entry = Entry { stamp_ms, ..entry(1, 3, Payload::Noop) };
        let decoded = decode(&encode(&append(3, position(0, 0), vec![entry])));
        assert_eq!(decoded.is_ok(), is_good, "{stamp_ms}");
        assert!(is_good || matches!(decoded, Err(WireError::Stamp { .. })));
    }
}

fn introduced(introduction: Introduction) -> Frame {
    Frame::Hello(Hello {
        cluster: "c".into(),
        from: NodeId(1),
        to: NodeId(2),
        restore_id: None,
        promise: None,
        introduction: Some(introduction),
    })
}

#[test]
fn formats_that_are_no_range_from_1_on_are_errors() {
    let decoded = |lowest, highest| {
        let formats = FormatRange { lowest: Format(lowest), highest: Format(highest) };
        decode(&encode(&introduced(Introduction { formats, ..introduction() })))
    };
    for (lowest, highest) in [(1, 1), (1, 2), (3, u32::MAX)] {
        assert!(decoded(lowest, highest).unwrap().is_some());
    }
    for (lowest, highest) in [(0, 0), (0, 1), (2, 1), (u32::MAX, 1)] {
        assert!(matches!(decoded(lowest, highest), Err(WireError::Formats(_))));
    }
}

/// The version is a part of log lines and of the lines of `status`.
#[test]
fn a_version_that_is_no_short_printable_text_is_an_error() {
    let decoded = |binary: &str| {
        decode(&encode(&introduced(Introduction { binary: binary.into(), ..introduction() })))
    };
    for binary in ["0", "0.2.0-rc.1+dirty", &"9".repeat(64)] {
        assert!(decoded(binary).unwrap().is_some());
    }
    for binary in ["", "0.2 0", "0.2.0\n", "\u{7f}", "\u{e9}", "\u{202e}1", &"9".repeat(65)] {
        assert!(matches!(decoded(binary), Err(WireError::Binary { .. })), "{binary:?}");
    }
}

/// A member whose addresses are as long as an address may be.
fn farthest_member() -> Member {
    largest().members.into_values().next().expect("it has members")
}

#[test]
fn the_largest_hello_of_any_server_fits_into_a_frame_before_the_handshake() {
    let formats = FormatRange { lowest: Format(u32::MAX), highest: Format(u32::MAX) };
    let frame = Frame::Hello(Hello {
        // The maximum of `cluster` in servers.toml.
        cluster: "c".repeat(64),
        from: NodeId(u64::MAX),
        to: NodeId(u64::MAX),
        restore_id: Some(u128::MAX),
        promise: Some(Duration::from_millis(u64::MAX)),
        introduction: Some(Introduction {
            formats,
            binary: "9".repeat(BINARY_BYTES_MAX),
            incarnation: Incarnation(u128::MAX),
            boot: BootId(u64::MAX),
            cluster_id: Some(ClusterId(u128::MAX)),
            is_held: true,
            member: Some(farthest_member()),
            is_draining: true,
            http: Some(farthest_member().client),
        }),
    });
    let mut bytes = BytesMut::new();
    FrameCodec::new(HELLO_FRAME_BYTES_MAX).encode(&frame, &mut bytes).unwrap();
    let frame_bytes = bytes.len();
    assert_eq!(FrameCodec::new(frame_bytes).decode(&mut bytes).unwrap(), Some(frame));
    // Later versions have room for more facts.
    assert!(frame_bytes <= HELLO_FRAME_BYTES_MAX / 3, "{frame_bytes}");
}

#[test]
fn a_state_check_about_more_servers_than_a_cluster_has_is_an_error() {
    let decoded = |acknowledged| {
        let check = StateCheck { index: LogIndex(9), digest: 1, acknowledged };
        decode(&encode(&envelope(3, Rpc::StateCheck(check))))
    };
    let table = |peers: u64| (1..=peers).map(|peer| (NodeId(peer), position(5, 3))).collect();
    assert!(decoded(table(1000)).unwrap().is_some());
    assert!(matches!(decoded(table(1001)), Err(WireError::Peers { peers: 1001, .. })));
    assert!(matches!(decoded(vec![(NodeId(0), position(5, 3))]), Err(WireError::NoPeer)));
    for wrong in [position(5, 4), position(0, 1), position(5, 0)] {
        let decoded = decoded(vec![(NodeId(1), wrong)]);
        assert!(matches!(decoded, Err(WireError::Position { .. })), "{decoded:?}");
    }
}

/// An acknowledgement is not of a higher term than the leader that it went to. That leader may
/// have had a higher term than the sender has now.
#[test]
fn a_remembered_acknowledgement_is_held_against_the_term_of_its_leader() {
    let decoded = |leader_term, acknowledged| {
        let leader_term = Term(leader_term);
        let remembered = Remembered { boot: BootId(1), leader_term, acknowledged };
        decode(&encode(&envelope(3, Rpc::Remembered(remembered))))
    };
    assert!(decoded(7, position(5, 7)).unwrap().is_some());
    let wrong = decoded(2, position(5, 3));
    assert!(matches!(wrong, Err(WireError::Position { .. })), "{wrong:?}");
}

/// Encodes and decodes a frame with a codec of this limit.
fn through(frame: &Frame, frame_bytes_max: usize) -> Option<Frame> {
    let mut bytes = BytesMut::new();
    FrameCodec::new(frame_bytes_max).encode(frame, &mut bytes).unwrap();
    FrameCodec::new(frame_bytes_max).decode(&mut bytes).unwrap()
}

fn join_request() -> JoinRequest {
    JoinRequest {
        id: NodeId(u64::MAX),
        cluster: Some("c".repeat(CLUSTER_BYTES_MAX)),
        formats: FormatRange { lowest: Format(u32::MAX), highest: Format(u32::MAX) },
        binary: "9".repeat(BINARY_BYTES_MAX),
    }
}

fn join_answer() -> JoinAnswer {
    let since = "9".repeat(SINCE_BYTES_MAX);
    JoinAnswer {
        cluster: "c".repeat(CLUSTER_BYTES_MAX),
        cluster_id: Some(ClusterId(u128::MAX)),
        format: FormatInForce::read(Format(u32::MAX), &since),
        membership: largest(),
        at: LogIndex::MAX,
        promise: Some(Duration::from_millis(u64::MAX)),
        restore_id: Some(u128::MAX),
    }
}

#[test]
fn the_largest_frames_of_joining_fit_into_their_bounds() {
    let request = Frame::Join(join_request());
    assert_eq!(through(&request, HELLO_FRAME_BYTES_MAX / 8), Some(request));
    let answer = Frame::Joined(join_answer());
    // Later versions have room for more facts.
    assert_eq!(through(&answer, JOINED_FRAME_BYTES_MAX * 3 / 4), Some(answer));
    let removed = Frame::Removed { at: LogIndex::MAX };
    assert_eq!(through(&removed, HELLO_FRAME_BYTES_MAX), Some(removed));
}

/// A format that came into force in a new cluster has a mark behind its version, which is for the
/// store alone.
#[test]
fn an_answer_names_the_version_of_the_format_and_nothing_else() {
    let format = FormatInForce::of(Format(4));
    let plain = Frame::Joined(JoinAnswer { format: format.clone(), ..join_answer() });
    let marked = JoinAnswer { format: format.in_unwritten_log(), ..join_answer() };
    assert_eq!(through(&Frame::Joined(marked), JOINED_FRAME_BYTES_MAX), Some(plain));
}

/// The facts go to a file, to logs and to sentences.
#[test]
fn frames_of_joining_with_facts_that_no_server_has_are_errors() {
    let decoded = |frame: &Frame| decode(&encode(frame)).map(|frame| frame.is_some());
    let request = |request| decoded(&Frame::Join(request));
    assert!(matches!(request(join_request()), Ok(true)));
    let nobody = JoinRequest { id: NodeId(0), ..join_request() };
    assert!(matches!(request(nobody), Err(WireError::NoPeer)));
    let formats = FormatRange { lowest: Format(2), highest: Format(1) };
    let formats = request(JoinRequest { formats, ..join_request() });
    assert!(matches!(formats, Err(WireError::Formats(_))));
    let binary = request(JoinRequest { binary: "0.3\n".into(), ..join_request() });
    assert!(matches!(binary, Err(WireError::Binary { .. })));

    let answer = |answer| decoded(&Frame::Joined(answer));
    assert!(matches!(answer(join_answer()), Ok(true)));
    for wrong in ["", "a\nmember 9 h:1 h:2", &"c".repeat(65)] {
        let named = request(JoinRequest { cluster: Some(wrong.into()), ..join_request() });
        assert!(matches!(named, Err(WireError::Cluster { .. })), "{wrong:?}");
        let named = answer(JoinAnswer { cluster: wrong.into(), ..join_answer() });
        assert!(matches!(named, Err(WireError::Cluster { .. })), "{wrong:?}");
    }
    let long = "9".repeat(SINCE_BYTES_MAX + 1);
    for (format, since) in [(0, "0.3.0"), (3, "0.3.0\n"), (3, &long)] {
        let format = FormatInForce::read(Format(format), since);
        let in_force = answer(JoinAnswer { format, ..join_answer() });
        assert!(matches!(in_force, Err(WireError::FormatInForce)));
    }
    for membership in [Membership::default(), Membership { change: None, ..joint() }] {
        let members = answer(JoinAnswer { membership, ..join_answer() });
        assert!(matches!(members, Err(WireError::Malformed(_))), "{members:?}");
    }
    let unreachable = LogIndex(LogIndex::MAX.0 + 1);
    let removed = decoded(&Frame::Removed { at: unreachable });
    assert!(matches!(removed, Err(WireError::Index(_))));
}

/// A server joins before it knows which version the others have.
#[test]
fn frames_of_joining_with_keys_and_elements_of_a_later_version_are_read() {
    let frames = [
        (Frame::Removed { at: LogIndex(7) }, 2),
        (Frame::Join(join_request()), 10),
        (Frame::Joined(join_answer()), 2),
    ];
    for (frame, map) in frames {
        let mut later = encode(&frame)[FRAME_HEADER_BYTES..].to_vec();
        assert_eq!(later[map] & 0xf0, 0x80, "the map begins there");
        later[map] += 1;
        later.splice(map + 1..map + 1, *b"\xa5later\x93\x01\xc0\xa2no");
        later[0] += 2;
        later.extend(b"\xc0\xa4more");
        assert_eq!(decode(&frame_around(&later)).unwrap(), Some(frame));
    }
}

#[test]
fn a_frame_of_joining_without_a_fact_or_of_another_form_is_refused() {
    for body in [
        &b"\x92\x23\x80"[..],
        b"\x92\x23\x91\x07",
        b"\x93\x24\xa7another\x80",
        b"\x93\x24\xa7coracle\x82\xa2id\x07\xa7formats\x92\x01\x02",
        b"\x93\x24\xa7coracle\x93\x07\x92\x01\x02\xa10",
        b"\x92\x25\x80",
        b"\x92\x25\x81\xa7cluster\xa1c",
    ] {
        assert!(decode(&frame_around(body)).is_err(), "{}", body.escape_ascii());
    }
}
