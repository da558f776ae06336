//! Whole clusters, simulated by seed: the actors of production on simulated time,
//! network, disks and clocks, everything that can go wrong, and checks of all
//! that was promised. docs/internals/simulation.md is the guide.

mod aim;
mod answers;
mod audit;
mod bounds;
mod check;
mod chronicle;
mod client;
mod clock;
mod disks;
mod history;
mod ledger;
mod linearizability;
mod monitor;
mod nemesis;
mod network;
mod oracle;
mod order;
mod plan;
mod probe;
mod scenario;
mod topology;
mod trace;
mod witness;
mod world;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

pub use check::{Check, Violation};
pub use clock::SimClock;
pub use history::{Action, Answer, Item, Operation};
pub use linearizability::{Verdict, check as check_linearizability};
pub use network::{Load, SimHost, SimNetwork, Weather};
pub use plan::{Fault, Plan};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
pub use scenario::{Outcome, Scenario};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use client::SimClient;
use monitor::Sample;
use oracle::Oracle;
pub use oracle::TransferCounts;
use trace::Trace;
use world::World;

use crate::testing::SimDisk;

/// When peace has come, a write has to succeed within so long.
const RECOVERY: Duration = Duration::from_secs(20);
/// And all nodes have to be equal, or the last of them to catch up, within so long.
/// With windows of one entry it may take a round trip for each of thousands.
const AGREEMENT: Duration = Duration::from_secs(10);
/// And within so long at the most.
const AGREEMENT_MAX: Duration = Duration::from_secs(200);
/// How long nodes may take to stop, all of them.
const STOPPING: Duration = Duration::from_secs(10);

/// What came of a seed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// What was violated: nothing, one hopes.
    pub violations: Vec<Violation>,
    /// Stands for everything that happened: equal for two runs of one seed.
    pub hash: u64,
    /// How much time passed for the nodes, in milliseconds.
    pub simulated_ms: u64,
    /// Commands of clients.
    pub operations: u64,
    /// What was handled by an actor and can be counted from outside: pieces of bytes
    /// that arrived, disk operations, commands and statuses, and the ticks of nodes
    /// that ran. Each is one message of an actor at least; those that it causes are
    /// not counted.
    pub events: u64,
    /// Faults by kind.
    pub faults: BTreeMap<Fault, u64>,
    /// The history was too hard to find an order for.
    pub is_given_up: bool,
    /// From peace to the first write, in milliseconds.
    pub recovery_ms: u64,
    /// What came of the scenario, if the seed has one and it went well.
    pub outcome: Option<Outcome>,
    /// How often snapshots did what.
    pub snapshots: SnapshotCounts,
}

/// How often what is about snapshots happened, on all nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SnapshotCounts {
    /// A node has written one.
    pub taken: u64,
    /// A node has received one to its last byte.
    pub received: u64,
    /// A segment became void, by a compaction or because a snapshot took the log's place.
    pub segments_void: u64,
    /// The file of one became another segment's.
    pub segments_recycled: u64,
    /// On their way.
    pub transfers: TransferCounts,
}

impl SnapshotCounts {
    fn of(world: &World) -> SnapshotCounts {
        let sum = |count: &dyn Fn(&SimDisk) -> u64| -> u64 {
            world.machines.values().map(|machine| count(&machine.disk)).sum()
        };
        SnapshotCounts {
            taken: sum(&|disk| disk.renames("new", "snapshot")),
            received: sum(&|disk| disk.renames("part", "snapshot")),
            segments_void: sum(&|disk| disk.removed().len() as u64),
            segments_recycled: sum(&|disk| disk.renames("spare", "segment")),
            transfers: world.oracle.transfers(),
        }
    }
}

thread_local! {
    /// Panics of this thread, which a task's runtime swallows.
    static PANICS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Remembers panics of simulated nodes, so that [`simulate`] reports them. To be
/// called once, by whoever simulates.
pub fn catch_panics() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            PANICS.with(|panics| panics.borrow_mut().push(info.to_string()));
            previous(info);
        }));
    });
}

