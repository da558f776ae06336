//! The machines: each with a disk, a clock, a place in the network, and most of
//! the time a node.
//!
//! A node's tasks live in a set of their own, so that a crash is the drop of that
//! set: all actors end at the same moment, wherever they are. actix lets an actor
//! that is dropped go through its mailbox once more; by then its disk is dead, so
//! that it can promise nothing. A process that is paused is a set that nobody
//! polls, and a disk that stands still is one, too: LogActor has a set of its own,
//! as it has a thread in production.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_util::future::{Either, select};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::sync::Notify;
use tokio::task::LocalSet;
use tokio::time::{Instant, sleep};

use super::answers::LateAnswers;
use super::check::Check;
use super::check::Violation;
use super::clock::SimClock;
use super::disks::Prospect;
use super::history::Operation;
use super::monitor::Sample;
use super::network::SimNetwork;
use super::oracle::Oracle;
use super::plan::Fault;
use super::plan::Plan;
use super::trace::Trace;
use crate::actors::io::memory::MemoryBudget;
use crate::clock::Clock;
use crate::node;
use crate::node::{Answers, Environment, NodeError, Placement};
use crate::storage::StorageError;
use crate::testing::{Crash, SimDisk};
use crate::types::NodeId;

/// Everything that a seed makes.
pub(super) struct World {
    pub(super) plan: Plan,
    pub(super) trace: Trace,
    pub(super) network: SimNetwork,
    pub(super) oracle: Oracle,
    pub(super) machines: BTreeMap<u64, Rc<Machine>>,
    pub(super) history: RefCell<Vec<Operation>>,
    /// What every node told of itself.
    pub(super) samples: RefCell<Vec<Sample>>,
    pub(super) faults: RefCell<BTreeMap<Fault, u64>>,
    /// Nothing more goes wrong by chance.
    pub(super) is_peace: Cell<bool>,
    /// The clients are to say nothing for a moment.
    pub(super) is_hushed: Cell<bool>,
    /// The clients are to finish.
    pub(super) is_over: Cell<bool>,
    /// All nodes are equal; what they write while they stop is not looked at.
    pub(super) is_agreed: Cell<bool>,
    /// The one whose directory was lost, in which life, and who has no vote since.
    pub(super) forgetful: Cell<Option<(u64, u64)>>,
    /// Who has had a vote, and entries, since the beginning: a member that has a
    /// vote and has never used it looks as new as one that has forgotten.
    pub(super) participants: RefCell<BTreeSet<u64>>,
    /// The search for an order of the history was given up.
    pub(super) is_given_up: Cell<bool>,
    violations: RefCell<Vec<Violation>>,
    moment: Cell<u64>,
    rng: RefCell<StdRng>,
}

/// See the module.
pub(super) struct Machine {
    pub(super) id: u64,
    pub(super) disk: SimDisk,
    pub(super) clock: SimClock,
    /// Counts starts of the node.
    pub(super) lives: Cell<u64>,
    life: RefCell<Option<Life>>,
    /// Since when the node of this life runs, and how long those before it did.
    began: Cell<Instant>,
    ran: Cell<Duration>,
    /// What the nemesis has done to the disk in this life.
    pub(super) disk_fault: Cell<Option<Fault>>,
    /// Nobody starts it, for now.
    pub(super) is_away: Cell<bool>,
    /// The disk is full; and was so at some time in this life.
    pub(super) is_full: Cell<bool>,
    pub(super) was_full: Cell<bool>,
    /// The segment, and the place in it, up to which the last start sealed the log.
    pub(super) sealed: Cell<(u64, u64)>,
    /// A snapshot of this disk has rotted, and may be missing since.
    pub(super) has_snapshot_rotted: Cell<bool>,
    /// The life that ended with the loss of everything.
    pub(super) wiped: Cell<u64>,
    is_paused: Cell<bool>,
    is_disk_stalled: Cell<bool>,
    /// How often the disk has begun to stand still.
    disk_stalls: Cell<u64>,
    waker: RefCell<Option<Waker>>,
    /// The memory for clients of this life.
    memory: RefCell<Option<MemoryBudget>>,
    /// Tells the process of this life to stop.
    stop: RefCell<Rc<Notify>>,
}

