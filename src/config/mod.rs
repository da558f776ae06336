//! servers.toml: read, checked and typed.
//!
//! All that can be set is here, with its unit, its bounds and its default, and
//! nothing is taken on trust: whoever holds [`Settings`] holds numbers that go
//! together. Each error is one sentence that names the file, the key, the value
//! and the bound, and says what to do.
//!
//! A relative `data_dir` is relative to the directory of servers.toml, not to
//! the current one: a server that is started from somewhere else must find its
//! log, not an empty directory, and forget its votes. `--data-dir`, typed into a
//! shell, is relative to that shell's directory.

mod error;
mod section;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use error::{ConfigError, Place};
use section::{Section, in_range};
use toml::Table;

use crate::types::{ENTRY_OVERHEAD_BYTES, NodeId};

/// Everything that servers.toml and the flags say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The file, for messages.
    pub path: PathBuf,
    /// The cluster's name: servers of different clusters refuse each other.
    pub cluster: String,
    /// The servers, at least one, of ids above 0 and listeners that do not clash.
    pub servers: BTreeMap<NodeId, Server>,
    /// `[raft]`.
    pub raft: RaftSettings,
    /// `[log]`.
    pub log: LogSettings,
    /// `[snapshot]`.
    pub snapshot: SnapshotSettings,
    /// `[limits]`.
    pub limits: Limits,
    /// `[session]`.
    pub session: SessionSettings,
}

/// One `[[servers]]` table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// `id`: never given to another server, even when this one is gone.
    pub id: NodeId,
    /// `hostname`: a name or an address, at which it listens and is dialled.
    pub hostname: String,
    /// `client_port`: for clients.
    pub client_port: u16,
    /// `log_port`: for the other servers.
    pub log_port: u16,
    /// Where it keeps its files: `<data_dir>/<id>`.
    pub data_dir: PathBuf,
}

impl Server {
    /// Where clients find it, as `ERR_REDIRECT` writes it.
    pub fn client_address(&self) -> String {
        if self.hostname.contains(':') {
            format!("[{}]:{}", self.hostname, self.client_port)
        } else {
            format!("{}:{}", self.hostname, self.client_port)
        }
    }
}

/// `[raft]`: the clockwork of elections (paper §5.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RaftSettings {
    /// `tick_ms`: how often time is looked at; at most a heartbeat interval.
    pub tick_ms: u64,
    /// `election_timeout_ms[0]`: a follower waits at least so long for its leader.
    pub election_timeout_ms_min: u64,
    /// `election_timeout_ms[1]`: and less than this; the choice between is random.
    pub election_timeout_ms_max: u64,
    /// `heartbeat_interval_ms`: at most a third of the least election timeout,
    /// so that one lost heartbeat elects nobody.
    pub heartbeat_interval_ms: u64,
    /// `batched_peer_delay_ms`: between two requests to a server that the quorum does not
    /// need; 0: all are sent everything at once (docs/adr/0014).
    pub batched_peer_delay_ms: u64,
    /// `leader_lease`: a leader answers reads without asking the others, for as long as
    /// these have promised to elect nobody (docs/adr/0012). The same on all servers.
    pub leader_lease: bool,
}

impl RaftSettings {
    /// With leader leases: for how long a server elects nobody after it heard its
    /// leader.
    pub fn promise(&self) -> Option<Duration> {
        self.leader_lease.then(|| Duration::from_millis(self.election_timeout_ms_min))
    }
}

/// `[log]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// `segment_bytes`: the size of a log file; by default 8 MiB, or what the largest
    /// entry needs.
    pub segment_bytes: u64,
    /// `keep_entries`: kept behind a snapshot for followers that are a little
    /// behind.
    pub keep_entries: u64,
}

/// `[snapshot]`: what causes the next one, and how fast one is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotSettings {
    /// `entries_max`: so many log entries since the last,
    pub entries_max: u64,
    /// `bytes_max`: or so many bytes of log; but no less log than the last one has bytes.
    pub bytes_max: u64,
    /// `bytes_per_second_max`: how fast one is sent to a peer; 0 for no limit.
    pub bytes_per_second_max: u64,
}

