//! One node: creates the actors and hands each its ports. The only file that
//! knows them all.
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
//! What a node is made of comes from outside as an [`Environment`]: the system's
//! own in production, a simulated one in tests. The actors are the same.

use std::collections::BTreeMap;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Addr, Arbiter, ArbiterHandle, AsyncContext, Context, Recipient};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::LocalSet;

use crate::actors::clients::acceptor::{ClientAcceptorActor, ClientAcceptorPorts};
use crate::actors::clients::session::{SESSION_BYTES, SessionConfig};
use crate::actors::io::memory::MemoryBudget;
use crate::actors::kv::{KvActor, KvPorts};
use crate::actors::log::{LogActor, LogPorts};
use crate::actors::messages::lifecycle::StopAccepting;
use crate::actors::messages::log::LogPersisted;
use crate::actors::peers::acceptor::{PeerAcceptorActor, PeerAcceptorPorts};
use crate::actors::peers::link::{LinkSettings, PeerLinkActor, PeerLinkPorts};
use crate::actors::peers::replicator::{ReplicatorActor, ReplicatorPorts, ReplicatorSettings};
use crate::actors::raft::{PeerPorts, RaftActor, RaftActorSettings, RaftPorts};
use crate::actors::snapshot::{SnapshotActor, SnapshotPorts};
use crate::actors::ticker::TickerActor;
use crate::clock::{Clock, SystemClock};
use crate::config::{Server, Settings};
use crate::net::{Listener, Network, Tcp};
use crate::protocol::Limits;
use crate::raft::{LeaseSettings, ProgressSettings, Raft, RaftSettings};
use crate::storage::{Disk, RealDisk, StorageError};
use crate::types::{Membership, NodeId};
use crate::wire::{Hello, LocalNode};

mod recovery;

/// What a node lives in.
pub struct Environment {
    /// Dials and listens.
    pub network: Rc<dyn Network>,
    /// Stamps entries.
    pub clock: Arc<dyn Clock>,
    /// Keeps the log.
    pub disk: Box<dyn Disk>,
    /// Which actors get threads of their own.
    pub placement: Placement,
    /// Seeds election timeouts and the jitter of dials.
    pub seed: u64,
    /// How many files the process may have open at a time, connections among them.
    pub open_files_max: u64,
}

/// Where actors run.
#[derive(Clone)]
pub enum Placement {
    /// What blocks has an arbiter of its own, sessions as many as are configured.
    Threads,
    /// All on the calling thread, so that a run can be repeated exactly. What
    /// blocks is in this set: who drives it decides how long the disk takes.
    Inline {
        /// Takes what blocks.
        blocking: Rc<LocalSet>,
        /// Stands on the way of LogActor's answers to RaftActor: those of another
        /// thread come when they come.
        answers: Answers,
    },
}

/// Gives LogActor another address for its answers than that of RaftActor.
pub type Answers = Rc<dyn Fn(Recipient<LogPersisted>) -> Recipient<LogPersisted>>;

/// Why a node could not start, or had to stop.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// It is not in servers.toml.
    #[error("there is no server with id {0} in servers.toml")]
    UnknownId(NodeId),
    /// A port is taken, or the address is not this machine's.
    #[error(
        "cannot listen on {hostname}:{port} ({key} of server {id}): {error}; free the port, or \
         change {key} or hostname in servers.toml"
    )]
    Listen {
        /// The server.
        id: NodeId,
        /// `client_port` or `log_port`.
        key: &'static str,
        /// Its hostname.
        hostname: String,
        /// The port.
        port: u16,
        /// What the system says.
        error: io::Error,
    },
    /// The data directory cannot be used, or its disk failed.
    #[error("{0}")]
    Storage(#[from] StorageError),
    /// The limit on open files leaves none for clients.
    #[error(
        "this process may have {open_files_max} files open, and a server of this cluster needs \
         more than {own}: raise the limit (`ulimit -n`)"
    )]
    OpenFiles {
        /// The limit.
        open_files_max: u64,
        /// What the server itself may need.
        own: u64,
    },
    /// The process cannot be told to stop.
    #[error("cannot wait for signals: {0}")]
    Signals(io::Error),
}

/// A running node.
pub struct Node {
    client_port: u16,
    log_port: u16,
    clients: Addr<ClientAcceptorActor>,
    peers: Addr<PeerAcceptorActor>,
    links: Vec<Addr<PeerLinkActor>>,
    log: Addr<LogActor>,
    arbiters: Vec<Arbiter>,
    memory: MemoryBudget,
    failure: tokio::sync::mpsc::UnboundedReceiver<StorageError>,
}

