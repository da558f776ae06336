//! `get`, `set`, `add`, `cas`, `delete`, `scan`: each is one command of the library's
//! client.

use std::ffi::OsString;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;

use clap::{Args, Subcommand};
use coracle::client::{Client, Item};

use super::cluster::{Cluster, block_on};
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
        at: At,
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
        at: At,
        #[command(flatten)]
        cluster: Cluster,
    },
}

/// The option of reads of the past.
#[derive(Args, Clone, Copy, Debug)]
pub struct At {
    /// Read the store as it was at this revision
    #[arg(long, value_name = "REVISION")]
    at: Option<u64>,
}

#[derive(Args, Debug)]
pub struct Value {
    /// The value; - reads it from standard input
    value: OsString,
    /// Seconds until the key expires; 0: never
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    exptime: u64,
    /// The lease that the key goes with; 0: none
    #[arg(long, value_name = "ID", default_value_t = 0)]
    lease: u64,
}

/// A value to be written.
struct NewValue {
    bytes: Vec<u8>,
    exptime: u64,
    lease: u64,
}

/// Maximum number of keys in one page of the protocol.
const PAGE_KEYS_MAX: u64 = 10_000;
/// Maximum number of bytes that are read from standard input: more fits into no value.
const STDIN_BYTES_MAX: u64 = 64 * 1024 * 1024;

impl DataCommand {
    pub fn run(self) -> Result<(), Failure> {
        match self {
            DataCommand::Get { key, meta: false, at: At { at }, cluster } => {
                let get = async |client: &mut Client| match at {
                    Some(revision) => client.at(revision).get(key.as_bytes()).await,
                    None => client.get(key.as_bytes()).await,
                };
                print(&cluster.ask(get)?)
            }
            DataCommand::Get { key, meta: true, at: At { at }, cluster } => {
                let getm = async |client: &mut Client| match at {
                    Some(revision) => client.at(revision).getm(key.as_bytes()).await,
                    None => client.getm(key.as_bytes()).await,
                };
                let item = cluster.ask(getm)?;
                print(&[format!("{}\n", numbers(&item)).as_bytes(), &item.value].concat())
            }
            DataCommand::Set { key, value, cluster } => {
                let NewValue { bytes, exptime, lease } = value.read()?;
                let set = async |client: &mut Client| {
                    client.set_with_lease(key.as_bytes(), exptime, &bytes, lease).await
                };
                print_version(cluster.ask(set)?)
            }
            DataCommand::Add { key, value, cluster } => {
                let NewValue { bytes, exptime, lease } = value.read()?;
                let add = async |client: &mut Client| {
                    client.add_with_lease(key.as_bytes(), exptime, &bytes, lease).await
                };
                print_version(cluster.ask(add)?)
            }
            DataCommand::Cas { key, version, value, cluster } => {
                let NewValue { bytes, exptime, lease } = value.read()?;
                let cas = async |client: &mut Client| {
                    client.cas_with_lease(key.as_bytes(), exptime, version, &bytes, lease).await
                };
                print_version(cluster.ask(cas)?)
            }
            DataCommand::Delete { key, cluster } => {
                cluster.ask(async |client| client.delete(key.as_bytes()).await)
            }
            DataCommand::Scan { prefix, limit, at, cluster } => {
                scan(prefix.as_bytes(), limit.unwrap_or(u64::MAX), at, &cluster)
            }
        }
    }
}

/// Prints the keys page by page. Each page is one point in time of the store; all pages are the
/// same one when a revision is named.
fn scan(prefix: &[u8], limit: u64, At { at }: At, cluster: &Cluster) -> Result<(), Failure> {
    block_on(async {
        let mut client = cluster.connect().await?;
        let mut left = limit;
        let mut after: Option<Vec<u8>> = None;
        while left > 0 {
            let (keys, last) = (left.min(PAGE_KEYS_MAX), after.as_deref());
            let page = match at {
                Some(revision) => client.at(revision).scan(prefix, keys, last).await?,
                None => client.scan(prefix, keys, last).await?,
            };
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

impl Value {
    /// Reads the bytes of the value.
    fn read(self) -> Result<NewValue, Failure> {
        let Value { value, exptime, lease } = self;
        if value != "-" {
            return Ok(NewValue { bytes: value.as_bytes().to_vec(), exptime, lease });
        }
        let mut bytes = Vec::new();
        io::stdin().lock().take(STDIN_BYTES_MAX + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > STDIN_BYTES_MAX {
            return Err(usage(format!("a value has at most {STDIN_BYTES_MAX} bytes")));
        }
        Ok(NewValue { bytes, exptime, lease })
    }
}

fn numbers(item: &Item) -> String {
    format!("{} {} {}", item.version, item.exptime, item.value.len())
}

fn print_version(version: u64) -> Result<(), Failure> {
    print(format!("{version}\n").as_bytes())
}
