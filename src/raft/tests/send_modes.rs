//! Who is sent everything at once, and who trails (docs/adr/0014).

use std::collections::BTreeMap;

use super::cluster::command;
use super::solo::Solo;
use crate::raft::{Effect, ReplicationReport, SendMode, SetSendMode};
use crate::types::{LogIndex, NodeId};

/// A leader of so many nodes, its peers, and how each is sent what there is.
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

    /// A tick passes; those that trail then.
    fn trailing(&mut self) -> Vec<u64> {
        self.solo.tick(1);
        self.note_send_modes();
        let trails =
            |(peer, mode): (&u64, &SendMode)| (*mode == SendMode::Batched).then_some(*peer);
        self.send_modes.iter().filter_map(trails).collect()
    }

    fn acknowledge(&mut self, peer: u64, match_index: u64, read_seq: u64) {
        let match_index = LogIndex(match_index);
        let report = ReplicationReport { match_index, read_seq, ..Default::default() };
        let term = self.solo.raft.status().term;
        self.solo.raft.on_replicated(NodeId(peer), term, report);
        self.solo.settle();
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
fn as_many_trail_as_no_quorum_needs() {
    for (nodes, trailing) in [(1, 0), (2, 0), (3, 1), (4, 1), (5, 2), (7, 3)] {
        assert_eq!(Leader::of(nodes).trailing().len(), trailing, "of {nodes}");
    }
}

#[test]
fn those_that_are_furthest_do_not_trail() {
    let mut leader = Leader::of(5);
    leader.propose(6);
    for (peer, match_index) in [(2, 3), (3, 5), (4, 2), (5, 8)] {
        leader.acknowledge(peer, match_index, 0);
    }
    assert_eq!(leader.trailing(), [2, 4]);
}

/// A commit waits for a peer that has stopped no longer than until the next tick, behind
/// which those that trailed have what it lacks.
#[test]
fn one_that_falls_behind_those_that_trail_changes_places_with_them() {
    let mut leader = Leader::of(5);
    for peer in 2..=5 {
        leader.acknowledge(peer, 2, 0);
    }
    let trailing = leader.trailing();
    let stopped = (2..=5).find(|peer| !trailing.contains(peer)).expect("two do not trail");
    leader.propose(3);
    for peer in (2..=5).filter(|peer| *peer != stopped) {
        leader.acknowledge(peer, 5, 0);
    }
    let now = leader.trailing();
    assert!(now.contains(&stopped) && now.len() == 2, "{now:?}, and {trailing:?} before");
}

/// As long as nothing but reads comes, their rounds tell who answers.
#[test]
fn one_that_confirms_no_rounds_of_reads_changes_places_with_those_that_do() {
    let mut leader = Leader::of(3);
    let trailing = leader.trailing();
    leader.acknowledge(trailing[0], 0, 1);
    assert_ne!(leader.trailing(), trailing);
}

#[test]
fn peers_that_are_equally_far_keep_their_places() {
    for furthest in [[2, 3], [4, 5]] {
        let mut leader = Leader::of(5);
        for peer in furthest {
            leader.acknowledge(peer, 1, 0);
        }
        let trailing = leader.trailing();
        assert!(furthest.iter().all(|peer| !trailing.contains(peer)));
        for index in 2..=5 {
            leader.propose(1);
            for peer in 2..=5 {
                leader.acknowledge(peer, index, 0);
            }
            assert_eq!(leader.trailing(), trailing);
        }
    }
}

#[test]
fn nobody_trails_where_that_is_not_wanted() {
    let mut leader = Leader::from(Solo::new(5, &[], 0), 5);
    assert_eq!(leader.trailing(), []);
}
