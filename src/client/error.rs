//! The errors that a command can end with.

/// The reason why a command was not done. Only [`Error::Unknown`] leaves
/// open whether it was executed; after every other one it had no effect.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// `get`, `getm`, `delete`: no such key.
    #[error("no such key")]
    NotFound,
    /// `cas`: the key has another version.
    #[error("the key's version is {version}, not the one expected (0 is an absent key)")]
    VersionMismatch {
        /// The version of the key, 0 for an absent key.
        version: u64,
    },
    /// `add`: the key is there.
    #[error("the key is there already, at version {version}")]
    Exists {
        /// The version of the key.
        version: u64,
    },
    /// A `check` of a transaction did not hold, and nothing of it was executed.
    #[error(
        "the check of {} did not hold: its version is {version} (0 is an absent key)",
        String::from_utf8_lossy(key)
    )]
    Aborted {
        /// The key of the first such check.
        key: Vec<u8>,
        /// The version of that key, 0 for an absent key.
        version: u64,
    },
    /// The store is at its size limit.
    #[error("the store is full ([limits] store_bytes_max): delete something first")]
    Full,
    /// The history is not kept as far back as the command asks.
    #[error("revision {revision} is the oldest that can be read")]
    Compacted {
        /// The compacted revision.
        revision: u64,
    },
    /// The store has not come to the revision of the command.
    #[error("the store is at revision {revision}")]
    Future {
        /// The store's revision.
        revision: u64,
    },
    /// There is no such lease, or no longer.
    #[error("no such lease")]
    NoLease,
    /// A lease with this id is there already.
    #[error("a lease with that id is there already")]
    LeaseExists,
    /// The format of the cluster is too low for the command, or cannot be raised yet. The same
    /// command succeeds once that has changed; trying again at once does not help.
    #[error("{sentence}")]
    NotYet {
        /// The server's sentence: what is waited for.
        sentence: String,
    },
    /// A change of the members, or a transfer of the leadership, would not be safe now. Trying
    /// again at once does not help.
    #[error("{sentence}")]
    NotSafe {
        /// The server's sentence: why, and what to do.
        sentence: String,
    },
    /// The command cannot be expressed in the protocol, and was not sent.
    #[error("{0}")]
    InvalidArgument(String),
    /// The server refused the command.
    #[error("the server refused the command: {reply}")]
    Refused {
        /// The reply in the server's own words.
        reply: String,
    },
    /// No leader could be reached in time, and nothing was executed.
    #[error("no leader answered in time, and nothing was executed (last: {last})")]
    Unavailable {
        /// The outcome of the last try.
        last: String,
    },
    /// A write got no answer in time: it was executed once, may yet be executed once, or
    /// will never be.
    #[error("no answer in time: the write may or may not have been executed (last: {last})")]
    Unknown {
        /// The outcome of the last try.
        last: String,
    },
}

impl Error {
    /// True for the answers that the servers remember for a retry: they settle the outcome
    /// of earlier tries of the same write, too.
    pub(super) fn is_remembered(&self) -> bool {
        matches!(
            self,
            Error::NotFound
                | Error::VersionMismatch { .. }
                | Error::Exists { .. }
                | Error::Aborted { .. }
        )
    }
}
