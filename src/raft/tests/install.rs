//! A snapshot on its way to a peer, by itself (§7, docs/adr/0008). The test plays the peer
//! and the keeper of the leader's snapshot files.

use bytes::Bytes;

use super::cluster::i;
use super::progress::{Peer, WIDE};
use super::solo::at;
use crate::raft::{InstallSnapshotResponse, ProgressState, SnapshotProgress, SnapshotRefusal};
use crate::types::{LogPosition, SnapshotId};

pub(super) fn snapshot(last: LogPosition) -> SnapshotId {
    SnapshotId { last, bytes: 45, digest: u128::from(last.index.0) }
}

impl Peer {
    /// A leader whose log of eight entries lacks the first four, and a peer that has two.
    pub(super) fn lagging() -> Peer {
        let mut peer = Peer::new(WIDE, &[1, 1, 1, 1, 2, 2, 2, 2], true);
        peer.base = at(4, 1);
        peer.heartbeat();
        assert_eq!(peer.sent(), [(8, 0)]);
        peer.conflict(1, 3, None);
        assert_eq!(peer.sent(), [(4, 0)], "no probe before the base");
        peer.conflict(2, 3, None);
        assert_eq!(peer.progress.state(), ProgressState::Snapshot);
        peer
    }

    /// The peer of [`Peer::lagging`], which is being sent the snapshot up to 6@2, and has
    /// `received` bytes of it.
    fn receiving(received: u64) -> Peer {
        let mut peer = Peer::lagging();
        peer.serve(at(6, 2));
        let question = peer.pieces.remove(0);
        assert_eq!((question.offset, question.bytes.len()), (0, 0));
        peer.received(question.request_seq, received);
        peer
    }

    /// Answers the reads of a snapshot until there are none.
    pub(super) fn serve(&mut self, last: LogPosition) {
        while let Some((ticket, wanted, offset, bytes_max)) = self.snapshot_reads.pop() {
            let id = wanted.unwrap_or(snapshot(last));
            let bytes = vec![7; bytes_max.min(id.bytes - offset) as usize];
            self.progress.on_snapshot_read(ticket, id, offset, Bytes::from(bytes));
            self.settle();
        }
    }

    fn received(&mut self, request_seq: u64, received: u64) {
        self.answer(request_seq, at(6, 2), received, false);
    }

    fn answer(&mut self, request_seq: u64, last: LogPosition, received: u64, is_installed: bool) {
        let response = InstallSnapshotResponse {
            request_seq,
            is_rejoining: false,
            last,
            received,
            is_installed,
            refusal: None,
        };
        self.progress.on_snapshot_response(response).expect("a sound peer");
        self.settle();
    }

    /// The pieces since they were last taken: number, offset and size.
    fn sent_pieces(&mut self) -> Vec<(u64, u64, usize)> {
        let describe = |piece: crate::raft::InstallSnapshot| {
            (piece.request_seq, piece.offset, piece.bytes.len())
        };
        self.pieces.drain(..).map(describe).collect()
    }
}

#[test]
fn a_peer_that_lacks_compacted_entries_is_asked_how_much_of_the_snapshot_it_has() {
    let mut peer = Peer::lagging();
    let (_, wanted, offset, bytes_max) = peer.snapshot_reads[0];
    assert_eq!((wanted, offset, bytes_max), (None, 0, 0));
    peer.serve(at(6, 2));
    assert_eq!(peer.sent_pieces(), [(3, 0, 0)]);
    assert_eq!(peer.snapshot_reads, [], "it waits for the answer");
}

#[test]
fn pieces_are_sent_in_a_window_and_one_is_read_ahead() {
    let mut peer = Peer::receiving(0);
    peer.serve(at(6, 2));
    assert_eq!(peer.sent_pieces(), [(4, 0, 10), (5, 10, 10), (6, 20, 10)]);
    peer.received(4, 10);
    assert_eq!(peer.sent_pieces(), [(7, 30, 10)], "this was read ahead");
    peer.serve(at(6, 2));
    assert_eq!(peer.sent_pieces(), []);
    peer.received(6, 30);
    assert_eq!(peer.sent_pieces(), [(8, 40, 5)], "an answer stands for all before it");
    peer.received(8, 45);
    assert_eq!((peer.sent_pieces(), peer.snapshot_reads.len()), (vec![], 0), "that was all");
}

#[test]
fn every_report_has_the_progress_of_an_install() {
    let mut peer = Peer::receiving(0);
    peer.serve(at(6, 2));
    peer.received(5, 20);
    peer.answer(6, at(6, 2), 45, true);
    let reported: Vec<_> = peer.reports.iter().map(|report| report.snapshot_progress).collect();
    let at = |acked_bytes| Some(SnapshotProgress { acked_bytes, bytes: 45 });
    assert_eq!(reported, [None, None, at(0), at(20), None]);
}

