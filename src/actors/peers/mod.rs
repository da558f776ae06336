//! PeersActor: makes and ends the actors of the other nodes.
//!
//! Each peer has a PeerLinkActor, which dials it, and a ReplicatorActor, which knows what
//! it lacks. One PeerAcceptorActor accepts the connections of all peers and starts a
//! PeerSessionActor for each.
//!
//! | in | from | out | to |
//! | --- | --- | --- | --- |
//! | [`Announce`] | RaftActor | [`Announce`] | PeerLinkActor, PeerAcceptorActor |
//! | | | [`PeersChanged`] | RaftActor |
//! | | | [`Shutdown`] | PeerLinkActor, ReplicatorActor of a peer that is gone |
//! | [`PeerIntroduced`] | PeerAcceptorActor | [`PeerIntroduced`] | that peer's PeerLinkActor |
//! | [`Shutdown`] | `node` | [`Shutdown`] | PeerLinkActor, ReplicatorActor, PeerAcceptorActor |
//! | | | [`PeerEvent`], [`Replicated`] | RaftActor, by the actors that it starts |
//! | | | [`ReadEntriesRequest`] | LogActor, by the actors that it starts |
//! | | | [`ReadSnapshotRequest`] | SnapshotReaderActor, by the actors that it starts |
//!
//! It owns the addresses of the actors that it started. It runs on the main arbiter, and so
//! do they. It passes no message of Raft: RaftActor has the ports to each peer.
//!
//! The core announces which peers there are (docs/adr/0027). Nothing of a peer that is gone is
//! left: its actors are told to stop, wait for nothing that is under way, and close what they have
//! open. The acceptor ends the connections that such a peer has opened.

pub mod acceptor;
pub mod link;
pub mod replicator;
pub mod session;
pub mod settings;
mod stream;

use std::collections::BTreeMap;
use std::rc::Rc;

use actix::{Actor, ActorContext, Addr, AsyncContext, Context, Handler, Recipient};

use crate::actors::io::memory::Reservation;
use crate::actors::messages::lifecycle::Shutdown;
use crate::actors::messages::log::ReadEntriesRequest;
use crate::actors::messages::peers::{
    Announce, PeerEvent, PeerIntroduced, PeerPorts, PeersChanged,
};
use crate::actors::messages::replication::Replicated;
use crate::actors::messages::snapshots::ReadSnapshotRequest;
use crate::metrics::NodeMetrics;
use crate::net::{Listener, Network};
use crate::raft::{Announcement, Introduction};
use crate::types::{Address, NodeId};
use crate::wire::LocalNode;
use acceptor::{PeerAcceptorActor, PeerAcceptorPorts};
use link::{PeerAddresses, PeerLinkActor, PeerLinkPorts};
use replicator::{ReplicatorActor, ReplicatorPorts, ReplicatorSettings};
use settings::LinkSettings;

/// The maximum number of nodes that are no peers yet and whose introductions are kept.
const STRANGERS_MAX: usize = 64;

/// The ports that PeersActor gives to the actors that it starts.
#[derive(Clone)]
pub struct PeersPorts {
    /// RaftActor: the peers that have actors.
    pub changed: Recipient<PeersChanged>,
    /// RaftActor: connections, requests, and responses to votes.
    pub events: Recipient<PeerEvent>,
    /// RaftActor: the progress of the peers.
    pub replicated: Recipient<Replicated>,
    /// LogActor: reads of entries that are only on disk.
    pub log: Recipient<ReadEntriesRequest>,
    /// SnapshotReaderActor: reads of chunks to send.
    pub snapshot: Recipient<ReadSnapshotRequest>,
}

/// The settings of the actors that PeersActor starts.
#[derive(Clone)]
pub struct PeersSettings {
    /// The bounds and times of connections.
    pub link: LinkSettings,
    /// The bounds of the replication to a peer.
    pub replicator: ReplicatorSettings,
    /// The memory that the peers may take.
    pub memory: PeerMemory,
    /// The addresses of the peers in servers.toml.
    pub configured: BTreeMap<NodeId, Address>,
    /// Seeds the jitter of dials, which differs from peer to peer.
    pub seed: u64,
    /// Measures the work of these actors.
    pub metrics: NodeMetrics,
}

