//! Runs a seed, from its first event to its report.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::checks::agreement::wait_for_agreement;
use super::checks::bounds::{self, AGED_ENTRIES_MAX};
use super::checks::status_poller::{self, ask_all};
use super::checks::violation::{Check, Violation};
use super::checks::wire::InstallCounts;
use super::checks::{self, final_state, liveness, panics};
use super::cluster;
use super::faults::{members, nemesis, upgrades};
use super::history::{Action, Answer};
use super::model_plan::Often;
use super::network::SimNetwork;
use super::plan::{Fault, Plan, Scenario};
use super::scenarios::{self, Outcome};
use super::trace::Trace;
use super::workload;
use super::workload::client::SimClient;
use super::world::{Sample, World};
use crate::testing::SimDisk;

/// A write has to succeed within this time after the beginning of the fault-free phase.
const RECOVERY: Duration = Duration::from_secs(20);
/// The time in which all nodes stop.
const STOPPING: Duration = Duration::from_secs(10);

/// The result of a seed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// All violations; empty for a good seed.
    pub violations: Vec<Violation>,
    /// A digest of everything that happened: equal for two runs of one seed.
    pub hash: u64,
    /// The simulated time of the run, in milliseconds.
    pub simulated_ms: u64,
    /// The number of commands of clients.
    pub operations: u64,
    /// The number of events that can be counted from outside: pieces of bytes that arrived, disk
    /// operations, commands and statuses, and the ticks of nodes that ran. Each of them is at
    /// least one message to an actor. The messages that it causes are not counted.
    pub events: u64,
    /// The number of faults of each kind.
    pub faults: BTreeMap<Fault, u64>,
    /// True when the search for an order of the history was given up as too long.
    pub is_given_up: bool,
    /// The time from the beginning of the fault-free phase to the first write, in milliseconds.
    pub recovery_ms: u64,
    /// The result of the scenario, if the seed has one and it went well.
    pub outcome: Option<Outcome>,
    /// The counts of what happened to snapshots.
    pub snapshots: SnapshotCounts,
    /// The number of answers of each kind to commands about members and leadership.
    pub answers: BTreeMap<String, u64>,
}

/// Counts of what happened to snapshots and to the segments of the log, on all nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SnapshotCounts {
    /// Snapshots that a node has written.
    pub taken: u64,
    /// Snapshots that a node has received completely.
    pub received: u64,
    /// Segments that were dropped, by a compaction or because a snapshot has replaced the log.
    pub segments_void: u64,
    /// Files of dropped segments that became those of new segments.
    pub segments_recycled: u64,
    /// Snapshots that were sent to followers.
    pub installs: InstallCounts,
}

impl SnapshotCounts {
    fn of(world: &World) -> SnapshotCounts {
        let sum = |count: &dyn Fn(&SimDisk) -> u64| -> u64 {
            world.machines.values().map(|machine| count(&machine.disk)).sum()
        };
        SnapshotCounts {
            taken: sum(&|disk| disk.renames("new", "snapshot")),
            received: sum(&|disk| disk.renames("part", "snapshot")),
            segments_void: sum(&|disk| disk.removed_files() as u64),
            segments_recycled: sum(&|disk| disk.renames("spare", "segment")),
            installs: world.wire.installs(),
        }
    }
}

/// Runs a seed. Prints everything that happens when `is_printed`.
///
/// # Panics
/// When the runtime cannot be created.
pub fn simulate(seed: u64, is_printed: bool) -> Report {
    simulate_plan(seed, Plan::draw, is_printed)
}

/// Runs a scenario without any other fault, in a cluster that is drawn from the seed.
///
/// # Panics
/// When the runtime cannot be created.
pub fn rehearse(scenario: Scenario, seed: u64, is_printed: bool) -> Report {
    simulate_plan(seed, |_| Plan::rehearsal(scenario), is_printed)
}