impl Node {
    /// Where clients connect.
    pub fn client_port(&self) -> u16 {
        self.client_port
    }

    /// Where peers connect.
    pub fn log_port(&self) -> u16 {
        self.log_port
    }

    /// What its clients may cost in memory, and do.
    pub fn memory(&self) -> MemoryBudget {
        self.memory.clone()
    }

    /// Returns when the node can go on no longer: its disk has failed.
    pub async fn failed(&mut self) -> StorageError {
        match self.failure.recv().await {
            Some(error) => error,
            // LogActor ended without a failure: it was told to.
            None => std::future::pending().await,
        }
    }

    /// Stops it: nothing more is accepted, what the log was given is made durable,
    /// and the data directory is free when this returns.
    pub async fn stop(self) {
        self.clients.do_send(StopAccepting);
        self.peers.do_send(crate::actors::messages::lifecycle::Shutdown);
        for link in &self.links {
            link.do_send(crate::actors::messages::lifecycle::Shutdown);
        }
        // An error says that the actor has ended already, after a failure.
        if self.log.send(crate::actors::messages::lifecycle::Shutdown).await.is_err() {
            log::debug!("the log had stopped before");
        }
        for arbiter in self.arbiters {
            arbiter.stop();
        }
    }
}

/// Starts node `id` on the calling arbiter: listens, recovers, and begins to take
/// part. What can be wrong with its settings or its files is wrong here.
///
/// # Errors
/// When it is not in the settings, cannot listen, or its files cannot be used.
pub async fn start(
    settings: &Settings,
    id: NodeId,
    environment: Environment,
) -> Result<Node, NodeError> {
    let server = settings.servers.get(&id).ok_or(NodeError::UnknownId(id))?;
    let Environment { network, clock, disk, placement, seed, open_files_max } = environment;
    let connections_max = connections_max(settings, open_files_max)?;
    let client_listener =
        listen(network.as_ref(), server, "client_port", server.client_port).await?;
    let peer_listener = listen(network.as_ref(), server, "log_port", server.log_port).await?;
    let (client_port, log_port) = (client_listener.port(), peer_listener.port());

    let recovered = recovery::recover(settings, server, disk)?;
    let mut arbiters = Vec::new();
    let raft_ctx = Context::<RaftActor>::new();
    let raft = raft_ctx.address();

    let (failed, failure) = tokio::sync::mpsc::unbounded_channel();
    let fatal = FailureActor { failed }.start().recipient();
    let compacted = raft.clone().recipient();
    let log_ports = |persisted| LogPorts { raft: persisted, compacted, fatal: fatal.clone() };
    let snapshot_ports = SnapshotPorts {
        written: raft.clone().recipient(),
        piece: raft.clone().recipient(),
        received: raft.clone().recipient(),
        lost: raft.clone().recipient(),
        fatal: fatal.clone(),
    };
    let owner = (settings.cluster.clone(), id);
    let promise = settings.raft.promise();
    let restore_id = recovered.storage.origin();
    let (storage, persisted) = (recovered.storage, raft.clone().recipient());
    let snapshots = SnapshotActor::new(recovered.snapshots, recovered.files, owner, snapshot_ports);
    let (log, snapshots) = match &placement {
        Placement::Inline { blocking, answers } => {
            let (log_ctx, snapshot_ctx) = (Context::<LogActor>::new(), Context::new());
            let addresses = (log_ctx.address(), snapshot_ctx.address());
            let log = LogActor::new(storage, log_ports(answers(persisted)));
            blocking.spawn_local(log_ctx.into_future(log));
            blocking.spawn_local(snapshot_ctx.into_future(snapshots));
            addresses
        }
        Placement::Threads => {
            let (log_arbiter, snapshot_arbiter) = (Arbiter::new(), Arbiter::new());
            let log = LogActor::new(storage, log_ports(persisted));
            let log = LogActor::start_in_arbiter(&log_arbiter.handle(), move |_| log);
            let snapshots =
                SnapshotActor::start_in_arbiter(&snapshot_arbiter.handle(), move |_| snapshots);
            arbiters.extend([log_arbiter, snapshot_arbiter]);
            (log, snapshots)
        }
    };
    let memory = MemoryBudget::new(settings.limits.client_bytes(settings.servers.len()));
    let kv_ports = KvPorts {
        raft: raft.clone().recipient(),
        snapshot: snapshots.clone().recipient(),
        discard: snapshots.clone().recipient(),
        memory: memory.clone(),
    };
    let kv = KvActor::new(recovered.store, kv_ports).start();

    let link_settings = link_settings(settings);
    let mut links = Vec::new();
    let mut peer_ports = BTreeMap::new();
    for peer in settings.servers.values().filter(|peer| peer.id != id) {
        let replicator_ctx = Context::<ReplicatorActor>::new();
        let replicator = replicator_ctx.address();
        let link = PeerLinkActor::new(
            Hello { cluster: settings.cluster.clone(), from: id, to: peer.id, restore_id, promise },
            (peer.hostname.clone(), peer.log_port),
            link_settings.clone(),
            Rc::clone(&network),
            PeerLinkPorts {
                raft: raft.clone().recipient(),
                replicator: replicator.clone().recipient(),
            },
            seed.wrapping_mul(31).wrapping_add(peer.id.0),
        )
        .start();
        replicator_ctx.run(ReplicatorActor::new(
            id,
            peer.id,
            replicator_settings(settings),
            ReplicatorPorts {
                raft: raft.clone().recipient(),
                link: link.clone().recipient(),
                log: log.clone().recipient(),
                snapshot: snapshots.clone().recipient(),
            },
        ));
        peer_ports.insert(
            peer.id,
            PeerPorts { link: link.clone().recipient(), replicator: replicator.recipient() },
        );
        links.push(link);
    }

    raft_ctx.run(RaftActor::new(
        Raft::new(
            raft_settings(settings, id, seed, clock.as_ref()),
            recovered.hard_state,
            recovered.log,
            recovered.positions,
        ),
        RaftPorts {
            log: log.clone().recipient(),
            log_reads: log.clone().recipient(),
            snapshot: snapshots.clone().recipient(),
            snapshot_queries: snapshots.recipient(),
            kv: kv.recipient(),
            peers: peer_ports,
            memory: memory.take(0),
        },
        raft_actor_settings(settings),
        clock,
    ));
    let tick = Duration::from_millis(settings.raft.tick_ms);
    TickerActor::new(tick, raft.clone().recipient()).start();

    let peers = PeerAcceptorActor::new(
        peer_listener,
        LocalNode {
            cluster: settings.cluster.clone(),
            id,
            peers: settings.servers.keys().copied().filter(|peer| *peer != id).collect(),
            restore_id,
            promise,
        },
        link_settings,
        PeerAcceptorPorts { raft: raft.clone().recipient() },
    )
    .start();
    let session_arbiters = match placement {
        Placement::Inline { .. } => Vec::new(),
        Placement::Threads => {
            (0..settings.session.threads).map(|_| Arbiter::new()).collect::<Vec<_>>()
        }
    };
    let handles: Vec<ArbiterHandle> = session_arbiters.iter().map(Arbiter::handle).collect();
    arbiters.extend(session_arbiters);
    let clients = ClientAcceptorActor::new(
        client_listener,
        connections_max,
        Arc::new(session_config(settings, memory.clone())),
        ClientAcceptorPorts { raft: raft.recipient() },
        handles,
    )
    .start();
    Ok(Node { client_port, log_port, clients, peers, links, log, arbiters, memory, failure })
}

