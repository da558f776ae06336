//! The cluster that a command asks: servers.toml, and a runtime for the client.

use std::path::PathBuf;

use clap::Args;
use coracle::config::{Overrides, Settings};

use super::failure::Failure;

/// The option that names servers.toml.
#[derive(Args, Debug)]
pub struct ConfigFile {
    /// The servers' file
    #[arg(long, value_name = "FILE", default_value = "servers.toml")]
    pub config: PathBuf,
}

impl ConfigFile {
    /// The settings in the file.
    pub fn load(&self) -> Result<Settings, Failure> {
        Ok(Settings::load(&self.config, &Overrides::default())?)
    }
}

/// Runs a client's future to its end.
pub fn block_on<T>(future: impl Future<Output = T>) -> Result<T, Failure> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(future))
}
