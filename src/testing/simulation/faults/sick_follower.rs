//! A follower that answers and never finishes. Its disk has no room for the snapshot that it needs,
//! or it completes nothing. The others must not pay for it with more than a bounded log.

use std::rc::Rc;
use std::time::Duration;

use rand::RngExt;
use tokio::time::{Instant, sleep};

use super::targeted::TargetedFaults;
use crate::testing::simulation::checks::bounds;
use crate::testing::simulation::cluster::start;
use crate::testing::simulation::workload::write_steadily;
use crate::testing::simulation::world::Sample;

/// The shortest and the longest time for which the follower is sick, in milliseconds. That may be
/// longer than the other faults last.
const SICK_MS: std::ops::RangeInclusive<u64> = 3_000..=15_000;
/// The time between two looks at the leader's log.
const INTERVAL: Duration = Duration::from_millis(100);

impl TargetedFaults {
    /// Keeps a follower down until it needs a snapshot, and makes its disk sick before or while it
    /// gets that. Meanwhile clients write, and the leader's log has to stay bounded.
    pub(super) async fn stick_follower(&mut self) -> bool {
        let begun = self.world.wire.installs().begun;
        let Some(id) = self.leave_behind().await else { return false };
        let machine = Rc::clone(&self.world.machines[&id]);
        let has_no_room = self.world.random(|rng| rng.random_bool(0.5));
        if has_no_room {
            let dir = self.world.data_dir(id).join("snapshot");
            machine.disk.set_full_dir(Some(dir));
        }
        start(&self.world, id);
        if !has_no_room && self.wait_for_install(begun).await {
            // It may have received all of the snapshot by then, or some of it.
            self.pause(self.world.random(|rng| [2, 20, 200][rng.random_range(0..3)])).await;
            machine.stall_disk(true);
        }
        let ms = self.world.random(|rng| rng.random_range(SICK_MS));
        self.world.trace.say(&format_args!("n{id} is sick for {ms} ms"));
        self.watch_the_log(id, Instant::now() + Duration::from_millis(ms)).await;
        machine.disk.set_full_dir(None);
        machine.stall_disk(false);
        true
    }

    /// Writes to the leader until `end`, and checks its log. If the sick node is elected, it cannot
    /// save the snapshots that its own log waits for.
    async fn watch_the_log(&mut self, sick: u64, end: Instant) {
        let mut load = None;
        while Instant::now() < end && !self.world.has_failed() {
            let leads = |sample: &Sample| sample.role == "leader";
            let leader = self.poll().await.into_iter().filter(leads).max_by_key(|s| s.term);
            if let Some(leader) = leader {
                if leader.id != sick {
                    bounds::check_leader_log(&self.world, &leader);
                }
                if load.as_ref().is_none_or(|(id, _)| *id != leader.id) {
                    load = Some((leader.id, write_steadily(&self.world, leader.id, false)));
                }
            }
            sleep(INTERVAL).await;
        }
    }
}
