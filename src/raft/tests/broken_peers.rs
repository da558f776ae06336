//! Messages that no sound node sends: they change nothing, and the connection is ended.

use core::time::Duration;

use bytes::Bytes;

use super::cluster::{i, log_of, n};
use super::install::snapshot;
use super::progress::{Peer, WIDE};
use super::solo::{Solo, append, appended, at, pre_vote, pre_voted, request_vote, voted};
use crate::raft::{
    AppendEntries, AppendEntriesResponse, AppendResult, Effect, Forgotten, InstallSnapshot,
    InstallSnapshotResponse, PeerFault, ReadToken, RefusePeer, RejoinResponse, ReplicationReport,
    Role, Rpc,
};
use crate::types::{LogIndex, Payload, STAMP_MS_MAX, Term};

/// The most that a term may be above a node's own.
const LEAD: u64 = 1 << 40;

fn refusals(solo: &mut Solo) -> Vec<RefusePeer> {
    let refusal = |effect| match effect {
        Effect::RefusePeer(order) => Some(order),
        _ => None,
    };
    std::mem::take(&mut solo.effects).into_iter().filter_map(refusal).collect()
}

/// docs/bugs.md C11: terms never fall and are durable, so one message would bring the whole
/// cluster to the end of all terms.
#[test]
fn no_message_brings_a_node_near_the_last_term() {
    let piece = InstallSnapshot {
        request_seq: 1,
        snapshot: snapshot(at(1, 1)),
        offset: 0,
        bytes: Bytes::new(),
    };
    let messages = [
        append(at(0, 0), &[], 0),
        appended(0),
        request_vote(at(9, 9)),
        voted(false),
        pre_vote(at(9, 9)),
        pre_voted(true),
        pre_voted(false),
        Rpc::RejoinRequest,
        Rpc::Forgotten(Forgotten { acknowledged: at(1, 1) }),
        Rpc::RejoinResponse(RejoinResponse { last: at(9, 9) }),
        Rpc::InstallSnapshot(piece),
    ];
    for rpc in messages {
        let mut solo = Solo::new(3, &[1], 1);
        for theirs in [u64::MAX - 1, 2 + LEAD] {
            assert_eq!(solo.receive(2, theirs, rpc.clone()), [], "{rpc:?}");
            let fault = PeerFault::Term { theirs: Term(theirs), ours: Term(1) };
            let order = RefusePeer { peer: n(2), is_response: rpc.is_response(), fault };
            assert_eq!(refusals(&mut solo), [order]);
        }
        assert_eq!(solo.raft.term(), Term(1));
        solo.win();
        assert_eq!(solo.raft.term(), Term(2), "the next election has the next term");
    }
}

/// A server with a new disk meets an old cluster.
#[test]
fn a_term_far_above_that_a_cluster_may_have_is_adopted() {
    let mut solo = Solo::new(3, &[], 0);
    solo.receive(2, LEAD, append(at(0, 0), &[1], 0));
    assert_eq!(solo.raft.term(), Term(LEAD));
    assert_eq!(solo.terms(), [1]);
    assert_eq!(refusals(&mut solo), []);
}

/// A replicator hears of higher terms as well.
#[test]
fn an_answer_to_a_replicator_brings_no_node_near_the_last_term() {
    let mut solo = Solo::new(3, &[], 0);
    solo.win();
    solo.raft.on_replicated(n(3), Term(u64::MAX - 1), ReplicationReport::default());
    solo.settle();
    let fault = PeerFault::Term { theirs: Term(u64::MAX - 1), ours: Term(1) };
    assert_eq!(refusals(&mut solo), [RefusePeer { peer: n(3), is_response: true, fault }]);
    assert_eq!((solo.raft.role(), solo.raft.term()), (Role::Leader, Term(1)));
}

/// An entry with the last stamp stops the store's time. It does not make this node a leader
/// whose entries all others refuse.
#[test]
fn no_stamp_follows_the_last_one() {
    let mut solo = Solo::new(3, &[], 0);
    let mut entry = log_of(&[1]).remove(0);
    entry.stamp_ms = STAMP_MS_MAX;
    solo.receive(
        2,
        1,
        Rpc::AppendEntries(AppendEntries {
            request_seq: 1,
            prev: at(0, 0),
            leader_commit: i(0),
            read_seq: 0,
            entries: vec![entry],
        }),
    );
    solo.win();
    solo.pass(Duration::from_secs(3600));
    solo.raft.propose(Payload::Noop).expect("it leads");
    solo.settle();
    assert!(solo.log().len() > 2);
    assert!(solo.log().iter().all(|entry| entry.stamp_ms == STAMP_MS_MAX));
}

