//! The settings of each actor, from those of servers.toml.

use std::sync::Arc;
use std::time::Duration;

use super::environment::Surroundings;
use crate::actors::clients::session::SessionConfig;
use crate::actors::io::memory::MemoryBudget;
use crate::actors::io::slow_operations::SlowOperations;
use crate::actors::peers::PeerMemory;
use crate::actors::peers::replicator::ReplicatorSettings;
use crate::actors::peers::settings::LinkSettings;
use crate::actors::raft::RaftActorSettings;
use crate::actors::watch::WatchLimits;
use crate::clock::Clock;
use crate::config::{Server, Settings};
use crate::kv::HistoryLimits;
use crate::kv::TransactionLimits;
use crate::metrics::NodeMetrics;
use crate::protocol::{Limits, SessionSettings};
use crate::raft::{GateSettings, Introduction, LeaseSettings, ProgressSettings, RaftSettings};
use crate::types::{Membership, NodeId};

/// Number of the longest election timeouts for which a leader's disk may be silent. A sync
/// that takes half a second happens on healthy disks and must not cost the leadership.
const DISK_STALL_ELECTION_TIMEOUTS: u32 = 4;

/// Size in bytes of the pages in which entries are read from the log for the store after a
/// start. A page is a few milliseconds of work, in which this thread neither hears nor sends
/// a heartbeat. With pages ten times as large, servers that start together on few processors
/// take each other for dead.
const REPLAY_PAGE_BYTES: u64 = 128 * 1024;

/// Size in bytes of a chunk of a snapshot: small enough that a heartbeat after it waits for a
/// millisecond at most (docs/adr/0008).
const SNAPSHOT_CHUNK_BYTES: u64 = 64 * 1024;

/// Maximum number of bytes of a snapshot that are under way to a peer.
pub(crate) const SNAPSHOT_WINDOW_BYTES: u64 = 1024 * 1024;

/// Unsent replies of one session, in bytes, above which it reads no commands.
pub(crate) const SESSION_OUTBOUND_BYTES_MAX: usize = 1024 * 1024;

pub(super) fn raft_settings(
    settings: &Settings,
    id: NodeId,
    surroundings: &Surroundings,
    clock: &dyn Clock,
) -> RaftSettings {
    let Surroundings { seed, formats, random, is_new_cluster } = *surroundings;
    let raft = &settings.raft;
    let ticks = |ms: u64| u32::try_from(ms.div_ceil(raft.tick_ms)).unwrap_or(u32::MAX);
    let election_timeout_ticks_max = ticks(raft.election_timeout_ms_max);
    RaftSettings {
        id,
        initial_membership: Membership::of_voters(
            settings.servers.values().map(|server| (server.id, server.member())).collect(),
        ),
        own_member: settings.servers.get(&id).map(Server::member),
        election_timeout_ticks_min: ticks(raft.election_timeout_ms_min),
        election_timeout_ticks_max,
        heartbeat_ticks: ticks(raft.heartbeat_interval_ms),
        leader_lease: raft
            .promise()
            .map(|promise| LeaseSettings { promise, started_at: clock.monotonic() }),
        ticks_per_second: ticks(1000),
        disk_stall_ticks: election_timeout_ticks_max.saturating_mul(DISK_STALL_ELECTION_TIMEOUTS),
        has_batched_peers: raft.batched_peer_delay_ms > 0,
        page_bytes_max: REPLAY_PAGE_BYTES,
        snapshot_entries_max: settings.snapshot.entries_max,
        snapshot_bytes_max: settings.snapshot.bytes_max,
        keep_entries: settings.log.keep_entries,
        gate: GateSettings {
            formats,
            new_cluster_id: random.new_cluster_id,
            boot: random.boot,
            raise_after_ticks: ticks(settings.upgrade.raise_after_s.saturating_mul(1000)),
            is_held: false,
            is_new_cluster,
        },
        seed,
    }
}

pub(super) fn raft_actor_settings(settings: &Settings) -> RaftActorSettings {
    let limits = &settings.limits;
    RaftActorSettings {
        pending_commands_max: limits.proposals_pending_max,
        // The whole budget: the sessions leave room in it for those that hold little.
        pending_bytes_max: limits.client_bytes(settings.servers.len()),
        // One tick less: the client must have its answer in time.
        request_timeout_ticks: (limits.request_timeout_ms / settings.raft.tick_ms)
            .saturating_sub(1)
            .max(1),
        history: HistoryLimits {
            keep_revisions: settings.history.keep_revisions,
            bytes_max: settings.history.bytes_max,
        },
        unseen_ms: settings.raft.election_timeout_ms_max,
    }
}

