//! A cluster without a runtime: nodes, their disks and stores, and a network that the test
//! controls. After every event the oracle checks all of it.
//!
//! A node here has the parts that the actors give it: a [`Raft`], a [`Progress`] for each
//! peer while it leads, a disk that completes writes, a log that pages are read from, a
//! store that applies. By default disk and store answer at once; a test can make them slow
//! and let them answer one by one.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;

use super::disk::{Disk, Done, Durable, Log};
use super::gates::{self, Gate};
use super::node::Node;
use super::oracle::Oracle;
use super::pending::Pending;
use super::snapshots::{Job, SnapshotFile, SnapshotRules};
use super::text;
use crate::raft::{
    Append, CompactLog, Effect, Envelope, GateSettings, Progress, ProgressAction, ProgressSettings,
    Raft, RaftSettings, ReadDigest, ReadEntries, ReadSnapshot, ReceiveSnapshot, ReplicationReport,
    ResetLog, Role, Rpc, SetSendMode, StartPeer, StartReplication, StopReplication, TakeSnapshot,
};
use crate::testing::shut_gate;
use crate::types::{Entry, LogIndex, Membership, NodeId, Payload, Term};

pub(super) const ELECTION_TICKS_MIN: u32 = 10;
pub(super) const ELECTION_TICKS_MAX: u32 = 20;
pub(super) const HEARTBEAT_TICKS: u32 = 3;
pub(super) const DISK_STALL_TICKS: u32 = 15;

pub(super) fn n(id: u64) -> NodeId {
    NodeId(id)
}

pub(super) fn i(index: u64) -> LogIndex {
    LogIndex(index)
}

pub(super) fn command(text: &str) -> Payload {
    Payload::Command(Bytes::copy_from_slice(text.as_bytes()))
}

/// A log of commands with these terms.
pub(super) fn log_of(terms: &[u64]) -> Vec<Entry> {
    let entry = |(offset, term): (usize, &u64)| Entry {
        index: LogIndex(offset as u64 + 1),
        term: Term(*term),
        stamp_ms: 0,
        payload: command(&format!("t{term}")),
    };
    terms.iter().enumerate().map(entry).collect()
}

pub(super) fn settings_of(id: u64, nodes: u64, seed: u64) -> RaftSettings {
    RaftSettings {
        id: NodeId(id),
        initial_membership: Membership::seed((1..=nodes).map(NodeId)),
        own_member: None,
        election_timeout_ticks_min: ELECTION_TICKS_MIN,
        election_timeout_ticks_max: ELECTION_TICKS_MAX,
        heartbeat_ticks: HEARTBEAT_TICKS,
        leader_lease: None,
        ticks_per_second: 100,
        disk_stall_ticks: DISK_STALL_TICKS,
        has_batched_peers: seed.is_multiple_of(2),
        page_bytes_max: u64::MAX >> 1,
        snapshot_entries_max: u64::MAX,
        snapshot_bytes_max: u64::MAX,
        keep_entries: 0,
        gate: GateSettings { is_new_cluster: false, ..shut_gate() },
        seed: seed.wrapping_mul(1009).wrapping_add(id),
    }
}

pub(super) const WINDOW: ProgressSettings = ProgressSettings {
    append_entries_max: 4,
    append_bytes_max: 1000,
    inflight_entries_max: 8,
    inflight_bytes_max: 600,
    snapshot_piece_bytes: 30,
    snapshot_window_bytes: 60,
};

pub(super) struct Cluster {
    pub(super) nodes: BTreeMap<NodeId, Node>,
    /// The messages under way, in the order in which they were sent.
    pub(super) network: Vec<Envelope>,
    pub(super) cuts: BTreeSet<(NodeId, NodeId)>,
    pub(super) oracle: Oracle,
    /// The events so far, as text; `None` when no test reads them.
    pub(super) trace: Option<Vec<String>>,
    pub(super) window: ProgressSettings,
    pub(super) rules: SnapshotRules,
    /// Every snapshot that was ever taken, by its digest.
    pub(super) files: BTreeMap<u128, Arc<SnapshotFile>>,
    has_leases: bool,
    /// The formats of the nodes; empty in a cluster without connections.
    pub(super) gates: BTreeMap<NodeId, Gate>,
    /// True when a blank node is told that its cluster is new.
    pub(super) is_said_to_be_new: bool,
    /// The time that has passed, which does not depend on ticks.
    pub(super) now: Duration,
    /// The number of snapshots that were installed.
    pub(super) installed: u32,
    pub(super) seed: u64,
    pub(super) next_token: u64,
}

