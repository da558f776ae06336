//! The errors about wrong settings. Each is one sentence that names the place, the value and
//! the bound, and says what to do.

use std::fmt;
use std::path::{Path, PathBuf};

/// The place where a value was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A key in a file.
    File {
        /// The file.
        path: PathBuf,
        /// The line in the file, from 1; that of its table when the key is absent.
        line: Option<usize>,
        /// The key with its table, as the file writes them, for example `[raft] tick_ms`.
        key: String,
    },
    /// This flag on the command line.
    Flag(&'static str),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::File { path, line: None, key } => write!(f, "{}: {key}", path.display()),
            Place::File { path, line: Some(line), key } => {
                write!(f, "{}, line {line}: {key}", path.display())
            }
            Place::Flag(flag) => f.write_str(flag),
        }
    }
}

/// The reason why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file is missing or unreadable.
    #[error("{path} cannot be read ({error}): {}", unreadable(path, error))]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        error: std::io::Error,
    },
    /// The file is not UTF-8 text.
    #[error(
        "{path}, line {line}: byte {byte:#04x} is not UTF-8: save the file as UTF-8, say with \
         `iconv -t UTF-8`"
    )]
    NotUtf8 {
        /// The file.
        path: PathBuf,
        /// The line of the byte, from 1.
        line: usize,
        /// The byte.
        byte: u8,
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
    #[error(
        "{path} lists no servers: add a [[servers]] table for each one, with id, hostname, \
         client_port and log_port"
    )]
    NoServers {
        /// The file.
        path: PathBuf,
    },
    /// Two servers have the same id.
    #[error(
        "{place} is {id}, the id of another server: an id belongs to one server for ever, so \
         give this one another"
    )]
    DuplicateId {
        /// The place of the second one.
        place: Place,
        /// The id.
        id: u64,
    },
    /// Two listeners have the same address and port.
    #[error(
        "{place} is {port}, which on {hostname} is also {first}: every listener needs its own \
         port, so change one of them"
    )]
    DuplicatePort {
        /// The place of the second one.
        place: Place,
        /// The host.
        hostname: String,
        /// The port.
        port: u16,
        /// The first listener with this port, for example "the client_port of server 1".
        first: String,
    },
    /// The address at which a server is reached stands for all addresses of its machine.
    #[error(
        "{place} is {host}, which nobody can dial: it must be the address at which clients and \
         other servers reach this server; to listen on all addresses of the machine, set \
         client_listen and log_listen (or --client-listen and --log-listen) to it with the ports"
    )]
    Unspecified {
        /// The place of the address.
        place: Place,
        /// The host.
        host: String,
    },
    /// No server has the id.
    #[error(
        "{path} has no server with id {id}: the ids are {known}; name one of them with --id, or \
         add a [[servers]] table"
    )]
    NoSuchServer {
        /// The file.
        path: PathBuf,
        /// The id asked for.
        id: u64,
        /// The ids of the servers.
        known: String,
    },
}

/// A clause that says what to do about a file that cannot be read.
fn unreadable(path: &Path, error: &std::io::Error) -> String {
    let path = path.display();
    match error.kind() {
        std::io::ErrorKind::PermissionDenied => {
            format!("let the user that runs this command read it, say with `chmod a+r {path}`")
        }
        std::io::ErrorKind::IsADirectory => {
            format!("name the file in it with --config, say `--config {path}/servers.toml`")
        }
        _ => "name the servers' file with --config".into(),
    }
}
