//! `watch`, `history` and `compact`: the changes of keys, those to come and those that are kept.

use std::ffi::OsString;
use std::io::Write;

use clap::Args;
use coracle::client::{Change, ChangeKind, Changes, Client, Error, WatchSpec};

use super::changes::Form;
use super::cluster::{Cluster, block_on};
use super::failure::Failure;
use super::json::{AsJson, Object};
use super::output::{UntilClosed, print};
use super::paint::Paint;
use super::scan::asked_prefix;
use super::typed::KeyForm;

#[derive(Args, Debug)]
pub struct WatchCommand {
    /// Watch the keys that begin with this, which is taken as it is, also *; an empty prefix ("")
    /// means every key
    prefix: OsString,
    #[command(flatten)]
    key_form: KeyForm,
    /// Watch only the key that is PREFIX
    #[arg(long)]
    key: bool,
    /// Begin with the changes of this revision, which may be long ago. Without this the watch
    /// begins with the next change
    #[arg(long, value_name = "REVISION", value_parser = clap::value_parser!(u64).range(1..))]
    from: Option<u64>,
    /// Print before each change the value that was replaced or removed
    #[arg(long)]
    prev: bool,
    /// End when this many changes have been printed; those of one revision are printed together
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
    #[command(flatten)]
    form: Form,
    #[command(flatten)]
    cluster: Cluster,
}

#[derive(Args, Debug)]
pub struct HistoryCommand {
    /// The key
    key: OsString,
    #[command(flatten)]
    key_form: KeyForm,
    #[command(flatten)]
    form: Form,
    #[command(flatten)]
    cluster: Cluster,
}

#[derive(Args, Debug)]
pub struct CompactCommand {
    /// The oldest revision that can be read afterwards
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    revision: u64,
    #[command(flatten)]
    json: AsJson,
    #[command(flatten)]
    cluster: Cluster,
}

/// Number of times that a history is read anew because the store forgot a part of it meanwhile.
const READINGS_MAX: u32 = 8;

impl WatchCommand {
    /// Prints changes until it is stopped, or nobody reads them any more.
    pub fn run(self) -> Result<(), Failure> {
        block_on(async {
            let client = self.cluster.connect().await?;
            let prefix = self.key_form.bytes(&self.prefix)?;
            let watch = client.watch(self.spec(&prefix)?).await;
            let mut watch = watch.map_err(|error| self.ended(error, None))?;
            let (mut output, mut printed) = (UntilClosed::default(), 0);
            while let Some(told) = watch.next().await {
                let told = told.map_err(|error| self.ended(error, Some(watch.revision())));
                let mut told = told?;
                told.changes.retain(|change| change.key.starts_with(&prefix));
                // All of a revision is written at once.
                let written = output.write_all(&self.form.bytes(&told, Paint::of_stdout()));
                if output.is_closed() {
                    break;
                }
                written?;
                output.flush()?;
                printed += told.changes.len() as u64;
                if self.limit.is_some_and(|limit| printed >= limit) {
                    break;
                }
            }
            Ok(())
        })?
    }

    fn spec(&self, prefix: &[u8]) -> Result<WatchSpec, Failure> {
        let spec = match self.key {
            true => WatchSpec::key(prefix)?,
            false => WatchSpec::prefix(asked_prefix(prefix))?,
        };
        let spec = if self.prev { spec.with_previous() } else { spec };
        Ok(match self.from {
            Some(revision) => spec.from(revision),
            None => spec,
        })
    }

    /// The failure with which the watch ends that has told all changes up to a revision.
    fn ended(&self, error: Error, told: Option<u64>) -> Failure {
        let Error::Compacted { revision } = error else { return error.into() };
        let first = match told.filter(|told| *told > 0) {
            Some(told) => told + 1,
            None => self.from.unwrap_or(1),
        };
        Failure::No(format!(
            "the changes from revision {first} on are no longer kept: {revision} is the oldest \
             revision that can be read. Read the keys as they were then (`--at {revision}`), and \
             watch them `--from {}`",
            revision + 1
        ))
    }
}

impl HistoryCommand {
    /// Prints the values that the key has had, and its ends, as far back as they are kept.
    pub fn run(self) -> Result<(), Failure> {
        let key = self.key_form.bytes(&self.key)?;
        let kept = self.cluster.ask(async |client| history(client, &key).await)?;
        let paint = Paint::of_stdout();
        if kept.is_empty() {
            return Err(Error::NotFound.into());
        }
        print(&kept.iter().flat_map(|changes| self.form.bytes(changes, paint)).collect::<Vec<u8>>())
    }
}

impl CompactCommand {
    /// Has the store forget what it was before a revision. Prints the oldest revision that can be
    /// read now.
    pub fn run(self) -> Result<(), Failure> {
        let oldest = self.cluster.ask(async |client| client.compact(self.revision).await)?;
        let object = || Object::new().raw("compacted_revision", oldest);
        self.json.print(object, || format!("{oldest}\n"))
    }
}

/// All changes of a key that are kept, the oldest first. The value that the key had at the oldest
/// revision that can be read is the first of them.
async fn history(client: &mut Client, key: &[u8]) -> Result<Vec<Changes>, Error> {
    let last = client.revision().await?;
    let (mut oldest, mut readings) = (1, 1);
    loop {
        match history_from(client, key, (oldest, last)).await {
            Err(Error::Compacted { revision }) if readings < READINGS_MAX => {
                (oldest, readings) = (revision, readings + 1);
            }
            read => return read,
        }
    }
}

async fn history_from(
    client: &mut Client,
    key: &[u8],
    (oldest, last): (u64, u64),
) -> Result<Vec<Changes>, Error> {
    let mut kept = Vec::new();
    match client.at(oldest).getm(key).await {
        Ok(item) => {
            let kind = ChangeKind::Set { value: item.value, exptime: item.exptime };
            let change = Change { key: key.to_vec(), kind, previous: None };
            kept.push(Changes { revision: item.version, changes: vec![change] });
        }
        Err(Error::NotFound) => {}
        Err(error) => return Err(error),
    }
    // The last change of a key that is there is known. That of another one is behind us when the
    // watch has come to the present.
    let end = match client.at(last.max(oldest)).getm(key).await {
        Ok(item) => item.version,
        Err(Error::NotFound) => last,
        Err(error) => return Err(error),
    };
    if end <= oldest {
        return Ok(kept);
    }
    let spec = WatchSpec::key(key)?.from(oldest + 1).with_progress();
    let mut watch = client.watch(spec).await?;
    while let Some(told) = watch.next().await {
        let told = told?;
        let revision = told.revision;
        if revision <= end && !told.changes.is_empty() {
            kept.push(told);
        }
        if revision >= end {
            break;
        }
    }
    Ok(kept)
}
