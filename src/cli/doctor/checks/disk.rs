//! The disks: their room, and how fast they sync.

use super::super::super::text::{bytes, millis};
use super::super::facts::{Disk, Facts, Fsync, Local, ServerFacts};
use super::super::finding::{Diagnosis, Finding};
use super::snapshots::log_bytes_max;

/// The time of the 99th of 100 syncs in milliseconds, above which writes are slow.
const SYNC_MS: f64 = 10.0;
/// The same, above which they are not to be borne.
const SYNC_MS_MAX: f64 = 100.0;

/// The room that a server needs and has, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Room {
    free: u64,
    /// The size of the disk.
    all: u64,
    /// The size of its log and its snapshots.
    used: u64,
    /// The size of its newest snapshot, or of the next one.
    snapshot: u64,
    /// Number of servers whose files are on this disk.
    sharers: u64,
}

/// Checks the disk of each server.
pub fn check(facts: &Facts, diagnosis: &mut Diagnosis) {
    for server in &facts.servers {
        let id = server.id();
        match room(facts, server) {
            Some(room) => diagnosis.findings.push(space(facts, room).of(id)),
            None => diagnosis.unchecked.push(format!(
                "the disk of server {id}, which is not here and of which no report tells"
            )),
        }
        diagnosis.findings.extend(syncs(server).map(|finding| finding.of(id)));
    }
}

fn room(facts: &Facts, server: &ServerFacts) -> Option<Room> {
    let reported = |name| server.reported(name).map(|bytes| bytes as u64);
    let store = reported("store_bytes");
    let store = store.or_else(|| server.heard.status.as_ref().ok()?.number("store_bytes"));
    let snapshot = store.unwrap_or(0);
    if let Some(Local { disk: Some(disk), log_bytes, snapshot_bytes, .. }) = &server.local {
        return Some(Room {
            free: disk.free_bytes,
            all: disk.bytes,
            used: log_bytes + snapshot_bytes,
            // At least two snapshots are kept once there are two.
            snapshot: snapshot.max(snapshot_bytes / 2),
            sharers: sharers(facts, disk),
        });
    }
    let snapshots = reported("snapshot_bytes")?;
    Some(Room {
        free: reported("disk_free_bytes")?,
        all: reported("disk_bytes")?,
        used: reported("log_bytes")? + snapshots,
        snapshot: snapshot.max(snapshots / 2),
        sharers: 1,
    })
}

/// Number of servers here whose files are on a disk.
fn sharers(facts: &Facts, disk: &Disk) -> u64 {
    let disks = facts.locals().filter_map(|(_, local)| local.disk);
    disks.filter(|other| other.device == disk.device).count() as u64
}

/// The finding about the room for the next snapshot, and for the most that may come.
fn space(facts: &Facts, room: Room) -> Finding {
    const NAME: &str = "disk space";
    let Room { free, all, used, snapshot, sharers } = room;
    let least = snapshot.saturating_add(2 * facts.settings().log.segment_bytes) * sharers;
    let most = log_bytes_max(facts, snapshot).saturating_add(snapshot.saturating_mul(4));
    let most = most.saturating_sub(used).saturating_mul(sharers);
    let shared = match sharers {
        1 => String::new(),
        sharers => format!(" for {sharers} servers"),
    };
    let text = format!("{} of {} are free{shared}", bytes(free), bytes(all));
    if free < least {
        let text = format!("{text}: less than {}, what the next snapshot needs", bytes(least));
        let advice = "remove what is not Coracle's, or enlarge the disk; remove nothing inside a \
                      data directory";
        return Finding::fail(NAME, text, advice);
    }
    if free < most {
        let text =
            format!("{text}: less than {}, by which log and snapshots may grow", bytes(most));
        let advice = "enlarge the disk, or lower [snapshot] bytes_max";
        return Finding::warn(NAME, text, advice);
    }
    if free < all / 10 {
        let text = format!("{text}: less than a tenth");
        return Finding::warn(NAME, text, "remove what is not Coracle's, or enlarge the disk");
    }
    Finding::ok(NAME, format!("{text}; log and snapshots may grow by {}", bytes(most)))
}

/// The finding about the syncs of a disk: those that were measured here, or those that the server
/// reports of its last second.
fn syncs(server: &ServerFacts) -> Option<Finding> {
    match &server.local {
        Some(Local { fsync: Ok(Fsync { count, p50_ms, p99_ms }), data_dir, .. }) => {
            let text = format!(
                "{count} syncs of 4 KiB at {}: p50 {}, p99 {}",
                data_dir.display(),
                millis(*p50_ms),
                millis(*p99_ms)
            );
            Some(speed(text, *p99_ms))
        }
        Some(Local { fsync: Err(reason), .. }) => {
            let text = format!("it could not be measured: {reason}");
            let advice = "run this as the user that the server runs as; a disk that does not \
                          answer is to be replaced";
            Some(Finding::warn(SYNC_NAME, text, advice))
        }
        None => {
            let p99_ms = server.reported("fsync_p99_ms")?;
            Some(speed(format!("p99 {} in the last second", millis(p99_ms)), p99_ms))
        }
    }
}

const SYNC_NAME: &str = "disk sync";

fn speed(text: String, p99_ms: f64) -> Finding {
    let advice = "give the log a disk that nobody else writes to, or a faster one";
    if p99_ms > SYNC_MS_MAX {
        return Finding::fail(
            SYNC_NAME,
            format!("{text}; more than {}", millis(SYNC_MS_MAX)),
            advice,
        );
    }
    if p99_ms > SYNC_MS {
        return Finding::warn(SYNC_NAME, format!("{text}; more than {}", millis(SYNC_MS)), advice);
    }
    Finding::ok(SYNC_NAME, text)
}

#[cfg(test)]
mod tests;