/// Runs a seed from its first event to its last; tells all of it when `is_told`.
///
/// # Panics
/// When there is no runtime to be had.
pub fn simulate(seed: u64, is_told: bool) -> Report {
    simulate_plan(seed, Plan::draw, is_told)
}

/// Runs a scenario, and nothing else that goes wrong, in a cluster that is drawn
/// from the seed.
///
/// # Panics
/// When there is no runtime to be had.
pub fn rehearse(scenario: Scenario, seed: u64, is_told: bool) -> Report {
    simulate_plan(seed, |_| Plan::rehearsal(scenario), is_told)
}

fn simulate_plan(seed: u64, plan: impl FnOnce(&mut StdRng) -> Plan, is_told: bool) -> Report {
    PANICS.with(|panics| panics.borrow_mut().clear());
    let system = actix::System::with_tokio_rt(|| {
        tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a current-thread runtime needs nothing that could be missing")
    });
    let mut rng = StdRng::seed_from_u64(seed);
    let plan = plan(&mut rng);
    system.block_on(run(seed, plan, rng, is_told))
}

async fn run(seed: u64, plan: Plan, mut rng: StdRng, is_told: bool) -> Report {
    let begin = Instant::now();
    let trace = Trace::new(is_told);
    trace.say(&format_args!("{plan:?}"));
    let network = SimNetwork::new(rng.random(), plan.weather);
    let world = Rc::new(World::new(plan, network, trace, StdRng::seed_from_u64(rng.random())));
    Oracle::attend(&world);
    for id in world.machines.keys() {
        world.start(*id);
        actix::spawn(monitor::watch(Rc::clone(&world), *id));
        actix::spawn(witness::watch(Rc::clone(&world), *id));
    }
    actix::spawn(bounds::watch(Rc::clone(&world)));
    let clients = client::start_all(&world, StdRng::seed_from_u64(rng.random()));
    nemesis::run(&world).await;
    let (recovery_ms, outcome) = match has_failed(&world) {
        true => (0, None),
        false => conclude(&world, clients, StdRng::seed_from_u64(rng.random())).await,
    };
    has_failed(&world);
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
        is_given_up: world.is_given_up.get(),
        recovery_ms,
        outcome,
        snapshots: SnapshotCounts::of(&world),
    }
}

/// Whether the seed has failed already: what comes behind the first violation
/// says nothing more.
fn has_failed(world: &World) -> bool {
    world.oracle.tell(world);
    PANICS.with(|panics| {
        for panic in panics.borrow_mut().drain(..) {
            world.violate(Check::Assertion, panic);
        }
    });
    !world.violations().is_empty()
}

/// Peace, the scenario if there is one, and the last look; the milliseconds from
/// peace to the first write, and what came of the scenario.
async fn conclude(
    world: &Rc<World>,
    clients: Vec<JoinHandle<()>>,
    rng: StdRng,
) -> (u64, Option<Outcome>) {
    nemesis::make_peace_but_for_some(world);
    world.is_over.set(world.plan.scenario.is_none());
    let mut calm = SimClient::calm(world, rng, RECOVERY);
    let recovery_ms = finish(world, &mut calm, Instant::now()).await;
    nemesis::end_absence(world);
    let mut outcome = None;
    if let Some(scenario) = world.plan.scenario.filter(|_| !has_failed(world)) {
        nemesis::calm_down(world).await;
        outcome = scenario::play(world, scenario).await;
    }
    world.is_over.set(true);
    for client in clients {
        if client.await.is_err() {
            world.violate(Check::Protocol, "a client panicked".to_owned());
        }
    }
    if level(world).await.is_some() {
        bounds::age(world, &mut calm).await;
    }
    if let Some(samples) = level_unless_failed(world).await {
        bounds::check_disks(world);
        world.is_agreed.set(true);
        bounds::watch_memory_come_back(world).await;
        stand_still(world).await;
        for machine in world.machines.values() {
            machine.stop();
        }
        sleep(STOPPING).await;
        audit::audit(world, samples[0].last_applied);
    }
    (recovery_ms, outcome)
}

