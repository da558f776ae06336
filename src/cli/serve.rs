//! `serve`: runs one server in the foreground.

use std::path::PathBuf;

use clap::Args;
use coracle::config::{Overrides, Settings};
use coracle::node;
use coracle::types::NodeId;

use super::cluster::ConfigFile;
use super::failure::Failure;
use super::logging;

#[derive(Args, Debug)]
pub struct ServeCommand {
    #[command(flatten)]
    file: ConfigFile,
    /// Which of its servers to run
    #[arg(long)]
    id: u64,
    /// This server has no data because its cluster is new: found it with a majority of such
    /// servers, or alone if the settings list no other. Without this all servers must be there
    #[arg(long)]
    new_cluster: bool,
    /// Directory of all servers' files, each in <DIR>/<id>, instead of data_dir
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

impl ServeCommand {
    /// Runs the server until it is stopped.
    pub fn run(self) -> Result<(), Failure> {
        let overrides = Overrides {
            data_dir: self.data_dir,
            id: Some(NodeId(self.id)),
            heartbeat_interval_ms: self.heartbeat_interval_ms,
            election_timeout_ms_min: self.election_timeout_ms_min,
            election_timeout_ms_max: self.election_timeout_ms_max,
            ..Overrides::default()
        };
        let settings = Settings::load(&self.file.config, &overrides)?;
        let id = settings.server(NodeId(self.id))?.id;
        logging::init(id, self.log_level);
        Ok(node::run(&settings, id, self.new_cluster)?)
    }
}