impl Cluster {
    pub(super) fn new(nodes: u64, seed: u64) -> Cluster {
        Cluster::with_past(vec![Durable::default(); nodes as usize], seed)
    }

    /// A cluster of nodes 1, 2, ... that start with these disks.
    pub(super) fn with_past(disks: Vec<Durable>, seed: u64) -> Cluster {
        Cluster::with_snapshots(disks, seed, SnapshotRules::NONE)
    }

    /// A cluster like that of [`Cluster::with_past`], with snapshots.
    pub(super) fn with_snapshots(disks: Vec<Durable>, seed: u64, rules: SnapshotRules) -> Cluster {
        Cluster::with_leases(disks, seed, rules, false)
    }

    /// A cluster like that of [`Cluster::with_snapshots`], with leader leases if they are
    /// wanted.
    pub(super) fn with_leases(
        disks: Vec<Durable>,
        seed: u64,
        rules: SnapshotRules,
        has_leases: bool,
    ) -> Cluster {
        Cluster::started(disks, seed, rules, has_leases, gates::none())
    }

    /// A cluster like that of [`Cluster::with_leases`], whose nodes have these gates and are
    /// connected.
    pub(super) fn started(
        disks: Vec<Durable>,
        seed: u64,
        rules: SnapshotRules,
        has_leases: bool,
        gates: BTreeMap<NodeId, Gate>,
    ) -> Cluster {
        let mut cluster = Cluster {
            has_leases,
            gates,
            is_said_to_be_new: false,
            now: Duration::ZERO,
            nodes: BTreeMap::new(),
            network: Vec::new(),
            cuts: BTreeSet::new(),
            oracle: Oracle::default(),
            trace: None,
            window: ProgressSettings {
                snapshot_piece_bytes: rules.piece_bytes,
                snapshot_window_bytes: rules.window_bytes,
                ..WINDOW
            },
            rules,
            files: BTreeMap::new(),
            installed: 0,
            seed,
            next_token: 0,
        };
        let founders = disks.len() as u64;
        for (id, durable) in (1..).map(NodeId).zip(disks) {
            cluster.oracle.on_write(id, Role::Follower, &Log::default(), &durable.log);
            cluster.nodes.insert(id, Node::new(id, durable, founders));
        }
        for id in cluster.ids() {
            cluster.restart(id);
        }
        cluster
    }

    pub(super) fn ids(&self) -> Vec<NodeId> {
        self.nodes.keys().copied().collect()
    }

    pub(super) fn node(&self, id: NodeId) -> &Node {
        &self.nodes[&id]
    }

    pub(super) fn is_up(&self, id: NodeId) -> bool {
        self.nodes.get(&id).is_some_and(|node| node.raft.is_some())
    }

    /// The core of a node that is up.
    pub(super) fn raft(&self, id: NodeId) -> &Raft {
        self.nodes[&id].raft.as_ref().expect("the node is up")
    }

    pub(super) fn node_mut(&mut self, id: NodeId) -> &mut Node {
        self.nodes.get_mut(&id).expect("a node of the cluster")
    }

    /// The core of a node that is up, for events that have no method here; call `settle` after
    /// them.
    pub(super) fn raft_mut(&mut self, id: NodeId) -> &mut Raft {
        self.node_mut(id).raft.as_mut().expect("the node is up")
    }

    /// The leader of the highest term, if it is up.
    pub(super) fn leader(&self) -> Option<NodeId> {
        self.nodes
            .values()
            .filter_map(|node| node.raft.as_ref())
            .filter(|raft| raft.role() == Role::Leader)
            .max_by_key(|raft| raft.term())
            .map(Raft::id)
    }

    // Events of one node.

    pub(super) fn tick(&mut self, id: NodeId) {
        if self.is_up(id) {
            self.update_clock(id);
            self.raft_mut(id).tick();
            self.settle(id);
        }
    }

