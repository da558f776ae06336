//! Plays scenarios: faults by a script and not by chance. Each is a case of partial connectivity,
//! slow disks or pauses that has stopped another implementation of Raft, with the result that is
//! required here. A scenario begins in the fault-free phase with a leader and equal logs, and ends
//! without faults, so that the last checks of the seed can follow.
//!
//! All bounds are multiples of the longest election timeout, `T`, in simulated time.

use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use rand::RngExt;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until};

use super::checks::agreement::wait_for_agreement;
use super::checks::availability::AvailabilityProbes;
use super::checks::violation::Check;
use super::cluster;
use super::faults::topology;
use super::plan::Scenario;
use super::world::{Machine, Sample, World, host};
use crate::actors::peers::settings::LinkSettings;

/// A write has to succeed within this number of `T`. In the worst case these follow each other: a
/// leader needs one `T` to see that it has no quorum, or four to give up a disk that does not
/// answer; its followers need another one to miss it; one or two elections end with split votes;
/// and a connection has to be dialled anew.
const RECOVERY_TIMEOUTS: u32 = 10;
/// The time for which a process is paused, or a node is isolated.
const ABSENCE: Duration = Duration::from_secs(10);
/// The time without writes, in scenarios in which that makes a difference.
const QUIESCENCE: Duration = Duration::from_secs(3);

/// The result of a scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The scenario that was played.
    pub scenario: Scenario,
    /// The time from the fault to the acknowledgement of the first write that was sent after it,
    /// in milliseconds.
    pub first_write_ms: u64,
    /// The number of leaders that were elected meanwhile.
    pub leader_changes: u64,
}

/// Plays the scenario in a world in its fault-free phase. Returns `None` when the cluster did not
/// agree on a leader to begin with.
pub(super) async fn play(world: &Rc<World>, scenario: Scenario) -> Option<Outcome> {
    world.trace.say(&format_args!("{scenario:?}"));
    let mut stage = Stage::set(world).await?;
    stage.play(scenario).await;
    stage.probes.stop().await;
    cluster::end_faults(world);
    let first_write_ms = stage.first_write_ms.unwrap_or_default();
    Some(Outcome { scenario, first_write_ms, leader_changes: stage.leader_changes })
}

/// A point in time, to evaluate what came after it.
#[derive(Clone, Copy)]
struct PointInTime {
    at: Instant,
    /// The number of statuses by then.
    samples: usize,
}

/// A scenario that is being played.
struct Stage {
    world: Rc<World>,
    probes: Rc<AvailabilityProbes>,
    /// The leader at the last check, and its term.
    leader: u64,
    term: u64,
    /// The others, in an order drawn from the seed.
    others: Vec<u64>,
    first_write_ms: Option<u64>,
    leader_changes: u64,
}

impl Stage {
    /// Waits for one leader and equal logs, while the clients are quiesced. In a star or a chain
    /// with unequal logs it may be that no Raft can elect a leader (§5.4.1); scenarios that want
    /// unequal logs make them so.
    async fn set(world: &Rc<World>) -> Option<Stage> {
        world.phase.is_quiesced.set(true);
        let samples = wait_for_agreement(world).await?;
        let leader = samples.iter().find(|sample| sample.role == "leader")?;
        let mut others: Vec<u64> =
            world.machines.keys().copied().filter(|id| *id != leader.id).collect();
        for last in (1..others.len()).rev() {
            others.swap(last, world.random(|rng| rng.random_range(0..=last)));
        }
        Some(Stage {
            world: Rc::clone(world),
            probes: AvailabilityProbes::start(world),
            leader: leader.id,
            term: leader.term,
            others,
            first_write_ms: None,
            leader_changes: 0,
        })
    }

