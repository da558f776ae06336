//! The comparison of the stores (docs/adr/0025): the tests play the stores, and all nodes but one.

use super::cluster::HEARTBEAT_TICKS;
use super::solo::{Solo, append, at};
use crate::raft::{
    Effect, Envelope, Event, ReadDigest, ReplicationReport, Role, Rpc, StateCheck,
    StateCheckResponse, StateDiverged, StopReason,
};
use crate::types::{Format, LogIndex, NodeId, Term};

/// The digest of a sound store.
const SOUND: u64 = 7;

/// The entry that the nodes have applied last.
const LAST: u64 = 3;

/// The leader of five in term 2, which has committed and applied three entries, and has sent a
/// heartbeat since.
fn leader(digest: u64, format: Format) -> (Solo, Vec<Envelope>) {
    let mut solo = Solo::of_format(5, format);
    solo.win();
    assert_eq!(solo.raft.term(), Term(2));
    for peer in [2, 3] {
        replicated(&mut solo, peer, false);
    }
    assert_eq!(solo.raft.last_applied(), LogIndex(LAST));
    solo.raft.on_applied(LogIndex(LAST), digest);
    let sent = solo.tick(HEARTBEAT_TICKS);
    solo.effects.clear();
    (solo, sent)
}

/// A peer reports that it has all entries.
fn replicated(solo: &mut Solo, peer: u64, is_rejoining: bool) {
    let match_index = LogIndex(LAST);
    let report = ReplicationReport { match_index, is_rejoining, ..Default::default() };
    solo.raft.on_replicated(NodeId(peer), Term(2), report);
    solo.settle();
}

/// A peer answers the leader with its digest. Returns the peers that are told that they differ.
fn answer(solo: &mut Solo, peer: u64, digest: u64) -> Vec<u64> {
    let response = StateCheckResponse { index: LogIndex(LAST), digest };
    let sent = solo.receive(peer, 2, Rpc::StateCheckResponse(response));
    let word = Rpc::StateDiverged(StateDiverged { index: LogIndex(LAST), digest: SOUND });
    assert!(sent.iter().all(|envelope| envelope.rpc == word), "{sent:?}");
    sent.iter().map(|envelope| envelope.to.0).collect()
}

fn stops(solo: &Solo) -> Vec<&StopReason> {
    let effects = solo.effects.iter();
    effects
        .filter_map(|effect| match effect {
            Effect::Stop(reason) => Some(reason),
            _ => None,
        })
        .collect()
}

fn faults(solo: &Solo) -> Vec<Event> {
    let fault = |effect: &Effect| match effect {
        Effect::Event(event) if event.is_fault() => Some(event.clone()),
        _ => None,
    };
    solo.effects.iter().filter_map(fault).collect()
}

#[test]
fn a_leader_says_its_digest_to_all_peers_with_each_heartbeat() {
    let (mut solo, sent) = leader(SOUND, Format(2));
    let checks = |sent: &[Envelope]| -> Vec<u64> {
        let is_check = |envelope: &&Envelope| match &envelope.rpc {
            Rpc::StateCheck(check) => {
                let named: Vec<u64> = check.acknowledged.iter().map(|(id, _)| id.0).collect();
                assert_eq!(named, [2, 3, 1], "the members that have acknowledged anything");
                (check.index, check.digest) == (LogIndex(LAST), SOUND)
            }
            _ => false,
        };
        sent.iter().filter(is_check).map(|envelope| envelope.to.0).collect()
    };
    assert_eq!(checks(&sent), [2, 3, 4, 5]);
    assert_eq!(checks(&solo.tick(HEARTBEAT_TICKS)), [2, 3, 4, 5]);
}

#[test]
fn nothing_is_said_before_format_2_is_in_force() {
    let (mut solo, mut sent) = leader(SOUND, Format::FIRST);
    sent.extend(solo.tick(10 * HEARTBEAT_TICKS));
    assert!(!sent.iter().any(|envelope| matches!(envelope.rpc, Rpc::StateCheck(_))), "{sent:?}");
}

