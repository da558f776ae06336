//! The tables `[[servers]]`: the members of the cluster.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::error::ConfigError;
use super::section::Section;
use super::source::Source;
use crate::types::{Address, Member, NodeId};

/// The values that a port may have.
const PORT: std::ops::RangeInclusive<u64> = 1..=65_535;

/// One `[[servers]]` table: a member of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// `id`: the server's id. It is never given to another server, even when this one is gone.
    pub id: NodeId,
    /// `hostname`: the name or address at which the server listens and is dialled.
    pub hostname: String,
    /// `client_port`: the port for clients.
    pub client_port: u16,
    /// `log_port`: the port for the other servers.
    pub log_port: u16,
    /// The directory of the server's files: `<data_dir>/<id>`.
    pub data_dir: PathBuf,
}

impl Server {
    /// The addresses at which the server is reached.
    pub fn member(&self) -> Member {
        let address = |port| Address { host: self.hostname.clone(), port };
        Member { peer: address(self.log_port), client: address(self.client_port) }
    }

    /// The address for clients, as `ERR_REDIRECT` contains it.
    pub fn client_address(&self) -> String {
        if self.hostname.contains(':') {
            format!("[{}]:{}", self.hostname, self.client_port)
        } else {
            format!("{}:{}", self.hostname, self.client_port)
        }
    }
}

/// Reads all `[[servers]]` tables.
pub(super) fn read(
    source: &Source,
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
                    place: section.place(key),
                    hostname: hostname.clone(),
                    port,
                    first,
                }),
            }
        };
        let (client_port, log_port) = (port("client_port")?, port("log_port")?);
        let place = section.place("id");
        section.end();
        let data_dir = data_dir.join(id.to_string());
        let id = NodeId(id);
        let server = Server { id, hostname, client_port, log_port, data_dir };
        if servers.insert(id, server).is_some() {
            return Err(ConfigError::DuplicateId { place, id: id.0 });
        }
    }
    if servers.is_empty() {
        return Err(ConfigError::NoServers { path: source.path().into() });
    }
    Ok(servers)
}
