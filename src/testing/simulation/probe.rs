//! Somebody at each node who writes all the time, whoever leads, and knows when it
//! was acknowledged: how a scenario sees when a cluster works.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use super::client::Lines;
use super::history::{Action, Answer, Operation};
use super::world::{World, host};

/// How long an answer is waited for: slow disks are, too.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two writes.
const INTERVAL: Duration = Duration::from_millis(20);

/// See the module.
pub(super) struct Probes {
    /// When each acknowledged write was sent, and acknowledged.
    writes: RefCell<Vec<(Instant, Instant)>>,
    is_over: Cell<bool>,
    tasks: RefCell<Vec<JoinHandle<()>>>,
}

impl Probes {
    pub(super) fn start(world: &Rc<World>) -> Rc<Probes> {
        let probes = Rc::new(Probes {
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

    pub(super) async fn stop(&self) {
        self.is_over.set(true);
        for task in self.tasks.take() {
            // One that panicked is told by the hook.
            let _ = task.await;
        }
    }

    /// When the first write that was sent since was acknowledged.
    pub(super) fn first_since(&self, since: Instant) -> Option<Instant> {
        let writes = self.writes.borrow();
        writes.iter().find(|(sent, _)| *sent >= since).map(|(_, acknowledged)| *acknowledged)
    }

    /// The longest time until now in which no write was acknowledged.
    pub(super) fn longest_pause_since(&self, since: Instant) -> Duration {
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

/// Each write has a key of its own.
async fn probe(world: Rc<World>, probes: Rc<Probes>, id: u64) {
    let from = world.network.calm_host("probe");
    let mut lines = None;
    let mut number = 0;
    while !probes.is_over.get() {
        sleep(INTERVAL).await;
        if world.is_hushed.get() {
            continue;
        }
        number += 1;
        let (key, value) = (format!("p{id}-{number}"), format!("probe-{id}-{number}"));
        let (invoked, sent) = (world.moment(), Instant::now());
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
            returned: world.moment(),
            answer: version.map_or(Answer::Unknown, Answer::Stored),
            clock_ms,
            latest_clock_ms: world.latest_clock_ms(),
        });
    }
}
