//! Frames that decode and have a content that no node sends.

use super::*;
use crate::raft::{
    AppendEntriesResponse, AppendResult, Forgotten, InstallSnapshotResponse, PreVote,
    PreVoteResponse, RejoinResponse, RequestVote, RequestVoteResponse,
};
use crate::wire::Hello;

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
        ] {
            let decoded = decode(&encode(&frame));
            assert!(matches!(decoded, Err(WireError::Index(_))), "{frame:?}: {decoded:?}");
        }
    }
    let frame = append(3, position(max, 2), vec![entry(max + 1, 3, Payload::Noop)]);
    assert!(matches!(decode(&encode(&frame)), Err(WireError::Index(_))));
    assert!(decode(&encode(&append(3, position(max, 2), vec![]))).is_ok());
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
