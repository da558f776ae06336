//! The HTTP port of a node, if it has one (docs/adr/0032).

use std::net::{TcpListener, ToSocketAddrs};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use actix::{Actor, Addr, AsyncContext, Recipient};

use super::error::NodeError;
use crate::actors::door::{DoorActor, DoorPorts};
use crate::actors::io::memory::MemoryBudget;
use crate::actors::messages::door::Ask;
use crate::actors::raft::RaftActor;
use crate::config::{Server, Settings};
use crate::http::{HttpLimits, HttpServer, HttpServices};
use crate::metrics::NodeMetrics;

/// The HTTP port, and the place of the door that it asks through.
pub(super) struct HttpSide {
    server: Option<HttpServer>,
    door: Arc<OnceLock<Recipient<Ask>>>,
}

impl HttpSide {
    /// Begins to listen, if the settings say where. A server that reads its files for a while can
    /// be asked meanwhile whether it is ready.
    ///
    /// # Errors
    /// When the server cannot listen there.
    pub(super) fn start(
        settings: &Settings,
        server: &Server,
        metrics: &NodeMetrics,
    ) -> Result<HttpSide, NodeError> {
        let door = Arc::new(OnceLock::new());
        let Some(address) = &server.http_listen else {
            return Ok(HttpSide { server: None, door });
        };
        let refused = |error| NodeError::Listen {
            id: server.id,
            key: "http_port",
            hostname: address.host.clone(),
            port: address.port,
            error,
        };
        let addresses = (address.host.as_str(), address.port).to_socket_addrs().map_err(refused)?;
        let addresses: Vec<_> = addresses.collect();
        let listener = TcpListener::bind(&addresses[..]).map_err(refused)?;
        let services = HttpServices {
            metrics: metrics.clone(),
            door: Arc::clone(&door),
            data_dir: server.data_dir.clone(),
            version: env!("CARGO_PKG_VERSION"),
        };
        let limits = HttpLimits {
            connections_max: settings.http.connections_max,
            disk_stall_max: Duration::from_millis(settings.http.disk_stall_ms_max),
        };
        let server = HttpServer::start(listener, services, limits).map_err(refused)?;
        Ok(HttpSide { server: Some(server), door })
    }

    /// Opens the door to a node that runs.
    pub(super) fn open(&self, raft: &Addr<RaftActor>, memory: &MemoryBudget) {
        if self.server.is_none() {
            return;
        }
        let door = DoorActor::create(|ctx| {
            let ports = DoorPorts { raft: raft.clone().recipient() };
            DoorActor::new(ports, memory.clone(), ctx.address().recipient())
        });
        // It is opened once.
        let _ = self.door.set(door.recipient());
    }

    /// The port that it listens to.
    pub(super) fn port(&self) -> Option<u16> {
        self.server.as_ref().map(HttpServer::port)
    }
}