/// The judge of the commands of clients that take long.
pub(super) fn slow_operations(
    settings: &Settings,
    id: NodeId,
    metrics: &NodeMetrics,
) -> SlowOperations {
    let bound = Duration::from_millis(settings.diagnosis.slow_operation_ms);
    SlowOperations::new(bound, id, metrics.clients.clone(), metrics.main_thread.clone())
}

pub(super) fn replicator_settings(settings: &Settings) -> ReplicatorSettings {
    ReplicatorSettings {
        progress: progress_settings(settings),
        snapshot_bytes_per_second_max: settings.snapshot.bytes_per_second_max,
        batched_peer_delay: Duration::from_millis(settings.raft.batched_peer_delay_ms),
    }
}

fn progress_settings(settings: &Settings) -> ProgressSettings {
    let limits = &settings.limits;
    ProgressSettings {
        append_entries_max: limits.append.entries_max,
        append_bytes_max: limits.append.bytes_max,
        inflight_entries_max: limits.peer_inflight_entries_max,
        inflight_bytes_max: limits.peer_inflight_bytes_max,
        snapshot_piece_bytes: SNAPSHOT_CHUNK_BYTES,
        snapshot_window_bytes: SNAPSHOT_WINDOW_BYTES,
    }
}

pub(super) fn link_settings(settings: &Settings, memory: &MemoryBudget) -> LinkSettings {
    let own_frame_bytes_max = settings.limits.own_frame_bytes_max() as usize;
    let window_bytes = settings.limits.peer_inflight_bytes_max as usize;
    LinkSettings {
        own_frame_bytes_max,
        // The bytes that a replicator may have under way, and one frame more.
        outbound_bytes_max: window_bytes + 2 * own_frame_bytes_max,
        memory: memory.clone(),
        ..LinkSettings::default()
    }
}

/// The memory of the peers. That of those in the settings is no part of the clients' budget.
pub(super) fn peer_memory(settings: &Settings, memory: &MemoryBudget) -> PeerMemory {
    let (limits, servers) = (&settings.limits, settings.servers.len());
    PeerMemory {
        peers: servers.saturating_sub(1),
        peer_bytes: limits.replication_bytes(servers + 1) - limits.replication_bytes(servers),
        bytes_max: limits.client_bytes(servers).saturating_sub(limits.client_bytes_min()),
        reservation: memory.reserve(0),
    }
}

/// The bounds of what watches are sent. The largest event is that of a value with the one that it
/// has replaced.
pub(super) fn watch_limits(settings: &Settings) -> WatchLimits {
    let limits = &settings.limits;
    WatchLimits { event_bytes_max: 2 * (limits.value_bytes_max + limits.key_bytes_max) }
}

pub(super) fn session_config(
    settings: &Settings,
    memory: &MemoryBudget,
    clock: &Arc<dyn Clock>,
    introduction: &Introduction,
    metrics: &NodeMetrics,
) -> SessionConfig {
    let limits = &settings.limits;
    SessionConfig {
        session: SessionSettings {
            limits: Limits {
                line_bytes_max: limits.line_bytes_max,
                key_bytes_max: limits.key_bytes_max,
                value_bytes_max: limits.value_bytes_max,
            },
            store_bytes_max: limits.store_bytes_max,
            leases_max: limits.model.leases_max,
            transaction: TransactionLimits {
                ops_max: limits.model.transaction_ops_max,
                bytes_max: limits.model.transaction_bytes_max,
            },
            inflight_commands_max: limits.inflight_commands_max,
            inflight_bytes_max: limits.inflight_bytes_max,
            outbound_bytes_max: SESSION_OUTBOUND_BYTES_MAX,
        },
        memory: memory.clone(),
        write_stall_ms_max: limits.write_stall_ms_max,
        started: tokio::time::Instant::now(),
        clock: Arc::clone(clock),
        version: introduction.binary.clone(),
        incarnation: introduction.incarnation,
        metrics: metrics.clients.clone(),
    }
}