/// Runs node `id` on this machine until SIGTERM or SIGINT.
///
/// # Errors
/// As [`start`], and when its disk fails.
pub fn run(settings: &Settings, id: NodeId) -> Result<(), NodeError> {
    actix::System::new().block_on(async {
        let environment = Environment {
            network: Rc::new(Tcp),
            clock: Arc::new(SystemClock),
            disk: Box::new(RealDisk),
            placement: Placement::Threads,
            // Nodes must differ, and so must two starts of one.
            seed: SystemClock.wall_ms() ^ (u64::from(std::process::id()) << 32) ^ (id.0 << 48),
            open_files_max: raise_open_files_limit(),
        };
        let mut terminate = signal(SignalKind::terminate()).map_err(NodeError::Signals)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(NodeError::Signals)?;
        let mut node = start(settings, id, environment).await?;
        log::info!(
            "listening node={id} client_port={} log_port={}",
            node.client_port(),
            node.log_port()
        );
        tokio::select! {
            error = node.failed() => return Err(error.into()),
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        node.stop().await;
        log::info!("stopped node={id}");
        Ok(())
    })
}

/// Takes LogActor's report of its failure out of the actors' world.
struct FailureActor {
    failed: tokio::sync::mpsc::UnboundedSender<StorageError>,
}

impl Actor for FailureActor {
    type Context = Context<Self>;
}

impl actix::Handler<crate::actors::messages::lifecycle::StorageFailed> for FailureActor {
    type Result = ();

    fn handle(
        &mut self,
        message: crate::actors::messages::lifecycle::StorageFailed,
        _ctx: &mut Context<Self>,
    ) {
        // Nobody listens only when the node is being stopped anyway.
        let _ = self.failed.send(message.error);
    }
}

/// What a server has open beside its clients and peers: its log, a new segment of
/// it, the lock, directories being synced, its listeners and its runtime's own.
const OWN_FILES: u64 = 64;

/// Raises the limit on open files as far as it may be, and returns it. The soft
/// limit is often 1,024 for the sake of programs that use `select`.
fn raise_open_files_limit() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let current = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    current.unwrap_or(u64::MAX)
}

