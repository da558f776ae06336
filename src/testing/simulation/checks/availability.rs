//! A client at each node that writes all the time, whichever node leads, and remembers when each
//! write was acknowledged. So a scenario knows when the cluster is available.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use crate::testing::simulation::history::{Action, Answer, Operation};
use crate::testing::simulation::workload::lines::Lines;
use crate::testing::simulation::world::{World, host};

/// The longest time that an answer may take, on slow disks as well.
const PATIENCE: Duration = Duration::from_secs(5);
/// The time between two writes.
const INTERVAL: Duration = Duration::from_millis(20);

/// The probes of all nodes.
pub(crate) struct AvailabilityProbes {
    /// For each acknowledged write the time at which it was sent, and that of its answer.
    writes: RefCell<Vec<(Instant, Instant)>>,
    is_over: Cell<bool>,
    tasks: RefCell<Vec<JoinHandle<()>>>,
}

impl AvailabilityProbes {
    pub(crate) fn start(world: &Rc<World>) -> Rc<AvailabilityProbes> {
        let probes = Rc::new(AvailabilityProbes {
            writes: RefCell::default(),
            is_over: Cell::default(),
            tasks: RefCell::default(),
        });
        for id in world.machines.keys() {
            let task = probe(Rc::clone(world), Rc::clone(&probes), *id);
            probes.tasks.borrow_mut().push(actix::spawn(task));
        }
        probes
    }

    pub(crate) async fn stop(&self) {
        self.is_over.set(true);
        for task in self.tasks.take() {
            // The panic hook reports a task that has panicked.
            let _ = task.await;
        }
    }

    /// The time at which the first write that was sent after `since` was acknowledged.
    pub(crate) fn first_since(&self, since: Instant) -> Option<Instant> {
        let writes = self.writes.borrow();
        writes.iter().find(|(sent, _)| *sent >= since).map(|(_, acknowledged)| *acknowledged)
    }

    /// The longest time between `since` and now in which no write was acknowledged.
    pub(crate) fn longest_pause_since(&self, since: Instant) -> Duration {
        let writes = self.writes.borrow();
        let later = writes.iter().map(|(_, at)| *at).filter(|at| *at >= since);
        let (mut last, mut longest) = (since, Duration::ZERO);
        for at in later.chain([Instant::now()]) {
            longest = longest.max(at - last);
            last = at;
        }
        longest
    }
}

/// A session that only reads, at one node.
pub(crate) struct LoneReader {
    answered_at: Rc<Cell<Instant>>,
    task: JoinHandle<()>,
}

impl LoneReader {
    pub(crate) fn start(world: &Rc<World>, id: u64) -> LoneReader {
        let answered_at = Rc::new(Cell::new(Instant::now()));
        let task = actix::spawn(read_alone(Rc::clone(world), id, Rc::clone(&answered_at)));
        LoneReader { answered_at, task }
    }

    /// The time since the last answer.
    pub(crate) fn silence(&self) -> Duration {
        self.answered_at.get().elapsed()
    }
}

impl Drop for LoneReader {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Reads a key that does not exist, again and again. A timeout is no answer.
async fn read_alone(world: Rc<World>, id: u64, answered_at: Rc<Cell<Instant>>) {
    let from = world.network.calm_host("reader");
    loop {
        if let Ok(mut lines) = Lines::connect(&from, &host(id)).await {
            while lines.send(b"get absent\r\n").await.is_ok()
                && let Ok(line) = lines.line().await
            {
                // A server with too many commands under way refuses a read at once.
                if line == "ERR_NOT_FOUND" || line == "ERR_BUSY" {
                    answered_at.set(Instant::now());
                }
                sleep(INTERVAL).await;
            }
        }
        sleep(INTERVAL).await;
    }
}

/// Writes to a node until the probes are stopped. Each write has its own key.
async fn probe(world: Rc<World>, probes: Rc<AvailabilityProbes>, id: u64) {
    let from = world.network.calm_host("probe");
    let mut lines = None;
    let mut number = 0;
    while !probes.is_over.get() {
        sleep(INTERVAL).await;
        if world.phase.is_quiesced.get() {
            continue;
        }
        number += 1;
        let (key, value) = (format!("p{id}-{number}"), format!("probe-{id}-{number}"));
        let (invoked, sent) = (world.next_time(), Instant::now());
        let clock_ms = world.clock_ms(&host(id));
        let set = async {
            let mut lines = match lines.take() {
                Some(lines) => lines,
                None => Lines::connect(&from, &host(id)).await?,
            };
            lines.send(format!("set {key} 0 {}\r\n{value}\r\n", value.len()).as_bytes()).await?;
            let line = lines.line().await?;
            std::io::Result::Ok((lines, line))
        };
        let answered = timeout(PATIENCE, set).await.ok().and_then(Result::ok);
        let version = answered.and_then(|(connection, line)| {
            lines = Some(connection);
            line.strip_prefix("OK ")?.parse().ok()
        });
        if version.is_some() {
            probes.writes.borrow_mut().push((sent, Instant::now()));
        }
        world.history.borrow_mut().push(Operation {
            client: 1_000 + id,
            key: key.into(),
            action: Action::Set(value.into()),
            invoked,
            returned: world.next_time(),
            answer: version.map_or(Answer::Unknown, Answer::Stored),
            clock_ms,
            latest_clock_ms: world.latest_clock_ms(),
        });
    }
}
