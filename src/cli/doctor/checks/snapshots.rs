//! Snapshots: they are taken, and the log is cut behind them.

use super::super::super::text::{bytes, grouped};
use super::super::facts::{Facts, ServerFacts};
use super::super::finding::{Diagnosis, Finding};

const NAME: &str = "snapshots";

/// Checks the logs and snapshots of each server that tells, or whose files are here.
pub fn check(facts: &Facts, diagnosis: &mut Diagnosis) {
    let mut known = 0;
    let mut findings = Vec::new();
    for server in &facts.servers {
        let Some((log_bytes, snapshot_bytes)) = sizes(server) else { continue };
        known += 1;
        findings.extend(log(facts, log_bytes, snapshot_bytes).map(|it| it.of(server.id())));
        let failures = server.metrics.and_then(|metrics| metrics.snapshot_failures);
        findings.extend(failed(failures.unwrap_or(0)).map(|it| it.of(server.id())));
    }
    match (known, findings.is_empty()) {
        (0, _) => diagnosis.unchecked.push(
            "logs and snapshots, because no server tells of them and no data directory is here"
                .into(),
        ),
        (_, true) => {
            let text = format!("{} each log is within its bound", age(facts));
            diagnosis.findings.push(Finding::ok(NAME, text.trim_start()));
        }
        (_, false) => diagnosis.findings.extend(findings),
    }
}

/// The sizes of log and snapshots in bytes: those of the files here, or those of the report.
fn sizes(server: &ServerFacts) -> Option<(u64, u64)> {
    if let Some(local) = &server.local {
        return Some((local.log_bytes, local.snapshot_bytes));
    }
    let reported = |name| server.reported(name).map(|bytes| bytes as u64);
    reported("log_bytes").zip(reported("snapshot_bytes"))
}

/// A clause on the entries since the oldest of the newest snapshots.
fn age(facts: &Facts) -> String {
    let statuses = facts.servers.iter().filter_map(|server| server.heard.status.as_ref().ok());
    let since = statuses.filter_map(|status| {
        Some(status.number("last_applied")?.saturating_sub(status.number("snapshot_index")?))
    });
    since.max().map_or(String::new(), |entries| {
        format!("at most {} entries since a server's newest snapshot;", grouped(entries))
    })
}

/// The finding about a log above the bound that docs/operations.md gives.
fn log(facts: &Facts, log_bytes: u64, snapshot_bytes: u64) -> Option<Finding> {
    let bound = log_bytes_max(facts, snapshot_bytes);
    let text = format!("its log has {}, more than {}", bytes(log_bytes), bytes(bound));
    let advice = "look at its log for snapshots that fail, and at `coracle member list` for a \
                  server that is behind";
    (log_bytes > bound).then(|| Finding::warn(NAME, text, advice))
}

/// Maximum size of the log in bytes, apart from the entries that `keep_entries` keeps.
pub fn log_bytes_max(facts: &Facts, snapshot_bytes: u64) -> u64 {
    let settings = facts.settings();
    let step = settings.snapshot.bytes_max.max(snapshot_bytes);
    step.saturating_mul(5).saturating_add(settings.log.segment_bytes.saturating_mul(8))
}

/// The finding about snapshots that could not be saved.
fn failed(failures: u64) -> Option<Finding> {
    let text = format!("{failures} could not be saved since it started");
    let advice = "make room on its disk; its log names the file and the reason";
    (failures > 0).then(|| Finding::warn(NAME, text, advice))
}

#[cfg(test)]
mod tests;
