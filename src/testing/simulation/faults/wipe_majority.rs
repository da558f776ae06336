//! A majority of the data directories is lost at once, and found again.
//!
//! No system goes on after such a loss: entries may be gone that were acknowledged. What must not
//! happen is that the empty machines take themselves for a new cluster, because the others would
//! then lose what they have (docs/adr/0024). So nobody leads until the directories are put back,
//! and then everything is there.

use std::rc::Rc;
use std::time::Duration;

use rand::RngExt;
use rand::seq::SliceRandom;
use tokio::time::{Instant, sleep};

use super::targeted::TargetedFaults;
use crate::testing::SimDisk;
use crate::testing::simulation::checks::violation::Check;
use crate::testing::simulation::cluster::{crash, start, wipe};
use crate::testing::simulation::world::{Sample, World};

/// The time between two looks.
const INTERVAL: Duration = Duration::from_millis(20);
/// The longest time for which the directories are gone, in longest election timeouts.
const LOSS_TIMEOUTS: u64 = 12;

impl TargetedFaults {
    /// Stops all nodes, empties a majority of the machines, and starts them, alone or with the
    /// others. Later it puts the directories back.
    pub(super) async fn wipe_majority(&mut self) -> bool {
        let world = Rc::clone(&self.world);
        let is_busy = |id: &u64| {
            let machine = &world.machines[id];
            machine.site.is_away.get() || machine.is_full() || !machine.disk.rot().is_empty()
        };
        if !world.may_lose_data() || world.machines.keys().any(is_busy) {
            return false;
        }
        if world.random(|rng| rng.random_bool(0.7)) {
            world.network.heal();
        }
        let is_power_lost = world.random(|rng| rng.random_bool(0.5));
        for (id, machine) in &world.machines {
            machine.site.is_away.set(true);
            crash(&world, *id, is_power_lost);
        }
        let lost = draw_majority(&world);
        let images: Vec<(u64, SimDisk)> =
            lost.iter().map(|id| (*id, world.machines[id].disk.durable_image())).collect();
        world.trace.say(&format_args!("nodes {lost:?} lose their disks"));
        lost.iter().for_each(|id| wipe(&world, *id));
        let are_others_there = world.random(|rng| rng.random_bool(0.5));
        for (id, machine) in &world.machines {
            if are_others_there || lost.contains(id) {
                machine.site.is_away.set(false);
                start(&world, *id);
            }
        }
        self.expect_nobody_to_lead(&lost).await;
        world.trace.say(&format_args!("nodes {lost:?} get their disks back"));
        for (id, image) in &images {
            world.machines[id].site.is_away.set(true);
            crash(&world, *id, false);
            world.machines[id].forget_back_to(image);
            world.wire.on_return(*id);
            world.data.losses.borrow_mut().remove(id);
        }
        for (id, machine) in &world.machines {
            machine.site.is_away.set(false);
            start(&world, *id);
        }
        true
    }

    /// Checks for a while that no node leads, and that no empty one takes itself for a voter.
    async fn expect_nobody_to_lead(&mut self, lost: &[u64]) {
        let most_ms = LOSS_TIMEOUTS * self.election_timeout_ms();
        let ms = self.world.random(|rng| rng.random_range(most_ms / 3..=most_ms));
        let end = Instant::now() + Duration::from_millis(ms);
        let is_wrong = |sample: &Sample| {
            sample.role == "leader" || lost.contains(&sample.id) && sample.role != "rejoining"
        };
        while Instant::now() < end && !self.world.has_failed() {
            if let Some(sample) = self.poll().await.into_iter().find(is_wrong) {
                let what = format!("nodes {lost:?} have lost their disks: {sample:?}");
                self.world.violate(Check::NewCluster, what);
            }
            sleep(INTERVAL).await;
        }
    }
}

/// Draws a majority of the machines, but not all.
fn draw_majority(world: &World) -> Vec<u64> {
    let mut ids: Vec<u64> = world.machines.keys().copied().collect();
    world.random(|rng| ids.shuffle(rng));
    let quorum_size = ids.len() / 2 + 1;
    ids.truncate(world.random(|rng| rng.random_range(quorum_size..ids.len())));
    ids
}
