//! The introduction of a server, and its view of the cluster, for tests.

use crate::raft::{ClusterStatus, GateSettings, Introduction};
use crate::types::{BootId, ClusterId, FormatInForce, FormatRange, Incarnation};

/// The introduction of a server of this version that knows no cluster id.
pub(crate) fn introduction() -> Introduction {
    Introduction {
        formats: FormatRange::OWN,
        binary: env!("CARGO_PKG_VERSION").to_owned(),
        incarnation: Incarnation(7),
        boot: BootId(9),
        cluster_id: None,
        is_held: false,
        member: None,
        is_draining: false,
        http: None,
    }
}

/// The cluster as a server of this version sees it that knows no cluster id.
pub(crate) fn cluster_status() -> ClusterStatus {
    ClusterStatus {
        format: FormatInForce::default(),
        cluster_id: None,
        formats: FormatRange::OWN,
        is_held: false,
        is_draining: false,
        raise_waits_for: None,
    }
}

/// The gate of a node that reads format 1 only, so that it never raises the format.
pub(crate) fn shut_gate() -> GateSettings {
    GateSettings {
        formats: FormatRange::FIRST_ONLY,
        new_cluster_id: ClusterId(1),
        boot: BootId(1),
        raise_after_ticks: u32::MAX,
        is_held: false,
        is_new_cluster: true,
    }
}
