//! The thread of the HTTP port, its connections and their bounds.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::http::{Request, Response, StatusCode};
use axum::response::IntoResponse;
use bytes::Bytes;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use log::Level;
use rand::TryRng;
use rand::rngs::SysRng;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::{self, AbortHandle, JoinSet};
use tokio::time::timeout;
use tokio_io_timeout::TimeoutStream;

use super::{HttpLimits, HttpServices, api, router};
use crate::logging::{BURST, LogLimit, ONCE};
use crate::metrics::ProcessMetrics;

/// The time for the headers of a request, counted from the end of the one before: a connection
/// that is idle for so long ends as well.
const HEADERS_TIMEOUT: Duration = Duration::from_secs(30);
/// Maximum size in bytes of what a connection buffers, the headers of a request among it.
const BUFFER_BYTES_MAX: usize = 16 * 1024;
/// Maximum number of headers of a request.
const HEADERS_MAX: usize = 64;
/// The time in which a request is answered, whatever it asks for.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// The time for which a client may take nothing of an answer.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// Maximum number of connections that are ended and have not closed their sockets yet.
const ENDING_MAX: usize = 8;
/// The pause after an accept that failed, say because no descriptor is free.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// The time in which the last words of a server that stops reach the pages.
const BYE_TIME: Duration = Duration::from_millis(50);
/// The beginning of the paths that a node has to answer, which takes its own time.
const CONSOLE: &str = "/console/v1";
/// The time between two measurements of the disk.
const DISK_INTERVAL: Duration = Duration::from_secs(5);

/// The running HTTP port of a node. It ends when it is dropped.
pub struct HttpServer {
    port: u16,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl HttpServer {
    /// Serves the connections that come to `listener`.
    ///
    /// # Errors
    /// When the system gives no thread, or nothing to wait for sockets with.
    pub fn start(
        listener: std::net::TcpListener,
        services: HttpServices,
        limits: HttpLimits,
    ) -> io::Result<HttpServer> {
        let port = listener.local_addr()?.port();
        listener.set_nonblocking(true)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let token = draw_token()?;
        let (stop, stopped) = oneshot::channel();
        let listener = {
            let _entered = runtime.enter();
            TcpListener::from_std(listener)?
        };
        let thread = std::thread::Builder::new().name("http".to_owned()).spawn(move || {
            runtime.block_on(async {
                let process = ProcessMetrics::new(services.version, services.data_dir.clone());
                task::spawn(measure_disk(process.clone()));
                let (router, api) = router::router(services, process, limits, token);
                let (pages, run) = (Arc::clone(&api), async move { api::run(&api).await });
                let console = task::spawn(run);
                let mut serving = std::pin::pin!(serve(listener, router, limits));
                tokio::select! {
                    () = &mut serving => {}
                    // An error says that the owner is gone.
                    _ = stopped => {}
                }
                pages.say_bye();
                console.abort();
                // The connections need a moment to say it.
                let _ = timeout(BYE_TIME, serving).await;
            });
            // A measurement of a disk that does not answer must not keep the thread.
            runtime.shutdown_background();
        })?;
        Ok(HttpServer { port, stop: Some(stop), thread: Some(thread) })
    }

    /// The port that it listens to.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        drop(self.stop.take());
        let joined = self.thread.take().map(JoinHandle::join);
        if joined.is_some_and(|joined| joined.is_err()) {
            log::error!("the thread of the HTTP port has panicked");
        }
    }
}

