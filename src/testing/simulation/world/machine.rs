//! A machine: a disk, a clock, a place in the network and, most of the time, the process of a
//! node.
//!
//! A process is a set of tasks of its own. A crash drops that set, so that all actors end at the
//! same point in time, wherever they are. actix lets an actor that is dropped go through its
//! mailbox once more; by then its disk is dead, so that it can promise nothing. A process that is
//! paused is a set that is not polled. A stalled disk is one as well: LogActor has a set of its
//! own, as it has a thread in production.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::memory::Memory;
use crate::actors::io::memory::MemoryBudget;
use crate::node::NodeError;
use crate::testing::simulation::clock::SimClock;
use crate::testing::simulation::plan::Fault;
use crate::testing::simulation::upgrade::{Program, Programs};
use crate::testing::{Crash, SimDisk};

/// The port on which the nodes of a plan listen for each other at first. A machine that moves gets
/// a higher one.
pub(crate) const PEER_PORT: u16 = 9001;

/// The task of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// It stands by: no node has ever run on it.
    Spare,
    /// Its node is to run. It may have been removed and not know it.
    Serving,
    /// Its node was removed, and its process has ended for good.
    Retired,
}

/// A machine and all that is known of it. A life is the time from a start of its node to the end
/// of that process.
pub(crate) struct Machine {
    pub(crate) id: u64,
    pub(crate) disk: SimDisk,
    /// The directory of the node's files.
    pub(crate) dir: PathBuf,
    pub(crate) place: Cell<Place>,
    /// The port on which the node listens for its peers.
    pub(crate) peer_port: Cell<u16>,
    /// True when its node is started without a servers.toml, to join the others.
    pub(crate) is_joining: Cell<bool>,
    /// True while its process waits to become a member.
    pub(crate) is_asking: Cell<bool>,
    pub(crate) clock: SimClock,
    /// The number of starts of the node, which is the number of its current or last life.
    pub(crate) lives: Cell<u64>,
    pub(crate) programs: Programs,
    process: Process,
    /// True while the node must not be started.
    pub(crate) is_away: Cell<bool>,
    pub(crate) losses: Losses,
    pub(crate) disk_faults: DiskFaults,
    pub(crate) memory: Memory,
}

/// The facts on what a machine's disk has lost, and what it must not have lost.
#[derive(Default)]
pub(crate) struct Losses {
    /// The last segment at the last start, and its length in bytes: the log up to there is
    /// known to have been durable.
    pub(crate) durable_end: Cell<(u64, u64)>,
    /// True when a snapshot of this disk was damaged. The node removes it when it finds that.
    pub(crate) has_damaged_snapshot: Cell<bool>,
    /// The last life that ended with a loss of durable data.
    pub(crate) lost_in_life: Cell<u64>,
}

/// The faults of a machine's disk, but for lost data.
#[derive(Default)]
pub(crate) struct DiskFaults {
    /// The fault that was inflicted on the disk in this life.
    pub(crate) inflicted: Cell<Option<Fault>>,
    /// True while the disk is full.
    is_full: Cell<bool>,
    /// True when the disk has been full at some time in this life.
    pub(crate) was_full: Cell<bool>,
    is_stalled: Cell<bool>,
    /// The number of stalls that have begun.
    stalls_begun: Cell<u64>,
}

/// The process of a machine's node.
struct Process {
    tasks: RefCell<Option<Tasks>>,
    started_at: Cell<Instant>,
    /// The uptime of all earlier lives.
    earlier_uptime: Cell<Duration>,
    is_paused: Cell<bool>,
    waker: RefCell<Option<Waker>>,
    /// The memory for clients of this life.
    memory: RefCell<Option<MemoryBudget>>,
    /// Asks the process of this life to stop.
    stop: RefCell<Rc<Notify>>,
}

/// The tasks of a running node.
pub(crate) struct Tasks {
    pub(crate) main: Pin<Box<dyn Future<Output = ProcessEnd>>>,
    pub(crate) log: Pin<Box<dyn Future<Output = ()>>>,
}

/// The reason for which a process ended by itself.
pub(crate) enum ProcessEnd {
    /// The node did not start.
    Refused(NodeError),
    /// The node ran, and its disk failed.
    Failed(NodeError),
    /// The node was asked to stop.
    Stopped,
}

/// The name of a machine in the network.
pub(crate) fn host(id: u64) -> String {
    format!("n{id}")
}

impl Machine {
    pub(super) fn new(id: u64, dir: PathBuf, clock: SimClock, program: Program) -> Machine {
        let disk = SimDisk::new();
        disk.keep_removed("segment");
        Machine {
            id,
            disk,
            dir,
            place: Cell::new(Place::Serving),
            peer_port: Cell::new(PEER_PORT),
            is_joining: Cell::default(),
            is_asking: Cell::default(),
            clock,
            lives: Cell::new(0),
            programs: Programs::new(program),
            process: Process {
                tasks: RefCell::default(),
                started_at: Cell::new(Instant::now()),
                earlier_uptime: Cell::default(),
                is_paused: Cell::default(),
                waker: RefCell::default(),
                memory: RefCell::default(),
                stop: RefCell::default(),
            },
            is_away: Cell::default(),
            losses: Losses::default(),
            disk_faults: DiskFaults::default(),
            memory: Memory::default(),
        }
    }

    /// The same machine, which stands by until it is to join the others.
    pub(super) fn spare(self) -> Machine {
        self.place.set(Place::Spare);
        self.is_joining.set(true);
        self
    }

