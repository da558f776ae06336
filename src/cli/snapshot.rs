//! `snapshot save`, `inspect` and `restore`: backups, which are snapshot files that a client
//! fetches (docs/operations.md, docs/adr/0011).

use std::ffi::OsString;
use std::fs;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bytes::Bytes;
use clap::{Args, Subcommand};
use coracle::actors::snapshot::load::LoadError;
use coracle::client::{Client, DEADLINE_MAX, Options, SnapshotName};
use coracle::config::{Overrides, Settings};
use coracle::kv::{self, Answer, Query, SnapshotError, Store, StoreLoader};
use coracle::node::draw_incarnation;
use coracle::storage::{
    self, NewServer, RealDisk, SnapshotFile, SnapshotHead, StorageError, read_snapshot,
};
use coracle::types::{
    Change, Format, LogIndex, LogPosition, Member, Membership, NodeId, SnapshotId, Term,
};

use super::cluster::{Cluster, block_on};
use super::endpoints::ConfigFile;
use super::failure::Failure;
use super::json::{AsJson, Object, json_bytes};
use super::new_file::{NewFile, cannot};
use super::output::{bar, print, spinner};
use super::text::quoted;

/// The pause before a server is asked again that could not send its snapshot to the end.
const PAUSE: Duration = Duration::from_millis(200);
/// Number of keys that are looked up at a time.
const PAGE_KEYS: u64 = 10_000;

#[derive(Debug, Subcommand)]
pub enum SnapshotCommand {
    /// Fetch a consistent cut of the running cluster into a file: a backup
    Save(Save),
    /// Read a backup from its first byte to its last, and print what it is
    Inspect(Inspect),
    /// Make the data directories of a new cluster's servers out of a backup
    Restore(Restore),
}

#[derive(Args, Debug)]
pub struct Save {
    /// The file to make
    file: PathBuf,
    /// Replace the file if it is there
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    json: AsJson,
    // A server that is writing a snapshot may need its `request_timeout_ms` for a reply.
    #[command(flatten)]
    cluster: Cluster<600_000, 15_000>,
}

#[derive(Args, Debug)]
pub struct Inspect {
    /// The backup
    file: PathBuf,
    #[command(flatten)]
    json: AsJson,
    /// Print its keys instead, those that begin with PREFIX, in byte order: a line "key version
    /// seconds size", seconds being what it had left (0: never expires)
    #[arg(long, value_name = "PREFIX", num_args = 0..=1, default_missing_value = "")]
    keys: Option<OsString>,
}

#[derive(Args, Debug)]
pub struct Restore {
    /// The backup
    file: PathBuf,
    /// The new cluster's servers.toml: another name as `cluster` than the backup's
    #[command(flatten)]
    servers: ConfigFile,
    /// One of its servers; may be given more than once
    #[arg(long, required_unless_present = "all", conflicts_with = "all")]
    id: Vec<u64>,
    /// All of its servers
    #[arg(long)]
    all: bool,
    /// Begin N revisions above that of the backup, and without its history: give more than the lost
    /// cluster can have written since, and no client sees a revision twice
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1 << 40))]
    bump_revision: Option<u64>,
    /// Directory of all servers' files, as in `coracle serve`
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    #[command(flatten)]
    json: AsJson,
}

impl SnapshotCommand {
    /// Does what the command asks for.
    pub fn run(self) -> Result<(), Failure> {
        match self {
            SnapshotCommand::Save(save) => save.run(),
            SnapshotCommand::Inspect(inspect) => inspect.run(),
            SnapshotCommand::Restore(restore) => restore.run(),
        }
    }
}

