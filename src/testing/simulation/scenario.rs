//! Faults by a script and not by chance: what partial connectivity, slow disks and
//! pauses have done to other Rafts, each as it was told, and what has to come of it
//! here. A scenario begins in peace, with a leader and level logs, and ends in the
//! full peace in which the seed's last checks are made.
//!
//! All bounds are multiples of the longest election timeout, `T`, in simulated time.

use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use rand::RngExt;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until};

use super::check::Check;
use super::monitor::Sample;
use super::probe::Probes;
use super::world::{Machine, World, host};
use super::{level, nemesis};
use crate::config::Settings;

/// A script. `L` is the leader at its beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scenario {
    /// Everybody reaches one hub, which is not `L`, and nobody else: `L` has lost
    /// its quorum, and the hub, the only one with a quorum, still hears it
    /// (Cloudflare 2020; "quorum-loss" of the Omni-Paxos paper).
    QuorumLoss,
    /// `L` is gone; only the hub has a quorum, and a node that reaches nobody but
    /// the hub has entries that the hub lacks ("constrained election"). They are
    /// not committed: else no Raft can elect ([`Scenario::HubBehindCommit`]).
    ConstrainedElection,
    /// The same, but what the hub lacks is committed: nobody can be elected (§5.4.1),
    /// and nobody must be, until another node has a quorum.
    HubBehindCommit,
    /// All in a line, `L` at one end ("chained").
    Chain,
    /// Three in a line, `L` at one end: it has its quorum, and stays.
    ChainOfThree,
    /// `L` can send, but nothing reaches it.
    DeafLeader,
    /// What `L` sends reaches nobody.
    MuteLeader,
    /// The line between `L` and one follower goes on and off.
    FlakyLine,
    /// A follower that was alone for long returns. Without PreVote its term would
    /// have risen with each of its elections.
    FollowerReturns,
    /// `L` was alone for long, and returns with a lower term and a tail of its own.
    LeaderReturns,
    /// The disk of `L` completes nothing any more.
    StalledLeader,
    /// Each sync of `L` takes a sixth to a third of `T`.
    SlowLeader,
    /// Each sync of `L` takes two thirds to five thirds of `T`.
    SlowerLeader,
    /// The same on all nodes.
    SlowEverywhere,
    /// One sync of `L` takes five thirds of `T`.
    OneStall,
    /// The disk of a follower completes nothing; then `L` is cut off, too.
    StalledFollower,
    /// The process of `L` stands still, and goes on (SIGSTOP, SIGCONT).
    PausedLeader,
    /// All processes stand still, and go on at once.
    PausedCluster,
}

/// A write has to succeed within so many `T`. What may come one after the other: a
/// leader needs one `T` to see that it has no quorum, and four for a disk that does
/// not answer; its followers another one; then an election or two that are split;
/// and a connection that has to be dialled anew, at the most.
const RECOVERY_TIMEOUTS: u32 = 10;
/// How long a scenario is watched from its fault on.
pub(super) const WATCH: Duration = Duration::from_secs(10);
/// How long a process stands still, or a node is alone.
const ABSENCE: Duration = Duration::from_secs(10);
/// How long nobody writes, where that makes a difference.
const SILENCE: Duration = Duration::from_secs(3);

impl Scenario {
    /// All of them.
    pub const ALL: [Scenario; 18] = [
        Scenario::QuorumLoss,
        Scenario::ConstrainedElection,
        Scenario::HubBehindCommit,
        Scenario::Chain,
        Scenario::ChainOfThree,
        Scenario::DeafLeader,
        Scenario::MuteLeader,
        Scenario::FlakyLine,
        Scenario::FollowerReturns,
        Scenario::LeaderReturns,
        Scenario::StalledLeader,
        Scenario::SlowLeader,
        Scenario::SlowerLeader,
        Scenario::SlowEverywhere,
        Scenario::OneStall,
        Scenario::StalledFollower,
        Scenario::PausedLeader,
        Scenario::PausedCluster,
    ];

    /// Whether it is what it says in a cluster of so many nodes with these settings.
    pub(super) fn fits(self, nodes: u64, settings: &Settings) -> bool {
        // Who waits for a snapshot that may only be sent slowly is not back in time.
        let is_unhurried = settings.snapshot.bytes_per_second_max > 0;
        match self {
            _ if is_unhurried => false,
            Scenario::ChainOfThree => nodes == 3,
            // With its two neighbours a node has a quorum of five, and not of seven.
            Scenario::Chain => nodes == 5,
            Scenario::QuorumLoss | Scenario::HubBehindCommit => nodes >= 5,
            // A follower may be lost, and the leader then.
            Scenario::StalledFollower => nodes >= 5,
            Scenario::SlowLeader | Scenario::SlowerLeader | Scenario::SlowEverywhere => {
                nodes >= 3 && has_room_for_slow_disks(settings)
            }
            _ => nodes >= 3,
        }
    }

