//! Errors of the storage, each a sentence for the person who must act.

use std::io;
use std::path::{Path, PathBuf};

use crate::types::{Divergence, FormatInForce, FormatRange, LogPosition, Term};

/// An error of the storage. After one, [`Storage`](super::Storage) does nothing more. Only a full
/// disk that has no room for a snapshot is not fatal: the snapshot is tried again later.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// A system call failed. After a failed write or sync nobody knows what the disk holds (the
    /// kernel may have dropped the pages), so the process has to restart and read the disk.
    #[error("cannot {action} {}: {source}{}", path.display(), advice(source))]
    Io {
        /// The action that failed, a verb.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// Bytes that were once durable are no longer what was written.
    #[error("{}; {}", damaged_at(path, *offset, what), cure(path))]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The first damaged byte of the file.
        offset: u64,
        /// A sentence that says how the damage shows.
        what: String,
    },
    /// Bytes that are what was written, and that this version of the server does not know. They
    /// are never taken for damage: a log that is cut there would lose entries that are whole.
    #[error(
        "{} has at byte {offset} what this version of the server does not know ({what}): nothing \
         was changed; start a version that knows it (`coracle --version` says which one this is)",
        path.display()
    )]
    Unknown {
        /// The file.
        path: PathBuf,
        /// The position in the file.
        offset: u64,
        /// A sentence that says what is unknown.
        what: String,
    },
    /// Something has a format of the cluster that this server does not read. The bytes are what
    /// was written.
    #[error("{}", unreadable(path, needed, *reads))]
    Unreadable {
        /// The file or the directory.
        path: PathBuf,
        /// Its format, and the oldest program that reads it.
        needed: FormatInForce,
        /// The formats that this server reads.
        reads: FormatRange,
    },
    /// The store of this server is not what it should be. The data directory is marked.
    #[error(
        "{}; {dir} is marked: the next start moves its log and its snapshots to \
         {dir}/diverged-{}, where they are kept for inspection, and this server rejoins until it \
         has fetched everything from the others (in a cluster of one or two servers it goes on \
         with what it has); start it again (`coracle serve --id {}`)",
        divergence.found,
        divergence.index,
        id_of(data_dir),
        dir = data_dir.display()
    )]
    Diverged {
        /// The difference.
        divergence: Divergence,
        /// The data directory.
        data_dir: PathBuf,
    },
    /// The log is whole as far as it goes, but it once went further.
    #[error("{}; {}", ends_early(path, *offset, durable, *durable_to), cure(path))]
    EntriesMissing {
        /// The segment.
        path: PathBuf,
        /// The position in the file at which its records end.
        offset: u64,
        /// The last entry that was known to be durable.
        durable: LogPosition,
        /// The position in the file at which the record of that entry ended.
        durable_to: u64,
    },
    /// A file is missing that always exists when certain other files do.
    #[error(
        "{}; put it back, never from an older copy; or: {}",
        missing(path, evidence),
        cure(path)
    )]
    FileMissing {
        /// The file.
        path: PathBuf,
        /// A clause that says what shows that it should exist.
        evidence: String,
    },
    /// The log is damaged, and the other servers cannot repair it: without this server they are
    /// no majority.
    #[error(
        "{damage}; nothing was changed, and nobody can repair it: by the log before that byte, the \
         cluster has one or two servers, and can do nothing without this one; keep a copy of the \
         directory; if the cluster has more servers by now, start this one with an empty directory \
         and --join; otherwise put back a backup by `coracle snapshot restore FILE --all`, or see \
         what is left by `coracle recover plan DIR`; {SEE}"
    )]
    Irreparable {
        /// The damage, as [`StorageError::Damaged`] says it.
        damage: String,
    },
    /// The hard state is older than the log, so a vote may be forgotten.
    #[error(
        "{} says term {current}, but the log reaches {last}: the file is older than the log (was \
         it restored from a copy?), and a vote may be forgotten; put back the newer file; or: {}",
        path.display(),
        cure(path)
    )]
    HardStateStale {
        /// The file.
        path: PathBuf,
        /// The term in the file.
        current: Term,
        /// The end of the log.
        last: LogPosition,
    },
    /// An entry is neither in the log nor in a whole snapshot.
    #[error(
        "no snapshot in {} that is whole reaches entry {base}, and the log does not hold it: \
         nothing was changed, and nobody can send another one to a server of a cluster of one or \
         two; put back a backup by `coracle snapshot restore FILE --all`, or see what the other \
         server has by `coracle recover plan DIR`; {SEE}",
        path.display()
    )]
    SnapshotMissing {
        /// The directory of the snapshots.
        path: PathBuf,
        /// The entry that the log begins after.
        base: LogPosition,
    },
    /// A snapshot of another cluster is among this server's snapshots.
    #[error(
        "{0} is a snapshot of cluster {found:?}, and this server is of cluster {cluster:?}: take \
         it away by `mv {0} {0}.other`; a new cluster begins with it by `coracle snapshot restore \
         {0} --all`",
        path.display()
    )]
    OtherSnapshot {
        /// The file.
        path: PathBuf,
        /// The cluster that it names.
        found: String,
        /// The cluster of the server.
        cluster: String,
    },
    /// The directory belongs to another server.
    #[error(
        "{} belongs to server {found_node} of cluster {found_cluster:?}, not to server {node} of \
         cluster {cluster:?}: `coracle config` prints each server's directory; check --id, \
         data_dir and cluster",
        path.display()
    )]
    OtherOwner {
        /// The identity file.
        path: PathBuf,
        /// The server that it names.
        found_node: u64,
        /// The cluster that it names.
        found_cluster: String,
        /// The server that opens it.
        node: u64,
        /// The cluster of that server.
        cluster: String,
    },
    /// The directory that a backup should be restored into is not empty.
    #[error(
        "{} is not empty: a backup is restored into a new directory; if nobody needs what is in \
         this one (an interrupted restore leaves such a directory), remove it by `rm -r {}`, and \
         restore again",
        path.display(),
        path.display()
    )]
    NotEmpty {
        /// The data directory.
        path: PathBuf,
    },
    /// A backup should be restored into a cluster with the name of the one that it was taken
    /// from.
    #[error(
        "{} was taken from a cluster of the name {cluster:?}, too: give the new one another \
         name (cluster in its servers.toml), so that no server of the old one can join it, and \
         then: `coracle snapshot restore {} --all`",
        path.display(),
        path.display()
    )]
    SameCluster {
        /// The backup.
        path: PathBuf,
        /// The name of both clusters.
        cluster: String,
    },
    /// Another process holds the directory.
    #[error(
        "{} is locked by another process: stop that server first (`fuser -v {}` shows its process)",
        path.display(),
        path.display()
    )]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// The data directory, or a file in it, was deleted, moved or replaced while it was in use.
    #[error(
        "{} was deleted, moved or replaced while this server ran on {}: nobody would find what it \
         writes there, so it acknowledges nothing more; if it was moved, move it back and start \
         the server again (`coracle serve --id {}`), and if it was deleted or replaced by a copy, \
         see \"A server that lost its disk, or a part of its log\" in docs/operations.md",
        path.display(), data_dir.display(), id_of(data_dir)
    )]
    Gone {
        /// The first path that leads to nothing, or to another file than the one that is open.
        path: PathBuf,
        /// The data directory.
        data_dir: PathBuf,
    },
    /// The directory is not the data directory of a server.
    #[error(
        "{} is not the data directory of a server: it has no identity file; `coracle config` \
         prints the directories",
        path.display()
    )]
    NotADataDirectory {
        /// The directory.
        path: PathBuf,
    },
    /// An earlier call failed.
    #[error("the storage stopped at an earlier error")]
    Stopped,
}

