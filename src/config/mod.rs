//! The settings of a server: servers.toml and the flags, read, checked and typed.
//!
//! Every setting has its unit, its bounds and its default here. All values are checked,
//! alone and against each other, so that a [`Settings`] always holds values that fit
//! together. Each error is one sentence that names the file, the key, the value and the
//! bound, and says what to do.
//!
//! A relative `data_dir` is relative to the directory of servers.toml, not to the current
//! directory. A server that is started from another directory must find its log; with an
//! empty directory it would forget its votes. The flag `--data-dir`, which a person types
//! into a shell, is relative to the directory of that shell.
//!
//! | file | contents |
//! |---|---|
//! | `servers`, `raft`, `log`, `snapshot` | one table of the file each |
//! | `history`, `http`, `limits`, `session`, `diagnosis`, `upgrade` | likewise |
//! | `logging` | the keys about the log lines |
//! | `level_source` | the level of the log, read again while a server runs |
//! | `overrides` | the flags that come before the file |
//! | `joining` | the settings of a server that joins a cluster |
//! | `keys` | the keys of each table |
//! | `source` | the text of the file, and the lines of its keys |
//! | `section` | typed access to the keys of one table |
//! | `error` | the sentences about wrong settings |

mod diagnosis;
mod error;
mod history;
mod http;
mod joining;
mod keys;
mod level_source;
mod limits;
mod log;
mod logging;
mod overrides;
mod raft;
mod section;
mod servers;
mod session;
mod snapshot;
mod source;
#[cfg(test)]
mod tests;
mod upgrade;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub use diagnosis::DiagnosisSettings;
pub use error::{ConfigError, Place};
pub use history::HistorySettings;
pub use http::HttpSettings;
pub use joining::JoinSettings;
pub use keys::TABLES;
pub use level_source::{LevelSource, SettingsFile};
pub use limits::{AppendLimits, Limits, ModelLimits};
pub use log::LogSettings;
pub use logging::{LogFormat, LoggingSettings, UnknownLogFormat};
pub use overrides::Overrides;
pub use raft::RaftSettings;
use section::Section;
pub use servers::Server;
pub use session::SessionSettings;
pub use snapshot::SnapshotSettings;
use source::{Source, line_at};
pub use upgrade::UpgradeSettings;

use crate::types::NodeId;

/// All settings of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The path of servers.toml, for messages.
    pub path: PathBuf,
    /// The name of the cluster. Servers of different clusters refuse each other.
    pub cluster: String,
    /// The servers: at least one, with ids above 0 and different listeners.
    pub servers: BTreeMap<NodeId, Server>,
    /// The keys `log_level` and `log_format`.
    pub logging: LoggingSettings,
    /// The table `[raft]`.
    pub raft: RaftSettings,
    /// The table `[log]`.
    pub log: LogSettings,
    /// The table `[snapshot]`.
    pub snapshot: SnapshotSettings,
    /// The table `[history]`.
    pub history: HistorySettings,
    /// The table `[limits]`.
    pub limits: Limits,
    /// The table `[session]`.
    pub session: SessionSettings,
    /// The table `[http]`.
    pub http: HttpSettings,
    /// The table `[diagnosis]`.
    pub diagnosis: DiagnosisSettings,
    /// The table `[upgrade]`.
    pub upgrade: UpgradeSettings,
}

impl Settings {
    /// Reads and checks the file at `path`. The flags in `overrides` come before the file.
    ///
    /// # Errors
    /// When the file cannot be read, or a setting is wrong.
    pub fn load(path: &Path, overrides: &Overrides) -> Result<Settings, ConfigError> {
        Settings::parse(path, &read_text(path)?, overrides)
    }

    /// Reads and checks the text of a file. `path` is used in messages and for a relative
    /// `data_dir`.
    ///
    /// # Errors
    /// When the text is not TOML, or a setting is wrong.
    pub fn parse(path: &Path, text: &str, overrides: &Overrides) -> Result<Settings, ConfigError> {
        let (settings, _) = Settings::read(path, text, overrides)?;
        if settings.servers.is_empty() {
            return Err(ConfigError::NoServers { path: settings.path });
        }
        Ok(settings)
    }