/// A running node.
struct Life {
    main: Pin<Box<dyn Future<Output = End>>>,
    log: Pin<Box<dyn Future<Output = ()>>>,
}

/// Why a process ended by itself.
enum End {
    Refused(NodeError),
    Failed(StorageError),
    Stopped,
}

pub(super) fn host(id: u64) -> String {
    format!("n{id}")
}

impl Machine {
    fn new(id: u64, clock: SimClock) -> Machine {
        let disk = SimDisk::new();
        disk.keep_removed("segment");
        Machine {
            id,
            disk,
            clock,
            lives: Cell::new(0),
            life: RefCell::default(),
            began: Cell::new(Instant::now()),
            ran: Cell::default(),
            disk_fault: Cell::default(),
            is_away: Cell::default(),
            is_full: Cell::default(),
            was_full: Cell::default(),
            sealed: Cell::default(),
            has_snapshot_rotted: Cell::default(),
            wiped: Cell::default(),
            is_paused: Cell::default(),
            is_disk_stalled: Cell::default(),
            disk_stalls: Cell::default(),
            waker: RefCell::default(),
            memory: RefCell::default(),
            stop: RefCell::default(),
        }
    }

    pub(super) fn is_up(&self) -> bool {
        self.life.borrow().is_some()
    }

    /// How long its nodes have run, in all their lives.
    pub(super) fn uptime(&self) -> Duration {
        let now = if self.is_up() { self.began.get().elapsed() } else { Duration::ZERO };
        self.ran.get() + now
    }

    fn poll(&self, cx: &mut Context<'_>) -> Poll<Option<End>> {
        *self.waker.borrow_mut() = Some(cx.waker().clone());
        let mut life = self.life.borrow_mut();
        let Some(running) = life.as_mut() else { return Poll::Ready(None) };
        if self.is_paused.get() {
            return Poll::Pending;
        }
        if !self.is_disk_stalled.get() {
            // It never ends: LogActor's set waits for more.
            let _ = running.log.as_mut().poll(cx);
        }
        let Poll::Ready(end) = running.main.as_mut().poll(cx) else { return Poll::Pending };
        drop(life);
        let ended = self.take_life();
        drop(ended);
        Poll::Ready(Some(end))
    }

    fn take_life(&self) -> Option<Life> {
        self.ran.set(self.uptime());
        self.life.borrow_mut().take()
    }

    fn wake(&self) {
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }

    pub(super) fn pause(&self, is_paused: bool) {
        self.is_paused.set(is_paused);
        self.wake();
    }

    pub(super) fn is_paused(&self) -> bool {
        self.is_paused.get()
    }

    /// The number of the stall in which the disk is.
    pub(super) fn disk_stall(&self) -> Option<u64> {
        self.is_disk_stalled.get().then_some(self.disk_stalls.get())
    }

    pub(super) fn stall_disk(&self, is_stalled: bool) {
        self.is_disk_stalled.set(is_stalled);
        self.disk_stalls.set(self.disk_stalls.get() + u64::from(is_stalled));
        self.wake();
    }

    /// Tells the process to stop, as SIGTERM does.
    pub(super) fn stop(&self) {
        self.stop.borrow().notify_one();
    }

    /// What clients still take of its memory when all its actors are gone: nothing, or
    /// something was forgotten (bugs.md B29).
    #[must_use]
    fn end_life(&self, crash: Option<Crash>) -> u64 {
        // First the disk: what the actors still do when they are dropped must
        // not count.
        match crash {
            Some(crash) => self.disk.crash(crash),
            None => self.disk.kill(),
        }
        drop(self.take_life());
        self.disk_fault.set(None);
        self.was_full.set(self.is_full.get());
        self.is_paused.set(false);
        self.is_disk_stalled.set(false);
        self.wake();
        self.memory.take().map_or(0, |memory| memory.used_bytes())
    }
}

/// How wrong a monotonic clock may be: two of them differ by nearly as much as leases allow
/// (docs/adr/0012).
const RATE_PPM_MAX: i32 = 140_000;

/// More than any simulated node opens.
const OPEN_FILES_MAX: u64 = 1 << 20;

