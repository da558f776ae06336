//! Frames that decode and have a content that no node sends.

use super::*;
use crate::raft::{PreVote, PreVoteResponse, RequestVote, RequestVoteResponse};
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
