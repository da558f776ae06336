//! Faults that are aimed at the leader. A fault at a random time rarely meets a leader in a
//! critical state: just elected, or with entries that only some followers have. These faults find
//! the leader, choose the time, and strike again before the cluster has recovered.
//!
//! None of them is made for a certain bug. Each is a situation that a rule of Raft is made for.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use futures_util::future::join_all;
use rand::RngExt;
use rand::seq::SliceRandom;
use tokio::time::{Instant, sleep, timeout};

use super::disk;
use super::topology::{cut_between, isolate};
use crate::testing::simulation::checks::status_poller;
use crate::testing::simulation::cluster::{after, crash, start};
use crate::testing::simulation::network::{NetworkConditions, SimHost};
use crate::testing::simulation::workload::lines::Lines;
use crate::testing::simulation::world::{Sample, World, host};

/// The time between two polls of the nodes.
const INTERVAL: Duration = Duration::from_millis(4);
/// A node that does not answer within this time counts as paused.
const PATIENCE: Duration = Duration::from_millis(20);

/// The means of the targeted faults.
pub(super) struct TargetedFaults {
    pub(super) world: Rc<World>,
    /// The end of the faults.
    pub(super) end: Instant,
    host: SimHost,
    lines: BTreeMap<u64, Lines>,
}

impl TargetedFaults {
    pub(super) fn new(world: &Rc<World>, end: Instant) -> TargetedFaults {
        let host = world.network.calm_host("aim");
        TargetedFaults { world: Rc::clone(world), end, host, lines: BTreeMap::new() }
    }

    /// Cuts the leader off, alone or with fewer nodes than it needs. The clients still reach it,
    /// and it does not know yet.
    pub(super) async fn isolate_leader(&mut self) -> bool {
        let Some(leader) = self.leader_above(0).await else { return false };
        let company = self.too_few();
        self.seclude(leader.id, company);
        true
    }

    /// Stalls the leader's disk, then cuts the leader off. Its successor replaces entries that the
    /// old leader has appended while they are still on their way to its disk.
    pub(super) async fn overthrow(&mut self) -> bool {
        let Some(leader) = self.leader_above(0).await else { return false };
        let machine = Rc::clone(&self.world.machines[&leader.id]);
        machine.stall_disk(true);
        let company = self.too_few();
        self.seclude(leader.id, company);
        let successor = self.leader_above(leader.term).await;
        self.pause(self.election_timeout_ms()).await;
        self.world.network.heal();
        self.pause(2 * self.election_timeout_ms()).await;
        machine.stall_disk(false);
        successor.is_some()
    }

    /// Lets the leader's messages reach the others, but holds their answers back. Then pauses the
    /// leader until another node leads and has committed something. Then the answers arrive, one
    /// line after the other: the first may come from a node that has not seen the new term.
    pub(super) async fn withhold(&mut self) -> bool {
        let Some(leader) = self.leader_above(0).await else { return false };
        let others = self.others(leader.id);
        let old = host(leader.id);
        others.iter().for_each(|id| self.world.network.cut(&host(*id), &old));
        self.pause(self.election_timeout_ms() / 3).await;
        let machine = Rc::clone(&self.world.machines[&leader.id]);
        machine.pause(true);
        isolate(&self.world, leader.id);
        let has_committed = |sample: &Sample| {
            sample.term > leader.term && sample.commit_index > leader.commit_index
        };
        let successor = self.leader_when(has_committed).await;
        machine.pause(false);
        for id in others {
            self.pause(20).await;
            self.world.network.mend(&host(id), &old);
        }
        self.pause(20).await;
        self.world.network.heal();
        successor.is_some()
    }

    /// Crashes the leader while it has entries that are not committed.
    pub(super) async fn kill_leader(&mut self) -> bool {
        let is_ahead = |sample: &Sample| sample.last_log_index > sample.commit_index;
        let Some(leader) = self.leader_when(is_ahead).await else { return false };
        let is_power_lost = self.world.random(|rng| rng.random_bool(0.5));
        crash(&self.world, leader.id, is_power_lost);
        true
    }

    /// Cuts off one leader after the other, each soon after its election, while the earlier ones
    /// come back. So an entry reaches some nodes, is overtaken by an entry of a later term, and
    /// comes back with a third leader (Figure 8).
    pub(super) async fn revolve(&mut self) -> bool {
        let times = self.world.random(|rng| rng.random_range(4..=20));
        if self.world.random(|rng| rng.random_bool(0.7)) {
            self.slow_down();
        }
        let mut term = 0;
        for _ in 0..times {
            let Some(leader) = self.leader_above(term).await else { break };
            term = leader.term;
            self.wait_to_strike(&leader).await;
            self.world.network.heal();
            if self.world.random(|rng| rng.random_bool(0.2)) {
                crash(&self.world, leader.id, self.world.random(|rng| rng.random_bool(0.5)));
            } else {
                let company = self.too_few();
                self.seclude(leader.id, company);
            }
        }
        self.world.network.set_conditions(self.world.plan.network);
        term > 0
    }

