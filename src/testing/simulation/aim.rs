//! Faults that aim. What strikes at random rarely meets a leader when it matters:
//! just elected, or with entries that only some of the others have. These look who
//! leads, choose the moment, and strike again before all is well.
//!
//! None knows of any bug. Each is the shape of what a rule of Raft is there for.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use futures_util::future::join_all;
use rand::RngExt;
use rand::seq::SliceRandom;
use tokio::time::{Instant, sleep, timeout};

use super::client::Lines;
use super::monitor::{self, Sample};
use super::nemesis::after;
use super::network::{SimHost, Weather};
use super::world::{World, host};

/// Between two looks at the nodes.
const INTERVAL: Duration = Duration::from_millis(4);
/// Who does not tell its status within so long stands still.
const PATIENCE: Duration = Duration::from_millis(20);

/// See the module.
pub(super) struct Aim {
    world: Rc<World>,
    /// When the trouble is over.
    end: Instant,
    host: SimHost,
    lines: BTreeMap<u64, Lines>,
}

impl Aim {
    pub(super) fn new(world: &Rc<World>, end: Instant) -> Aim {
        let host = world.network.calm_host("aim");
        Aim { world: Rc::clone(world), end, host, lines: BTreeMap::new() }
    }

    /// Cuts the leader off, alone or with fewer than it needs. The clients still
    /// reach it, and it does not know yet.
    pub(super) async fn isolate_leader(&mut self) -> bool {
        let Some(leader) = self.leader_above(0).await else { return false };
        let company = self.too_few();
        self.seclude(leader.id, company);
        true
    }

    /// The leader's disk stands still, then it is cut off, then its successor replaces
    /// what it has appended while that is still on its way to the disk.
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

