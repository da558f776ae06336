//! Connections from a scripted listener, and over real sockets.

use std::collections::VecDeque;
use std::time::Duration;

use actix::{Actor, Addr};
use actix_rt::Arbiter;
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::*;
use crate::actors::io::memory::MemoryBudget;
use crate::actors::messages::clients::{ClientReplies, ClientReply};
use crate::clock::SystemClock;
use crate::metrics::ClientMetrics;
use crate::net::{Network, Tcp};
use crate::protocol::{Limits, SessionSettings};
use crate::testing::{Inbox, probe, settle};
use crate::types::Incarnation;

type Accepted = io::Result<(Stream, String)>;

/// A listener that hands out the connections that the test sends it.
struct Script(mpsc::UnboundedReceiver<Accepted>);

impl Listener for Script {
    fn accept(&mut self) -> LocalBoxFuture<'_, Accepted> {
        Box::pin(async {
            match self.0.recv().await {
                Some(accepted) => accepted,
                None => std::future::pending().await,
            }
        })
    }

    fn port(&self) -> u16 {
        9000
    }
}

struct Server {
    acceptor: Addr<ClientAcceptorActor>,
    dialled: mpsc::UnboundedSender<Accepted>,
    requests: Inbox<ClientRequests>,
}

/// A client's two pipes: to the server, and from it.
type Client = (DuplexStream, DuplexStream);

fn session_config() -> Arc<SessionConfig> {
    Arc::new(SessionConfig {
        session: SessionSettings {
            limits: Limits { line_bytes_max: 1024, key_bytes_max: 250, value_bytes_max: 1 << 20 },
            store_bytes_max: 0,
            leases_max: 50,
            transaction: crate::kv::TransactionLimits { ops_max: 8, bytes_max: 1024 * 1024 },
            inflight_commands_max: 1024,
            inflight_bytes_max: 4 << 20,
            outbound_bytes_max: 1 << 20,
        },
        memory: MemoryBudget::new(64 << 20),
        write_stall_ms_max: 30_000,
        started: Instant::now(),
        clock: Arc::new(SystemClock),
        version: "0.2.0".to_owned(),
        incarnation: Incarnation(0xab),
        metrics: ClientMetrics::default(),
    })
}

/// The ports of an acceptor with this many hubs of watches.
fn ports(raft: Recipient<ClientRequests>, hubs: usize) -> ClientAcceptorPorts {
    ClientAcceptorPorts { raft, watches: (0..hubs).map(|_| probe().0).collect() }
}

fn serve(connections_max: usize, arbiters: Vec<ArbiterHandle>) -> Server {
    let (dialled, listener) = mpsc::unbounded_channel();
    let (raft, requests) = probe();
    let acceptor = ClientAcceptorActor::new(
        Box::new(Script(listener)),
        connections_max,
        session_config(),
        ports(raft, arbiters.len().max(1)),
        arbiters,
    );
    Server { acceptor: acceptor.start(), dialled, requests }
}

impl Server {
    async fn dial(&self) -> Client {
        let (to_server, reader) = tokio::io::duplex(4096);
        let (from_server, writer) = tokio::io::duplex(4096);
        let stream = Stream { reader: Box::new(reader), writer: Box::new(writer) };
        self.dialled.send(Ok((stream, "test".into()))).unwrap();
        settle().await;
        (to_server, from_server)
    }
}

/// Reads everything that the client can read now; true when the server has ended its output.
async fn hear(client: &mut Client) -> (String, bool) {
    let mut heard = Vec::new();
    loop {
        settle().await;
        match client.1.read_buf(&mut heard).now_or_never() {
            Some(Ok(read)) if read > 0 => {}
            end => return (String::from_utf8(heard).unwrap(), end.is_some()),
        }
    }
}

async fn is_served(client: &mut Client) -> bool {
    client.0.write_all(b"ping\r\n").await.unwrap();
    hear(client).await == ("PONG\r\n".into(), false)
}

#[actix::test]
async fn a_client_over_connections_max_is_refused_until_another_leaves() {
    let server = serve(2, vec![]);
    let mut first = server.dial().await;
    let mut second = server.dial().await;
    let mut third = server.dial().await;
    assert!(is_served(&mut first).await && is_served(&mut second).await);
    assert_eq!(hear(&mut third).await, ("ERR_BUSY\r\n".into(), true));
    drop(first);
    settle().await;
    assert!(is_served(&mut server.dial().await).await);
    assert!(is_served(&mut second).await);
}

