//! The clocks of nodes with leader leases.

use core::time::Duration;

use super::cluster::Cluster;
use crate::raft::LeaseSettings;
use crate::types::NodeId;

/// The time that a tick should take.
pub(super) const TICK: Duration = Duration::from_millis(10);
/// The time of a promise: the shortest election timeout.
pub(super) const PROMISE: Duration = Duration::from_millis(100);

impl Cluster {
    /// The clock of a node: each is wrong by its own rate, and two differ by nearly as much as
    /// leases allow.
    fn clock(&self, id: NodeId) -> Duration {
        self.now.mul_f64([1.0, 0.86, 1.14][id.0 as usize % 3])
    }

    pub(super) fn update_clock(&mut self, id: NodeId) {
        let now = self.clock(id);
        self.raft_mut(id).set_now(now);
    }

    /// The settings of a node that starts now.
    pub(super) fn lease_settings(&self, id: NodeId) -> LeaseSettings {
        LeaseSettings { promise: PROMISE, started_at: self.clock(id) }
    }
}