/// `[limits]`: the bounds on queues, buffers, lines and tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// `request_timeout_ms`: every command is answered by then.
    pub request_timeout_ms: u64,
    /// `connections_max`: clients at a time; the next gets `ERR_BUSY`. Fewer when
    /// the process may not have so many files open.
    pub connections_max: usize,
    /// `line_bytes_max`: a command line, without its line end.
    pub line_bytes_max: usize,
    /// `key_bytes_max`: a key.
    pub key_bytes_max: usize,
    /// `value_bytes_max`: a value.
    pub value_bytes_max: usize,
    /// `memory_bytes`: pending proposals, replication windows, session buffers
    /// and caches, together: [`Limits::replication_bytes`] and
    /// [`Limits::client_bytes`].
    pub memory_bytes: u64,
    /// `store_bytes_max`: the data; 0 for no limit.
    pub store_bytes_max: u64,
    /// `inflight_commands_max`: unanswered commands of one connection; then the
    /// server reads no more from it for a while.
    pub inflight_commands_max: usize,
    /// `inflight_bytes_max`: their bytes, and those of their unsent replies.
    pub inflight_bytes_max: usize,
    /// `write_stall_ms_max`: a client that takes none of its replies for so
    /// long is disconnected.
    pub write_stall_ms_max: u64,
    /// `proposals_pending_max`: writes that wait for their commit on the leader;
    /// the next gets `ERR_BUSY`.
    pub proposals_pending_max: usize,
    /// `append_entries_max`: entries in one AppendEntries.
    pub append_entries_max: usize,
    /// `append_bytes_max`: their weight, but never less than one entry.
    pub append_bytes_max: u64,
    /// `peer_inflight_entries_max`: entries sent to a peer and not acknowledged.
    pub peer_inflight_entries_max: usize,
    /// `peer_inflight_bytes_max`: their weight.
    pub peer_inflight_bytes_max: u64,
}

impl Limits {
    /// The weight of the largest entry that a command can make.
    pub fn entry_bytes_max(&self) -> u64 {
        (self.value_bytes_max + self.key_bytes_max + CLIENT_NAME_BYTES_MAX) as u64
            + ENTRY_OVERHEAD_BYTES
    }

    /// The largest frame between servers: a full AppendEntries, or one with a
    /// single large entry, and room for what frames it.
    pub fn frame_bytes_max(&self) -> u64 {
        self.append_bytes_max.max(self.entry_bytes_max()) + FRAME_OVERHEAD_BYTES
    }

    /// What of `memory_bytes` is kept free for replication in a cluster of so many
    /// servers (docs/adr/0010). For each peer: a window of entries read from the log,
    /// a window and two frames on its connection, a frame from it, and a snapshot's
    /// pieces. For all of them: the newest entries, of which all hold the same; and of
    /// a leader's window what a follower writes, and what it applies.
    pub fn replication_bytes(&self, servers: usize) -> u64 {
        let window_bytes = self.peer_inflight_bytes_max;
        let peer_bytes = 2 * window_bytes + 3 * self.frame_bytes_max() + SNAPSHOT_INSTALL_BYTES;
        match servers as u64 {
            1 => 0,
            servers => (servers - 1) * peer_bytes + 3 * window_bytes,
        }
    }

    /// The rest of it: what clients may take.
    pub fn client_bytes(&self, servers: usize) -> u64 {
        self.memory_bytes.saturating_sub(self.replication_bytes(servers))
    }

    /// The least that it must be. A client alone gets half of what is free, so that
    /// never less than its window and the command behind it may be half: what it
    /// sends, what waits, the result of a scan and unsent replies.
    pub fn client_bytes_min(&self) -> u64 {
        let command_bytes = (self.value_bytes_max + self.line_bytes_max) as u64;
        2 * (self.inflight_bytes_max as u64 + 2 * command_bytes + CLIENT_OVERHEAD_BYTES)
    }
}

