//! The running cluster that a command asks, the times to wait for it, and a runtime for its client.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use coracle::client::{Client, Error, Options};
use coracle::types::{Address, NodeId};

use super::endpoints::{Endpoints, HEADING, Source};
use super::failure::{Failure, usage};
use super::roster::Roster;

/// The options of all commands that ask a running cluster: where it is, and the times to wait. The
/// parameters are the defaults of the times in milliseconds.
#[derive(Args, Debug)]
pub struct Cluster<const TIMEOUT_MS: u64 = 10_000, const TRY_TIMEOUT_MS: u64 = 2_000> {
    #[command(flatten)]
    endpoints: Endpoints,
    /// Maximum time for an answer, with all that is tried until then
    #[arg(long, value_name = "MS", default_value_t = TIMEOUT_MS, help_heading = HEADING)]
    timeout_ms: u64,
    /// Maximum time to wait for one server; then another one is tried, or the same one again
    #[arg(long, value_name = "MS", default_value_t = TRY_TIMEOUT_MS, help_heading = HEADING)]
    try_timeout_ms: u64,
}

impl<const TIMEOUT_MS: u64, const TRY_TIMEOUT_MS: u64> Cluster<TIMEOUT_MS, TRY_TIMEOUT_MS> {
    /// A client of the cluster. It learns the other members from the first that answers.
    pub async fn connect(&self) -> Result<Client, Failure> {
        let (deadline, try_timeout) = (self.timeout(), self.try_timeout());
        let options = Options { deadline, try_timeout, ..Options::default() };
        Ok(Client::connect(self.endpoints.addresses()?, options).await?)
    }

    /// The servers that are to be asked one by one.
    ///
    /// # Errors
    /// As [`Roster::of`].
    pub async fn roster(&self) -> Result<Roster, Failure> {
        Roster::of(self.endpoints.source()?, self.patience(), self.timeout()).await
    }

    /// Maximum time for an answer of the cluster.
    pub fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }

    /// Maximum time for one try.
    pub fn try_timeout(&self) -> Duration {
        Duration::from_millis(self.try_timeout_ms)
    }

    /// Maximum time to wait for the one answer of a server that is asked once.
    pub fn patience(&self) -> Duration {
        self.timeout().min(self.try_timeout())
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

/// The options of commands about members: the servers of the cluster, or some of them that are
/// named by their ids as well.
#[derive(Args, Debug)]
pub struct Entrance {
    #[command(flatten)]
    endpoints: Endpoints,
    /// Ask this server instead of those in the file: its address for clients, or its id in the
    /// file. May be there several times
    #[arg(long, value_name = "ADDRESS", conflicts_with = "endpoints", help_heading = HEADING)]
    server: Vec<Target>,
}

impl Entrance {
    /// The addresses for clients of the servers to ask, at least one. The file is read only when
    /// it is needed.
    ///
    /// # Errors
    /// As [`Endpoints::source`]; and when an id is named that is in no file.
    pub fn addresses(&self) -> Result<Vec<String>, Failure> {
        match self.server.is_empty() {
            true => self.endpoints.addresses(),
            false => self.server.iter().map(|server| self.address(server)).collect(),
        }
    }

    fn address(&self, server: &Target) -> Result<String, Failure> {
        let id = match server {
            Target::Id(id) => *id,
            Target::Address(address) => return Ok(address.to_string()),
        };
        match self.endpoints.source()? {
            Source::File(settings) => Ok(settings.server(id)?.client_address()),
            Source::Addresses(_) => Err(usage(format!(
                "--server {id}: only servers.toml says where server {id} is: name it by its \
                 address, or the file by --config"
            ))),
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