impl StorageError {
    /// True when a file or a directory was not there.
    pub(super) fn is_not_found(&self) -> bool {
        matches!(self, StorageError::Io { source, .. }
            if source.kind() == io::ErrorKind::NotFound)
    }

    /// True when bytes that were received are not what was offered, or cannot be read.
    pub(super) fn is_of_no_use(&self) -> bool {
        matches!(
            self,
            StorageError::Damaged { .. }
                | StorageError::Unknown { .. }
                | StorageError::Unreadable { .. }
        )
    }

    /// True when the disk had no room for a write.
    pub fn is_disk_full(&self) -> bool {
        use io::ErrorKind::{QuotaExceeded, StorageFull};
        matches!(self, StorageError::Io { source, .. }
            if matches!(source.kind(), StorageFull | QuotaExceeded))
    }
}

const SEE: &str = "see \"When a server refuses to start\" in docs/internals/log_format.md";

/// The id of the server whose directory this is, by its name.
fn id_of(dir: &Path) -> &str {
    dir.file_name().and_then(|name| name.to_str()).unwrap_or("ID")
}

/// The sentence of [`StorageError::Unreadable`].
fn unreadable(path: &Path, needed: &FormatInForce, reads: FormatRange) -> String {
    let FormatInForce { format, .. } = needed;
    // The text may be from a peer or a file, so nothing in it may reach a terminal as it is.
    let since = needed.since.escape_default();
    let cure = if *format > reads.highest {
        format!("start version {since} or a later one")
    } else {
        format!("start an older version first (the oldest that reads it is {since})")
    };
    format!(
        "{} has format {format}, and this version of coracle, {}, reads formats {reads}: nothing \
         was changed; {cure} (`coracle --version` says which one a program is)",
        path.display(),
        env!("CARGO_PKG_VERSION"),
    )
}