/// How many clients fit: they must not take the descriptor that the log's next
/// segment needs, or enough idle connections would stop the server.
fn connections_max(settings: &Settings, open_files_max: u64) -> Result<usize, NodeError> {
    let wanted = connections_in_memory(settings);
    // A peer may have a connection either way, and one that replaces it; an arbiter
    // waits for its sockets by a few.
    let peers = 3 * settings.servers.len() + LinkSettings::default().greetings_max;
    let sessions = 4 * settings.session.threads + crate::actors::clients::acceptor::REFUSALS_MAX;
    let own = OWN_FILES + (peers + sessions) as u64;
    match usize::try_from(open_files_max.saturating_sub(own)).unwrap_or(usize::MAX) {
        0 => Err(NodeError::OpenFiles { open_files_max, own }),
        room if room < wanted => {
            log::warn!(
                "takes {room} clients at a time and not {wanted} ([limits] connections_max): this \
                 process may have {open_files_max} files open (`ulimit -n`)"
            );
            Ok(room)
        }
        _ => Ok(wanted),
    }
}

/// How many clients fit into the memory, idle, with room for what one may need.
fn connections_in_memory(settings: &Settings) -> usize {
    let (limits, servers) = (&settings.limits, settings.servers.len());
    let room_bytes = limits.client_bytes(servers).saturating_sub(limits.client_bytes_min());
    let room = usize::try_from(room_bytes / SESSION_BYTES).unwrap_or(usize::MAX).max(CLIENTS_MIN);
    if room < limits.connections_max {
        log::warn!(
            "takes {room} clients at a time and not {} ([limits] connections_max): there is no \
             memory for more ([limits] memory_bytes)",
            limits.connections_max
        );
    }
    room.min(limits.connections_max)
}

/// So many clients may always be there.
const CLIENTS_MIN: usize = 64;

async fn listen(
    network: &dyn Network,
    server: &Server,
    key: &'static str,
    port: u16,
) -> Result<Box<dyn Listener>, NodeError> {
    network.listen(&server.hostname, port).await.map_err(|error| NodeError::Listen {
        id: server.id,
        key,
        hostname: server.hostname.clone(),
        port,
        error,
    })
}

fn raft_settings(settings: &Settings, id: NodeId, seed: u64, clock: &dyn Clock) -> RaftSettings {
    let raft = &settings.raft;
    let ticks = |ms: u64| u32::try_from(ms.div_ceil(raft.tick_ms)).unwrap_or(u32::MAX);
    let election_timeout_ticks_max = ticks(raft.election_timeout_ms_max);
    RaftSettings {
        id,
        initial_membership: Membership { voters: settings.servers.keys().copied().collect() },
        election_timeout_ticks_min: ticks(raft.election_timeout_ms_min),
        election_timeout_ticks_max,
        heartbeat_ticks: ticks(raft.heartbeat_interval_ms),
        leader_lease: raft
            .promise()
            .map(|promise| LeaseSettings { promise, started_at: clock.monotonic() }),
        disk_stall_ticks: election_timeout_ticks_max.saturating_mul(DISK_STALL_ELECTION_TIMEOUTS),
        has_batched_peers: raft.batched_peer_delay_ms > 0,
        page_bytes_max: REPLAY_PAGE_BYTES,
        snapshot_entries_max: settings.snapshot.entries_max,
        snapshot_bytes_max: settings.snapshot.bytes_max,
        keep_entries: settings.log.keep_entries,
        seed,
    }
}

/// A leader's disk may be silent for so many of the longest election timeouts: a
/// sync that takes half a second happens on healthy disks and must change nothing.
const DISK_STALL_ELECTION_TIMEOUTS: u32 = 4;