    /// The leader's words reach the others, but their answers are held back; then its
    /// process stands still until another leads and has committed something. Then they
    /// arrive, line after line: who has nothing to say of a new term may come first.
    pub(super) async fn withhold(&mut self) -> bool {
        let Some(leader) = self.leader_above(0).await else { return false };
        let others = self.others(leader.id);
        let old = host(leader.id);
        others.iter().for_each(|id| self.world.network.cut(&host(*id), &old));
        self.pause(self.election_timeout_ms() / 3).await;
        let machine = Rc::clone(&self.world.machines[&leader.id]);
        machine.pause(true);
        self.world.isolate(leader.id);
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

    /// Ends the leader's life while it has entries that are not committed.
    pub(super) async fn kill_leader(&mut self) -> bool {
        let is_torn = |sample: &Sample| sample.last_log_index > sample.commit_index;
        let Some(leader) = self.leader_when(is_torn).await else { return false };
        let is_power_lost = self.world.random(|rng| rng.random_bool(0.5));
        self.world.crash(leader.id, is_power_lost);
        true
    }

    /// Leaders are cut off one after the other, each soon after its election, and
    /// those before come back: an entry reaches some, is overtaken by another's of
    /// a later term, and comes back with a third leader (Figure 8).
    pub(super) async fn revolve(&mut self) -> bool {
        let times = self.world.random(|rng| rng.random_range(4..=20));
        if self.world.random(|rng| rng.random_bool(0.7)) {
            self.slow_down();
        }
        let mut term = 0;
        for _ in 0..times {
            let Some(leader) = self.leader_above(term).await else { break };
            term = leader.term;
            self.choose_moment(&leader).await;
            self.world.network.heal();
            if self.world.random(|rng| rng.random_bool(0.2)) {
                self.world.crash(leader.id, self.world.random(|rng| rng.random_bool(0.5)));
            } else {
                let company = self.too_few();
                self.seclude(leader.id, company);
            }
        }
        self.world.network.set_weather(self.world.plan.weather);
        term > 0
    }

    /// As slow as the lines may be without that elections fail: there is time
    /// between what one message brings about and what the next does.
    fn slow_down(&self) {
        let delay_ms_max = self.world.plan.settings.raft.election_timeout_ms_min / 8;
        let weather = Weather {
            delay_ms_min: delay_ms_max / 2,
            delay_ms_max,
            spike_probability: 0.0,
            ..self.world.plan.weather
        };
        self.world.network.set_weather(weather);
    }

    /// When a new leader is struck: at once, while what it has to say is under way, or
    /// as soon as it has committed something, which has to survive it.
    async fn choose_moment(&mut self, leader: &Sample) {
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

    /// Two majorities in turn that have one node in common, and it loses power in
    /// between: whatever the first has committed is known to the second by what
    /// this one node has on its disk (§5.4.3).
    pub(super) async fn hinge(&mut self) -> bool {
        let Some(leader) = self.leader_above(0).await else { return false };
        let mut second = self.others(leader.id);
        let mut first = second.split_off(second.len() / 2);
        first.push(leader.id);
        self.world.network.heal();
        self.world.cut_between(&first, &second);
        let is_leader = self.world.random(|rng| rng.random_bool(0.5));
        let hinge = if is_leader { first.len() - 1 } else { 0 };
        let hinge = first.swap_remove(hinge);
        self.world.machines[&hinge].stall_disk(self.world.random(|rng| rng.random_bool(0.5)));
        self.pause(self.election_timeout_ms()).await;
        self.world.machines[&hinge].stall_disk(false);
        self.world.crash(hinge, true);
        self.world.network.heal();
        second.push(hinge);
        self.world.cut_between(&first, &second);
        self.pause(self.election_timeout_ms()).await;
        self.world.start(hinge);
        sleep(Duration::from_millis(3 * self.election_timeout_ms())).await;
        self.pause(3 * self.election_timeout_ms()).await;
        self.world.network.heal();
        true
    }

    /// Who makes the leader's majority is killed right behind an answer to it, and starts at
    /// once, but among those who have not heard the leader for long. The leader does not know
    /// yet, and its clients still reach it. In fine weather: whom they elect must be there
    /// before the leader misses anybody.
    pub(super) async fn usurp(&mut self) -> bool {
        self.world.network.set_weather(Weather {
            delay_ms_min: 0,
            delay_ms_max: 1,
            spike_probability: 0.0,
            ..self.world.plan.weather
        });
        let mut times = self.world.random(|rng| rng.random_range(1..=6));
        while times > 0
            && let Some(leader) = self.leader_above(0).await
        {
            times -= 1;
            let mut second = self.others(leader.id);
            let mut first = second.split_off(second.len() / 2);
            first.push(leader.id);
            self.world.cut_between(&first, &second);
            sleep(Duration::from_millis(self.election_timeout_ms())).await;
            self.pause(self.election_timeout_ms()).await;
            let hinge = first.swap_remove(0);
            second.push(hinge);
            self.world.crash(hinge, false);
            self.world.network.heal();
            self.world.cut_between(&first, &second);
            self.world.start(hinge);
            sleep(Duration::from_millis(self.election_timeout_ms())).await;
            self.world.network.heal();
        }
        self.world.network.set_weather(self.world.plan.weather);
        times == 0
    }

    /// The leader's process stands still until another leads and has committed something, and
    /// a little longer: what its clients have sent meanwhile is the first that it sees.
    pub(super) async fn doze(&mut self) -> bool {
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

    /// The connections of the leader break, again and again, while disks of its
    /// followers are busy: what they owe it they say on another connection than the
    /// one that brought the request.
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

    /// All nodes are restarted, one soon after the other, in any order.
    pub(super) async fn restart_all(&mut self) -> bool {
        let mut ids = self.world.up();
        self.world.random(|rng| ids.shuffle(rng));
        for id in ids {
            match self.world.random(|rng| rng.random_range(0..3)) {
                0 => self.world.machines[&id].stop(),
                1 => self.world.crash(id, false),
                _ => self.world.crash(id, true),
            }
            self.pause(100).await;
        }
        true
    }

    /// A minority is away for long, and comes back with what it had.
    pub(super) fn absence(&self) -> bool {
        let is_away = |id: &u64| self.world.machines[id].is_away.get();
        if self.world.machines.keys().any(is_away) {
            return false;
        }
        let mut ids: Vec<u64> = self.world.machines.keys().copied().collect();
        self.world.random(|rng| ids.shuffle(rng));
        ids.truncate(self.world.random(|rng| rng.random_range(1..=(ids.len() - 1) / 2)));
        for id in &ids {
            self.world.machines[id].is_away.set(true);
            self.world.crash(*id, self.world.random(|rng| rng.random_bool(0.5)));
        }
        let left_ms = self.end.saturating_duration_since(Instant::now()).as_millis() as u64;
        let world = Rc::clone(&self.world);
        after(self.world.random(|rng| rng.random_range(left_ms / 3..=left_ms)), move || {
            for id in ids {
                world.machines[&id].is_away.set(false);
                world.start(id);
            }
        });
        true
    }

    /// A follower is down until the leader's log begins behind what it has. When the
    /// leader sends it a snapshot, one of the two ends, or the leader is replaced, or the
    /// follower's disk is full, or their connections break.
    pub(super) async fn interrupt(&mut self) -> bool {
        let Some(leader) = self.leader_above(0).await else { return false };
        let begun = self.world.oracle.transfers().begun;
        let id = self.others(leader.id)[0];
        let machine = Rc::clone(&self.world.machines[&id]);
        if machine.is_away.get() || !machine.is_up() {
            return false;
        }
        machine.is_away.set(true);
        self.world.crash(id, self.world.random(|rng| rng.random_bool(0.5)));
        let settings = &self.world.plan.settings;
        let needed = 2 * settings.snapshot.entries_max + settings.log.keep_entries;
        let is_ahead = |sample: &Sample| sample.commit_index > leader.commit_index + needed;
        // A few commands in each of the looks: patience for some times as many.
        let mut is_needed = false;
        for _ in 0..4 {
            is_needed = is_needed || self.leader_when(is_ahead).await.is_some();
        }
        machine.is_away.set(false);
        self.world.start(id);
        if !is_needed {
            return false;
        }
        let deadline = self.end.min(Instant::now() + Duration::from_secs(2));
        while self.world.oracle.transfers().begun == begun {
            if Instant::now() > deadline {
                return false;
            }
            sleep(Duration::from_millis(1)).await;
        }
        self.pause(self.world.random(|rng| [2, 20, 300][rng.random_range(0..3)])).await;
        let Some(leader) = self.leader_above(0).await else { return false };
        self.break_off(leader.id, id);
        true
    }

    fn break_off(&self, leader: u64, follower: u64) {
        let world = &self.world;
        match world.random(|rng| rng.random_range(0..8)) {
            0 => world.crash(leader, false),
            1 => world.crash(leader, true),
            2 => world.crash(follower, false),
            3 => world.crash(follower, true),
            4 => self.seclude(leader, 0),
            5 => {
                let machine = Rc::clone(&world.machines[&follower]);
                let (room, ms) = world
                    .random(|rng| (rng.random_range(0..=2_000), rng.random_range(100..=3_000)));
                machine.fill_disk(Some(room));
                after(ms, move || machine.fill_disk(None));
            }
            6 => {
                let machine = Rc::clone(&world.machines[&leader]);
                machine.pause(true);
                let world = Rc::clone(world);
                after(3 * self.election_timeout_ms(), move || {
                    if !world.is_over.get() {
                        machine.pause(false);
                    }
                });
            }
            _ => world.network.break_connections_of(&host(follower)),
        }
    }

    /// The leader of the highest term, once there is one above `term`.
    async fn leader_above(&mut self, term: u64) -> Option<Sample> {
        self.leader_when(|sample| sample.term > term).await
    }

    /// The leader of the highest term, once it is as wanted.
    pub(super) async fn leader_when(
        &mut self,
        is_wanted: impl Fn(&Sample) -> bool,
    ) -> Option<Sample> {
        let patience = Duration::from_millis(8 * self.election_timeout_ms());
        let deadline = self.end.min(Instant::now() + patience);
        while Instant::now() < deadline {
            let leaders = self.look().await.into_iter().filter(|sample| sample.role == "leader");
            let leader = leaders.max_by_key(|sample| sample.term);
            if let Some(leader) = leader.filter(&is_wanted) {
                return Some(leader);
            }
            sleep(INTERVAL).await;
        }
        None
    }

    /// What the nodes tell of themselves now.
    async fn look(&mut self) -> Vec<Sample> {
        let world = &self.world;
        let asked = world.up().into_iter().map(|id| {
            timeout(PATIENCE, monitor::ask(world, &self.host, id, self.lines.remove(&id)))
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

    /// Leaves a node nobody but so many others, chosen by chance.
    fn seclude(&self, id: u64, company: usize) {
        let mut others = self.others(id);
        let mut side = others.split_off(others.len() - company);
        side.push(id);
        self.world.trace.say(&format_args!("nodes {side:?} are cut off"));
        self.world.cut_between(&side, &others);
    }

    /// How many others a node may have without being able to do anything.
    fn too_few(&self) -> usize {
        let quorum_size = self.world.machines.len() / 2 + 1;
        self.world.random(|rng| rng.random_range(0..(quorum_size - 1).max(1)))
    }

    /// All machines but one, in any order.
    fn others(&self, id: u64) -> Vec<u64> {
        let mut others: Vec<u64> =
            self.world.machines.keys().copied().filter(|other| *other != id).collect();
        self.world.random(|rng| others.shuffle(rng));
        others
    }

    fn election_timeout_ms(&self) -> u64 {
        self.world.plan.settings.raft.election_timeout_ms_max
    }

    async fn pause(&self, ms_max: u64) {
        let ms = self.world.random(|rng| rng.random_range(0..=ms_max));
        sleep(Duration::from_millis(ms)).await;
    }
}