/// The commands that mend a server whose file `path` cannot be relied upon.
fn cure(path: &Path) -> String {
    let parent = path.parent().unwrap_or(path);
    let is_part = parent.file_name().is_some_and(|name| name == "log" || name == "snapshot");
    let dir = if is_part { parent.parent().unwrap_or(parent) } else { parent };
    let name = id_of(dir);
    format!(
        "nothing was changed; if the other servers are a majority without this one, and no other \
         one has lost its data, remove what it has (`rm -r {dir}`) and start it again (`coracle \
         serve --id {name}`): it rejoins and fetches everything; if not, `coracle recover plan \
         {dir}` says what is left; {SEE}",
        dir = dir.display()
    )
}

fn damaged_at(path: &Path, offset: u64, what: &str) -> String {
    format!("{} is damaged at byte {offset}: {what}", path.display())
}

fn ends_early(path: &Path, offset: u64, durable: &LogPosition, durable_to: u64) -> String {
    format!(
        "{} ends at byte {offset}, but entries up to {durable} were durable up to byte \
         {durable_to}: acknowledged entries are missing",
        path.display()
    )
}

fn missing(path: &Path, evidence: &str) -> String {
    format!("{} is missing, but {evidence}", path.display())
}

impl StorageError {
    /// The sentence without the part that says what to do about it.
    pub(crate) fn finding(&self) -> String {
        match self {
            StorageError::Damaged { path, offset, what } => damaged_at(path, *offset, what),
            StorageError::EntriesMissing { path, offset, durable, durable_to } => {
                ends_early(path, *offset, durable, *durable_to)
            }
            StorageError::FileMissing { path, evidence } => missing(path, evidence),
            other => other.to_string(),
        }
    }
}

/// Advice about the most frequent errors of the system.
fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "; make room and start the server again: nothing that was acknowledged is lost"
        }
        io::ErrorKind::PermissionDenied => {
            "; let the user that runs the server read and write everything in its data directory \
             (`chown -R`, `chmod -R u+rwX`)"
        }
        io::ErrorKind::ReadOnlyFilesystem => {
            "; mount the file system writable (`mount -o remount,rw`) and start the server again"
        }
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
            "; a file is where a directory should be: move it away, or change data_dir in \
             servers.toml"
        }
        _ => "",
    }
}

/// Adds the action and the file to the error of a failed system call.
pub(crate) trait IoContext<T> {
    /// Turns the system's error into [`StorageError::Io`].
    fn during(self, action: &'static str, path: &Path) -> Result<T, StorageError>;
}

impl<T> IoContext<T> for io::Result<T> {
    fn during(self, action: &'static str, path: &Path) -> Result<T, StorageError> {
        self.map_err(|source| StorageError::Io { action, path: path.to_owned(), source })
    }
}

impl StorageError {
    /// True when a file has other bytes than were written, or is missing.
    pub(crate) fn is_damage(&self) -> bool {
        matches!(
            self,
            StorageError::Damaged { .. }
                | StorageError::EntriesMissing { .. }
                | StorageError::FileMissing { .. }
        )
    }
}

/// Returns a [`StorageError::Damaged`].
pub(crate) fn damaged(path: &Path, offset: u64, what: impl Into<String>) -> StorageError {
    StorageError::Damaged { path: path.to_owned(), offset, what: what.into() }
}

/// Returns a [`StorageError::Unknown`].
pub(crate) fn unknown(path: &Path, offset: u64, what: impl Into<String>) -> StorageError {
    StorageError::Unknown { path: path.to_owned(), offset, what: what.into() }
}

/// Returns a [`StorageError::Unreadable`].
pub(crate) fn unreadable_here(
    path: &Path,
    needed: FormatInForce,
    reads: FormatRange,
) -> StorageError {
    StorageError::Unreadable { path: path.to_owned(), needed, reads }
}

/// The reason why bytes of a file do not decode.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DecodeError {
    /// They are not what was written.
    #[error("{0}")]
    Damaged(String),
    /// They are what was written, by their checksum, and unknown to this version.
    #[error("{0}")]
    Unknown(String),
    /// They are what was written, in a format that this version does not read.
    #[error("they have format {}", .0.format)]
    Newer(FormatInForce),
}

impl DecodeError {
    /// The error of the file at `path`, whose bytes at `offset` these are.
    pub fn at(self, path: &Path, offset: u64) -> StorageError {
        match self {
            DecodeError::Damaged(what) => damaged(path, offset, what),
            DecodeError::Unknown(what) => unknown(path, offset, what),
            DecodeError::Newer(needed) => unreadable_here(path, needed, FormatRange::OWN),
        }
    }
}

#[cfg(test)]
mod tests;
