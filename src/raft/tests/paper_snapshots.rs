//! The rules of snapshots, compaction and installation at one node: §7, docs/adr/0008.

use bytes::Bytes;

use super::cluster::{Cluster, command, i, n};
use super::disk::Durable;
use super::snapshots::SnapshotRules;
use super::solo::{Solo, append, appended, at, conflict, request_vote, voted};
use crate::raft::{
    Append, CompactLog, Effect, Envelope, InstallSnapshot, InstallSnapshotResponse, RejoinResponse,
    ReplicationReport, Role, Rpc, SnapshotProgress, StopReplication, TakeSnapshot,
};
use crate::types::LogPosition;
use crate::types::Membership;
use crate::types::SnapshotId;
use crate::types::SnapshotPoint;
use crate::types::Term;
use crate::types::{ClusterState, ENTRY_OVERHEAD_BYTES};

pub(super) fn piece(last: LogPosition) -> Rpc {
    let snapshot = SnapshotId { last, bytes: 10, digest: 1 };
    Rpc::InstallSnapshot(InstallSnapshot {
        request_seq: 7,
        snapshot,
        offset: 0,
        bytes: Bytes::new(),
    })
}

fn response(last: LogPosition, received: u64, is_installed: bool) -> Rpc {
    Rpc::InstallSnapshotResponse(InstallSnapshotResponse {
        request_seq: 7,
        is_rejoining: false,
        last,
        received,
        is_installed,
        refusal: None,
    })
}

pub(super) fn point(last: LogPosition) -> SnapshotPoint {
    SnapshotPoint { last, cluster: ClusterState::default() }
}

impl Solo {
    /// A follower of node 2 in `term` that has installed the snapshot up to `last` from it.
    fn with_snapshot(terms: &[u64], term: u64, last: LogPosition) -> Solo {
        let mut solo = Solo::new(3, terms, term);
        solo.receive(2, term, append(at(0, 0), &[], 0));
        assert!(solo.raft.on_snapshot_received(n(2), Term(term), 7, point(last), 0));
        solo.settle();
        solo.effects.clear();
        solo
    }

    /// A node without peers that takes a snapshot every `entries` entries.
    fn saving(entries: u64, keep_entries: u64) -> Solo {
        let mut solo = Solo::new(1, &[], 0);
        solo.raft.settings.snapshot_entries_max = entries;
        solo.raft.settings.keep_entries = keep_entries;
        solo.win();
        solo
    }

    pub(super) fn propose(&mut self, count: u64) {
        for _ in 0..count {
            self.raft.propose(command("c")).unwrap();
        }
        self.settle();
    }

    /// The snapshots that were asked for since they were last taken.
    pub(super) fn asked(&mut self) -> Vec<SnapshotPoint> {
        let mut asked = Vec::new();
        self.effects.retain(|effect| match effect {
            Effect::TakeSnapshot(TakeSnapshot { point }) => {
                asked.push(point.clone());
                false
            }
            _ => true,
        });
        asked
    }

    /// The last entry that may be compacted, if a compaction was asked for since it was last
    /// taken.
    pub(super) fn limit(&mut self) -> Option<u64> {
        let mut asked = None;
        self.effects.retain(|effect| match effect {
            Effect::CompactLog(CompactLog { limit }) => {
                asked = Some(limit.0);
                false
            }
            _ => true,
        });
        asked
    }

    /// Reports that the one snapshot that was asked for is durable.
    pub(super) fn take(&mut self) -> u64 {
        self.take_of(0)
    }

    /// Reports that the one snapshot that was asked for is durable, a file of `bytes`.
    pub(super) fn take_of(&mut self, bytes: u64) -> u64 {
        let asked = self.asked();
        assert_eq!(asked.len(), 1);
        self.raft.on_snapshot_taken(asked[0].last, bytes);
        self.settle();
        asked[0].last.index.0
    }
}

// A log after a base.