/// `[session]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionSettings {
    /// `threads`: arbiters for client sessions; 0 for the main one.
    pub threads: usize,
}

/// The flags that override the file, each `None` when it is not given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// `--data-dir`.
    pub data_dir: Option<PathBuf>,
    /// `--heartbeat-interval-ms`.
    pub heartbeat_interval_ms: Option<u64>,
    /// `--election-timeout-ms-min`.
    pub election_timeout_ms_min: Option<u64>,
    /// `--election-timeout-ms-max`.
    pub election_timeout_ms_max: Option<u64>,
}

/// The longest client name of `once`, in bytes (docs/protocol.md).
const CLIENT_NAME_BYTES_MAX: usize = 64;
/// What a frame holds beside its entries, in bytes, with room to spare.
const FRAME_OVERHEAD_BYTES: u64 = 64 * 1024;
/// Compaction removes whole segments: of the first and the last one, half stays for nothing
/// on average (docs/adr/0008). A new one costs two syncs.
const SEGMENT_BYTES_DEFAULT: u64 = 8 << 20;
/// Pieces of a snapshot that are under way to a peer or from it, in bytes.
const SNAPSHOT_INSTALL_BYTES: u64 = 2 * 1024 * 1024;
/// What one client may make the server hold beside its window, in bytes: 4 MiB of a
/// scan's result and what its items cost, 1 MiB of unsent replies, buffers.
const CLIENT_OVERHEAD_BYTES: u64 = 6 * 1024 * 1024;
/// What the longest command line holds beside its keys, in bytes: words,
/// numbers and a client's name.
const LINE_OVERHEAD_BYTES: usize = 256;
/// The largest value that the protocol can carry, in bytes (docs/protocol.md).
const VALUE_BYTES_MAX: u64 = 64 * 1024 * 1024;

const MS: std::ops::RangeInclusive<u64> = 1..=600_000;
const COUNT: std::ops::RangeInclusive<u64> = 1..=1_000_000;
const BYTES: std::ops::RangeInclusive<u64> = 1..=1 << 40;
const PORT: std::ops::RangeInclusive<u64> = 1..=65_535;

impl Settings {
    /// Reads and checks the file at `path`; flags come first.
    ///
    /// # Errors
    /// When the file cannot be read, or says what cannot be: see [`ConfigError`].
    pub fn load(path: &Path, overrides: &Overrides) -> Result<Settings, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| ConfigError::Unreadable { path: path.into(), error })?;
        Settings::parse(path, &text, overrides)
    }

    /// The same, with the file's text; `path` serves messages and `data_dir`.
    ///
    /// # Errors
    /// When the text says what cannot be.
    pub fn parse(path: &Path, text: &str, overrides: &Overrides) -> Result<Settings, ConfigError> {
        let table = text.parse::<Table>().map_err(|error| {
            let offset = error.span().map_or(0, |span| span.start.min(text.len()));
            let line = text.as_bytes()[..offset].iter().filter(|byte| **byte == b'\n').count() + 1;
            let message = error.message().replace('\n', ", ");
            ConfigError::Syntax { path: path.into(), line, message }
        })?;
        let mut file = Section::new(path, "", table);
        let cluster = read_cluster(&mut file)?;
        let data_dir = read_data_dir(path, &mut file, overrides)?;
        let sections = file.tables("servers")?;
        let raft = read_raft(file.table("raft")?, overrides)?;
        let log = file.table("log")?;
        let snapshot = read_snapshot(file.table("snapshot")?)?;
        let limits = read_limits(file.table("limits")?)?;
        let log = read_log(log, &limits)?;
        let session = read_session(file.table("session")?)?;
        file.end()?;
        let servers = read_servers(path, sections, &data_dir)?;
        check_memory(path, &limits, servers.len())?;
        Ok(Settings { path: path.into(), cluster, servers, raft, log, snapshot, limits, session })
    }

    /// The server with this id.
    ///
    /// # Errors
    /// When there is none.
    pub fn server(&self, id: NodeId) -> Result<&Server, ConfigError> {
        self.servers.get(&id).ok_or_else(|| {
            let ids: Vec<String> = self.servers.keys().map(NodeId::to_string).collect();
            ConfigError::NoSuchServer { path: self.path.clone(), id: id.0, known: ids.join(", ") }
        })
    }

    /// The servers other than this one.
    pub fn peers(&self, id: NodeId) -> impl Iterator<Item = &Server> {
        self.servers.values().filter(move |server| server.id != id)
    }
}