fn raft_actor_settings(settings: &Settings) -> RaftActorSettings {
    let limits = &settings.limits;
    RaftActorSettings {
        waiting_commands_max: limits.proposals_pending_max,
        // Sessions see to it that there is always room for those that hold little.
        waiting_bytes_max: limits.client_bytes(settings.servers.len()),
        // A tick early: the answer must be there in time.
        request_timeout_ticks: (limits.request_timeout_ms / settings.raft.tick_ms)
            .saturating_sub(1)
            .max(1),
    }
}

/// Entries that are read from the log for the store, after a start, come in pages
/// of so many bytes: a page is some milliseconds of work, in which this thread
/// hears no heartbeat and sends none. Ten times as much, and servers that start
/// together on few processors take each other for dead.
const REPLAY_PAGE_BYTES: u64 = 128 * 1024;

fn replicator_settings(settings: &Settings) -> ReplicatorSettings {
    ReplicatorSettings {
        progress: progress_settings(settings),
        snapshot_bytes_per_second_max: settings.snapshot.bytes_per_second_max,
        batched_peer_delay: Duration::from_millis(settings.raft.batched_peer_delay_ms),
    }
}

fn progress_settings(settings: &Settings) -> ProgressSettings {
    let limits = &settings.limits;
    ProgressSettings {
        append_entries_max: limits.append_entries_max,
        append_bytes_max: limits.append_bytes_max,
        inflight_entries_max: limits.peer_inflight_entries_max,
        inflight_bytes_max: limits.peer_inflight_bytes_max,
        // A piece may be a quarter larger (see SnapshotPieces), and has to fit into a frame.
        snapshot_piece_bytes: SNAPSHOT_PIECE_BYTES.min(limits.frame_bytes_max() / 2),
        snapshot_window_bytes: SNAPSHOT_WINDOW_BYTES,
    }
}

/// A piece of a snapshot: so small that a heartbeat behind it waits for a millisecond
/// at most (docs/adr/0008).
const SNAPSHOT_PIECE_BYTES: u64 = 64 * 1024;

/// So much of a snapshot is under way to a peer at once.
pub(crate) const SNAPSHOT_WINDOW_BYTES: u64 = 1024 * 1024;

fn link_settings(settings: &Settings) -> LinkSettings {
    let frame_bytes_max = settings.limits.frame_bytes_max() as usize;
    LinkSettings {
        frame_bytes_max,
        // What a replicator may have under way, and one frame more.
        outbound_bytes_max: settings.limits.peer_inflight_bytes_max as usize + 2 * frame_bytes_max,
        ..LinkSettings::default()
    }
}

fn session_config(settings: &Settings, memory: MemoryBudget) -> SessionConfig {
    let limits = &settings.limits;
    let address = |server: &Server| (server.id, (server.hostname.clone(), server.client_port));
    SessionConfig {
        limits: Limits {
            line_bytes_max: limits.line_bytes_max,
            key_bytes_max: limits.key_bytes_max,
            value_bytes_max: limits.value_bytes_max,
        },
        store_bytes_max: limits.store_bytes_max,
        inflight_commands_max: limits.inflight_commands_max,
        inflight_bytes_max: limits.inflight_bytes_max,
        outbound_bytes_max: SESSION_OUTBOUND_BYTES_MAX,
        memory,
        write_stall_ms_max: limits.write_stall_ms_max,
        client_addresses: settings.servers.values().map(address).collect(),
        started: tokio::time::Instant::now(),
    }
}

/// Unsent replies of one session, in bytes, above which it reads no commands.
pub(crate) const SESSION_OUTBOUND_BYTES_MAX: usize = 1024 * 1024;

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// Else it would never be sent, and the peer never catch up.
    #[test]
    fn a_piece_of_a_snapshot_fits_into_the_smallest_frame() {
        let text = "[[servers]]\nid = 1\nhostname = \"h\"\nclient_port = 1\nlog_port = 2\n\
                    [limits]\nvalue_bytes_max = 1\nkey_bytes_max = 1\nappend_bytes_max = 1\n";
        let settings =
            Settings::parse(Path::new("servers.toml"), text, &Default::default()).unwrap();
        let piece_bytes = progress_settings(&settings).snapshot_piece_bytes;
        let largest = piece_bytes + piece_bytes / 4;
        assert!(largest + 1024 < settings.limits.frame_bytes_max(), "{largest}");
    }
}
