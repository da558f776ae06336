//! A peer's replication by itself: [`Progress`]. The test plays the peer and the log that
//! entries are read from.

use std::sync::Arc;

use super::cluster::{command, i, log_of};
use super::disk::runs_of;
use super::solo::at;
use crate::raft::{
    AppendEntries, AppendEntriesResponse, AppendResult, InstallSnapshot, PeerLoss, Progress,
    ProgressAction, ProgressSettings, ProgressState, ReadEntries, ReadSnapshot, Replicate,
    ReplicationReport, SendMode,
};
use crate::types::{ENTRY_OVERHEAD_BYTES, Entry, LogIndex, LogPosition, SnapshotId, Term};

pub(super) const WIDE: ProgressSettings = ProgressSettings {
    append_entries_max: 100,
    append_bytes_max: 100_000,
    inflight_entries_max: 100,
    inflight_bytes_max: 100_000,
    snapshot_piece_bytes: 10,
    snapshot_window_bytes: 25,
};

/// The replication of a leader of term 7 to one peer, and what it sent.
pub(super) struct Peer {
    pub(super) progress: Progress,
    log: Vec<Entry>,
    requests: Vec<AppendEntries>,
    pub(super) reports: Vec<ReplicationReport>,
    pub(super) reads: Vec<(u64, LogIndex, LogIndex)>,
    pub(super) base: LogPosition,
    pub(super) pieces: Vec<InstallSnapshot>,
    pub(super) snapshot_reads: Vec<SnapshotRead>,
    /// The words to the peer that it has lost what it acknowledged.
    words: Vec<LogPosition>,
    pauses: usize,
}

/// A read of a snapshot: ticket, snapshot, offset and size.
pub(super) type SnapshotRead = (u64, Option<SnapshotId>, u64, u64);

impl Peer {
    /// A peer of a leader whose log had these terms before it was elected.
    pub(super) fn new(settings: ProgressSettings, terms: &[u64], is_connected: bool) -> Peer {
        let log = log_of(terms);
        let progress = Progress::new(settings, Term(7), runs_of(&log), is_connected);
        Peer {
            progress,
            log,
            requests: Vec::new(),
            reports: Vec::new(),
            reads: Vec::new(),
            base: LogPosition::default(),
            pieces: Vec::new(),
            snapshot_reads: Vec::new(),
            words: Vec::new(),
            pauses: 0,
        }
    }

    /// A peer that is known to have all of an empty log, and whose requests are pipelined.
    pub(super) fn replicating(settings: ProgressSettings) -> Peer {
        let mut peer = Peer::new(settings, &[], true);
        peer.heartbeat();
        let probe = peer.requests.remove(0);
        peer.succeed(probe.request_seq, 0);
        assert_eq!(peer.progress.state(), ProgressState::Replicate);
        peer
    }

    pub(super) fn settle(&mut self) {
        for action in self.progress.take_actions() {
            match action {
                ProgressAction::Send(request) => self.requests.push(request),
                ProgressAction::ReadSnapshot(ReadSnapshot {
                    ticket,
                    snapshot,
                    offset,
                    bytes_max,
                }) => {
                    self.snapshot_reads.push((ticket, snapshot, offset, bytes_max));
                }
                ProgressAction::SendSnapshot(piece) => self.pieces.push(piece),
                ProgressAction::SendForgotten(word) => self.words.push(word.acknowledged),
                ProgressAction::Pause => self.pauses += 1,
                ProgressAction::Report(report) => self.reports.push(report),
                ProgressAction::ReadEntries(ReadEntries { ticket, from, to, .. }) => {
                    self.reads.push((ticket, from, to));
                }
            }
        }
    }

    pub(super) fn heartbeat(&mut self) {
        self.replicate(&[], true);
    }

    fn order(&mut self, entries: Arc<[Entry]>, read_seq: u64, heartbeat: bool) {
        self.progress.replicate(&Replicate {
            term: Term(7),
            base: self.base,
            entries,
            leader_commit: i(0),
            read_seq,
            heartbeat,
        });
    }

    pub(super) fn ask_round(&mut self, read_seq: u64) {
        self.order(Vec::new().into(), read_seq, false);
        self.settle();
    }