    /// The size of cluster in which it is rehearsed.
    pub(super) fn nodes(self) -> u64 {
        if self == Scenario::ChainOfThree { 3 } else { 5 }
    }

    /// How long it is watched when it is rehearsed: what is slow may need its time
    /// to do harm.
    pub(super) fn watch(self) -> Duration {
        match self {
            Scenario::SlowLeader | Scenario::SlowerLeader | Scenario::SlowEverywhere => 6 * WATCH,
            _ => WATCH,
        }
    }
}

/// Writes are answered in time although each takes a sync or two: there is a window
/// for all that wait, and their time is not over before.
fn has_room_for_slow_disks(settings: &Settings) -> bool {
    settings.limits.peer_inflight_entries_max >= 16
        && settings.limits.request_timeout_ms >= 5 * settings.raft.election_timeout_ms_max
}

/// What a scenario came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Which.
    pub scenario: Scenario,
    /// From the fault to the first write that was sent after it and acknowledged.
    pub first_write_ms: u64,
    /// Leaders that were elected while it was watched.
    pub leader_changes: u64,
}

/// Plays the scenario in a world that is at peace; `None` when something promised
/// was not kept.
pub(super) async fn play(world: &Rc<World>, scenario: Scenario) -> Option<Outcome> {
    world.trace.say(&format_args!("{scenario:?}"));
    let mut stage = Stage::set(world).await?;
    stage.play(scenario).await;
    stage.probes.stop().await;
    nemesis::make_peace(world);
    let first_write_ms = stage.first_write_ms.unwrap_or_default();
    Some(Outcome { scenario, first_write_ms, leader_changes: stage.leader_changes })
}

/// A moment to look back at.
#[derive(Clone, Copy)]
struct Mark {
    at: Instant,
    /// How many statuses there were.
    samples: usize,
}

/// Who plays.
struct Stage {
    world: Rc<World>,
    probes: Rc<Probes>,
    /// Who leads, as of the last look, and in which term.
    leader: u64,
    term: u64,
    /// The others, in an order drawn from the seed.
    others: Vec<u64>,
    first_write_ms: Option<u64>,
    leader_changes: u64,
}

impl Stage {
    /// Waits for a leader that everybody follows, and for level logs: in a star or
    /// a chain it may be that no Raft can elect when they are not (§5.4.1), and the
    /// scenarios that want them so see to it themselves. The clients pause.
    async fn set(world: &Rc<World>) -> Option<Stage> {
        world.is_hushed.set(true);
        let samples = level(world).await?;
        let leader = samples.iter().find(|sample| sample.role == "leader")?;
        let mut others: Vec<u64> =
            world.machines.keys().copied().filter(|id| *id != leader.id).collect();
        for last in (1..others.len()).rev() {
            others.swap(last, world.random(|rng| rng.random_range(0..=last)));
        }
        Some(Stage {
            world: Rc::clone(world),
            probes: Probes::start(world),
            leader: leader.id,
            term: leader.term,
            others,
            first_write_ms: None,
            leader_changes: 0,
        })
    }

