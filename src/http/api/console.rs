//! The console's interface of one node: what all of its paths share.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::{Instant, timeout};

use super::board::Board;
use super::error::ApiError;
use crate::actors::messages::clients::ClientReply;
use crate::actors::messages::door::{Ask, AskView};
use crate::actors::messages::kv::StoreCorrupted;
use crate::actors::messages::watch::HistoryMark;
use crate::http::health::Health;
use crate::http::{ConsoleSettings, Door, HttpServices};
use crate::kv::{Corruption, HistoryView};
use crate::metrics::ProcessMetrics;
use crate::protocol::ClientRequest;
use crate::types::{Address, NodeId};

/// Maximum number of streams.
const STREAMS_MAX: usize = 64;
/// Maximum number of other requests under way.
const REQUESTS_MAX: usize = 64;
/// Maximum number of writes under way, each of which keeps its body in memory. The others wait.
const WRITES_MAX: usize = 8;
/// The time that a command has beyond that in which the node answers.
const GRACE: Duration = Duration::from_secs(1);

/// The console's interface of one node.
pub(in crate::http) struct Api {
    pub(super) services: HttpServices,
    pub(super) settings: ConsoleSettings,
    /// The token for writes: 32 hexadecimal digits.
    pub(super) token: String,
    pub(super) health: Arc<Health>,
    pub(super) process: ProcessMetrics,
    pub(super) board: Board,
    pub(super) streams: Arc<Semaphore>,
    pub(super) requests: Semaphore,
    pub(super) writes: Semaphore,
    pub(super) started: Instant,
}

impl Api {
    /// The interface, of which writes carry this token. At most half of the connections are
    /// streams, so that there is room for scrapes.
    pub(in crate::http) fn new(
        services: HttpServices,
        health: Arc<Health>,
        process: ProcessMetrics,
        token: String,
        connections_max: usize,
    ) -> Api {
        Api {
            settings: services.console.clone(),
            services,
            token,
            health,
            process,
            board: Board::new(),
            streams: Arc::new(Semaphore::new(STREAMS_MAX.min(connections_max / 2))),
            requests: Semaphore::new(REQUESTS_MAX),
            writes: Semaphore::new(WRITES_MAX),
            started: Instant::now(),
        }
    }

    /// Tells all pages that the server stops.
    pub(in crate::http) fn say_bye(&self) {
        self.board.say_bye();
    }

    /// The HTTP addresses of the other members, as far as they are known.
    pub(in crate::http) fn others(&self) -> BTreeMap<NodeId, Address> {
        self.services.metrics.peers.http_addresses()
    }

    /// The HTTP address of this server.
    pub(in crate::http) fn own_address(&self) -> Option<Address> {
        self.services.own_address.clone()
    }

    fn door(&self) -> Result<&Door, ApiError> {
        let starting = || ApiError::internal("This server still reads its files.");
        self.services.door.get().ok_or_else(starting)
    }

    /// Has the node execute a command.
    pub(super) async fn ask(&self, request: ClientRequest) -> Result<ClientReply, ApiError> {
        let ask = self.door()?.asks.send(Ask { request });
        match timeout(self.settings.request_timeout + GRACE, ask).await {
            Ok(Ok(Ok(reply))) => Ok(reply),
            Ok(Ok(Err(error))) => Err(error.into()),
            Ok(Err(_)) => Err(ApiError::internal("This server stops.")),
            Err(_) => Err(ApiError::timeout()),
        }
    }

    /// A view of the history that is not the one that was seen; `None` when the history does not
    /// go on here.
    pub(super) async fn view(
        &self,
        seen: Option<HistoryMark>,
    ) -> Result<Option<HistoryView>, ApiError> {
        let (answer, answered) = oneshot::channel();
        self.door()?.views.do_send(AskView { seen, answer });
        match answered.await {
            Ok(view) => Ok(view?),
            Err(_) => Err(ApiError::internal("This server stops.")),
        }
    }

    /// Ends the node, because a change in a view is not what was written.
    pub(super) fn report(&self, corruption: &Corruption) {
        if let Ok(door) = self.door() {
            door.corrupted.do_send(StoreCorrupted { what: corruption.to_string() });
        }
    }

    /// The right to one more stream, which is given back when it is dropped.
    pub(super) fn stream_permit(&self) -> Result<OwnedSemaphorePermit, ApiError> {
        Arc::clone(&self.streams).try_acquire_owned().map_err(|_| ApiError::busy())
    }
}
