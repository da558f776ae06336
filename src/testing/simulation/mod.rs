//! Whole clusters, simulated by seed: the actors of production on simulated time,
//! network, disks and clocks, everything that can go wrong, and checks of all
//! that was promised. docs/internals/simulation.md is the guide.

mod aim;
mod audit;
mod check;
mod client;
mod clock;
mod disks;
mod history;
mod linearizability;
mod monitor;
mod nemesis;
mod network;
mod plan;
mod trace;
mod world;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

pub use check::{Check, Violation};
pub use clock::SimClock;
pub use history::{Action, Answer, Operation};
pub use linearizability::{Verdict, check as check_linearizability};
pub use network::{SimHost, SimNetwork, Weather};
pub use plan::{Fault, Plan};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use client::SimClient;
use monitor::Sample;
use trace::Trace;
use world::World;

/// When peace has come, a write has to succeed within so long.
const RECOVERY: Duration = Duration::from_secs(20);
/// And all nodes have to be equal within so long.
const AGREEMENT: Duration = Duration::from_secs(30);
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
    /// that arrived, disk operations, commands and statuses. Ticks are not among it.
    pub events: u64,
    /// Faults by kind.
    pub faults: BTreeMap<Fault, u64>,
    /// The history was too hard to find an order for.
    pub is_given_up: bool,
    /// From peace to the first write, in milliseconds.
    pub recovery_ms: u64,
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
    PANICS.with(|panics| panics.borrow_mut().clear());
    let system = actix::System::with_tokio_rt(|| {
        tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a current-thread runtime needs nothing that could be missing")
    });
    system.block_on(run(seed, is_told))
}

async fn run(seed: u64, is_told: bool) -> Report {
    let begin = Instant::now();
    let mut rng = StdRng::seed_from_u64(seed);
    let plan = Plan::draw(&mut rng);
    let trace = Trace::new(is_told);
    trace.say(&format_args!("{plan:?}"));
    let network = SimNetwork::new(rng.random(), plan.weather);
    let world = Rc::new(World::new(plan, network, trace, StdRng::seed_from_u64(rng.random())));
    for id in world.machines.keys() {
        world.start(*id);
        actix::spawn(monitor::watch(Rc::clone(&world), *id));
    }
    let clients: Vec<_> = (1..=world.plan.clients)
        .map(|number| {
            let rng = StdRng::seed_from_u64(rng.random());
            actix::spawn(SimClient::new(&world, number, rng).run())
        })
        .collect();
    nemesis::run(&world).await;
    let recovery_ms = match has_failed(&world) {
        true => 0,
        false => conclude(&world, clients, StdRng::seed_from_u64(rng.random())).await,
    };
    has_failed(&world);
    let disk_operations: u64 = world.machines.values().map(|m| m.disk.operations()).sum();
    let operations = world.history.borrow().len() as u64;
    Report {
        seed,
        violations: world.violations(),
        hash: world.trace.hash() ^ world.network.hash().rotate_left(1),
        simulated_ms: begin.elapsed().as_millis() as u64,
        operations,
        events: world.network.deliveries() + disk_operations + world.trace.events(),
        faults: world.faults.borrow().clone(),
        is_given_up: world.is_given_up.get(),
        recovery_ms,
    }
}

/// Whether the seed has failed already: what comes behind the first violation
/// says nothing more.
fn has_failed(world: &World) -> bool {
    PANICS.with(|panics| {
        for panic in panics.borrow_mut().drain(..) {
            world.violate(Check::Assertion, panic);
        }
    });
    !world.violations().is_empty()
}

/// Peace, and the last look; the milliseconds from peace to the first write.
async fn conclude(world: &Rc<World>, clients: Vec<JoinHandle<()>>, rng: StdRng) -> u64 {
    world.is_over.set(true);
    nemesis::make_peace(world);
    let recovery_ms = finish(world, rng, Instant::now()).await;
    for client in clients {
        if client.await.is_err() {
            world.violate(Check::Protocol, "a client panicked".to_owned());
        }
    }
    if let Some(committed) = agree(world).await {
        for machine in world.machines.values() {
            machine.stop();
        }
        sleep(STOPPING).await;
        audit::audit(world, committed);
    }
    recovery_ms
}

/// A write goes through; how long that took.
async fn finish(world: &Rc<World>, rng: StdRng, peace: Instant) -> u64 {
    let mut client = SimClient::calm(world, rng, RECOVERY);
    let action = Action::Set("the last word".into());
    let answer = client.execute(0, action).await;
    if !matches!(answer, Answer::Stored(_)) {
        let statuses = statuses(world).await;
        world.violate(
            Check::Recovery,
            format!("no write within {RECOVERY:?} of peace: {answer:?}; {statuses:#?}"),
        );
    }
    peace.elapsed().as_millis() as u64
}

async fn statuses(world: &World) -> Vec<Option<Sample>> {
    let from = world.network.calm_host("calm");
    let mut statuses = Vec::new();
    for (id, machine) in &world.machines {
        let asked = monitor::ask(&from, *id, machine.lives.get(), None);
        let status = timeout(Duration::from_secs(1), asked).await;
        statuses.push(status.ok().and_then(Result::ok).map(|(sample, _)| sample));
    }
    statuses
}

/// Waits until all nodes are equal; the index up to which they are.
async fn agree(world: &World) -> Option<u64> {
    let deadline = Instant::now() + AGREEMENT;
    loop {
        let statuses = statuses(world).await;
        if let Some(committed) = agreed(&statuses) {
            world.is_agreed.set(true);
            return Some(committed);
        }
        if Instant::now() > deadline {
            world.violate(
                Check::Agreement,
                format!("no agreement within {AGREEMENT:?}: {statuses:#?}"),
            );
            return None;
        }
        sleep(Duration::from_millis(100)).await;
    }
}

fn agreed(statuses: &[Option<Sample>]) -> Option<u64> {
    let mut leaders = 0;
    let first = statuses.first()?.as_ref()?;
    for status in statuses {
        let status = status.as_ref()?;
        leaders += u32::from(status.role == "leader");
        let is_equal = status.last_applied == status.last_log_index
            && status.last_applied == status.commit_index
            && status.last_applied == first.last_applied
            && status.store_digest == first.store_digest
            && status.role != "learner";
        if !is_equal {
            return None;
        }
    }
    (leaders == 1).then_some(first.last_applied)
}
