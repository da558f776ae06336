//! Agreement: once faults are over all nodes become equal, one leads, and the newest format is in
//! force: all nodes run the new program by then.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::status_poller::ask_all;
use super::violation::Check;
use crate::testing::simulation::world::{Sample, World};
use crate::types::FormatRange;

/// All nodes have to be equal within this time after the last [`Progress`].
const AGREEMENT: Duration = Duration::from_secs(10);
/// All nodes have to be equal within this time, whatever the progress.
const AGREEMENT_MAX: Duration = Duration::from_secs(200);

/// The two ways towards agreement. Each may be long: with windows of one entry a node may need a
/// round trip for each of thousands, and the bytes of a snapshot may come at a few thousand a
/// second.
#[derive(Clone, Copy, Default)]
struct Progress {
    /// The last entry that the node has applied that has applied the least.
    applied: u64,
    /// The bytes of snapshots that have arrived, without those that had arrived before.
    snapshot_bytes: u64,
}

impl Progress {
    fn of(statuses: &[Option<Sample>], world: &World) -> Progress {
        let applied = statuses.iter().map(|status| status.as_ref().map_or(0, |s| s.last_applied));
        Progress {
            applied: applied.min().unwrap_or(0),
            snapshot_bytes: world.wire.installs().bytes,
        }
    }

    /// Takes over what is more than before. Returns true if anything is.
    fn advance(&mut self, now: Progress) -> bool {
        let is_further = now.applied > self.applied || now.snapshot_bytes > self.snapshot_bytes;
        self.applied = self.applied.max(now.applied);
        self.snapshot_bytes = self.snapshot_bytes.max(now.snapshot_bytes);
        is_further
    }
}

/// Waits until all nodes are equal, one leads, and the newest format is in force. Returns their
/// statuses, or `None` after it has reported that they did not agree in time.
pub(crate) async fn wait_for_agreement(world: &World) -> Option<Vec<Sample>> {
    let latest = Instant::now() + AGREEMENT_MAX;
    let (mut deadline, mut progress) = (Instant::now() + AGREEMENT, Progress::default());
    loop {
        let statuses = ask_all(world).await;
        if are_equal(&statuses) {
            return statuses.into_iter().collect();
        }
        if progress.advance(Progress::of(&statuses, world)) {
            deadline = latest.min(Instant::now() + AGREEMENT);
        }
        if Instant::now() > deadline {
            world.violate(
                Check::Agreement,
                format!("neither agreement nor progress within {AGREEMENT:?}: {statuses:#?}"),
            );
            return None;
        }
        sleep(Duration::from_millis(100)).await;
    }
}

fn are_equal(statuses: &[Option<Sample>]) -> bool {
    let Some(samples) = statuses.iter().map(Option::as_ref).collect::<Option<Vec<_>>>() else {
        return false;
    };
    let is_equal = |sample: &&Sample| {
        sample.term == samples[0].term
            && sample.last_applied == sample.last_log_index
            && sample.last_applied == sample.commit_index
            && sample.last_applied == samples[0].last_applied
            && sample.store_digest == samples[0].store_digest
            && sample.role != "rejoining"
            && sample.format == u64::from(FormatRange::OWN.highest.0)
            && sample.cluster_id != "none"
            && sample.cluster_id == samples[0].cluster_id
    };
    samples.iter().all(is_equal)
        && samples.iter().filter(|sample| sample.role == "leader").count() == 1
}
