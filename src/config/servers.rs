//! The tables `[[servers]]`: the members of the cluster.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use super::error::{ConfigError, Place};
use super::overrides::Overrides;
use super::section::Section;
use crate::types::{Address, Member, NodeId};

/// The values that a port may have.
const PORT: std::ops::RangeInclusive<u64> = 1..=65_535;

/// One `[[servers]]` table: a member of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// `id`: the server's id. It is never given to another server, even when this one is gone.
    pub id: NodeId,
    /// The addresses at which the server is reached: `hostname` with `log_port` and
    /// `client_port`.
    pub advertised: Member,
    /// `client_listen`: where the server listens for clients, if not where they reach it.
    pub client_listen: Address,
    /// `log_listen`: where the server listens for other servers, if not where they reach it.
    pub log_listen: Address,
    /// `http_listen`: where the server listens for HTTP; `None` when it does not.
    pub http_listen: Option<Address>,
    /// The directory of the server's files: `<data_dir>/<id>`.
    pub data_dir: PathBuf,
}

impl Server {
    /// The addresses at which the server is reached.
    pub fn member(&self) -> Member {
        self.advertised.clone()
    }

    /// The address at which its HTTP port is reached; `None` without one. A listener on all
    /// addresses of a machine is reached where clients reach the server.
    pub fn http_address(&self) -> Option<Address> {
        let listen = self.http_listen.as_ref()?;
        let is_everywhere = is_unspecified(&listen.host);
        let host = if is_everywhere { &self.advertised.client.host } else { &listen.host };
        Some(Address { host: host.clone(), port: listen.port })
    }

    /// The address for clients, as `ERR_REDIRECT` contains it.
    pub fn client_address(&self) -> String {
        self.advertised.client.to_string()
    }
}

/// Reads all `[[servers]]` tables.
pub(super) fn read(
    sections: Vec<Section<'_>>,
    data_dir: &Path,
    overrides: &Overrides,
) -> Result<BTreeMap<NodeId, Server>, ConfigError> {
    let mut servers = BTreeMap::new();
    let mut listeners = Listeners::default();
    for mut section in sections {
        let id = NodeId(section.required_number("id", 1..=i64::MAX as u64)?);
        let place = section.place("id");
        let hostname = read_hostname(&mut section)?;
        let none = Overrides::default();
        let flags = if overrides.id == Some(id) { overrides } else { &none };
        let port = |section: &mut Section<'_>, key: &'static str| -> Result<Address, ConfigError> {
            let port = section.required_number(key, PORT)?;
            let port = u16::try_from(port).expect("the range was checked");
            Ok(Address { host: hostname.clone(), port })
        };
        let client = port(&mut section, "client_port")?;
        listeners.add(&section, "client_port", id, &client)?;
        let log = port(&mut section, "log_port")?;
        listeners.add(&section, "log_port", id, &log)?;
        let client_listen = listen(&mut section, "client_listen", &flags.client_listen, &client)?;
        let log_listen = listen(&mut section, "log_listen", &flags.log_listen, &log)?;
        check_apart(&section, flags, id, &client_listen, &log_listen)?;
        let http = read_http_port(&mut section, &hostname)?;
        if let Some(http) = &http {
            listeners.add(&section, "http_port", id, http)?;
        }
        let http_listen = read_http_listen(&mut section, &flags.http_listen, http)?;
        check_http_apart(&section, id, &http_listen, [&client_listen, &log_listen])?;
        let advertised = Member {
            peer: advertised("--log-advertise", &flags.log_advertise, &section, log)?,
            client: advertised("--client-advertise", &flags.client_advertise, &section, client)?,
        };
        section.end();
        let data_dir = data_dir.join(id.to_string());
        let server = Server { id, advertised, client_listen, log_listen, http_listen, data_dir };
        if servers.insert(id, server).is_some() {
            return Err(ConfigError::DuplicateId { place, id: id.0 });
        }
    }
    Ok(servers)
}

fn read_hostname(section: &mut Section<'_>) -> Result<String, ConfigError> {
    const EXPECTED: &str = "a name or an address, such as \"127.0.0.1\"";
    let hostname = section.text("hostname")?.ok_or_else(|| ConfigError::Missing {
        place: section.place("hostname"),
        expected: EXPECTED.into(),
    })?;
    let address = Address { host: hostname, port: 1 };
    if address.is_valid() {
        return Ok(address.host);
    }
    Err(ConfigError::Conflict {
        place: section.place("hostname"),
        value: format!("{:?}", address.host),
        bound: EXPECTED.into(),
    })
}

/// The ports of all servers, by host and port.
#[derive(Default)]
struct Listeners(BTreeMap<(String, u16), String>);

