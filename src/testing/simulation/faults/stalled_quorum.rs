//! The disks of all followers are stalled while they answer heartbeats: nothing is committed, and
//! the leader still has its quorum. Reads that wait for no write have to be answered.

use std::rc::Rc;
use std::time::Duration;

use rand::RngExt;
use tokio::time::{Instant, sleep};

use super::targeted::TargetedFaults;
use crate::testing::simulation::checks::availability::LoneReader;
use crate::testing::simulation::checks::violation::Check;
use crate::testing::simulation::network::NetworkConditions;
use crate::testing::simulation::workload::write_steadily;
use crate::testing::simulation::world::Sample;

/// The duration of the stall in longest election timeouts.
const STALL_TIMEOUTS: std::ops::RangeInclusive<u64> = 8..=14;
/// The longest time without an answer to a read, in longest election timeouts.
const SILENCE_TIMEOUTS: u32 = 5;
/// The number of sessions that read behind their own writes.
const SESSIONS: usize = 3;
/// The time between two looks at the cluster.
const INTERVAL: Duration = Duration::from_millis(20);

impl TargetedFaults {
    /// Stalls the disks of all followers of a leader. Some sessions write and read what they
    /// have written; another one only reads, and gets answers for as long as the leader leads.
    pub(super) async fn stall_quorum(&mut self) -> bool {
        self.world.network.heal();
        self.world.network.set_conditions(NetworkConditions {
            delay_ms_min: 0,
            delay_ms_max: 1,
            spike_probability: 0.0,
            ..self.world.plan.network
        });
        let is_stalled = match self.settled_leader().await {
            Some(leader) => self.stall_followers_of(&leader).await,
            None => false,
        };
        self.world.network.set_conditions(self.world.plan.network);
        is_stalled
    }

    /// Waits until a leader has committed something, and then something more in the same term.
    pub(super) async fn settled_leader(&mut self) -> Option<Sample> {
        let first = self.leader_above(0).await?;
        let has_more =
            |sample: &Sample| sample.term == first.term && sample.commit_index > first.commit_index;
        self.leader_when(has_more).await
    }

    async fn stall_followers_of(&mut self, leader: &Sample) -> bool {
        let followers = self.others(leader.id);
        let lives: Vec<u64> = self.world.machines.values().map(|m| m.lives.get()).collect();
        followers.iter().for_each(|id| self.world.machines[id].stall_disk(true));
        let load: Vec<_> =
            (0..SESSIONS).map(|_| write_steadily(&self.world, leader.id, true)).collect();
        let reader = LoneReader::start(&self.world, leader.id);
        let timeout = Duration::from_millis(self.election_timeout_ms());
        let timeouts = self.world.random(|rng| rng.random_range(STALL_TIMEOUTS)) as u32;
        let end = Instant::now() + timeout * timeouts;
        let mut is_undisturbed = true;
        while Instant::now() < end && is_undisturbed {
            sleep(INTERVAL).await;
            let machines = || self.world.machines.values();
            is_undisturbed = machines().all(|machine| machine.is_up() && !machine.is_paused())
                && machines().map(|machine| machine.lives.get()).eq(lives.iter().copied())
                && machines().all(|m| m.disk_stall().is_some() == (m.id != leader.id));
        }
        let still_leads = |sample: &Sample| {
            (sample.id, sample.term, sample.role.as_str()) == (leader.id, leader.term, "leader")
        };
        let is_steady = is_undisturbed && self.poll().await.iter().any(still_leads);
        let silence = reader.silence();
        if is_steady && silence > timeout * SILENCE_TIMEOUTS {
            let what = format!(
                "n{} leads, and answers no read for {silence:?} while disks of its followers are \
                 stalled",
                leader.id
            );
            self.world.violate(Check::Answers, what);
        }
        drop(load);
        for id in followers {
            let machine = Rc::clone(&self.world.machines[&id]);
            machine.stall_disk(false);
        }
        is_steady
    }
}