/// docs/bugs.md B24 (databend 7112): an old request begins before our log. Its entries up
/// to our base are in our snapshot: nothing is truncated, and the answer vouches for the
/// request's entries, and for no more.
#[test]
fn a_request_that_begins_before_the_log_truncates_nothing() {
    let mut solo = Solo::with_snapshot(&[1, 1], 2, at(5, 2));
    assert_eq!(solo.ask(2, 2, append(at(5, 2), &[2, 2, 2], 5)).1, appended(8));
    for (prev, terms, matched) in [
        (at(0, 0), &[1, 1, 1, 2, 2, 2, 2, 2][..], 8),
        (at(0, 0), &[1, 1, 1, 2, 2], 5),
        (at(0, 0), &[1, 1], 2),
        (at(0, 0), &[], 0),
        (at(3, 1), &[2], 4),
        (at(3, 1), &[2, 2, 2], 6),
        (at(4, 2), &[], 4),
        (at(5, 2), &[2], 6),
    ] {
        assert_eq!(solo.ask(2, 2, append(prev, terms, 5)).1, appended(matched), "{prev} {terms:?}");
        assert_eq!(solo.terms(), [2, 2, 2], "{prev} {terms:?}");
    }
}

#[test]
fn a_request_that_begins_before_the_log_may_bring_something_new() {
    let mut solo = Solo::with_snapshot(&[], 2, at(5, 2));
    assert_eq!(solo.ask(2, 2, append(at(3, 1), &[2, 2, 2, 2], 6)).1, appended(7));
    assert_eq!(solo.terms(), [2, 2]);
    assert_eq!(solo.raft.commit_index(), i(6));
    assert_eq!(solo.ask(2, 3, append(at(4, 2), &[2, 2, 3], 6)).1, appended(7));
    assert_eq!(solo.terms(), [2, 3], "entry 7 was not committed");
}

#[test]
#[should_panic(expected = "the leader lacks an entry that is committed here")]
fn a_leader_that_lacks_an_entry_of_the_snapshot_stops_the_node() {
    let mut solo = Solo::with_snapshot(&[], 2, at(5, 2));
    solo.receive(2, 3, append(at(3, 1), &[1, 1, 3], 0));
}

/// The terms of a log never fall, so an entry before the snapshot's last is of no later term.
#[test]
#[should_panic(expected = "the leader lacks an entry that is committed here")]
fn a_leader_whose_history_parts_before_the_snapshots_last_entry_stops_the_node() {
    let mut solo = Solo::with_snapshot(&[], 3, at(5, 2));
    solo.receive(2, 3, append(at(2, 1), &[3, 3], 0));
}

#[test]
#[should_panic(expected = "the leader lacks an entry that is committed here")]
fn a_heartbeat_of_another_history_before_the_snapshots_last_entry_stops_the_node() {
    let mut solo = Solo::with_snapshot(&[], 3, at(5, 2));
    solo.receive(2, 3, append(at(4, 3), &[], 0));
}

#[test]
#[should_panic(expected = "the leader lacks an entry that is committed here")]
fn a_snapshot_of_another_history_is_not_taken_for_ours() {
    let mut solo = Solo::with_snapshot(&[], 3, at(5, 2));
    solo.receive(2, 3, piece(at(5, 3)));
}

#[test]
fn a_conflict_after_the_base_never_points_before_it() {
    let mut solo = Solo::with_snapshot(&[], 2, at(5, 2));
    solo.receive(2, 2, append(at(5, 2), &[2, 2], 5));
    assert_eq!(solo.ask(3, 4, append(at(7, 3), &[], 5)).1, conflict(6, Some(2)));
    assert_eq!(solo.ask(3, 4, append(at(9, 3), &[], 5)).1, conflict(8, None));
    assert_eq!(solo.ask(3, 4, append(at(5, 2), &[3], 5)).1, appended(6));
    assert_eq!(solo.terms(), [3]);
}

/// §5.4.1: the end of an empty log is the snapshot's last entry.
#[test]
fn votes_compare_with_the_end_of_the_snapshot() {
    for (last, is_granted) in [(at(4, 2), false), (at(9, 1), false), (at(5, 2), true)] {
        let mut solo = Solo::with_snapshot(&[1, 1], 2, at(5, 2));
        solo.tick(20);
        assert_eq!(solo.ask(3, 9, request_vote(last)).1, voted(is_granted), "{last}");
    }
}

// Installing.

