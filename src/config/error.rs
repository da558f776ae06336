//! What can be wrong with the settings: each error is one sentence that says
//! where, what, the bound, and what to do.

use std::fmt;
use std::path::PathBuf;

/// Where a value was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In a file.
    File {
        /// The file.
        path: PathBuf,
        /// The key with its table, as the file writes them: `[raft] tick_ms`, say.
        key: String,
    },
    /// On the command line, by this flag.
    Flag(&'static str),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::File { path, key } => write!(f, "{}: {key}", path.display()),
            Place::Flag(flag) => f.write_str(flag),
        }
    }
}

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file is missing or unreadable.
    #[error("{path} cannot be read ({error}): name the servers' file with --config")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// The file is not TOML.
    #[error("{path}, line {line}: this is not TOML: {message}")]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The line of the error, from 1.
        line: usize,
        /// What the parser says, in one line.
        message: String,
    },
    /// A key that means nothing.
    #[error("{place} is not a key of this table: {advice}")]
    UnknownKey {
        /// Where it stands.
        place: Place,
        /// The nearest known key, or all of them.
        advice: String,
    },
    /// A key that must be there.
    #[error("{place} is missing: add it ({expected})")]
    Missing {
        /// Where it should stand.
        place: Place,
        /// What it should be.
        expected: String,
    },
    /// A value of another type.
    #[error("{place} is {found}: it must be {expected}")]
    WrongType {
        /// Where it stands.
        place: Place,
        /// The value.
        found: String,
        /// What it should be.
        expected: String,
    },
    /// A number outside its bounds.
    #[error("{place} is {value}: it must be from {min} to {max}")]
    OutOfRange {
        /// Where it was given.
        place: Place,
        /// The number.
        value: i128,
        /// The least allowed.
        min: u64,
        /// The most allowed.
        max: u64,
    },
    /// A number that does not go with another one.
    #[error("{place} is {value}: it must be {bound}")]
    Conflict {
        /// Where it was given.
        place: Place,
        /// The value.
        value: String,
        /// What it must be, which other key says so, and why.
        bound: String,
    },
    /// No server at all.
    #[error("{path} lists no servers: add a [[servers]] table for each one")]
    NoServers {
        /// The file.
        path: PathBuf,
    },
    /// Two servers of one id.
    #[error("{path}: id {id} is given to two servers: an id belongs to one server for ever")]
    DuplicateId {
        /// The file.
        path: PathBuf,
        /// The id.
        id: u64,
    },
    /// Two listeners at one address.
    #[error(
        "{path}: port {port} on {hostname} is both {first} and {second}: every listener needs \
         its own port"
    )]
    DuplicatePort {
        /// The file.
        path: PathBuf,
        /// The host.
        hostname: String,
        /// The port.
        port: u16,
        /// Whose it is: "the client_port of server 1".
        first: String,
        /// Whose it is too.
        second: String,
    },
    /// An id that no server has.
    #[error("{path} has no server with id {id}: the ids are {known}")]
    NoSuchServer {
        /// The file.
        path: PathBuf,
        /// The id asked for.
        id: u64,
        /// Those that are there.
        known: String,
    },
}
