//! Checks of what the cluster promises. A check observes the network, the disks, the statuses
//! and the history, and reports violations. It never acts on the cluster: it starts, stops and
//! crashes nothing. `liveness`, `availability` and `status_poller` send ordinary commands of
//! clients. `expected_start` and `status_poller` note in the world which node has lost data, and
//! when it has caught up.

pub(crate) mod agreement;
pub(crate) mod availability;
pub(crate) mod bounds;
pub(crate) mod committed_log;
mod elapsed_time;
pub(crate) mod expected_start;
pub(crate) mod final_state;
pub(crate) mod linearizability;
pub(crate) mod liveness;
pub(crate) mod log_order;
pub(crate) mod members;
pub(crate) mod panics;
pub(crate) mod reference_store;
mod stale_reads;
pub(crate) mod status_poller;
pub(crate) mod violation;
mod watches;
pub(crate) mod wire;