    /// Completes the oldest write of a slow disk.
    pub(super) fn sync(&mut self, id: NodeId) -> bool {
        let has_synced = self.complete_write(id);
        self.settle(id);
        has_synced
    }

    /// Lets a slow store or log give its oldest answer.
    pub(super) fn answer(&mut self, id: NodeId) -> bool {
        let has_answered = self.complete_pending(id);
        self.settle(id);
        has_answered
    }

    /// Lets a slow keeper of snapshots do its next job.
    pub(super) fn do_job(&mut self, id: NodeId) -> bool {
        let has_done = self.complete_job(id);
        self.settle(id);
        has_done
    }

    pub(super) fn crash(&mut self, id: NodeId) {
        self.crash_with_leftovers(id, 0, 0);
    }

    /// A crash after which some operations that were not synced are durable, as in
    /// [`Disk::crash`].
    pub(super) fn crash_with_leftovers(&mut self, id: NodeId, writes: usize, torn: usize) {
        let node = self.node_mut(id);
        node.raft = None;
        node.progress.clear();
        node.peers.ports.clear();
        node.peers.wanted.clear();
        node.applied.clear();
        node.pending.clear();
        node.jobs.clear();
        node.loaded = None;
        node.wanted_digest = None;
        node.waiting.clear();
        node.last_write = LogIndex(0);
        node.disk.crash(writes, torn);
        self.oracle.on_crash(id);
        self.oracle.check_durable(&self.nodes);
        self.disconnect(id);
    }

    /// A node that is down loses its newest snapshot, if that does no harm.
    pub(super) fn lose_newest_snapshot(&mut self, id: NodeId) {
        assert!(!self.is_up(id), "damage is found by a start");
        if self.node_mut(id).disk.lose_newest_snapshot() {
            self.say(|| format!("n{id} lost its newest snapshot"));
        }
    }

    /// A node that is down loses its data directory.
    pub(super) fn wipe(&mut self, id: NodeId) {
        assert!(!self.is_up(id), "only a node that is down can lose its directory");
        let node = self.node_mut(id);
        node.disk = Disk::new(node.disk.durable().clone().replaced());
        self.oracle.on_wipe(id);
    }

    /// The log of a node that is down is damaged after `kept`; its end is not readable.
    pub(super) fn damage(&mut self, id: NodeId, kept: LogIndex) {
        assert!(!self.is_up(id), "a log is judged when its node starts");
        self.node_mut(id).disk.cut_after(kept, false);
    }

    pub(super) fn restart(&mut self, id: NodeId) {
        let (seed, rules) = (self.seed, self.rules);
        let is_new_cluster = self.is_said_to_be_new;
        let leader_lease = self.has_leases.then(|| self.lease_settings(id));
        let own_member = self.gates.get(&id).and_then(|gate| gate.member.clone());
        let gate = self.gates.get_mut(&id).map(|gate| gate.start(id));
        let node = self.node_mut(id);
        assert!(node.raft.is_none(), "only a node that is down can start");
        node.lives += 1;
        node.disk.finish_installation();
        let hard_state = node.disk.durable().hard_state;
        let plain = settings_of(id.0, node.founders, seed.wrapping_add(node.lives << 32));
        let settings = RaftSettings {
            gate: gate.unwrap_or_else(|| plain.gate.clone()),
            snapshot_entries_max: rules.entries_max,
            snapshot_bytes_max: rules.bytes_max,
            keep_entries: rules.keep_entries,
            leader_lease,
            own_member,
            ..plain
        };
        let gate = GateSettings { is_new_cluster, ..settings.gate };
        let settings = RaftSettings { gate, ..settings };
        let (log, snapshots) = (node.disk.summary(), node.disk.snapshot_positions());
        node.raft = Some(Raft::new(settings, hard_state, log, snapshots));
        if let Some(newest) = node.disk.durable().snapshots.last() {
            node.applied = newest.applied.clone();
        }
        self.oracle.on_restore(id, &self.nodes[&id].applied);
        self.oracle.on_restart(id, hard_state);
        for peer in self.ids() {
            self.raft_mut(id).on_peer_reached(peer);
        }
        self.settle(id);
        self.connect(id);
    }