fn read_cluster(file: &mut Section<'_>) -> Result<String, ConfigError> {
    let cluster = file.text("cluster")?.unwrap_or_else(|| "coracle".into());
    if cluster.is_empty() || cluster.len() > 64 || cluster.chars().any(char::is_control) {
        return Err(ConfigError::Conflict {
            place: file.place("cluster"),
            value: format!("{cluster:?}"),
            bound: "a name of 1 to 64 bytes without control characters".into(),
        });
    }
    Ok(cluster)
}

fn read_data_dir(
    path: &Path,
    file: &mut Section<'_>,
    overrides: &Overrides,
) -> Result<PathBuf, ConfigError> {
    let in_file = file.text("data_dir")?.unwrap_or_else(|| "data".into());
    let (data_dir, place) = match &overrides.data_dir {
        Some(data_dir) => (data_dir.clone(), Place::Flag("--data-dir")),
        None => {
            let beside = path.parent().unwrap_or(Path::new("")).join(&in_file);
            (if in_file.is_empty() { PathBuf::new() } else { beside }, file.place("data_dir"))
        }
    };
    if data_dir.as_os_str().is_empty() {
        return Err(ConfigError::Conflict {
            place,
            value: "empty".into(),
            bound: "a directory, such as \"data\"".into(),
        });
    }
    Ok(data_dir)
}

fn read_servers(
    path: &Path,
    sections: Vec<Section<'_>>,
    data_dir: &Path,
) -> Result<BTreeMap<NodeId, Server>, ConfigError> {
    let mut servers = BTreeMap::new();
    let mut listeners: BTreeMap<(String, u16), String> = BTreeMap::new();
    for mut section in sections {
        let id = section.required_number("id", 1..=i64::MAX as u64)?;
        let hostname = section.text("hostname")?.ok_or_else(|| ConfigError::Missing {
            place: section.place("hostname"),
            expected: "a name or an address, such as \"127.0.0.1\"".into(),
        })?;
        if hostname.is_empty() || hostname.contains(|c: char| !c.is_ascii_graphic()) {
            return Err(ConfigError::Conflict {
                place: section.place("hostname"),
                value: format!("{hostname:?}"),
                bound: "a name or an address, such as \"127.0.0.1\"".into(),
            });
        }
        let mut port = |key: &'static str| -> Result<u16, ConfigError> {
            let port =
                u16::try_from(section.required_number(key, PORT)?).expect("the range was checked");
            let owner = format!("the {key} of server {id}");
            let listener = (hostname.to_ascii_lowercase(), port);
            match listeners.insert(listener, owner.clone()) {
                None => Ok(port),
                Some(first) => Err(ConfigError::DuplicatePort {
                    path: path.into(),
                    hostname: hostname.clone(),
                    port,
                    first,
                    second: owner,
                }),
            }
        };
        let (client_port, log_port) = (port("client_port")?, port("log_port")?);
        section.end()?;
        let data_dir = data_dir.join(id.to_string());
        let id = NodeId(id);
        let server = Server { id, hostname, client_port, log_port, data_dir };
        if servers.insert(id, server).is_some() {
            return Err(ConfigError::DuplicateId { path: path.into(), id: id.0 });
        }
    }
    if servers.is_empty() {
        return Err(ConfigError::NoServers { path: path.into() });
    }
    Ok(servers)
}