#[test]
fn an_install_goes_on_from_what_the_peer_has_already() {
    let mut peer = Peer::receiving(30);
    peer.serve(at(6, 2));
    assert_eq!(peer.sent_pieces(), [(4, 30, 10), (5, 40, 5)]);
}

/// docs/bugs.md B56 (openraft 946dc3f9): answers to earlier pieces do not move the
/// sending again.
#[test]
fn after_a_lost_piece_the_sending_goes_back_once() {
    let mut peer = Peer::receiving(0);
    peer.serve(at(6, 2));
    peer.sent_pieces();
    peer.received(5, 0); // the piece before it was lost
    peer.serve(at(6, 2));
    assert_eq!(peer.sent_pieces(), [(7, 0, 10), (8, 10, 10), (9, 20, 10)]);
    peer.received(6, 0);
    assert_eq!((peer.sent_pieces(), peer.snapshot_reads.len()), (vec![], 0), "it is an old one");
    peer.received(7, 10);
    assert_eq!(peer.sent_pieces(), [(10, 30, 10)]);
}

/// docs/bugs.md B56 (camunda 14671): answers about another snapshot, or of another
/// connection, do not move it, either.
#[test]
fn answers_to_another_install_are_ignored() {
    let mut peer = Peer::receiving(0);
    peer.serve(at(6, 2));
    peer.sent_pieces();
    peer.answer(4, at(7, 2), 10, true);
    assert_eq!(peer.progress.state(), ProgressState::Snapshot);
    peer.progress.on_disconnected();
    peer.progress.on_connected();
    peer.settle();
    assert_eq!(peer.sent(), [(4, 0)]);
    peer.conflict(7, 3, None);
    peer.serve(at(6, 2));
    assert_eq!(peer.sent_pieces(), [(8, 0, 0)]);
    peer.received(5, 20);
    peer.answer(6, at(6, 2), 45, true);
    assert_eq!((peer.sent_pieces(), peer.snapshot_reads.len()), (vec![], 0));
    assert_eq!(peer.progress.match_index(), i(0));
    peer.received(8, 20);
    peer.serve(at(6, 2));
    assert_eq!(peer.sent_pieces()[0].1, 20);
}

#[test]
fn a_new_connection_goes_on_with_the_same_snapshot_if_it_is_still_there() {
    let mut peer = Peer::receiving(0);
    for is_still_there in [true, false] {
        peer.progress.on_disconnected();
        peer.progress.on_connected();
        peer.settle();
        let probe = peer.requests_sent();
        peer.conflict(probe, 3, None);
        let (ticket, wanted, offset, bytes_max) = peer.snapshot_reads.pop().unwrap();
        assert_eq!((wanted, offset, bytes_max), (Some(snapshot(at(6, 2))), 0, 0));
        if is_still_there {
            let id = snapshot(at(6, 2));
            peer.progress.on_snapshot_read(ticket, id, 0, Bytes::new());
        } else {
            peer.progress.on_snapshot_gone(ticket);
        }
        peer.settle();
    }
    let probe = peer.requests_sent();
    peer.conflict(probe, 3, None);
    assert_eq!(peer.snapshot_reads.pop().unwrap().1, None, "now the newest");
}

#[test]
fn heartbeats_go_on_during_an_install_and_their_conflicts_are_ignored() {
    let mut peer = Peer::receiving(0);
    peer.heartbeat();
    assert_eq!(peer.sent(), [(4, 0)]);
    peer.conflict(4, 3, None);
    assert_eq!((peer.progress.state(), peer.sent()), (ProgressState::Snapshot, vec![]));
    assert_eq!(peer.reports.last().unwrap().keep_log_from, Some(i(6)));
    peer.succeed(4, 2);
    assert_eq!(peer.progress.state(), ProgressState::Replicate, "it has what it needs after all");
    assert_eq!(peer.reports.last().unwrap().keep_log_from, None);
}

#[test]
fn a_peer_that_was_not_heard_since_the_last_heartbeat_is_asked_again() {
    let mut peer = Peer::receiving(0);
    peer.serve(at(6, 2));
    peer.sent_pieces();
    peer.heartbeat();
    assert_eq!(peer.sent_pieces(), [], "it has just been heard");
    peer.heartbeat();
    let questions = peer.sent_pieces();
    assert_eq!((questions[0].1, questions[0].2), (30, 0));
    peer.received(questions[0].0, 10);
    peer.serve(at(6, 2));
    assert_eq!(peer.sent_pieces()[0].1, 10, "all but the first piece was lost");
}