    /// The connection between two nodes breaks, with all that is on it, and comes
    /// back at once.
    pub(super) fn reconnect(&mut self, a: NodeId, b: NodeId) {
        self.network.retain(|m| (m.from, m.to) != (a, b) && (m.from, m.to) != (b, a));
        for (id, peer) in [(a, b), (b, a)] {
            if let Some(progress) = self.node_mut(id).progress.get_mut(&peer) {
                progress.on_disconnected();
                progress.on_connected();
                self.settle(id);
            }
        }
    }

    // The network.

    pub(super) fn is_cut(&self, from: NodeId, to: NodeId) -> bool {
        self.cuts.contains(&(from, to)) || !self.is_up(to)
    }

    /// Cuts every line between two sides.
    pub(super) fn partition(&mut self, side: &[NodeId]) {
        for a in self.ids() {
            for b in self.ids() {
                if side.contains(&a) != side.contains(&b) {
                    self.cuts.insert((a, b));
                }
            }
        }
    }

    pub(super) fn heal(&mut self) {
        self.cuts.clear();
        if !self.gates.is_empty() {
            self.introduce_all();
        }
    }

    /// The message at this place of `network` arrives, or is lost if the line is cut.
    pub(super) fn deliver(&mut self, place: usize) {
        let envelope = self.network.remove(place);
        let is_lost = self.is_cut(envelope.from, envelope.to);
        let mark = if is_lost { " (dropped)" } else { "" };
        self.say(|| format!("{}{mark}", text::envelope(&envelope)));
        if !is_lost {
            self.receive(envelope);
        }
    }

    fn receive(&mut self, envelope: Envelope) {
        let (id, peer, term) = (envelope.to, envelope.from, envelope.term);
        match envelope.rpc {
            Rpc::AppendEntriesResponse(response) => {
                let node = self.node_mut(id);
                let Some(progress) = node.progress.get_mut(&peer) else { return };
                if term == progress.term() {
                    progress.on_response(response).expect("a sound peer");
                } else if term > progress.term() {
                    self.raft_mut(id).on_replicated(peer, term, ReplicationReport::default());
                }
            }
            Rpc::InstallSnapshotResponse(response) => {
                let node = self.node_mut(id);
                let Some(progress) = node.progress.get_mut(&peer) else { return };
                if term == progress.term() {
                    progress.on_snapshot_response(response).expect("a sound peer");
                } else if term > progress.term() {
                    self.raft_mut(id).on_replicated(peer, term, ReplicationReport::default());
                }
            }
            _ => {
                self.update_clock(id);
                self.raft_mut(id).step(envelope);
                self.append_forwarded(id);
            }
        }
        self.settle(id);
    }

    /// Delivers the oldest message for which `wanted` holds.
    pub(super) fn deliver_where(&mut self, wanted: impl Fn(&Envelope) -> bool) -> bool {
        let place = self.network.iter().position(wanted);
        if let Some(place) = place {
            self.deliver(place);
        }
        place.is_some()
    }

    /// Delivers all messages, and the answers to them, until none is under way.
    pub(super) fn deliver_all(&mut self) {
        let mut left = 100_000;
        while !self.network.is_empty() {
            self.deliver(0);
            left -= 1;
            assert!(left > 0, "the nodes do not stop talking");
        }
    }

    /// Ticks a node until it starts an election, or for 3 of its timeouts.
    pub(super) fn tick_until_campaign(&mut self, id: NodeId) {
        for _ in 0..3 * ELECTION_TICKS_MAX {
            let is_waiting = self.raft(id).role() == Role::Follower;
            let sent = self.network.len();
            self.tick(id);
            if self.network.len() > sent || (is_waiting && self.raft(id).role() != Role::Follower) {
                return;
            }
        }
        panic!("node {id} does not stand for election");
    }

    /// Makes a node the leader.
    pub(super) fn elect(&mut self, id: NodeId) {
        self.tick_until_campaign(id);
        self.deliver_all();
        assert_eq!(self.raft(id).role(), Role::Leader, "node {id} was to be elected");
    }

    // The work of the actors.

