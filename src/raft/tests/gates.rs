//! Connections between the nodes of a cluster, the formats that each node reads, and the facts
//! that it has announced.

use std::collections::BTreeMap;

use super::cluster::{Cluster, ELECTION_TICKS_MIN, HEARTBEAT_TICKS, n};
use super::disk::Durable;
use super::snapshots::SnapshotRules;
use crate::raft::{Announcement, GateSettings, Introduction, Role, StopReason};
use crate::types::{
    BootId, ClusterId, Entry, Format, FormatInForce, FormatRange, HardState, Incarnation, LogIndex,
    Member, NodeId, Payload, Term,
};

/// The formats of a program that knows the first two.
pub(super) const BOTH: FormatRange = FormatRange { lowest: Format(1), highest: Format(2) };
/// The formats of a program from before format 2.
pub(super) const OLD: FormatRange = FormatRange::FIRST_ONLY;

/// Ticks for which all must have been able to read the next format.
pub(super) const RAISE_AFTER_TICKS: u32 = 50;

/// The settings of a node that have to do with the format, and the things that it has said.
pub(super) struct Gate {
    pub(super) formats: FormatRange,
    pub(super) is_held: bool,
    /// The addresses that the node says.
    pub(super) member: Option<Member>,
    pub(super) is_draining: bool,
    /// The id of the cluster, as its disk has it.
    pub(super) cluster_id: Option<ClusterId>,
    /// Everything that the node has announced since it started.
    pub(super) announced: Vec<Announcement>,
    pub(super) stopped: Option<StopReason>,
    pub(super) starts: u64,
}

impl Gate {
    /// The gate of a node that reads these formats.
    pub(super) fn of(formats: FormatRange) -> Gate {
        Gate {
            formats,
            is_held: false,
            member: None,
            is_draining: false,
            cluster_id: None,
            announced: Vec::new(),
            stopped: None,
            starts: 0,
        }
    }

    /// The settings of the node's next start.
    pub(super) fn start(&mut self, id: NodeId) -> GateSettings {
        self.starts += 1;
        self.announced.clear();
        self.is_draining = false;
        self.stopped = None;
        GateSettings {
            formats: self.formats,
            new_cluster_id: ClusterId(u128::from(1000 * id.0 + self.starts)),
            boot: BootId(self.starts),
            raise_after_ticks: RAISE_AFTER_TICKS,
            is_held: self.is_held,
            is_new_cluster: true,
        }
    }

    /// The id of the node's present run.
    pub(super) fn start_number(&self) -> BootId {
        BootId(self.starts)
    }

    /// The introduction of the node; an old one has none.
    fn introduction(&self, id: NodeId) -> Option<Introduction> {
        (self.formats != OLD).then(|| Introduction {
            formats: self.formats,
            binary: "0.2.0".to_owned(),
            incarnation: Incarnation(u128::from(id.0)),
            boot: BootId(self.starts),
            cluster_id: self.cluster_id,
            is_held: self.is_held,
            member: self.member.clone(),
            is_draining: self.is_draining,
            http: None,
        })
    }
}

/// The disks of a cluster that has existed for long: it has members, and no other format than
/// the first.
pub(super) fn founded_long_ago(nodes: u64) -> Vec<Durable> {
    let voters = (1..=nodes).map(NodeId);
    let membership = Payload::Membership(crate::types::Membership::seed(voters));
    let entry = |index, payload| Entry { index, term: Term(1), stamp_ms: 0, payload };
    let log = vec![entry(LogIndex(1), Payload::Noop), entry(LogIndex(2), membership)];
    let hard_state = HardState { current_term: Term(1), ..HardState::default() };
    vec![Durable::new(hard_state, log); nodes as usize]
}

/// The disks of a cluster in format 2 that has existed for long.
pub(super) fn raised_long_ago(nodes: u64) -> Vec<Durable> {
    raised_to(Format(2), nodes)
}

/// The disks of a cluster in this format that has existed for long.
pub(super) fn raised_to(format: Format, nodes: u64) -> Vec<Durable> {
    let raises = (2..=format.0).map(|raised| Entry {
        index: LogIndex(u64::from(raised) - 1),
        term: Term(1),
        stamp_ms: 0,
        payload: Payload::Format(FormatInForce::of(Format(raised))),
    });
    let hard_state = HardState { current_term: Term(1), ..HardState::default() };
    vec![Durable::new(hard_state, raises.collect()); nodes as usize]
}

/// The gates of nodes that read both formats.
pub(super) fn of_both(nodes: u64) -> BTreeMap<NodeId, Gate> {
    (1..=nodes).map(|id| (NodeId(id), Gate::of(BOTH))).collect()
}

/// The gates of nodes that read all formats of this program.
pub(super) fn of_all(nodes: u64) -> BTreeMap<NodeId, Gate> {
    (1..=nodes).map(|id| (NodeId(id), Gate::of(FormatRange::OWN))).collect()
}

impl Cluster {
    /// A new cluster whose nodes read these formats, and are connected while they are up.
    pub(super) fn with_formats(formats: &[FormatRange], seed: u64) -> Cluster {
        let disks = vec![Durable::default(); formats.len()];
        Cluster::with_formats_and_past(formats, disks, seed)
    }

    /// A cluster like that of [`Cluster::with_formats`], with these disks.
    pub(super) fn with_formats_and_past(
        formats: &[FormatRange],
        disks: Vec<Durable>,
        seed: u64,
    ) -> Cluster {
        let gates = (1..).map(NodeId).zip(formats.iter().map(|formats| Gate::of(*formats)));
        Cluster::started(disks, seed, SnapshotRules::NONE, false, gates.collect())
    }

