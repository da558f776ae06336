//! The table `[limits]`: the bounds on queues, buffers, lines and tables.

use super::error::ConfigError;
use super::section::{BYTES, COUNT, MS, Section};
use super::source::Source;
use crate::types::ENTRY_OVERHEAD_BYTES;

/// Maximum length of a client's name in `once`, in bytes (docs/protocol.md).
const CLIENT_NAME_BYTES_MAX: usize = 64;
/// Maximum size of a frame without its entries in bytes, rounded up generously.
pub(super) const FRAME_OVERHEAD_BYTES: u64 = 64 * 1024;
/// Maximum size of the chunks of a snapshot that are in flight to a peer or from it, in bytes.
const SNAPSHOT_INSTALL_BYTES: u64 = 2 * 1024 * 1024;
/// Memory that one client may cause besides its window, in bytes: 4 MiB for the result of a
/// scan and the cost of its items, 1 MiB of unsent replies, buffers.
const CLIENT_OVERHEAD_BYTES: u64 = 6 * 1024 * 1024;
/// Maximum length of a command line without its keys, in bytes: words, numbers and a
/// client's name.
const LINE_OVERHEAD_BYTES: usize = 256;
/// Maximum length of a value that the protocol can carry, in bytes (docs/protocol.md).
const VALUE_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Maximum of `append_bytes_max`: a frame of any server holds that much.
const APPEND_BYTES_MAX: u64 = VALUE_BYTES_MAX;

/// `[limits]`: the bounds on queues, buffers, lines and tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// `request_timeout_ms`: milliseconds after which every command has been answered.
    pub request_timeout_ms: u64,
    /// `connections_max`: maximum number of clients at a time; the next one gets `ERR_BUSY`.
    /// The server admits fewer when the limit on open files is too low for that number.
    pub connections_max: usize,
    /// `line_bytes_max`: maximum length of a command line in bytes, without its line end.
    pub line_bytes_max: usize,
    /// `key_bytes_max`: maximum length of a key in bytes.
    pub key_bytes_max: usize,
    /// `value_bytes_max`: maximum length of a value in bytes.
    pub value_bytes_max: usize,
    /// `memory_bytes`: maximum size of pending proposals, replication windows, session
    /// buffers and caches together, in bytes. It is the sum of [`Limits::replication_bytes`]
    /// and [`Limits::client_bytes`].
    pub memory_bytes: u64,
    /// `store_bytes_max`: maximum size of the data in bytes; 0 means no limit.
    pub store_bytes_max: u64,
    /// `inflight_commands_max`: maximum number of unanswered commands of one connection. At
    /// the limit the server stops reading from the connection for a while.
    pub inflight_commands_max: usize,
    /// `inflight_bytes_max`: maximum size of these commands and of their unsent replies, in
    /// bytes.
    pub inflight_bytes_max: usize,
    /// `write_stall_ms_max`: milliseconds without reading a reply after which a client is
    /// disconnected.
    pub write_stall_ms_max: u64,
    /// `proposals_pending_max`: maximum number of writes that wait on the leader for their
    /// commit; the next one gets `ERR_BUSY`.
    pub proposals_pending_max: usize,
    /// The bounds on one AppendEntries.
    pub append: AppendLimits,
    /// `peer_inflight_entries_max`: maximum number of entries sent to a peer and not yet
    /// acknowledged.
    pub peer_inflight_entries_max: usize,
    /// `peer_inflight_bytes_max`: maximum weight of these entries in bytes.
    pub peer_inflight_bytes_max: u64,
    /// The bounds on transactions, leases and watches, whose keys stand in the same table.
    pub model: ModelLimits,
}

/// The keys of `[limits]` for one AppendEntries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AppendLimits {
    /// `append_entries_max`: maximum number of entries in one AppendEntries.
    pub entries_max: usize,
    /// `append_bytes_max`: maximum weight of these entries in bytes; a single entry may weigh
    /// more.
    pub bytes_max: u64,
}

/// The keys of `[limits]` for transactions, leases and watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModelLimits {
    /// `transaction_ops_max`: maximum number of compares of a transaction, and of operations of
    /// each of its branches.
    pub transaction_ops_max: usize,
    /// `transaction_bytes_max`: maximum size of a transaction in bytes.
    pub transaction_bytes_max: usize,
    /// `leases_max`: maximum number of leases.
    pub leases_max: u64,
    /// `watches_max`: maximum number of watches on one server.
    pub watches_max: usize,
}

/// Maximum of `transaction_ops_max`: a bound of the format.
const TRANSACTION_OPS_MAX: u64 = 4096;
/// The default of `transaction_bytes_max`, in bytes: 1.5 MiB, as etcd has it for a request.
const TRANSACTION_BYTES_MAX: u64 = 3 << 19;

