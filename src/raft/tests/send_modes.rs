//! The choice of the peers that are sent batches (docs/adr/0014).

use std::collections::BTreeMap;

use super::cluster::{command, settings_of};
use super::solo::Solo;
use crate::raft::{
    Effect, ReadIndexRequest, ReadToken, ReplicationReport, Rpc, SendMode, SetSendMode,
};
use crate::types::{BootId, LogIndex, NodeId};

/// A leader, its peers, and the send mode of each.
struct Leader {
    solo: Solo,
    send_modes: BTreeMap<u64, SendMode>,
}

impl Leader {
    fn of(nodes: u64) -> Leader {
        Leader::from(Solo::with_batched_peers(nodes), nodes)
    }

    fn from(mut solo: Solo, nodes: u64) -> Leader {
        solo.win();
        let send_modes = (2..=nodes).map(|peer| (peer, SendMode::default())).collect();
        let mut leader = Leader { solo, send_modes };
        leader.note_send_modes();
        leader
    }

    fn note_send_modes(&mut self) {
        for effect in self.solo.effects.drain(..) {
            if let Effect::SetSendMode(SetSendMode { term, peer, mode }) = effect {
                assert_eq!(term, self.solo.raft.status().term);
                let before = self.send_modes.insert(peer.0, mode);
                assert_ne!(before, Some(mode), "peer {peer} is told only what is new");
            }
        }
    }

    /// Lets a tick pass, and returns the batched peers.
    fn batched(&mut self) -> Vec<u64> {
        self.solo.tick(1);
        self.note_send_modes();
        let is_batched =
            |(peer, mode): (&u64, &SendMode)| (*mode == SendMode::Batched).then_some(*peer);
        self.send_modes.iter().filter_map(is_batched).collect()
    }

    fn acknowledge(&mut self, peer: u64, match_index: u64, read_seq: u64) {
        let match_index = LogIndex(match_index);
        let report = ReplicationReport { match_index, read_seq, ..Default::default() };
        let term = self.solo.raft.status().term;
        self.solo.raft.on_replicated(NodeId(peer), term, report);
        self.solo.settle();
    }

    /// The peer asks for an index for reads of its clients: its question has this number.
    fn ask(&mut self, peer: u64, number: u64) {
        let term = self.solo.raft.status().term.0;
        let question = ReadIndexRequest { boot: BootId(1), number };
        self.solo.receive(peer, term, Rpc::ReadIndex(question));
        self.note_send_modes();
    }

    fn propose(&mut self, entries: u64) {
        for _ in 0..entries {
            self.solo.raft.propose(command("a")).expect("it leads");
        }
        self.solo.settle();
    }
}

#[test]
fn a_new_leader_sends_everything_to_all() {
    let leader = Leader::of(5);
    assert!(leader.send_modes.values().all(|mode| *mode == SendMode::Immediate));
}

#[test]
fn peers_that_no_quorum_needs_are_batched() {
    for (nodes, batched) in [(1, 0), (2, 0), (3, 1), (4, 1), (5, 2), (7, 3)] {
        assert_eq!(Leader::of(nodes).batched().len(), batched, "of {nodes}");
    }
}

#[test]
fn the_furthest_peers_are_not_batched() {
    let mut leader = Leader::of(5);
    leader.propose(6);
    for (peer, match_index) in [(2, 3), (3, 5), (4, 2), (5, 8)] {
        leader.acknowledge(peer, match_index, 0);
    }
    assert_eq!(leader.batched(), [2, 4]);
}

/// A commit waits for a peer that has stopped until the next tick at most; then a batched
/// peer takes its place.
#[test]
fn a_peer_that_falls_behind_a_batched_one_changes_places_with_it() {
    let mut leader = Leader::of(5);
    for peer in 2..=5 {
        leader.acknowledge(peer, 2, 0);
    }
    let batched = leader.batched();
    let stopped = (2..=5).find(|peer| !batched.contains(peer)).expect("two are not batched");
    leader.propose(3);
    for peer in (2..=5).filter(|peer| *peer != stopped) {
        leader.acknowledge(peer, 5, 0);
    }
    let now = leader.batched();
    assert!(now.contains(&stopped) && now.len() == 2, "{now:?}, and {batched:?} before");
}

/// While there are only reads, the confirmed rounds show which peers answer.
#[test]
fn peers_that_confirm_no_rounds_change_places_with_peers_that_do() {
    let mut leader = Leader::of(3);
    let batched = leader.batched();
    leader.solo.raft.read(ReadToken(1), LogIndex(0)).expect("it leads");
    leader.solo.settle();
    leader.acknowledge(batched[0], 0, 1);
    assert_ne!(leader.batched(), batched);
}

#[test]
fn peers_that_are_equally_far_keep_their_places() {
    for furthest in [[2, 3], [4, 5]] {
        let mut leader = Leader::of(5);
        for peer in furthest {
            leader.acknowledge(peer, 1, 0);
        }
        let batched = leader.batched();
        assert!(furthest.iter().all(|peer| !batched.contains(peer)));
        for index in 2..=5 {
            leader.propose(1);
            for peer in 2..=5 {
                leader.acknowledge(peer, index, 0);
            }
            assert_eq!(leader.batched(), batched);
        }
    }
}

#[test]
fn no_peer_is_batched_when_batching_is_off() {
    let mut leader = Leader::from(Solo::new(5, &[], 0), 5);
    assert!(leader.batched().is_empty());
}

/// docs/adr/0031: the clients of a peer that asks wait for entries. Its answers to rounds are
/// needed as little as before.
#[test]
fn a_batched_peer_that_asks_often_is_sent_entries_at_once_until_it_has_not_asked_for_a_second() {
    let mut leader = Leader::of(5);
    let batched = leader.batched();
    let before = leader.send_modes.clone();
    for peer in 2..=5 {
        for number in 1..=16 {
            assert_eq!(leader.send_modes[&peer], before[&peer], "before question {number}");
            leader.ask(peer, number);
        }
    }
    for _ in 0..2 {
        for (peer, mode) in &leader.send_modes {
            let is_needed = !batched.contains(peer);
            let expected = if is_needed { SendMode::Immediate } else { SendMode::EntriesAtOnce };
            assert_eq!(*mode, expected, "of {peer}");
        }
        assert!(leader.batched().is_empty(), "they have just asked");
    }
    for _ in 0..settings_of(1, 5, 1).ticks_per_second {
        for peer in 2..=5 {
            leader.acknowledge(peer, 0, 0);
        }
        leader.batched();
    }
    assert_eq!(leader.send_modes, before);
}

/// A supervisor asks every server each second whether it is ready, and so does every page that
/// shows the cluster. It must not cost the batches of all of them.
#[test]
fn a_batched_peer_that_asks_now_and_then_stays_batched() {
    let mut leader = Leader::of(5);
    let batched = leader.batched();
    let ticks_per_second = settings_of(1, 5, 1).ticks_per_second;
    for number in 1..=30 {
        for peer in 2..=5 {
            leader.ask(peer, number);
        }
        for _ in 0..ticks_per_second / 10 {
            for peer in 2..=5 {
                leader.acknowledge(peer, 0, 0);
            }
            assert_eq!(leader.batched(), batched);
        }
    }
}