#[test]
fn a_peer_that_has_installed_the_snapshot_gets_the_entries_after_it() {
    let mut peer = Peer::receiving(40);
    peer.serve(at(6, 2));
    peer.sent();
    peer.answer(4, at(6, 2), 0, true);
    assert_eq!((peer.progress.match_index(), peer.progress.next_index()), (i(6), i(7)));
    assert_eq!(peer.sent(), [(6, 0)]);
    assert_eq!(peer.reports.last().unwrap().match_index, i(6));
}

/// docs/bugs.md B60 (consul 9609): the log is kept until the peer has caught up. Otherwise
/// it would need the next snapshot, and the next.
#[test]
fn the_log_is_needed_until_the_peer_has_caught_up() {
    let mut peer = Peer::receiving(40);
    peer.serve(at(6, 2));
    peer.answer(4, at(6, 2), 0, true);
    assert_eq!(peer.reports.last().unwrap().keep_log_from, Some(i(6)));
    peer.replicate(&["later"], false);
    peer.succeed(5, 7);
    assert_eq!(peer.reports.last().unwrap().keep_log_from, Some(i(7)));
    peer.succeed(5, 8);
    assert_eq!(peer.reports.last().unwrap().keep_log_from, None, "later entries do not count");
}

#[test]
fn a_peer_whose_next_entry_is_compacted_away_is_probed_again() {
    let mut peer = Peer::new(WIDE, &[1, 1, 1, 1, 2, 2, 2, 2], true);
    peer.heartbeat();
    peer.conflict(1, 3, None);
    peer.succeed(2, 2);
    assert_eq!(peer.progress.state(), ProgressState::Replicate);
    let (ticket, from, _) = peer.reads[0];
    assert_eq!(from, i(3));
    peer.sent();
    peer.base = at(4, 1);
    peer.replicate(&[], false);
    assert_eq!(peer.sent(), [(4, 0)]);
    peer.progress.on_entries_read(ticket, Vec::new());
    peer.settle();
    peer.conflict(3, 3, None);
    assert_eq!(peer.progress.state(), ProgressState::Snapshot);
    peer.base = at(6, 2);
    peer.replicate(&[], true);
    assert_eq!(peer.sent(), [(6, 0)], "the heartbeats move on, the install stays");
    assert_eq!(peer.progress.state(), ProgressState::Snapshot);
}

/// docs/bugs.md B26: a log may be compacted faster than the peer answers.
#[test]
fn the_answer_to_a_probe_counts_though_its_place_is_compacted_away() {
    let mut peer = Peer::new(WIDE, &[1, 1, 1, 1, 2, 2, 2, 2], true);
    peer.base = at(4, 1);
    peer.heartbeat();
    peer.conflict(1, 3, None);
    assert_eq!(peer.sent(), [(8, 0), (4, 0)]);
    peer.base = at(6, 2);
    peer.replicate(&[], false);
    assert_eq!(peer.sent(), [], "one probe at a time");
    peer.conflict(2, 3, None);
    assert_eq!(peer.progress.state(), ProgressState::Snapshot);
}

/// A peer that acknowledged the base and denies it now is broken: no snapshot helps.
#[test]
fn a_peer_that_denies_what_it_acknowledged_gets_no_snapshot() {
    let mut peer = Peer::new(WIDE, &[1, 1, 1, 1], true);
    peer.heartbeat();
    peer.succeed(1, 4);
    peer.base = at(4, 1);
    peer.heartbeat();
    peer.progress.on_disconnected();
    peer.progress.on_connected();
    peer.settle();
    let probe = peer.requests_sent();
    peer.conflict(probe, 1, None);
    assert_eq!((peer.progress.state(), peer.snapshot_reads.len()), (ProgressState::Probe, 0));
}

/// A read of entries that was under way when the install began does not hold up the reads
/// after it.
#[test]
fn entries_are_read_again_when_a_peer_turns_out_to_need_no_snapshot() {
    let mut peer = Peer::new(WIDE, &[1, 1, 1, 1, 1, 1, 1, 1], true);
    peer.base = at(4, 1);
    peer.heartbeat();
    peer.conflict(1, 5, None);
    peer.succeed(2, 0);
    let late = peer.reads.remove(0);
    assert_eq!((late.1, late.2), (i(5), i(8)));
    peer.conflict(2, 3, None);
    assert_eq!(peer.progress.state(), ProgressState::Snapshot);
    peer.heartbeat();
    peer.succeed(3, 4);
    assert_eq!(peer.progress.state(), ProgressState::Replicate);
    let read = peer.reads.remove(0);
    assert_eq!((read.1, read.2), (i(5), i(8)));
    peer.progress.on_entries_read(late.0, Vec::new());
    peer.settle();
    assert_eq!(peer.reads, [], "the late answer changes nothing");
}

