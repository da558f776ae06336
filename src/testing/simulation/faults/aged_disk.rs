//! A disk that forgets without a trace, when the leader that has counted its acknowledgements is
//! gone as well: entries that were committed by them are then on one disk less than a quorum.
//!
//! No system survives that if nobody is left who remembers: the node and those that lag behind
//! elect a leader that never had the entries (docs/adr/0003). So somebody who lags is alive all the
//! time and has answered a StateCheck of this leader with an acknowledgement that the disk lacks,
//! made in the leader's term, and the network is fast and whole when the node comes back. So it is
//! told, and rejoins, before it votes (docs/adr/0024). The leader's disk keeps all that was
//! committed. The disk that forgets has lost no term and no vote, because nobody tells a node about
//! these.

use std::rc::Rc;
use std::time::Duration;

use rand::RngExt;
use tokio::time::{Instant, sleep};

use super::targeted::TargetedFaults;
use super::topology::cut_between;
use crate::testing::simulation::cluster::{crash, start};
use crate::testing::simulation::world::Sample;

/// The longest wait for something that can be forgotten, in longest election timeouts.
const PATIENCE_TIMEOUTS: u64 = 10;
/// The longest time for which the leader is down, in longest election timeouts.
const DOWN_TIMEOUTS: u64 = 6;
/// The time between two looks.
const INTERVAL: Duration = Duration::from_millis(3);

impl TargetedFaults {
    /// Lets a quorum around a follower and the leader commit entries that others lack, crashes the
    /// leader and the follower, and returns the follower's disk to an older image.
    pub(super) async fn age_disk(&mut self) -> bool {
        if !self.calm_down() {
            return false;
        }
        let has_aged = self.age_a_disk().await;
        self.world.network.heal();
        self.world.network.set_conditions(self.world.plan.network);
        has_aged
    }

    async fn age_a_disk(&mut self) -> bool {
        let Some(leader) = self.leader_above(0).await else { return false };
        let mut ahead = self.others(leader.id);
        let behind = ahead.split_off(ahead.len() / 2);
        let victim = ahead[0];
        ahead.push(leader.id);
        let machine = Rc::clone(&self.world.machines[&victim]);
        let (image, life) = (machine.disk.durable_image(), machine.lives.get());
        let kept = self.world.wire.log_length(victim);
        if !self.wait_for_memory(&behind, victim, (kept, leader.term)).await {
            return false;
        }
        cut_between(&self.world, &ahead, &behind);
        let has_more = |sample: &Sample| {
            sample.term > leader.term || sample.commit_index > leader.last_log_index + 1
        };
        let now = self.leader_when(has_more).await;
        // From here to the start of the node no time passes.
        let is_same_reign = now.is_some_and(|now| (now.id, now.term) == (leader.id, leader.term));
        if !is_same_reign
            || machine.lives.get() != life
            || !self.world.may_lose_data()
            || !self.world.wire.may_return_to(victim, &image)
            || !self.does_any_remember(&behind, victim, (kept, leader.term))
        {
            return false;
        }
        let is_power_lost = self.world.random(|rng| rng.random_bool(0.5));
        let leader = Rc::clone(&self.world.machines[&leader.id]);
        leader.site.is_away.set(true);
        crash(&self.world, leader.id, is_power_lost);
        crash(&self.world, victim, true);
        let forgotten = self.world.wire.log_length(victim);
        self.world.wire.on_aged(victim);
        machine.forget_back_to(&image);
        self.world.note_data_loss(victim, machine.lives.get());
        self.world.trace.say(&format_args!(
            "n{victim} has {kept} entries again, and had {forgotten}; n{} is down",
            leader.id
        ));
        self.world.network.heal();
        start(&self.world, victim);
        self.pause(DOWN_TIMEOUTS * self.election_timeout_ms()).await;
        leader.site.is_away.set(false);
        start(&self.world, leader.id);
        self.pause(2 * self.election_timeout_ms()).await;
        true
    }

    /// Waits until one of `behind` remembers more than the kept entries of the node.
    async fn wait_for_memory(&self, behind: &[u64], id: u64, kept: (u64, u64)) -> bool {
        let patience = Duration::from_millis(PATIENCE_TIMEOUTS * self.election_timeout_ms());
        let deadline = self.end.min(Instant::now() + patience);
        while Instant::now() < deadline {
            if self.does_any_remember(behind, id, kept) {
                return true;
            }
            sleep(INTERVAL).await;
        }
        false
    }

    /// True when one of `behind` remembers that the node has acknowledged more than the `kept`
    /// entries in the `term` of the leader. The disk forgets no term, so an acknowledgement of an
    /// earlier term is no evidence.
    fn does_any_remember(&self, behind: &[u64], id: u64, (kept, term): (u64, u64)) -> bool {
        let is_alive = |node: &&u64| {
            let machine = &self.world.machines[*node];
            machine.is_up() && !machine.is_paused() && machine.disk_stall().is_none()
        };
        let mut alive = behind.iter().filter(is_alive);
        alive.any(|node| {
            let last = self.world.wire.remembers(*node, id);
            last.term.0 == term && last.index.0 > kept
        })
    }
}
