//! The cluster that a command asks: servers.toml or addresses, and a runtime for the client.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;
use coracle::config::{Overrides, Settings};
use coracle::types::{Address, NodeId};

use super::failure::Failure;

/// The servers' file, when no option names another.
pub const SERVERS_FILE: &str = "servers.toml";

/// The option that names servers.toml.
#[derive(Args, Debug)]
pub struct ConfigFile {
    /// The servers' file
    #[arg(long, value_name = "FILE", default_value = SERVERS_FILE)]
    pub config: PathBuf,
}

impl ConfigFile {
    /// The settings in the file.
    pub fn load(&self) -> Result<Settings, Failure> {
        Ok(Settings::load(&self.config, &Overrides::default())?)
    }
}

/// The options that name the servers to ask: servers.toml, or some addresses. Some servers are
/// enough, because each of them knows the members.
#[derive(Args, Debug)]
pub struct Entrance {
    #[command(flatten)]
    file: ConfigFile,
    /// Ask this server instead of those in the file: its address for clients, or its id in the
    /// file. May be there several times
    #[arg(long, value_name = "ADDRESS")]
    server: Vec<Target>,
}

impl Entrance {
    /// The addresses for clients of the servers to ask, at least one. The file is read only when
    /// it is needed.
    pub fn addresses(&self) -> Result<Vec<String>, Failure> {
        if self.server.is_empty() {
            let settings = self.file.load()?;
            return Ok(settings.servers.values().map(|server| server.client_address()).collect());
        }
        self.server.iter().map(|server| self.address(server)).collect()
    }

    fn address(&self, server: &Target) -> Result<String, Failure> {
        match server {
            Target::Id(id) => Ok(self.file.load()?.server(*id)?.client_address()),
            Target::Address(address) => Ok(address.to_string()),
        }
    }
}

/// A server as people name it: by its id, or by one of its addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Its id.
    Id(NodeId),
    /// Its address for clients or for other servers.
    Address(Address),
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Target, String> {
        if let Ok(id) = text.parse() {
            return match id {
                0 => Err("ids begin at 1".into()),
                id => Ok(Target::Id(NodeId(id))),
            };
        }
        let reason = "neither an id nor an address: HOST:PORT is expected, such as 10.0.0.6:9001";
        text.parse().map(Target::Address).map_err(|_| reason.into())
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Id(id) => write!(f, "{id}"),
            Target::Address(address) => write!(f, "{address}"),
        }
    }
}

/// Runs a client's future to its end.
pub fn block_on<T>(future: impl Future<Output = T>) -> Result<T, Failure> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(future))
}

#[cfg(test)]
mod tests;
