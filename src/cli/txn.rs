//! `txn`: a transaction that is written down as a script.

mod script;

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};

use clap::Args;
use coracle::client::{Client, Committed, Error, OperationResult};

use self::script::{Script, Step};
use super::cluster::Cluster;
use super::failure::{Failure, usage};
use super::json::{AsJson, Object, json_bytes, json_list};
use super::output::print;
use super::text::quoted;

/// The end of the help: what a script is.
pub const GRAMMAR: &str = "A line of the script is a command:\n  \
    check KEY VERSION    only if the key has this version; 0: only if it is absent\n  \
    set KEY VALUE [exptime SECONDS] [lease ID]\n  \
    delete KEY\n  \
    get KEY              print the value\n  \
    getm KEY             print version, seconds left and size as well\n\
    A word with spaces is put between 'single' or \"double\" quotes; between double quotes \\n, \
    \\t, \\r, \\\\, \\\" and \\xHH are one byte each. Empty lines and those that begin with # do \
    not count. If a check does not hold, nothing is executed, and the exit code is 1.";

#[derive(Args, Debug)]
pub struct TxnCommand {
    /// The script; without a file, or with -, standard input
    file: Option<OsString>,
    #[command(flatten)]
    json: AsJson,
    #[command(flatten)]
    cluster: Cluster,
}

/// Maximum number of bytes of a script: more are in no transaction.
const SCRIPT_BYTES_MAX: u64 = 64 * 1024 * 1024;

impl TxnCommand {
    pub fn run(self) -> Result<(), Failure> {
        let script = Script::parse(&self.read()?).map_err(usage)?;
        let transaction = script.transaction();
        let execute = async |client: &mut Client| client.transaction(transaction).await;
        match self.cluster.ask_for(execute)? {
            Ok(committed) => {
                self.json.print(|| object(&script, &committed), || text(&script, &committed))
            }
            Err(Error::Aborted { key, version }) => {
                if self.json.is_wanted() {
                    let aborted = Object::new().raw("committed", false);
                    let aborted = aborted.raw("key", json_bytes(&key)).raw("version", version);
                    print(aborted.line().as_bytes())?;
                }
                Err(aborted(&key, version))
            }
            Err(error) => Err(error.into()),
        }
    }

    fn read(&self) -> Result<Vec<u8>, Failure> {
        let mut bytes = Vec::new();
        let named = self.file.as_ref().filter(|file| *file != "-");
        let read = match named {
            Some(file) => File::open(file)
                .and_then(|file| file.take(SCRIPT_BYTES_MAX + 1).read_to_end(&mut bytes))
                .map_err(|error| usage(format!("{}: {error}", file.display())))?,
            None => io::stdin().lock().take(SCRIPT_BYTES_MAX + 1).read_to_end(&mut bytes)?,
        };
        if read as u64 > SCRIPT_BYTES_MAX {
            return Err(usage(format!("a script has at most {SCRIPT_BYTES_MAX} bytes")));
        }
        Ok(bytes)
    }
}

fn aborted(key: &[u8], version: u64) -> Failure {
    let key = quoted(key);
    Failure::No(match version {
        0 => format!("nothing was executed: {key} is absent"),
        version => format!("nothing was executed: the version of {key} is {version}"),
    })
}

/// A line `committed revision`, and one for each command but the checks. The line of a value
/// follows.
fn text(script: &Script, committed: &Committed) -> String {
    let mut text = format!("committed {}\n", committed.revision);
    let mut line = |word: &str, key: &[u8], numbers: &str, value: Option<&[u8]>| {
        text += &format!("{word} {}{numbers}\n", quoted(key));
        if let Some(value) = value {
            text += &format!("{}\n", quoted(value));
        }
    };
    for (step, result) in script.answered().zip(&committed.results) {
        let key = step.key();
        match result {
            OperationResult::Stored { version } => {
                line("stored", key, &format!(" {version}"), None);
            }
            OperationResult::Deleted { was_there: true } => line("deleted", key, "", None),
            OperationResult::Deleted { was_there: false }
            | OperationResult::Value(None)
            | OperationResult::Item(None) => line("absent", key, "", None),
            OperationResult::Value(Some(value)) => {
                line("value", key, &format!(" {}", value.len()), Some(value));
            }
            OperationResult::Item(Some(item)) => {
                let numbers = format!(" {} {} {}", item.version, item.exptime, item.value.len());
                line("value", key, &numbers, Some(&item.value));
            }
            OperationResult::Compacted { revision } => {
                line("compacted", key, &format!(" {revision}"), None);
            }
        }
    }
    text
}

fn object(script: &Script, committed: &Committed) -> Object {
    let results = script.answered().zip(&committed.results);
    let results = results.map(|(step, result)| result_object(step, result));
    let object = Object::new().raw("committed", true).raw("revision", committed.revision);
    object.raw("results", json_list(results))
}

fn result_object(step: &Step, result: &OperationResult) -> Object {
    let object = Object::new().text("command", step.word()).raw("key", json_bytes(step.key()));
    match result {
        OperationResult::Stored { version } => object.raw("version", version),
        OperationResult::Deleted { was_there } => object.raw("was_there", was_there),
        OperationResult::Value(value) => object.optional("value", value.as_deref().map(json_bytes)),
        OperationResult::Item(None) => object.raw("value", "null"),
        OperationResult::Item(Some(item)) => {
            let object = object.raw("version", item.version).raw("exptime", item.exptime);
            object.raw("value", json_bytes(&item.value))
        }
        OperationResult::Compacted { revision } => object.raw("compacted", revision),
    }
}

#[cfg(test)]
mod tests;