    pub(super) fn replicate(&mut self, texts: &[&str], heartbeat: bool) {
        let mut entries = Vec::new();
        for text in texts {
            let index = LogIndex(self.log.len() as u64 + 1);
            let entry = Entry { index, term: Term(7), stamp_ms: 0, payload: command(text) };
            self.log.push(entry.clone());
            entries.push(entry);
        }
        self.order(entries.into(), 0, heartbeat);
        self.settle();
    }

    fn end_pause(&mut self) {
        self.progress.on_pause_over();
        self.settle();
    }

    /// The number of the last request that was not taken.
    fn newest(&self) -> u64 {
        self.requests.last().map_or(0, |request| request.request_seq)
    }

    /// The rounds that were asked for since they were last taken.
    fn rounds(&mut self) -> Vec<u64> {
        self.requests.drain(..).map(|request| request.read_seq).collect()
    }

    pub(super) fn succeed(&mut self, request_seq: u64, match_index: u64) {
        self.respond(request_seq, AppendResult::Success { match_index: LogIndex(match_index) });
    }

    pub(super) fn conflict(
        &mut self,
        request_seq: u64,
        conflict_index: u64,
        conflict_term: Option<u64>,
    ) {
        let conflict_index = LogIndex(conflict_index);
        let conflict_term = conflict_term.map(Term);
        self.respond(request_seq, AppendResult::Conflict { conflict_index, conflict_term });
    }

    pub(super) fn respond(&mut self, request_seq: u64, result: AppendResult) {
        let response =
            AppendEntriesResponse { request_seq, read_seq: 0, is_rejoining: false, result };
        self.progress.on_response(response).expect("a sound peer");
        self.settle();
    }

    /// Answers the oldest read of the log with at most this many entries.
    fn answer_read(&mut self, entries_max: usize) {
        let (ticket, from, to) = self.reads.remove(0);
        let entries = &self.log[from.prev().0 as usize..to.0 as usize];
        let entries = entries[..entries.len().min(entries_max)].to_vec();
        self.progress.on_entries_read(ticket, entries);
        self.settle();
    }

    /// The number of the last AppendEntries request.
    pub(super) fn requests_sent(&mut self) -> u64 {
        let last = self.requests.last().map_or(0, |request| request.request_seq);
        self.requests.clear();
        last
    }

    /// The requests since they were last taken: the place where each begins, and its number
    /// of entries.
    pub(super) fn sent(&mut self) -> Vec<(u64, usize)> {
        self.requests.drain(..).map(|r| (r.prev.index.0, r.entries.len())).collect()
    }
}

/// Figure 2: "nextIndex[], initialized to leader last log index + 1; matchIndex[],
/// initialized to 0".
#[test]
fn a_new_leader_probes_after_the_end_of_its_log_with_one_request() {
    let mut peer = Peer::new(WIDE, &[1, 1, 4], true);
    assert_eq!((peer.progress.next_index(), peer.progress.match_index()), (i(4), i(0)));
    peer.replicate(&["noop"], true);
    assert_eq!(peer.sent(), [(3, 1)]);
    peer.replicate(&["a"], false);
    assert_eq!(peer.sent(), [], "one at a time, as long as it probes");
    peer.succeed(1, 4);
    assert_eq!(peer.sent(), [(4, 1)]);
    assert_eq!(peer.progress.state(), ProgressState::Replicate);
}

/// The next heartbeat takes the place of a probe that was lost.
#[test]
fn a_lost_probe_does_not_stop_the_replication() {
    let mut peer = Peer::new(WIDE, &[1], true);
    peer.replicate(&["noop"], true);
    assert_eq!(peer.sent(), [(1, 1)]);
    peer.heartbeat();
    assert_eq!(peer.sent(), [(1, 0)]);
    peer.succeed(2, 1);
    assert_eq!(peer.sent(), [(1, 1)]);
}