impl World {
    pub(super) fn new(plan: Plan, network: SimNetwork, trace: Trace, mut rng: StdRng) -> World {
        let skew_ms = [0, 100, 100_000][rng.random_range(0..3)];
        let drift_ppm = [0, 20, 1_000][rng.random_range(0..3)];
        let rate_ppm = [0, RATE_PPM_MAX][rng.random_range(0..2)];
        let machine = |id| {
            let clock = SimClock::new(rng.random_range(-skew_ms..=skew_ms))
                .drifting(rng.random_range(-drift_ppm..=drift_ppm))
                .running_at(rng.random_range(-rate_ppm..=rate_ppm));
            (id, Rc::new(Machine::new(id, clock)))
        };
        let machines: BTreeMap<_, _> = (1..=plan.nodes).map(machine).collect();
        let disks = machines.values().map(|machine| (machine.id, machine.disk.clone()));
        World {
            oracle: Oracle::new(&plan, disks.collect(), trace.teller()),
            machines,
            plan,
            trace,
            network,
            history: RefCell::default(),
            samples: RefCell::default(),
            faults: RefCell::default(),
            is_peace: Cell::default(),
            is_hushed: Cell::default(),
            is_over: Cell::default(),
            is_agreed: Cell::default(),
            forgetful: Cell::default(),
            participants: RefCell::default(),
            is_given_up: Cell::default(),
            violations: RefCell::default(),
            moment: Cell::default(),
            rng: RefCell::new(StdRng::seed_from_u64(rng.random())),
        }
    }

    /// The next moment of the clock that all clients share.
    pub(super) fn moment(&self) -> u64 {
        self.moment.set(self.moment.get() + 1);
        self.moment.get()
    }

    /// What the clock of a node says now.
    pub(super) fn clock_ms(&self, of: &str) -> u64 {
        let found = self.machines.values().find(|machine| host(machine.id) == of);
        found.map_or(0, |machine| machine.clock.wall_ms())
    }

    /// The latest time that any clock has ever shown.
    pub(super) fn latest_clock_ms(&self) -> u64 {
        self.machines.values().map(|machine| machine.clock.latest_ms()).max().unwrap_or(0)
    }

    pub(super) fn violate(&self, check: Check, what: String) {
        self.trace.say(&format_args!("VIOLATION of {check}: {what}"));
        self.violations.borrow_mut().push(Violation { check, what });
    }

    pub(super) fn violations(&self) -> Vec<Violation> {
        self.violations.borrow().clone()
    }

    pub(super) fn count(&self, fault: Fault) {
        *self.faults.borrow_mut().entry(fault).or_default() += 1;
    }

    pub(super) fn random<T>(&self, draw: impl FnOnce(&mut StdRng) -> T) -> T {
        draw(&mut self.rng.borrow_mut())
    }

    pub(super) fn up(&self) -> Vec<u64> {
        self.machines.values().filter(|machine| machine.is_up()).map(|m| m.id).collect()
    }

    /// Starts the node of a machine that has none.
    pub(super) fn start(self: &Rc<World>, id: u64) {
        let machine = Rc::clone(&self.machines[&id]);
        if machine.is_up() || machine.is_away.get() {
            return;
        }
        machine.lives.set(machine.lives.get() + 1);
        self.trace.say(&format_args!("n{id} starts, life {}", machine.lives.get()));
        self.network.power_on(&host(id));
        self.oracle.on_start(id);
        let log_set = Rc::new(LocalSet::new());
        let answers: Answers = {
            let (world, machine) = (Rc::clone(self), Rc::clone(&machine));
            Rc::new(move |to| LateAnswers::on_the_way(&world, &machine, to))
        };
        let environment = Environment {
            network: Rc::new(self.network.host(&host(id))),
            clock: Arc::new(machine.clock.clone()),
            disk: Box::new(machine.disk.clone()),
            placement: Placement::Inline { blocking: Rc::clone(&log_set), answers },
            seed: self.random(|rng| rng.random()),
            open_files_max: OPEN_FILES_MAX,
        };
        let settings = self.plan.settings.clone();
        // A wish to stop that came too late for the last life is not for this one.
        let stop = Rc::new(Notify::new());
        *machine.stop.borrow_mut() = Rc::clone(&stop);
        let (disk, dir) = (machine.disk.clone(), self.data_dir(id).to_owned());
        let world = Rc::downgrade(self);
        let main = async move {
            let set = LocalSet::new();
            set.run_until(async move {
                let prospect = Prospect::of(&disk, &dir);
                if let Some(world) = world.upgrade().filter(|_| !prospect.is_good()) {
                    world.oracle.on_damaged_start(id);
                }
                let mut node = match node::start(&settings, NodeId(id), environment).await {
                    Ok(node) => node,
                    Err(error) => return End::Refused(error),
                };
                if let Some(world) = world.upgrade() {
                    *world.machines[&id].memory.borrow_mut() = Some(node.memory());
                    world.check_start(&world.machines[&id], &prospect);
                }
                let failure = {
                    let stopped = std::pin::pin!(stop.notified());
                    match select(std::pin::pin!(node.failed()), stopped).await {
                        Either::Left((error, _)) => Some(error),
                        Either::Right(_) => None,
                    }
                };
                match failure {
                    Some(error) => End::Failed(error),
                    None => {
                        node.stop().await;
                        End::Stopped
                    }
                }
            })
            .await
        };
        let log = async move { log_set.run_until(std::future::pending()).await };
        machine.began.set(Instant::now());
        *machine.life.borrow_mut() = Some(Life { main: Box::pin(main), log: Box::pin(log) });
        let world = Rc::clone(self);
        actix::spawn(async move {
            if let Some(end) = std::future::poll_fn(|cx| machine.poll(cx)).await {
                world.on_end(&machine, &end);
            }
        });
    }

