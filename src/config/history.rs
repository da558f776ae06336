//! The table `[history]`: the changes of keys that are kept.

use super::error::ConfigError;
use super::section::Section;

/// `[history]`: how much of the past can be read and watched (docs/adr/0029). The settings of the
/// leader are in force on all servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistorySettings {
    /// `keep_revisions`: the number of revisions that are kept before the present one; 0 keeps
    /// none.
    pub keep_revisions: u64,
    /// `bytes_max`: maximum size of the changes that are kept, as `store_bytes_max` counts it; 0
    /// means no such limit.
    pub bytes_max: u64,
}

/// Reads the table.
pub(super) fn read(mut section: Section<'_>) -> Result<HistorySettings, ConfigError> {
    let keep_revisions = section.number("keep_revisions", 100_000, 0..=1 << 40)?;
    let bytes_max = section.number("bytes_max", 256 * 1024 * 1024, 0..=1 << 50)?;
    section.end();
    Ok(HistorySettings { keep_revisions, bytes_max })
}
