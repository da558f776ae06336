//! The flags of the command line that override the file.

use std::path::PathBuf;

/// The flags that override the file. Each is `None` when it is not given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// The flag `--data-dir`.
    pub data_dir: Option<PathBuf>,
    /// The flag `--heartbeat-interval-ms`.
    pub heartbeat_interval_ms: Option<u64>,
    /// The flag `--election-timeout-ms-min`.
    pub election_timeout_ms_min: Option<u64>,
    /// The flag `--election-timeout-ms-max`.
    pub election_timeout_ms_max: Option<u64>,
}