/// Requests are pipelined: the next does not wait for the answer to the one before.
#[test]
fn requests_are_pipelined_as_long_as_the_window_has_room() {
    let settings = ProgressSettings { append_entries_max: 2, inflight_entries_max: 5, ..WIDE };
    let mut peer = Peer::replicating(settings);
    peer.replicate(&["a", "b", "c"], false);
    assert_eq!(peer.sent(), [(0, 2), (2, 1)]);
    peer.replicate(&["d", "e", "f", "g"], false);
    assert_eq!(peer.sent(), [(3, 2)], "five are under way");
    assert_eq!(peer.progress.inflight_entries(), 5);
    peer.succeed(2, 1);
    assert_eq!(peer.sent(), [], "half a request frees nothing");
    peer.succeed(2, 2);
    assert_eq!(peer.sent(), [(5, 2)]);
    peer.succeed(4, 7);
    assert_eq!(peer.progress.inflight_entries(), 0);
}

/// docs/adr/0014: no commit waits for the peer, so it gets fewer and larger requests.
#[test]
fn a_batched_peer_is_sent_the_next_request_after_an_answer_and_a_pause() {
    let mut peer = Peer::replicating(WIDE);
    peer.sent();
    peer.progress.set_send_mode(SendMode::Batched);
    peer.replicate(&["a"], false);
    assert_eq!((peer.sent(), peer.pauses), (vec![(0, 1)], 1), "a lone entry waits for nothing");
    peer.replicate(&["b"], false);
    peer.succeed(2, 1);
    assert_eq!(peer.sent(), [], "it has answered, but the pause is not over");
    peer.replicate(&["c"], false);
    peer.end_pause();
    assert_eq!((peer.sent(), peer.pauses), (vec![(1, 2)], 2));
    peer.end_pause();
    peer.replicate(&["d"], false);
    assert_eq!(peer.sent(), [], "the pause is over, but it has not answered");
    peer.succeed(3, 3);
    assert_eq!((peer.sent(), peer.pauses), (vec![(3, 1)], 3));
    peer.end_pause();
    peer.succeed(4, 4);
    assert_eq!((peer.sent(), peer.pauses), (vec![], 3), "nothing to say, nothing to pause for");
}

/// A batched peer is not asked for every round of reads, but it gets every heartbeat.
#[test]
fn a_batched_peer_is_asked_for_the_newest_round_only_but_always_gets_heartbeats() {
    let mut peer = Peer::replicating(WIDE);
    peer.sent();
    peer.progress.set_send_mode(SendMode::Batched);
    for read_seq in 1..=3 {
        peer.order(Arc::new([]), read_seq, false);
        peer.settle();
    }
    assert_eq!(peer.rounds(), [1]);
    peer.end_pause();
    peer.succeed(2, 0);
    assert_eq!(peer.rounds(), [3]);
    peer.replicate(&["a"], true);
    assert_eq!(peer.sent(), [(0, 0)]);
}

/// docs/adr/0031: the peer's clients wait for entries, and no read waits for the peer's answers.
#[test]
fn a_peer_whose_clients_wait_is_sent_entries_at_once_and_rounds_in_batches() {
    let mut peer = Peer::replicating(WIDE);
    peer.sent();
    peer.progress.set_send_mode(SendMode::EntriesAtOnce);
    for read_seq in 1..=3 {
        peer.order(Arc::new([]), read_seq, false);
        peer.settle();
    }
    assert_eq!((peer.rounds(), peer.pauses), (vec![1], 1));
    peer.succeed(2, 0);
    assert!(peer.rounds().is_empty(), "it has answered, but the pause is not over");
    peer.end_pause();
    assert_eq!((peer.rounds(), peer.pauses), (vec![3], 2));
    peer.replicate(&["a"], false);
    peer.replicate(&["b"], false);
    assert_eq!((peer.sent(), peer.pauses), (vec![(0, 1), (1, 1)], 2), "entries wait for nothing");
    peer.end_pause();
    assert!(peer.rounds().is_empty(), "no round is new");
}

/// A commit waits for the peer from here on.
#[test]
fn a_peer_that_is_no_longer_batched_is_sent_at_once_what_it_lacks() {
    let mut peer = Peer::replicating(WIDE);
    peer.progress.set_send_mode(SendMode::Batched);
    peer.replicate(&["a"], false);
    peer.replicate(&["b"], false);
    peer.sent();
    peer.progress.set_send_mode(SendMode::Immediate);
    peer.settle();
    assert_eq!(peer.sent(), [(1, 1)]);
}