    /// Makes the lines as slow as they can be without failing elections, so that there is time
    /// between the effects of two messages.
    fn slow_down(&self) {
        let delay_ms_max = self.world.plan.settings.raft.election_timeout_ms_min / 8;
        let conditions = NetworkConditions {
            delay_ms_min: delay_ms_max / 2,
            delay_ms_max,
            spike_probability: 0.0,
            ..self.world.plan.network
        };
        self.world.network.set_conditions(conditions);
    }

    /// Waits for the time at which to strike a new leader: at once, while its first messages are
    /// under way, or when it has committed something, which has to survive it.
    async fn wait_to_strike(&mut self, leader: &Sample) {
        let is_due = |sample: &Sample| {
            sample.term > leader.term || sample.commit_index > leader.commit_index
        };
        match self.world.random(|rng| rng.random_range(0..3)) {
            0 => {}
            1 => self.pause(self.election_timeout_ms() / 3).await,
            _ => {
                self.leader_when(is_due).await;
            }
        }
    }

    /// Forms two majorities in turn that have one node in common, and cuts that node's power in
    /// between. The second majority learns what the first has committed only from the disk of
    /// this node (§5.4.3).
    pub(super) async fn hinge(&mut self) -> bool {
        let Some(leader) = self.leader_above(0).await else { return false };
        let mut second = self.others(leader.id);
        let mut first = second.split_off(second.len() / 2);
        first.push(leader.id);
        self.world.network.heal();
        cut_between(&self.world, &first, &second);
        let is_leader = self.world.random(|rng| rng.random_bool(0.5));
        let hinge = if is_leader { first.len() - 1 } else { 0 };
        let hinge = first.swap_remove(hinge);
        self.world.machines[&hinge].stall_disk(self.world.random(|rng| rng.random_bool(0.5)));
        self.pause(self.election_timeout_ms()).await;
        self.world.machines[&hinge].stall_disk(false);
        crash(&self.world, hinge, true);
        self.world.network.heal();
        second.push(hinge);
        cut_between(&self.world, &first, &second);
        self.pause(self.election_timeout_ms()).await;
        start(&self.world, hinge);
        sleep(Duration::from_millis(3 * self.election_timeout_ms())).await;
        self.pause(3 * self.election_timeout_ms()).await;
        self.world.network.heal();
        true
    }

    /// Kills the follower that completes the leader's quorum just after it has answered, and
    /// restarts it among nodes that have lost touch with the leader, so that they elect another
    /// before the leader notices. The leader's clients still reach it. Needs a fast network.
    pub(super) async fn elect_unnoticed(&mut self) -> bool {
        self.world.network.set_conditions(NetworkConditions {
            delay_ms_min: 0,
            delay_ms_max: 1,
            spike_probability: 0.0,
            ..self.world.plan.network
        });
        let mut times = self.world.random(|rng| rng.random_range(1..=6));
        while times > 0
            && let Some(leader) = self.leader_above(0).await
        {
            times -= 1;
            let mut second = self.others(leader.id);
            let mut first = second.split_off(second.len() / 2);
            first.push(leader.id);
            cut_between(&self.world, &first, &second);
            sleep(Duration::from_millis(self.election_timeout_ms())).await;
            self.pause(self.election_timeout_ms()).await;
            let hinge = first.swap_remove(0);
            second.push(hinge);
            crash(&self.world, hinge, false);
            self.world.network.heal();
            cut_between(&self.world, &first, &second);
            start(&self.world, hinge);
            sleep(Duration::from_millis(self.election_timeout_ms())).await;
            self.world.network.heal();
        }
        self.world.network.set_conditions(self.world.plan.network);
        times == 0
    }

    /// Pauses the leader until another node leads and has committed something, and a little
    /// longer. The first things that it sees then are the commands that its clients have sent
    /// meanwhile.
    pub(super) async fn pause_leader(&mut self) -> bool {
        for _ in 0..self.world.random(|rng| rng.random_range(1..=4)) {
            let Some(leader) = self.leader_above(0).await else { return false };
            let machine = Rc::clone(&self.world.machines[&leader.id]);
            machine.pause(true);
            let has_committed = |sample: &Sample| {
                sample.term > leader.term && sample.commit_index > leader.commit_index
            };
            let successor = self.leader_when(has_committed).await;
            self.pause(self.election_timeout_ms()).await;
            machine.pause(false);
            if successor.is_none() {
                return false;
            }
            self.pause(self.election_timeout_ms()).await;
        }
        true
    }

