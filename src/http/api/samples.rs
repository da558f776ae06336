//! The rows of `Samples`: this server's own measurements over each of the last seconds.

use std::collections::VecDeque;
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::metrics::{DiskSample, DurationCounts, Sample};
use crate::types::{LogIndex, NodeId};

/// Number of rows that are kept.
const ROWS_MAX: usize = 600;

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

/// The last rows, and the numbers that they were made from.
#[derive(Default)]
pub(super) struct Samples {
    rows: VecDeque<Vec<Value>>,
    last: Option<Sample>,
}

impl Samples {
    /// Takes the numbers of a moment. Returns their row as `Samples` has it; there is none for the
    /// first, because a rate needs two.
    pub(super) fn take(&mut self, now: Sample) -> Option<Value> {
        let row = self.last.as_ref().and_then(|before| row(before, &now));
        self.last = Some(now);
        let row = row?;
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

    /// The numbers that were taken last.
    pub(super) fn last(&self) -> Option<&Sample> {
        self.last.as_ref()
    }
}

/// The row of the time between two moments; `None` when there is none between them.
fn row(before: &Sample, now: &Sample) -> Option<Vec<Value>> {
    let seconds = now.at.checked_sub(before.at).filter(|it| !it.is_zero())?.as_secs_f64();
    let rate = |of: fn(&Sample) -> u64| {
        json!((of(now).saturating_sub(of(before)) as f64 / seconds * 10.0).round() / 10.0)
    };
    let quantile = |of: fn(&Sample) -> &DurationCounts, quantile| {
        let found: Option<Duration> = of(now).since(of(before)).quantile(quantile);
        json!(found.map(|duration| duration.as_secs_f64() * 1e3))
    };
    let disk = |of: fn(&DiskSample) -> u64| json!(now.process.disk.as_ref().map(of));
    let of_field = |field: &&str| match *field {
        "at_ms" => json!(now.at_ms),
        "is_leader" => json!(u8::from(now.raft.is_leader)),
        "term" => json!(now.raft.term.0),
        "committed_per_second" => rate(|it| it.raft.commit_index.0),
        "writes_per_second" => rate(|it| it.clients.writes),
        "reads_per_second" => rate(|it| it.clients.reads),
        "failures_per_second" => rate(|it| it.clients.failures),
        "commit_p50_ms" => quantile(|it| &it.raft.commit, 0.5),
        "commit_p99_ms" => quantile(|it| &it.raft.commit, 0.99),
        "read_p50_ms" => quantile(|it| &it.clients.read, 0.5),
        "read_p99_ms" => quantile(|it| &it.clients.read, 0.99),
        "fsync_p50_ms" => quantile(|it| &it.fsync, 0.5),
        "fsync_p99_ms" => quantile(|it| &it.fsync, 0.99),
        "apply_p99_ms" => quantile(|it| &it.raft.apply, 0.99),
        "turn_max_ms" => json!(now.turn_max.as_secs_f64() * 1e3),
        "proposals_pending" => json!(now.raft.proposals_pending),
        "behind" if now.raft.is_leader => behind(now),
        "log_bytes" => disk(|it| it.log_bytes),
        "snapshot_bytes" => disk(|it| it.snapshots_bytes),
        "disk_free_bytes" => disk(|it| it.free_bytes),
        "store_bytes" => json!(now.store.bytes),
        "history_bytes" => json!(now.store.history_bytes),
        "memory_bytes_used" => json!(now.store.memory_used_bytes),
        "resident_bytes" => json!(now.process.resident_bytes),
        "sessions" => json!(now.clients.sessions),
        "watches" => json!(now.clients.watches),
        // Only a leader knows who is behind.
        _ => Value::Null,
    };
    Some(FIELDS.iter().map(of_field).collect())
}

/// The number of entries that each peer is known to lack; null for one whose log is not known.
fn behind(now: &Sample) -> Value {
    let last = now.raft.last_log_index.0;
    let of = |(peer, matched): (&NodeId, &Option<LogIndex>)| {
        (peer.to_string(), json!(matched.map(|matched| last.saturating_sub(matched.0))))
    };
    Value::Object(now.raft.matched.iter().map(of).collect::<Map<_, _>>())
}

#[cfg(test)]
mod tests;
