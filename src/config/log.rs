//! The table `[log]`: the files of the log.

use super::error::ConfigError;
use super::limits::{FRAME_OVERHEAD_BYTES, Limits};
use super::section::{BYTES, Section};

/// The default size of a log file in bytes. Compaction removes whole segments, so on average
/// half of the first segment and half of the last are not used (docs/adr/0008). A new segment
/// costs two syncs.
const SEGMENT_BYTES_DEFAULT: u64 = 8 << 20;

/// `[log]`: the files of the log, and the entries that it keeps although a snapshot has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// `segment_bytes`: the size of a log file in bytes; by default 8 MiB, or the size of
    /// the largest entry if that is more.
    pub segment_bytes: u64,
    /// `keep_entries`: the number of entries before a snapshot that the log keeps for
    /// followers that are a little behind.
    pub keep_entries: u64,
}

/// Reads `segment_bytes`; `None` when servers.toml does not give it.
pub(super) fn read_segment_bytes(section: &mut Section<'_>) -> Result<Option<u64>, ConfigError> {
    section.optional_number("segment_bytes", BYTES)
}

/// Reads the rest of the table.
pub(super) fn read(
    mut section: Section<'_>,
    segment_bytes: Option<u64>,
    limits: &Limits,
) -> Result<LogSettings, ConfigError> {
    let least = limits.entry_bytes_max() + FRAME_OVERHEAD_BYTES;
    let segment_bytes = segment_bytes.unwrap_or(SEGMENT_BYTES_DEFAULT.max(least));
    let keep_entries = section.number("keep_entries", 10_000, 0..=1 << 40)?;
    if segment_bytes < least {
        return Err(ConfigError::Conflict {
            place: section.place("segment_bytes"),
            value: segment_bytes.to_string(),
            bound: format!(
                "at least {least}, so that the largest entry fits: raise it or lower [limits] \
                 value_bytes_max and transaction_bytes_max"
            ),
        });
    }
    section.end();
    Ok(LogSettings { segment_bytes, keep_entries })
}