/// The memory for the replication to peers (docs/adr/0010).
#[derive(Clone, Debug)]
pub struct PeerMemory {
    /// The number of peers whose memory was set apart when the node started.
    pub peers: usize,
    /// The memory in bytes that each peer beyond them takes from the clients.
    pub peer_bytes: u64,
    /// Maximum number of bytes that they take together: the rest is for at least one client.
    pub bytes_max: u64,
    /// The part of the clients' budget that they have.
    pub reservation: Reservation,
}

impl PeerMemory {
    /// Reserves the memory for this number of peers. Returns false when there is not enough, and
    /// all that can be had is reserved.
    fn reserve_for(&mut self, peers: usize) -> bool {
        let wanted = self.peer_bytes * peers.saturating_sub(self.peers) as u64;
        self.reservation.set(wanted.min(self.bytes_max));
        wanted <= self.bytes_max
    }
}

/// The actors of one peer.
struct Peer {
    link: Addr<PeerLinkActor>,
    replicator: Addr<ReplicatorActor>,
}

/// The owner of all actors of the other nodes.
pub struct PeersActor {
    local: LocalNode,
    network: Rc<dyn Network>,
    settings: PeersSettings,
    ports: PeersPorts,
    peers: BTreeMap<NodeId, Peer>,
    /// The introduction of each node that has an accepted connection. A node may introduce itself
    /// before the log says that it is a peer.
    introduced: BTreeMap<NodeId, Introduction>,
    /// `None` when the acceptor has it.
    listener: Option<Box<dyn Listener>>,
    /// `None` until the actor runs.
    acceptor: Option<Addr<PeerAcceptorActor>>,
}

impl PeersActor {
    /// An owner without peers, for the node that `local` describes. When it runs it accepts the
    /// connections that `listener` gets.
    pub fn new(
        local: LocalNode,
        network: Rc<dyn Network>,
        listener: Box<dyn Listener>,
        settings: PeersSettings,
        ports: PeersPorts,
    ) -> PeersActor {
        PeersActor {
            local,
            network,
            settings,
            ports,
            peers: BTreeMap::new(),
            introduced: BTreeMap::new(),
            listener: Some(listener),
            acceptor: None,
        }
    }

    /// Starts the actors of a peer, and returns the ports to it.
    fn add(&mut self, peer: NodeId, logged: Option<Address>) -> PeerPorts {
        let replicator_ctx = Context::<ReplicatorActor>::new();
        let replicator = replicator_ctx.address();
        let link_ports = PeerLinkPorts {
            raft: self.ports.events.clone(),
            replicator: replicator.clone().recipient(),
        };
        let seed = self.settings.seed.wrapping_mul(31).wrapping_add(peer.0);
        let (settings, network) = (self.settings.link.clone(), Rc::clone(&self.network));
        let local = self.local.clone();
        let configured = self.settings.configured.get(&peer).cloned();
        let addresses = PeerAddresses { logged, configured };
        let link = PeerLinkActor::new(local, peer, addresses, settings, network, link_ports, seed);
        let metrics = self.settings.metrics.peers.add(peer);
        let link = link.with_metrics(metrics.clone()).start();
        if let Some(introduction) = self.introduced.get(&peer).cloned() {
            self.settings.metrics.peers.set_http_address(peer, introduction.http.clone());
            link.do_send(PeerIntroduced { peer, introduction: Some(introduction) });
        }
        let ports = ReplicatorPorts {
            raft: self.ports.replicated.clone(),
            link: link.clone().recipient(),
            link_end: link.clone().recipient(),
            log: self.ports.log.clone(),
            snapshot: self.ports.snapshot.clone(),
        };
        let settings = self.settings.replicator;
        let actor = ReplicatorActor::new(self.local.id, peer, settings, ports);
        replicator_ctx.run(actor.with_metrics(metrics, self.settings.metrics.raft.clone()));
        let actors = Peer { link: link.clone(), replicator: replicator.clone() };
        self.peers.insert(peer, actors);
        PeerPorts {
            link: link.clone().recipient(),
            link_end: link.recipient(),
            replicator: replicator.recipient(),
        }
    }