/// Figure 13, rule 7: "discard the entire log", for it belongs to another history.
#[test]
fn a_snapshot_takes_the_place_of_a_log_that_lacks_it() {
    for terms in [&[][..], &[1], &[1, 1, 1, 1, 1, 1, 1, 1]] {
        let mut solo = Solo::new(3, terms, 2);
        assert_eq!(solo.receive(2, 2, piece(at(5, 2))), []);
        assert!(matches!(solo.effects.pop(), Some(Effect::ReceiveSnapshot(_))));
        assert!(solo.raft.on_snapshot_received(n(2), Term(2), 7, point(at(5, 2)), 33));
        let answer = solo.settle();
        assert_eq!(answer.len(), 1);
        assert_eq!(answer[0].rpc, response(at(5, 2), 0, true));
        assert_eq!((solo.raft.log_base(), solo.raft.last_log()), (at(5, 2), at(5, 2)));
        assert_eq!((solo.raft.commit_index(), solo.raft.last_applied()), (i(5), i(5)));
        assert_eq!(solo.raft.persisted_index(), i(5));
        assert_eq!(solo.raft.last_stamp_ms(), 33);
        assert_eq!(solo.ask(2, 2, append(at(5, 2), &[2], 6)).1, appended(6));
        assert_eq!(solo.applied.last().map(|entry| entry.index), Some(i(6)));
    }
}

/// Figure 13, rule 6: "If existing log entry has same index and term as snapshot's last
/// included entry, retain log entries following it".
#[test]
fn a_log_that_holds_the_snapshots_last_entry_needs_no_snapshot() {
    let mut solo = Solo::new(3, &[1, 1, 1], 2);
    for last in [at(3, 1), at(2, 1)] {
        assert_eq!(solo.ask(2, 2, piece(last)).1, response(last, 0, true));
        assert!(!solo.raft.on_snapshot_received(n(2), Term(2), 7, point(last), 0));
        assert_eq!(solo.settle()[0].rpc, response(last, 0, true));
    }
    assert_eq!(solo.terms(), [1, 1, 1]);
    let mut solo = Solo::with_snapshot(&[], 2, at(5, 2));
    assert_eq!(solo.ask(2, 2, piece(at(4, 1))).1, response(at(4, 1), 0, true));
}

#[test]
fn a_piece_counts_as_a_heartbeat() {
    let mut solo = Solo::new(3, &[], 1);
    solo.receive(2, 1, piece(at(5, 1)));
    assert_eq!(solo.raft.leader_id(), Some(n(2)));
    for _ in 0..5 {
        assert_eq!(solo.tick(9), []);
        solo.receive(2, 1, piece(at(5, 1)));
    }
}

#[test]
fn pieces_are_answered_in_their_own_term_only() {
    let mut solo = Solo::new(3, &[], 3);
    let (term, answer) = solo.ask(2, 2, piece(at(5, 2)));
    let Rpc::InstallSnapshotResponse(answer) = answer else { panic!("{answer:?}") };
    assert_eq!((term, answer.request_seq, answer.is_installed), (3, 0, false));

    let id = SnapshotId { last: at(5, 2), bytes: 10, digest: 1 };
    solo.raft.on_snapshot_piece(n(2), Term(2), 7, id, Ok(10));
    assert_eq!(solo.settle(), []);
    solo.raft.on_snapshot_piece(n(2), Term(3), 7, id, Ok(10));
    assert_eq!(solo.settle()[0].rpc, response(at(5, 2), 10, false));

    // The entries in it are committed in any term.
    assert!(solo.raft.on_snapshot_received(n(2), Term(2), 7, point(at(5, 2)), 0));
    assert_eq!(solo.settle(), []);
    assert_eq!(solo.raft.commit_index(), i(5));
}

/// A piece is not received while the term is not durable: a crash could bring back a term
/// below the snapshot's, and thus below the log's.
#[test]
fn nothing_is_received_before_the_term_is_durable() {
    let mut solo = Solo::new(3, &[], 1);
    assert_eq!(solo.receive(2, 5, piece(at(5, 5))), []);
    assert!(!solo.effects.iter().any(|e| matches!(e, Effect::ReceiveSnapshot(_))));
    solo.receive(2, 5, piece(at(5, 5)));
    assert!(solo.effects.iter().any(|e| matches!(e, Effect::ReceiveSnapshot(_))));
}