// Failures (docs/adr/0017).

impl Peer {
    /// The peer refuses the piece with this number.
    fn refuse(&mut self, request_seq: u64, refusal: SnapshotRefusal) {
        let response = InstallSnapshotResponse {
            request_seq,
            is_rejoining: false,
            last: at(6, 2),
            received: 0,
            is_installed: false,
            refusal: Some(refusal),
        };
        self.progress.on_snapshot_response(response).expect("a sound peer");
        self.settle();
    }

    /// The heartbeats until the snapshot is offered again.
    fn heartbeats_until_offered(&mut self) -> u32 {
        let mut heartbeats = 0;
        loop {
            self.heartbeat();
            heartbeats += 1;
            assert!(heartbeats < 1000, "it is never offered again");
            assert_eq!(self.sent_pieces(), [], "nothing is sent in the pause");
            if !self.snapshot_reads.is_empty() {
                return heartbeats;
            }
        }
    }
}

/// docs/bugs.md C2: a peer without room would be sent the snapshot at full speed for ever.
#[test]
fn a_refused_snapshot_is_sent_again_after_a_pause_that_grows() {
    let mut peer = Peer::receiving(0);
    peer.serve(at(6, 2));
    let mut pauses = Vec::new();
    for _ in 0..10 {
        let pieces = peer.sent_pieces();
        let (first, offset, _) = pieces[0];
        assert_eq!((offset, pieces.len()), (0, 3));
        peer.refuse(first, SnapshotRefusal::NoRoom);
        // The pieces after it are answered, too.
        peer.received(first + 1, 0);
        peer.refuse(first + 2, SnapshotRefusal::NoRoom);
        assert_eq!((peer.sent_pieces(), peer.snapshot_reads.len()), (vec![], 0));
        assert_eq!(peer.reports.last().unwrap().snapshot_refusal, Some(SnapshotRefusal::NoRoom));
        pauses.push(peer.heartbeats_until_offered());
        peer.serve(at(6, 2));
        let question = peer.pieces.remove(0);
        assert_eq!((question.offset, question.bytes.len()), (0, 0));
        peer.received(question.request_seq, 0);
        peer.serve(at(6, 2));
    }
    assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 64, 64, 64, 64]);
}

/// A peer that loses what it acknowledged, and does not say why, is no better.
#[test]
fn a_peer_that_has_lost_what_it_acknowledged_is_sent_the_snapshot_after_a_pause() {
    let mut peer = Peer::receiving(0);
    peer.serve(at(6, 2));
    peer.received(6, 30);
    peer.serve(at(6, 2));
    let (next, ..) = peer.sent_pieces()[3];
    peer.received(next, 0);
    assert_eq!((peer.sent_pieces(), peer.snapshot_reads.len()), (vec![], 0));
    assert_eq!(peer.heartbeats_until_offered(), 1);
    assert_eq!(peer.reports.last().unwrap().snapshot_refusal, None);
}

#[test]
fn the_pause_outlives_the_connection_and_ends_with_the_install() {
    let mut peer = Peer::receiving(0);
    peer.serve(at(6, 2));
    for _ in 0..3 {
        let (first, ..) = peer.sent_pieces()[0];
        peer.refuse(first, SnapshotRefusal::Unusable);
        peer.heartbeats_until_offered();
        peer.serve(at(6, 2));
        let question = peer.pieces.remove(0);
        peer.received(question.request_seq, 0);
        peer.serve(at(6, 2));
    }
    let (first, ..) = peer.sent_pieces()[0];
    peer.refuse(first, SnapshotRefusal::Unusable);
    peer.progress.on_disconnected();
    peer.progress.on_connected();
    peer.settle();
    let probe = peer.requests_sent();
    peer.conflict(probe, 3, None);
    assert_eq!(peer.progress.state(), ProgressState::Snapshot);
    assert_eq!(peer.snapshot_reads, []);
    assert_eq!(peer.heartbeats_until_offered(), 8);
    peer.serve(at(6, 2));
    let question = peer.pieces.remove(0);
    peer.received(question.request_seq, 40);
    assert_eq!(peer.reports.last().unwrap().snapshot_refusal, None, "further than ever");
    peer.serve(at(6, 2));
    let (last, ..) = peer.sent_pieces()[0];
    peer.answer(last, at(6, 2), 0, true);
    assert_eq!(peer.reports.last().unwrap().snapshot_refusal, None);
    assert_eq!(peer.reports.last().unwrap().match_index, i(6));
}
