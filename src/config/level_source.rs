//! The source of the level of the log, which can be read again while a server runs.

use std::path::PathBuf;

use super::Settings;
use super::error::ConfigError;
use super::joining::JoinSettings;
use super::logging::LoggingSettings;
use super::overrides::Overrides;

/// The place that says how much a running server logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LevelSource {
    /// A flag or a variable of the environment, which comes before servers.toml.
    Fixed(&'static str),
    /// The key `log_level` of a file.
    File(Box<SettingsFile>),
    /// Nothing: the server has no file, and joined with the defaults.
    Default,
}

/// The file with the settings of a running server, to be read again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingsFile {
    /// The path of servers.toml.
    pub path: PathBuf,
    /// The flags that the server was started with.
    pub overrides: Overrides,
    /// True when the server was started to join a cluster, so that its file may list no servers.
    pub is_joining: bool,
}

impl SettingsFile {
    /// Reads and checks the whole file, as a start would, and returns what it says of the log.
    ///
    /// # Errors
    /// When the file cannot be read, or a setting is wrong.
    pub fn read_logging(&self) -> Result<LoggingSettings, ConfigError> {
        let SettingsFile { path, overrides, is_joining } = self;
        Ok(match is_joining {
            true => JoinSettings::load(Some(path), overrides)?.logging(),
            false => Settings::load(path, overrides)?.logging,
        })
    }
}

#[cfg(test)]
mod tests;