    async fn play(&mut self, scenario: Scenario) {
        let all: Vec<u64> = self.world.machines.keys().copied().collect();
        match scenario {
            Scenario::QuorumLoss => {
                self.world.cut_to_star(self.others[0]);
                self.recovers().await;
            }
            Scenario::ConstrainedElection => self.elect_constrained().await,
            Scenario::HubBehindCommit => self.wait_for_the_committed().await,
            Scenario::Chain => {
                self.world.cut_to_chain(&self.line());
                self.recovers().await;
            }
            Scenario::ChainOfThree => {
                self.world.cut_to_chain(&self.line());
                self.is_steady_in_silence().await;
                self.is_steady().await;
            }
            Scenario::DeafLeader => {
                self.others.iter().for_each(|id| self.cut_one_way(*id, self.leader));
                self.recovers().await;
            }
            Scenario::MuteLeader => {
                self.others.iter().for_each(|id| self.cut_one_way(self.leader, *id));
                self.recovers().await;
            }
            Scenario::FlakyLine => {
                let flaky = actix::spawn(flaky_line(
                    Rc::clone(&self.world),
                    host(self.leader),
                    host(self.others[0]),
                ));
                self.is_steady_in_silence().await;
                self.is_steady().await;
                flaky.abort();
            }
            Scenario::FollowerReturns => {
                self.world.isolate(self.others[0]);
                sleep(ABSENCE).await;
                self.world.network.heal();
                self.is_steady_in_silence().await;
                self.is_steady().await;
            }
            Scenario::LeaderReturns => {
                self.world.isolate(self.leader);
                self.recovers().await;
                self.world.network.heal();
                self.is_steady().await;
            }
            Scenario::StalledLeader => {
                let old = self.machine(self.leader);
                old.stall_disk(true);
                self.recovers().await;
                old.stall_disk(false);
                self.is_steady().await;
            }
            Scenario::SlowLeader => {
                let range_ms = self.timeouts_ms(1, 6)..=self.timeouts_ms(1, 3);
                self.is_steady_on_slow_disks(&[self.leader], range_ms).await;
            }
            Scenario::SlowerLeader => {
                let range_ms = self.timeouts_ms(2, 3)..=self.timeouts_ms(5, 3);
                self.is_steady_on_slow_disks(&[self.leader], range_ms).await;
            }
            Scenario::SlowEverywhere => {
                let range_ms = self.timeouts_ms(2, 3)..=self.timeouts_ms(5, 3);
                self.is_steady_on_slow_disks(&all, range_ms).await;
            }
            Scenario::OneStall => {
                let (machine, ms) = (self.machine(self.leader), self.timeouts_ms(5, 3));
                machine.stall_disk(true);
                nemesis::after(ms, move || machine.stall_disk(false));
                self.is_steady().await;
            }
            Scenario::StalledFollower => {
                let stalled = self.others[0];
                self.machine(stalled).stall_disk(true);
                self.is_steady().await;
                self.world.isolate(self.leader);
                self.recovers().await;
                if self.leader == stalled {
                    let what = format!("n{stalled} leads, and its disk does not answer");
                    self.world.violate(Check::DurableVote, what);
                }
            }
            Scenario::PausedLeader => {
                let old = self.machine(self.leader);
                old.pause(true);
                self.recovers().await;
                old.pause(false);
                self.is_steady().await;
            }
            Scenario::PausedCluster => {
                self.world.is_hushed.set(false);
                all.iter().for_each(|id| self.machine(*id).pause(true));
                sleep(ABSENCE).await;
                all.iter().for_each(|id| self.machine(*id).pause(false));
                self.is_steady().await;
            }
        }
    }

    /// `L` still reaches one node, which takes what the hub does not get: too few
    /// to commit it. Then `L` is gone and the rest is a star.
    async fn elect_constrained(&mut self) {
        let (_further, rest) = self.others.split_first().expect("there are other nodes");
        self.world.cut_between(&[self.leader], rest);
        self.run_ahead().await;
        self.world.cut_to_star(rest[0]);
        self.world.isolate(self.leader);
        self.recovers().await;
    }

    /// The hub alone misses what the others commit. Then `L` is gone and the rest is
    /// a star: the hub is refused by all others, and each of those reaches the hub
    /// only. When one of them has more lines, it is elected.
    async fn wait_for_the_committed(&mut self) {
        let (hub, rest) = (self.others[0], self.others[1..].to_vec());
        self.world.cut_between(&[self.leader], &[hub]);
        self.run_ahead().await;
        self.world.cut_to_star(hub);
        self.world.isolate(self.leader);
        let mark = self.mark();
        sleep(self.recovery()).await;
        if let Some(sample) = self.leaders_since(mark).iter().next() {
            let what = format!("a node that lacks committed entries leads term {sample}");
            self.world.violate(Check::LeaderCompleteness, what);
        }
        // Not all of them need to have got the last entry before the leader was gone.
        let longest = rest.iter().copied().max_by_key(|id| self.last_log_index(*id));
        let longest = longest.expect("there are other nodes");
        let others: Vec<u64> = rest.into_iter().filter(|id| *id != longest).collect();
        self.world.mend_between(&[longest], &others);
        self.recovers().await;
    }

    /// Where a node's log ended when it was last asked.
    fn last_log_index(&self, id: u64) -> u64 {
        let samples = self.world.samples.borrow();
        samples.iter().rev().find(|sample| sample.id == id).map_or(0, |s| s.last_log_index)
    }

