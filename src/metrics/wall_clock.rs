//! The wall clock of the server at the time of a scrape. Prometheus compares it to its own: so the
//! clocks of servers that talk to each other for months are compared all the time, and not only
//! when they connect.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use super::raft::RaftMetrics;

/// Prints the wall clock.
struct WallClock(RaftMetrics);

impl fmt::Debug for WallClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WallClock")
    }
}

impl Collector for WallClock {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let gauge = ConstGauge::new(self.0.wall_ms() as f64 / 1e3);
        let help = "Wall clock of the server, in seconds since 1970";
        let kind = gauge.metric_type();
        gauge.encode(encoder.encode_descriptor("wall_clock_seconds", help, None, kind)?)
    }
}

pub(super) fn register(raft: &RaftMetrics, registry: &mut Registry) {
    registry.register_collector(Box::new(WallClock(raft.clone())));
}
