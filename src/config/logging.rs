//! The keys `log_level` and `log_format`.

use std::fmt;
use std::str::FromStr;

use log::LevelFilter;

use super::error::ConfigError;
use super::section::Section;

/// The lines of the log: which of them are written, and in what form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoggingSettings {
    /// `log_level`: the least important lines that are written.
    pub level: LevelFilter,
    /// `log_format`: the form of the lines.
    pub format: LogFormat,
}

/// The form of the lines of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One object a line, for programs.
    Json,
}

/// The error about a word that is no format of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it must be {}", FORMATS)]
pub struct UnknownLogFormat;

/// The words for the levels.
const LEVELS: &str = "off, error, warn, info, debug or trace";
/// The words for the formats.
const FORMATS: &str = "text or json";

impl FromStr for LogFormat {
    type Err = UnknownLogFormat;

    fn from_str(word: &str) -> Result<LogFormat, UnknownLogFormat> {
        match word {
            "text" => Ok(LogFormat::Text),
            "json" => Ok(LogFormat::Json),
            _ => Err(UnknownLogFormat),
        }
    }
}

impl fmt::Display for LogFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            LogFormat::Text => "text",
            LogFormat::Json => "json",
        })
    }
}

/// Reads both keys, which are at the beginning of the file.
pub(super) fn read(file: &mut Section<'_>) -> Result<LoggingSettings, ConfigError> {
    Ok(LoggingSettings {
        level: word(file, "log_level", LEVELS)?.unwrap_or(LevelFilter::Info),
        format: word(file, "log_format", FORMATS)?.unwrap_or(LogFormat::Text),
    })
}

/// The word at `key`, which must be one of those that `bound` lists.
fn word<T: FromStr>(
    file: &mut Section<'_>,
    key: &'static str,
    bound: &str,
) -> Result<Option<T>, ConfigError> {
    let Some(word) = file.text(key)? else { return Ok(None) };
    let parsed = word.parse().map_err(|_| ConfigError::Conflict {
        place: file.place(key),
        value: format!("{word:?}"),
        bound: bound.to_owned(),
    })?;
    Ok(Some(parsed))
}

#[cfg(test)]
mod tests;