    async fn play(&mut self, scenario: Scenario) {
        match scenario {
            Scenario::QuorumLoss => {
                topology::cut_to_star(&self.world, self.others[0]);
                self.expect_recovery().await;
            }
            Scenario::ConstrainedElection => self.elect_constrained().await,
            Scenario::HubBehindCommit => self.wait_for_the_committed().await,
            Scenario::Chain => {
                topology::cut_to_chain(&self.world, &self.line());
                self.expect_recovery().await;
            }
            Scenario::ChainOfThree => {
                topology::cut_to_chain(&self.world, &self.line());
                self.expect_steady_while_quiesced().await;
                self.expect_steady().await;
            }
            Scenario::DeafLeader => {
                self.others.iter().for_each(|id| self.cut_one_way(*id, self.leader));
                self.expect_recovery().await;
            }
            Scenario::MuteLeader => {
                self.others.iter().for_each(|id| self.cut_one_way(self.leader, *id));
                self.expect_recovery().await;
            }
            Scenario::FlakyLine => self.keep_leader_on_flaky_line().await,
            Scenario::FollowerReturns => self.return_of_follower().await,
            Scenario::LeaderReturns => {
                topology::isolate(&self.world, self.leader);
                self.expect_recovery().await;
                self.world.network.heal();
                self.expect_steady().await;
            }
            Scenario::StalledLeader => self.replace_stalled_leader().await,
            Scenario::SilentPaths => self.replace_stalled_leader_over_silent_paths().await,
            Scenario::SlowLeader => {
                let range_ms = self.timeouts_ms(1, 6)..=self.timeouts_ms(1, 3);
                self.expect_steady_on_slow_disks(&[self.leader], range_ms).await;
            }
            Scenario::SlowerLeader => {
                let range_ms = self.timeouts_ms(2, 3)..=self.timeouts_ms(5, 3);
                self.expect_steady_on_slow_disks(&[self.leader], range_ms).await;
            }
            Scenario::SlowEverywhere => {
                let range_ms = self.timeouts_ms(2, 3)..=self.timeouts_ms(5, 3);
                self.expect_steady_on_slow_disks(&self.all(), range_ms).await;
            }
            Scenario::OneStall => {
                let (machine, ms) = (self.machine(self.leader), self.timeouts_ms(5, 3));
                machine.stall_disk(true);
                cluster::after(ms, move || machine.stall_disk(false));
                self.expect_steady().await;
            }
            Scenario::StalledFollower => self.replace_leader_beside_stalled_follower().await,
            Scenario::PausedLeader => self.replace_paused_leader().await,
            Scenario::PausedCluster => self.keep_leader_of_paused_cluster().await,
        }
    }

    async fn keep_leader_on_flaky_line(&mut self) {
        let (from, to) = (host(self.leader), host(self.others[0]));
        let flaky = actix::spawn(flaky_line(Rc::clone(&self.world), from, to));
        self.expect_steady_while_quiesced().await;
        self.expect_steady().await;
        flaky.abort();
    }

    async fn return_of_follower(&mut self) {
        topology::isolate(&self.world, self.others[0]);
        sleep(ABSENCE).await;
        self.world.network.heal();
        self.expect_steady_while_quiesced().await;
        self.expect_steady().await;
    }

    async fn replace_stalled_leader(&mut self) {
        let old = self.machine(self.leader);
        old.stall_disk(true);
        self.expect_recovery().await;
        old.stall_disk(false);
        self.expect_steady().await;
    }

    /// No follower has anything to send to another one. They have to notice by themselves that they
    /// could not, before they need to.
    async fn replace_stalled_leader_over_silent_paths(&mut self) {
        for from in &self.others {
            for to in &self.others {
                self.world.network.silence(&host(*from), &host(*to));
            }
        }
        sleep(Duration::from_millis(2 * LinkSettings::default().silence_ms_max)).await;
        self.replace_stalled_leader().await;
    }

    async fn replace_leader_beside_stalled_follower(&mut self) {
        let stalled = self.others[0];
        self.machine(stalled).stall_disk(true);
        self.expect_steady().await;
        topology::isolate(&self.world, self.leader);
        self.expect_recovery().await;
        if self.leader == stalled {
            let what = format!("n{stalled} leads, and its disk does not answer");
            self.world.violate(Check::DurableVote, what);
        }
    }

    async fn replace_paused_leader(&mut self) {
        let old = self.machine(self.leader);
        old.pause(true);
        self.expect_recovery().await;
        old.pause(false);
        self.expect_steady().await;
    }

