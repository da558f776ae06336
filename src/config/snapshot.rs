//! The table `[snapshot]`: when a snapshot is taken, and how fast it is sent.

use super::error::ConfigError;
use super::section::{BYTES, Section};

/// `[snapshot]`: when a snapshot is taken, and how fast it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotSettings {
    /// `entries_max`: log entries since the last snapshot that cause the next one.
    pub entries_max: u64,
    /// `bytes_max`: bytes of log since the last snapshot that cause the next one; never fewer
    /// than the size of the last snapshot.
    pub bytes_max: u64,
    /// `bytes_per_second_max`: the speed at which a snapshot is sent to a peer; 0 means no
    /// limit.
    pub bytes_per_second_max: u64,
}

/// Reads the table.
pub(super) fn read(mut section: Section<'_>) -> Result<SnapshotSettings, ConfigError> {
    let entries_max = section.number("entries_max", 100_000, 1..=1 << 40)?;
    let bytes_max = section.number("bytes_max", 256 << 20, BYTES)?;
    let bytes_per_second_max = section.number("bytes_per_second_max", 0, 0..=1 << 40)?;
    section.end();
    Ok(SnapshotSettings { entries_max, bytes_max, bytes_per_second_max })
}