fn read_raft(mut section: Section<'_>, overrides: &Overrides) -> Result<RaftSettings, ConfigError> {
    let tick_ms = section.number("tick_ms", 10, 1..=1_000)?;
    let [min, max] = section.pair("election_timeout_ms", [150, 300], MS)?;
    let heartbeat = section.number("heartbeat_interval_ms", 50, MS)?;
    let flag = |value: Option<u64>, flag, in_file: u64, key: &str| match value {
        Some(value) => {
            let place = Place::Flag(flag);
            in_range(i128::from(value), &MS, || place.clone()).map(|value| (value, place.clone()))
        }
        None => Ok((in_file, section.place(key))),
    };
    let (min, min_place) = flag(
        overrides.election_timeout_ms_min,
        "--election-timeout-ms-min",
        min,
        "election_timeout_ms",
    )?;
    let (max, max_place) = flag(
        overrides.election_timeout_ms_max,
        "--election-timeout-ms-max",
        max,
        "election_timeout_ms",
    )?;
    let (heartbeat, heartbeat_place) = flag(
        overrides.heartbeat_interval_ms,
        "--heartbeat-interval-ms",
        heartbeat,
        "heartbeat_interval_ms",
    )?;
    let batched_peer_delay_ms = section.number("batched_peer_delay_ms", 2, 0..=50)?;
    let leader_lease = section.flag("leader_lease", false)?;
    let tick_place = section.place("tick_ms");
    section.end()?;
    if min >= max {
        let place = if matches!(min_place, Place::Flag(_)) { min_place } else { max_place };
        return Err(ConfigError::Conflict {
            place,
            value: format!("[{min}, {max}]"),
            bound: "a smaller number, then a larger one: servers that all wait equally long \
                    split the vote"
                .into(),
        });
    }
    if heartbeat > min / 3 {
        return Err(ConfigError::Conflict {
            place: heartbeat_place,
            value: heartbeat.to_string(),
            bound: format!(
                "at most {}, a third of the least election timeout of {min} ms: lower it or \
                 raise election_timeout_ms",
                min / 3
            ),
        });
    }
    if tick_ms > heartbeat {
        return Err(ConfigError::Conflict {
            place: tick_place,
            value: tick_ms.to_string(),
            bound: format!("at most the heartbeat_interval_ms of {heartbeat}"),
        });
    }
    Ok(RaftSettings {
        tick_ms,
        election_timeout_ms_min: min,
        election_timeout_ms_max: max,
        heartbeat_interval_ms: heartbeat,
        batched_peer_delay_ms,
        leader_lease,
    })
}

fn read_log(mut section: Section<'_>, limits: &Limits) -> Result<LogSettings, ConfigError> {
    let least = limits.entry_bytes_max() + FRAME_OVERHEAD_BYTES;
    let segment_bytes = section.number("segment_bytes", SEGMENT_BYTES_DEFAULT.max(least), BYTES)?;
    let keep_entries = section.number("keep_entries", 10_000, 0..=1 << 40)?;
    if segment_bytes < least {
        return Err(ConfigError::Conflict {
            place: section.place("segment_bytes"),
            value: segment_bytes.to_string(),
            bound: format!(
                "at least {least}, so that the largest entry fits: raise it or lower [limits] \
                 value_bytes_max"
            ),
        });
    }
    section.end()?;
    Ok(LogSettings { segment_bytes, keep_entries })
}

fn read_snapshot(mut section: Section<'_>) -> Result<SnapshotSettings, ConfigError> {
    let entries_max = section.number("entries_max", 100_000, 1..=1 << 40)?;
    let bytes_max = section.number("bytes_max", 256 << 20, BYTES)?;
    let bytes_per_second_max = section.number("bytes_per_second_max", 0, 0..=1 << 40)?;
    section.end()?;
    Ok(SnapshotSettings { entries_max, bytes_max, bytes_per_second_max })
}