/// docs/bugs.md C15: in a cluster of three, one broken peer would confirm every round.
#[test]
fn a_round_that_was_never_started_is_not_confirmed() {
    let mut solo = Solo::new(3, &[], 0);
    solo.win();
    let last = solo.raft.last_log().index;
    let confirm = |solo: &mut Solo, read_seq| {
        let report = ReplicationReport { match_index: last, read_seq, ..Default::default() };
        solo.raft.on_replicated(n(2), Term(1), report);
        solo.settle();
        let ready = |effect| match effect {
            Effect::ReadReady { token, .. } => Some(token.0),
            _ => None,
        };
        std::mem::take(&mut solo.effects).into_iter().filter_map(ready).collect::<Vec<_>>()
    };
    confirm(&mut solo, u64::MAX);
    for token in 1..=3 {
        solo.raft.read(ReadToken(token), i(0)).expect("it leads");
        solo.settle();
        assert!(
            confirm(&mut solo, u64::MAX).is_empty(),
            "round {token} was sent, and not answered"
        );
        assert_eq!(confirm(&mut solo, token), [token]);
    }
}

/// Every number in an answer to AppendEntries, one above its bound; and each at its bound is
/// taken.
#[test]
fn every_field_of_an_answer_to_an_append_has_a_bound() {
    let good = AppendEntriesResponse {
        request_seq: 1,
        read_seq: 2,
        is_rejoining: false,
        result: AppendResult::Success { match_index: LogIndex(3) },
    };
    let conflict = |index, term: Option<u64>| AppendEntriesResponse {
        result: AppendResult::Conflict {
            conflict_index: LogIndex(index),
            conflict_term: term.map(Term),
        },
        ..good
    };
    let last = i(3);
    let conflict_index = |index| PeerFault::ConflictIndex { conflict_index: i(index), last };
    let conflict_term = |term| PeerFault::ConflictTerm { conflict_term: Term(term), term: Term(7) };
    let faults = [
        (
            AppendEntriesResponse { request_seq: 2, ..good },
            PeerFault::Request { answered: 2, sent: 1 },
        ),
        (AppendEntriesResponse { read_seq: 3, ..good }, PeerFault::Round { confirmed: 3, sent: 2 }),
        (
            AppendEntriesResponse {
                result: AppendResult::Success { match_index: LogIndex(4) },
                ..good
            },
            PeerFault::Match { match_index: i(4), last },
        ),
        (conflict(0, None), conflict_index(0)),
        (conflict(4, None), conflict_index(4)),
        (conflict(u64::MAX, Some(1)), conflict_index(u64::MAX)),
        (conflict(3, Some(7)), conflict_term(7)),
        (conflict(3, Some(u64::MAX)), conflict_term(u64::MAX)),
    ];
    let peer = || {
        let mut peer = Peer::new(WIDE, &[1, 1, 4], true);
        peer.ask_round(2);
        peer
    };
    for (response, fault) in faults {
        let mut peer = peer();
        assert_eq!(peer.progress.on_response(response), Err(fault), "{response:?}");
        peer.settle();
        assert_eq!((peer.reports.len(), peer.progress.match_index()), (0, i(0)));
    }
    for response in [good, conflict(3, Some(6)), conflict(1, None)] {
        assert_eq!(peer().progress.on_response(response), Ok(()), "{response:?}");
    }
}

/// The same of an answer to a piece of a snapshot.
#[test]
fn every_field_of_an_answer_to_a_piece_has_a_bound() {
    let peer = || {
        let mut peer = Peer::lagging();
        peer.serve(at(6, 2));
        let request_seq = peer.pieces.remove(0).request_seq;
        (peer, request_seq)
    };
    let (_, request_seq) = peer();
    let good = InstallSnapshotResponse {
        request_seq,
        is_rejoining: false,
        last: at(6, 2),
        received: 45,
        is_installed: false,
        refusal: None,
    };
    let faults = [
        (
            InstallSnapshotResponse { request_seq: request_seq + 1, ..good },
            PeerFault::Request { answered: request_seq + 1, sent: request_seq },
        ),
        (
            InstallSnapshotResponse { last: at(9, 2), is_installed: true, ..good },
            PeerFault::Snapshot { snapshot: at(9, 2), last: i(8) },
        ),
        (
            InstallSnapshotResponse { received: 46, ..good },
            PeerFault::Received { received: 46, bytes: 45 },
        ),
    ];
    for (response, fault) in faults {
        let (mut peer, _) = peer();
        peer.reports.clear();
        assert_eq!(peer.progress.on_snapshot_response(response), Err(fault), "{response:?}");
        peer.settle();
        assert_eq!((peer.reports.len(), peer.progress.match_index()), (0, i(0)));
    }
    assert_eq!(peer().0.progress.on_snapshot_response(good), Ok(()));

    // A snapshot that this peer was never offered is not installed, whatever it says.
    let (mut peer, _) = peer();
    let other = InstallSnapshotResponse { last: at(7, 2), is_installed: true, ..good };
    assert_eq!(peer.progress.on_snapshot_response(other), Ok(()));
    peer.settle();
    assert_eq!(peer.progress.match_index(), i(0));
}
