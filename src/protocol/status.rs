//! The reply to `status`: the state of a server, and its lines of text.

use super::text::{Sink, printable, put_line};
use crate::types::{ClusterId, Format, FormatRange, Incarnation};

/// The state of a server at one point in time.
// More than fifteen fields: one for each line of the reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusReport {
    /// The server.
    pub id: u64,
    /// The server's role, in the words of docs/protocol.md.
    pub role: String,
    /// The server's term.
    pub term: u64,
    /// The leader of that term, when the server knows one.
    pub leader: Option<u64>,
    /// The newest entry that the server knows to be committed.
    pub commit_index: u64,
    /// The newest entry that the server's store has applied.
    pub last_applied: u64,
    /// The end of the server's log.
    pub last_log_index: u64,
    /// The last entry in the server's newest snapshot; 0 for none.
    pub snapshot_index: u64,
    /// Keys that have not expired.
    pub keys: u64,
    /// Seconds since the process started.
    pub uptime_seconds: u64,
    /// The server's wall clock, in milliseconds since the Unix epoch. Nothing depends on it:
    /// it shows people a clock that is wrong.
    pub wall_clock_ms: u64,
    /// The store's clock: the elapsed time of the cluster in milliseconds, as of the last
    /// entry that was applied.
    pub store_clock_ms: u64,
    /// The size of the store in bytes.
    pub store_bytes: u64,
    /// The number of clients that the store remembers for their retries (`once`).
    pub once_clients: u64,
    /// The digest of the store: equal at equal `last_applied`, on every server. It is
    /// printed in hexadecimal.
    pub store_digest: u64,
    /// The part of `[limits] memory_bytes` that the clients use, in bytes.
    pub memory_bytes_used: u64,
    /// The servers that are being sent a snapshot: each with the bytes of it that it has,
    /// and the size of the snapshot in bytes.
    pub snapshot_transfers: Vec<(u64, u64, u64)>,
    /// The servers that refused the snapshot which they were sent last: each with its reason,
    /// in the words of docs/protocol.md.
    pub snapshot_refusals: Vec<(u64, String)>,
    /// The version of the server's program.
    pub version: String,
    /// The format of the cluster that is in force.
    pub format: Format,
    /// The formats that the server reads.
    pub reads_formats: FormatRange,
    /// The id of the cluster, when the server knows one.
    pub cluster_id: Option<ClusterId>,
    /// The id of the server's data directory.
    pub incarnation: Incarnation,
    /// True when a person has asked this server to hold the format where it is.
    pub is_upgrade_held: bool,
    /// As the leader: a clause that says what the next raise of the format waits for.
    pub upgrade_waits_for: Option<String>,
    /// The log entry that removed this server from the cluster, if it knows of one.
    pub removed_at: Option<u64>,
    /// True while this server is drained.
    pub is_draining: bool,
    /// The store's revision.
    pub revision: u64,
    /// The oldest revision that can be read.
    pub compacted_revision: u64,
    /// The number of changes that the store keeps.
    pub history_changes: u64,
    /// Their size in bytes.
    pub history_bytes: u64,
    /// The number of leases.
    pub leases: u64,
}

impl StatusReport {
    /// The lines of the report, in the order in which servers print them.
    pub fn into_lines(self) -> Status {
        let leader = self.leader.map_or("none".to_owned(), |id| id.to_string());
        let transfers = self.snapshot_transfers.iter();
        let transfers = transfers.map(|(id, acked, bytes)| format!("{id}:{acked}/{bytes}"));
        let refusals = self.snapshot_refusals.iter();
        let refusals = refusals.map(|(id, reason)| format!("{id}:{reason}"));
        let waits_for = self.upgrade_waits_for.filter(|clause| !clause.is_empty());
        let lines = [
            ("id", self.id.to_string()),
            ("role", self.role),
            ("term", self.term.to_string()),
            ("leader", leader),
            ("commit_index", self.commit_index.to_string()),
            ("last_applied", self.last_applied.to_string()),
            ("last_log_index", self.last_log_index.to_string()),
            ("snapshot_index", self.snapshot_index.to_string()),
            ("keys", self.keys.to_string()),
            ("uptime_seconds", self.uptime_seconds.to_string()),
            ("wall_clock_ms", self.wall_clock_ms.to_string()),
            ("store_clock_ms", self.store_clock_ms.to_string()),
            ("store_bytes", self.store_bytes.to_string()),
            ("once_clients", self.once_clients.to_string()),
            ("store_digest", format!("{:016x}", self.store_digest)),
            ("memory_bytes_used", self.memory_bytes_used.to_string()),
            ("snapshot_transfers", join(transfers)),
            ("snapshot_refusals", join(refusals)),
            ("version", printable(&self.version)),
            ("format", self.format.to_string()),
            ("reads_formats", self.reads_formats.to_string()),
            ("cluster_id", self.cluster_id.map_or("none".to_owned(), |id| id.to_string())),
            ("incarnation", self.incarnation.to_string()),
            ("upgrade_held", if self.is_upgrade_held { "yes" } else { "no" }.to_owned()),
            ("upgrade_waits_for", waits_for.map_or("none".to_owned(), |it| printable(&it))),
            ("removed_at", self.removed_at.map_or("none".to_owned(), |index| index.to_string())),
            ("draining", if self.is_draining { "yes" } else { "no" }.to_owned()),
            ("revision", self.revision.to_string()),
            ("compacted_revision", self.compacted_revision.to_string()),
            ("history_changes", self.history_changes.to_string()),
            ("history_bytes", self.history_bytes.to_string()),
            ("leases", self.leases.to_string()),
        ];
        Status { lines: lines.map(|(name, value)| (name.to_owned(), value)).into() }
    }
}

/// The items with commas between them, or `none`.
fn join(items: impl Iterator<Item = String>) -> String {
    let items: Vec<String> = items.collect();
    if items.is_empty() { "none".to_owned() } else { items.join(",") }
}

/// The lines of a `status` reply: names and values, as the server sends them. A client also
/// keeps those that it does not know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    lines: Vec<(String, String)>,
}

impl Status {
    /// The value of this name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.lines.iter().find(|line| line.0 == name).map(|line| line.1.as_str())
    }

    /// The value of this name, if it is a number.
    pub fn number(&self, name: &str) -> Option<u64> {
        self.get(name)?.parse().ok()
    }

    /// All names and values, in the server's order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.lines.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Maximum number of lines that a client takes.
    const LINES_MAX: usize = 1_000;

    /// True when there is no line.
    pub(super) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Adds a line of a reply, without its line end. False when it is no line of a
    /// status, or one too many.
    pub(super) fn push(&mut self, line: &[u8]) -> bool {
        let text = String::from_utf8_lossy(line);
        let Some((name, value)) = text.split_once(' ') else { return false };
        if self.lines.len() == Status::LINES_MAX {
            return false;
        }
        self.lines.push((name.to_owned(), value.to_owned()));
        true
    }

    /// Prints all lines and the last one, `END`.
    pub(super) fn print(&self, sink: &mut impl Sink) {
        for (name, value) in &self.lines {
            put_line(sink, format_args!("{name} {value}"));
        }
        sink.put_slice(b"END\r\n");
    }
}

#[cfg(test)]
mod tests;
