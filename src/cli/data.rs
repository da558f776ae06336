//! `get`, `set`, `add`, `cas`, `delete`: each is one command of the library's client.

use std::ffi::OsString;
use std::io::{self, IsTerminal};

use clap::{Args, Subcommand};
use coracle::client::{Client, Error, Item};

use super::cluster::Cluster;
use super::failure::Failure;
use super::item::{At, numbers, object};
use super::json::{AsJson, Object};
use super::output::print;
use super::text::quoted;
use super::typed::{KeyForm, NewValue, Value, ValueForm};

#[derive(Debug, Subcommand)]
pub enum DataCommand {
    /// Print the value of a key: as it is, or, on a terminal, on one line as `scan` does
    Get(GetCommand),
    /// Write a value, whatever is there, and print its version
    Set(WriteCommand),
    /// Write a value if the key is absent, and print its version
    Add(WriteCommand),
    /// Write a value if the key has a certain version, and print its new one
    Cas(CasCommand),
    /// Remove a key
    Delete {
        /// The key
        key: OsString,
        #[command(flatten)]
        form: KeyForm,
        #[command(flatten)]
        cluster: Cluster,
    },
}

#[derive(Args, Debug)]
pub struct GetCommand {
    /// The key
    key: OsString,
    #[command(flatten)]
    key_form: KeyForm,
    /// Print version, seconds left (0: never expires) and size on a line before
    #[arg(long)]
    meta: bool,
    #[command(flatten)]
    form: ValueForm,
    /// Print JSON for programs, as docs/command-line-json.md says
    #[arg(long, conflicts_with_all = ["meta", "hex", "base64"])]
    json: bool,
    #[command(flatten)]
    at: At,
    #[command(flatten)]
    cluster: Cluster,
}

#[derive(Args, Debug)]
pub struct WriteCommand {
    /// The key
    key: OsString,
    #[command(flatten)]
    value: Value,
    #[command(flatten)]
    write: Write,
}

#[derive(Args, Debug)]
pub struct CasCommand {
    /// The key
    key: OsString,
    /// The version that the key must have; 0: the key must be absent
    version: u64,
    #[command(flatten)]
    value: Value,
    #[command(flatten)]
    write: Write,
}

/// The options of a write besides its value.
#[derive(Args, Debug)]
pub struct Write {
    #[command(flatten)]
    key_form: KeyForm,
    #[command(flatten)]
    json: AsJson,
    #[command(flatten)]
    cluster: Cluster,
}

impl DataCommand {
    /// Does what the command asks for.
    pub fn run(self) -> Result<(), Failure> {
        match self {
            DataCommand::Get(command) => command.run(),
            DataCommand::Set(WriteCommand { key, value, write }) => {
                write.run(key, value, async |client, key, NewValue { bytes, exptime, lease }| {
                    client.set_with_lease(key, exptime, &bytes, lease).await
                })
            }
            DataCommand::Add(WriteCommand { key, value, write }) => {
                write.run(key, value, async |client, key, NewValue { bytes, exptime, lease }| {
                    client.add_with_lease(key, exptime, &bytes, lease).await
                })
            }
            DataCommand::Cas(CasCommand { key, version, value, write }) => {
                write.run(key, value, async |client, key, NewValue { bytes, exptime, lease }| {
                    client.cas_with_lease(key, exptime, version, &bytes, lease).await
                })
            }
            DataCommand::Delete { key, form, cluster } => {
                let key = form.bytes(&key)?;
                cluster.ask(async |client| client.delete(key).await)
            }
        }
    }
}

impl GetCommand {
    fn run(self) -> Result<(), Failure> {
        let key = self.key_form.bytes(&self.key)?;
        let get = async |client: &mut Client| match self.at.revision() {
            Some(revision) => client.at(revision).getm(&key).await,
            None => client.getm(&key).await,
        };
        let item = self.cluster.ask(get)?;
        if self.json {
            return print(object(&key, &item).line().as_bytes());
        }
        let value = self.value(&item, io::stdout().is_terminal());
        let numbers = if self.meta { format!("{}\n", numbers(&item)) } else { String::new() };
        print(&[numbers.into_bytes(), value].concat())
    }

    /// The value as it is printed: its bytes alone, or a line.
    fn value(&self, item: &Item, is_terminal: bool) -> Vec<u8> {
        let line = self.form.line(&item.value);
        match line.or_else(|| is_terminal.then(|| quoted(&item.value))) {
            Some(line) => format!("{line}\n").into_bytes(),
            None => item.value.clone(),
        }
    }
}

impl Write {
    fn run(
        self,
        key: OsString,
        value: Value,
        write: impl AsyncFnOnce(&mut Client, Vec<u8>, NewValue) -> Result<u64, Error>,
    ) -> Result<(), Failure> {
        let (key, value) = (self.key_form.bytes(&key)?, value.read()?);
        let version = self.cluster.ask(async |client| write(client, key, value).await)?;
        self.json.print(|| Object::new().raw("version", version), || format!("{version}\n"))
    }
}
