//! One node: recovers what its data directory holds, starts the actors and gives each
//! its ports.
//!
//! ```text
//!  clients -> SessionActor -> RaftActor -> LogActor -> disk
//!                 ^              |  ^
//!                 |              v  |
//!              KvActor <- - - - -+  +-- PeerSessionActor <- peers' requests
//!                                |
//!                      ReplicatorActor -> PeerLinkActor -> peers
//! ```
//!
//! | file | contents |
//! |---|---|
//! | `environment` | the surroundings of a node: network, clock, disk, threads |
//! | `join` | the settings of a server that joins a cluster |
//! | `recovery` | the state that a node begins with |
//! | `storage_side` | log, store and snapshots |
//! | `peer_side` | the other nodes |
//! | `client_side` | client connections |
//! | `http_side` | the HTTP port |
//! | `actor_settings` | the settings of each actor |
//! | `log_level` | the level of the log, read again |
//! | `signals` | the signals that stop a process, and those that do not |
//! | `supervisor` | what systemd is told of the process |
//! | `limits` | open files, and the number of clients |
//!
//! The surroundings come from outside as an [`Environment`]: the system's own in
//! production, simulated ones in tests. The actors are the same.

mod actor_settings;
mod client_side;
mod environment;
mod error;
mod http_side;
mod join;
mod limits;
mod log_level;
mod peer_side;
mod recovery;
mod signals;
mod storage_side;
mod supervisor;
pub mod survivor;

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Addr, Arbiter, AsyncContext, Context, Recipient};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{sleep, timeout};

#[cfg(any(test, feature = "testing"))]
pub(crate) use actor_settings::{SESSION_OUTBOUND_BYTES_MAX, SNAPSHOT_WINDOW_BYTES};
pub use environment::{Answers, Environment, Placement, RandomIds, Surroundings, draw_incarnation};
pub use error::NodeError;
pub use join::JoinOptions;
pub use limits::own_files;

use crate::actors::clients::acceptor::ClientAcceptorActor;
use crate::actors::io::memory::MemoryBudget;
#[cfg(any(test, feature = "testing"))]
use crate::actors::kv::KvActor;
use crate::actors::log::LogActor;
use crate::actors::messages::lifecycle::{HandOver, Shutdown, StopAccepting};
use crate::actors::messages::peers::Announce;
use crate::actors::peers::PeersActor;
use crate::actors::raft::{RaftActor, RaftPorts};
use crate::actors::ticker::TickerActor;
use crate::clock::SystemClock;
use crate::config::{LevelSource, Server, Settings};
use crate::metrics::{NodeMetrics, RaftMetrics};
use crate::net::{Listener, Network, Tcp};
use crate::raft::{Introduction, Raft, RaftSettings};
use crate::storage::RealDisk;
use crate::types::{Address, Fact, Member, Membership, NodeId};
use crate::wire::LocalNode;
use client_side::ClientFront;
use http_side::HttpSide;
use peer_side::PeerNetwork;
use recovery::Recovered;
use signals::Signals;
use storage_side::{Opened, StorageSide};
use supervisor::Watchdog;

/// The time between two looks at an actor that is about to end.
const ENDED_LOOK: Duration = Duration::from_millis(2);

/// A running node.
pub struct Node {
    client_port: u16,
    log_port: u16,
    raft: Addr<RaftActor>,
    clients: Addr<ClientAcceptorActor>,
    peers: Addr<PeersActor>,
    log: Addr<LogActor>,
    arbiters: Vec<Arbiter>,
    /// The longest election timeout, by which the steps of a stop are bounded.
    election_timeout: Duration,
    memory: MemoryBudget,
    raft_metrics: RaftMetrics,
    http: HttpSide,
    #[cfg(any(test, feature = "testing"))]
    kv: Addr<KvActor>,
    failure: UnboundedReceiver<NodeError>,
}

impl Node {
    /// The port that clients connect to.
    pub fn client_port(&self) -> u16 {
        self.client_port
    }

    /// The port that peers connect to.
    pub fn log_port(&self) -> u16 {
        self.log_port
    }

    /// The port for HTTP, if it has one.
    pub fn http_port(&self) -> Option<u16> {
        self.http.port()
    }

    /// The memory that the node's clients may use together.
    pub fn memory(&self) -> MemoryBudget {
        self.memory.clone()
    }

