//! Generated frames of every kind, changed frames, and noise.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::raft::{
    Admitted, AppendEntriesResponse, AppendResult, Forgotten, Forward, ForwardOutcome, Forwarded,
    InstallSnapshotResponse, Introduction, PreVote, PreVoteResponse, ReadIndexRequest,
    ReadIndexResponse, RejoinResponse, Remembered, RequestVote, RequestVoteResponse,
    SnapshotRefusal, StateCheck, StateCheckResponse, StateDiverged, TimeoutNow,
};
use crate::testing::byte_mutation::mutation;
use crate::testing::memberships::{any_member, any_membership};
use crate::types::{
    BootId, ClusterId, Format, FormatInForce, FormatRange, Incarnation, Membership, STAMP_MS_MAX,
};
use crate::wire::{Hello, JoinAnswer, JoinRequest};

fn any_node() -> impl Strategy<Value = NodeId> {
    (1..=u64::MAX).prop_map(NodeId)
}

fn any_payload() -> impl Strategy<Value = Payload> {
    let voters = proptest::collection::btree_set(any_node(), 1..6);
    prop_oneof![
        Just(Payload::Noop),
        proptest::collection::vec(any::<u8>(), 0..300)
            .prop_map(|bytes| Payload::Command(bytes.into())),
        voters.prop_map(|voters| Payload::Membership(Membership::seed(voters))),
        (1..=u32::MAX, "[ -~]{0,64}").prop_map(|(format, since)| {
            Payload::Format(FormatInForce::read(Format(format), &since))
        }),
        any::<u128>().prop_map(|id| Payload::ClusterId(ClusterId(id))),
        any_membership().prop_map(Payload::Membership),
    ]
}

/// A position that a log of a node in term `term` can have.
fn any_position(term: u64) -> impl Strategy<Value = LogPosition> {
    prop_oneof![
        Just(position(0, 0)),
        (1..1_u64 << 52, 1..=term).prop_map(|(index, term)| position(index, term)),
    ]
}

