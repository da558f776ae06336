//! Everything that the checks need to know.

use std::path::PathBuf;

use coracle::config::{Server, Settings};
use coracle::types::{Address, NodeId};

use super::super::survey::Heard;

/// The facts about a cluster and this machine.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The settings in servers.toml; `None` when the servers were named by addresses.
    pub settings: Option<Settings>,
    /// The servers of servers.toml and the other members, by id.
    pub servers: Vec<ServerFacts>,
    pub machine: Machine,
}

/// The facts about one server.
#[derive(Clone, Debug)]
pub struct ServerFacts {
    pub heard: Heard,
    /// Its ports; none of a member that is not in servers.toml.
    pub ports: Vec<Port>,
    /// Its wall clock against that of this machine.
    pub clock: Option<Clock>,
    /// Its numbers; `None` without an answer to `/metrics`.
    pub metrics: Option<Metrics>,
    /// Its files, when they are on this machine.
    pub local: Option<Local>,
}

/// A port of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// The key in servers.toml.
    pub key: &'static str,
    /// The address at which it is reached.
    pub address: Address,
    pub state: PortState,
}

/// The state of a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PortState {
    /// The server answers there, or at least takes connections where nothing can be asked.
    Answers,
    /// Something takes connections there, and does not answer as the server does.
    Strange(String),
    /// Nothing takes connections there.
    Silent(String),
    /// Nothing listens there, and this machine can.
    Free,
    /// Nothing takes connections there, and this machine cannot listen there.
    Unusable(String),
}

/// The difference of a wall clock to that of this machine, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    /// The difference; above 0 when the server's clock is ahead.
    pub ahead_ms: i64,
    /// The possible error: half of the time that the question took.
    pub error_ms: i64,
}

/// The numbers of a server that only `/metrics` has.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Metrics {
    /// Files and sockets that the process has open.
    pub open_files: Option<u64>,
    /// Files and sockets that it may have open.
    pub open_files_max: Option<u64>,
    /// The mean time between a heartbeat and its answer, of the slowest peer, in milliseconds.
    pub round_trip_ms: Option<f64>,
    /// Snapshots that could not be saved since the process started.
    pub snapshot_failures: Option<u64>,
}

/// The files of a server that are on this machine.
#[derive(Clone, Debug, PartialEq)]
pub struct Local {
    pub data_dir: PathBuf,
    /// The disk of the directory, or of the nearest one above it that is there.
    pub disk: Option<Disk>,
    /// Bytes of the log and of the snapshots in the directory.
    pub log_bytes: u64,
    pub snapshot_bytes: u64,
    /// The times of syncs there, or the reason why there are none.
    pub fsync: Result<Fsync, String>,
}

/// A file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disk {
    /// Equal for directories on the same one.
    pub device: u64,
    pub free_bytes: u64,
    pub bytes: u64,
}

/// The times of some syncs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fsync {
    pub count: usize,
    pub p50_ms: f64,
    pub p99_ms: f64,
}

/// This machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Machine {
    /// Memory that processes here can have together; `None` when the kernel does not say.
    pub memory_bytes: Option<u64>,
    /// Files that a process of this user can have open.
    pub open_files_max: u64,
}

impl ServerFacts {
    pub fn id(&self) -> NodeId {
        self.heard.target.id
    }

    /// A number of the server's report; `None` without a report.
    pub fn reported(&self, name: &str) -> Option<f64> {
        self.heard.reported(name)
    }

    /// True when the server answered at least at one of its ports.
    pub fn is_up(&self) -> bool {
        self.heard.status.is_ok() || matches!(self.heard.report, Some(Ok(_)))
    }
}

impl Facts {
    /// The settings, for the checks that are made when there are some.
    pub fn settings(&self) -> &Settings {
        self.settings.as_ref().expect("settings are checked only when there is a file of them")
    }

    /// The servers whose files are here.
    pub fn locals(&self) -> impl Iterator<Item = (&ServerFacts, &Local)> {
        self.servers.iter().filter_map(|server| Some((server, server.local.as_ref()?)))
    }

    /// The settings of a server in servers.toml; `None` of another member.
    pub fn listed(&self, id: NodeId) -> Option<&Server> {
        self.settings.as_ref()?.servers.get(&id)
    }
}