/// docs/bugs.md B54, B20: entries of another history are on their way to the disk when a
/// snapshot takes the place of the log. Their completion confirms nothing.
#[test]
fn writes_of_a_log_that_was_replaced_do_not_count_for_the_new_one() {
    let mut solo = Solo::new(3, &[], 2);
    let request = append(at(0, 0), &[2; 8], 0);
    solo.raft.step(Envelope { from: n(2), to: n(1), term: Term(2), rpc: request });
    let effects = solo.raft.take_effects();
    let Some(Effect::Append(Append { seq, .. })) = effects.last() else { panic!("{effects:?}") };
    assert!(solo.raft.on_snapshot_received(n(2), Term(2), 7, point(at(5, 1)), 0));
    solo.raft.on_persisted(*seq);
    assert_eq!(solo.raft.persisted_index(), i(5));
    solo.raft.take_effects();
}

/// docs/bugs.md B54: a read of the old log may be answered after a new one replaced it.
#[test]
fn a_page_of_a_replaced_log_is_dropped() {
    let mut solo = Solo::new(3, &[1, 1, 1, 1], 2);
    // Entries 1 and 2 are committed; the page that holds them is on its way.
    let old_log = solo.log().to_vec();
    let request = append(at(2, 1), &[], 2);
    solo.raft.step(Envelope { from: n(2), to: n(1), term: Term(2), rpc: request });
    let effects = solo.raft.take_effects();
    assert!(effects.iter().any(|e| matches!(e, Effect::ReadEntries(_))));
    assert!(solo.raft.on_snapshot_received(n(2), Term(2), 7, point(at(5, 2)), 0));
    solo.settle();
    solo.raft.on_entries_read(old_log[..2].to_vec());
    assert_eq!(solo.settle(), []);
    assert!(solo.applied.is_empty());
    solo.ask(2, 2, append(at(5, 2), &[2], 6));
    assert_eq!(solo.applied.len(), 1);
}

// Taking and compacting.

#[test]
fn a_snapshot_is_due_by_the_number_of_entries_and_taken_one_at_a_time() {
    let mut solo = Solo::saving(4, 0);
    assert_eq!(solo.asked(), [], "the no-op and the members are two");
    solo.propose(2);
    let asked = solo.asked();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].last, at(4, 1));
    let voters = [n(1)];
    assert_eq!(asked[0].cluster.membership, Some((i(2), Membership::seed(voters))));
    solo.propose(9);
    assert_eq!(solo.asked(), []);
    solo.raft.on_snapshot_taken(at(4, 1), 0);
    assert_eq!((solo.asked(), solo.raft.snapshot_index()), (vec![], i(4)));
    solo.propose(1);
    assert_eq!(solo.asked()[0].last, at(14, 1));
}

/// A snapshot waits for as many bytes of log as the last one has. Otherwise a store of ten
/// million keys would be written as often as one of a thousand, and the work to fill it
/// would grow with the square of its size.
#[test]
fn a_snapshot_waits_for_as_many_bytes_of_log_as_the_last_one_has() {
    let weight = |entries: u64| entries * (ENTRY_OVERHEAD_BYTES + 1);
    let mut solo = Solo::saving(4, 0);
    solo.propose(2);
    assert_eq!(solo.take_of(weight(7)), 4);
    solo.propose(6);
    assert_eq!(solo.asked(), []);
    solo.propose(1);
    assert_eq!(solo.take_of(weight(2)), 11);
    solo.propose(3);
    assert_eq!(solo.asked(), [], "nor before as many as are wanted");
    solo.propose(1);
    assert_eq!(solo.take_of(weight(4)), 15);
}

#[test]
fn a_snapshot_is_due_by_the_bytes_of_log() {
    let mut solo = Solo::saving(u64::MAX, 0);
    solo.raft.settings.snapshot_bytes_max = 5 * 64;
    solo.propose(2);
    assert_eq!(solo.asked(), []);
    solo.propose(1);
    assert_eq!(solo.take(), 5);
    solo.propose(4);
    assert_eq!(solo.asked(), []);
    solo.propose(1);
    assert_eq!(solo.take(), 10);
}

