//! PeersActor: makes and ends the actors of the other nodes.
//!
//! Each peer has a PeerLinkActor, which dials it, and a ReplicatorActor, which knows what
//! it lacks. One PeerAcceptorActor accepts the connections of all peers and starts a
//! PeerSessionActor for each.
//!
//! | in | from | out | to |
//! | --- | --- | --- | --- |
//! | [`Announce`] | RaftActor | [`Announce`] | PeerLinkActor, PeerAcceptorActor |
//! | [`Shutdown`] | `node` | [`Shutdown`] | PeerLinkActor, PeerAcceptorActor |
//! | | | [`PeerEvent`], [`Replicated`] | RaftActor, by the actors that it starts |
//! | | | [`ReadEntriesRequest`] | LogActor, by the actors that it starts |
//! | | | [`ReadSnapshotRequest`] | SnapshotReaderActor, by the actors that it starts |
//!
//! It owns the addresses of the actors that it started. It runs on the main arbiter, and so
//! do they. It passes no message of Raft: RaftActor has the ports to each peer.

pub mod acceptor;
pub mod link;
pub mod replicator;
pub mod session;
pub mod settings;
mod stream;

use std::collections::BTreeMap;
use std::rc::Rc;

use actix::{Actor, ActorContext, Addr, AsyncContext, Context, Handler, Recipient};

use crate::actors::messages::lifecycle::Shutdown;
use crate::actors::messages::log::ReadEntriesRequest;
use crate::actors::messages::peers::{Announce, PeerEvent, PeerPorts};
use crate::actors::messages::replication::Replicated;
use crate::actors::messages::snapshots::ReadSnapshotRequest;
use crate::net::{Listener, Network};
use crate::types::NodeId;
use crate::wire::LocalNode;
use acceptor::{PeerAcceptorActor, PeerAcceptorPorts};
use link::{PeerLinkActor, PeerLinkPorts};
use replicator::{ReplicatorActor, ReplicatorPorts, ReplicatorSettings};
use settings::{LinkSettings, PeerAddress};

/// The ports that PeersActor gives to the actors that it starts.
#[derive(Clone)]
pub struct PeersPorts {
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
    /// Seeds the jitter of dials, which differs from peer to peer.
    pub seed: u64,
}

/// The owner of all actors of the other nodes.
pub struct PeersActor {
    local: LocalNode,
    network: Rc<dyn Network>,
    settings: PeersSettings,
    ports: PeersPorts,
    links: BTreeMap<NodeId, Addr<PeerLinkActor>>,
    /// `None` until the node listens.
    acceptor: Option<Addr<PeerAcceptorActor>>,
}

impl PeersActor {
    /// An owner without peers, for the node that `local` describes.
    pub fn new(
        local: LocalNode,
        network: Rc<dyn Network>,
        settings: PeersSettings,
        ports: PeersPorts,
    ) -> PeersActor {
        PeersActor { local, network, settings, ports, links: BTreeMap::new(), acceptor: None }
    }

    /// Starts the actors of a peer, and returns the ports to it.
    ///
    /// # Panics
    /// Outside an actix runtime.
    pub fn add(&mut self, peer: NodeId, address: PeerAddress) -> PeerPorts {
        let replicator_ctx = Context::<ReplicatorActor>::new();
        let replicator = replicator_ctx.address();
        let link_ports = PeerLinkPorts {
            raft: self.ports.events.clone(),
            replicator: replicator.clone().recipient(),
        };
        let seed = self.settings.seed.wrapping_mul(31).wrapping_add(peer.0);
        let (settings, network) = (self.settings.link.clone(), Rc::clone(&self.network));
        let local = self.local.clone();
        let link = PeerLinkActor::new(local, peer, address, settings, network, link_ports, seed);
        let link = link.start();
        let ports = ReplicatorPorts {
            raft: self.ports.replicated.clone(),
            link: link.clone().recipient(),
            link_end: link.clone().recipient(),
            log: self.ports.log.clone(),
            snapshot: self.ports.snapshot.clone(),
        };
        let settings = self.settings.replicator;
        replicator_ctx.run(ReplicatorActor::new(self.local.id, peer, settings, ports));
        self.links.insert(peer, link.clone());
        PeerPorts {
            link: link.clone().recipient(),
            link_end: link.recipient(),
            replicator: replicator.recipient(),
        }
    }

    /// Accepts the connections of the peers that were added, from here on.
    ///
    /// # Panics
    /// Outside an actix runtime.
    pub fn listen(&mut self, listener: Box<dyn Listener>) {
        let links = self.links.iter().map(|(peer, link)| (*peer, link.clone().recipient()));
        let ports = PeerAcceptorPorts { raft: self.ports.events.clone(), links: links.collect() };
        let (local, settings) = (self.local.clone(), self.settings.link.clone());
        let acceptor = PeerAcceptorActor::new(listener, local, settings, ports).start();
        self.acceptor = Some(acceptor);
    }
}

impl Actor for PeersActor {
    type Context = Context<Self>;
}

impl Handler<Announce> for PeersActor {
    type Result = ();

    fn handle(&mut self, Announce(announcement): Announce, _ctx: &mut Context<Self>) {
        self.local.take(&announcement);
        for link in self.links.values() {
            link.do_send(Announce(announcement.clone()));
        }
        if let Some(acceptor) = &self.acceptor {
            acceptor.do_send(Announce(announcement));
        }
    }
}

impl Handler<Shutdown> for PeersActor {
    type Result = ();

    fn handle(&mut self, _: Shutdown, ctx: &mut Context<Self>) {
        if let Some(acceptor) = &self.acceptor {
            acceptor.do_send(Shutdown);
        }
        for link in self.links.values() {
            link.do_send(Shutdown);
        }
        ctx.stop();
    }
}

#[cfg(test)]
mod tests;