    /// Executes effects until there are none.
    pub(super) fn settle(&mut self, id: NodeId) {
        loop {
            let effects = self.raft_mut(id).take_effects();
            let mut is_done = effects.is_empty();
            for effect in effects {
                self.execute(id, effect);
            }
            is_done &= !self.open_ports(id);
            is_done &= !self.drain_progress(id);
            is_done &= self.nodes[&id].slow.disk || !self.complete_write(id);
            is_done &= self.nodes[&id].slow.store || !self.complete_pending(id);
            is_done &= self.nodes[&id].slow.keeper || !self.complete_job(id);
            if is_done {
                break;
            }
        }
        self.oracle.check(id, &self.nodes);
    }

    fn execute(&mut self, id: NodeId, effect: Effect) {
        match effect {
            Effect::Append(append) => self.write(id, append),
            Effect::Send(envelope) => self.send(envelope),
            Effect::StartReplication(start) => self.start_replication(id, &start),
            Effect::StartPeer(StartPeer { peer, start }) => self.start_peer(id, peer, &start),
            Effect::TransferFailed(failure) => self.say(|| format!("n{id} {failure}")),
            Effect::Replicate(order) => {
                for progress in self.node_mut(id).progress.values_mut() {
                    assert_eq!(
                        progress.term(),
                        order.term,
                        "the replicators are of the leader's term"
                    );
                    progress.replicate(&order);
                }
            }
            Effect::SetSendMode(SetSendMode { term, peer, mode }) => {
                let progress = self.node_mut(id).progress.get_mut(&peer).expect("a replicator");
                assert_eq!(progress.term(), term, "the replicators are of the leader's term");
                progress.set_send_mode(mode);
            }
            Effect::TellCommit(order) => self.tell_commit(id, order),
            Effect::ForwardAnswered(answer) => self.on_forward_answered(id, answer),
            Effect::StopReplication(StopReplication { term }) => {
                let node = self.node_mut(id);
                node.progress.clear();
                node.waiting.retain(|position| position.term != term);
            }
            Effect::Apply { entries } => self.apply(id, entries),
            Effect::ReadEntries(ReadEntries { from, to, .. }) => {
                self.node_mut(id).pending.push_back(Pending::Page { from, to });
            }
            Effect::TakeSnapshot(TakeSnapshot { point }) => {
                let applied = self.nodes[&id].applied.clone();
                self.node_mut(id).jobs.push_back(Job::Take { point, applied });
            }
            Effect::CompactLog(CompactLog { limit }) => self.node_mut(id).disk.compact(limit),
            Effect::ReceiveSnapshot(ReceiveSnapshot { from, term, piece }) => {
                self.node_mut(id).jobs.push_back(Job::Receive { from, term, piece });
            }
            Effect::ResetLog(ResetLog { base }) => self.install(id, base),
            Effect::ReadReady { token, read_index } => {
                let applied = &self.nodes[&id].applied;
                assert!(read_index.0 <= applied.len() as u64, "applied before the read");
                self.oracle.on_read_ready(id, token, applied);
                if self.raft(id).role() != Role::Leader {
                    self.oracle.any_server.on_read();
                }
                let seen = applied.len();
                self.say(|| format!("n{id} read #{} ready, sees {seen}", token.0));
            }
            Effect::ReadFailed { token } => {
                self.oracle.on_read_failed(token);
                self.say(|| format!("n{id} read #{} failed", token.0));
            }
            Effect::Announce(news) => self.on_announced(id, news),
            Effect::ReadDigest(ReadDigest { index }) => {
                self.node_mut(id).wanted_digest = Some(index);
                self.read_wanted_digest(id);
            }
            Effect::Stop(reason) => self.on_stop(id, reason),
            Effect::RefusePeer(order) => panic!("n{id} refuses a sound peer: {order:?}"),
            Effect::Event(event) => {
                let term = self.raft(id).term();
                self.say(|| format!("n{id}@{term} {event}"));
            }
        }
    }

    fn write(&mut self, id: NodeId, Append { seq, hard_state, entries }: Append) {
        if self.nodes[&id].slow.disk {
            self.say(|| text::write(id, seq, hard_state, &entries));
        }
        let role = self.raft(id).role();
        let disk = &mut self.nodes.get_mut(&id).expect("a node of the cluster").disk;
        self.oracle.on_write(id, role, disk.log(), &entries);
        disk.write(seq, hard_state, entries);
    }