impl Save {
    fn run(self) -> Result<(), Failure> {
        let began = Instant::now();
        let file = NewFile::plan(&self.file, self.force)?;
        let name = block_on(self.fetch(&file))??;
        let backup = Backup::read(file.unfinished())?;
        if backup.file.id() != id_of(name) {
            let path = file.unfinished().display();
            return Err(Failure::No(format!("{path} is another snapshot than was fetched")));
        }
        file.keep()?;
        let facts = [
            ("last_included_index", name.last_included_index.to_string(), false),
            ("last_included_term", name.last_included_term.to_string(), false),
            ("keys", backup.store.keys().to_string(), false),
            ("bytes", name.bytes.to_string(), false),
            ("digest", format!("{:032x}", name.digest), true),
            ("seconds", format!("{:.3}", began.elapsed().as_secs_f64()), false),
        ];
        self.json.print(|| object(&facts), || words(&facts) + "\n")
    }

    /// Fetches the snapshot, and begins again when the server is lost or has it no longer.
    async fn fetch(&self, file: &NewFile) -> Result<SnapshotName, Failure> {
        let until = Instant::now() + self.cluster.timeout();
        let servers = self.cluster.roster().await?.addresses();
        loop {
            let deadline = until.saturating_duration_since(Instant::now()).min(DEADLINE_MAX);
            let try_timeout = self.cluster.try_timeout();
            let options = Options { deadline, try_timeout, ..Options::default() };
            match fetch_once(&servers, file, options).await {
                Err(Failure::Unavailable(_)) if Instant::now() + PAUSE < until => {
                    tokio::time::sleep(PAUSE).await;
                }
                fetched => return fetched,
            }
        }
    }
}

async fn fetch_once(
    servers: &[String],
    new: &NewFile,
    options: Options,
) -> Result<SnapshotName, Failure> {
    let mut client = Client::connect(servers, options).await?;
    let waiting = spinner("waiting for the leader's snapshot".into());
    let begun = client.begin_snapshot().await;
    waiting.finish_and_clear();
    let mut download = begun?;
    let progress = bar(download.name().bytes, "fetching");
    let written = |error: io::Error| cannot("write", new.unfinished(), &error);
    let mut file = new.create()?;
    while let Some(piece) = download.next_piece().await? {
        file.write_all(&piece).map_err(written)?;
        progress.inc(piece.len() as u64);
    }
    file.sync_all().map_err(written)?;
    progress.finish_and_clear();
    Ok(download.name())
}

impl Inspect {
    fn run(self) -> Result<(), Failure> {
        let backup = Backup::read(&self.file)?;
        match self.keys {
            Some(prefix) => backup.print_keys(prefix.as_bytes(), self.json),
            None => self.json.print(|| object(&backup.facts()), || backup.text()),
        }
    }
}

impl Restore {
    fn run(self) -> Result<(), Failure> {
        let overrides = Overrides { data_dir: self.data_dir.clone(), ..Overrides::default() };
        let settings = Settings::load(&self.servers.config, &overrides)?;
        let ids: Vec<NodeId> = match self.all {
            true => settings.servers.keys().copied().collect(),
            false => self.id.iter().copied().map(NodeId).collect(),
        };
        for id in &ids {
            settings.server(*id)?;
        }
        let mut backup = Backup::read(&self.file)?;
        if let Some(by) = self.bump_revision
            && !backup.store.bump_revision(by)
        {
            let format = &backup.file.head.state.format.format;
            let file = self.file.display();
            return Err(Failure::No(format!(
                "{file} is of format {format}, which counts no revisions: restore it without \
                 --bump-revision"
            )));
        }
        for id in ids {
            let data_dir = &settings.server(id)?.data_dir;
            let waiting = spinner(format!("restoring server {id}"));
            let incarnation = draw_incarnation()?;
            let owner = NewServer { cluster: &settings.cluster, node_id: id, incarnation };
            let restored = match self.bump_revision {
                None => storage::restore(&RealDisk, &self.file, data_dir, owner)
                    .map_err(LoadError::from),
                Some(_) => backup.restore(&self.file, data_dir, owner),
            };
            waiting.finish_and_clear();
            let file = restored.map_err(|error| no(&self.file, error))?;
            let facts = restored_facts(id, data_dir, &file);
            self.json.print(|| object(&facts), || format!("restored {}\n", words(&facts)))?;
        }
        Ok(())
    }
}

