//! Inspection of a stopped server's directory from the command line: `dump` reads the log out,
//! `verify` checks everything. Both take the lock, so that nothing changes meanwhile, and change
//! nothing themselves.

use std::io;
use std::path::Path;

use super::directory::take_lock;
use super::disk::{Disk, DiskLock};
use super::diverged;
use super::error::{IoContext, StorageError};
use super::examine::{Examined, examine};
use super::identity;
use super::incarnation;
use super::log::files::{log_dir, segment_numbers};
use super::log::recovery::Scanned;
use crate::types::{Entry, FormatRange, HardState, LogIndex, LogPosition, LogSummary, NodeId};

/// Number of bytes of entries that are in memory at a time.
const DUMP_BYTES: u64 = 1024 * 1024;

/// The result of [`verify`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyReport {
    /// Number of segment files.
    pub segments: u64,
    /// Number of records in them.
    pub records: u64,
    /// Number of records that a later record has superseded.
    pub superseded: u64,
    /// The end of the log.
    pub last: LogPosition,
    /// Term and vote.
    pub hard_state: HardState,
    /// Sentences that say what the next start would repair.
    pub notes: Vec<String>,
}

/// A part of a log that [`dump`] reads out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dumped<'a> {
    /// The first part.
    Head {
        /// Term and vote.
        hard_state: HardState,
        /// The end of the log.
        last: LogPosition,
        /// Sentences that say what the next start would repair.
        notes: &'a [String],
    },
    /// An entry.
    Entry(&'a Entry),
}

/// Reads out the hard state, and the entries from `from` to `to`, each with a call of `take`.
///
/// # Errors
/// When a server runs there, when the directory is damaged or has a format that this program does
/// not read, and an error of `take`, which writes it somewhere.
pub fn dump(
    disk: &dyn Disk,
    dir: &Path,
    (from, to): (LogIndex, LogIndex),
    take: &mut dyn FnMut(Dumped<'_>) -> io::Result<()>,
) -> Result<(), StorageError> {
    let (Examined { mut scanned, .. }, _lock) = inspect(disk, dir)?;
    let mut take = |part: Dumped<'_>| take(part).during("write", Path::new("the output"));
    take(Dumped::Head {
        hard_state: scanned.loaded.newest.hard_state,
        last: scanned.summary.runs.last(),
        notes: &scanned.notes,
    })?;
    let mut next = from.max(scanned.index.runs().base().index.next());
    loop {
        let entries = scanned.index.read(disk, next, to, DUMP_BYTES)?;
        let Some(last) = entries.last() else { return Ok(()) };
        next = last.index.next();
        for entry in &entries {
            take(Dumped::Entry(entry))?;
        }
    }
}

/// Reads and checks everything.
///
/// # Errors
/// When a server runs there, when the directory is damaged, and when it has a format that this
/// program does not read. A torn tail is not damage: it is
/// in the notes.
pub fn verify(disk: &dyn Disk, dir: &Path) -> Result<VerifyReport, StorageError> {
    let (examined, _lock) = inspect(disk, dir)?;
    incarnation::read(disk, dir, examined.format())?;
    let mut scanned = examined.scanned;
    scanned.notes.extend(diverged::told(disk, dir)?);
    let last = scanned.summary.runs.last();
    Ok(VerifyReport {
        segments: scanned.index.last_segment() + 1 - scanned.index.first_segment(),
        records: scanned.records,
        superseded: scanned.records - (last.index.0 - scanned.index.runs().base().index.0),
        last,
        hard_state: scanned.loaded.newest.hard_state,
        notes: scanned.notes,
    })
}

/// The directory of a stopped server, to be read. Nobody can start the server meanwhile.
pub struct StoppedServer {
    /// The server.
    pub id: NodeId,
    /// The name of its cluster, with special characters escaped.
    pub cluster: String,
    /// Term and vote, and what it knows it has lost.
    pub hard_state: HardState,
    /// The log without its entries, up to the damage if it is damaged.
    pub log: LogSummary,
    /// A sentence about the damage of the log.
    pub damage: Option<String>,
    scanned: Scanned,
    _lock: Option<DiskLock>,
}

impl StoppedServer {
    /// Reads the directory. Damage of the log is no error.
    ///
    /// # Errors
    /// When a server runs there, and when another file is damaged.
    pub fn open(disk: &dyn Disk, dir: &Path) -> Result<StoppedServer, StorageError> {
        let (id, lock) = identify(disk, dir)?;
        let (cluster, ..) = identity::read(disk, dir)?.unwrap_or_default();
        let Examined { scanned, damage, .. } = examine(disk, dir, id, FormatRange::OWN)?;
        Ok(StoppedServer {
            id,
            cluster,
            hard_state: scanned.loaded.newest.hard_state,
            log: scanned.summary.clone(),
            damage: damage.map(|damage| damage.finding()),
            scanned,
            _lock: lock,
        })
    }

    /// True when `name` is the name of the cluster.
    pub fn is_of_cluster(&self, name: &str) -> bool {
        identity::escaped(name) == self.cluster
    }

    /// Reads entries from `from` on, at least one if there are any, and about a megabyte.
    ///
    /// # Errors
    /// When the disk cannot be read.
    pub fn read(&mut self, disk: &dyn Disk, from: LogIndex) -> Result<Vec<Entry>, StorageError> {
        self.scanned.index.read(disk, from, LogIndex(u64::MAX), DUMP_BYTES)
    }
}

fn inspect(disk: &dyn Disk, dir: &Path) -> Result<(Examined, Option<DiskLock>), StorageError> {
    let (node_id, lock) = identify(disk, dir)?;
    let mut examined = examine(disk, dir, node_id, FormatRange::OWN)?;
    examined.damage.take().map_or(Ok((examined, lock)), Err)
}

/// Takes the lock, and returns the server that the directory belongs to.
fn identify(disk: &dyn Disk, dir: &Path) -> Result<(NodeId, Option<DiskLock>), StorageError> {
    let names = disk.list(dir).during("list", dir)?;
    // A copy of a directory may have no lock file. None is created.
    let is_lockable = names.iter().any(|name| name == "lock");
    let lock = if is_lockable { Some(take_lock(disk, dir)?) } else { None };
    let Some((node_id, _)) = identity::check(disk, dir, None)? else {
        return Err(if segment_numbers(disk, dir)?.is_empty() {
            StorageError::NotADataDirectory { path: dir.to_owned() }
        } else {
            StorageError::FileMissing {
                path: identity::identity_path(dir),
                evidence: format!("{} is there", log_dir(dir).display()),
            }
        });
    };
    Ok((node_id, lock))
}