    pub(super) fn gate(&self, id: NodeId) -> &Gate {
        &self.gates[&id]
    }

    pub(super) fn gate_mut(&mut self, id: NodeId) -> &mut Gate {
        self.gates.get_mut(&id).expect("the cluster has connections")
    }

    /// Connects a node that has just started to all others, if the cluster has connections.
    pub(super) fn connect(&mut self, id: NodeId) {
        if self.gates.is_empty() {
            return;
        }
        for peer in self.ids() {
            if peer == id || !self.is_up(peer) {
                continue;
            }
            for (of, to) in [(id, peer), (peer, id)] {
                if !self.is_cut(of, to) {
                    self.introduce(of, to);
                }
            }
        }
    }

    /// The node `of` opens a connection to the node `to`.
    pub(super) fn introduce(&mut self, of: NodeId, to: NodeId) {
        if self.is_told_that_it_was_removed(of, to) {
            return;
        }
        let introduction = self.gate(of).introduction(of);
        self.raft_mut(to).on_peer_attached(of, introduction);
        self.settle(to);
    }

    /// The connection that the node `of` had opened to the node `to` ends.
    pub(super) fn detach(&mut self, of: NodeId, to: NodeId) {
        self.raft_mut(to).on_peer_detached(of);
        self.settle(to);
    }

    /// Ends the connections of a node that has crashed.
    pub(super) fn disconnect(&mut self, id: NodeId) {
        if self.gates.is_empty() {
            return;
        }
        for peer in self.ids() {
            if self.is_up(peer) {
                self.detach(id, peer);
            }
        }
    }

    /// Stops a node, and starts it with a program that reads these formats.
    pub(super) fn replace(&mut self, id: NodeId, formats: FormatRange) {
        if self.is_up(id) {
            self.crash(id);
        }
        self.gate_mut(id).formats = formats;
        self.restart(id);
    }

    /// A person asks a node to hold the format, or to hold it no longer. Its peers learn it by
    /// new connections.
    pub(super) fn hold(&mut self, id: NodeId, is_held: bool) {
        self.gate_mut(id).is_held = is_held;
        self.raft_mut(id).set_held(is_held);
        self.settle(id);
        for peer in self.ids() {
            if peer != id && self.is_up(peer) {
                self.introduce(id, peer);
            }
        }
    }

    pub(super) fn on_announced(&mut self, id: NodeId, news: Announcement) {
        self.name_ports(id, news.peers.keys().copied().collect());
        let Some(gate) = self.gates.get_mut(&id) else { return };
        let is_draining = news.is_draining;
        gate.cluster_id = news.cluster_id.or(gate.cluster_id);
        gate.announced.push(news);
        if std::mem::replace(&mut gate.is_draining, is_draining) != is_draining {
            // Its links begin anew, and introduce it as it is now.
            for peer in self.ids() {
                if peer != id && self.is_up(peer) && !self.is_cut(id, peer) {
                    self.introduce(id, peer);
                }
            }
        }
    }

    pub(super) fn on_stop(&mut self, id: NodeId, reason: StopReason) {
        let gate = self.gates.get_mut(&id).expect("no node stops without formats");
        assert_eq!(gate.stopped.replace(reason), None, "a node stops once");
    }

    /// Lets time pass for all nodes, while messages arrive at once.
    pub(super) fn pass(&mut self, ticks: u32) {
        for _ in 0..ticks {
            for id in self.ids() {
                self.tick(id);
            }
            self.deliver_all();
        }
    }

    /// Lets time pass until everybody knows what the leader has committed.
    pub(super) fn catch_up(&mut self) {
        self.pass(2 * HEARTBEAT_TICKS);
    }

    /// Makes `successor` the leader in the place of `before`, which does not know it at first.
    pub(super) fn elect_instead(&mut self, before: u64, successor: u64) {
        for _ in 0..20 {
            // The others forget their leader, as if it had been silent for long.
            for _ in 0..ELECTION_TICKS_MIN {
                for id in self.ids() {
                    if id != n(successor) && id != n(before) {
                        self.tick(id);
                    }
                }
            }
            self.network.clear();
            self.tick_until_campaign(n(successor));
            self.deliver_all();
            if self.leader() == Some(n(successor)) {
                return;
            }
        }
        panic!("node {successor} is not elected");
    }

    /// Makes a node the leader, and nothing that it sends as the leader arrives.
    pub(super) fn elect_silently(&mut self, id: NodeId) {
        for peer in self.ids().into_iter().filter(|peer| *peer != id) {
            (0..ELECTION_TICKS_MIN).for_each(|_| self.tick(peer));
        }
        self.network.clear();
        self.tick_until_campaign(id);
        while self.raft(id).role() != Role::Leader {
            assert!(self.deliver_where(|_| true), "node {id} is not elected");
        }
        self.network.clear();
    }

    /// The entries of the node's log that put a format in force or name the cluster, in short.
    pub(super) fn gate_entries(&self, id: u64) -> Vec<String> {
        let entries = self.node(n(id)).disk.log().iter();
        let text = |entry: &Entry| match &entry.payload {
            Payload::Format(raised) => Some(format!("format {}", raised.format)),
            Payload::ClusterId(cluster_id) => Some(format!("id {}", cluster_id.0)),
            _ => None,
        };
        entries.filter_map(text).collect()
    }
}

/// The gates of a cluster without connections.
pub(super) fn none() -> BTreeMap<NodeId, Gate> {
    BTreeMap::new()
}
