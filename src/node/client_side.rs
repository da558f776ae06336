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

/// The actors that the client side sends to.
pub(super) struct ClientPorts<'a> {
    pub(super) raft: &'a Addr<RaftActor>,
    pub(super) kv: &'a Addr<KvActor>,
}

/// Starts the acceptor of clients, whose sessions have this configuration. Returns the arbiters
/// that they run on as well; without any they run on the calling one.
pub(super) fn start(
    settings: &Settings,
    connections_max: usize,
    config: SessionConfig,
    placement: &Placement,
    listener: Box<dyn Listener>,
    ports: &ClientPorts<'_>,
) -> (Addr<ClientAcceptorActor>, Vec<Arbiter>) {
    let arbiters: Vec<Arbiter> = match placement {
        Placement::Inline { .. } => Vec::new(),
        Placement::Threads => (0..settings.session.threads).map(|_| Arbiter::new()).collect(),
    };
    let handles: Vec<ArbiterHandle> = arbiters.iter().map(Arbiter::handle).collect();
    let hubs = hubs(settings, &config, &handles, ports.kv);
    let acceptor = ClientAcceptorActor::new(
        listener,
        connections_max,
        Arc::new(config),
        ClientAcceptorPorts {
            raft: ports.raft.clone().recipient(),
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
    kv: &Addr<KvActor>,
) -> Vec<Addr<WatchHubActor>> {
    let limits = actor_settings::watch_limits(settings);
    let room = WatchRoom::new(settings.limits.model.watches_max);
    let hub = || {
        let ports = WatchHubPorts { kv: kv.clone().recipient() };
        WatchHubActor::new(limits, config.memory.clone(), room.clone(), ports)
    };
    if arbiters.is_empty() {
        return vec![hub().start()];
    }
    let start = |arbiter: &ArbiterHandle| {
        let hub = hub();
        WatchHubActor::start_in_arbiter(arbiter, |_| hub)
    };
    arbiters.iter().map(start).collect()
}