    fn start_replication(
        &mut self,
        id: NodeId,
        StartReplication { term, runs }: &StartReplication,
    ) {
        let log = self.nodes[&id].disk.log();
        assert_eq!(*runs, log.runs(), "the terms are those of the log");
        let raft = self.nodes[&id].raft.as_ref().expect("who is elected is up");
        let membership = raft.members_status().membership;
        self.oracle.on_elected((id, *term), &membership, log);
        let peers = self.nodes[&id].peers.ports.clone();
        let window = self.window;
        let start = |peer| (peer, Progress::new(window, *term, runs.clone(), true));
        self.node_mut(id).progress = peers.into_iter().map(start).collect();
    }

    fn start_peer(&mut self, id: NodeId, peer: NodeId, start: &StartReplication) {
        assert_eq!(start.runs, self.nodes[&id].disk.log().runs(), "as far as the other peers know");
        let progress = Progress::new(self.window, start.term, start.runs.clone(), true);
        self.node_mut(id).progress.insert(peer, progress);
    }

    fn send(&mut self, envelope: Envelope) {
        let leader = self.oracle.leader_of(envelope.term);
        let leader_log = leader
            .map(|leader| &self.nodes[&leader])
            .filter(|node| {
                let raft = node.raft.as_ref();
                raft.is_some_and(|r| r.role() == Role::Leader && r.term() == envelope.term)
            })
            .map(|node| node.disk.log());
        let durable = self.nodes[&envelope.from].disk.durable();
        self.oracle.on_send(&envelope, durable, leader_log);
        self.network.push(envelope);
    }

    fn apply(&mut self, id: NodeId, entries: Vec<Entry>) {
        self.say(|| format!("n{id} applied {}", text::entries(&entries)));
        let node = self.nodes.get_mut(&id).expect("a node of the cluster");
        for entry in entries {
            self.oracle.on_apply(id, &node.applied, &entry, node.disk.durable());
            node.waiting.remove(&entry.position());
            node.applied.push(entry);
        }
        let last_applied = LogIndex(node.applied.len() as u64);
        node.pending.push_back(Pending::Applied(last_applied));
        self.read_wanted_digest(id);
    }

    fn drain_progress(&mut self, id: NodeId) -> bool {
        let mut has_acted = false;
        for peer in self.ids() {
            let Some(progress) = self.node_mut(id).progress.get_mut(&peer) else { continue };
            let term = progress.term();
            let request = |rpc| Envelope { from: id, to: peer, term, rpc };
            for action in progress.take_actions() {
                has_acted = true;
                match action {
                    ProgressAction::Send(sent) => self.send(request(Rpc::AppendEntries(sent))),
                    ProgressAction::ReadEntries(ReadEntries { ticket, from, to, .. }) => {
                        let fetch = Pending::Fetch { peer, term, ticket, from, to };
                        self.node_mut(id).pending.push_back(fetch);
                    }
                    ProgressAction::ReadSnapshot(ReadSnapshot {
                        ticket,
                        snapshot,
                        offset,
                        bytes_max,
                    }) => {
                        let job = Job::Read { peer, term, ticket, snapshot, offset, bytes_max };
                        self.node_mut(id).jobs.push_back(job);
                    }
                    ProgressAction::SendSnapshot(piece) => {
                        self.send(request(Rpc::InstallSnapshot(piece)));
                    }
                    ProgressAction::SendForgotten(word) => {
                        self.send(request(Rpc::Forgotten(word)));
                    }
                    ProgressAction::Pause => {
                        self.node_mut(id).pending.push_back(Pending::Pause { peer, term });
                    }
                    ProgressAction::Report(report) => {
                        self.raft_mut(id).on_replicated(peer, term, report);
                    }
                }
            }
        }
        has_acted
    }

    fn complete_write(&mut self, id: NodeId) -> bool {
        let Some(done) = self.node_mut(id).disk.sync_next() else { return false };
        match done {
            Done::Persisted(seq) => {
                if self.nodes[&id].slow.disk {
                    self.say(|| format!("n{id} synced write {seq}"));
                }
                self.update_clock(id);
                self.raft_mut(id).on_persisted(seq);
            }
            Done::Compacted(base) => {
                self.say(|| format!("n{id} compacted base={base}"));
                self.raft_mut(id).on_compacted(base);
            }
            Done::Reset => {}
        }
        true
    }

    pub(super) fn say(&mut self, line: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            trace.push(line());
        }
    }
}
