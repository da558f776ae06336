//! What the command line can say, and what becomes of it.
//!
//! Exit codes: 0 done; 1 no (no such key, another version, a server that had to
//! stop); 2 a usage error, in the command or in servers.toml; 3 the cluster did
//! not answer. Errors are one line on stderr, and stdout holds nothing but what
//! was asked for.

mod bench;
mod data;
mod log;
mod logging;
mod progress;
mod snapshot;
mod status;

use std::fmt::Display;
use std::io;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use coracle::config::{ConfigError, Overrides, Settings};
use coracle::node::{self, NodeError};
use coracle::types::NodeId;

/// A replicated key-value store.
#[derive(Debug, Parser)]
#[command(name = "coracle", version, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run one server in the foreground; SIGTERM stops it
    Serve(Serve),
    #[command(flatten)]
    Data(data::DataCommand),
    /// Ask every server how it is, and print one table
    Status(status::StatusCommand),
    /// Back up a cluster, look into a backup, and begin a new cluster with it
    #[command(subcommand)]
    Snapshot(snapshot::SnapshotCommand),
    /// Load the cluster, and measure throughput and latency
    Bench(bench::BenchCommand),
    /// Look into the log of a server that is down
    #[command(subcommand)]
    Log(log::LogCommand),
    /// Check servers.toml and print a line a server: id, hostname, client port, log port, directory
    Config(ConfigFile),
}

/// Which servers.toml.
#[derive(Args, Debug)]
struct ConfigFile {
    /// The servers' file
    #[arg(long, value_name = "FILE", default_value = "servers.toml")]
    config: PathBuf,
}

impl ConfigFile {
    fn load(&self) -> Result<Settings, Failure> {
        Ok(Settings::load(&self.config, &Overrides::default())?)
    }
}

#[derive(Args, Debug)]
struct Serve {
    #[command(flatten)]
    file: ConfigFile,
    /// Which of its servers to run
    #[arg(long)]
    id: u64,
    /// Where all servers keep their files, each in <DIR>/<id>, instead of data_dir
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Instead of heartbeat_interval_ms
    #[arg(long, value_name = "MS")]
    heartbeat_interval_ms: Option<u64>,
    /// Instead of the first of election_timeout_ms
    #[arg(long, value_name = "MS")]
    election_timeout_ms_min: Option<u64>,
    /// Instead of the second of election_timeout_ms
    #[arg(long, value_name = "MS")]
    election_timeout_ms_max: Option<u64>,
    /// off, error, warn, info, debug or trace; without it RUST_LOG counts, then info
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<::log::LevelFilter>,
}

/// Why it was not done.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The answer is no.
    #[error("{0}")]
    No(String),
    /// It cannot be asked like this, or not of this servers.toml.
    #[error("{0}")]
    Usage(String),
    /// Nobody answered, or nobody could tell.
    #[error("{0}")]
    Unavailable(String),
    /// The server could not start, or had to stop.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// Standard input or output failed.
    #[error("{0}")]
    Io(#[from] io::Error),
}

impl Failure {
    /// What the process ends with.
    pub fn exit_code(&self) -> u8 {
        match self {
            Failure::No(_) | Failure::Node(_) | Failure::Io(_) => 1,
            Failure::Usage(_) => 2,
            Failure::Unavailable(_) => 3,
        }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Failure {
        usage(error)
    }
}

impl Cli {
    /// Does what the command line says.
    ///
    /// # Errors
    /// See [`Failure`].
    pub fn run(self) -> Result<(), Failure> {
        match self.command {
            Command::Serve(serve) => serve.run(),
            Command::Data(command) => command.run(),
            Command::Status(command) => command.run(),
            Command::Snapshot(command) => command.run(),
            Command::Bench(command) => command.run(),
            Command::Log(command) => command.run(),
            Command::Config(file) => print_servers(&file.load()?),
        }
    }
}

impl Serve {
    fn run(self) -> Result<(), Failure> {
        let overrides = Overrides {
            data_dir: self.data_dir,
            heartbeat_interval_ms: self.heartbeat_interval_ms,
            election_timeout_ms_min: self.election_timeout_ms_min,
            election_timeout_ms_max: self.election_timeout_ms_max,
        };
        let settings = Settings::load(&self.file.config, &overrides)?;
        let id = settings.server(NodeId(self.id))?.id;
        logging::init(id, self.log_level);
        Ok(node::run(&settings, id)?)
    }
}

fn print_servers(settings: &Settings) -> Result<(), Failure> {
    let line = |server: &coracle::config::Server| {
        let (id, hostname) = (server.id, &server.hostname);
        let directory = server.data_dir.display();
        format!("{id} {hostname} {} {} {directory}\n", server.client_port, server.log_port)
    };
    print(settings.servers.values().map(line).collect::<String>().as_bytes())
}

/// Writes to stdout. A reader that has seen enough (`| head`) is not an error.
fn print(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    match io::Write::write_all(&mut stdout, bytes).and_then(|()| io::Write::flush(&mut stdout)) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => Ok(result?),
    }
}

/// Runs a client's future to its end.
fn block_on<T>(future: impl Future<Output = T>) -> Result<T, Failure> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(future))
}

fn usage(reason: impl Display) -> Failure {
    Failure::Usage(reason.to_string())
}