fn any_append(term: u64) -> impl Strategy<Value = Rpc> {
    let entries = proptest::collection::vec(
        (any::<prop::sample::Index>(), 0..=STAMP_MS_MAX, any_payload()),
        0..5,
    );
    let head = (any::<u64>(), any_position(term), 0..=LogIndex::MAX.0, any::<u64>());
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

fn any_refusal() -> impl Strategy<Value = Option<SnapshotRefusal>> {
    prop::sample::select(vec![None, Some(SnapshotRefusal::NoRoom), Some(SnapshotRefusal::Unusable)])
}

fn any_append_result(term: u64) -> impl Strategy<Value = AppendResult> {
    prop_oneof![
        (0..=LogIndex::MAX.0)
            .prop_map(|index| AppendResult::Success { match_index: LogIndex(index) }),
        (1..=LogIndex::MAX.0, prop::option::of(1..=term)).prop_map(|(index, term)| {
            AppendResult::Conflict {
                conflict_index: LogIndex(index),
                conflict_term: term.map(Term),
            }
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

fn any_index() -> impl Strategy<Value = LogIndex> {
    (0..=LogIndex::MAX.0).prop_map(LogIndex)
}

/// The messages that format 2 has added.
fn any_rpc_of_format_2(term: u64) -> impl Strategy<Value = Rpc> {
    let acknowledged = proptest::collection::vec((any_node(), any_position(term)), 0..5);
    prop_oneof![
        (any_index(), any::<u64>(), acknowledged).prop_map(|(index, digest, acknowledged)| {
            Rpc::StateCheck(StateCheck { index, digest, acknowledged })
        }),
        (any_index(), any::<u64>()).prop_map(|(index, digest)| {
            Rpc::StateCheckResponse(StateCheckResponse { index, digest })
        }),
        (any_index(), any::<u64>())
            .prop_map(|(index, digest)| Rpc::StateDiverged(StateDiverged { index, digest })),
        (any::<u64>(), any_position(term)).prop_map(move |(boot, acknowledged)| {
            let (boot, leader_term) = (BootId(boot), Term(term));
            Rpc::Remembered(Remembered { boot, leader_term, acknowledged })
        }),
    ]
}

/// The messages that format 3 has added.
fn any_rpc_of_format_3(term: u64) -> impl Strategy<Value = Rpc> {
    prop_oneof![
        any_position(term).prop_map(|last| Rpc::TimeoutNow(TimeoutNow { last })),
        any_position(term).prop_map(|last| Rpc::TransferVote(RequestVote { last })),
        Just(Rpc::TransferRefused),
        (any::<u64>(), any_index()).prop_map(|(boot, membership)| {
            Rpc::Admitted(Admitted { boot: BootId(boot), membership })
        }),
    ]
}

/// The messages that format 4 has added.
fn any_rpc_of_format_4() -> impl Strategy<Value = Rpc> {
    let entry = || (1..=LogIndex::MAX.0).prop_map(LogIndex);
    let outcome = prop_oneof![
        entry().prop_map(ForwardOutcome::Appended),
        Just(ForwardOutcome::NotLeader),
        Just(ForwardOutcome::Busy),
        Just(ForwardOutcome::NotYet),
    ];
    let place = || (any::<u64>().prop_map(BootId), any::<u64>());
    prop_oneof![
        place().prop_map(|(boot, number)| Rpc::ReadIndex(ReadIndexRequest { boot, number })),
        (place(), proptest::option::of(entry())).prop_map(|((boot, number), index)| {
            Rpc::ReadIndexResponse(ReadIndexResponse { boot, number, index })
        }),
        (place(), proptest::collection::vec(any::<u8>(), 1..100)).prop_map(
            |((boot, number), command)| {
                Rpc::Forward(Forward { boot, number, command: command.into() })
            }
        ),
        (place(), outcome).prop_map(|((boot, number), outcome)| {
            Rpc::Forwarded(Forwarded { boot, number, outcome })
        }),
    ]
}

fn any_join_request() -> impl Strategy<Value = JoinRequest> {
    let cluster = prop::option::of("[ -~]{1,64}");
    (any_node(), cluster, any_formats(), "[!-~]{1,64}")
        .prop_map(|(id, cluster, formats, binary)| JoinRequest { id, cluster, formats, binary })
}

fn any_join_answer() -> impl Strategy<Value = JoinAnswer> {
    let facts = (any::<Option<u128>>(), any::<Option<u64>>(), any::<Option<u128>>());
    let format = (1..=u32::MAX, "[!-~]{0,64}");
    let members = (any_membership(), any_index());
    ("[ -~]{1,64}", format, members, facts).prop_map(
        |(cluster, (format, since), (membership, at), (cluster_id, promise_ms, restore_id))| {
            JoinAnswer {
                cluster,
                cluster_id: cluster_id.map(ClusterId),
                format: FormatInForce::read(Format(format), &since),
                membership,
                at,
                promise: promise_ms.map(Duration::from_millis),
                restore_id,
            }
        },
    )
}

fn any_formats() -> impl Strategy<Value = FormatRange> {
    (1..=u32::MAX, any::<u32>()).prop_map(|(lowest, more)| FormatRange {
        lowest: Format(lowest),
        highest: Format(lowest.saturating_add(more)),
    })
}

fn any_introduction() -> impl Strategy<Value = Introduction> {
    let ids = (any::<u128>(), any::<u64>(), any::<Option<u128>>());
    let reached = (prop::option::of(any_member()), prop::option::of(any_member()));
    (any_formats(), "[!-~]{1,64}", ids, any::<[bool; 2]>(), reached).prop_map(
        |(formats, binary, (incarnation, boot, cluster_id), [is_held, is_draining], reached)| {
            let (member, http) = reached;
            let (incarnation, boot) = (Incarnation(incarnation), BootId(boot));
            let cluster_id = cluster_id.map(ClusterId);
            Introduction {
                formats,
                binary,
                incarnation,
                boot,
                cluster_id,
                is_held,
                member,
                is_draining,
                http: http.map(|member| member.client),
            }
        },
    )
}

fn any_hello() -> impl Strategy<Value = Hello> {
    let ends = (any_node(), any_node());
    let facts = (any::<Option<u128>>(), any::<Option<u64>>());
    (ends, ".*", facts, prop::option::of(any_introduction())).prop_map(
        |((from, to), cluster, (restore_id, promise_ms), introduction)| {
            let promise = promise_ms.map(Duration::from_millis);
            Hello { cluster, from, to, restore_id, promise, introduction }
        },
    )
}

fn any_rpc(term: u64) -> impl Strategy<Value = Rpc> {
    prop_oneof![
        any_append(term),
        (any::<u64>(), any::<u64>(), any::<bool>(), any_append_result(term)).prop_map(
            |(request_seq, read_seq, is_rejoining, result)| {
                let response =
                    AppendEntriesResponse { request_seq, read_seq, is_rejoining, result };
                Rpc::AppendEntriesResponse(response)
            }
        ),
        Just(Rpc::RejoinRequest),
        any_chunk(term).prop_map(Rpc::InstallSnapshot),
        (any_position(term), any::<[u64; 2]>(), any::<[bool; 2]>(), any_refusal()).prop_map(
            |(last, [request_seq, received], [is_rejoining, is_installed], refusal)| {
                Rpc::InstallSnapshotResponse(InstallSnapshotResponse {
                    request_seq,
                    is_rejoining,
                    last,
                    received,
                    is_installed,
                    refusal,
                })
            }
        ),
        any_position(term).prop_map(|last| Rpc::RejoinResponse(RejoinResponse { last })),
        any_position(term).prop_map(|acknowledged| Rpc::Forgotten(Forgotten { acknowledged })),
        any_position(term).prop_map(|last| Rpc::RequestVote(RequestVote { last })),
        any_position(term).prop_map(|last| Rpc::PreVote(PreVote { last })),
        any::<bool>().prop_map(|vote_granted| {
            Rpc::RequestVoteResponse(RequestVoteResponse { vote_granted })
        }),
        any::<bool>()
            .prop_map(|vote_granted| Rpc::PreVoteResponse(PreVoteResponse { vote_granted })),
        any_rpc_of_format_2(term),
        any_rpc_of_format_3(term),
        any_rpc_of_format_4(),
    ]
}

fn any_frame() -> impl Strategy<Value = Frame> {
    let rpc = (any_node(), any_node(), 1..u64::MAX).prop_flat_map(|(from, to, term)| {
        any_rpc(term).prop_map(move |rpc| Frame::Rpc(Envelope { from, to, term: Term(term), rpc }))
    });
    prop_oneof![
        2 => any_hello().prop_map(Frame::Hello),
        1 => ".*".prop_map(|reason| Frame::Refused { reason }),
        1 => any_index().prop_map(|at| Frame::Removed { at }),
        1 => any_join_request().prop_map(Frame::Join),
        1 => any_join_answer().prop_map(Frame::Joined),
        1 => prop_oneof![Just(Frame::Probe), Just(Frame::ProbeAnswer)],
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
