//! The measurements of the actors of each peer.
//!
//! A peer has its numbers from the start of its actors to their end, so a cluster whose members
//! change for years has as many time series as members.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::durations::Durations;
use super::measures::{KnownGauge, from_gauge, to_gauge};
use crate::types::{Address, LogIndex, NodeId};

/// The round trips to one peer.
#[derive(Clone, Default)]
struct RoundTrip {
    durations: Durations,
    /// The smoothed time in microseconds; 0 before the first.
    smoothed_us: Arc<AtomicU64>,
}

impl RoundTrip {
    fn observe(&self, duration: Duration) {
        self.durations.observe(duration);
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let smoothed_us = match self.smoothed_us.load(Ordering::Relaxed) {
            0 => micros,
            before => before - before / 8 + micros / 8,
        };
        self.smoothed_us.store(smoothed_us, Ordering::Relaxed);
    }
}

/// The numbers of one peer. Clones share them.
#[derive(Clone, Default)]
pub struct PeerMetrics {
    connected: Gauge,
    disconnects: Counter,
    send_failures: Counter,
    sent_bytes: Counter,
    received_bytes: Counter,
    unsent_bytes: Gauge,
    send_queue_frames: Gauge,
    round_trip: RoundTrip,
    match_index: Gauge,
    next_index: Gauge,
    inflight_entries: Gauge,
    snapshot_bytes_left: Gauge,
    lag_entries: KnownGauge,
    unheard: KnownGauge,
    behind: KnownGauge,
}

impl PeerMetrics {
    /// Notes that the connection to the peer is good.
    pub fn on_connected(&self) {
        self.connected.set(1);
    }

    /// Notes that it has ended.
    pub fn on_disconnected(&self) {
        self.connected.set(0);
        self.unsent_bytes.set(0);
        self.send_queue_frames.set(0);
        self.disconnects.inc();
    }

    /// Counts a request that could not be sent, because there is no connection.
    pub fn on_send_failed(&self) {
        self.send_failures.inc();
    }

    /// Counts bytes that were sent to the peer and received from it.
    pub fn on_moved(&self, sent_bytes: u64, received_bytes: u64) {
        self.sent_bytes.inc_by(sent_bytes);
        self.received_bytes.inc_by(received_bytes);
    }

    /// Takes the bytes that wait for the kernel, and the chunks of a snapshot that wait for them.
    pub fn set_waiting(&self, unsent_bytes: usize, chunks: usize) {
        self.unsent_bytes.set(to_gauge(unsent_bytes as u64));
        self.send_queue_frames.set(to_gauge(chunks as u64));
    }

    /// Takes the time between a heartbeat and its answer.
    pub fn on_round_trip(&self, duration: Duration) {
        self.round_trip.observe(duration);
    }

    /// The time of the last round trips, smoothed: each counts an eighth. Zero before the first.
    pub fn round_trip(&self) -> Duration {
        Duration::from_micros(self.round_trip.smoothed_us.load(Ordering::Relaxed))
    }

    /// Bytes for the peer that the kernel has not taken yet.
    pub fn unsent_bytes(&self) -> u64 {
        from_gauge(&self.unsent_bytes)
    }

    /// Takes what the leader knows of the peer's log.
    pub fn set_progress(&self, matched: LogIndex, next: LogIndex, inflight_entries: usize) {
        self.match_index.set(to_gauge(matched.0));
        self.next_index.set(to_gauge(next.0));
        self.inflight_entries.set(to_gauge(inflight_entries as u64));
    }

    /// Takes the bytes of a snapshot that the peer has yet to acknowledge.
    pub fn set_snapshot_bytes_left(&self, bytes: u64) {
        self.snapshot_bytes_left.set(to_gauge(bytes));
    }

    /// Takes the leader's view of the peer.
    pub fn set_view(&self, view: &LeadersView) {
        self.lag_entries.set(view.lag_entries.map(|entries| entries as f64));
        self.unheard.set(view.unheard.map(|unheard| unheard.as_secs_f64()));
        self.behind.set(view.behind.map(|behind| behind.as_secs_f64()));
    }

    /// The age of the oldest entry that the peer lacks; `None` on a node that does not lead.
    pub fn behind(&self) -> Option<Duration> {
        Duration::try_from_secs_f64(self.behind.printed().get()).ok()
    }

