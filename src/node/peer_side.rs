//! The actors of the other nodes: PeersActor, which makes and ends the rest.

use std::collections::BTreeMap;
use std::rc::Rc;

use actix::Addr;

use super::actor_settings;
use super::storage_side::StorageSide;
use crate::actors::io::memory::MemoryBudget;
use crate::actors::messages::peers::PeerPorts;
use crate::actors::peers::settings::PeerAddress;
use crate::actors::peers::{PeersActor, PeersPorts, PeersSettings};
use crate::actors::raft::RaftActor;
use crate::config::Settings;
use crate::net::Network;
use crate::types::{Address, NodeId};
use crate::wire::LocalNode;

/// Starts the actors of the peers in `settings`. Returns PeersActor and the ports to each
/// peer. PeersActor does not run or listen yet, so that no peer is heard before RaftActor
/// runs.
pub(super) fn start(
    settings: &Settings,
    local: LocalNode,
    seed: u64,
    network: Rc<dyn Network>,
    storage: &StorageSide,
    raft: &Addr<RaftActor>,
    memory: &MemoryBudget,
) -> (PeersActor, BTreeMap<NodeId, PeerPorts>) {
    let ports = PeersPorts {
        events: raft.clone().recipient(),
        replicated: raft.clone().recipient(),
        log: storage.log.clone().recipient(),
        snapshot: storage.snapshot_reader.clone().recipient(),
    };
    let peers_settings = PeersSettings {
        link: actor_settings::link_settings(settings, memory),
        replicator: actor_settings::replicator_settings(settings),
        seed,
    };
    let id = local.id;
    let mut peers = PeersActor::new(local, network, peers_settings, ports);
    let mut peer_ports = BTreeMap::new();
    for server in settings.servers.values().filter(|server| server.id != id) {
        let Address { host, port } = server.advertised.peer.clone();
        let address = PeerAddress { host, port };
        peer_ports.insert(server.id, peers.add(server.id, address));
    }
    (peers, peer_ports)
}