fn restored_facts(id: NodeId, data_dir: &Path, file: &SnapshotFile) -> [Fact; 5] {
    let LogPosition { index, term } = file.head.last;
    [
        ("server", id.to_string(), false),
        ("data_dir", data_dir.display().to_string(), true),
        ("last_included_index", index.to_string(), false),
        ("last_included_term", term.to_string(), false),
        ("origin", format!("{:032x}", file.digest), true),
    ]
}

/// A name, a value, and true when the value is text and no number.
type Fact = (&'static str, String, bool);

/// The facts on one line, each as `name=value`.
fn words(facts: &[Fact]) -> String {
    let words = facts.iter().map(|(name, value, _)| format!("{name}={value}"));
    words.collect::<Vec<_>>().join(" ")
}

/// The facts as JSON.
fn object(facts: &[Fact]) -> Object {
    facts.iter().fold(Object::new(), |object, (name, value, is_text)| match is_text {
        true => object.text(name, value),
        false => object.raw(name, value),
    })
}

/// A snapshot file that was read from its first to its last byte.
struct Backup {
    file: SnapshotFile,
    store: Store,
}

impl Backup {
    fn read(path: &Path) -> Result<Backup, Failure> {
        let bytes = fs::metadata(path).map_err(|error| cannot("read", path, &error))?.len();
        let progress = bar(bytes, "checking");
        let mut loader = StoreLoader::new();
        let read = read_snapshot(&RealDisk, path, |block| {
            progress.inc(block.len() as u64);
            loader.load(block).map_err(LoadError::from)
        });
        let loaded = read.and_then(|file| {
            let store = loader.finish_in(file.head.state.format.format)?;
            Ok((file, store))
        });
        progress.finish_and_clear();
        let (file, store) = loaded.map_err(|error| no(path, error))?;
        if file.head.last.index != store.last_applied() {
            let (path, last) = (path.display(), store.last_applied());
            return Err(Failure::No(format!("{path} holds a store up to another entry: {last}")));
        }
        Ok(Backup { file, store })
    }

    /// Makes the data directory of a server with the store, which may have changed since it was
    /// read.
    fn restore(
        &self,
        path: &Path,
        data_dir: &Path,
        owner: NewServer<'_>,
    ) -> Result<SnapshotFile, LoadError> {
        let blocks = self.store.snapshot_blocks().map(|block| {
            block.map_err(|error| LoadError::from(SnapshotError::Malformed(error.to_string())))
        });
        storage::restore_bodies(&RealDisk, (path, &self.file.head), blocks, data_dir, owner)
    }

    fn facts(&self) -> Vec<Fact> {
        let SnapshotFile { head, bytes, digest } = &self.file;
        let SnapshotHead { cluster, last, stamp_ms, state } = head;
        let membership = state.membership.as_ref().map(|(_, membership)| membership);
        let voters = membership.map(|membership| ids(&membership.voters)).unwrap_or_default();
        let mut facts = vec![
            ("format_version", head.version().to_string(), false),
            ("cluster", cluster.clone(), true),
            ("last_included_index", last.index.to_string(), false),
            ("last_included_term", last.term.to_string(), false),
            ("membership", voters, true),
            ("stamp_ms", stamp_ms.to_string(), false),
            ("keys", self.store.keys().to_string(), false),
            ("clients", self.store.clients().to_string(), false),
            ("bytes", bytes.to_string(), false),
            ("digest", format!("{digest:032x}"), true),
            ("store_digest", format!("{:016x}", self.store.digest()), true),
        ];
        // A backup of format 1 does not name them.
        if head.state.format.format > Format::FIRST {
            let cluster_id = state.cluster_id.map(|id| id.to_string()).unwrap_or_default();
            facts.push(("format", state.format.format.to_string(), false));
            facts.push(("format_since", state.format.since.clone(), true));
            facts.push(("cluster_id", cluster_id, true));
        }
        // Before format 4 no revisions are counted.
        if head.state.format.format >= Format(4) {
            let status = self.store.status();
            facts.push(("revision", status.revision.to_string(), false));
            facts.push(("compacted_revision", status.compacted_revision.to_string(), false));
            facts.push(("history_changes", status.history_changes.to_string(), false));
            facts.push(("leases", status.leases.to_string(), false));
        }
        facts.extend(
            membership
                .filter(|membership| !membership.is_seed())
                .map(member_facts)
                .into_iter()
                .flatten(),
        );
        facts
    }

    fn text(&self) -> String {
        let line = |(name, value, _): Fact| match value.is_empty() {
            true => format!("{name} none\n"),
            false => format!("{name} {}\n", value.escape_debug()),
        };
        self.facts().into_iter().map(line).collect()
    }

    fn print_keys(&self, prefix: &[u8], json: AsJson) -> Result<(), Failure> {
        let (prefix, mut after) = (Bytes::copy_from_slice(prefix), None);
        loop {
            let query = Query::Scan { prefix: prefix.clone(), limit: PAGE_KEYS, after, at: 0 };
            let answer = self.store.query(&query, self.store.clock_ms()).map_err(|error| {
                let memory = "the memory of this machine holds other bytes than were written there";
                Failure::No(format!("{memory}: {error}"))
            })?;
            let Answer::Scan { items, more } = answer else {
                unreachable!("a scan is answered by a scan");
            };
            let line = |(key, item): &(Bytes, kv::Item)| {
                let kv::Item { value, version, exptime } = item;
                if !json.is_wanted() {
                    return format!("{} {version} {exptime} {}\n", quoted(key), value.len());
                }
                let object = Object::new().raw("key", json_bytes(key)).raw("version", version);
                object.raw("exptime", exptime).raw("size", value.len()).line()
            };
            print(items.iter().map(line).collect::<String>().as_bytes())?;
            match items.into_iter().last() {
                Some((last, _)) if more => after = Some(last),
                _ => return Ok(()),
            }
        }
    }
}

fn ids<'a>(ids: impl IntoIterator<Item = &'a NodeId>) -> String {
    ids.into_iter().map(NodeId::to_string).collect::<Vec<_>>().join(",")
}