    /// Breaks the connections of the leader several times while disks of its followers are
    /// stalled, so that they answer on other connections than those of the requests.
    pub(super) async fn reconnect(&mut self) -> bool {
        let Some(leader) = self.leader_above(0).await else { return false };
        let followers = self.others(leader.id);
        for id in followers.into_iter().filter(|_| self.world.random(|rng| rng.random_bool(0.5))) {
            let machine = Rc::clone(&self.world.machines[&id]);
            machine.stall_disk(true);
            let busy_ms = self.world.random(|rng| rng.random_range(1..=400));
            after(busy_ms, move || machine.stall_disk(false));
        }
        for _ in 0..self.world.random(|rng| rng.random_range(1..=4)) {
            self.pause(60).await;
            self.world.network.break_connections_of(&host(leader.id));
        }
        true
    }

    /// Restarts all nodes, one soon after the other, in a random order.
    pub(super) async fn restart_all(&mut self) -> bool {
        let mut ids = self.world.up();
        self.world.random(|rng| ids.shuffle(rng));
        for id in ids {
            match self.world.random(|rng| rng.random_range(0..3)) {
                0 => self.world.machines[&id].stop(),
                1 => crash(&self.world, id, false),
                _ => crash(&self.world, id, true),
            }
            self.pause(100).await;
        }
        true
    }

    /// Keeps a minority down for a long time. It comes back with its data.
    pub(super) fn absence(&self) -> bool {
        let is_away = |id: &u64| self.world.machines[id].site.is_away.get();
        if self.world.serving().iter().any(is_away) {
            return false;
        }
        let mut ids = self.world.serving();
        let minority = ids.len().saturating_sub(1) / 2;
        if minority == 0 {
            return false;
        }
        self.world.random(|rng| ids.shuffle(rng));
        ids.truncate(self.world.random(|rng| rng.random_range(1..=minority)));
        for id in &ids {
            self.world.machines[id].site.is_away.set(true);
            crash(&self.world, *id, self.world.random(|rng| rng.random_bool(0.5)));
        }
        let left_ms = self.end.saturating_duration_since(Instant::now()).as_millis() as u64;
        let world = Rc::clone(&self.world);
        after(self.world.random(|rng| rng.random_range(left_ms / 3..=left_ms)), move || {
            for id in ids {
                world.machines[&id].site.is_away.set(false);
                start(&world, id);
            }
        });
        true
    }

    /// Keeps a follower down until the leader's log begins after the end of the follower's. While
    /// the leader sends it a snapshot, one of the two crashes, or the leader is replaced, or the
    /// follower's disk is full, or their connections break.
    pub(super) async fn interrupt(&mut self) -> bool {
        let begun = self.world.wire.installs().begun;
        let Some(id) = self.leave_behind().await else { return false };
        start(&self.world, id);
        if !self.wait_for_install(begun).await {
            return false;
        }
        self.pause(self.world.random(|rng| [2, 20, 300][rng.random_range(0..3)])).await;
        let Some(leader) = self.leader_above(0).await else { return false };
        self.interrupt_install(leader.id, id);
        true
    }

    /// Crashes a follower, and returns it when the leader's log begins after the end of the
    /// follower's. A follower for which that takes too long is started.
    pub(super) async fn leave_behind(&mut self) -> Option<u64> {
        let leader = self.leader_above(0).await?;
        let id = self.others(leader.id).first().copied()?;
        let machine = Rc::clone(&self.world.machines[&id]);
        if machine.site.is_away.get() || !machine.is_up() {
            return None;
        }
        machine.site.is_away.set(true);
        crash(&self.world, id, self.world.random(|rng| rng.random_bool(0.5)));
        let settings = &self.world.plan.settings;
        let needed = 2 * settings.snapshot.entries_max + settings.log.keep_entries;
        let is_ahead = |sample: &Sample| sample.commit_index > leader.commit_index + needed;
        // Each wait covers some commands only: several waits may be needed.
        let mut is_needed = false;
        for _ in 0..4 {
            is_needed = is_needed || self.leader_when(is_ahead).await.is_some();
        }
        machine.site.is_away.set(false);
        if !is_needed {
            start(&self.world, id);
            return None;
        }
        Some(id)
    }