impl Limits {
    /// The weight in bytes of the largest entry that a command can make.
    pub fn entry_bytes_max(&self) -> u64 {
        let write_bytes = self.value_bytes_max + self.key_bytes_max;
        (write_bytes.max(self.model.transaction_bytes_max) + CLIENT_NAME_BYTES_MAX) as u64
            + ENTRY_OVERHEAD_BYTES
    }

    /// Maximum size in bytes of a frame that these settings make: a full AppendEntries, or one
    /// with a single large entry, and the overhead of a frame. Budgets count with it. A frame
    /// may be larger all the same, up to `wire::FRAME_BYTES_MAX`: its entries may be from
    /// before the settings were changed, or from a server with other settings.
    pub fn own_frame_bytes_max(&self) -> u64 {
        self.append.bytes_max.max(self.entry_bytes_max()) + FRAME_OVERHEAD_BYTES
    }

    /// The part of `memory_bytes` that is reserved for replication in a cluster of `servers`
    /// servers (docs/adr/0010). For each peer it holds a window of entries read from the log,
    /// a window and two frames on the peer's connection, a frame from the peer, and the
    /// chunks of a snapshot. For all peers together it holds the newest entries, which they
    /// share, and the entries of a leader's window that a follower writes and applies.
    pub fn replication_bytes(&self, servers: usize) -> u64 {
        let window_bytes = self.peer_inflight_bytes_max;
        let peer_bytes = 2 * window_bytes + 3 * self.own_frame_bytes_max() + SNAPSHOT_INSTALL_BYTES;
        match servers as u64 {
            1 => 0,
            servers => (servers - 1) * peer_bytes + 3 * window_bytes,
        }
    }

    /// The part of `memory_bytes` that clients may use.
    pub fn client_bytes(&self, servers: usize) -> u64 {
        self.memory_bytes.saturating_sub(self.replication_bytes(servers))
    }

    /// The least value of [`Limits::client_bytes`]. A single client gets half of the free
    /// memory. So half must cover its window and one more command: the command that arrives,
    /// the commands that wait, the result of a scan and unsent replies.
    pub fn client_bytes_min(&self) -> u64 {
        let write_bytes = self.value_bytes_max + self.line_bytes_max;
        let command_bytes = write_bytes.max(self.model.transaction_bytes_max) as u64;
        2 * (self.inflight_bytes_max as u64 + 2 * command_bytes + CLIENT_OVERHEAD_BYTES)
    }
}

/// Reads the table. `segment_bytes` is the size of a log file that servers.toml gives.
pub(super) fn read(
    mut section: Section<'_>,
    segment_bytes: Option<u64>,
) -> Result<Limits, ConfigError> {
    let inflight_bytes_max = section.number("inflight_bytes_max", 4 << 20, 1..=1 << 30)?;
    let peer_inflight_bytes_max =
        section.number("peer_inflight_bytes_max", 8 << 20, 1..=1 << 32)?;
    let segment_bytes = segment_bytes.map(|bytes| bytes.saturating_sub(FRAME_OVERHEAD_BYTES));
    let windows = [Some(inflight_bytes_max), Some(peer_inflight_bytes_max), segment_bytes];
    let window_bytes = windows.into_iter().flatten().min().unwrap_or(u64::MAX);
    let limits = Limits {
        request_timeout_ms: section.number("request_timeout_ms", 5_000, 10..=600_000)?,
        connections_max: section.number("connections_max", 10_000, COUNT)? as usize,
        line_bytes_max: section.number("line_bytes_max", 1_024, 1..=1 << 20)? as usize,
        key_bytes_max: section.number("key_bytes_max", 250, 1..=1 << 16)? as usize,
        value_bytes_max: section.number("value_bytes_max", 1 << 20, 1..=VALUE_BYTES_MAX)? as usize,
        memory_bytes: section.number("memory_bytes", 256 << 20, BYTES)?,
        store_bytes_max: section.number("store_bytes_max", 0, 0..=1 << 50)?,
        inflight_commands_max: section.number("inflight_commands_max", 1_024, COUNT)? as usize,
        inflight_bytes_max: inflight_bytes_max as usize,
        write_stall_ms_max: section.number("write_stall_ms_max", 30_000, MS)?,
        proposals_pending_max: section.number("proposals_pending_max", 65_536, COUNT)? as usize,
        append: AppendLimits {
            entries_max: section.number("append_entries_max", 1_024, COUNT)? as usize,
            bytes_max: section.number("append_bytes_max", 1 << 20, 1..=APPEND_BYTES_MAX)?,
        },
        peer_inflight_entries_max: section.number("peer_inflight_entries_max", 16_384, COUNT)?
            as usize,
        peer_inflight_bytes_max,
        model: read_model(&mut section, window_bytes)?,
    };
    check_fit(&section, &limits)?;
    section.end();
    Ok(limits)
}

