//! The reasons why a member is behind, as far as they were measured: of the network by the leader,
//! and of the disk and the store by the member itself.

use std::time::Duration;

use serde_json::{Value, json};

use crate::metrics::PeerMetrics;

/// The age of the oldest missing entry from which on a member is behind, in milliseconds. A
/// follower in step lacks entries that are on their way.
const BEHIND_MS_MIN: u64 = 1_000;

/// The time for which a disk, or the store, has finished nothing, from which on it is a cause, in
/// milliseconds. A sync of half a second happens on healthy disks.
const SILENT_MS_MIN: u64 = 1_000;

/// The time of one sync of a hundred from which on the disk is a cause, in milliseconds, as in the
/// alert CoracleFsyncSlow.
const SYNC_MS_MIN: f64 = 100.0;

/// The round trip from which on the network is a cause.
const ROUND_TRIP_MIN: Duration = Duration::from_millis(100);

/// The bytes that wait for the line from which on it is a cause.
const UNSENT_BYTES_MIN: u64 = 64 * 1024;

/// A cause, by its word in docs/console-interface.md, and a sentence about it.
pub(super) type Cause = (&'static str, String);

/// True when a member whose oldest missing entry is that old is behind.
pub(super) fn is_behind(behind_ms: Option<u64>) -> bool {
    behind_ms.is_some_and(|behind_ms| behind_ms >= BEHIND_MS_MIN)
}

/// The leader's part: the line to a member that is behind.
pub(super) fn of_network(peer: &PeerMetrics) -> Option<Cause> {
    let (round_trip, unsent_bytes) = (peer.round_trip(), peer.unsent_bytes());
    let is_slow = round_trip >= ROUND_TRIP_MIN || unsent_bytes >= UNSENT_BYTES_MIN;
    is_slow.then(|| {
        let text = format!(
            "A round trip to it takes {} ms, and {unsent_bytes} bytes wait to be sent to it.",
            round_trip.as_millis()
        );
        ("network", text)
    })
}

/// The member's own part, from its report.
pub(super) fn of_report(report: &Value) -> Option<Cause> {
    let silent_ms = report["disk_silent_ms"].as_u64().filter(|ms| *ms >= SILENT_MS_MIN);
    if let Some(silent_ms) = silent_ms {
        let text = format!("Its disk has finished nothing for {silent_ms} ms.");
        return Some(("disk", text));
    }
    let apply_wait_ms = report["apply_wait_ms"].as_u64().filter(|ms| *ms >= SILENT_MS_MIN);
    if let Some(apply_wait_ms) = apply_wait_ms {
        let text = format!("Its store has owed a committed entry for {apply_wait_ms} ms.");
        return Some(("apply", text));
    }
    None
}

/// The member's own part, if it is known to be behind: its syncs are slow all the time.
fn of_slow_syncs(report: &Value) -> Option<Cause> {
    let sync_ms = report["fsync_p99_ms"].as_f64().filter(|ms| *ms >= SYNC_MS_MIN)?;
    Some(("disk", format!("One sync of its log of a hundred takes {sync_ms:.0} ms.")))
}

/// Completes the cause of a member as the leader knows it by the member's own report. A cause that
/// explains everything by itself stays.
pub(super) fn complete(member: &mut Value, report: &Value) {
    let is_explained =
        matches!(member["cause"].as_str(), Some("unseen" | "snapshot" | "rejoining" | "draining"));
    if is_explained {
        return;
    }
    let is_behind = is_behind(member["behind_ms"].as_u64()) || member["cause"] == "catching";
    let slow_syncs = || of_slow_syncs(report).filter(|_| is_behind);
    if let Some((cause, text)) = of_report(report).or_else(slow_syncs) {
        member["cause"] = json!(cause);
        member["cause_text"] = json!(text);
    }
}

#[cfg(test)]
mod tests;