    /// The clients write for less than any election timeout.
    async fn run_ahead(&self) {
        self.world.is_hushed.set(false);
        let least_ms = self.world.plan.settings.raft.election_timeout_ms_min;
        sleep(Duration::from_millis(least_ms / 2)).await;
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

    /// A part of the longest election timeout.
    fn timeouts_ms(&self, times: u64, of: u64) -> u64 {
        self.world.plan.settings.raft.election_timeout_ms_max * times / of
    }

    fn recovery(&self) -> Duration {
        Duration::from_millis(self.timeouts_ms(RECOVERY_TIMEOUTS.into(), 1))
    }

    fn mark(&self) -> Mark {
        Mark { at: Instant::now(), samples: self.world.samples.borrow().len() }
    }

    /// The terms that have had a new leader since.
    fn leaders_since(&self, mark: Mark) -> BTreeSet<u64> {
        let samples = self.world.samples.borrow();
        let leads = |sample: &&Sample| sample.role == "leader" && sample.term > self.term;
        samples[mark.samples..].iter().filter(leads).map(|sample| sample.term).collect()
    }

    /// From here on: a write succeeds in time, and when that time is over somebody
    /// leads and goes on leading.
    async fn recovers(&mut self) {
        let mark = self.mark();
        self.world.is_hushed.set(false);
        sleep_until(mark.at + self.recovery()).await;
        let Some(write) = self.probes.first_since(mark.at) else {
            let what = format!("no write within {:?}", self.recovery());
            return self.world.violate(Check::Recovery, what);
        };
        self.first_write_ms = Some((write - mark.at).as_millis() as u64);
        let leaders = self.leaders_since(mark);
        self.leader_changes += leaders.len() as u64;
        let Some(term) = leaders.last().copied() else {
            return self.world.violate(Check::Recovery, "writes, but nobody leads".to_owned());
        };
        let leads = |sample: &&Sample| sample.role == "leader" && sample.term == term;
        let leader = self.world.samples.borrow().iter().rev().find(leads).map(|s| s.id);
        (self.leader, self.term) = (leader.expect("the term had a leader"), term);
        let watch = self.world.plan.watch.saturating_sub(mark.at.elapsed());
        self.is_steady_for(watch).await;
    }

    async fn is_steady(&mut self) {
        self.is_steady_for(self.world.plan.watch).await;
    }

    async fn is_steady_on_slow_disks(
        &mut self,
        ids: &[u64],
        range_ms: std::ops::RangeInclusive<u64>,
    ) {
        let slow: Vec<_> = ids
            .iter()
            .map(|id| slow_disk(Rc::clone(&self.world), self.machine(*id), range_ms.clone()))
            .map(actix::spawn)
            .collect();
        self.is_steady().await;
        slow.iter().for_each(JoinHandle::abort);
        ids.iter().for_each(|id| self.machine(*id).stall_disk(false));
    }

    /// Nobody writes: a node that hears little has as long a log as all others, and
    /// only the leader's life speaks against its election.
    async fn is_steady_in_silence(&mut self) {
        let mark = self.mark();
        sleep(SILENCE).await;
        self.check_leader(mark);
    }

    /// From here on, for so long: the leader leads, nobody's term rises, and writes
    /// go on.
    async fn is_steady_for(&mut self, watch: Duration) {
        let mark = self.mark();
        self.world.is_hushed.set(false);
        sleep_until(mark.at + watch).await;
        self.check_leader(mark);
        let pause = self.probes.longest_pause_since(mark.at);
        if pause > self.recovery() {
            self.world.violate(Check::Recovery, format!("no write for {pause:?}"));
        }
        if self.first_write_ms.is_none() {
            let first = self.probes.first_since(mark.at);
            self.first_write_ms = first.map(|write| (write - mark.at).as_millis() as u64);
        }
    }

    /// Since then nothing has changed in who leads.
    fn check_leader(&mut self, mark: Mark) {
        self.leader_changes += self.leaders_since(mark).len() as u64;
        let (leader, term) = (self.leader, self.term);
        // A former leader may still take itself for one, in its lower term.
        let is_steady = |sample: &Sample| {
            sample.term <= term && (sample.id != leader || sample.role == "leader")
        };
        let samples = self.world.samples.borrow();
        if let Some(sample) = samples[mark.samples..].iter().find(|sample| !is_steady(sample)) {
            let what = format!("n{leader} led term {term}, and nothing was to change: {sample:?}");
            self.world.violate(Check::Stability, what);
        }
    }
}

async fn flaky_line(world: Rc<World>, from: String, to: String) {
    loop {
        world.network.cut(&from, &to);
        world.network.cut(&to, &from);
        sleep(Duration::from_millis(world.random(|rng| rng.random_range(50..=400)))).await;
        world.network.heal();
        sleep(Duration::from_millis(world.random(|rng| rng.random_range(50..=400)))).await;
    }
}

/// The disk answers for a moment, and then not for a while, again and again.
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
