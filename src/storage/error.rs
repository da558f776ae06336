//! What can be wrong with a data directory, said to the person who must act.

use std::io;
use std::path::{Path, PathBuf};

use crate::types::LogPosition;

/// Why the storage cannot go on. None of these is ever retried: after any of
/// them the directory is as the last successful call left it.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// A system call failed. After a failed write or sync nobody knows what the
    /// disk holds (the kernel may have dropped the pages), so the only way on is
    /// a restart, which reads the disk.
    #[error("cannot {action} {}: {source}{}", path.display(), advice(source))]
    Io {
        /// What was tried.
        action: &'static str,
        /// With which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Bytes that were once durable are not what was written.
    #[error("{}; {NOTHING_CHANGED}", damaged_at(path, *offset, what))]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where in it.
        offset: u64,
        /// How it shows.
        what: String,
    },
    /// The log is whole as far as it goes, but it once went further.
    #[error("{}; {NOTHING_CHANGED}", ends_early(path, *offset, sealed, *sealed_to))]
    EntriesMissing {
        /// The segment.
        path: PathBuf,
        /// Where its records end.
        offset: u64,
        /// The last entry that was known to be durable.
        sealed: LogPosition,
        /// Where its record ended.
        sealed_to: u64,
    },
    /// A file that is always there beside others is not.
    #[error("{}: put it back, or {SEE}", missing(path, evidence))]
    FileMissing {
        /// The file.
        path: PathBuf,
        /// What shows that it should be there.
        evidence: String,
    },
    /// The log is damaged, and the others cannot repair it: without this server they are
    /// no majority.
    #[error(
        "{damage}; nothing was changed, and nobody can repair it: a cluster of one or two servers \
         can do nothing without this one; keep a copy of the directory, and put back a backup of \
         all of it if there is one; {SEE}"
    )]
    Irreparable {
        /// What is wrong with it.
        damage: String,
    },
    /// The hard state is older than the log, so a vote may be forgotten.
    #[error(
        "{} says term {current}, but the log reaches {last}: the file is older than the log (was \
         it restored from a copy?), and a vote may be forgotten; {SEE}",
        path.display()
    )]
    HardStateStale {
        /// The file.
        path: PathBuf,
        /// Its term.
        current: crate::types::Term,
        /// The end of the log.
        last: LogPosition,
    },
    /// Something is neither in the log nor in a snapshot that is whole.
    #[error(
        "no snapshot in {} that is whole reaches entry {base}, and the log does not hold it: \
         nothing was changed; put one back, or let this server begin anew: see `When a server \
         refuses to start` in docs/internals/log_format.md",
        path.display()
    )]
    SnapshotMissing {
        /// Where snapshots are.
        path: PathBuf,
        /// The entry that was there once.
        base: LogPosition,
    },
    /// A snapshot of another cluster lies among this server's.
    #[error(
        "{} is a snapshot of cluster {found:?}, and this server is of cluster {cluster:?}: take it \
         away, or see `coracle snapshot restore --help`",
        path.display()
    )]
    OtherSnapshot {
        /// The file.
        path: PathBuf,
        /// The cluster that it names.
        found: String,
        /// The server's.
        cluster: String,
    },
    /// The directory belongs to somebody else.
    #[error(
        "{} belongs to server {found_node} of cluster {found_cluster:?}, not to server {node} of \
         cluster {cluster:?}: check --id, data_dir and cluster",
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
        /// That server's cluster.
        cluster: String,
    },
    /// Something is there already where a backup should be restored to.
    #[error(
        "{} is not empty: a backup is restored into a new directory; if nobody needs what is in \
         this one (an interrupted restore leaves such a directory), remove it",
        path.display()
    )]
    NotEmpty {
        /// The data directory.
        path: PathBuf,
    },
    /// A backup should be restored into the cluster that it was taken from.
    #[error(
        "{} was taken from a cluster of the name {cluster:?}, too: give the new one another \
         name (`cluster` in its servers.toml), so that no server of the old one can join it",
        path.display()
    )]
    SameCluster {
        /// The backup.
        path: PathBuf,
        /// The name.
        cluster: String,
    },
    /// Another process holds the directory.
    #[error("{} is locked by another process: stop that server first", path.display())]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// There is nothing to read.
    #[error("{} is not the data directory of a server: it has no identity file", path.display())]
    NotADataDirectory {
        /// The directory.
        path: PathBuf,
    },
    /// An earlier call failed.
    #[error("the storage stopped at an earlier error")]
    Stopped,
}

