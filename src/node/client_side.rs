//! The actors of client connections.

use std::sync::Arc;

use actix::{Actor, Addr, Arbiter, ArbiterHandle};

use super::actor_settings;
use super::environment::Placement;
use crate::actors::clients::acceptor::{ClientAcceptorActor, ClientAcceptorPorts};
use crate::actors::io::memory::MemoryBudget;
use crate::actors::raft::RaftActor;
use crate::clock::Clock;
use crate::config::Settings;
use crate::net::Listener;

/// Starts the acceptor of clients. Returns the arbiters that their sessions run on as
/// well; without any they run on the calling one.
pub(super) fn start(
    settings: &Settings,
    connections_max: usize,
    memory: MemoryBudget,
    clock: Arc<dyn Clock>,
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
        Arc::new(actor_settings::session_config(settings, memory, clock)),
        ClientAcceptorPorts { raft: raft.clone().recipient() },
        handles,
    );
    (acceptor.start(), arbiters)
}
