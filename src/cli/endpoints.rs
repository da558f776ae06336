//! The place where the servers of a cluster are named: servers.toml, or addresses on the command
//! line or in a variable.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use clap::Args;
use coracle::config::{Overrides, Settings};
use coracle::types::{Address, AddressError};

use super::failure::{Failure, usage};

/// The servers' file, when no option names another.
pub const SERVERS_FILE: &str = "servers.toml";
/// The heading in the help of the options that all commands share which ask a running cluster.
pub const HEADING: &str = "Cluster";
/// The variable of the environment that names servers by their addresses for clients.
pub const ENDPOINTS_VARIABLE: &str = "CORACLE_ENDPOINTS";

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
        load(&self.config)
    }
}

/// The options that say where the servers of a running cluster are: in servers.toml, or at
/// addresses. One address is enough, because each server knows the members.
#[derive(Args, Debug)]
pub struct Endpoints {
    /// The servers' file [default: servers.toml]
    #[arg(long, value_name = "FILE", conflicts_with = "endpoints", help_heading = HEADING)]
    config: Option<PathBuf>,
    /// Addresses for clients instead of a file; one server that answers is enough, because it
    /// names the others [default: the variable CORACLE_ENDPOINTS, before servers.toml]
    #[arg(long, value_name = "HOST:PORT,...", value_delimiter = ',', help_heading = HEADING)]
    endpoints: Vec<Address>,
}

/// The place where the servers of a cluster are named.
#[derive(Debug)]
pub enum Source {
    /// Some addresses for clients, at least one.
    Addresses(Vec<String>),
    /// All servers, in servers.toml.
    File(Box<Settings>),
}

impl Endpoints {
    /// The place where the servers are named: an option counts before the variable, and that one
    /// before servers.toml. The file is read only when it is needed.
    ///
    /// # Errors
    /// When the file cannot be read or is wrong, or the variable holds what is no address.
    pub fn source(&self) -> Result<Source, Failure> {
        self.source_beside(std::env::var_os(ENDPOINTS_VARIABLE))
    }

    /// Likewise, with the value of the variable.
    fn source_beside(&self, variable: Option<OsString>) -> Result<Source, Failure> {
        let named = self.endpoints.iter().map(Address::to_string).collect::<Vec<_>>();
        match (&self.config, variable.filter(|text| !text.is_empty())) {
            (Some(path), _) => Ok(Source::File(Box::new(load(path)?))),
            (None, _) if !named.is_empty() => Ok(Source::Addresses(named)),
            (None, Some(text)) => Ok(Source::Addresses(addresses_in(&text)?)),
            (None, None) if !Path::new(SERVERS_FILE).exists() => Err(usage(absent_file())),
            (None, None) => Ok(Source::File(Box::new(load(Path::new(SERVERS_FILE))?))),
        }
    }

    /// The addresses for clients to begin with, at least one.
    ///
    /// # Errors
    /// As [`Endpoints::source`].
    pub fn addresses(&self) -> Result<Vec<String>, Failure> {
        Ok(self.source()?.addresses())
    }

    /// True when an option names the servers.
    pub fn are_given(&self) -> bool {
        self.config.is_some() || !self.endpoints.is_empty()
    }

    /// The value of the variable with which another command in this directory finds the cluster of
    /// these options; `None` when there are no options, and it does so by itself.
    ///
    /// # Errors
    /// As [`Endpoints::source`].
    pub fn for_variable(&self) -> Result<Option<String>, Failure> {
        self.are_given().then(|| Ok(self.addresses()?.join(","))).transpose()
    }
}

impl Source {
    /// The addresses for clients that are named.
    pub fn addresses(&self) -> Vec<String> {
        match self {
            Source::Addresses(addresses) => addresses.clone(),
            Source::File(settings) => {
                settings.servers.values().map(|server| server.client_address()).collect()
            }
        }
    }
}

/// The sentence for a directory without servers.toml.
fn absent_file() -> String {
    format!(
        "there is no {SERVERS_FILE} in this directory: name a server by --endpoints HOST:PORT or \
         by the variable {ENDPOINTS_VARIABLE}, or the file by --config FILE"
    )
}

/// The addresses in the value of the variable, with commas between them.
fn addresses_in(text: &OsStr) -> Result<Vec<String>, Failure> {
    let wrong = |reason: String| usage(format!("the variable {ENDPOINTS_VARIABLE}: {reason}"));
    let text = text.to_str().ok_or_else(|| wrong("its value is no UTF-8 text".into()))?;
    let parsed = text.split(',').map(|part| part.trim().parse().map(|it: Address| it.to_string()));
    parsed.collect::<Result<_, AddressError>>().map_err(|error| wrong(error.to_string()))
}

fn load(path: &Path) -> Result<Settings, Failure> {
    Ok(Settings::load(path, &Overrides::default())?)
}

#[cfg(test)]
mod tests;
