//! `import`: writes the keys of an export into the running cluster (docs/adr/0033).

mod batch;
mod loader;

use std::fs::File;
use std::io::{self, BufReader, Seek};
use std::path::PathBuf;
use std::thread;
use std::time::Instant;

use clap::Args;
use coracle::client::Client;
use tokio::sync::mpsc::channel;

use self::batch::{Input, send_batches};
use self::loader::{Counts, Loader};
use super::cluster::{Cluster, block_on, close};
use super::failure::Failure;
use super::json::{AsJson, Object};
use super::key_lines::{KeyReader, ReadError};
use super::new_file::cannot;
use super::output::key_counter;

#[derive(Args, Debug)]
pub struct ImportCommand {
    /// The file; without one, or with -, standard input
    file: Option<PathBuf>,
    /// Leave every key that is there as it is. Without this, a key with another value gets that of
    /// the file
    #[arg(long)]
    only_missing: bool,
    #[command(flatten)]
    json: AsJson,
    #[command(flatten)]
    cluster: Cluster,
}

/// Number of batches that are read ahead.
const BATCHES_AHEAD: usize = 4;
/// Number of connections, each of which has one batch in flight.
const CONNECTIONS: usize = 16;

impl ImportCommand {
    /// Writes the keys. A file is read to its end first, so that nothing of a bad one is written.
    pub fn run(self) -> Result<(), Failure> {
        let name = self.name();
        let bad = |error: ReadError| Failure::No(format!("{name}: {error}"));
        let began = Instant::now();
        let (input, keys) = self.open(bad)?;
        let loaded = block_on(self.load(input, keys, &bad))?;
        print_summary(loaded?, began.elapsed().as_secs_f64(), self.json)
    }

    /// The name of the input, for people.
    fn name(&self) -> String {
        match &self.file {
            Some(file) if file.as_os_str() != "-" => file.display().to_string(),
            _ => "standard input".into(),
        }
    }

    /// The input, and the number of its keys if it is a file that can be read twice.
    fn open(&self, bad: impl Fn(ReadError) -> Failure) -> Result<(Input, Option<u64>), Failure> {
        let named = self.file.as_ref().filter(|file| file.as_os_str() != "-");
        let Some(path) = named else {
            let input = Box::new(BufReader::new(io::stdin()));
            return Ok((KeyReader::begin(input as Box<_>).map_err(bad)?, None));
        };
        let failed = |error| cannot("read", path, &error);
        let mut file = File::open(path).map_err(failed)?;
        let is_regular = file.metadata().map_err(failed)?.is_file();
        let mut keys = None;
        if is_regular {
            keys = Some(check(&file).map_err(&bad)?);
            file.rewind().map_err(failed)?;
        }
        let input = Box::new(BufReader::new(file));
        Ok((KeyReader::begin(input as Box<_>).map_err(bad)?, keys))
    }

    async fn load(
        &self,
        input: Input,
        keys: Option<u64>,
        bad: &impl Fn(ReadError) -> Failure,
    ) -> Result<Counts, Failure> {
        let mut client = self.cluster.connect().await?;
        // A store without such keys needs no comparing.
        let prefix = &input.header().prefix;
        let is_empty = client.scan(prefix, 1, None).await?.items.is_empty();
        let clients: Vec<Client> = (0..CONNECTIONS).map(|_| client.sibling()).collect();
        let (sender, batches) = channel(BATCHES_AHEAD);
        thread::spawn(move || send_batches(input, &sender));
        let progress = key_counter("importing", keys);
        let loader = Loader::new(self.only_missing, !is_empty, progress);
        let loaded = loader.load(clients, batches, bad).await;
        close(client).await;
        loaded
    }
}

/// Reads all of a file; returns the number of its keys.
fn check(file: &File) -> Result<u64, ReadError> {
    let progress = key_counter("checking", None);
    let mut reader = KeyReader::begin(BufReader::new(file))?;
    while reader.next()?.is_some() {
        if reader.keys().is_multiple_of(1_000) {
            progress.set_position(reader.keys());
        }
    }
    progress.finish_and_clear();
    Ok(reader.keys())
}

fn print_summary(counts: Counts, seconds: f64, json: AsJson) -> Result<(), Failure> {
    let Counts { written, unchanged } = counts;
    let keys = written + unchanged;
    let rate = keys as f64 / seconds.max(0.001);
    let object = || {
        let object = Object::new().raw("keys", keys).raw("written", written);
        let object = object.raw("unchanged", unchanged).raw("seconds", format!("{seconds:.3}"));
        object.raw("keys_per_second", format!("{rate:.0}"))
    };
    let text = || {
        format!(
            "keys={keys} written={written} unchanged={unchanged} seconds={seconds:.3} \
             keys_per_second={rate:.0}\n"
        )
    };
    json.print(object, text)
}
