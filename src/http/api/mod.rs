//! The console's interface, `/console/v1` (docs/console-interface.md).
//!
//! | file | contents |
//! | --- | --- |
//! | `guard` | the checks of who may ask |
//! | `error`, `parameters` | the forms of errors, queries and bodies |
//! | `keys`, `writes`, `watch` | the store: reads, writes with a compare, changes as they happen |
//! | `members` | changes of the members |
//! | `events`, `board`, `stream` | the state of the cluster, pushed |
//! | `report`, `others` | what this server says of itself, and what the others say |
//! | `samples`, `scrape` | the measurements of each of the last seconds |

mod board;
mod error;
mod events;
pub(super) mod guard;
mod keys;
mod members;
mod others;
mod parameters;
mod report;
mod samples;
mod scrape;
mod stream;
mod watch;
mod writes;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

use super::answers::typed;
use super::health::Health;
use super::metrics::Exposition;
use super::{ConsoleSettings, Door, HttpServices};
use crate::actors::messages::clients::ClientReply;
use crate::actors::messages::door::{Ask, AskView};
use crate::actors::messages::watch::HistoryMark;
use crate::kv::HistoryView;
use crate::protocol::ClientRequest;
use crate::types::{Address, NodeId};
use board::Board;
pub(super) use error::ApiError;
use parameters::Parameters;

/// Where all paths of the interface begin.
const ROOT: &str = "/console/v1";
/// Maximum number of streams.
const STREAMS_MAX: usize = 64;
/// Maximum number of other requests under way.
const REQUESTS_MAX: usize = 64;
/// Maximum number of writes under way, each of which keeps its body in memory. The others wait.
const WRITES_MAX: usize = 8;
/// The time that a command has beyond that in which the node answers.
const GRACE: Duration = Duration::from_secs(1);

/// The console's interface of one node.
pub(super) struct Api {
    services: HttpServices,
    settings: ConsoleSettings,
    /// The token for writes: 32 hexadecimal digits.
    token: String,
    health: Arc<Health>,
    exposition: Arc<Exposition>,
    board: Board,
    streams: Arc<Semaphore>,
    requests: Semaphore,
    writes: Semaphore,
    started: Instant,
}

impl Api {
    /// The interface, of which writes carry this token. At most half of the connections are
    /// streams, so that there is room for scrapes.
    pub(super) fn new(
        services: HttpServices,
        health: Arc<Health>,
        exposition: Arc<Exposition>,
        token: String,
        connections_max: usize,
    ) -> Api {
        Api {
            settings: services.console.clone(),
            services,
            token,
            health,
            exposition,
            board: Board::new(),
            streams: Arc::new(Semaphore::new(STREAMS_MAX.min(connections_max / 2))),
            requests: Semaphore::new(REQUESTS_MAX),
            writes: Semaphore::new(WRITES_MAX),
            started: Instant::now(),
        }
    }

    /// Takes samples, asks the other servers, and pushes what is new, for ever.
    pub(super) async fn run(&self) {
        tokio::join!(
            board::keep_sampling(self),
            board::keep_asking(self),
            board::keep_pushing(self)
        );
    }

    /// Tells all pages that the server stops.
    pub(super) fn say_bye(&self) {
        self.board.say_bye();
    }

    /// The HTTP addresses of the other members, as far as they are known.
    pub(super) fn others(&self) -> BTreeMap<NodeId, Address> {
        self.services.metrics.peers.http_addresses()
    }

    /// The other members, whether their HTTP addresses are known or not.
    fn others_and_unknown(&self) -> BTreeSet<NodeId> {
        self.services.metrics.peers.ids()
    }

    /// The HTTP address of this server.
    pub(super) fn own_address(&self) -> Option<Address> {
        self.services.own_address.clone()
    }

    fn door(&self) -> Result<&Door, ApiError> {
        let starting = || ApiError::internal("This server still reads its files.");
        self.services.door.get().ok_or_else(starting)
    }

