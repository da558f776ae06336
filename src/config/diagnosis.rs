//! The table `[diagnosis]`: what a server says of its own troubles.

use super::error::ConfigError;
use super::section::Section;

/// `[diagnosis]`: the bounds from which on a server complains (docs/adr/0036).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiagnosisSettings {
    /// `slow_operation_ms`: milliseconds from which on a command of a client is counted and logged
    /// as slow; 0 for never.
    pub slow_operation_ms: u64,
}

/// Reads the table.
pub(super) fn read(mut section: Section<'_>) -> Result<DiagnosisSettings, ConfigError> {
    let slow_operation_ms = section.number("slow_operation_ms", 100, 0..=600_000)?;
    section.end();
    Ok(DiagnosisSettings { slow_operation_ms })
}
