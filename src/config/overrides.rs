//! The flags of the command line that override the file.

use std::path::PathBuf;

use crate::types::{Address, NodeId};

/// The flags that override the file. Each is `None` when it is not given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// The flag `--data-dir`.
    pub data_dir: Option<PathBuf>,
    /// The server that the flags for addresses are about: that of `--id`.
    pub id: Option<NodeId>,
    /// The flag `--client-listen`.
    pub client_listen: Option<Address>,
    /// The flag `--log-listen`.
    pub log_listen: Option<Address>,
    /// The flag `--http-listen`.
    pub http_listen: Option<Address>,
    /// The flag `--client-advertise`.
    pub client_advertise: Option<Address>,
    /// The flag `--log-advertise`.
    pub log_advertise: Option<Address>,
    /// The flag `--heartbeat-interval-ms`.
    pub heartbeat_interval_ms: Option<u64>,
    /// The flag `--election-timeout-ms-min`.
    pub election_timeout_ms_min: Option<u64>,
    /// The flag `--election-timeout-ms-max`.
    pub election_timeout_ms_max: Option<u64>,
}