impl Listeners {
    /// Adds the port at `key` of server `id`, which no other may have on that host.
    fn add(
        &mut self,
        section: &Section<'_>,
        key: &'static str,
        id: NodeId,
        Address { host, port }: &Address,
    ) -> Result<(), ConfigError> {
        let owner = format!("the {key} of server {id}");
        match self.0.insert((host.to_ascii_lowercase(), *port), owner) {
            None => Ok(()),
            Some(first) => Err(ConfigError::DuplicatePort {
                place: section.place(key),
                hostname: host.clone(),
                port: *port,
                first,
            }),
        }
    }
}

/// The address at which a server listens: that of the flag, that at `key`, or else the one at
/// which it is reached by the file.
fn listen(
    section: &mut Section<'_>,
    key: &'static str,
    flag: &Option<Address>,
    reached: &Address,
) -> Result<Address, ConfigError> {
    let in_file = section.text(key)?;
    if let Some(flag) = flag {
        return Ok(flag.clone());
    }
    let Some(text) = in_file else { return Ok(reached.clone()) };
    parse_listen(section, key, &text, reached.port)
}

/// Parses an address to listen at. `port` is that of the example in the error.
fn parse_listen(
    section: &Section<'_>,
    key: &'static str,
    text: &str,
    port: u16,
) -> Result<Address, ConfigError> {
    text.parse().map_err(|_| ConfigError::Conflict {
        place: section.place(key),
        value: format!("{text:?}"),
        bound: format!(
            "HOST:PORT, an address of this machine and a port from 1 to 65535, such as \
             \"0.0.0.0:{port}\""
        ),
    })
}

/// Reads `http_port`, the only port that a server need not have.
fn read_http_port(
    section: &mut Section<'_>,
    hostname: &str,
) -> Result<Option<Address>, ConfigError> {
    let port = section.optional_number("http_port", PORT)?;
    let port = port.map(|port| u16::try_from(port).expect("the range was checked"));
    Ok(port.map(|port| Address { host: hostname.to_owned(), port }))
}

/// The address at which a server listens for HTTP: that of the flag, that at `http_listen`, or
/// that of `http_port`.
fn read_http_listen(
    section: &mut Section<'_>,
    flag: &Option<Address>,
    http: Option<Address>,
) -> Result<Option<Address>, ConfigError> {
    let in_file = section.text("http_listen")?;
    if flag.is_some() {
        return Ok(flag.clone());
    }
    let Some(text) = in_file else { return Ok(http) };
    let port = http.map_or(9100, |address| address.port);
    parse_listen(section, "http_listen", &text, port).map(Some)
}

/// Checks that the listener for HTTP does not need the port of another listener of the server.
fn check_http_apart(
    section: &Section<'_>,
    id: NodeId,
    http: &Option<Address>,
    others: [&Address; 2],
) -> Result<(), ConfigError> {
    let Some(http) = http else { return Ok(()) };
    for (other, key) in others.into_iter().zip(["client_listen", "log_listen"]) {
        if is_shared(http, other) {
            return Err(ConfigError::DuplicatePort {
                place: section.place("http_listen"),
                hostname: http.host.clone(),
                port: http.port,
                first: format!("the {key} of server {id}"),
            });
        }
    }
    Ok(())
}

/// True when two listeners of one machine need the same port.
fn is_shared(one: &Address, other: &Address) -> bool {
    let is_same_host = one.host.eq_ignore_ascii_case(&other.host)
        || is_unspecified(&one.host)
        || is_unspecified(&other.host);
    one.port == other.port && is_same_host
}

/// Checks that the two listeners of a server do not need the same port. Those of two servers may:
/// they are probably on two machines.
fn check_apart(
    section: &Section<'_>,
    flags: &Overrides,
    id: NodeId,
    client: &Address,
    log: &Address,
) -> Result<(), ConfigError> {
    if !is_shared(client, log) {
        return Ok(());
    }
    let place = match flags.log_listen {
        Some(_) => Place::Flag("--log-listen"),
        None => section.place("log_listen"),
    };
    Err(ConfigError::DuplicatePort {
        place,
        hostname: log.host.clone(),
        port: log.port,
        first: format!("the client_listen of server {id}"),
    })
}

/// The address at which a server is reached: that of the flag, or that of the file. An address
/// that stands for all of a machine leads nowhere from another one: clients would be redirected
/// to their own machine.
fn advertised(
    name: &'static str,
    flag: &Option<Address>,
    section: &Section<'_>,
    in_file: Address,
) -> Result<Address, ConfigError> {
    let address = flag.clone().unwrap_or(in_file);
    if !is_unspecified(&address.host) {
        return Ok(address);
    }
    let place = match flag {
        Some(_) => Place::Flag(name),
        None => section.place("hostname"),
    };
    Err(ConfigError::Unspecified { place, host: address.host })
}

/// True of 0.0.0.0 and of ::.
pub(super) fn is_unspecified(host: &str) -> bool {
    host.parse::<IpAddr>().is_ok_and(|address| address.is_unspecified())
}