/// A backup can ask for a snapshot (docs/adr/0011).
#[test]
fn a_snapshot_that_is_wanted_is_taken_at_once_and_only_once() {
    let mut solo = Solo::saving(u64::MAX, 0);
    solo.propose(3);
    solo.tick(1);
    assert_eq!(solo.asked(), [], "nobody wants one");
    solo.raft.want_snapshot(i(4));
    solo.tick(1);
    assert_eq!(solo.take(), 5, "at what is applied, which is after what is wanted");
    solo.raft.want_snapshot(i(5));
    solo.propose(3);
    solo.tick(3);
    assert_eq!(solo.asked(), [], "that one serves");
    solo.raft.want_snapshot(i(6));
    solo.tick(100);
    assert_eq!(solo.take(), 8);
}

#[test]
fn a_snapshot_that_is_being_taken_and_is_too_old_is_followed_by_another() {
    let mut solo = Solo::saving(4, 0);
    solo.propose(2);
    assert_eq!(solo.asked()[0].last, at(4, 1));
    solo.propose(1);
    solo.raft.want_snapshot(i(5));
    solo.tick(3);
    assert_eq!(solo.asked(), [], "one at a time");
    solo.raft.on_snapshot_taken(at(4, 1), 0);
    solo.tick(100);
    assert_eq!(solo.take(), 5);
}

/// A compacted entry is in both of the snapshots that are there (docs/bugs.md B55). A
/// snapshot that was lost does not count as one of them.
#[test]
fn a_damaged_snapshot_does_not_count_when_the_log_is_compacted() {
    let mut solo = Solo::saving(3, 0);
    solo.propose(1);
    assert_eq!(solo.take(), 3);
    solo.propose(3);
    assert_eq!((solo.take(), solo.limit()), (6, Some(3)));
    solo.raft.on_compacted(at(3, 1));
    solo.propose(1);
    solo.raft.on_snapshot_lost(at(6, 1));
    solo.settle();
    assert_eq!(solo.take(), 7, "another one, at once");
    assert_eq!(solo.limit(), None, "the other one is still that up to 3");
    solo.propose(3);
    assert_eq!((solo.take(), solo.limit()), (10, Some(7)));
}

/// A full disk is not tried again at once.
#[test]
fn a_wanted_snapshot_that_finds_no_room_is_no_longer_wanted() {
    let mut solo = Solo::saving(u64::MAX, 0);
    solo.propose(1);
    solo.raft.want_snapshot(i(3));
    solo.tick(1);
    assert_eq!(solo.asked().len(), 1);
    solo.raft.on_snapshot_failed(at(3, 1));
    solo.tick(5);
    assert_eq!(solo.asked(), []);
    solo.raft.want_snapshot(i(3));
    solo.tick(100);
    assert_eq!(solo.take(), 3, "whoever asks again gets another try");
}

/// No snapshot is taken while the term is not durable. Node 2 says in term 4 that entry 2 is
/// committed. If a crash takes term 4 back, a leader of term 3 could still replace the
/// entry, and the snapshot would be wrong.
#[test]
fn no_snapshot_is_taken_before_the_term_is_durable() {
    let mut solo = Solo::new(3, &[1, 1], 1);
    solo.raft.settings.snapshot_entries_max = 1;
    let request = append(at(2, 1), &[], 2);
    solo.raft.step(Envelope { from: n(2), to: n(1), term: Term(4), rpc: request });
    let log = solo.log().to_vec();
    let mut effects = solo.raft.take_effects();
    solo.raft.on_entries_read(log);
    effects.extend(solo.raft.take_effects());
    let is_asked = |effect: &Effect| matches!(effect, Effect::TakeSnapshot(_));
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Apply { .. })));
    assert!(!effects.iter().any(is_asked), "{effects:?}");
    let seq = effects.iter().find_map(|effect| match effect {
        Effect::Append(Append { seq, .. }) => Some(*seq),
        _ => None,
    });
    solo.raft.on_persisted(seq.expect("the new term is written"));
    solo.receive(2, 4, append(at(2, 1), &[4], 3));
    assert_eq!(solo.asked()[0].last, at(3, 4));
}

