//! The directory of the servers, and the servers.toml in it.

use std::fs::{self, DirBuilder};
use std::io;
use std::net::TcpListener;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use coracle::config::{Overrides, Settings};

use crate::cli::endpoints::SERVERS_FILE;
use crate::cli::failure::{Failure, usage};
use crate::cli::new_file::cannot;

/// The first port of the servers, if it and those after it are free.
const FIRST_PORT: u16 = 9000;
/// The HTTP port of the first server comes so many ports after its port for clients.
const HTTP_OFFSET: u16 = 100;
/// The ports among which free ones are sought: below those that the system gives to outgoing
/// connections.
const FREE_PORTS: std::ops::Range<u16> = 10_000..30_000;

/// The directory of the servers.
#[derive(Debug)]
pub struct Place {
    path: PathBuf,
    is_temporary: bool,
}

/// The ports of one server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ports {
    client: u16,
    log: u16,
    http: u16,
}

impl Place {
    /// A directory that is there or can be made.
    ///
    /// # Errors
    /// The error of the system, in words.
    pub fn given(path: &Path) -> Result<Place, Failure> {
        fs::create_dir_all(path).map_err(|error| cannot("make", path, &error))?;
        Ok(Place { path: path.to_path_buf(), is_temporary: false })
    }

    /// A new directory that only this user can read.
    ///
    /// # Errors
    /// The error of the system, in words.
    pub fn temporary() -> Result<Place, Failure> {
        let name = |number: u32| format!("coracle-dev.{}.{number}", std::process::id());
        for number in 0.. {
            let path = std::env::temp_dir().join(name(number));
            match DirBuilder::new().mode(0o700).create(&path) {
                // Another process of that number did not remove its own.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(cannot("make", &path, &error)),
                Ok(()) => return Ok(Place { path, is_temporary: true }),
            }
        }
        unreachable!("the names do not end")
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// True when it is removed at the end.
    pub fn is_temporary(&self) -> bool {
        self.is_temporary
    }

    pub fn config(&self) -> PathBuf {
        self.path.join(SERVERS_FILE)
    }

    /// The settings of the servers: those that are there from an earlier run, or new ones.
    ///
    /// # Errors
    /// The file cannot be written, or the one that is there is wrong or another than is asked for.
    pub fn settings(&self, servers: Option<u16>, port: Option<u16>) -> Result<Settings, Failure> {
        let config = self.config();
        let is_there = config.exists();
        if !is_there {
            let ports = choose_ports(servers.unwrap_or(1), port)?;
            fs::write(&config, text(&ports)).map_err(|error| cannot("write", &config, &error))?;
        }
        let settings = Settings::load(&config, &Overrides::default())?;
        let (there, config) = (settings.servers.len(), config.display());
        match (is_there, servers) {
            (true, Some(asked)) if usize::from(asked) != there => Err(usage(format!(
                "{config} lists {there} servers, and not {asked}: leave out --nodes, or take \
                 another directory"
            ))),
            (true, _) if port.is_some() => Err(usage(format!(
                "{config} has the ports of its servers: leave out --port, or take another directory"
            ))),
            _ => Ok(settings),
        }
    }

    /// Removes a temporary directory.
    ///
    /// # Errors
    /// The error of the system, in words.
    pub fn leave(self) -> Result<(), Failure> {
        match self.is_temporary {
            true => {
                fs::remove_dir_all(&self.path).map_err(|error| cannot("remove", &self.path, &error))
            }
            false => Ok(()),
        }
    }
}

/// The text of a servers.toml.
fn text(servers: &[Ports]) -> String {
    let mut text = "# Made by `coracle dev`. The servers keep their files in data/<id>.\n\
                    cluster = \"dev\"\ndata_dir = \"data\"\n"
        .to_owned();
    for (id, Ports { client, log, http }) in (1..).zip(servers) {
        let id: u64 = id;
        text += &format!(
            "\n[[servers]]\nid = {id}\nhostname = \"127.0.0.1\"\nclient_port = {client}\n\
             log_port = {log}\nhttp_port = {http}\n"
        );
    }
    text
}

/// The ports of so many servers: from the given port on; free ones if that is 0; and without one
/// those of the servers.toml in the sources, or free ones if any of them is taken.
fn choose_ports(servers: u16, first: Option<u16>) -> Result<Vec<Ports>, Failure> {
    match first {
        Some(0) => free_ports(servers),
        Some(first) => Ok(ports_from(first, servers)),
        None => {
            let usual = ports_from(FIRST_PORT, servers);
            let is_free = |ports: &Ports| [ports.client, ports.log, ports.http].map(is_free);
            match usual.iter().flat_map(is_free).all(|is_free| is_free) {
                true => Ok(usual),
                false => free_ports(servers),
            }
        }
    }
}

fn ports_from(first: u16, servers: u16) -> Vec<Ports> {
    let ports = |number| {
        let client = first + 2 * number;
        Ports { client, log: client + 1, http: first + HTTP_OFFSET + number }
    };
    (0..servers).map(ports).collect()
}

/// Ports on which nobody listens now. Processes that begin at the same time look in different
/// places.
fn free_ports(servers: u16) -> Result<Vec<Ports>, Failure> {
    let count = usize::from(3 * servers);
    let skipped = std::process::id() as usize * 7_919 % FREE_PORTS.len();
    let free: Vec<u16> = FREE_PORTS
        .cycle()
        .skip(skipped)
        .take(FREE_PORTS.len())
        .filter(|port| is_free(*port))
        .take(count)
        .collect();
    if free.len() < count {
        let (first, end) = (FREE_PORTS.start, FREE_PORTS.end);
        return Err(Failure::No(format!("no {count} ports are free from {first} to {end}")));
    }
    let ports = |ports: &[u16]| Ports { client: ports[0], log: ports[1], http: ports[2] };
    Ok(free.chunks(3).map(ports).collect())
}

fn is_free(port: u16) -> bool {
    TcpListener::bind(("127.0.0.1", port)).is_ok()
}

#[cfg(test)]
mod tests;
