//! Nodes that join a cluster and leave it: what the shells do about members, and what operators
//! ask for.

use std::collections::BTreeSet;

use super::cluster::{Cluster, ELECTION_TICKS_MAX, n};
use super::disk::Durable;
use super::gates::Gate;
use super::node::Node;
use super::snapshots::SnapshotRules;
use crate::raft::{ChangeRefusal, MemberOutcome, MembersStatus, Role};
use crate::types::{
    Address, FormatRange, LogIndex, Member, MemberOperation, MemberRequest, Membership, NodeId,
};

/// The addresses of a node.
pub(super) fn member(id: u64) -> Member {
    let address = |port| Address { host: format!("10.0.0.{id}"), port };
    Member { peer: address(9001), client: address(9000) }
}

pub(super) fn add(id: u64) -> MemberOperation {
    MemberOperation::Add { id: Some(n(id)), member: member(id), is_learner: false }
}

pub(super) fn add_learner(id: u64) -> MemberOperation {
    MemberOperation::Add { id: Some(n(id)), member: member(id), is_learner: true }
}

pub(super) fn remove(id: u64) -> MemberOperation {
    MemberOperation::Remove { id: n(id) }
}

pub(super) fn replace(old: u64, new: u64) -> MemberOperation {
    MemberOperation::Replace { old: n(old), id: Some(n(new)), member: member(new) }
}

pub(super) fn promote(id: u64) -> MemberOperation {
    MemberOperation::Promote { id: n(id) }
}

pub(super) fn demote(id: u64) -> MemberOperation {
    MemberOperation::Demote { id: n(id) }
}

/// The gate of a node that reads every format and says its addresses.
fn gate_of_member(id: u64) -> Gate {
    Gate { member: Some(member(id)), ..Gate::of(FormatRange::OWN) }
}

impl Cluster {
    /// A cluster whose members can change, and whose leader is node 1. The highest format is in
    /// force at every node.
    pub(super) fn with_members(nodes: u64, seed: u64) -> Cluster {
        Cluster::with_members_and_snapshots(nodes, seed, SnapshotRules::NONE)
    }

    pub(super) fn with_members_and_snapshots(
        nodes: u64,
        seed: u64,
        rules: SnapshotRules,
    ) -> Cluster {
        let disks = vec![Durable::default(); nodes as usize];
        let gates = (1..=nodes).map(|id| (n(id), gate_of_member(id))).collect();
        let mut cluster = Cluster::started(disks, seed, rules, false, gates);
        cluster.elect(n(1));
        cluster.pass_until(|cluster| {
            cluster.ids().iter().all(|id| {
                let (node, status) = (cluster.raft(*id).status(), cluster.status(*id));
                let is_highest = node.cluster.format.format == FormatRange::OWN.highest;
                is_highest && !status.membership.is_seed() && status.is_committed
            })
        });
        cluster
    }

    /// Lets time pass until something is so.
    pub(super) fn pass_until(&mut self, is_so: impl Fn(&Cluster) -> bool) {
        for _ in 0..100 * ELECTION_TICKS_MAX {
            if is_so(self) {
                return;
            }
            self.pass(1);
        }
        for id in self.ids().into_iter().filter(|id| self.is_up(*id)) {
            let raft = self.raft(id);
            let (hard_state, last) = (raft.hard_state(), raft.last_log());
            eprintln!("{:?} {:?} log ends with {last}", raft.status(), hard_state);
            eprintln!("{:?}", self.status(id));
        }
        panic!("it does not come to that");
    }

    // Operators.

    /// A new node starts with an empty directory, and knows no members.
    pub(super) fn add_node(&mut self, id: u64) {
        let node = Node::new(n(id), Durable::new_directory(), 0);
        assert!(self.nodes.insert(n(id), node).is_none(), "a new node");
        self.gates.insert(n(id), gate_of_member(id));
        self.restart(n(id));
    }

    /// A node is taken away for ever, with its disk.
    pub(super) fn remove_node(&mut self, id: u64) {
        if self.is_up(n(id)) {
            self.crash(n(id));
        }
        self.nodes.remove(&n(id));
        self.gates.remove(&n(id));
        self.network.retain(|m| m.to != n(id) && m.from != n(id));
    }

