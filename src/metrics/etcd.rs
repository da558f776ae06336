//! The names that etcd's own dashboard and alerts use, for the numbers that mean the same here.
//!
//! Where the two differ: the store is in memory, so what etcd calls the commit of its backend is
//! the time in which the store executes what it is given at once. The quota is `store_bytes_max`,
//! or the memory of the machine when there is no bound, because etcd's alerts divide by it. Nothing
//! has to be defragmented, so the size that is in use is the whole size.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use super::NodeMetrics;
use super::measures::to_gauge;
use super::peers::{ETCD, PeerTable, PeersMetrics};

pub(super) fn register(metrics: &NodeMetrics, memory_bytes: u64, registry: &mut Registry) {
    let NodeMetrics { raft, log, peers, clients, store, snapshots, .. } = metrics;
    let gauges = [
        ("etcd_server_has_leader", "1 when a leader is known", &raft.state.has_leader),
        ("etcd_server_is_leader", "1 when the server leads", &raft.state.is_leader),
        ("etcd_server_is_learner", "1 when the server is a learner", &raft.state.is_learner),
        ("etcd_server_proposals_pending", "Writes that wait", &raft.proposals.pending),
        ("etcd_mvcc_db_total_size_in_bytes", "Store and history", &store.total_bytes),
        ("etcd_mvcc_db_total_size_in_use_in_bytes", "Store and history", &store.total_bytes),
    ];
    for (name, help, gauge) in gauges {
        registry.register(name, help, gauge.clone());
    }
    let quota = match store.bytes_max.get() {
        0 => to_gauge(memory_bytes),
        bytes_max => bytes_max,
    };
    let help = "Bound on the store, or the memory of the machine";
    registry.register("etcd_server_quota_backend_bytes", help, ConstGauge::new(quota));
    let counters = [
        ("etcd_server_leader_changes_seen", "Leaders seen", &raft.elections.leader_changes),
        ("etcd_server_proposals_committed", "Entries committed", &raft.proposals.committed),
        ("etcd_server_proposals_applied", "Entries applied", &raft.proposals.applied),
        ("etcd_server_proposals_failed", "Writes that failed", &raft.proposals.failed),
        ("etcd_disk_wal_write_bytes", "Bytes written to the log", &log.written_bytes),
        ("etcd_network_client_grpc_received_bytes", "From clients", &clients.received_bytes),
        ("etcd_network_client_grpc_sent_bytes", "To clients", &clients.sent_bytes),
    ];
    for (name, help, counter) in counters {
        registry.register(name, help, counter.clone());
    }
    let histograms = [
        ("etcd_disk_wal_fsync_duration_seconds", "Syncs of the log", &log.fsync_duration),
        ("etcd_disk_backend_commit_duration_seconds", "Work of the store", &store.apply_duration),
        ("etcd_debugging_snap_save_total_duration_seconds", "Snapshots", &snapshots.duration),
    ];
    for (name, help, histogram) in histograms {
        registry.register(name, help, histogram.clone());
    }
    registry.register_collector(Box::new(PeerTable { peers: peers.clone(), columns: ETCD }));
    registry.register_collector(Box::new(ActivePeers(peers.clone())));
}

/// Prints the number of peers with a connection.
struct ActivePeers(PeersMetrics);

impl fmt::Debug for ActivePeers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ActivePeers")
    }
}

impl Collector for ActivePeers {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let connected = self.0.connected();
        let gauge = ConstGauge::new(to_gauge(connected.len() as u64));
        let (name, help) = ("etcd_network_active_peers", "Peers with a connection");
        gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)
    }
}
