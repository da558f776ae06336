//! `serve`: runs one server in the foreground.

mod allocator;

use std::io;
use std::path::PathBuf;

use clap::Args;
use coracle::config::{JoinSettings, LevelSource, Overrides, Settings, SettingsFile};
use coracle::node::{self, JoinOptions};
use coracle::types::{Address, NodeId};

use super::cluster::Target;
use super::endpoints::SERVERS_FILE;
use super::failure::Failure;
use super::logging::LogOptions;

#[derive(Args, Debug)]
pub struct ServeCommand {
    /// The servers' file [default: servers.toml; none with --join]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Which of its servers to run; with --join the id that it was added with
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    id: u64,
    /// Join a running cluster, of which this is a server's address for the other servers. Settings
    /// are the defaults, or those of --config
    #[arg(long, value_name = "ADDRESS", conflicts_with = "new_cluster")]
    join: Option<Target>,
    /// This server has no data because its cluster is new: found it with a majority of such
    /// servers, or alone if the settings list no other. Without this all servers must be there
    #[arg(long)]
    new_cluster: bool,
    /// Directory of all servers' files, each in <DIR>/<id>, instead of data_dir
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    #[command(flatten)]
    addresses: Addresses,
    /// Instead of heartbeat_interval_ms
    #[arg(long, value_name = "MS")]
    heartbeat_interval_ms: Option<u64>,
    /// Instead of the first of election_timeout_ms
    #[arg(long, value_name = "MS")]
    election_timeout_ms_min: Option<u64>,
    /// Instead of the second of election_timeout_ms
    #[arg(long, value_name = "MS")]
    election_timeout_ms_max: Option<u64>,
    #[command(flatten)]
    log: LogOptions,
}

/// The addresses at which the server listens, and those at which it is reached.
#[derive(Args, Debug)]
struct Addresses {
    /// Listen for clients here, if not where they reach this server, such as 0.0.0.0:9000
    #[arg(long, value_name = "ADDRESS")]
    client_listen: Option<Address>,
    /// Listen for other servers here, if not where they reach this one, such as 0.0.0.0:9001
    #[arg(long, value_name = "ADDRESS")]
    log_listen: Option<Address>,
    /// Listen for HTTP here: metrics and health. Without it http_listen or http_port counts
    #[arg(long, value_name = "ADDRESS")]
    http_listen: Option<Address>,
    /// Clients reach this server here, instead of hostname and client_port
    #[arg(long, value_name = "ADDRESS")]
    client_advertise: Option<Address>,
    /// Other servers reach this one here, instead of hostname and log_port
    #[arg(long, value_name = "ADDRESS")]
    log_advertise: Option<Address>,
}

impl ServeCommand {
    /// Runs the server until it is stopped.
    pub fn run(self) -> Result<(), Failure> {
        let options = allocator::execute_with_options();
        let overrides = Overrides {
            data_dir: self.data_dir,
            id: Some(NodeId(self.id)),
            heartbeat_interval_ms: self.heartbeat_interval_ms,
            election_timeout_ms_min: self.election_timeout_ms_min,
            election_timeout_ms_max: self.election_timeout_ms_max,
            client_listen: self.addresses.client_listen,
            log_listen: self.addresses.log_listen,
            http_listen: self.addresses.http_listen,
            client_advertise: self.addresses.client_advertise,
            log_advertise: self.addresses.log_advertise,
        };
        let id = NodeId(self.id);
        let Some(server) = &self.join else {
            let config = self.config.unwrap_or_else(|| SERVERS_FILE.into());
            let settings = Settings::load(&config, &overrides)?;
            let id = settings.server(id)?.id;
            self.log.start_logger(id, &settings.logging);
            log_options(options);
            let source = level_source(&self.log, Some(config), overrides, false);
            return Ok(node::run(&settings, id, self.new_cluster, source)?);
        };
        let address = match server {
            Target::Address(address) => address.clone(),
            Target::Id(id) => {
                let config = self.config.clone().unwrap_or_else(|| SERVERS_FILE.into());
                Settings::load(&config, &Overrides::default())?.server(*id)?.member().peer
            }
        };
        let settings = JoinSettings::load(self.config.as_deref(), &overrides)?;
        self.log.start_logger(id, &settings.logging());
        log_options(options);
        let source = level_source(&self.log, self.config, overrides, true);
        Ok(node::run_joining(&JoinOptions { address, id, settings }, source)?)
    }
}

/// Logs that the server runs without options for the allocator, because of this error.
fn log_options(options: io::Result<()>) {
    if let Err(error) = options {
        log::warn!(
            error:%;
            "could not execute the program again with options for the allocator: writes are slower"
        );
    }
}

/// The place from which SIGHUP reads the level of the log.
fn level_source(
    log: &LogOptions,
    config: Option<PathBuf>,
    overrides: Overrides,
    is_joining: bool,
) -> LevelSource {
    match (log.fixed_by(), config) {
        (Some(fixed), _) => LevelSource::Fixed(fixed),
        (None, Some(path)) => {
            LevelSource::File(Box::new(SettingsFile { path, overrides, is_joining }))
        }
        (None, None) => LevelSource::Default,
    }
}