    pub(crate) fn is_up(&self) -> bool {
        self.process.tasks.borrow().is_some()
    }

    /// The time for which its nodes have run, over all lives.
    pub(crate) fn uptime(&self) -> Duration {
        let process = &self.process;
        let current =
            if self.is_up() { process.started_at.get().elapsed() } else { Duration::ZERO };
        process.earlier_uptime.get() + current
    }

    /// Makes `tasks` the machine's process. The caller polls the machine from now on.
    pub(crate) fn begin_life(&self, tasks: Tasks) {
        self.process.started_at.set(Instant::now());
        *self.process.tasks.borrow_mut() = Some(tasks);
    }

    /// Makes the request to stop of the life that begins. A request that came too late for the
    /// last life must not stop this one.
    pub(crate) fn new_stop_request(&self) -> Rc<Notify> {
        let stop = Rc::new(Notify::new());
        *self.process.stop.borrow_mut() = Rc::clone(&stop);
        stop
    }

    pub(crate) fn set_memory(&self, memory: MemoryBudget) {
        *self.process.memory.borrow_mut() = Some(memory);
    }

    /// Lets the process run. The result is `None` when there is no process, and the reason for
    /// its end when it has ended by itself.
    pub(crate) fn poll(&self, cx: &mut Context<'_>) -> Poll<Option<ProcessEnd>> {
        *self.process.waker.borrow_mut() = Some(cx.waker().clone());
        let mut tasks = self.process.tasks.borrow_mut();
        let Some(running) = tasks.as_mut() else { return Poll::Ready(None) };
        if self.process.is_paused.get() {
            return Poll::Pending;
        }
        if !self.disk_faults.is_stalled.get() {
            // The set of LogActor never ends: it waits for more tasks.
            let _ = running.log.as_mut().poll(cx);
        }
        let Poll::Ready(end) = running.main.as_mut().poll(cx) else { return Poll::Pending };
        drop(tasks);
        let ended = self.take_tasks();
        drop(ended);
        Poll::Ready(Some(end))
    }

    fn take_tasks(&self) -> Option<Tasks> {
        self.process.earlier_uptime.set(self.uptime());
        self.process.tasks.borrow_mut().take()
    }

    fn wake(&self) {
        if let Some(waker) = self.process.waker.borrow_mut().take() {
            waker.wake();
        }
    }

    pub(crate) fn pause(&self, is_paused: bool) {
        self.process.is_paused.set(is_paused);
        self.wake();
    }

    pub(crate) fn is_paused(&self) -> bool {
        self.process.is_paused.get()
    }

    /// The number of the stall that the disk is in, if it is in one.
    pub(crate) fn disk_stall(&self) -> Option<u64> {
        self.disk_faults.is_stalled.get().then_some(self.disk_faults.stalls_begun.get())
    }

    pub(crate) fn stall_disk(&self, is_stalled: bool) {
        self.disk_faults.is_stalled.set(is_stalled);
        self.disk_faults
            .stalls_begun
            .set(self.disk_faults.stalls_begun.get() + u64::from(is_stalled));
        self.wake();
    }

    /// Asks the process to stop, as SIGTERM does.
    pub(crate) fn stop(&self) {
        self.process.stop.borrow().notify_one();
    }

    /// Ends the process at once. Returns the bytes of its memory that still count as used by
    /// clients when all its actors are gone; anything but 0 is a leak (docs/bugs.md B29).
    #[must_use]
    pub(crate) fn end_life(&self, crash: Option<Crash>) -> u64 {
        // The disk ends first, so that nothing that the actors do when they are dropped becomes
        // durable.
        match crash {
            Some(crash) => self.disk.crash(crash),
            None => self.disk.kill(),
        }
        drop(self.take_tasks());
        self.disk_faults.inflicted.set(None);
        self.is_asking.set(false);
        self.disk_faults.was_full.set(self.disk_faults.is_full.get());
        self.process.is_paused.set(false);
        self.disk_faults.is_stalled.set(false);
        self.wake();
        self.process.memory.take().map_or(0, |memory| memory.used_bytes())
    }

    /// Spoils the disk for the rest of this life.
    pub(crate) fn spoil_disk(&self, fault: Fault, spoil: impl FnOnce(&SimDisk)) {
        self.disk_faults.inflicted.set(Some(fault));
        spoil(&self.disk);
    }

    pub(crate) fn is_full(&self) -> bool {
        self.disk_faults.is_full.get()
    }

    /// Leaves the disk `room` more bytes, or as many as it wants with `None`.
    pub(crate) fn fill_disk(&self, room: Option<u64>) {
        self.disk_faults.is_full.set(room.is_some());
        self.disk_faults.was_full.set(self.disk_faults.was_full.get() || room.is_some());
        self.disk.set_capacity(room.map(|room| self.disk.used_bytes() + room));
    }

    /// Returns the disk to an earlier image of it. The machine is down.
    pub(crate) fn forget_back_to(&self, image: &SimDisk) {
        self.disk.return_to(image);
        self.losses.lost_in_life.set(self.lives.get());
        self.losses.durable_end.set((0, 0));
    }

    /// Removes every file, durably.
    pub(crate) fn lose_everything(&self) {
        for path in self.disk.paths() {
            self.disk.lose(&path);
        }
        // Makes the removal of the names durable.
        self.disk.crash(Crash::KeepUnsynced);
        self.losses.lost_in_life.set(self.lives.get());
        self.losses.durable_end.set((0, 0));
        self.losses.has_damaged_snapshot.set(false);
        self.memory.may_be_on_disk.set(false);
    }
}