    async fn keep_leader_of_paused_cluster(&mut self) {
        self.world.phase.is_quiesced.set(false);
        let all = self.all();
        all.iter().for_each(|id| self.machine(*id).pause(true));
        sleep(ABSENCE).await;
        all.iter().for_each(|id| self.machine(*id).pause(false));
        self.expect_steady().await;
    }

    /// `L` reaches one node only, so that they have entries that the hub lacks and that are not
    /// committed. Then `L` is isolated and the rest is a star.
    async fn elect_constrained(&mut self) {
        let (_further, rest) = self.others.split_first().expect("there are other nodes");
        topology::cut_between(&self.world, &[self.leader], rest);
        self.run_ahead().await;
        topology::cut_to_star(&self.world, rest[0]);
        topology::isolate(&self.world, self.leader);
        self.expect_recovery().await;
    }

    /// Only the hub lacks the entries that the others commit. Then `L` is isolated and the rest is
    /// a star: all others refuse their vote to the hub, and each of them reaches the hub only.
    /// One of them is elected as soon as it gets more lines.
    async fn wait_for_the_committed(&mut self) {
        let (hub, rest) = (self.others[0], self.others[1..].to_vec());
        topology::cut_between(&self.world, &[self.leader], &[hub]);
        self.run_ahead().await;
        topology::cut_to_star(&self.world, hub);
        topology::isolate(&self.world, self.leader);
        let since = self.now();
        sleep(self.recovery()).await;
        if let Some(sample) = self.leaders_since(since).iter().next() {
            let what = format!("a node that lacks committed entries leads term {sample}");
            self.world.violate(Check::LeaderCompleteness, what);
        }
        // Some of them may lack the last entry that the leader has sent.
        let longest = rest.iter().copied().max_by_key(|id| self.last_log_index(*id));
        let longest = longest.expect("there are other nodes");
        let others: Vec<u64> = rest.into_iter().filter(|id| *id != longest).collect();
        topology::mend_between(&self.world, &[longest], &others);
        self.expect_recovery().await;
    }

    /// The last index of a node's log in its newest status.
    fn last_log_index(&self, id: u64) -> u64 {
        let samples = self.world.samples.borrow();
        samples.iter().rev().find(|sample| sample.id == id).map_or(0, |s| s.last_log_index)
    }

    /// Lets the clients write for half of the shortest election timeout.
    async fn run_ahead(&self) {
        self.world.phase.is_quiesced.set(false);
        let least_ms = self.world.plan.settings.raft.election_timeout_ms_min;
        sleep(Duration::from_millis(least_ms / 2)).await;
    }

    fn all(&self) -> Vec<u64> {
        self.world.machines.keys().copied().collect()
    }

    /// All nodes in a line, the leader first.
    fn line(&self) -> Vec<u64> {
        std::iter::once(self.leader).chain(self.others.iter().copied()).collect()
    }

    fn machine(&self, id: u64) -> Rc<Machine> {
        Rc::clone(&self.world.machines[&id])
    }

    fn cut_one_way(&self, from: u64, to: u64) {
        self.world.network.cut(&host(from), &host(to));
    }

    /// A fraction of the longest election timeout, in milliseconds.
    fn timeouts_ms(&self, times: u64, of: u64) -> u64 {
        self.world.plan.settings.raft.election_timeout_ms_max * times / of
    }

    fn recovery(&self) -> Duration {
        Duration::from_millis(self.timeouts_ms(RECOVERY_TIMEOUTS.into(), 1))
    }

    fn now(&self) -> PointInTime {
        PointInTime { at: Instant::now(), samples: self.world.samples.borrow().len() }
    }

    /// The terms that have had a new leader since a point in time.
    fn leaders_since(&self, since: PointInTime) -> BTreeSet<u64> {
        let samples = self.world.samples.borrow();
        let leads = |sample: &&Sample| sample.role == "leader" && sample.term > self.term;
        samples[since.samples..].iter().filter(leads).map(|sample| sample.term).collect()
    }

