//! The table `[session]`: the threads of client sessions.

use super::error::ConfigError;
use super::section::Section;

/// `[session]`: the threads of client sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionSettings {
    /// `threads`: the number of arbiters for client sessions; 0 runs them on the main one.
    pub threads: usize,
}

/// Reads the table.
pub(super) fn read(mut section: Section<'_>) -> Result<SessionSettings, ConfigError> {
    let threads = section.number("threads", 0, 0..=256)? as usize;
    section.end();
    Ok(SessionSettings { threads })
}