    /// Reads and checks the text of a file, which may list no servers. Returns the directory of
    /// all servers' files as well.
    fn read(
        path: &Path,
        text: &str,
        overrides: &Overrides,
    ) -> Result<(Settings, PathBuf), ConfigError> {
        let (source, table) = Source::parse(path, text)?;
        let mut file = Section::new(&source, "", table)?;
        let cluster = read_cluster(&mut file)?;
        let data_dir = read_data_dir(path, &mut file, overrides)?;
        let logging = logging::read(&mut file)?;
        let sections = file.tables("servers")?;
        let raft = raft::read(file.table("raft")?, overrides)?;
        let mut log = file.table("log")?;
        let snapshot = snapshot::read(file.table("snapshot")?)?;
        let history = history::read(file.table("history")?)?;
        let segment_bytes = log::read_segment_bytes(&mut log)?;
        let limits = limits::read(file.table("limits")?, segment_bytes)?;
        let log = log::read(log, segment_bytes, &limits)?;
        let session = session::read(file.table("session")?)?;
        let http = http::read(file.table("http")?)?;
        let diagnosis = diagnosis::read(file.table("diagnosis")?)?;
        let upgrade = upgrade::read(file.table("upgrade")?)?;
        file.end();
        let servers = servers::read(sections, &data_dir, overrides)?;
        limits::check_memory(&source, &limits, servers.len().max(1))?;
        let path = path.into();
        let settings = Settings {
            path,
            cluster,
            servers,
            logging,
            raft,
            log,
            snapshot,
            history,
            limits,
            session,
            http,
            diagnosis,
            upgrade,
        };
        Ok((settings, data_dir))
    }

    /// The server with the id `id`.
    ///
    /// # Errors
    /// When there is no such server.
    pub fn server(&self, id: NodeId) -> Result<&Server, ConfigError> {
        self.servers.get(&id).ok_or_else(|| {
            let ids: Vec<String> = self.servers.keys().map(NodeId::to_string).collect();
            ConfigError::NoSuchServer { path: self.path.clone(), id: id.0, known: ids.join(", ") }
        })
    }

    /// All servers except the one with the id `id`.
    pub fn peers(&self, id: NodeId) -> impl Iterator<Item = &Server> {
        self.servers.values().filter(move |server| server.id != id)
    }
}

fn read_text(path: &Path) -> Result<String, ConfigError> {
    let bytes = std::fs::read(path)
        .map_err(|error| ConfigError::Unreadable { path: path.into(), error })?;
    String::from_utf8(bytes).map_err(|error| {
        let (at, bytes) = (error.utf8_error().valid_up_to(), error.as_bytes());
        ConfigError::NotUtf8 { path: path.into(), line: line_at(bytes, at), byte: bytes[at] }
    })
}

fn read_cluster(file: &mut Section<'_>) -> Result<String, ConfigError> {
    let cluster = file.text("cluster")?.unwrap_or_else(|| "coracle".into());
    if cluster.is_empty() || cluster.len() > 64 || cluster.chars().any(char::is_control) {
        return Err(ConfigError::Conflict {
            place: file.place("cluster"),
            value: format!("{cluster:?}"),
            bound: "a name of 1 to 64 bytes without control characters".into(),
        });
    }
    Ok(cluster)
}

fn read_data_dir(
    path: &Path,
    file: &mut Section<'_>,
    overrides: &Overrides,
) -> Result<PathBuf, ConfigError> {
    let in_file = file.text("data_dir")?.unwrap_or_else(|| "data".into());
    let (data_dir, place) = match &overrides.data_dir {
        Some(data_dir) => (data_dir.clone(), Place::Flag("--data-dir")),
        None => {
            let beside = path.parent().unwrap_or(Path::new("")).join(&in_file);
            (if in_file.is_empty() { PathBuf::new() } else { beside }, file.place("data_dir"))
        }
    };
    if data_dir.as_os_str().is_empty() {
        return Err(ConfigError::Conflict {
            place,
            value: "empty".into(),
            bound: "a directory, such as \"data\"".into(),
        });
    }
    Ok(data_dir)
}