    /// The process has ended by itself.
    fn on_end(self: &Rc<World>, machine: &Rc<Machine>, end: &End) {
        let id = machine.id;
        let fault = machine.disk_fault.get();
        let crash =
            (fault == Some(Fault::DiskCut)).then(|| Crash::Seeded(self.random(|rng| rng.random())));
        match end {
            End::Stopped => self.trace.say(&format_args!("n{id} stopped")),
            End::Refused(error) => self.trace.say(&format_args!("n{id} did not start: {error}")),
            End::Failed(error) => self.trace.say(&format_args!("n{id} failed: {error}")),
        }
        match end {
            End::Refused(NodeError::Storage(error)) => self.check_end(machine, error, true),
            End::Failed(error) => self.check_end(machine, error, false),
            End::Refused(error) => self.violate(Check::NodeLives, format!("n{id}: {error}")),
            End::Stopped => {}
        }
        self.check_forgotten(id, machine.end_life(crash));
        match end {
            // A fault of the moment; what is rotten stays so.
            End::Refused(NodeError::Storage(error))
                if !matches!(error, StorageError::Io { .. }) =>
            {
                self.replace_later(id);
            }
            _ => self.start_later(id),
        }
    }

    /// Ends the life of a node at once; with `is_power_lost` it takes with it
    /// what its disk had not made durable, by chance.
    pub(super) fn crash(self: &Rc<World>, id: u64, is_power_lost: bool) {
        let machine = &self.machines[&id];
        if !machine.is_up() {
            return;
        }
        let crash = is_power_lost.then(|| match self.random(|rng| rng.random_range(0..4)) {
            0 => Crash::LoseUnsynced,
            1 => Crash::KeepUnsynced,
            _ => Crash::Seeded(self.random(|rng| rng.random())),
        });
        if is_power_lost {
            self.network.power_off(&host(id));
        }
        self.trace.say(&format_args!("n{id} crashes {crash:?}"));
        self.check_forgotten(id, machine.end_life(crash));
        self.start_later(id);
    }

    fn check_forgotten(&self, id: u64, memory_bytes: u64) {
        if memory_bytes != 0 {
            self.violate(
                Check::Bounds,
                format!("n{id} has ended, and {memory_bytes} bytes of its memory count as taken"),
            );
        }
    }

    /// Somebody will see that it is down, and start it.
    fn start_later(self: &Rc<World>, id: u64) {
        if self.is_agreed.get() {
            return;
        }
        let down_ms_max = self.plan.down_ms_max;
        let down_ms = self.random(|rng| rng.random_range(0..=down_ms_max));
        let (world, life) = (Rc::clone(self), self.machines[&id].lives.get());
        actix::spawn(async move {
            sleep(Duration::from_millis(down_ms)).await;
            if world.machines[&id].lives.get() == life {
                world.start(id);
            }
        });
    }
}
