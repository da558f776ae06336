//! Random walks in which the format is raised while servers crash, are cut off, are replaced by
//! older programs and by newer ones, and hold the format.

use std::panic::{AssertUnwindSafe, catch_unwind};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::cluster::{Cluster, ELECTION_TICKS_MAX, command};
use super::disk::Durable;
use super::gates::{BOTH, Gate, OLD, RAISE_AFTER_TICKS, founded_long_ago};
use super::snapshots::SnapshotRules;
use crate::raft::Role;
use crate::types::{Entry, Format, FormatRange, NodeId, Payload};

const SEEDS: u64 = 150;
const STEPS: u32 = 600;

struct Walk {
    cluster: Cluster,
    rng: StdRng,
}

impl Walk {
    fn new(seed: u64) -> Walk {
        let mut rng = StdRng::seed_from_u64(seed);
        let nodes = rng.random_range(2..=5_u64);
        let disks = match rng.random_bool(0.5) {
            true => founded_long_ago(nodes),
            false => vec![Durable::default(); nodes as usize],
        };
        let rules = SnapshotRules {
            entries_max: rng.random_range(3..=20),
            bytes_max: u64::MAX,
            keep_entries: rng.random_range(0..=2),
            piece_bytes: 100,
            window_bytes: 200,
        };
        let is_old = |rng: &mut StdRng| rng.random_bool(0.4);
        let gates = (1..=nodes).map(|id| {
            let formats = if is_old(&mut rng) { OLD } else { BOTH };
            (NodeId(id), Gate::of(formats))
        });
        let cluster = Cluster::started(disks, seed, rules, false, gates.collect());
        Walk { cluster, rng }
    }

    fn any_node(&mut self) -> NodeId {
        let ids = self.cluster.ids();
        ids[self.rng.random_range(0..ids.len())]
    }

    fn step(&mut self) {
        let id = self.any_node();
        if !self.cluster.is_up(id) {
            if self.rng.random_bool(0.3) {
                let formats = self.any_formats(id);
                self.cluster.replace(id, formats);
            }
            return;
        }
        match self.rng.random_range(0..100) {
            0..40 => self.cluster.tick(id),
            40..80 => self.deliver_some(),
            80..86 => {
                // The others do not know whether it is accepted.
                let _ = self.cluster.raft_mut(id).propose(command("x"));
                self.cluster.settle(id);
            }
            86..90 => {
                let _ = self.cluster.raft_mut(id).request_raise();
                self.cluster.settle(id);
            }
            90..93 => {
                let is_held = self.rng.random_bool(0.4);
                self.cluster.hold(id, is_held);
            }
            93..95 => self.cluster.crash(id),
            95..97 => {
                self.cluster.crash(id);
                let formats = self.any_formats(id);
                self.cluster.replace(id, formats);
            }
            97 => self.cluster.partition(&[id]),
            98 => self.cluster.heal(),
            _ => {
                let is_slow = self.rng.random_bool(0.5);
                self.cluster.node_mut(id).slow.disk = is_slow;
                while self.cluster.sync(id) {}
            }
        }
    }

    /// Messages arrive, most of them in order, and some are lost.
    fn deliver_some(&mut self) {
        for _ in 0..self.rng.random_range(1..20) {
            let under_way = self.cluster.network.len();
            if under_way == 0 {
                return;
            }
            let place = if self.rng.random_bool(0.9) { 0 } else { under_way / 2 };
            match self.rng.random_bool(0.05) {
                true => drop(self.cluster.network.remove(place)),
                false => self.cluster.deliver(place),
            }
        }
    }

    /// The formats of the program that a person starts next on a server that is down. An old one
    /// refuses a disk that it cannot read.
    fn any_formats(&mut self, id: NodeId) -> FormatRange {
        let disk = &self.cluster.node(id).disk;
        let needed = disk.summary().cluster.newest().format.format;
        let is_old = needed == Format::FIRST && self.rng.random_bool(0.4);
        if is_old { OLD } else { BOTH }
    }

    /// The leaders that have an entry of a raise in their own term.
    fn raisers(&self) -> Vec<(NodeId, Entry)> {
        let mut raisers = Vec::new();
        for (id, node) in &self.cluster.nodes {
            let Some(raft) = node.raft.as_ref().filter(|raft| raft.role() == Role::Leader) else {
                continue;
            };
            let is_raise = |entry: &&Entry| {
                matches!(entry.payload, Payload::Format(_)) && entry.term == raft.term()
            };
            raisers.extend(node.disk.log().iter().find(is_raise).map(|entry| (*id, entry.clone())));
        }
        raisers
    }

    /// A leader that has just begun a raise has begun it with everybody's consent.
    fn check_consent(&self, before: &[(NodeId, Entry)]) {
        for (leader, entry) in self.raisers() {
            if before.contains(&(leader, entry.clone())) {
                continue;
            }
            for (id, gate) in &self.cluster.gates {
                assert_eq!(gate.formats, BOTH, "{leader} raises, and {id} is old");
                assert!(!gate.is_held, "{leader} raises, and {id} holds the format");
                assert!(self.cluster.is_up(*id), "{leader} raises, and {id} is down");
            }
        }
    }

    fn run(&mut self) {
        for _ in 0..STEPS {
            let before = self.raisers();
            self.step();
            self.check_consent(&before);
        }
        self.cluster.heal();
        for id in self.cluster.ids() {
            self.cluster.node_mut(id).slow.disk = false;
            self.cluster.replace(id, BOTH);
            self.cluster.hold(id, false);
        }
        self.cluster.pass(10 * ELECTION_TICKS_MAX + 3 * RAISE_AFTER_TICKS);
        let mut ids = Vec::new();
        for id in self.cluster.ids() {
            let status = self.cluster.raft(id).status();
            assert_eq!(status.cluster.format.format, Format(2), "node {id}");
            assert!(self.cluster.gate(id).stopped.is_none(), "node {id}");
            ids.push(status.cluster.cluster_id.expect("the cluster has its id"));
        }
        assert!(ids.windows(2).all(|two| two[0] == two[1]), "{ids:?}");
    }
}

#[test]
fn a_raise_needs_the_consent_of_all_and_ends_whatever_happens() {
    for seed in 1..=SEEDS {
        let walk = catch_unwind(AssertUnwindSafe(|| Walk::new(seed).run()));
        assert!(walk.is_ok(), "the walk of seed {seed} failed");
    }
}
