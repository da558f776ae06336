//! The cluster that a command asks: servers.toml or addresses, and a runtime for the client.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use coracle::client::{Client, Error, Options};
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

/// The options of commands that read or write keys.
#[derive(Args, Debug)]
pub struct Cluster {
    #[command(flatten)]
    file: ConfigFile,
    /// Maximum time to look for a leader and an answer
    #[arg(long, value_name = "MS", default_value_t = 10_000)]
    timeout_ms: u64,
}

impl Cluster {
    /// A client of the cluster.
    pub async fn connect(&self) -> Result<Client, Failure> {
        let settings = self.file.load()?;
        let servers = settings.servers.values().map(|server| server.client_address());
        let deadline = Duration::from_millis(self.timeout_ms);
        Ok(Client::connect(servers, Options { deadline, ..Options::default() }).await?)
    }

    /// Runs commands of a client of its own, which is ended afterwards.
    pub fn ask<T>(
        &self,
        commands: impl AsyncFnOnce(&mut Client) -> Result<T, Error>,
    ) -> Result<T, Failure> {
        Ok(self.ask_for(commands)??)
    }

    /// Likewise, for a caller that treats some errors of the commands as answers.
    pub fn ask_for<T>(
        &self,
        commands: impl AsyncFnOnce(&mut Client) -> Result<T, Error>,
    ) -> Result<Result<T, Error>, Failure> {
        block_on(async {
            let mut client = self.connect().await?;
            let result = commands(&mut client).await;
            // No server has heard the name of the client when none could be reached.
            if !matches!(result, Err(Error::Unavailable { .. })) {
                close(client).await;
            }
            Ok(result)
        })?
    }
}

/// Ends a client. Its commands are answered, whatever becomes of its name.
pub async fn close(client: Client) {
    if let Err(error) = client.close().await {
        log::debug!("the servers remember this client for an hour: {error}");
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