    /// Checks that from now on a write succeeds in time, and that after this time a node leads and
    /// goes on leading.
    async fn expect_recovery(&mut self) {
        let since = self.now();
        self.world.phase.is_quiesced.set(false);
        sleep_until(since.at + self.recovery()).await;
        let Some(write) = self.probes.first_since(since.at) else {
            let what = format!("no write within {:?}", self.recovery());
            return self.world.violate(Check::Recovery, what);
        };
        self.first_write_ms = Some((write - since.at).as_millis() as u64);
        let leaders = self.leaders_since(since);
        self.leader_changes += leaders.len() as u64;
        let Some(term) = leaders.last().copied() else {
            return self.world.violate(Check::Recovery, "writes, but nobody leads".to_owned());
        };
        let leads = |sample: &&Sample| sample.role == "leader" && sample.term == term;
        let leader = self.world.samples.borrow().iter().rev().find(leads).map(|s| s.id);
        (self.leader, self.term) = (leader.expect("the term had a leader"), term);
        let rest = self.world.plan.scenario_duration.saturating_sub(since.at.elapsed());
        self.expect_steady_for(rest).await;
    }

    async fn expect_steady(&mut self) {
        self.expect_steady_for(self.world.plan.scenario_duration).await;
    }

    async fn expect_steady_on_slow_disks(
        &mut self,
        ids: &[u64],
        range_ms: std::ops::RangeInclusive<u64>,
    ) {
        let slow: Vec<_> = ids
            .iter()
            .map(|id| slow_disk(Rc::clone(&self.world), self.machine(*id), range_ms.clone()))
            .map(actix::spawn)
            .collect();
        self.expect_steady().await;
        slow.iter().for_each(JoinHandle::abort);
        ids.iter().for_each(|id| self.machine(*id).stall_disk(false));
    }

    /// Checks that the leader stays while nobody writes. A node with few connections has as long
    /// a log as the others then, so that its election fails only because the leader is alive.
    async fn expect_steady_while_quiesced(&mut self) {
        let since = self.now();
        sleep(QUIESCENCE).await;
        self.check_leader(since);
    }

    /// Checks that from now on, for `duration`, the leader stays, no term rises, and writes
    /// succeed.
    async fn expect_steady_for(&mut self, duration: Duration) {
        let since = self.now();
        self.world.phase.is_quiesced.set(false);
        sleep_until(since.at + duration).await;
        self.check_leader(since);
        let pause = self.probes.longest_pause_since(since.at);
        if pause > self.recovery() {
            self.world.violate(Check::Recovery, format!("no write for {pause:?}"));
        }
        if self.first_write_ms.is_none() {
            let first = self.probes.first_since(since.at);
            self.first_write_ms = first.map(|write| (write - since.at).as_millis() as u64);
        }
    }

    /// Checks that the leader has not changed since a point in time.
    fn check_leader(&mut self, since: PointInTime) {
        self.leader_changes += self.leaders_since(since).len() as u64;
        let (leader, term) = (self.leader, self.term);
        // A former leader may still consider itself the leader of its lower term.
        let is_steady = |sample: &Sample| {
            sample.term <= term && (sample.id != leader || sample.role == "leader")
        };
        let samples = self.world.samples.borrow();
        if let Some(sample) = samples[since.samples..].iter().find(|sample| !is_steady(sample)) {
            let what = format!("n{leader} led term {term}, and nothing was to change: {sample:?}");
            self.world.violate(Check::Stability, what);
        }
    }
}

/// Cuts and mends a line for ever.
async fn flaky_line(world: Rc<World>, from: String, to: String) {
    loop {
        world.network.cut(&from, &to);
        world.network.cut(&to, &from);
        sleep(Duration::from_millis(world.random(|rng| rng.random_range(50..=400)))).await;
        world.network.heal();
        sleep(Duration::from_millis(world.random(|rng| rng.random_range(50..=400)))).await;
    }
}

/// Stalls a disk for ever, with pauses of a millisecond between the stalls.
async fn slow_disk(
    world: Rc<World>,
    machine: Rc<Machine>,
    range_ms: std::ops::RangeInclusive<u64>,
) {
    loop {
        machine.stall_disk(true);
        let ms = world.random(|rng| rng.random_range(range_ms.clone()));
        sleep(Duration::from_millis(ms)).await;
        machine.stall_disk(false);
        sleep(Duration::from_millis(1)).await;
    }
}