    /// The actor that keeps the store, for faults of its memory.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn kv(&self) -> Addr<KvActor> {
        self.kv.clone()
    }

    /// Returns when the node cannot go on, for example because its disk has failed.
    pub async fn failed(&mut self) -> NodeError {
        match self.failure.recv().await {
            Some(error) => error,
            // All actors that can report a failure have ended without one.
            None => std::future::pending().await,
        }
    }

    /// Stops the node. When this returns, nothing more is accepted, everything that the
    /// log was given is durable, and the data directory is free.
    ///
    /// A leader hands its leadership over first, within two of the longest election timeouts, so
    /// that no client waits for an election. Then the clients get the answers that are due, within
    /// one more (docs/adr/0028). The members stay what they are.
    pub async fn stop(self) {
        let is_handed_over = timeout(2 * self.election_timeout, self.raft.send(HandOver));
        if is_handed_over.await.is_err() {
            log::warn!("stops as the leader: nobody has taken over in time");
        }
        self.clients.do_send(StopAccepting);
        let _ = timeout(self.election_timeout, ended(&self.clients)).await;
        self.peers.do_send(Shutdown);
        // An error says that the actor has ended already, after a failure.
        if self.log.send(Shutdown).await.is_err() {
            log::debug!("the log had stopped before");
        }
        for arbiter in self.arbiters {
            arbiter.stop();
        }
    }
}

/// Returns when an actor has ended.
async fn ended<A: Actor>(actor: &Addr<A>) {
    while actor.connected() {
        sleep(ENDED_LOOK).await;
    }
}

/// Starts node `id` on the calling arbiter: listens, recovers, and begins to take
/// part. Every mistake in the settings or the files is found here.
///
/// # Errors
/// When the node is not in the settings, cannot listen, or its files cannot be used.
pub async fn start(
    settings: &Settings,
    id: NodeId,
    environment: Environment,
) -> Result<Node, NodeError> {
    let server = settings.servers.get(&id).ok_or(NodeError::UnknownId(id))?;
    let Environment { network, clock, disk, placement, surroundings, open_files_max } = environment;
    let connections_max = limits::connections_max(settings, server, open_files_max)?;
    let client_listener =
        listen(network.as_ref(), id, "client_port", &server.client_listen).await?;
    let peer_listener = listen(network.as_ref(), id, "log_port", &server.log_listen).await?;
    let (client_port, log_port) = (client_listener.port(), peer_listener.port());
    let metrics = NodeMetrics::new(&clock);
    metrics.store.set_bytes_max(settings.limits.store_bytes_max);
    let http = HttpSide::start(settings, server, &metrics)?;
    let recovered = recovery::recover(settings, server, disk, &surroundings)?;
    if !surroundings.is_new_cluster {
        recovery::check_not_alone_and_blank(settings, server, &recovered)?;
    }
    let local = local_node(settings, id, &recovered, &surroundings, http.address());
    let raft_ctx = Context::<RaftActor>::new();
    let raft = raft_ctx.address();
    let memory = MemoryBudget::new(settings.limits.client_bytes(settings.servers.len()));
    let sessions =
        actor_settings::session_config(settings, &memory, &clock, &local.introduction, &metrics);
    let raft_settings = actor_settings::raft_settings(settings, id, &surroundings, clock.as_ref());
    let (core, opened) = split(recovered, raft_settings, &local);
    let slow = actor_settings::slow_operations(settings, id, &metrics);
    let storage = storage_side::start(opened, &placement, &memory, &raft, &metrics, &slow);
    let peers_ctx = Context::<PeersActor>::new();
    let kv = storage.kv.clone();
    let ports = raft_ports(&storage, peers_ctx.address().recipient(), &memory);
    let raft_settings = actor_settings::raft_actor_settings(settings);
    let raft_actor = RaftActor::new(core, ports, raft_settings, clock)
        .with_slow_operations(slow)
        .with_metrics(metrics.raft.clone(), metrics.peers.clone())
        .watching_disk(metrics.log.clone());
    raft_ctx.run(raft_actor);
    let tick = Duration::from_millis(settings.raft.tick_ms);
    let ticker = TickerActor::new(tick, raft.clone().recipient());
    ticker.with_metrics(metrics.main_thread.clone()).start();
    let mailboxes = storage.mailboxes(&raft, &metrics.mailboxes);
    let seed = surroundings.seed;
    let raft_metrics = metrics.raft.clone();
    let peer_network = PeerNetwork { network, listener: peer_listener, seed, metrics };
    let peers =
        peer_side::start(settings, local, peer_network, &storage, &raft, &memory, peers_ctx);
    let front = ClientFront { listener: client_listener, connections_max };
    let (clients, session_arbiters) =
        client_side::start(settings, sessions, &placement, front, &raft, &kv);
    http.open(&raft, &kv, &memory, mailboxes);
    let mut arbiters = storage.arbiters;
    arbiters.extend(session_arbiters);
    Ok(Node {
        client_port,
        log_port,
        raft,
        clients,
        peers,
        log: storage.log,
        arbiters,
        election_timeout: Duration::from_millis(settings.raft.election_timeout_ms_max),
        memory,
        raft_metrics,
        http,
        #[cfg(any(test, feature = "testing"))]
        kv,
        failure: storage.failure,
    })
}