#[test]
fn equal_stores_are_left_in_peace() {
    let (mut solo, _) = leader(SOUND, Format(2));
    for peer in [2, 3, 4, 5] {
        assert_eq!(answer(&mut solo, peer, SOUND), [0; 0]);
    }
    assert_eq!((stops(&solo), faults(&solo)), (vec![], vec![]));
}

#[test]
fn a_peer_that_differs_from_a_majority_is_told_and_nobody_else() {
    let (mut solo, _) = leader(SOUND, Format(2));
    assert_eq!(answer(&mut solo, 4, 9), [0; 0]);
    assert_eq!(answer(&mut solo, 2, SOUND), [0; 0], "two of five are no majority");
    assert_eq!(answer(&mut solo, 3, SOUND), [4]);
    assert_eq!(answer(&mut solo, 5, SOUND), [0; 0], "it is told once a heartbeat");
    let event = Event::PeerDiverged { peer: NodeId(4), index: LogIndex(LAST) };
    assert_eq!((stops(&solo), faults(&solo)), (vec![], vec![event]));
    solo.tick(HEARTBEAT_TICKS);
    assert_eq!(answer(&mut solo, 4, 9), [4], "the word may have been lost");
}

#[test]
fn a_leader_that_differs_from_a_majority_stops() {
    let (mut solo, _) = leader(9, Format(2));
    for peer in [2, 3] {
        assert_eq!(answer(&mut solo, peer, SOUND), [0; 0]);
        assert_eq!(stops(&solo), [] as [&StopReason; 0]);
    }
    assert_eq!(answer(&mut solo, 4, SOUND), [0; 0]);
    let reason = StopReason::Diverged { index: LogIndex(LAST), own: 9, majority: SOUND };
    assert_eq!(stops(&solo), [&reason]);
}

#[test]
fn rejoining_peers_make_no_majority() {
    let (mut solo, _) = leader(9, Format(2));
    for peer in [4, 5] {
        replicated(&mut solo, peer, true);
    }
    // They may have their stores from this very leader.
    for (peer, digest) in [(4, 9), (5, 9), (2, SOUND), (3, SOUND)] {
        assert_eq!(answer(&mut solo, peer, digest), [0; 0]);
    }
    assert_eq!(stops(&solo), [] as [&StopReason; 0]);
    assert!(matches!(faults(&solo)[..], [Event::StoresDiffer { .. }]), "{:?}", faults(&solo));
}

#[test]
fn without_a_majority_nobody_stops_and_the_leader_says_so() {
    let (mut solo, _) = leader(SOUND, Format(2));
    for (peer, digest) in [(2, SOUND), (3, 8), (4, 8), (5, 9)] {
        assert_eq!(answer(&mut solo, peer, digest), [0; 0]);
    }
    solo.tick(5 * HEARTBEAT_TICKS);
    let (one, other) = ((NodeId(1), SOUND), (NodeId(3), 8));
    let event = Event::StoresDiffer { index: LogIndex(LAST), one, other };
    assert_eq!((stops(&solo), faults(&solo)), (vec![], vec![event]));
}

#[test]
fn an_answer_of_an_old_term_counts_for_nothing() {
    let (mut solo, _) = leader(SOUND, Format(2));
    for peer in [2, 3, 4, 5] {
        let response = StateCheckResponse { index: LogIndex(LAST), digest: 9 };
        assert_eq!(solo.receive(peer, 1, Rpc::StateCheckResponse(response)), []);
    }
    assert_eq!((stops(&solo), faults(&solo)), (vec![], vec![]));
}

/// A follower of node 2, one of five, which has applied two entries.
fn follower() -> Solo {
    let mut solo = Solo::of_format(5, Format(2));
    solo.receive(2, 2, append(at(1, 1), &[2], 2));
    assert_eq!((solo.raft.role(), solo.raft.last_applied()), (Role::Follower, LogIndex(2)));
    solo.effects.clear();
    solo
}

fn check(index: u64) -> Rpc {
    Rpc::StateCheck(StateCheck { index: LogIndex(index), digest: SOUND, acknowledged: vec![] })
}

/// The entries whose digests the store was asked for since the last call.
fn asked(solo: &mut Solo) -> Vec<u64> {
    let effects = std::mem::take(&mut solo.effects);
    let index = |effect| match effect {
        Effect::ReadDigest(ReadDigest { index }) => Some(index.0),
        _ => None,
    };
    effects.into_iter().filter_map(index).collect()
}