#[actix::test]
async fn refusals_do_not_pile_up_and_do_not_block_those_who_are_served() {
    tokio::time::pause();
    let server = serve(1, vec![]);
    let mut served = server.dial().await;
    let mut refused = Vec::new();
    for _ in 0..REFUSALS_MAX {
        refused.push(server.dial().await);
    }
    assert_eq!(hear(&mut server.dial().await).await, (String::new(), true), "closed at once");
    for client in &mut refused {
        assert_eq!(hear(client).await, ("ERR_BUSY\r\n".into(), true));
    }
    assert!(is_served(&mut served).await);
    // The server hangs up on refused clients that do not hang up.
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(hear(&mut server.dial().await).await, ("ERR_BUSY\r\n".into(), true));
}

#[actix::test]
async fn failing_accepts_are_tried_again_ever_more_slowly() {
    tokio::time::pause();
    let server = serve(10, vec![]);
    let began = Instant::now();
    let mut failures = VecDeque::new();
    for _ in 0..10 {
        failures.push_back(io::Error::from(rustix::io::Errno::MFILE));
    }
    for failure in failures {
        server.dialled.send(Err(failure)).unwrap();
    }
    let mut client = server.dial().await;
    assert_eq!(hear(&mut client).await, (String::new(), false), "it waits");
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert!(is_served(&mut client).await);
    // The pauses are 10 + 20 + ... + 640 ms, then a second each.
    assert!(began.elapsed() >= Duration::from_millis(1270 + 3000));
    server.dialled.send(Err(io::ErrorKind::ConnectionAborted.into())).unwrap();
    let mut client = server.dial().await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(is_served(&mut client).await, "a success makes the pause short again");
}

#[actix::test]
async fn stopping_closes_the_listener_and_lets_sessions_send_what_is_due() {
    let server = serve(10, vec![]);
    let mut idle = server.dial().await;
    let mut busy = server.dial().await;
    busy.0.write_all(b"get k\r\n").await.unwrap();
    settle().await;
    server.acceptor.do_send(StopAccepting);
    settle().await;
    assert!(server.dialled.is_closed(), "the listener is gone");
    assert_eq!(hear(&mut idle).await, (String::new(), true));
    assert_eq!(hear(&mut busy).await, (String::new(), false));
    let request = server.requests.drain().remove(0);
    request
        .reply_to
        .do_send(ClientReplies { replies: vec![(request.requests[0].0, ClientReply::TimedOut)] });
    assert_eq!(hear(&mut busy).await, ("ERR_TIMEOUT\r\n".into(), true));
    assert!(server.acceptor.connected());
    drop((idle, busy));
    settle().await;
    assert!(!server.acceptor.connected(), "it ends with its last session");
}

#[actix::test]
async fn sessions_run_on_the_arbiters_in_turn() {
    let arbiters = [Arbiter::new(), Arbiter::new()];
    let (raft, requests) = probe();
    let listener = Tcp.listen("127.0.0.1", 0).await.unwrap();
    let port = listener.port();
    let handles = arbiters.iter().map(Arbiter::handle).collect();
    let acceptor =
        ClientAcceptorActor::new(listener, 10, session_config(), ports(raft, 2), handles).start();
    let mut clients = Vec::new();
    for _ in 0..4 {
        let mut client = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        client.write_all(b"ping\r\n").await.unwrap();
        let mut heard = [0; 6];
        client.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"PONG\r\n");
        clients.push(client);
    }
    let [first, second] = arbiters;
    // The second session runs on the first arbiter, the third on the second, and so on.
    first.stop();
    first.join().unwrap();
    for at in [1, 3] {
        assert_eq!(clients[at].read(&mut [0]).await.unwrap(), 0, "it lived on that arbiter");
    }
    for at in [0, 2] {
        clients[at].write_all(b"ping\r\n").await.unwrap();
        let mut heard = [0; 6];
        clients[at].read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"PONG\r\n", "it lives on the other one");
    }
    second.stop();
    second.join().unwrap();
    assert!(acceptor.connected());
    assert!(requests.drain().is_empty());
}

#[actix::test]
async fn over_real_sockets_the_last_reply_arrives_although_more_was_sent() {
    let (raft, _requests) = probe();
    let listener = Tcp.listen("127.0.0.1", 0).await.unwrap();
    let port = listener.port();
    let acceptor = ClientAcceptorActor::new(listener, 10, session_config(), ports(raft, 1), vec![]);
    let _acceptor = acceptor.start();
    let junk = "x".repeat(1 << 20);
    for (input, last) in [
        (format!("ping\r\n{junk}"), "ERR_TOO_LARGE a line has at most 1024 bytes\r\n"),
        (format!("ping\r\nquit\r\n{junk}"), "PONG\r\n"),
        (format!("ping\r\nset k 0 67108865\r\n{junk}"), " 1048576 bytes\r\n"),
    ] {
        let mut client = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        client.write_all(input.as_bytes()).await.unwrap();
        let mut heard = String::new();
        client.read_to_string(&mut heard).await.unwrap();
        assert!(heard.starts_with("PONG\r\n") && heard.ends_with(last), "{heard}");
    }
}
