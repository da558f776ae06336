//! The actors of the other nodes: PeersActor, which makes and ends the rest.

use std::rc::Rc;

use actix::{Addr, Context};

use super::actor_settings;
use super::storage_side::StorageSide;
use crate::actors::io::memory::MemoryBudget;
use crate::actors::peers::settings::LinkSettings;
use crate::actors::peers::{PeersActor, PeersPorts, PeersSettings};
use crate::actors::raft::RaftActor;
use crate::config::Settings;
use crate::metrics::NodeMetrics;
use crate::net::{Listener, Network};
use crate::wire::LocalNode;

/// The surroundings that PeersActor gets.
pub(super) struct PeerNetwork {
    pub(super) network: Rc<dyn Network>,
    /// Accepts the connections of peers.
    pub(super) listener: Box<dyn Listener>,
    /// Seeds the jitter of dials.
    pub(super) seed: u64,
    pub(super) metrics: NodeMetrics,
}

/// Starts PeersActor in the context `ctx`. It listens from here on, and dials as soon as RaftActor,
/// which must run already, has told it who the peers are.
pub(super) fn start(
    settings: &Settings,
    local: LocalNode,
    PeerNetwork { network, listener, seed, metrics }: PeerNetwork,
    storage: &StorageSide,
    raft: &Addr<RaftActor>,
    memory: &MemoryBudget,
    ctx: Context<PeersActor>,
) -> Addr<PeersActor> {
    let ports = PeersPorts {
        changed: raft.clone().recipient(),
        events: raft.clone().recipient(),
        replicated: raft.clone().recipient(),
        log: storage.log.clone().recipient(),
        snapshot: storage.snapshot_reader.clone().recipient(),
    };
    let configured = settings.servers.values().map(|server| (server.id, server.member().peer));
    let peers_settings = PeersSettings {
        link: LinkSettings {
            metrics: metrics.peers.clone(),
            ..actor_settings::link_settings(settings, memory)
        },
        replicator: actor_settings::replicator_settings(settings),
        memory: actor_settings::peer_memory(settings, memory),
        configured: configured.collect(),
        seed,
        metrics,
    };
    ctx.run(PeersActor::new(local, network, listener, peers_settings, ports))
}
