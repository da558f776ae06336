//! Writes under way and the messages that wait for them.

use super::*;
use crate::raft::{AppendEntriesResponse, AppendResult, RequestVoteResponse, Rpc};
use crate::types::NodeId;

const TERM: Term = Term(3);

fn persistence() -> Persistence {
    let hard_state = HardState { current_term: TERM, ..HardState::default() };
    Persistence::new(hard_state, LogIndex(0))
}

fn envelope(term: Term, rpc: Rpc) -> Envelope {
    Envelope { from: NodeId(2), to: NodeId(1), term, rpc }
}

fn success(request_seq: u64, match_index: u64) -> Envelope {
    let result = AppendResult::Success { match_index: LogIndex(match_index) };
    let response = AppendEntriesResponse { request_seq, read_seq: 0, is_rejoining: false, result };
    envelope(TERM, Rpc::AppendEntriesResponse(response))
}

fn vote(term: Term) -> Envelope {
    envelope(term, Rpc::RequestVoteResponse(RequestVoteResponse { vote_granted: true }))
}

fn vote_for(persistence: &mut Persistence, term: Term) {
    let hard_state =
        HardState { current_term: term, voted_for: Some(NodeId(1)), ..persistence.hard_state() };
    persistence.set_hard_state(hard_state);
}

/// The leader's heartbeats go on while the disk does not answer.
#[test]
fn of_equal_answers_only_the_last_is_kept() {
    let mut persistence = persistence();
    let (seq, _) = persistence.start(LogIndex(5));
    (1..=1000).for_each(|request_seq| persistence.defer(false, success(request_seq, 4)));
    persistence.defer(false, success(1001, 5));
    assert_eq!(persistence.deferred.len(), 2);
    assert_eq!(persistence.complete(seq), [success(1000, 4), success(1001, 5)]);
}

#[test]
fn a_vote_is_durable_when_its_write_is() {
    let mut persistence = persistence();
    assert!(persistence.is_hard_state_durable());
    let (earlier, hard_state) = persistence.start(LogIndex(1));
    assert_eq!(hard_state, None);
    vote_for(&mut persistence, TERM);
    persistence.defer(false, vote(TERM));
    let (seq, hard_state) = persistence.start(LogIndex(1));
    assert_eq!(hard_state, Some(persistence.hard_state()));
    assert_eq!(persistence.complete(earlier), []);
    assert!(!persistence.is_hard_state_durable());
    assert_eq!(persistence.complete(seq), [vote(TERM)]);
    assert!(persistence.is_hard_state_durable());
}

#[test]
fn a_message_waits_for_entries_that_are_yet_to_be_written() {
    let mut persistence = persistence();
    let (earlier, _) = persistence.start(LogIndex(1));
    persistence.defer(true, success(1, 2));
    let (seq, _) = persistence.start(LogIndex(2));
    assert_eq!(persistence.complete(earlier), []);
    assert_eq!(persistence.complete(seq), [success(1, 2)]);
}

#[test]
fn a_promise_of_an_older_term_is_dropped() {
    let mut persistence = persistence();
    vote_for(&mut persistence, TERM);
    persistence.defer(false, vote(TERM));
    let (seq, _) = persistence.start(LogIndex(0));
    vote_for(&mut persistence, TERM.next());
    assert_eq!(persistence.complete(seq), []);
}

/// docs/bugs.md B20: an acknowledgement of truncated entries must not count for new ones.
#[test]
fn a_write_of_entries_that_were_truncated_makes_nothing_durable() {
    let mut persistence = persistence();
    let (seq, _) = persistence.start(LogIndex(9));
    persistence.truncate_from(LogIndex(4));
    persistence.complete(seq);
    assert_eq!(persistence.persisted_index(), LogIndex(3));
}

/// docs/bugs.md B54: entries of the replaced log must not count for the new one.
#[test]
fn a_write_from_before_an_install_makes_nothing_durable() {
    let mut persistence = persistence();
    let (seq, _) = persistence.start(LogIndex(90));
    persistence.reset(LogIndex(20));
    persistence.complete(seq);
    assert_eq!(persistence.persisted_index(), LogIndex(20));
}

#[test]
fn a_disk_is_stalled_for_as_long_as_its_oldest_write_is() {
    let mut persistence = persistence();
    persistence.tick();
    assert_eq!(persistence.stalled_ticks(), 0);
    let (first, _) = persistence.start(LogIndex(1));
    persistence.start(LogIndex(2));
    persistence.tick();
    persistence.tick();
    assert_eq!(persistence.stalled_ticks(), 2);
    persistence.complete(first);
    assert_eq!(persistence.stalled_ticks(), 0, "the next one counts from now");
}

#[test]
#[should_panic(expected = "the disk reports write 1, which was never started")]
fn a_write_that_was_never_started_is_found_out() {
    persistence().complete(PersistSeq(1));
}