fn read_limits(mut section: Section<'_>) -> Result<Limits, ConfigError> {
    let limits = Limits {
        request_timeout_ms: section.number("request_timeout_ms", 5_000, 10..=600_000)?,
        connections_max: section.number("connections_max", 10_000, COUNT)? as usize,
        line_bytes_max: section.number("line_bytes_max", 1_024, 1..=1 << 20)? as usize,
        key_bytes_max: section.number("key_bytes_max", 250, 1..=1 << 16)? as usize,
        value_bytes_max: section.number("value_bytes_max", 1 << 20, 1..=VALUE_BYTES_MAX)? as usize,
        memory_bytes: section.number("memory_bytes", 256 << 20, BYTES)?,
        store_bytes_max: section.number("store_bytes_max", 0, 0..=1 << 50)?,
        inflight_commands_max: section.number("inflight_commands_max", 1_024, COUNT)? as usize,
        inflight_bytes_max: section.number("inflight_bytes_max", 4 << 20, 1..=1 << 30)? as usize,
        write_stall_ms_max: section.number("write_stall_ms_max", 30_000, MS)?,
        proposals_pending_max: section.number("proposals_pending_max", 65_536, COUNT)? as usize,
        append_entries_max: section.number("append_entries_max", 1_024, COUNT)? as usize,
        append_bytes_max: section.number("append_bytes_max", 1 << 20, 1..=1 << 30)?,
        peer_inflight_entries_max: section.number("peer_inflight_entries_max", 16_384, COUNT)?
            as usize,
        peer_inflight_bytes_max: section.number("peer_inflight_bytes_max", 8 << 20, 1..=1 << 32)?,
    };
    let line_bytes_least = 2 * limits.key_bytes_max + LINE_OVERHEAD_BYTES;
    at_least(&section, "line_bytes_max", limits.line_bytes_max as u64, line_bytes_least as u64, {
        "so that a scan after the longest key fits: raise it or lower key_bytes_max"
    })?;
    at_least(
        &section,
        "inflight_bytes_max",
        limits.inflight_bytes_max as u64,
        (limits.value_bytes_max + limits.line_bytes_max) as u64,
        "so that the largest command fits: raise it or lower value_bytes_max",
    )?;
    at_least(
        &section,
        "proposals_pending_max",
        limits.proposals_pending_max as u64,
        limits.inflight_commands_max as u64,
        "so that one connection's own pipelining is never ERR_BUSY: raise it or lower \
         inflight_commands_max",
    )?;
    at_least(
        &section,
        "peer_inflight_entries_max",
        limits.peer_inflight_entries_max as u64,
        limits.append_entries_max as u64,
        "so that a full AppendEntries fits: raise it or lower append_entries_max",
    )?;
    at_least(
        &section,
        "peer_inflight_bytes_max",
        limits.peer_inflight_bytes_max,
        limits.append_bytes_max.max(limits.entry_bytes_max()),
        "so that a full AppendEntries fits: raise it or lower append_bytes_max and \
         value_bytes_max",
    )?;
    section.end()?;
    Ok(limits)
}

/// What replication needs is never lent to clients, and one client alone must have
/// its window.
fn check_memory(path: &Path, limits: &Limits, servers: usize) -> Result<(), ConfigError> {
    let (replication_bytes, client_bytes) =
        (limits.replication_bytes(servers), limits.client_bytes_min());
    let least = replication_bytes + client_bytes;
    if limits.memory_bytes >= least {
        return Ok(());
    }
    Err(ConfigError::Conflict {
        place: Place::File { path: path.into(), key: "[limits] memory_bytes".into() },
        value: limits.memory_bytes.to_string(),
        bound: format!(
            "at least {least}: {replication_bytes} for the windows between {servers} servers and \
             {client_bytes} for clients: raise it or lower peer_inflight_bytes_max, \
             append_bytes_max, value_bytes_max and inflight_bytes_max"
        ),
    })
}

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

fn read_session(mut section: Section<'_>) -> Result<SessionSettings, ConfigError> {
    let threads = section.number("threads", 0, 0..=256)? as usize;
    section.end()?;
    Ok(SessionSettings { threads })
}
