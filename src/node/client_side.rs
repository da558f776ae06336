//! The actors of client connections, and of their watches.

use std::sync::Arc;

use actix::{Actor, Addr, Arbiter, ArbiterHandle};

use super::actor_settings;
use super::environment::Placement;
use crate::actors::clients::acceptor::{ClientAcceptorActor, ClientAcceptorPorts};
use crate::actors::clients::session::SessionConfig;
use crate::actors::kv::KvActor;
use crate::actors::raft::RaftActor;
use crate::actors::watch::{WatchHubActor, WatchHubPorts, WatchRoom};
use crate::config::Settings;
use crate::net::Listener;

/// The place where clients come in.
pub(super) struct ClientFront {
    pub(super) listener: Box<dyn Listener>,
    pub(super) connections_max: usize,
}

/// Starts the acceptor of clients, whose sessions have this configuration. Returns the arbiters
/// that they run on as well; without any they run on the calling one.
pub(super) fn start(
    settings: &Settings,
    config: SessionConfig,
    placement: &Placement,
    front: ClientFront,
    raft: &Addr<RaftActor>,
    kv: &Addr<KvActor>,
) -> (Addr<ClientAcceptorActor>, Vec<Arbiter>) {
    let arbiters: Vec<Arbiter> = match placement {
        Placement::Inline { .. } => Vec::new(),
        Placement::Threads => (0..settings.session.threads).map(|_| Arbiter::new()).collect(),
    };
    let handles: Vec<ArbiterHandle> = arbiters.iter().map(Arbiter::handle).collect();
    let ports = WatchHubPorts { kv: kv.clone().recipient(), corrupted: raft.clone().recipient() };
    let hubs = hubs(settings, &config, &handles, &ports);
    let acceptor = ClientAcceptorActor::new(
        front.listener,
        front.connections_max,
        Arc::new(config),
        ClientAcceptorPorts {
            raft: raft.clone().recipient(),
            watches: hubs.into_iter().map(Addr::recipient).collect(),
        },
        handles,
    );
    (acceptor.start(), arbiters)
}

/// Starts a hub of watches on each arbiter of sessions, or one on the calling arbiter.
fn hubs(
    settings: &Settings,
    config: &SessionConfig,
    arbiters: &[ArbiterHandle],
    ports: &WatchHubPorts,
) -> Vec<Addr<WatchHubActor>> {
    let limits = actor_settings::watch_limits(settings);
    let room = WatchRoom::new(settings.limits.model.watches_max, config.metrics.clone());
    let hub = || WatchHubActor::new(limits, config.memory.clone(), room.clone(), ports.clone());
    if arbiters.is_empty() {
        return vec![hub().start()];
    }
    let start = |arbiter: &ArbiterHandle| {
        let hub = hub();
        WatchHubActor::start_in_arbiter(arbiter, |_| hub)
    };
    arbiters.iter().map(start).collect()
}