    /// Waits until there are more installs than `begun`; false when that takes too long.
    pub(super) async fn wait_for_install(&self, begun: u64) -> bool {
        let deadline = self.end.min(Instant::now() + Duration::from_secs(2));
        while self.world.wire.installs().begun == begun {
            if Instant::now() > deadline {
                return false;
            }
            sleep(Duration::from_millis(1)).await;
        }
        true
    }

    fn interrupt_install(&self, leader: u64, follower: u64) {
        let world = &self.world;
        match world.random(|rng| rng.random_range(0..8)) {
            0 => crash(world, leader, false),
            1 => crash(world, leader, true),
            2 => crash(world, follower, false),
            3 => crash(world, follower, true),
            4 => self.seclude(leader, 0),
            5 => {
                disk::fill(world, Rc::clone(&world.machines[&follower]), 3_000);
            }
            6 => {
                let machine = Rc::clone(&world.machines[&leader]);
                machine.pause(true);
                let world = Rc::clone(world);
                after(3 * self.election_timeout_ms(), move || {
                    if !world.phase.is_over.get() {
                        machine.pause(false);
                    }
                });
            }
            _ => world.network.break_connections_of(&host(follower)),
        }
    }

    /// Waits for a leader of a term above `term`.
    pub(super) async fn leader_above(&mut self, term: u64) -> Option<Sample> {
        self.leader_when(|sample| sample.term > term).await
    }

    /// Waits until the leader of the highest term is as wanted; `None` when that takes too long.
    pub(super) async fn leader_when(
        &mut self,
        is_wanted: impl Fn(&Sample) -> bool,
    ) -> Option<Sample> {
        let patience = Duration::from_millis(8 * self.election_timeout_ms());
        let deadline = self.end.min(Instant::now() + patience);
        while Instant::now() < deadline {
            let leaders = self.poll().await.into_iter().filter(|sample| sample.role == "leader");
            let leader = leaders.max_by_key(|sample| sample.term);
            if let Some(leader) = leader.filter(&is_wanted) {
                return Some(leader);
            }
            sleep(INTERVAL).await;
        }
        None
    }

    /// The statuses of all nodes that answer.
    pub(super) async fn poll(&mut self) -> Vec<Sample> {
        let world = &self.world;
        let asked = world.up().into_iter().map(|id| {
            timeout(PATIENCE, status_poller::ask(world, &self.host, id, self.lines.remove(&id)))
        });
        let answers = join_all(asked).await;
        let mut samples = Vec::new();
        for (sample, lines) in answers.into_iter().flatten().flatten() {
            if self.world.machines[&sample.id].lives.get() == sample.life {
                self.lines.insert(sample.id, lines);
                samples.push(sample);
            }
        }
        samples
    }

    /// Cuts a node off from all others but `company` random ones.
    fn seclude(&self, id: u64, company: usize) {
        let mut others = self.others(id);
        let mut side = others.split_off(others.len() - company);
        side.push(id);
        self.world.trace.say(&format_args!("nodes {side:?} are cut off"));
        cut_between(&self.world, &side, &others);
    }

    /// A number of other nodes that do not suffice for a quorum.
    fn too_few(&self) -> usize {
        let quorum_size = self.world.quorum_size();
        self.world.random(|rng| rng.random_range(0..(quorum_size - 1).max(1)))
    }

    /// Makes the network whole and fast for a fault that spoils data. False when data must not be
    /// lost now, or a machine is not at work; then nothing has changed.
    pub(super) fn calm_down(&self) -> bool {
        let is_busy = |id: &u64| {
            let machine = &self.world.machines[id];
            machine.site.is_away.get()
                || machine.is_full()
                || machine.is_paused()
                || !machine.is_up()
        };
        if !self.world.may_lose_data() || self.world.members().iter().any(is_busy) {
            return false;
        }
        self.world.network.heal();
        self.world.network.set_conditions(NetworkConditions {
            delay_ms_min: 0,
            delay_ms_max: 1,
            spike_probability: 0.0,
            ..self.world.plan.network
        });
        true
    }

    /// The machines of all members but one, in a random order.
    pub(super) fn others(&self, id: u64) -> Vec<u64> {
        let mut others = self.world.members();
        others.retain(|other| *other != id);
        self.world.random(|rng| others.shuffle(rng));
        others
    }

    pub(super) fn election_timeout_ms(&self) -> u64 {
        self.world.plan.settings.raft.election_timeout_ms_max
    }

    pub(super) async fn pause(&self, ms_max: u64) {
        let ms = self.world.random(|rng| rng.random_range(0..=ms_max));
        sleep(Duration::from_millis(ms)).await;
    }
}