/// A batched peer is probed at once, and it catches up by whole windows.
#[test]
fn a_batched_peer_is_probed_and_caught_up_as_others_are() {
    let settings = ProgressSettings { append_entries_max: 2, inflight_entries_max: 4, ..WIDE };
    let mut peer = Peer::new(settings, &[], true);
    peer.progress.set_send_mode(SendMode::Batched);
    peer.replicate(&["a", "b", "c", "d", "e"], true);
    assert_eq!((peer.sent(), peer.pauses), (vec![(0, 2)], 0));
    peer.conflict(1, 1, None);
    peer.heartbeat();
    peer.succeed(2, 0);
    assert_eq!(peer.sent(), [(0, 0), (0, 2), (2, 2)], "a window, of as many requests as it takes");
}

/// The window is bounded in bytes as well; an entry that is larger than a request goes alone.
#[test]
fn requests_and_the_window_are_bounded_in_bytes_too() {
    let large = "x".repeat(500);
    let settings = ProgressSettings {
        append_bytes_max: 2 * (ENTRY_OVERHEAD_BYTES + 1),
        inflight_bytes_max: 3 * (ENTRY_OVERHEAD_BYTES + 1) + ENTRY_OVERHEAD_BYTES + 500,
        ..WIDE
    };
    let mut peer = Peer::replicating(settings);
    peer.replicate(&["a", "b", "c", &large], false);
    assert_eq!(peer.sent(), [(0, 2), (2, 1), (3, 1)]);
    peer.replicate(&["d"], false);
    assert_eq!(peer.sent(), [], "the window is full");
    peer.succeed(3, 3);
    assert_eq!(peer.sent(), [(4, 1)]);
}

/// Heartbeats do not wait for the window, and have no entries that would fill it.
#[test]
fn a_full_window_holds_no_heartbeat_back() {
    let settings = ProgressSettings { inflight_entries_max: 1, ..WIDE };
    let mut peer = Peer::replicating(settings);
    peer.replicate(&["a"], false);
    peer.replicate(&["b"], true);
    assert_eq!(peer.sent(), [(0, 1), (1, 0)]);
    assert_eq!(peer.progress.inflight_entries(), 1);
}

/// Entries that are not at hand are read from the log, one page at a time.
#[test]
fn a_peer_that_lags_is_served_from_the_log() {
    let mut peer = Peer::new(WIDE, &[1, 1, 1, 2, 2, 2], true);
    peer.replicate(&["noop"], true);
    peer.conflict(1, 2, None);
    assert_eq!(peer.sent(), [(6, 1), (1, 0)], "an empty probe: nothing is at hand");
    peer.succeed(2, 1);
    assert_eq!(peer.reads, [(peer.reads[0].0, i(2), i(6))]);
    peer.replicate(&["a"], false);
    assert_eq!(peer.reads.len(), 1, "one read at a time");
    peer.answer_read(3);
    assert_eq!(peer.sent(), [(1, 3)]);
    assert_eq!((peer.reads[0].1, peer.reads[0].2), (i(5), i(6)));
    peer.answer_read(9);
    assert_eq!(peer.sent(), [(4, 2), (6, 2)], "and then what is at hand");
}

/// Not all entries that a slow peer lacks are kept at hand: the rest is read again.
#[test]
fn the_entries_at_hand_are_bounded() {
    let entry = ENTRY_OVERHEAD_BYTES + 1;
    let settings = ProgressSettings { inflight_bytes_max: 3 * entry, ..WIDE };
    let mut peer = Peer::replicating(settings);
    peer.replicate(&["a", "b", "c"], false);
    assert_eq!(peer.sent(), [(0, 3)]);
    peer.replicate(&["d", "e", "f", "g", "h"], false);
    peer.succeed(2, 3);
    assert_eq!(peer.sent(), []);
    assert_eq!((peer.reads[0].1, peer.reads[0].2), (i(4), i(5)), "6 to 8 are at hand");
    peer.answer_read(9);
    assert_eq!(peer.sent(), [(3, 2), (5, 3)]);
}

