//! The sending of a snapshot by itself. The tests of `Progress` play it with its peer.

use super::*;
use crate::types::{LogPosition, Term};

const SETTINGS: ProgressSettings = ProgressSettings {
    append_entries_max: 10,
    append_bytes_max: 1000,
    inflight_entries_max: 10,
    inflight_bytes_max: 1000,
    snapshot_piece_bytes: 10,
    snapshot_window_bytes: 20,
};

fn snapshot() -> SnapshotId {
    let last = LogPosition { term: Term(1), index: LogIndex(9) };
    SnapshotId { last, bytes: 35, digest: 7 }
}

fn response(request_seq: u64, received: u64) -> InstallSnapshotResponse {
    let last = snapshot().last;
    InstallSnapshotResponse {
        request_seq,
        is_rejoining: false,
        last,
        received,
        is_installed: false,
        refusal: None,
    }
}

/// A snapshot that was offered to a peer, which has `received` bytes of it.
fn begun(requests: &mut Requests, received: u64) -> SnapshotInstall {
    let mut install = SnapshotInstall::default();
    let read = install.begin().expect("a read");
    assert_eq!((read.snapshot, read.offset, read.bytes_max), (None, 0, 0));
    assert_eq!(install.on_read(read.ticket, snapshot(), 0, Bytes::new()), Outcome::Ask);
    let question = install.question(requests).expect("a question");
    assert!(question.bytes.is_empty());
    assert_eq!(install.on_response(&response(question.request_seq, received)), Outcome::GoesOn);
    install
}

/// Reads the next piece and sends it, if the window has room.
fn send(install: &mut SnapshotInstall, requests: &mut Requests) -> Option<InstallSnapshot> {
    if let Some(read) = install.next_read(&SETTINGS) {
        let bytes = Bytes::from(vec![0; 10.min(35 - read.offset) as usize]);
        let outcome = install.on_read(read.ticket, snapshot(), read.offset, bytes);
        assert_eq!(outcome, Outcome::GoesOn);
    }
    install.next_piece(&SETTINGS, requests)
}

#[test]
fn the_sending_begins_with_what_the_peer_lacks() {
    let mut requests = Requests::new();
    let mut install = begun(&mut requests, 20);
    assert_eq!(send(&mut install, &mut requests).map(|piece| piece.offset), Some(20));
    assert_eq!(install.progress(), Some(SnapshotProgress { acked_bytes: 20, bytes: 35 }));
}

#[test]
fn the_window_bounds_what_is_under_way() {
    let mut requests = Requests::new();
    let mut install = begun(&mut requests, 0);
    let first = send(&mut install, &mut requests).expect("a piece");
    assert!(send(&mut install, &mut requests).is_some());
    assert_eq!(send(&mut install, &mut requests), None);
    assert_eq!(install.on_response(&response(first.request_seq, 10)), Outcome::GoesOn);
    assert_eq!(send(&mut install, &mut requests).map(|piece| piece.offset), Some(20));
}

/// The end of the file is one smaller piece; after it there is nothing to read.
#[test]
fn nothing_is_read_after_the_end() {
    let mut requests = Requests::new();
    let mut install = begun(&mut requests, 30);
    assert_eq!(send(&mut install, &mut requests).map(|piece| piece.bytes.len()), Some(5));
    assert_eq!(install.next_read(&SETTINGS), None);
}

#[test]
fn the_sending_goes_back_to_what_was_lost() {
    let mut requests = Requests::new();
    let mut install = begun(&mut requests, 0);
    send(&mut install, &mut requests);
    let second = send(&mut install, &mut requests).expect("a piece");
    assert_eq!(install.on_response(&response(second.request_seq, 0)), Outcome::GoesOn);
    assert_eq!(send(&mut install, &mut requests).map(|piece| piece.offset), Some(0));
}

/// docs/bugs.md B56: an answer about another snapshot is ignored.
#[test]
fn an_answer_about_another_snapshot_changes_nothing() {
    let mut requests = Requests::new();
    let mut install = begun(&mut requests, 0);
    let piece = send(&mut install, &mut requests).expect("a piece");
    let mut other = response(piece.request_seq, 35);
    other.last.index = LogIndex(8);
    other.is_installed = true;
    assert_eq!(install.on_response(&other), Outcome::GoesOn);
    assert_eq!(install.progress(), Some(SnapshotProgress { acked_bytes: 0, bytes: 35 }));
}

#[test]
fn a_snapshot_that_is_gone_is_given_up_if_it_is_still_wanted() {
    let mut install = SnapshotInstall::default();
    let old = install.begin().expect("a read").ticket;
    let ticket = install.begin().expect("a read").ticket;
    assert_eq!(install.on_gone(old), Outcome::GoesOn);
    assert_eq!(install.on_gone(ticket), Outcome::GivenUp);
}

#[test]
fn a_silent_peer_is_asked_again_with_one_question_at_a_time() {
    let mut requests = Requests::new();
    let mut install = begun(&mut requests, 0);
    assert_eq!(install.question_at_heartbeat(true, &mut requests), None, "it was just heard");
    assert!(install.question_at_heartbeat(true, &mut requests).is_some());
    assert!(install.question_at_heartbeat(true, &mut requests).is_some());
    assert_eq!(install.sending.inflight.len(), 1);
    assert_eq!(install.question_at_heartbeat(false, &mut requests), None);
}

/// docs/bugs.md B60: the log is kept until the peer has caught up.
#[test]
fn the_log_is_kept_for_a_peer_that_catches_up() {
    let mut requests = Requests::new();
    let mut install = begun(&mut requests, 0);
    assert_eq!(install.keep_log_from(LogIndex(0)), Some(LogIndex(9)));
    install.on_installed(LogIndex(20));
    assert_eq!(install.keep_log_from(LogIndex(9)), Some(LogIndex(9)));
    install.on_match(LogIndex(19));
    assert_eq!(install.keep_log_from(LogIndex(19)), Some(LogIndex(19)));
    install.on_match(LogIndex(20));
    assert_eq!(install.keep_log_from(LogIndex(20)), None);
}
