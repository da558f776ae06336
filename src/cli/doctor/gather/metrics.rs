//! The numbers of a server that only its `/metrics` has.

use std::collections::BTreeMap;
use std::time::Duration;

use coracle::types::Address;

use super::super::super::survey::fetch_text;
use super::super::facts::Metrics;

/// Maximum size of the text in bytes.
const BYTES_MAX: usize = 4 << 20;

/// Asks a server for its numbers; `None` without an HTTP port or an answer.
pub async fn ask(address: Option<&Address>, patience: Duration) -> Option<Metrics> {
    let text = fetch_text(address?, "/metrics", BYTES_MAX, patience).await.ok()?;
    Some(read(&text))
}

/// Reads the text of Prometheus.
fn read(text: &str) -> Metrics {
    let series: BTreeMap<&str, f64> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.rsplit_once(' '))
        .filter_map(|(name, value)| Some((name, value.parse().ok()?)))
        .collect();
    let whole = |name: &str| series.get(name).map(|value| *value as u64);
    Metrics {
        open_files: whole("process_open_fds"),
        open_files_max: whole("process_max_fds"),
        round_trip_ms: round_trip_ms(&series),
        snapshot_failures: whole("snapshot_failures_total"),
    }
}

/// The mean round trip to the slowest peer. Only a leader has sent heartbeats.
fn round_trip_ms(series: &BTreeMap<&str, f64>) -> Option<f64> {
    const SUM: &str = "peer_round_trip_seconds_sum";
    const COUNT: &str = "peer_round_trip_seconds_count";
    let sums = series.iter().filter_map(|(name, sum)| Some((name.strip_prefix(SUM)?, *sum)));
    let means = sums.filter_map(|(peer, sum)| {
        let count = *series.get(format!("{COUNT}{peer}").as_str())?;
        (count > 0.0).then_some(1e3 * sum / count)
    });
    means.max_by(f64::total_cmp)
}

#[cfg(test)]
mod tests;
