//! The table `[upgrade]`: the cluster's format.

use super::error::ConfigError;
use super::section::Section;

/// `[upgrade]`: when the format of the cluster is raised (docs/adr/0023).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UpgradeSettings {
    /// `raise_after_s`: for how many seconds all members must have been able to read the next
    /// format before it is put in force.
    pub raise_after_s: u64,
}

/// Reads the table.
pub(super) fn read(mut section: Section<'_>) -> Result<UpgradeSettings, ConfigError> {
    let raise_after_s = section.number("raise_after_s", 900, 0..=1 << 20)?;
    section.end();
    Ok(UpgradeSettings { raise_after_s })
}