/// docs/bugs.md B55: the log reaches back to the older of the two snapshots.
#[test]
fn the_log_is_compacted_to_what_both_snapshots_cover() {
    let mut solo = Solo::saving(4, 0);
    solo.propose(2);
    solo.take();
    assert_eq!(solo.limit(), None, "there is only one");
    solo.propose(4);
    assert_eq!(solo.take(), 8);
    assert_eq!(solo.limit(), Some(4));
    solo.propose(4);
    solo.take();
    assert_eq!(solo.limit(), None, "one at a time");
    solo.raft.on_compacted(at(3, 1));
    assert_eq!(solo.raft.log_base(), at(3, 1));
    solo.propose(4);
    solo.take();
    assert_eq!(solo.limit(), Some(12));
    assert_eq!(solo.raft.term_at(i(3)), Some(Term(1)));
    assert_eq!(solo.raft.term_at(i(2)), None);
}

#[test]
fn the_last_entries_stay_in_the_log() {
    let mut solo = Solo::saving(4, 6);
    solo.propose(2);
    solo.take();
    solo.propose(4);
    solo.take();
    assert_eq!(solo.limit(), Some(2), "entries 3 to 8 stay");
}

/// Two snapshots are kept, and a peer is being sent the newest: the second snapshot from now
/// would remove it (docs/bugs.md B60).
#[test]
fn no_snapshot_removes_the_one_that_a_peer_is_being_sent() {
    let mut solo = Solo::new(3, &[], 0);
    solo.raft.settings.snapshot_entries_max = 1;
    solo.win();
    let term = solo.raft.term();
    let commit = |solo: &mut Solo| {
        solo.propose(1);
        let match_index = solo.raft.last_log().index;
        let report = ReplicationReport { match_index, ..Default::default() };
        solo.raft.on_replicated(n(2), term, report);
        solo.settle();
    };
    let send = |solo: &mut Solo, keep_log_from| {
        let report = ReplicationReport { keep_log_from, ..Default::default() };
        solo.raft.on_replicated(n(3), term, report);
        solo.settle();
    };
    commit(&mut solo);
    let first = solo.take();
    send(&mut solo, Some(i(first)));
    commit(&mut solo);
    solo.take();
    assert_eq!(solo.limit(), Some(first));
    solo.raft.on_compacted(LogPosition { term, index: i(first) });
    commit(&mut solo);
    assert_eq!(solo.asked(), [], "it would remove the first");
    solo.raft.want_snapshot(solo.raft.status().commit_index);
    solo.tick(1);
    assert_eq!(solo.asked(), [], "and not for a backup either");
    send(&mut solo, None);
    commit(&mut solo);
    solo.take();
    assert!(solo.limit().is_some_and(|limit| limit > first));
}

/// The log is kept, too, for a peer that has its snapshot and catches up.
#[test]
fn the_log_stays_for_a_peer_that_catches_up() {
    let mut solo = Solo::new(3, &[], 0);
    solo.win();
    let term = solo.raft.term();
    let report = |match_index: u64, keep_log_from: Option<u64>| ReplicationReport {
        match_index: i(match_index),
        keep_log_from: keep_log_from.map(i),
        ..Default::default()
    };
    solo.propose(20);
    solo.raft.on_replicated(n(2), term, report(10, None));
    solo.raft.settings.snapshot_entries_max = 1;
    solo.raft.on_replicated(n(2), term, report(11, None));
    solo.settle();
    solo.take();
    solo.raft.on_replicated(n(2), term, report(12, None));
    solo.settle();
    solo.raft.on_replicated(n(3), term, report(0, Some(6)));
    solo.take();
    assert_eq!(solo.limit(), Some(6), "and not 11");
}