/// Entries that were asked for before the next index changed are dropped, and so are entries
/// that do not follow it.
#[test]
fn an_outdated_answer_of_the_log_is_dropped() {
    let mut peer = Peer::new(WIDE, &[1, 1, 1, 2, 2, 2], true);
    peer.replicate(&["noop"], true);
    peer.conflict(1, 4, None);
    peer.succeed(2, 3);
    peer.sent();
    let (ticket, ..) = peer.reads.remove(0);
    peer.conflict(2, 2, None); // no news: 3 is acknowledged
    peer.progress.on_disconnected();
    peer.progress.on_connected();
    peer.settle();
    peer.sent();
    let entries = peer.log[3..].to_vec();
    peer.progress.on_entries_read(ticket, entries);
    peer.settle();
    assert_eq!(peer.sent(), [], "of before the disconnection");
    peer.succeed(3, 3);
    let (ticket, from, _) = peer.reads.remove(0);
    assert_eq!(from, i(4));
    peer.progress.on_entries_read(ticket, log_of(&[1, 1, 1, 9])[3..].to_vec());
    peer.settle();
    assert_eq!(peer.sent(), [], "not of this leader's log");
    assert_eq!(peer.reads.len(), 1, "so it is asked again");
}

/// A log that has none of the entries is not asked again at once.
#[test]
fn a_log_that_gives_nothing_is_asked_again_at_a_heartbeat() {
    let mut peer = Peer::new(WIDE, &[1, 1, 1, 2, 2, 2], true);
    peer.replicate(&["noop"], true);
    peer.conflict(1, 4, None);
    peer.succeed(2, 3);
    let (ticket, from, _) = peer.reads.remove(0);
    peer.progress.on_entries_read(ticket, Vec::new());
    peer.settle();
    assert_eq!(peer.reads, []);
    peer.heartbeat();
    let again: Vec<_> = peer.reads.iter().map(|(_, from, _)| *from).collect();
    assert_eq!(again, [from]);
}

/// §5.3: "the leader ... decrements nextIndex to bypass all of the conflicting
/// entries in that term".
#[test]
fn a_conflict_is_bypassed_term_by_term() {
    for (terms, hint, expected) in [
        // The peer's log is shorter.
        (&[1, 1, 1, 4, 4][..], (3, None), 2),
        // The leader has no entry of the peer's term: it goes before that term.
        (&[1, 1, 1, 4, 4], (3, Some(2)), 2),
        (&[1, 1, 1, 4, 4], (2, Some(3)), 1),
        // The leader has entries of it: it tries right after its last one.
        (&[1, 1, 4, 4, 6], (2, Some(1)), 2),
        (&[1, 4, 4, 4, 6], (2, Some(4)), 4),
        (&[1, 1, 1, 1, 6], (1, Some(1)), 4),
    ] {
        let mut peer = Peer::new(WIDE, terms, true);
        peer.heartbeat();
        peer.sent();
        peer.conflict(1, hint.0, hint.1);
        assert_eq!(peer.sent(), [(expected, 0)], "{terms:?} and {hint:?}");
    }
}

/// docs/bugs.md B30 (openraft fbbf37b1): only the first conflict of a search counts; an
/// older one never takes back what is known.
#[test]
fn a_stale_conflict_is_ignored() {
    let settings = ProgressSettings { append_entries_max: 1, ..WIDE };
    let mut peer = Peer::replicating(settings);
    peer.replicate(&["a", "b", "c", "d"], false); // requests 2 to 5
    peer.succeed(2, 1);
    peer.sent();
    peer.conflict(4, 2, None); // request 3 was lost
    assert_eq!(peer.sent(), [(1, 1)]);
    peer.conflict(5, 2, None);
    assert_eq!(peer.sent(), [], "it answers a request of before the look");
    peer.succeed(6, 2);
    assert_eq!(peer.sent(), [(2, 1), (3, 1)]);
    peer.conflict(4, 1, None);
    assert_eq!((peer.progress.match_index(), peer.progress.next_index()), (i(2), i(5)));
    assert_eq!(peer.sent(), []);
}