/// The ports of RaftActor; those of peers follow.
fn raft_ports(
    storage: &StorageSide,
    announce: Recipient<Announce>,
    memory: &MemoryBudget,
) -> RaftPorts {
    RaftPorts {
        log: storage.log.clone().recipient(),
        log_reads: storage.log.clone().recipient(),
        snapshot: storage.snapshot_writer.clone().recipient(),
        stores: storage.snapshot_writer.clone().recipient(),
        snapshot_queries: storage.snapshot_reader.clone().recipient(),
        kv: storage.kv.clone().recipient(),
        peers: BTreeMap::new(),
        announce,
        must_stop: storage.must_stop.clone(),
        memory: memory.reserve(0),
    }
}

/// The core, and the rest of what was recovered, for the actors that keep it.
fn split(recovered: Recovered, mut settings: RaftSettings, local: &LocalNode) -> (Raft, Opened) {
    settings.gate.is_held = local.introduction.is_held;
    settings.own_member.clone_from(&local.introduction.member);
    if recovered.storage.joined().is_some() {
        // The log says who the members are, or nothing does.
        settings.initial_membership = Membership::default();
    }
    let opened = Opened {
        storage: recovered.storage,
        snapshots: recovered.snapshots,
        snapshots_to_read: recovered.snapshots_to_read,
        files: recovered.files,
        store: recovered.store,
        owner: (local.cluster.clone(), settings.id),
    };
    (Raft::new(settings, recovered.hard_state, recovered.log, recovered.positions), opened)
}

/// The facts by which the node introduces itself to its peers and admits them.
fn local_node(
    settings: &Settings,
    id: NodeId,
    recovered: &Recovered,
    surroundings: &Surroundings,
    http: Option<Address>,
) -> LocalNode {
    // A snapshot has committed entries only.
    let committed = recovered.log.cluster.at(recovered.positions.newest.index);
    let newest = recovered.log.cluster.newest().membership.as_ref();
    let (joined, known_id) = (recovered.storage.joined(), recovered.storage.cluster_id());
    LocalNode {
        cluster: settings.cluster.clone(),
        id,
        membership: Arc::new(match newest {
            Some((_, newest)) => newest.clone(),
            // A server that joins learns its members from the log.
            None if joined.is_some() => Membership::default(),
            None => Membership::seed(settings.servers.keys().copied()),
        }),
        membership_at: recovered.log.cluster.newest().members_at(),
        committed: committed.membership.as_ref().map(|(_, newest)| Arc::new(newest.clone())),
        departing: None,
        seeds: joined.into_iter().flat_map(|joined| joined.members.keys().copied()).collect(),
        restore_id: recovered.storage.restore_id(),
        promise: settings.raft.promise(),
        format: committed.format.clone(),
        introduction: Introduction {
            formats: surroundings.formats,
            binary: env!("CARGO_PKG_VERSION").to_owned(),
            incarnation: recovered.storage.incarnation(),
            boot: surroundings.random.boot,
            cluster_id: known_id.or(committed.cluster_id).or(joined.and_then(|j| j.cluster_id)),
            is_held: recovered.storage.is_held(),
            member: own_member(settings, id, recovered),
            is_draining: false,
            http,
        },
    }
}