    /// The peers that are to have actors. A server that joins dials those that it was told of,
    /// until its log says that it is a member: so they hear where it is, even if `member add` had a
    /// wrong address. Before that entry the log has members of the past, who may all be gone.
    fn wanted(&self, announcement: &Announcement) -> BTreeMap<NodeId, Option<Address>> {
        let mut wanted = announcement.peers.clone();
        if !announcement.membership.is_member(self.local.id) {
            let seeds = self.local.seeds.iter().filter(|seed| **seed != self.local.id);
            wanted.extend(seeds.map(|seed| (*seed, None)));
        }
        wanted
    }

    /// Starts and ends actors, so that exactly the `wanted` peers have some.
    fn change_peers(&mut self, wanted: &BTreeMap<NodeId, Option<Address>>) {
        let is_gone = |peer: &NodeId| !wanted.contains_key(peer);
        let removed: Vec<NodeId> = self.peers.keys().copied().filter(is_gone).collect();
        for peer in &removed {
            self.settings.metrics.peers.remove(*peer);
            if let Some(Peer { link, replicator }) = self.peers.remove(peer) {
                link.do_send(Shutdown);
                replicator.do_send(Shutdown);
            }
        }
        let is_new = |(peer, _): &(&NodeId, _)| !self.peers.contains_key(peer);
        let new: Vec<_> = wanted.iter().filter(is_new).collect();
        let added =
            new.into_iter().map(|(peer, address)| (*peer, self.add(*peer, address.clone())));
        let added: Vec<(NodeId, PeerPorts)> = added.collect();
        if added.is_empty() && removed.is_empty() {
            return;
        }
        let peers = self.peers.len();
        if !self.settings.memory.reserve_for(peers) && !added.is_empty() {
            log::warn!(
                node = self.local.id;
                "the memory for {peers} peers is more than there is: entries on their way to them \
                 may take more than [limits] memory_bytes; raise it on this server"
            );
        }
        self.ports.changed.do_send(PeersChanged { added, removed });
    }
}

impl Actor for PeersActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        let Some(listener) = self.listener.take() else { return };
        let introduced = ctx.address().recipient();
        let ports = PeerAcceptorPorts { raft: self.ports.events.clone(), introduced };
        let (local, settings) = (self.local.clone(), self.settings.link.clone());
        self.acceptor = Some(PeerAcceptorActor::new(listener, local, settings, ports).start());
    }
}

impl Handler<Announce> for PeersActor {
    type Result = ();

    fn handle(&mut self, Announce(announcement): Announce, _ctx: &mut Context<Self>) {
        self.local.take(&announcement);
        self.change_peers(&self.wanted(&announcement));
        for peer in self.peers.values() {
            peer.link.do_send(Announce(announcement.clone()));
        }
        if let Some(acceptor) = &self.acceptor {
            acceptor.do_send(Announce(announcement));
        }
    }
}

impl Handler<PeerIntroduced> for PeersActor {
    type Result = ();

    fn handle(&mut self, introduced: PeerIntroduced, _ctx: &mut Context<Self>) {
        let peer = introduced.peer;
        match introduced.introduction.clone() {
            Some(introduction) => {
                if self.introduced.len() >= STRANGERS_MAX + self.peers.len() {
                    self.introduced.retain(|node, _| self.peers.contains_key(node));
                }
                if self.peers.contains_key(&peer) {
                    let http = introduction.http.clone();
                    self.settings.metrics.peers.set_http_address(peer, http);
                }
                self.introduced.insert(peer, introduction);
            }
            None => {
                self.introduced.remove(&peer);
            }
        }
        if let Some(Peer { link, .. }) = self.peers.get(&peer) {
            link.do_send(introduced);
        }
    }
}

impl Handler<Shutdown> for PeersActor {
    type Result = ();

    fn handle(&mut self, _: Shutdown, ctx: &mut Context<Self>) {
        if let Some(acceptor) = &self.acceptor {
            acceptor.do_send(Shutdown);
        }
        for Peer { link, replicator } in self.peers.values() {
            link.do_send(Shutdown);
            replicator.do_send(Shutdown);
        }
        ctx.stop();
    }
}

#[cfg(test)]
mod tests;