fn simulate_plan(seed: u64, plan: impl FnOnce(&mut StdRng) -> Plan, is_printed: bool) -> Report {
    panics::take();
    let system = actix::System::with_tokio_rt(|| {
        tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a current-thread runtime needs nothing that could be missing")
    });
    let mut rng = StdRng::seed_from_u64(seed);
    let plan = plan(&mut rng);
    system.block_on(run(seed, plan, rng, is_printed))
}

async fn run(seed: u64, plan: Plan, mut rng: StdRng, is_printed: bool) -> Report {
    let begin = Instant::now();
    let trace = Trace::new(is_printed);
    trace.say(&format_args!("{plan:?}"));
    let network = SimNetwork::new(rng.random(), plan.network);
    let world = Rc::new(World::new(plan, network, trace, StdRng::seed_from_u64(rng.random())));
    cluster::attach_wire_checker(&world);
    for id in world.machines.keys() {
        cluster::start(&world, *id);
        actix::spawn(status_poller::watch(Rc::clone(&world), *id));
        actix::spawn(liveness::watch(Rc::clone(&world), *id));
    }
    actix::spawn(bounds::watch(Rc::clone(&world)));
    actix::spawn(upgrades::run(Rc::clone(&world)));
    let operators = members::start_all(&world);
    if world.plan.members.is_some() {
        actix::spawn(checks::members::watch_joint(Rc::clone(&world)));
    }
    let clients = workload::start_all(&world, StdRng::seed_from_u64(rng.random()));
    let watchers = workload::start_watchers(&world, StdRng::seed_from_u64(rng.random()));
    nemesis::run(&world).await;
    let (recovery_ms, outcome) = match world.has_failed() {
        true => (0, None),
        false => {
            let workers = Workers { clients, watchers, operators };
            conclude(&world, workers, StdRng::seed_from_u64(rng.random())).await
        }
    };
    world.has_failed();
    let disk_operations: u64 = world.machines.values().map(|m| m.disk.operations()).sum();
    let uptime: Duration = world.machines.values().map(|machine| machine.uptime()).sum();
    let ticks = uptime.as_millis() as u64 / world.plan.settings.raft.tick_ms;
    let operations = world.history.borrow().len() as u64;
    Report {
        seed,
        violations: world.violations(),
        hash: world.trace.hash() ^ world.network.hash().rotate_left(1),
        simulated_ms: begin.elapsed().as_millis() as u64,
        operations,
        events: world.network.deliveries() + disk_operations + ticks + world.trace.events(),
        faults: world.faults.borrow().clone(),
        is_given_up: world.phase.is_given_up.get(),
        recovery_ms,
        outcome,
        snapshots: SnapshotCounts::of(&world),
        answers: world.operators.answers.borrow().clone(),
    }
}

/// The tasks that send commands. They end when the phases of the run say so.
struct Workers {
    clients: Vec<JoinHandle<()>>,
    /// These end when all nodes are equal and they have seen all changes.
    watchers: Vec<JoinHandle<()>>,
    operators: Vec<JoinHandle<()>>,
}

/// Ends the faults, plays the scenario if there is one, and makes the last checks. Returns the
/// milliseconds from the end of the faults to the first write, and the result of the scenario.
async fn conclude(world: &Rc<World>, workers: Workers, rng: StdRng) -> (u64, Option<Outcome>) {
    cluster::end_faults_but_absence(world);
    world.phase.is_over.set(world.plan.scenario.is_none());
    let mut calm = SimClient::calm(world, rng, RECOVERY);
    let recovery_ms = write_after_faults(world, &mut calm, Instant::now()).await;
    world.phase.has_recovered.set(true);
    cluster::end_absence(world);
    let mut outcome = None;
    if let Some(scenario) = world.plan.scenario.filter(|_| !world.has_failed()) {
        cluster::wait_for_aftermath(world).await;
        outcome = scenarios::play(world, scenario).await;
    }
    world.phase.is_over.set(true);
    for worker in workers.clients.into_iter().chain(workers.operators) {
        if worker.await.is_err() {
            world.violate(Check::Protocol, "a client panicked".to_owned());
        }
    }
    cluster::settle_members(world).await;
    if wait_for_agreement(world).await.is_some() {
        lengthen_log(world, &mut calm).await;
    }
    if world.has_failed() {
        return (recovery_ms, outcome);
    }
    watch_to_the_end(world, workers.watchers).await;
    if world.has_failed() {
        return (recovery_ms, outcome);
    }
    if let Some(samples) = wait_for_agreement(world).await {
        bounds::check_disks(world);
        world.phase.is_agreed.set(true);
        bounds::watch_memory_come_back(world).await;
        pause_all(world).await;
        checks::members::check_lists(world).await;
        checks::members::check_rest(world).await;
        // Time passes in an idle store, too, and that is an entry.
        let newest = match world.plan.members {
            Some(_) => wait_for_agreement(world).await.unwrap_or(samples),
            None => samples,
        };
        for machine in world.machines.values() {
            machine.stop();
        }
        sleep(STOPPING).await;
        final_state::check(world, newest[0].last_applied);
    }
    (recovery_ms, outcome)
}