/// The addresses at which the node is reached, as it says itself. A server that has joined was told
/// them once. Unless a flag says otherwise, it goes by what the log says today. A log that lags
/// behind the membership of that time may still have addresses at which the server never was, or is
/// no more.
fn own_member(settings: &Settings, id: NodeId, recovered: &Recovered) -> Option<Member> {
    let configured = settings.servers.get(&id).map(Server::member);
    let Some(joined) = recovered.storage.joined() else { return configured };
    let newest = recovered.log.cluster.newest().membership.as_ref();
    let logged = newest.filter(|(index, _)| *index >= joined.at);
    match logged.and_then(|(_, membership)| membership.members.get(&id)) {
        Some(logged) if joined.members.get(&id) == configured.as_ref() => Some(logged.clone()),
        _ => configured,
    }
}

async fn listen(
    network: &dyn Network,
    id: NodeId,
    key: &'static str,
    Address { host, port }: &Address,
) -> Result<Box<dyn Listener>, NodeError> {
    network.listen(host, *port).await.map_err(|error| NodeError::Listen {
        id,
        key,
        hostname: host.clone(),
        port: *port,
        error,
    })
}

/// Runs node `id` on this machine until SIGTERM or SIGINT. Other signals do not stop it.
/// `is_new_cluster` is that of [`Surroundings`]. SIGHUP reads the level of the log from
/// `level_source`.
///
/// # Errors
/// When it cannot start (see [`start`]), and when its disk fails.
pub fn run(
    settings: &Settings,
    id: NodeId,
    is_new_cluster: bool,
    level_source: LevelSource,
) -> Result<(), NodeError> {
    actix::System::new().block_on(async {
        let environment = own_environment(is_new_cluster)?;
        let signals = Signals::catch(level_source).map_err(NodeError::Signals)?;
        run_until_stopped(settings, id, environment, signals).await
    })
}

/// Runs a server that joins a cluster: waits until it is a member, and then does what [`run`]
/// does. SIGTERM and SIGINT end the wait as well.
///
/// # Errors
/// When its data directory cannot be used, and as in [`run`].
pub fn run_joining(options: &JoinOptions, level_source: LevelSource) -> Result<(), NodeError> {
    actix::System::new().block_on(async {
        let environment = own_environment(false)?;
        let mut signals = Signals::catch(level_source).map_err(NodeError::Signals)?;
        let settings = tokio::select! {
            settings = join::settings(options, &environment) => settings?,
            () = signals.stop() => {
                log::info!(node = options.id; "stopped before it has joined");
                return Ok(());
            }
        };
        run_until_stopped(&settings, options.id, environment, signals).await
    })
}

/// The environment of a process on this machine.
fn own_environment(is_new_cluster: bool) -> Result<Environment, NodeError> {
    Ok(Environment {
        network: Rc::new(Tcp),
        clock: Arc::new(SystemClock),
        disk: Box::new(RealDisk),
        placement: Placement::Threads,
        surroundings: Surroundings::drawn(is_new_cluster).map_err(NodeError::Random)?,
        open_files_max: limits::raise_open_files_limit(),
    })
}

async fn run_until_stopped(
    settings: &Settings,
    id: NodeId,
    environment: Environment,
    mut signals: Signals,
) -> Result<(), NodeError> {
    let mut node = start(settings, id, environment).await?;
    log::info!(
        node = id,
        client_port = node.client_port(),
        log_port = node.log_port(),
        http_port = node.http_port().map_or(Fact::from("none"), |port| u64::from(port).into());
        "listening"
    );
    supervisor::tell_ready();
    let _watchdog = Watchdog::start(node.raft_metrics.clone());
    tokio::select! {
        error = node.failed() => return Err(error),
        () = signals.stop() => {}
    }
    supervisor::tell_stopping();
    let stopped = node.stop();
    let mut stopped = std::pin::pin!(stopped);
    loop {
        tokio::select! {
            () = &mut stopped => break,
            // A terminal and a supervisor may both send one. It must not cut the stop short.
            () = signals.stop() => log::warn!(
                "still stopping: what was written is being made durable; SIGKILL ends this \
                 server at once, and loses nothing that was acknowledged"
            ),
        }
    }
    log::info!(node = id; "stopped");
    Ok(())
}