#[test]
fn a_follower_answers_its_leader_when_its_store_has_answered() {
    let mut solo = follower();
    assert_eq!(solo.receive(2, 2, check(2)), []);
    assert_eq!(asked(&mut solo), [2]);
    solo.raft.on_digest_read(LogIndex(2), 5);
    let response = StateCheckResponse { index: LogIndex(2), digest: 5 };
    let sent = solo.settle();
    let expected = (NodeId(2), Term(2), Rpc::StateCheckResponse(response));
    assert_eq!(sent.len(), 1);
    assert_eq!((sent[0].to, sent[0].term, sent[0].rpc.clone()), expected);
    solo.raft.on_digest_read(LogIndex(2), 5);
    assert_eq!(solo.settle(), [], "nobody waits for it any more");
}

#[test]
fn only_the_leader_of_the_term_is_answered() {
    let mut solo = follower();
    assert_eq!(solo.receive(3, 2, check(2)), []);
    assert_eq!(solo.receive(2, 1, check(2)), [], "of an old term");
    assert_eq!(asked(&mut solo), [0; 0]);
    solo.receive(2, 2, check(2));
    solo.receive(3, 3, append(at(2, 2), &[3], 2));
    solo.raft.on_digest_read(LogIndex(2), 5);
    assert_eq!(solo.settle(), [], "another leader is followed by now");
}

/// Otherwise a store that is always a little behind would never answer.
#[test]
fn a_follower_that_lags_answers_when_it_gets_there() {
    let mut solo = follower();
    for index in [4, 5, 6] {
        solo.receive(2, 2, check(index));
    }
    assert_eq!(asked(&mut solo), [4]);
    solo.receive(2, 2, append(at(2, 2), &[2, 2, 2], 5));
    solo.raft.on_digest_read(LogIndex(4), 5);
    assert_eq!(solo.settle().len(), 1);
    solo.receive(2, 2, check(7));
    assert_eq!(asked(&mut solo), [7]);
    // The store has got there, and did not know the digest.
    solo.receive(2, 2, append(at(5, 2), &[2, 2], 7));
    solo.receive(2, 2, check(8));
    assert_eq!(asked(&mut solo), [8]);
}

#[test]
fn a_follower_that_is_told_stops_when_its_own_digest_differs() {
    let word = |digest| Rpc::StateDiverged(StateDiverged { index: LogIndex(2), digest });
    let mut solo = follower();
    assert_eq!(solo.receive(2, 2, word(SOUND)), []);
    assert_eq!(asked(&mut solo), [2]);
    solo.raft.on_digest_read(LogIndex(2), SOUND);
    solo.settle();
    assert_eq!(stops(&solo), [] as [&StopReason; 0], "the word is late, or wrong");
    solo.receive(2, 2, word(SOUND));
    solo.raft.on_digest_read(LogIndex(2), 5);
    solo.settle();
    let reason = StopReason::Diverged { index: LogIndex(2), own: 5, majority: SOUND };
    assert_eq!(stops(&solo), [&reason]);
}

#[test]
fn a_word_that_is_not_of_the_leader_of_the_term_stops_nobody() {
    let word = Rpc::StateDiverged(StateDiverged { index: LogIndex(2), digest: SOUND });
    let mut solo = follower();
    solo.receive(3, 2, word.clone());
    solo.receive(2, 1, word.clone());
    assert_eq!(asked(&mut solo), [0; 0]);
    solo.receive(2, 2, word);
    solo.receive(3, 3, append(at(2, 2), &[3], 2));
    solo.raft.on_digest_read(LogIndex(2), 5);
    solo.settle();
    assert_eq!(stops(&solo), [] as [&StopReason; 0]);
}

#[test]
fn a_corrupted_store_stops_its_node() {
    let mut solo = follower();
    solo.raft.on_store_corrupted("the record of key \"k\" differs".to_owned());
    solo.settle();
    let what = "the record of key \"k\" differs".to_owned();
    assert_eq!(stops(&solo), [&StopReason::Corrupted { index: LogIndex(2), what }]);
}