/// Accepts and serves connections, for ever.
async fn serve(listener: TcpListener, router: Router, limits: HttpLimits) {
    let mut connections = Connections::new(limits);
    let mut failures = LogLimit::new(ONCE, BURST);
    loop {
        tokio::select! {
            ended = connections.next_ended() => connections.remove(ended),
            accepted = listener.accept(), if connections.may_accept() => match accepted {
                Ok((stream, _)) => connections.add(stream, &router),
                Err(error) => {
                    let (level, left_out) = failures.level(Level::Warn, error.kind());
                    log::log!(level, error:%, left_out; "accepting an HTTP connection failed");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
}

/// Draws the token for the writes of the console.
fn draw_token() -> io::Result<String> {
    let draw = || SysRng.try_next_u64().map_err(io::Error::other);
    Ok(format!("{:016x}{:016x}", draw()?, draw()?))
}

/// Measures the disk again and again, on a thread that may block. While the disk does not answer
/// there is one such thread, and the numbers stay what they were.
async fn measure_disk(process: ProcessMetrics) {
    loop {
        let process = process.clone();
        // An error says that the measurement has panicked: the next one may not.
        let _ = task::spawn_blocking(move || process.measure_disk()).await;
        tokio::time::sleep(DISK_INTERVAL).await;
    }
}

/// The connections, of which there is a maximum.
struct Connections {
    connections_max: usize,
    /// The time for an answer of the console.
    request_timeout: Duration,
    /// By the order in which they were accepted.
    open: BTreeMap<u64, Open>,
    numbers: HashMap<task::Id, u64>,
    tasks: JoinSet<()>,
    last_number: u64,
    /// Bounds the lines about connections that are closed at once.
    refusals: LogLimit,
}

struct Open {
    abort: AbortHandle,
    /// True while a request is answered, to the last byte of the answer.
    is_busy: Arc<AtomicBool>,
}

impl Connections {
    fn new(limits: HttpLimits) -> Connections {
        Connections {
            connections_max: limits.connections_max,
            request_timeout: limits.console_timeout.max(REQUEST_TIMEOUT),
            open: BTreeMap::new(),
            numbers: HashMap::new(),
            tasks: JoinSet::new(),
            last_number: 0,
            refusals: LogLimit::default(),
        }
    }

    /// Waits for the end of a connection.
    async fn next_ended(&mut self) -> task::Id {
        match self.tasks.join_next_with_id().await {
            Some(Ok((id, ()))) => id,
            Some(Err(error)) => error.id(),
            None => std::future::pending().await,
        }
    }

    fn remove(&mut self, ended: task::Id) {
        if let Some(number) = self.numbers.remove(&ended) {
            self.open.remove(&number);
        }
    }

    /// True while few connections are ending. One that was ended to make room keeps its descriptor
    /// until its task has had a turn, and many are accepted in one turn.
    fn may_accept(&self) -> bool {
        self.tasks.len() < self.open.len() + ENDING_MAX
    }

    /// Serves a connection, in the place of one that waits if there are as many as may be. When
    /// all of them are answered something, the new one is closed.
    fn add(&mut self, stream: TcpStream, router: &Router) {
        if self.open.len() >= self.connections_max && !self.end_oldest_idle() {
            let (level, left_out) = self.refusals.level(Level::Warn, ());
            log::log!(
                level, connections_max = self.connections_max, left_out;
                "closed a new HTTP connection: all others are being answered"
            );
            return;
        }
        let is_busy = Arc::new(AtomicBool::new(false));
        let (router, request_timeout) = (router.clone(), self.request_timeout);
        let connection = serve_connection(stream, router, Arc::clone(&is_busy), request_timeout);
        let abort = self.tasks.spawn(connection);
        self.last_number += 1;
        self.numbers.insert(abort.id(), self.last_number);
        self.open.insert(self.last_number, Open { abort, is_busy });
    }

    fn end_oldest_idle(&mut self) -> bool {
        let is_idle = |(_, open): &(&u64, &Open)| !open.is_busy.load(Ordering::Relaxed);
        let Some(number) = self.open.iter().find(is_idle).map(|(number, _)| *number) else {
            return false;
        };
        if let Some(Open { abort, .. }) = self.open.remove(&number) {
            self.numbers.remove(&abort.id());
            abort.abort();
        }
        true
    }
}

/// Serves one connection, a request at a time.
async fn serve_connection(
    stream: TcpStream,
    router: Router,
    is_busy: Arc<AtomicBool>,
    request_timeout: Duration,
) {
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(WRITE_TIMEOUT));
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |request: Request<Incoming>| {
        let (router, is_busy) = (router.clone(), Arc::clone(&is_busy));
        async move {
            let busy = Busy::new(is_busy);
            let response = answer(&router, request, request_timeout).await;
            Ok::<_, std::convert::Infallible>(response.map(|body| busy.until_sent(body)))
        }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_TIMEOUT)
        .max_buf_size(BUFFER_BYTES_MAX)
        .max_headers(HEADERS_MAX)
        .serve_connection(TokioIo::new(Box::pin(stream)), service)
        .await;
    if let Err(error) = served {
        log::debug!(error:%; "an HTTP connection broke");
    }
}

/// Answers one request, in time.
async fn answer(
    router: &TowerToHyperService<Router>,
    request: Request<Incoming>,
    request_timeout: Duration,
) -> Response<Body> {
    let is_console = request.uri().path().starts_with(CONSOLE);
    let request_timeout = if is_console { request_timeout } else { REQUEST_TIMEOUT };
    let answered = timeout(request_timeout, hyper::service::Service::call(router, request)).await;
    match answered {
        Ok(Ok(response)) => response,
        Ok(Err(never)) => match never {},
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "not answered in time\n").into_response(),
    }
}

/// A request that is under way, until this is dropped.
struct Busy(Arc<AtomicBool>);

impl Busy {
    fn new(is_busy: Arc<AtomicBool>) -> Busy {
        is_busy.store(true, Ordering::Relaxed);
        Busy(is_busy)
    }

    /// Keeps the request under way until its answer is sent: a stream of events is no idle
    /// connection.
    fn until_sent(self, body: Body) -> BusyBody {
        BusyBody { body, _busy: self }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

/// The body of an answer to a request that is under way.
struct BusyBody {
    body: Body,
    _busy: Busy,
}

impl HttpBody for BusyBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests;
