//! The errors about wrong settings. Each is one sentence that names the place, the value and
//! the bound, and says what to do.

use std::fmt;
use std::path::PathBuf;

/// The place where a value was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A key in a file.
    File {
        /// The file.
        path: PathBuf,
        /// The key with its table, as the file writes them, for example `[raft] tick_ms`.
        key: String,
    },
    /// This flag on the command line.
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

/// The reason why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file is missing or unreadable.
    #[error("{path} cannot be read ({error}): name the servers' file with --config")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        error: std::io::Error,
    },
    /// The file is not TOML.
    #[error("{path}, line {line}: this is not TOML: {message}")]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The line of the error, from 1.
        line: usize,
        /// The message of the parser, in one line.
        message: String,
    },
    /// A key is unknown.
    #[error("{place} is not a key of this table: {advice}")]
    UnknownKey {
        /// The place of the key.
        place: Place,
        /// The nearest known key, or all of them.
        advice: String,
    },
    /// A required key is missing.
    #[error("{place} is missing: add it ({expected})")]
    Missing {
        /// The place where the key should be.
        place: Place,
        /// The kind of value that the key needs.
        expected: String,
    },
    /// A value has the wrong type.
    #[error("{place} is {found}: it must be {expected}")]
    WrongType {
        /// The place of the value.
        place: Place,
        /// The value.
        found: String,
        /// The kind of value that the key needs.
        expected: String,
    },
    /// A number is outside its bounds.
    #[error("{place} is {value}: it must be from {min} to {max}")]
    OutOfRange {
        /// The place of the value.
        place: Place,
        /// The number.
        value: i128,
        /// The least number allowed.
        min: u64,
        /// The largest number allowed.
        max: u64,
    },
    /// A value breaks a bound that is not a plain range, or that another setting gives.
    #[error("{place} is {value}: it must be {bound}")]
    Conflict {
        /// The place of the value.
        place: Place,
        /// The value.
        value: String,
        /// The bound of the value, the key that sets the bound, and the reason.
        bound: String,
    },
    /// The file lists no server.
    #[error("{path} lists no servers: add a [[servers]] table for each one")]
    NoServers {
        /// The file.
        path: PathBuf,
    },
    /// Two servers have the same id.
    #[error("{path}: id {id} is given to two servers: an id belongs to one server for ever")]
    DuplicateId {
        /// The file.
        path: PathBuf,
        /// The id.
        id: u64,
    },
    /// Two listeners have the same address and port.
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
        /// The first listener with this port, for example "the client_port of server 1".
        first: String,
        /// The second listener with this port.
        second: String,
    },
    /// No server has the id.
    #[error("{path} has no server with id {id}: the ids are {known}")]
    NoSuchServer {
        /// The file.
        path: PathBuf,
        /// The id asked for.
        id: u64,
        /// The ids of the servers.
        known: String,
    },
}
