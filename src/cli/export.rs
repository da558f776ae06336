//! `export`: the keys of the running cluster as lines of JSON, all as they were at one revision
//! (docs/adr/0033).

use std::ffi::OsString;
use std::fs::File;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use coracle::client::{Client, Error};
use indicatif::ProgressBar;

use super::cluster::{Cluster, block_on};
use super::failure::Failure;
use super::json::{AsJson, Object};
use super::key_lines::{Header, header, key_line, trailer};
use super::new_file::{NewFile, cannot};
use super::output::{UntilClosed, key_counter};

#[derive(Args, Debug)]
pub struct ExportCommand {
    /// Export the keys that begin with this; without it, every key
    #[arg(default_value = "", hide_default_value = true)]
    prefix: OsString,
    /// Write to this file instead of standard output, and print a summary. It is written under
    /// another name, which ends in .new, and has its own name when it is whole
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replace the file if it is there
    #[arg(long, requires = "output")]
    force: bool,
    /// Print the summary as an object of JSON, for programs
    #[arg(long, requires = "output")]
    json: bool,
    #[command(flatten)]
    cluster: Cluster,
}

/// Number of keys in one page, for which the server is busy for some milliseconds.
const PAGE_KEYS: u64 = 2_000;

/// The numbers of an export that is done.
struct Exported {
    revision: u64,
    keys: u64,
    bytes: u64,
}

impl ExportCommand {
    /// Writes the keys.
    pub fn run(self) -> Result<(), Failure> {
        match &self.output {
            None => self.to_stdout(),
            Some(path) => self.to_file(NewFile::plan(path, self.force)?),
        }
    }

    fn to_stdout(&self) -> Result<(), Failure> {
        let mut stdout = UntilClosed::default();
        let written = self.write(|bytes| Ok(stdout.write_all(bytes)?));
        // The reader has seen enough.
        if stdout.is_closed() { Ok(()) } else { written.map(|_| ()) }
    }

    fn to_file(&self, new: NewFile) -> Result<(), Failure> {
        let began = Instant::now();
        let mut file: File = new.create()?;
        let failed = |error| cannot("write", new.unfinished(), &error);
        let exported = self.write(|bytes| file.write_all(bytes).map_err(failed))?;
        file.sync_all().map_err(failed)?;
        new.keep()?;
        let seconds = began.elapsed().as_secs_f64();
        exported.print_summary(seconds, AsJson { json: self.json })
    }

    /// Reads the keys and gives their lines to `write`, page by page.
    fn write(
        &self,
        mut write: impl FnMut(&[u8]) -> Result<(), Failure>,
    ) -> Result<Exported, Failure> {
        let progress = key_counter("exporting", None);
        let exported = block_on(async {
            let mut client = self.cluster.connect().await?;
            self.write_pages(&mut client, &progress, &mut write).await
        })?;
        progress.finish_and_clear();
        exported
    }

    async fn write_pages(
        &self,
        client: &mut Client,
        progress: &ProgressBar,
        write: &mut impl FnMut(&[u8]) -> Result<(), Failure>,
    ) -> Result<Exported, Failure> {
        let revision = client.revision().await?;
        let prefix = self.prefix.as_bytes();
        let mut lines = header(&Header { revision, prefix: prefix.to_vec() });
        let (mut keys, mut bytes, mut after) = (0, 0, None::<Vec<u8>>);
        loop {
            let page = client.at(revision).scan(prefix, PAGE_KEYS, after.as_deref());
            let page = page.await.map_err(|error| ended(error, revision))?;
            page.items.iter().for_each(|item| lines += &key_line(item));
            keys += page.items.len() as u64;
            if !page.more {
                lines += &trailer(keys);
            }
            write(lines.as_bytes())?;
            bytes += lines.len() as u64;
            progress.set_position(keys);
            if !page.more {
                return Ok(Exported { revision, keys, bytes });
            }
            lines.clear();
            after = page.items.into_iter().last().map(|item| item.key);
        }
    }
}

/// The failure of a page at a revision.
fn ended(error: Error, revision: u64) -> Failure {
    let Error::Compacted { revision: oldest } = error else { return error.into() };
    Failure::No(format!(
        "revision {revision} was compacted while it was exported ({oldest} is the oldest that can \
         be read): more was written meanwhile than [history] keep_revisions and bytes_max keep; \
         raise them, export a prefix at a time, or take a backup, which needs no history (`coracle \
         snapshot save FILE`)"
    ))
}

impl Exported {
    fn print_summary(&self, seconds: f64, json: AsJson) -> Result<(), Failure> {
        let Exported { revision, keys, bytes } = self;
        let rate = *keys as f64 / seconds.max(0.001);
        let object = || {
            let object = Object::new().raw("revision", revision).raw("keys", keys);
            let object = object.raw("bytes", bytes).raw("seconds", format!("{seconds:.3}"));
            object.raw("keys_per_second", format!("{rate:.0}"))
        };
        let text = || {
            format!(
                "revision={revision} keys={keys} bytes={bytes} seconds={seconds:.3} \
                 keys_per_second={rate:.0}\n"
            )
        };
        json.print(object, text)
    }
}
