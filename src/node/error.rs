//! The errors that a node starts or ends with.

use std::io;
use std::path::PathBuf;

use crate::raft::StopReason;
use crate::storage::StorageError;
use crate::types::NodeId;

/// The reason why a node could not start, or had to stop.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The node is not in servers.toml.
    #[error("there is no server with id {0} in servers.toml: `coracle config` prints those it has")]
    UnknownId(NodeId),
    /// A port is taken, or the address is not one of this machine.
    #[error(
        "cannot listen on {hostname}:{port} ({key} of server {id}): {error}; {}",
        listen_advice(error, hostname, *port, key)
    )]
    Listen {
        /// The server.
        id: NodeId,
        /// `client_port` or `log_port`.
        key: &'static str,
        /// The hostname of the server.
        hostname: String,
        /// The port.
        port: u16,
        /// The error of the system.
        error: io::Error,
    },
    /// The data directory cannot be used, or its disk failed.
    #[error("{0}")]
    Storage(#[from] StorageError),
    /// The node had to stop although its disk is good.
    #[error("{0}")]
    Stopped(#[from] StopReason),
    /// The node has no data and no peers: its cluster is new, or it has lost its disk.
    #[error(
        "{} holds no data, and {} lists no server but {id}: start it with --new-cluster if this \
         is a new cluster of one server, or list its other servers if it has lost its disk",
        data_dir.display(), settings.display()
    )]
    AloneAndBlank {
        /// The server.
        id: NodeId,
        /// Its data directory.
        data_dir: PathBuf,
        /// The settings file.
        settings: PathBuf,
    },
    /// The limit on open files leaves none for clients.
    #[error(
        "this process may have {open_files_max} files open, and a server of this cluster needs \
         more than {own}: raise the limit, say with `ulimit -n {}`, or LimitNOFILE= of a systemd \
         unit",
        (2 * own).next_power_of_two()
    )]
    OpenFiles {
        /// The limit on open files.
        open_files_max: u64,
        /// Maximum number of files that the server itself needs.
        own: u64,
    },
    /// The system gives no random numbers.
    #[error("the system gives no random numbers, which the ids of a server are made of: {0}")]
    Random(io::Error),
    /// The handlers of signals cannot be installed.
    #[error("cannot wait for signals: {0}")]
    Signals(io::Error),
}

/// A clause that says what to do about a port that cannot be listened on.
fn listen_advice(error: &io::Error, hostname: &str, port: u16, key: &str) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => format!(
            "another process has the port, perhaps this server itself: \
             `ss -ltnp 'sport = :{port}'` names it; stop it, or change {key} in servers.toml"
        ),
        io::ErrorKind::AddrNotAvailable => format!(
            "{hostname} is no address of this machine (`ip address` lists those it has): start \
             the server where it is one, or change hostname in servers.toml"
        ),
        io::ErrorKind::PermissionDenied => format!(
            "a port below 1024 needs a privilege: change {key} in servers.toml to 1024 or above, \
             or give the program the privilege with `setcap cap_net_bind_service=+ep`"
        ),
        _ => format!(
            "if it is the name that has no address, `getent hosts {hostname}` finds none either: \
             change hostname in servers.toml"
        ),
    }
}

#[cfg(test)]
mod tests;
