//! `get`, `set`, `add`, `cas`, `delete`, `scan`: each is one command of the library's
//! client.

use std::ffi::OsString;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use clap::{Args, Subcommand};
use coracle::client::{Client, Error, Item, Options};

use super::cluster::{ConfigFile, block_on};
use super::failure::{Failure, usage};
use super::output::print;

#[derive(Debug, Subcommand)]
pub enum DataCommand {
    /// Print the value of a key, as it is
    Get {
        key: OsString,
        /// Print version, seconds left (0: never expires) and size on a line before
        #[arg(long)]
        meta: bool,
        #[command(flatten)]
        cluster: Cluster,
    },
    /// Write a value, whatever is there, and print its version
    Set {
        key: OsString,
        #[command(flatten)]
        value: Value,
        #[command(flatten)]
        cluster: Cluster,
    },
    /// Write a value if the key is absent, and print its version
    Add {
        key: OsString,
        #[command(flatten)]
        value: Value,
        #[command(flatten)]
        cluster: Cluster,
    },
    /// Write a value if the key has a certain version, and print its new one
    Cas {
        key: OsString,
        /// The version that the key must have; 0: the key must be absent
        version: u64,
        #[command(flatten)]
        value: Value,
        #[command(flatten)]
        cluster: Cluster,
    },
    /// Remove a key
    Delete {
        key: OsString,
        #[command(flatten)]
        cluster: Cluster,
    },
    /// Print the keys that begin with a prefix, in byte order: a line "key version seconds size",
    /// then the value and a line end
    Scan {
        /// An empty prefix ("") means every key
        prefix: OsString,
        /// Print no more keys than this
        #[arg(long, value_name = "N")]
        limit: Option<u64>,
        #[command(flatten)]
        cluster: Cluster,
    },
}

#[derive(Args, Debug)]
pub struct Cluster {
    #[command(flatten)]
    file: ConfigFile,
    /// Maximum time to look for a leader and an answer
    #[arg(long, value_name = "MS", default_value_t = 10_000)]
    timeout_ms: u64,
}

#[derive(Args, Debug)]
pub struct Value {
    /// The value; - reads it from standard input
    value: OsString,
    /// Seconds until the key expires; 0: never
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    exptime: u64,
}

/// Maximum number of keys in one page of the protocol.
const PAGE_KEYS_MAX: u64 = 10_000;
/// Maximum number of bytes that are read from standard input: more fits into no value.
const STDIN_BYTES_MAX: u64 = 64 * 1024 * 1024;

impl DataCommand {
    pub fn run(self) -> Result<(), Failure> {
        match self {
            DataCommand::Get { key, meta: false, cluster } => {
                let value = cluster.ask(async |client| client.get(key.as_bytes()).await)?;
                print(&value)
            }
            DataCommand::Get { key, meta: true, cluster } => {
                let item = cluster.ask(async |client| client.getm(key.as_bytes()).await)?;
                print(&[format!("{}\n", numbers(&item)).as_bytes(), &item.value].concat())
            }
            DataCommand::Set { key, value, cluster } => {
                let (bytes, exptime) = value.read()?;
                let set =
                    async |client: &mut Client| client.set(key.as_bytes(), exptime, &bytes).await;
                print_version(cluster.ask(set)?)
            }
            DataCommand::Add { key, value, cluster } => {
                let (bytes, exptime) = value.read()?;
                let add =
                    async |client: &mut Client| client.add(key.as_bytes(), exptime, &bytes).await;
                print_version(cluster.ask(add)?)
            }
            DataCommand::Cas { key, version, value, cluster } => {
                let (bytes, exptime) = value.read()?;
                let cas = async |client: &mut Client| {
                    client.cas(key.as_bytes(), exptime, version, &bytes).await
                };
                print_version(cluster.ask(cas)?)
            }
            DataCommand::Delete { key, cluster } => {
                cluster.ask(async |client| client.delete(key.as_bytes()).await)
            }
            DataCommand::Scan { prefix, limit, cluster } => {
                scan(prefix.as_bytes(), limit.unwrap_or(u64::MAX), &cluster)
            }
        }
    }
}

/// Prints the keys page by page. Each page is one point in time of the store.
fn scan(prefix: &[u8], limit: u64, cluster: &Cluster) -> Result<(), Failure> {
    block_on(async {
        let mut client = cluster.connect().await?;
        let mut left = limit;
        let mut after: Option<Vec<u8>> = None;
        while left > 0 {
            let page = client.scan(prefix, left.min(PAGE_KEYS_MAX), after.as_deref()).await?;
            for item in &page.items {
                let line = [b" ", numbers(item).as_bytes(), b"\n", &item.value, b"\n"].concat();
                print(&[&item.key[..], &line].concat())?;
            }
            left -= page.items.len() as u64;
            match page.items.last() {
                Some(last) if page.more => after = Some(last.key.clone()),
                _ => break,
            }
        }
        Ok(())
    })?
}

impl Cluster {
    async fn connect(&self) -> Result<Client, Failure> {
        let settings = self.file.load()?;
        let servers = settings.servers.values().map(|server| server.client_address());
        let deadline = Duration::from_millis(self.timeout_ms);
        Ok(Client::connect(servers, Options { deadline, ..Options::default() }).await?)
    }

    fn ask<T>(
        &self,
        command: impl AsyncFnOnce(&mut Client) -> Result<T, Error>,
    ) -> Result<T, Failure> {
        block_on(async {
            let mut client = self.connect().await?;
            let result = command(&mut client).await;
            // The command is answered, whatever becomes of the name. When no server could be
            // reached, none has heard the name.
            if !matches!(result, Err(Error::Unavailable { .. }))
                && let Err(error) = client.close().await
            {
                log::debug!("the servers remember this client for an hour: {error}");
            }
            Ok(result?)
        })?
    }
}

impl Value {
    /// Returns the bytes of the value, and the seconds until it expires.
    fn read(self) -> Result<(Vec<u8>, u64), Failure> {
        if self.value != "-" {
            return Ok((self.value.as_bytes().to_vec(), self.exptime));
        }
        let mut bytes = Vec::new();
        io::stdin().lock().take(STDIN_BYTES_MAX + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > STDIN_BYTES_MAX {
            return Err(usage(format!("a value has at most {STDIN_BYTES_MAX} bytes")));
        }
        Ok((bytes, self.exptime))
    }
}

fn numbers(item: &Item) -> String {
    format!("{} {} {}", item.version, item.exptime, item.value.len())
}

fn print_version(version: u64) -> Result<(), Failure> {
    print(format!("{version}\n").as_bytes())
}