#[test]
fn a_leader_reports_the_progress_of_the_snapshots_that_it_sends() {
    let mut solo = Solo::new(3, &[], 0);
    solo.win();
    assert_eq!(solo.raft.status().snapshot_progress, []);
    let snapshot_progress = Some(SnapshotProgress { acked_bytes: 3, bytes: 10 });
    let term = solo.raft.term();
    let report = ReplicationReport { snapshot_progress, is_rejoining: true, ..Default::default() };
    solo.raft.on_replicated(n(3), term, report);
    let progress = SnapshotProgress { acked_bytes: 3, bytes: 10 };
    assert_eq!(solo.raft.status().snapshot_progress, [(n(3), progress)]);
    solo.raft.on_replicated(n(3), term, ReplicationReport::default());
    assert_eq!(solo.raft.status().snapshot_progress, []);
}

/// A peer that stopped answering does not hold up compaction for ever.
#[test]
fn a_silent_peer_does_not_hold_up_compaction() {
    let mut solo = Solo::new(3, &[], 0);
    solo.win();
    let term = solo.raft.term();
    let report = ReplicationReport { keep_log_from: Some(i(1)), ..Default::default() };
    solo.raft.on_replicated(n(3), term, report);
    for _ in 0..20 {
        assert_eq!(solo.raft.keep_log_from(), Some(i(1)));
        solo.raft.on_replicated(n(2), term, ReplicationReport::default());
        solo.tick(1);
    }
    solo.tick(1);
    assert_eq!((solo.raft.keep_log_from(), solo.raft.role()), (None, Role::Leader));
}

/// A client that waits for an entry of the ended term must get an answer, even when the term's
/// first entry was compacted (docs/bugs.md B58).
#[test]
fn a_leader_whose_no_op_is_compacted_gives_up_its_own_term() {
    let mut solo = Solo::saving(1, 0);
    for _ in 0..3 {
        solo.propose(1);
        solo.take();
    }
    let limit = solo.limit().expect("the log is compacted");
    solo.raft.on_compacted(at(limit, 1));
    solo.settle();
    let before = solo.raft.term();
    solo.raft.adopt_term(Term(9), "a test");
    solo.settle();
    assert!(solo.effects.contains(&Effect::StopReplication(StopReplication { term: before })));
}

/// docs/adr/0005: the logs of the others may end before the rejoining node's snapshot does.
#[test]
fn a_rejoining_node_with_a_snapshot_has_caught_up_with_what_it_covers() {
    let mut solo = Solo::rejoining(3);
    let word = |last| Rpc::RejoinResponse(RejoinResponse { last });
    solo.receive(2, 2, append(at(0, 0), &[], 0));
    solo.receive(2, 2, word(at(5, 2)));
    solo.receive(3, 2, word(at(3, 1)));
    assert_eq!(solo.raft.role(), Role::Rejoining);
    assert!(solo.raft.on_snapshot_received(n(2), Term(2), 7, point(at(6, 2)), 0));
    solo.settle();
    solo.receive(2, 2, append(at(6, 2), &[2], 6));
    assert_eq!(solo.raft.role(), Role::Follower);
}

/// docs/bugs.md B60 (consul 9609): a follower on a slow line is sent one snapshot, however much is
/// written meanwhile, and not one after the other.
#[test]
fn a_follower_on_a_slow_line_catches_up_under_load() {
    let rules = SnapshotRules { entries_max: 4, ..SnapshotRules::NONE };
    let mut cluster = Cluster::with_snapshots(vec![Durable::default(); 3], 1, rules);
    cluster.elect(n(1));
    cluster.partition(&[n(3)]);
    for number in 0..20 {
        cluster.propose(n(1), &format!("before {number}")).unwrap();
        cluster.deliver_all();
    }
    cluster.heal();
    let mut rounds = 0;
    while cluster.node(n(3)).applied.len() < 22 || cluster.node(n(3)).disk.log().is_empty() {
        rounds += 1;
        assert!(rounds < 200, "it does not catch up");
        cluster.propose(n(1), &format!("meanwhile {rounds}")).unwrap();
        cluster.tick(n(1));
        while cluster.deliver_where(|m| m.from != n(3) && m.to != n(3)) {}
        cluster.deliver_where(|m| m.to == n(3));
        cluster.deliver_where(|m| m.from == n(3));
    }
    assert_eq!(cluster.installed, 1);
    assert!(rounds > 8, "that was not slow: {rounds}");
}
