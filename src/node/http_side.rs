//! The HTTP port of a node, if it has one (docs/adr/0032).

use std::net::{TcpListener, ToSocketAddrs};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use actix::{Actor, Addr, AsyncContext};

use super::error::NodeError;
use crate::actors::door::{DoorActor, DoorPorts};
use crate::actors::io::memory::MemoryBudget;
use crate::actors::kv::KvActor;
use crate::actors::prober::{ProbedMailbox, ProberActor};
use crate::actors::raft::RaftActor;
use crate::config::{Server, Settings};
use crate::http::{ConsoleSettings, Door, HttpLimits, HttpServer, HttpServices};
use crate::metrics::NodeMetrics;
use crate::types::Address;

/// The HTTP port, and the place of the door that it asks through.
pub(super) struct HttpSide {
    server: Option<HttpServer>,
    address: Option<Address>,
    door: Arc<OnceLock<Door>>,
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
            return Ok(HttpSide { server: None, address: None, door });
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
        let mut services = HttpServices {
            metrics: metrics.clone(),
            door: Arc::clone(&door),
            data_dir: server.data_dir.clone(),
            version: env!("CARGO_PKG_VERSION"),
            own_address: None,
            console: console_settings(settings),
        };
        let limits = HttpLimits {
            connections_max: settings.http.connections_max,
            console_timeout: Duration::from_millis(settings.limits.request_timeout_ms + 2_000),
            disk_stall_max: Duration::from_millis(settings.http.disk_stall_ms_max),
        };
        let port = listener.local_addr().map_err(refused)?.port();
        let reached = server.http_address().map(|reached| Address { port, ..reached });
        services.own_address.clone_from(&reached);
        let server = HttpServer::start(listener, services, limits).map_err(refused)?;
        Ok(HttpSide { server: Some(server), address: reached, door })
    }

    /// Opens the door to a node that runs, and measures these mailboxes for those who ask.
    pub(super) fn open(
        &self,
        raft: &Addr<RaftActor>,
        kv: &Addr<KvActor>,
        memory: &MemoryBudget,
        mailboxes: Vec<ProbedMailbox>,
    ) {
        if self.server.is_none() {
            return;
        }
        ProberActor::new(mailboxes).start();
        let door = DoorActor::create(|ctx| {
            let ports = DoorPorts { raft: raft.clone().recipient(), kv: kv.clone().recipient() };
            let address = ctx.address();
            let (replies, news) = (address.clone().recipient(), address.recipient());
            DoorActor::new(ports, memory.clone(), replies, news)
        });
        // It is opened once.
        let _ = self.door.set(Door {
            asks: door.clone().recipient(),
            views: door.recipient(),
            corrupted: raft.clone().recipient(),
        });
    }

    /// The address at which people and other servers reach it.
    pub(super) fn address(&self) -> Option<Address> {
        self.address.clone()
    }

    /// The port that it listens to.
    pub(super) fn port(&self) -> Option<u16> {
        self.server.as_ref().map(HttpServer::port)
    }
}

/// The bounds of what the console asks for and writes.
fn console_settings(settings: &Settings) -> ConsoleSettings {
    let limits = &settings.limits;
    ConsoleSettings {
        cluster: settings.cluster.clone(),
        key_bytes_max: limits.key_bytes_max,
        value_bytes_max: limits.value_bytes_max,
        request_timeout: Duration::from_millis(limits.request_timeout_ms),
        store_bytes_max: limits.store_bytes_max,
        history_bytes_max: settings.history.bytes_max,
    }
}