/// The facts of a membership with addresses, besides its voters.
fn member_facts(membership: &Membership) -> [Fact; 6] {
    let Membership { outgoing, members, change, last_id, removed, .. } = membership;
    let learners = members.keys().filter(|id| membership.is_learner(**id));
    let address =
        |(id, Member { peer, client }): (&NodeId, &Member)| format!("{id}={peer}/{client}");
    let addresses = members.iter().map(address).collect::<Vec<_>>().join(",");
    let change = change.as_ref().map(|Change { number, what }| format!("{number}: {what}"));
    let removed = removed.iter().map(|(id, at)| format!("{id}@{at}")).collect::<Vec<_>>().join(",");
    [
        ("outgoing", ids(outgoing), true),
        ("learners", ids(learners), true),
        ("addresses", addresses, true),
        ("change", change.unwrap_or_default(), true),
        ("last_id", last_id.to_string(), false),
        ("removed", removed, true),
    ]
}

fn id_of(name: SnapshotName) -> SnapshotId {
    let SnapshotName { last_included_index: index, last_included_term: term, bytes, digest } = name;
    let last = LogPosition { index: LogIndex(index), term: Term(term) };
    SnapshotId { last, bytes, digest }
}

/// The failure to read a backup, or to write to its destination.
fn no(path: &Path, error: LoadError) -> Failure {
    let path = path.display();
    Failure::No(match error {
        LoadError::Storage(StorageError::Damaged { offset, what, .. }) => {
            format!("{path} is damaged at byte {offset}: {what}; do not rely on this backup")
        }
        LoadError::Store(error) => format!("{path} is no backup of a store: {error}"),
        LoadError::Storage(error) => error.to_string(),
    })
}
