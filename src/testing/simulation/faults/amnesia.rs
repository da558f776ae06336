//! A disk that forgets without a trace: a data directory that was restored from an older copy, or
//! a disk that has confirmed writes which it never made. No start can see that. The leader that
//! has counted the acknowledgements can.
//!
//! No system survives any such loss: a node that has forgotten its acknowledgement may elect a
//! leader that never had the entry (docs/adr/0003). So a node loses only entries that a quorum of
//! *other* nodes holds, and no term and no vote. Then nothing can be lost, whoever leads.

use std::rc::Rc;
use std::time::Duration;

use rand::RngExt;
use tokio::time::{Instant, sleep};

use super::targeted::TargetedFaults;
use crate::testing::simulation::checks::violation::Check;
use crate::testing::simulation::cluster::{crash, start};
use crate::testing::simulation::world::Sample;

/// The longest wait for entries that can be forgotten, in longest election timeouts.
const PATIENCE_TIMEOUTS: u64 = 16;
/// The longest time for which a node that has forgotten something may lack it, while the leader
/// that has counted it leads: in longest election timeouts, and with a snapshot in seconds.
const CATCH_UP_TIMEOUTS: u64 = 10;
const CATCH_UP: Duration = Duration::from_secs(5);
/// In the place of the life that ended with a loss: no later life ends it.
const UNNOTICED: u64 = u64::MAX - 1;
/// The time between two looks.
const INTERVAL: Duration = Duration::from_millis(5);

impl TargetedFaults {
    /// Takes an image of a follower's disk, lets it acknowledge more, and returns it to the image.
    pub(super) async fn amnesia(&mut self) -> bool {
        if !self.world.may_lose_data() {
            return false;
        }
        self.world.network.heal();
        let Some(leader) = self.leader_above(0).await else { return false };
        let Some(id) = self.others(leader.id).first().copied() else { return false };
        let machine = Rc::clone(&self.world.machines[&id]);
        let image = machine.disk.durable_image();
        let life = machine.lives.get();
        let deadline =
            Instant::now() + Duration::from_millis(PATIENCE_TIMEOUTS * self.election_timeout_ms());
        let least = leader.last_log_index + self.world.random(|rng| rng.random_range(1..=20));
        while !self.may_forget(id, least) {
            let is_in_vain = Instant::now() > deadline.min(self.end)
                || !machine.is_up()
                || machine.lives.get() != life;
            if is_in_vain {
                return false;
            }
            sleep(INTERVAL).await;
        }
        // From here to the start of the node no time passes.
        let is_same_reign = self.poll().await.iter().any(|sample| is_led_by(sample, &leader));
        if !is_same_reign || !self.may_forget(id, least) || machine.lives.get() != life {
            return false;
        }
        if !self.world.may_lose_data()
            || !self.world.wire.may_return_to(id, &image)
            || machine.site.is_away.get()
        {
            return false;
        }
        crash(&self.world, id, true);
        let forgotten = self.world.wire.log_length(id);
        self.world.wire.on_amnesia(id);
        machine.forget_back_to(&image);
        let kept = self.world.wire.log_length(id);
        self.world.trace.say(&format_args!("n{id} has {kept} entries again, and had {forgotten}"));
        // No status shows the loss before the leader has found it out.
        self.world.note_data_loss(id, UNNOTICED);
        start(&self.world, id);
        self.wait_for_recall(&leader, id, forgotten).await;
        // A server that was removed meanwhile has nothing to make good.
        let is_open = self.world.data.losses.borrow().get(&id) == Some(&UNNOTICED);
        if is_open {
            self.world.note_data_loss(id, life);
        }
        true
    }

    /// True when this node has `least` entries, and a quorum of other nodes holds its log.
    fn may_forget(&self, id: u64, least: u64) -> bool {
        self.world.wire.log_length(id) >= least && self.world.wire.is_log_held_by_others(id)
    }

    /// Waits until the node has its entries again. It must not lack them for long while the
    /// leader leads that has counted them.
    async fn wait_for_recall(&mut self, leader: &Sample, id: u64, length: u64) {
        let patience =
            CATCH_UP + Duration::from_millis(CATCH_UP_TIMEOUTS * self.election_timeout_ms());
        let machine = Rc::clone(&self.world.machines[&id]);
        let (life, end) = (machine.lives.get(), Instant::now() + patience);
        let installs = self.world.wire.installs().begun;
        while Instant::now() < end {
            sleep(INTERVAL).await;
            if self.world.wire.log_length(id) >= length {
                return;
            }
            if !self.poll().await.iter().any(|sample| is_led_by(sample, leader))
                || machine.lives.get() != life
            {
                return;
            }
        }
        let has_low_rate = self.world.plan.settings.snapshot.bytes_per_second_max > 0;
        if has_low_rate && self.world.wire.installs().begun > installs + 1 {
            // A snapshot took longer than the log is kept for it while clients write, and the next
            // one took its place (docs/adr/0017). That goes on until they stop.
            return;
        }
        let what = format!(
            "n{id} has forgotten entries that n{} has counted, and lacks them for {patience:?}: \
             it has {} of {length}",
            leader.id,
            self.world.wire.log_length(id)
        );
        self.world.violate(Check::Rejoining, what);
    }
}

/// True when `leader` still leads the term that it led.
fn is_led_by(sample: &Sample, leader: &Sample) -> bool {
    (sample.id, sample.term, sample.role.as_str()) == (leader.id, leader.term, "leader")
}
