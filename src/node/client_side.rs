//! The actors of client connections.

use std::sync::Arc;

use actix::{Actor, Addr, Arbiter, ArbiterHandle};

use super::environment::Placement;
use crate::actors::clients::acceptor::{ClientAcceptorActor, ClientAcceptorPorts};
use crate::actors::clients::session::SessionConfig;
use crate::actors::raft::RaftActor;
use crate::config::Settings;
use crate::net::Listener;

/// Starts the acceptor of clients, whose sessions have this configuration. Returns the arbiters
/// that they run on as well; without any they run on the calling one.
pub(super) fn start(
    settings: &Settings,
    connections_max: usize,
    config: SessionConfig,
    placement: &Placement,
    listener: Box<dyn Listener>,
    raft: &Addr<RaftActor>,
) -> (Addr<ClientAcceptorActor>, Vec<Arbiter>) {
    let arbiters: Vec<Arbiter> = match placement {
        Placement::Inline { .. } => Vec::new(),
        Placement::Threads => (0..settings.session.threads).map(|_| Arbiter::new()).collect(),
    };
    let handles: Vec<ArbiterHandle> = arbiters.iter().map(Arbiter::handle).collect();
    let acceptor = ClientAcceptorActor::new(
        listener,
        connections_max,
        Arc::new(config),
        ClientAcceptorPorts { raft: raft.clone().recipient() },
        handles,
    );
    (acceptor.start(), arbiters)
}
