//! The table `[http]`: the bounds of the port for metrics and health (docs/adr/0032).

use super::error::ConfigError;
use super::section::Section;

/// `[http]`: the bounds of the HTTP port. Where it is, `http_port` of each server says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpSettings {
    /// `connections_max`: maximum number of connections at a time.
    pub connections_max: usize,
    /// `disk_stall_ms_max`: time in milliseconds for which the disk may finish nothing; a server
    /// whose disk takes longer is not live.
    pub disk_stall_ms_max: u64,
}

/// Reads the table.
pub(super) fn read(mut section: Section<'_>) -> Result<HttpSettings, ConfigError> {
    let connections_max = section.number("connections_max", 256, 8..=65_536)? as usize;
    let disk_stall_ms_max = section.number("disk_stall_ms_max", 30_000, 1_000..=3_600_000)?;
    section.end();
    Ok(HttpSettings { connections_max, disk_stall_ms_max })
}