/// docs/bugs.md B27 (raft-rs 555): in whatever order answers come, next stays above match.
#[test]
fn no_order_of_answers_moves_the_next_index_below_the_match_index() {
    let answers: [&dyn Fn(&mut Peer); 5] = [
        &|peer| peer.succeed(2, 3),
        &|peer| peer.conflict(3, 1, None),
        &|peer| peer.conflict(4, 1, Some(1)),
        &|peer| peer.succeed(5, 2),
        &|peer| peer.conflict(5, 4, None),
    ];
    for first in 0..answers.len() {
        for second in 0..answers.len() {
            for third in 0..answers.len() {
                let mut peer = Peer::replicating(WIDE);
                for text in ["a", "b", "c", "d"] {
                    peer.replicate(&[text], false);
                }
                for answer in [first, second, third] {
                    answers[answer](&mut peer);
                    assert!(peer.progress.match_index() < peer.progress.next_index());
                }
            }
        }
    }
}

/// docs/bugs.md B52 (TigerBeetle 2996): a peer that lost what it had acknowledged is told so, and
/// must not be asked again as soon as it answers.
#[test]
fn a_peer_that_lost_what_it_acknowledged_is_asked_at_heartbeats_only() {
    let mut peer = Peer::replicating(WIDE);
    peer.replicate(&["a", "b"], false);
    peer.succeed(2, 2);
    peer.progress.on_disconnected();
    peer.progress.on_connected();
    peer.settle();
    peer.sent();
    peer.reports.clear();
    peer.conflict(3, 1, None);
    assert_eq!(peer.sent(), [], "it has entry 2, or nothing that it says is true");
    assert_eq!(std::mem::take(&mut peer.words), [at(2, 7)]);
    let loss = PeerLoss { acknowledged: at(2, 7), held: i(0) };
    assert_eq!(peer.reports.last().map(|report| report.loss), Some(Some(loss)));
    peer.conflict(3, 1, None);
    assert_eq!((peer.sent(), peer.words.len()), (vec![], 0), "a repeated answer");
    peer.heartbeat();
    assert_eq!(peer.sent(), [(2, 0)]);
    peer.conflict(4, 1, None);
    assert_eq!(peer.sent(), []);
    assert_eq!(std::mem::take(&mut peer.words), [at(2, 7)], "the word may be lost");
    assert_eq!(peer.reports.last().map(|report| report.loss), Some(None), "it is known");
    assert!(peer.reports.iter().all(|report| report.is_rejoining), "its answers do not count");
}

/// It holds some entries, then, and is rejoining: it is sent what it lost.
#[test]
fn a_peer_that_was_told_is_sent_what_it_lost() {
    let mut peer = Peer::replicating(WIDE);
    peer.replicate(&["a", "b", "c"], false);
    peer.succeed(2, 3);
    peer.heartbeat();
    peer.sent();
    peer.conflict(3, 2, None);
    assert_eq!(peer.sent(), []);
    peer.heartbeat();
    peer.conflict(4, 2, None);
    assert_eq!((peer.sent(), peer.words.len()), (vec![(3, 0)], 1));
    peer.heartbeat();
    peer.sent();
    let response = AppendEntriesResponse {
        request_seq: 5,
        read_seq: 0,
        is_rejoining: true,
        result: AppendResult::Conflict { conflict_index: i(2), conflict_term: None },
    };
    peer.progress.on_response(response).expect("a sound peer");
    peer.settle();
    assert_eq!(peer.progress.match_index(), i(1));
    assert_eq!(peer.sent(), [(1, 0)]);
}

/// The same conflict, answered before the peer had the entry, and delivered after its
/// acknowledgement.
#[test]
fn a_conflict_that_an_acknowledgement_has_overtaken_is_no_proof() {
    let settings = ProgressSettings { append_entries_max: 1, ..WIDE };
    let mut peer = Peer::replicating(settings);
    peer.replicate(&["a", "b"], false); // requests 2 and 3; request 3 arrives first
    peer.succeed(2, 1);
    peer.replicate(&["c"], false);
    peer.succeed(4, 3);
    peer.sent();
    peer.conflict(3, 1, None);
    peer.conflict(3, 1, None);
    assert_eq!((peer.sent(), peer.words.len()), (vec![], 0));
    assert!(peer.reports.iter().all(|report| report.loss.is_none() && !report.is_rejoining));
    peer.heartbeat();
    peer.succeed(5, 3);
    peer.replicate(&["d"], false);
    assert_eq!(peer.sent(), [(3, 0), (3, 1)], "replication goes on");
}