    /// Asks a node for a change of the members, whatever may be lost by it.
    pub(super) fn change(
        &mut self,
        at: NodeId,
        operation: MemberOperation,
    ) -> Result<MemberOutcome, ChangeRefusal> {
        self.request(at, operation, Some(0))
    }

    pub(super) fn request(
        &mut self,
        at: NodeId,
        operation: MemberOperation,
        can_lose: Option<u32>,
    ) -> Result<MemberOutcome, ChangeRefusal> {
        let request = MemberRequest { operation, can_lose, is_dry_run: false };
        let outcome = self.raft_mut(at).request_change(&request);
        self.settle(at);
        outcome
    }

    /// Begins a change at the leader, and returns its number.
    pub(super) fn begin(&mut self, operation: MemberOperation) -> LogIndex {
        self.pass_until(|cluster| cluster.leader().is_some());
        let leader = self.leader().expect("a leader");
        match self.change(leader, operation) {
            Ok(MemberOutcome::Begun { number, .. }) => number,
            outcome => panic!("it was to begin: {outcome:?}"),
        }
    }

    /// Changes the members, and lets time pass until the leader knows that it is done.
    pub(super) fn change_and_wait(&mut self, operation: MemberOperation) {
        let number = self.begin(operation);
        self.pass_until(|cluster| {
            cluster.leader().is_some_and(|leader| cluster.has_ended(leader, number))
        });
    }

    /// True when the node knows that the change has ended.
    pub(super) fn has_ended(&self, id: NodeId, number: LogIndex) -> bool {
        let status = self.status(id);
        status.is_committed && status.membership.ended.iter().any(|ended| ended.number == number)
    }

    pub(super) fn status(&self, id: NodeId) -> MembersStatus {
        self.raft(id).members_status()
    }

    /// The newest membership in the log of a node.
    pub(super) fn members_of(&self, id: u64) -> Membership {
        self.status(n(id)).membership
    }

    /// The voters in the newest membership of a node.
    pub(super) fn voters_of(&self, id: u64) -> Vec<u64> {
        self.members_of(id).voters.iter().map(|id| id.0).collect()
    }

    /// A server with other addresses has started in the place of a node.
    pub(super) fn move_node(&mut self, id: u64, to: u64) {
        self.crash(n(id));
        self.gate_mut(n(id)).member = Some(member(to));
        self.restart(n(id));
    }

    pub(super) fn role(&self, id: u64) -> Role {
        self.raft(n(id)).role()
    }

    // Shells.

    /// PeersActor: the node has connections with these peers from now on.
    pub(super) fn name_ports(&mut self, id: NodeId, peers: BTreeSet<NodeId>) {
        let node = self.node_mut(id);
        node.progress.retain(|peer, _| peers.contains(peer));
        node.peers.ports.retain(|peer| peers.contains(peer));
        node.peers.wanted = peers;
    }

    /// RaftActor gets the ports that PeersActor has made. True when there were any.
    pub(super) fn open_ports(&mut self, id: NodeId) -> bool {
        let node = self.node_mut(id);
        let new: Vec<NodeId> = node.peers.wanted.difference(&node.peers.ports).copied().collect();
        for peer in &new {
            node.peers.ports.insert(*peer);
            if let Some(raft) = &mut node.raft {
                raft.on_peer_added(*peer);
            }
        }
        !new.is_empty()
    }

    /// The answer to the hello of a node that was removed, as admission gives it.
    pub(super) fn is_told_that_it_was_removed(&mut self, of: NodeId, to: NodeId) -> bool {
        let Some(news) = self.gate(to).announced.last() else { return false };
        let committed = news.committed.clone().filter(|_| news.departing != Some(of));
        let Some(committed) = committed.filter(|committed| committed.is_removed(of)) else {
            return false;
        };
        let at = committed.removed.get(&of).copied().unwrap_or(LogIndex(0));
        self.raft_mut(of).on_told_removed(to, at);
        self.settle(of);
        true
    }
}