    /// Has the node execute a command.
    async fn ask(&self, request: ClientRequest) -> Result<ClientReply, ApiError> {
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
    async fn view(&self, seen: Option<HistoryMark>) -> Result<Option<HistoryView>, ApiError> {
        match self.door()?.views.send(AskView { seen }).await {
            Ok(answer) => Ok(answer?),
            Err(_) => Err(ApiError::internal("This server stops.")),
        }
    }

    /// The right to one more stream, which is given back when it is dropped.
    fn stream_permit(&self) -> Result<OwnedSemaphorePermit, ApiError> {
        Arc::clone(&self.streams).try_acquire_owned().map_err(|_| ApiError::busy())
    }
}

/// Answers a request whose path begins with `/console/v1`.
pub(super) async fn serve(State(api): State<Arc<Api>>, request: Request) -> Response {
    match answer(api, request).await {
        Ok(response) => response,
        Err(error) => error.into_response(),
    }
}

async fn answer(api: Arc<Api>, request: Request) -> Result<Response, ApiError> {
    let (head, body) = request.into_parts();
    let path = head.uri.path().strip_prefix(ROOT).unwrap_or_default();
    let is_write = match path {
        "/session" | "/events" | "/report" | "/keys" | "/key" | "/revisions" | "/watch" => false,
        "/put" | "/delete" | "/members/transfer" | "/members/promote" | "/members/remove"
        | "/members/cancel" => true,
        _ => return Err(ApiError::not_found("There is no such path.")),
    };
    guard::check_reader(&api, &head.headers)?;
    let method = if is_write { Method::POST } else { Method::GET };
    if head.method != method {
        let text = format!("The path has the method {method}.");
        return Err(ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "method", text));
    }
    let query = Parameters::read(head.uri.query().unwrap_or_default())?;
    match path {
        "/events" => return events::events(api).await,
        "/watch" => return watch::watch(api, &query).await,
        _ => {}
    }
    let _permit = api.requests.try_acquire().map_err(|_| ApiError::busy())?;
    let value = if is_write {
        guard::check_writer(&api, &head.headers)?;
        let _permit = api.writes.acquire().await.map_err(|_| ApiError::busy())?;
        let body = read_body(body, body_bytes_max(&api)).await?;
        write(&api, path, &body).await?
    } else {
        read(&api, path, &query).await?
    };
    Ok(typed("application/json", value.to_string()))
}

async fn read(api: &Api, path: &str, query: &Parameters) -> Result<Value, ApiError> {
    match path {
        "/session" => Ok(session(api)),
        "/report" => report::report(api).await,
        "/keys" => keys::list(api, query).await,
        "/key" => keys::get(api, query).await,
        _ => keys::versions(api, query).await,
    }
}

async fn write(api: &Api, path: &str, body: &Value) -> Result<Value, ApiError> {
    match path {
        "/put" => writes::put(api, body).await,
        "/delete" => writes::delete(api, body).await,
        "/members/transfer" => members::transfer(api, body).await,
        "/members/promote" => members::promote(api, body).await,
        "/members/remove" => members::remove(api, body).await,
        _ => members::cancel(api, body).await,
    }
}

fn session(api: &Api) -> Value {
    let ConsoleSettings { key_bytes_max, value_bytes_max, request_timeout, .. } = &api.settings;
    json!({
        "version": 1, "server": api.services.metrics.raft.id().0, "token": api.token,
        "program_version": api.services.version,
        "limits": {
            "key_bytes_max": key_bytes_max, "value_bytes_max": value_bytes_max,
            "request_timeout_ms": request_timeout.as_millis() as u64,
        },
    })
}

/// Maximum size of a body: that of a value in base64, with what stands around it.
fn body_bytes_max(api: &Api) -> usize {
    api.settings.value_bytes_max / 3 * 4 + 4 * 1024
}

/// Reads a body of JSON. One that is too large is read to its end, within reason, and forgotten: a
/// client that is still sending would not see the answer.
async fn read_body(body: Body, bytes_max: usize) -> Result<Value, ApiError> {
    let too_large = || {
        ApiError::too_large(format!(
            "The body is too large; it must have at most {bytes_max} bytes."
        ))
    };
    let drained_max = 4 * bytes_max;
    if body.size_hint().lower() > drained_max as u64 {
        return Err(too_large());
    }
    let (mut bytes, mut length) = (Vec::new(), 0);
    let mut parts = body.into_data_stream();
    while let Some(part) = parts.next().await {
        let broken = |_| ApiError::bad_request("The body ended before its end.");
        let part: Bytes = part.map_err(broken)?;
        length += part.len();
        if length <= bytes_max {
            bytes.extend_from_slice(&part);
        } else if length > drained_max {
            break;
        }
    }
    if length > bytes_max {
        return Err(too_large());
    }
    serde_json::from_slice(&bytes).map_err(|_| ApiError::bad_request("The body is not JSON."))
}