/// docs/bugs.md B29 (etcd-raft e419ba5): the counters of the window return to zero,
/// whatever is lost.
#[test]
fn the_window_leaks_nothing_whatever_is_lost() {
    let settings = ProgressSettings { append_entries_max: 2, inflight_entries_max: 6, ..WIDE };
    let mut peer = Peer::replicating(settings);
    for round in 0..50 {
        peer.replicate(&["a", "b", "c", "d"], round % 3 == 0);
        let last = peer.log.len() as u64;
        match round % 5 {
            0 => {
                peer.progress.on_disconnected();
                assert_eq!(peer.progress.inflight_entries(), 0);
                peer.progress.on_connected();
                peer.settle();
            }
            1 => peer.conflict(peer.newest(), last, None),
            2 => peer.succeed(1, last - 3),
            _ => {}
        }
        peer.succeed(peer.newest(), last);
        while !peer.reads.is_empty() {
            peer.answer_read(2);
        }
        peer.succeed(peer.newest(), last);
        assert_eq!(peer.progress.inflight_entries(), 0, "round {round}");
        assert_eq!(peer.progress.match_index(), i(last));
    }
}

/// The requests on a connection are lost with it. On the next one the end of the peer's log
/// is looked for again, after the acknowledged entries.
#[test]
fn a_new_connection_begins_with_a_probe() {
    let mut peer = Peer::replicating(WIDE);
    peer.replicate(&["a", "b"], false);
    peer.succeed(2, 1);
    peer.progress.on_disconnected();
    peer.sent();
    peer.replicate(&["c"], true);
    assert_eq!(peer.sent(), [], "nobody listens");
    peer.progress.on_connected();
    peer.settle();
    assert_eq!(peer.sent(), [(1, 2)]);
    assert_eq!(peer.progress.state(), ProgressState::Probe);
    peer.succeed(3, 3);
    assert_eq!(peer.progress.next_index(), i(4));
}

/// Every answer is reported; the reported indexes never fall.
#[test]
fn every_answer_is_reported_and_reports_never_fall() {
    let mut peer = Peer::replicating(WIDE);
    peer.reports.clear();
    peer.replicate(&["a", "b"], false);
    peer.ask_round(5);
    let answers = [(2, 1, 5), (2, 2, 3), (2, 1, 4)];
    for (request_seq, match_index, read_seq) in answers {
        let result = AppendResult::Success { match_index: LogIndex(match_index) };
        let response = AppendEntriesResponse { request_seq, read_seq, is_rejoining: false, result };
        peer.progress.on_response(response).expect("a sound peer");
        peer.settle();
    }
    let reports: Vec<_> = peer.reports.iter().map(|r| (r.match_index.0, r.read_seq)).collect();
    assert_eq!(reports, [(1, 5), (2, 5), (2, 5)]);
}

/// A peer that has all entries, but whose disk has not confirmed them, has acknowledged
/// nothing in this term. A broken connection must not make the leader send the whole log
/// again, entry by entry (simulation, seed 100369).
#[test]
fn a_lost_connection_moves_the_probe_back_no_further_than_what_was_under_way() {
    let reconnect = |peer: &mut Peer| {
        peer.progress.on_disconnected();
        peer.progress.on_connected();
        peer.settle();
    };
    let mut peer = Peer::new(WIDE, &[1; 50], true);
    peer.heartbeat();
    reconnect(&mut peer);
    assert_eq!(peer.sent(), [(50, 0), (50, 0)], "before the first answer");
    peer.succeed(2, 0);
    peer.replicate(&["a"], false);
    peer.replicate(&["b"], false);
    assert_eq!(peer.sent(), [(50, 1), (51, 1)]);
    reconnect(&mut peer);
    assert_eq!(peer.sent(), [(50, 2)], "to the first entry without an answer");
}
