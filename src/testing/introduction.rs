//! The introduction of a server, and its view of the cluster, for tests.

use crate::raft::{ClusterStatus, Introduction};
use crate::types::{BootId, FormatInForce, FormatRange, Incarnation};

/// The introduction of a server of this version that knows no cluster id.
pub(crate) fn introduction() -> Introduction {
    Introduction {
        formats: FormatRange::OWN,
        binary: env!("CARGO_PKG_VERSION").to_owned(),
        incarnation: Incarnation(7),
        boot: BootId(9),
        cluster_id: None,
        is_held: false,
    }
}

/// The cluster as a server of this version sees it that knows no cluster id.
pub(crate) fn cluster_status() -> ClusterStatus {
    ClusterStatus {
        format: FormatInForce::default(),
        cluster_id: None,
        formats: FormatRange::OWN,
        is_held: false,
        raise_waits_for: None,
    }
}