/// Waits until the watchers have seen all changes up to the time when all nodes are equal.
async fn watch_to_the_end(world: &Rc<World>, watchers: Vec<JoinHandle<()>>) {
    let Some(samples) = wait_for_agreement(world).await else { return };
    world.seen.agreed_index.set(samples[0].last_applied);
    for watcher in watchers {
        if watcher.await.is_err() {
            world.violate(Check::Watches, "a watcher panicked".to_owned());
        }
    }
}

/// Writes after the end of the faults. Returns the milliseconds until the write was acknowledged.
async fn write_after_faults(world: &Rc<World>, client: &mut SimClient, begin: Instant) -> u64 {
    let action = Action::Set("the last word".into());
    let answer = client.execute(0, action).await;
    if !matches!(answer, Answer::Stored(_)) {
        let statuses = ask_all(world).await;
        world.violate(
            Check::Recovery,
            format!(
                "no write within {RECOVERY:?} of the end of the faults: {answer:?}; {statuses:#?}"
            ),
        );
    }
    let recovery_ms = begin.elapsed().as_millis() as u64;
    client.watch_a_key_expire().await;
    if world.plan.clients.model.leases != Often::Never {
        client.watch_a_lease_expire().await;
    }
    recovery_ms
}

/// Lets the log grow until each node must have taken two snapshots: entries that an install has
/// held back are compacted by then. Seeds with rare snapshots are left out.
async fn lengthen_log(world: &World, client: &mut SimClient) {
    let entries_max = world.plan.settings.snapshot.entries_max;
    if entries_max > AGED_ENTRIES_MAX {
        return;
    }
    for number in 0..3 * entries_max {
        client.execute(0, Action::Set(format!("aged-{number}").into())).await;
    }
}

/// Pauses all processes and resumes them together, as when the machine that runs all of them
/// sleeps. No node has missed anything, so the leader stays (docs/bugs.md B83).
async fn pause_all(world: &World) {
    let terms = |samples: Vec<Option<Sample>>| -> Vec<Option<u64>> {
        samples.into_iter().map(|sample| sample.map(|sample| sample.term)).collect()
    };
    // A disk that was spoilt earlier may still fail, and end its node.
    let are_all_up = || world.up().len() == world.serving().len();
    if !are_all_up() {
        return;
    }
    let terms_before = terms(ask_all(world).await);
    world.machines.values().for_each(|machine| machine.pause(true));
    let pause_ms = world.random(|rng| rng.random_range(300..=10_000));
    sleep(Duration::from_millis(pause_ms)).await;
    world.machines.values().for_each(|machine| machine.pause(false));
    let election_timeout_ms = world.plan.settings.raft.election_timeout_ms_max;
    sleep(Duration::from_millis(3 * election_timeout_ms)).await;
    let terms_after = terms(ask_all(world).await);
    if are_all_up() && terms_after != terms_before {
        world.violate(
            Check::Stability,
            format!("terms {terms_before:?} became {terms_after:?} in a pause of {pause_ms} ms"),
        );
    }
}
