//! The ways in which a command fails, and the exit code of each.

use std::fmt::Display;
use std::io;

use coracle::client::Error;
use coracle::config::ConfigError;
use coracle::node::NodeError;
use coracle::storage::StorageError;

use super::text::shown;

/// The reason why a command was not done.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The answer is no: no such key, another version, a damaged file.
    #[error("{0}")]
    No(String),
    /// The command or servers.toml is wrong.
    #[error("{0}")]
    Usage(String),
    /// The cluster did not answer, or the outcome is not known.
    #[error("{0}")]
    Unavailable(String),
    /// The command that was run has ended with this code, or was not to be run any more. It has
    /// said for itself what there is to say.
    #[error("")]
    Ended(u8),
    /// The server could not start, or had to stop.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// Standard input or output failed.
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// The exit codes of all commands, and their meanings: the one table, which is also in
/// docs/operations.md.
pub const EXIT_CODES: [(&str, &str); 6] = [
    ("0", "done"),
    (
        "1",
        "no: no such key, another version, a damaged file, stores that differ, a check of `coracle \
         doctor` that fails, a change of the members that is refused or was taken back; a server \
         that could not start or had to stop; standard input or output that failed",
    ),
    (
        "2",
        "a usage error: in the command, in CORACLE_ENDPOINTS or in servers.toml; a file that is \
         there already",
    ),
    (
        "3",
        "the cluster did not answer, the outcome is not known, or what was waited for goes on; a \
         lock or a leadership that was lost",
    ),
    ("4", "the data directory of a running server is gone"),
    (
        "other",
        "`coracle lock` ends with the code of its command: 126 when it cannot be run, 127 when \
         there is no such command, 128 and the number of the signal that ended it or the wait",
    ),
];

/// The table as the end of the help.
pub fn exit_codes() -> String {
    let line = |(code, meaning): &(&str, &str)| format!("\n  {code:<6} {meaning}");
    format!("Exit codes:{}", EXIT_CODES.iter().map(line).collect::<String>())
}

impl Failure {
    /// The sentence for a terminal. A server may have said a part of it.
    pub fn sentence(&self) -> String {
        let text = self.to_string();
        text.split('\n').map(shown).collect::<Vec<_>>().join("\n")
    }

    /// The same failure, whose sentence is changed.
    pub fn with_sentence(self, change: impl FnOnce(String) -> String) -> Failure {
        match self {
            Failure::No(sentence) => Failure::No(change(sentence)),
            Failure::Usage(sentence) => Failure::Usage(change(sentence)),
            Failure::Unavailable(sentence) => Failure::Unavailable(change(sentence)),
            failure => failure,
        }
    }

    /// The exit code of the process.
    pub fn exit_code(&self) -> u8 {
        match self {
            Failure::Node(NodeError::Storage(StorageError::Gone { .. })) => 4,
            Failure::No(_) | Failure::Node(_) | Failure::Io(_) => 1,
            Failure::Ended(code) => *code,
            Failure::Usage(_) => 2,
            Failure::Unavailable(_) => 3,
        }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Failure {
        usage(error)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        match error {
            Error::NotFound
            | Error::VersionMismatch { .. }
            | Error::Exists { .. }
            | Error::Aborted { .. }
            | Error::Full
            | Error::Compacted { .. }
            | Error::Future { .. }
            | Error::NoLease
            | Error::LeaseExists
            | Error::NotYet { .. } => Failure::No(error.to_string()),
            Error::NotSafe { sentence } => Failure::No(refusal(&sentence)),
            Error::InvalidArgument(_) | Error::Refused { .. } => usage(error),
            Error::Unavailable { .. } | Error::Unknown { .. } => {
                Failure::Unavailable(error.to_string())
            }
        }
    }
}

/// A server's refusal: the reason, and on lines of their own what to do. The server parts them by
/// semicolons.
fn refusal(sentence: &str) -> String {
    match sentence.split_once("; ") {
        None => format!("refused: {sentence}"),
        Some((reason, rest)) => format!("refused: {reason}.\n  {}", rest.replace("; ", "\n  ")),
    }
}

/// A wrong command, or a wrong servers.toml.
pub fn usage(reason: impl Display) -> Failure {
    Failure::Usage(reason.to_string())
}

#[cfg(test)]
mod tests;