    fn is_connected(&self) -> bool {
        self.connected.get() != 0
    }

    fn matched(&self) -> Option<LogIndex> {
        let matched = LogIndex(from_gauge(&self.match_index));
        Some(matched).filter(|matched| matched.0 > 0 && self.is_connected())
    }

    /// Forgets what only a leader knows.
    pub fn end_progress(&self) {
        self.set_progress(LogIndex(0), LogIndex(0), 0);
        self.set_snapshot_bytes_left(0);
    }
}

/// A leader's knowledge of a peer. A node that does not lead knows nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeadersView {
    /// The number of entries that the peer lacks.
    pub lag_entries: Option<u64>,
    /// The time since it was heard last; `None` also of one that was not heard in this term.
    pub unheard: Option<Duration>,
    /// The age of the oldest entry that it lacks, zero without one.
    pub behind: Option<Duration>,
}

/// The numbers of all peers. Clones share them.
#[derive(Clone, Default)]
pub struct PeersMetrics {
    peers: Arc<RwLock<BTreeMap<NodeId, PeerMetrics>>>,
    /// The addresses at which the HTTP ports of peers are reached, as they say themselves.
    http: Arc<RwLock<BTreeMap<NodeId, Address>>>,
}

impl PeersMetrics {
    /// The numbers of a peer whose actors begin.
    pub fn add(&self, peer: NodeId) -> PeerMetrics {
        let mut peers = self.peers.write().unwrap_or_else(PoisonError::into_inner);
        peers.entry(peer).or_default().clone()
    }

    /// Forgets the leader's view of all peers.
    pub fn end_views(&self) {
        for peer in self.peers.read().unwrap_or_else(PoisonError::into_inner).values() {
            peer.set_view(&LeadersView::default());
        }
    }

    /// The numbers of a peer, if its actors run.
    pub fn find(&self, peer: NodeId) -> Option<PeerMetrics> {
        self.peers.read().unwrap_or_else(PoisonError::into_inner).get(&peer).cloned()
    }

    /// Removes the numbers of a peer whose actors end.
    pub fn remove(&self, peer: NodeId) {
        self.peers.write().unwrap_or_else(PoisonError::into_inner).remove(&peer);
        self.set_http_address(peer, None);
    }

    /// The peers whose actors run.
    pub fn ids(&self) -> BTreeSet<NodeId> {
        self.peers.read().unwrap_or_else(PoisonError::into_inner).keys().copied().collect()
    }

    /// Takes the address of a peer's HTTP port, as the peer says it.
    pub fn set_http_address(&self, peer: NodeId, address: Option<Address>) {
        let mut http = self.http.write().unwrap_or_else(PoisonError::into_inner);
        match address {
            Some(address) => _ = http.insert(peer, address),
            None => _ = http.remove(&peer),
        }
    }