/// A write goes through; how long that took.
async fn finish(world: &Rc<World>, client: &mut SimClient, peace: Instant) -> u64 {
    let action = Action::Set("the last word".into());
    let answer = client.execute(0, action).await;
    if !matches!(answer, Answer::Stored(_)) {
        let statuses = statuses(world).await;
        world.violate(
            Check::Recovery,
            format!("no write within {RECOVERY:?} of peace: {answer:?}; {statuses:#?}"),
        );
    }
    let recovery_ms = peace.elapsed().as_millis() as u64;
    client.watch_a_key_expire().await;
    recovery_ms
}

/// All processes stand still and go on at the same moment, as when the machine that
/// runs them all sleeps. Nobody has missed anything: the leader stays (bugs.md B83).
async fn stand_still(world: &World) {
    let terms = |samples: Vec<Option<Sample>>| -> Vec<Option<u64>> {
        samples.into_iter().map(|sample| sample.map(|sample| sample.term)).collect()
    };
    // A disk that was spoilt may yet fail, and that node is not there any more.
    let is_whole = || world.up().len() == world.machines.len();
    if !is_whole() {
        return;
    }
    let terms_before = terms(statuses(world).await);
    world.machines.values().for_each(|machine| machine.pause(true));
    let pause_ms = world.random(|rng| rng.random_range(300..=10_000));
    sleep(Duration::from_millis(pause_ms)).await;
    world.machines.values().for_each(|machine| machine.pause(false));
    let election_timeout_ms = world.plan.settings.raft.election_timeout_ms_max;
    sleep(Duration::from_millis(3 * election_timeout_ms)).await;
    let terms_after = terms(statuses(world).await);
    if is_whole() && terms_after != terms_before {
        world.violate(
            Check::Stability,
            format!("terms {terms_before:?} became {terms_after:?} in a pause of {pause_ms} ms"),
        );
    }
}

async fn statuses(world: &World) -> Vec<Option<Sample>> {
    let from = world.network.calm_host("calm");
    let mut statuses = Vec::new();
    for id in world.machines.keys() {
        let asked = monitor::ask(world, &from, *id, None);
        let status = timeout(Duration::from_secs(1), asked).await;
        statuses.push(status.ok().and_then(Result::ok).map(|(sample, _)| sample));
    }
    statuses
}

async fn level_unless_failed(world: &World) -> Option<Vec<Sample>> {
    if has_failed(world) { None } else { level(world).await }
}

/// Waits until all nodes are equal, and one leads; what they say then.
async fn level(world: &World) -> Option<Vec<Sample>> {
    let latest = Instant::now() + AGREEMENT_MAX;
    let (mut deadline, mut least_applied) = (Instant::now() + AGREEMENT, 0);
    loop {
        let statuses = statuses(world).await;
        if is_level(&statuses) {
            return statuses.into_iter().collect();
        }
        let applied = statuses.iter().map(|status| status.as_ref().map_or(0, |s| s.last_applied));
        let least = applied.min().unwrap_or(0);
        if least > least_applied {
            (deadline, least_applied) = (latest.min(Instant::now() + AGREEMENT), least);
        }
        if Instant::now() > deadline {
            world.violate(
                Check::Agreement,
                format!("neither agreement nor progress within {AGREEMENT:?}: {statuses:#?}"),
            );
            return None;
        }
        sleep(Duration::from_millis(100)).await;
    }
}

fn is_level(statuses: &[Option<Sample>]) -> bool {
    let Some(samples) = statuses.iter().map(Option::as_ref).collect::<Option<Vec<_>>>() else {
        return false;
    };
    let is_equal = |sample: &&Sample| {
        sample.term == samples[0].term
            && sample.last_applied == sample.last_log_index
            && sample.last_applied == sample.commit_index
            && sample.last_applied == samples[0].last_applied
            && sample.store_digest == samples[0].store_digest
            && sample.role != "rejoining"
    };
    samples.iter().all(is_equal)
        && samples.iter().filter(|sample| sample.role == "leader").count() == 1
}
