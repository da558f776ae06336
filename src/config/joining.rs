//! The settings of a server that joins a cluster (docs/adr/0027): the tables of a file or the
//! defaults, and the servers that the cluster itself names.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::error::{ConfigError, Place};
use super::logging::LoggingSettings;
use super::overrides::Overrides;
use super::servers::{Server, is_unspecified};
use super::{Settings, read_text};
use crate::types::{Address, Member, NodeId};

/// The settings that a server has before it knows its cluster.
#[derive(Clone, Debug)]
pub struct JoinSettings {
    /// The tables. The servers in it do not count.
    settings: Settings,
    /// The name of the cluster that a file names.
    cluster: Option<String>,
    /// The directory of all servers' files.
    data_dir: PathBuf,
    overrides: Overrides,
}

impl JoinSettings {
    /// Reads and checks the file at `path`, whose tables count and whose servers do not; without a
    /// path all settings have their defaults. The flags in `overrides` come first; those about
    /// addresses are for the server that joins, whatever their `id` says.
    ///
    /// # Errors
    /// When the file cannot be read, or a setting is wrong.
    pub fn load(path: Option<&Path>, overrides: &Overrides) -> Result<JoinSettings, ConfigError> {
        let given = overrides.clone();
        let tables = Overrides { id: None, ..given.clone() };
        let text = path.map(read_text).transpose()?.unwrap_or_default();
        let file = path.unwrap_or(Path::new("servers.toml"));
        let (settings, data_dir) = Settings::read(file, &text, &tables)?;
        let flags = [
            ("--client-advertise", &given.client_advertise),
            ("--log-advertise", &given.log_advertise),
        ];
        for (name, address) in flags {
            if let Some(Address { host, .. }) = address
                && is_unspecified(host)
            {
                return Err(ConfigError::Unspecified {
                    place: Place::Flag(name),
                    host: host.clone(),
                });
            }
        }
        let cluster = path.is_some().then(|| settings.cluster.clone());
        Ok(JoinSettings { settings, cluster, data_dir, overrides: given })
    }

    /// The name of the cluster, if a file names it.
    pub fn cluster(&self) -> Option<&str> {
        self.cluster.as_deref()
    }

    /// The settings of the log lines.
    pub fn logging(&self) -> LoggingSettings {
        self.settings.logging
    }

    /// The directory of the files of server `id`.
    pub fn directory(&self, id: NodeId) -> PathBuf {
        self.data_dir.join(id.to_string())
    }

    /// The settings of server `id` in a cluster that has this name, these members and this promise
    /// (docs/adr/0012). The server listens where it is reached, if no flag says otherwise.
    ///
    /// Without a file the times follow the promise, which must be the same on all servers. When
    /// there is not the memory for so many members and one client, more of it is used.
    pub fn settings(
        &self,
        id: NodeId,
        cluster: &str,
        members: &BTreeMap<NodeId, Member>,
        promise: Option<Duration>,
    ) -> Settings {
        let mut settings = Settings { cluster: cluster.to_owned(), ..self.settings.clone() };
        let server = |(member_id, member): (&NodeId, &Member)| {
            let none = Overrides::default();
            let flags = if *member_id == id { &self.overrides } else { &none };
            let or = |flag: &Option<Address>, or: &Address| flag.as_ref().unwrap_or(or).clone();
            let server = Server {
                id: *member_id,
                advertised: Member {
                    peer: or(&flags.log_advertise, &member.peer),
                    client: or(&flags.client_advertise, &member.client),
                },
                client_listen: or(&flags.client_listen, &member.client),
                log_listen: or(&flags.log_listen, &member.peer),
                http_listen: flags.http_listen.clone(),
                data_dir: self.directory(*member_id),
            };
            (*member_id, server)
        };
        settings.servers = members.iter().map(server).collect();
        if self.cluster.is_none() {
            keep_promise(&mut settings, promise);
        }
        let limits = &mut settings.limits;
        let least = limits.replication_bytes(members.len()) + limits.client_bytes_min();
        if limits.memory_bytes < least {
            log::warn!(
                "takes {least} bytes of memory and not {} ([limits] memory_bytes): a cluster of {} \
                 servers needs so many",
                limits.memory_bytes,
                members.len()
            );
            limits.memory_bytes = least;
        }
        settings
    }

    /// True when a flag says where the server listens for clients.
    pub fn has_client_listen(&self) -> bool {
        self.overrides.client_listen.is_some()
    }

    /// True when a flag says where the server listens for other servers.
    pub fn has_log_listen(&self) -> bool {
        self.overrides.log_listen.is_some()
    }
}

/// Makes the settings promise what the other servers promise.
fn keep_promise(settings: &mut Settings, promise: Option<Duration>) {
    let raft = &mut settings.raft;
    raft.leader_lease = promise.is_some();
    let Some(promise) = promise else { return };
    let ms = u64::try_from(promise.as_millis()).unwrap_or(u64::MAX).max(3);
    raft.election_timeout_ms_max = raft.election_timeout_ms_max.max(ms.saturating_mul(2));
    raft.election_timeout_ms_min = ms;
    raft.heartbeat_interval_ms = raft.heartbeat_interval_ms.min(ms / 3);
    raft.tick_ms = raft.tick_ms.min(raft.heartbeat_interval_ms);
}

#[cfg(test)]
mod tests;
