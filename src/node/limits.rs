//! The numbers of open files and of clients that a process can hold.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::error::NodeError;
use crate::actors::clients::acceptor::REFUSALS_MAX;
use crate::actors::clients::session_io::SESSION_BYTES;
use crate::actors::peers::settings::LinkSettings;
use crate::config::{Server, Settings};
use crate::types::MEMBERS_MAX;

/// Maximum number of files that a server has open in addition to its clients and peers: its
/// log, the next segment, the lock file, directories being synced, its listeners and those of
/// the runtime.
const OWN_FILES: u64 = 64;

/// Maximum number of files that the HTTP port has open in addition to its connections: its
/// listener, those of its runtime, and those that it reads of the process and of the disk.
const HTTP_FILES: usize = 16;

/// Number of files that a process may have open for each member that a cluster can grow to.
const FILES_PER_MEMBER: u64 = 32;

/// Number of clients that are admitted even when memory_bytes is small.
const CLIENTS_MIN: usize = 64;

/// Raises the soft limit on open files to the hard limit, and returns it. The soft limit is
/// often 1,024 for the sake of programs that use `select`.
pub(super) fn raise_open_files_limit() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let current = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    current.unwrap_or(u64::MAX)
}

/// Maximum number of clients at a time. They must not take the file descriptor that the
/// log's next segment needs, or idle connections could stop the server.
///
/// # Errors
/// When the limit on open files leaves none for clients.
pub(super) fn connections_max(
    settings: &Settings,
    server: &Server,
    open_files_max: u64,
) -> Result<usize, NodeError> {
    let wanted = connections_in_memory(settings);
    let own = own_files(settings, server, open_files_max);
    match usize::try_from(open_files_max.saturating_sub(own)).unwrap_or(usize::MAX) {
        0 => Err(NodeError::OpenFiles { open_files_max, own }),
        room if room < wanted => {
            log::warn!(
                "takes {room} clients at a time and not {wanted} ([limits] connections_max): this \
                 process may have {open_files_max} files open (`ulimit -n`)"
            );
            Ok(room)
        }
        _ => Ok(wanted),
    }
}

/// Number of files that a server has open in addition to those of its clients, when a process may
/// have `open_files_max` open.
pub fn own_files(settings: &Settings, server: &Server, open_files_max: u64) -> u64 {
    // Each peer may have a connection in either direction and one that replaces it. An
    // arbiter has a few descriptors to wait for its sockets.
    let members = members_max(settings.servers.len(), open_files_max);
    let peers = 3 * members + LinkSettings::default().handshakes_max;
    let sessions = 4 * settings.session.threads + REFUSALS_MAX;
    let http = match server.http_listen {
        Some(_) => settings.http.connections_max + HTTP_FILES,
        None => 0,
    };
    OWN_FILES + (peers + sessions + http) as u64
}

/// Number of members for which files are set apart. A cluster of `servers` servers may grow, up to
/// the maximum where there are files enough, and otherwise as far as a small part of them allows.
fn members_max(servers: usize, open_files_max: u64) -> usize {
    let room = usize::try_from(open_files_max / FILES_PER_MEMBER).unwrap_or(usize::MAX);
    room.min(MEMBERS_MAX).max(servers)
}

/// Number of idle clients that fit into the memory for clients, with room for the largest
/// command.
fn connections_in_memory(settings: &Settings) -> usize {
    let (limits, servers) = (&settings.limits, settings.servers.len());
    let room_bytes = limits.client_bytes(servers).saturating_sub(limits.client_bytes_min());
    let room = usize::try_from(room_bytes / SESSION_BYTES).unwrap_or(usize::MAX).max(CLIENTS_MIN);
    if room < limits.connections_max {
        log::warn!(
            "takes {room} clients at a time and not {} ([limits] connections_max): there is no \
             memory for more ([limits] memory_bytes)",
            limits.connections_max
        );
    }
    room.min(limits.connections_max)
}

#[cfg(test)]
mod tests;