impl StorageError {
    /// There was no room for what was to be written.
    pub fn is_disk_full(&self) -> bool {
        use io::ErrorKind::{QuotaExceeded, StorageFull};
        matches!(self, StorageError::Io { source, .. }
            if matches!(source.kind(), StorageFull | QuotaExceeded))
    }
}

const SEE: &str = "see `When a server refuses to start` in docs/internals/log_format.md";
const NOTHING_CHANGED: &str = "nothing was changed: see `When a server refuses to start` in \
                               docs/internals/log_format.md";

fn damaged_at(path: &Path, offset: u64, what: &str) -> String {
    format!("{} is damaged at byte {offset}: {what}", path.display())
}

fn ends_early(path: &Path, offset: u64, sealed: &LogPosition, sealed_to: u64) -> String {
    format!(
        "{} ends at byte {offset}, but entries up to {sealed} were durable up to byte {sealed_to}: \
         acknowledged entries are missing",
        path.display()
    )
}

fn missing(path: &Path, evidence: &str) -> String {
    format!("{} is missing, but {evidence}", path.display())
}

impl StorageError {
    /// What is wrong, without what is to be done about it.
    pub(super) fn finding(&self) -> String {
        match self {
            StorageError::Damaged { path, offset, what } => damaged_at(path, *offset, what),
            StorageError::EntriesMissing { path, offset, sealed, sealed_to } => {
                ends_early(path, *offset, sealed, *sealed_to)
            }
            StorageError::FileMissing { path, evidence } => missing(path, evidence),
            other => other.to_string(),
        }
    }
}

/// What a person can do about the commonest errors of the system.
fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "; make room and start the server again: nothing that was acknowledged is lost"
        }
        io::ErrorKind::PermissionDenied => {
            "; let the user that runs the server read and write everything in its data directory"
        }
        io::ErrorKind::ReadOnlyFilesystem => {
            "; mount the file system writable and start the server again"
        }
        _ => "",
    }
}

/// Names the action and the file of a failed system call.
pub(super) trait IoContext<T> {
    fn during(self, action: &'static str, path: &Path) -> Result<T, StorageError>;
}

impl<T> IoContext<T> for io::Result<T> {
    fn during(self, action: &'static str, path: &Path) -> Result<T, StorageError> {
        self.map_err(|source| StorageError::Io { action, path: path.to_owned(), source })
    }
}

/// Shorthand for [`StorageError::Damaged`].
pub(super) fn damaged(path: &Path, offset: u64, what: impl Into<String>) -> StorageError {
    StorageError::Damaged { path: path.to_owned(), offset, what: what.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commonest_errors_of_the_system_say_what_to_do() {
        let say = |kind: io::ErrorKind| {
            let failed: io::Result<()> = Err(kind.into());
            failed.during("write", Path::new("data/1/hard_state")).unwrap_err().to_string()
        };
        let full = say(io::ErrorKind::StorageFull);
        assert!(full.starts_with("cannot write data/1/hard_state: "), "{full}");
        assert!(full.ends_with(
            "; make room and start the server again: nothing that was acknowledged is lost"
        ));
        assert!(
            say(io::ErrorKind::PermissionDenied).contains("; let the user that runs the server")
        );
        assert!(!say(io::ErrorKind::UnexpectedEof).contains(';'));
    }
}