/// Returns an error when values of the table do not fit together.
fn check_fit(section: &Section<'_>, limits: &Limits) -> Result<(), ConfigError> {
    let line_bytes_least = 2 * limits.key_bytes_max + LINE_OVERHEAD_BYTES;
    at_least(section, "line_bytes_max", limits.line_bytes_max as u64, line_bytes_least as u64, {
        "so that a scan after the longest key fits: raise it or lower key_bytes_max"
    })?;
    at_least(
        section,
        "inflight_bytes_max",
        limits.inflight_bytes_max as u64,
        (limits.value_bytes_max + limits.line_bytes_max) as u64,
        "so that the largest command fits: raise it or lower value_bytes_max",
    )?;
    at_least(
        section,
        "inflight_bytes_max",
        limits.inflight_bytes_max as u64,
        limits.model.transaction_bytes_max as u64,
        "so that the largest transaction fits: raise it or lower transaction_bytes_max",
    )?;
    at_least(
        section,
        "proposals_pending_max",
        limits.proposals_pending_max as u64,
        limits.inflight_commands_max as u64,
        "so that one connection's own pipelining is never ERR_BUSY: raise it or lower \
         inflight_commands_max",
    )?;
    at_least(
        section,
        "peer_inflight_entries_max",
        limits.peer_inflight_entries_max as u64,
        limits.append.entries_max as u64,
        "so that a full AppendEntries fits: raise it or lower append_entries_max",
    )?;
    at_least(
        section,
        "peer_inflight_bytes_max",
        limits.peer_inflight_bytes_max,
        limits.append.bytes_max.max(limits.entry_bytes_max()),
        "so that a full AppendEntries fits: raise it or lower append_bytes_max, \
         value_bytes_max and transaction_bytes_max",
    )
}

/// Reads the keys for transactions, leases and watches. `window_bytes` is the smallest of the
/// windows that a command goes through, and of the log files that hold it.
fn read_model(section: &mut Section<'_>, window_bytes: u64) -> Result<ModelLimits, ConfigError> {
    // A file from before there were transactions must stay right: without the key, a transaction
    // may be as large as the windows of the file allow.
    let framing_bytes = CLIENT_NAME_BYTES_MAX as u64 + ENTRY_OVERHEAD_BYTES;
    let window_bytes = window_bytes.saturating_sub(framing_bytes).max(1);
    let bytes_max = TRANSACTION_BYTES_MAX.min(window_bytes);
    Ok(ModelLimits {
        transaction_ops_max: section.number("transaction_ops_max", 128, 1..=TRANSACTION_OPS_MAX)?
            as usize,
        transaction_bytes_max: section.number(
            "transaction_bytes_max",
            bytes_max,
            1..=VALUE_BYTES_MAX,
        )? as usize,
        leases_max: section.number("leases_max", 1_000_000, 1..=1 << 32)?,
        watches_max: section.number("watches_max", 100_000, COUNT)? as usize,
    })
}

/// Returns an error when `memory_bytes` is too small. The memory for replication is never
/// lent to clients, and a single client must have its window in the rest.
pub(super) fn check_memory(
    source: &Source,
    limits: &Limits,
    servers: usize,
) -> Result<(), ConfigError> {
    let (replication_bytes, client_bytes) =
        (limits.replication_bytes(servers), limits.client_bytes_min());
    let least = replication_bytes + client_bytes;
    if limits.memory_bytes >= least {
        return Ok(());
    }
    Err(ConfigError::Conflict {
        place: source.place("[limits]", "memory_bytes"),
        value: limits.memory_bytes.to_string(),
        bound: format!(
            "at least {least}: {replication_bytes} for the windows between {servers} servers and \
             {client_bytes} for clients: raise it or lower peer_inflight_bytes_max, \
             append_bytes_max, value_bytes_max, transaction_bytes_max and inflight_bytes_max"
        ),
    })
}

/// Returns an error when the value of `key` is below `least`; `why` completes the sentence.
fn at_least(
    section: &Section<'_>,
    key: &str,
    value: u64,
    least: u64,
    why: &str,
) -> Result<(), ConfigError> {
    if value >= least {
        return Ok(());
    }
    Err(ConfigError::Conflict {
        place: section.place(key),
        value: value.to_string(),
        bound: format!("at least {least}, {why}"),
    })
}
