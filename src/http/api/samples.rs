//! The rows of `Samples`: this server's own measurements over each of the last seconds.

use std::collections::VecDeque;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::scrape::{Durations, Scrape, quantile_ms};

/// Number of rows that are kept.
const ROWS_MAX: usize = 600;

/// The commands that write. A transaction counts among them, whatever it does.
const WRITES: &[&str] =
    &["add", "cas", "commit", "compact", "delete", "end", "grant", "renew", "revoke", "set"];
/// The commands that read.
const READS: &[&str] = &["get", "getm", "lease", "range", "scan"];

const COMMIT: Durations =
    Durations { name: "raft_commit_duration_seconds", label: "", values: &[] };
const READ: Durations =
    Durations { name: "client_request_duration_seconds", label: "command", values: READS };
const FSYNC: Durations = Durations { name: "log_fsync_duration_seconds", label: "", values: &[] };

/// The fields of a row, in their order.
const FIELDS: [&str; 26] = [
    "at_ms",
    "is_leader",
    "term",
    "committed_per_second",
    "writes_per_second",
    "reads_per_second",
    "failures_per_second",
    "commit_p50_ms",
    "commit_p99_ms",
    "read_p50_ms",
    "read_p99_ms",
    "fsync_p50_ms",
    "fsync_p99_ms",
    "apply_p99_ms",
    "turn_max_ms",
    "proposals_pending",
    "behind",
    "log_bytes",
    "snapshot_bytes",
    "disk_free_bytes",
    "store_bytes",
    "history_bytes",
    "memory_bytes_used",
    "resident_bytes",
    "sessions",
    "watches",
];

/// The last rows, and the scrape that they were made from.
#[derive(Default)]
pub(super) struct Samples {
    rows: VecDeque<Vec<Value>>,
    scrape: Option<(Scrape, Duration)>,
}

impl Samples {
    /// Takes a scrape, made at `now` of the monotonic clock. Returns its row as `Samples` has it;
    /// there is none for the first scrape, because a rate needs two.
    pub(super) fn take(
        &mut self,
        scrape: Scrape,
        peers: &[u64],
        at_ms: u64,
        now: Duration,
    ) -> Option<Value> {
        let before = self.scrape.replace((scrape, now));
        let ((before, then), (scrape, _)) = (before?, self.scrape.as_ref()?);
        let seconds = now.saturating_sub(then).as_secs_f64();
        if seconds <= 0.0 {
            return None;
        }
        let row = row(&before, scrape, peers, at_ms, seconds);
        if self.rows.len() == ROWS_MAX {
            self.rows.pop_front();
        }
        self.rows.push_back(row.clone());
        Some(json!({"fields": FIELDS, "rows": [row]}))
    }

    /// All rows.
    pub(super) fn all(&self) -> Value {
        json!({"fields": FIELDS, "rows": self.rows})
    }

    /// The newest value of a field.
    pub(super) fn newest(&self, field: &str) -> Value {
        let at = FIELDS.iter().position(|it| *it == field);
        let value = at.and_then(|at| self.rows.back()?.get(at).cloned());
        value.unwrap_or(Value::Null)
    }

    /// The newest value of a series that has no labels, as a whole number.
    pub(super) fn whole(&self, name: &str) -> Option<u64> {
        self.scrape.as_ref()?.0.whole(name)
    }
}

fn row(before: &Scrape, now: &Scrape, peers: &[u64], at_ms: u64, seconds: f64) -> Vec<Value> {
    let per_second = |values: (Option<f64>, Option<f64>)| match values {
        (Some(before), Some(now)) => {
            json!(((now - before).max(0.0) / seconds * 10.0).round() / 10.0)
        }
        _ => Value::Null,
    };
    let requests =
        |scrape: &Scrape, commands| scrape.sum("client_requests_total", "command", commands);
    let rate_of = |commands| per_second((requests(before, commands), requests(now, commands)));
    let rate = |name| per_second((before.get(name), now.get(name)));
    let quantile = |of, quantile| json!(quantile_ms(before, now, of, quantile));
    let whole = |name| json!(now.whole(name));
    let is_leader = now.get("raft_is_leader") == Some(1.0);
    FIELDS
        .iter()
        .map(|field| match *field {
            "at_ms" => json!(at_ms),
            "is_leader" => json!(u8::from(is_leader)),
            "term" => whole("raft_term"),
            "committed_per_second" => rate("raft_commit_index"),
            "writes_per_second" => rate_of(WRITES),
            "reads_per_second" => rate_of(READS),
            "failures_per_second" => rate("client_requests_failed_total"),
            "commit_p50_ms" => quantile(COMMIT, 0.5),
            "commit_p99_ms" => quantile(COMMIT, 0.99),
            "read_p50_ms" => quantile(READ, 0.5),
            "read_p99_ms" => quantile(READ, 0.99),
            "fsync_p50_ms" => quantile(FSYNC, 0.5),
            "fsync_p99_ms" => quantile(FSYNC, 0.99),
            "proposals_pending" => whole("raft_proposals_pending"),
            "behind" if is_leader => behind(now, peers),
            "log_bytes" => whole("log_bytes"),
            "snapshot_bytes" => whole("snapshots_bytes"),
            "disk_free_bytes" => whole("disk_free_bytes"),
            "store_bytes" => whole("store_bytes"),
            "history_bytes" => whole("store_history_bytes"),
            "memory_bytes_used" => whole("memory_used_bytes"),
            "resident_bytes" => whole("process_resident_memory_bytes"),
            "sessions" => whole("client_sessions"),
            "watches" => whole("client_watches"),
            // Not measured by the node: how long an entry waits for its application, and the
            // longest turn of the main thread.
            _ => Value::Null,
        })
        .collect()
}

/// The number of entries that each peer is known to lack; null for one whose log is not known.
fn behind(now: &Scrape, peers: &[u64]) -> Value {
    let last = now.get("raft_last_log_index").unwrap_or(0.0);
    let of = |peer: &u64| {
        let is_connected = now.of_peer("peer_connected", *peer) == Some(1.0);
        let matched = now.of_peer("peer_match_index", *peer).filter(|it| is_connected && *it > 0.0);
        let behind = matched.map(|matched| (last - matched).max(0.0) as u64);
        (peer.to_string(), json!(behind))
    };
    Value::Object(peers.iter().map(of).collect::<Map<_, _>>())
}

#[cfg(test)]
mod tests;