    /// The addresses of the HTTP ports of peers, as far as they have said them. That of a peer
    /// whose connection has ended stays known.
    pub fn http_addresses(&self) -> BTreeMap<NodeId, Address> {
        self.http.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The peers with a good connection.
    pub fn connected(&self) -> BTreeSet<NodeId> {
        let peers = self.peers.read().unwrap_or_else(PoisonError::into_inner);
        peers.iter().filter(|(_, peer)| peer.is_connected()).map(|(id, _)| *id).collect()
    }

    /// The newest entry that each peer is known to have; `None` for one whose log is not known:
    /// it is not connected, or this node does not lead.
    pub(super) fn matched(&self) -> BTreeMap<NodeId, Option<LogIndex>> {
        let peers = self.peers.read().unwrap_or_else(PoisonError::into_inner);
        peers.iter().map(|(id, peer)| (*id, peer.matched())).collect()
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register_collector(Box::new(PeerTable { peers: self.clone(), columns: OWN }));
    }
}

/// One metric of all peers.
pub(super) struct Column {
    /// The name, without `_total`.
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    /// The label that has the peer's id.
    pub(super) label: &'static str,
    pub(super) metric: fn(&PeerMetrics) -> &dyn EncodeMetric,
}

/// The metrics by our own names.
const OWN: &[Column] = &[
    Column {
        name: "peer_connected",
        help: "1 while the connection to the peer is good",
        label: "peer",
        metric: |peer| &peer.connected,
    },
    Column {
        name: "peer_disconnects",
        help: "Connections to the peer that ended",
        label: "peer",
        metric: |peer| &peer.disconnects,
    },
    Column {
        name: "peer_send_failures",
        help: "Requests that were not sent, because there was no connection",
        label: "peer",
        metric: |peer| &peer.send_failures,
    },
    Column {
        name: "peer_sent_bytes",
        help: "Bytes sent to the peer",
        label: "peer",
        metric: |peer| &peer.sent_bytes,
    },
    Column {
        name: "peer_received_bytes",
        help: "Bytes received from the peer",
        label: "peer",
        metric: |peer| &peer.received_bytes,
    },
    Column {
        name: "peer_unsent_bytes",
        help: "Bytes for the peer that the kernel has not taken yet",
        label: "peer",
        metric: |peer| &peer.unsent_bytes,
    },
    Column {
        name: "peer_send_queue_frames",
        help: "Chunks of a snapshot that wait until there is nothing else to send",
        label: "peer",
        metric: |peer| &peer.send_queue_frames,
    },
    Column {
        name: "peer_round_trip_seconds",
        help: "Time between a heartbeat and its answer",
        label: "peer",
        metric: |peer| &peer.round_trip.durations,
    },
    Column {
        name: "peer_match_index",
        help: "Newest entry that the peer is known to have, 0 when this node does not lead",
        label: "peer",
        metric: |peer| &peer.match_index,
    },
    Column {
        name: "peer_next_index",
        help: "Next entry to send to the peer, 0 when this node does not lead",
        label: "peer",
        metric: |peer| &peer.next_index,
    },
    Column {
        name: "peer_inflight_entries",
        help: "Entries that were sent to the peer and are not acknowledged",
        label: "peer",
        metric: |peer| &peer.inflight_entries,
    },
    Column {
        name: "peer_snapshot_left_bytes",
        help: "Bytes of a snapshot that the peer has yet to acknowledge",
        label: "peer",
        metric: |peer| &peer.snapshot_bytes_left,
    },
    Column {
        name: "peer_lag_entries",
        help: "Entries that the peer lacks, NaN when this node does not lead",
        label: "peer",
        metric: |peer| peer.lag_entries.printed(),
    },
    Column {
        name: "peer_unheard_seconds",
        help: "Time since the leader heard the peer, NaN when this node does not know",
        label: "peer",
        metric: |peer| peer.unheard.printed(),
    },
    Column {
        name: "peer_behind_seconds",
        help: "Age of the oldest entry that the peer lacks, NaN when this node does not lead",
        label: "peer",
        metric: |peer| peer.behind.printed(),
    },
];

/// The metrics by the names of etcd.
pub(super) const ETCD: &[Column] = &[
    Column {
        name: "etcd_network_peer_sent_bytes",
        help: "Bytes sent to the peer",
        label: "To",
        metric: |peer| &peer.sent_bytes,
    },
    Column {
        name: "etcd_network_peer_received_bytes",
        help: "Bytes received from the peer",
        label: "From",
        metric: |peer| &peer.received_bytes,
    },
    Column {
        name: "etcd_network_peer_sent_failures",
        help: "Requests that were not sent to the peer",
        label: "To",
        metric: |peer| &peer.send_failures,
    },
    Column {
        name: "etcd_network_peer_round_trip_time_seconds",
        help: "Time between a heartbeat and its answer",
        label: "To",
        metric: |peer| &peer.round_trip.durations,
    },
];

/// Prints metrics of all peers.
pub(super) struct PeerTable {
    pub(super) peers: PeersMetrics,
    pub(super) columns: &'static [Column],
}

impl fmt::Debug for PeerTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PeerTable")
    }
}

impl Collector for PeerTable {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let peers = self.peers.peers.read().unwrap_or_else(PoisonError::into_inner).clone();
        if peers.is_empty() {
            return Ok(());
        }
        let empty = PeerMetrics::default();
        for Column { name, help, label, metric } in self.columns {
            let kind = metric(&empty).metric_type();
            let mut family = encoder.encode_descriptor(name, help, None, kind)?;
            for (id, peer) in &peers {
                let labels = [(*label, id.0)];
                metric(peer).encode(family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}
