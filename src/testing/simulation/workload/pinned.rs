//! Clients that are pinned to a node: their line is never cut, and they never turn to another node.
//! A leader that no other node reaches still has these clients, and a process that was paused finds
//! the commands that they have sent meanwhile.
//!
//! They pipeline: they send commands, several in one write, before earlier ones are answered. The
//! replies have to come in the order of the commands, and a read has to see the writes before it,
//! and none after it. The history cannot show that: its commands overlap.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::select;
use rand::RngExt;
use rand::rngs::StdRng;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, sleep, timeout};

use super::lines::{LineReader, Lines, Try};
use super::mix::{HotKey, Mix, WorkloadState, introduction, shown_versions};
use crate::testing::simulation::checks::violation::Check;
use crate::testing::simulation::history::{Action, Answer, Operation};
use crate::testing::simulation::network::SimHost;
use crate::testing::simulation::world::{World, host};

/// Maximum number of commands without an answer: enough for a process that is paused for seconds
/// to find new ones when it goes on.
const OUTSTANDING_MAX: usize = 2_000;
/// The time for which a node may be silent: longer than a command may take and a process is
/// paused.
const PATIENCE: Duration = Duration::from_secs(9);
/// The longest pause between two commands to a node that does not lead, in milliseconds.
const IDLE_MS_MAX: u64 = 60;

/// The probability that a client sends its next command as soon as the hot key changes.
const FOLLOWS_HOT_KEY: f64 = 0.2;

/// A pinned client.
pub(super) struct PinnedClient {
    world: Rc<World>,
    number: u64,
    node: String,
    host: SimHost,
    rng: StdRng,
    state: WorkloadState,
    hot_key: Rc<HotKey>,
    /// Maximum number of commands in one write.
    burst_max: usize,
    /// The latest version of each key that an answer has shown.
    seen: BTreeMap<Bytes, u64>,
    /// True when the node has executed the last command, so that it probably leads.
    is_led_here: bool,
    /// The mode of its connections, if not the usual one.
    mode: Option<&'static str>,
}

/// A command that was sent and is not answered.
struct Pending {
    key: usize,
    action: Action,
    invoked: u64,
    clock_ms: u64,
}

/// The commands that are not answered, oldest first.
type Queue = RefCell<VecDeque<Pending>>;

impl PinnedClient {
    pub(super) fn new(
        world: &Rc<World>,
        number: u64,
        node: u64,
        hot_key: Rc<HotKey>,
        mut rng: StdRng,
    ) -> PinnedClient {
        let mixes = [Mix::All, Mix::Reads, Mix::Reads, Mix::Writes];
        let is_anywhere = world.plan.clients.model.are_some_anywhere && rng.random_bool(0.4);
        let mix = mixes[rng.random_range(0..mixes.len())];
        PinnedClient {
            world: Rc::clone(world),
            number,
            node: host(node),
            host: world.network.calm_host(&format!("r{number}")),
            state: WorkloadState::new(&world.plan, number, mix),
            hot_key,
            burst_max: [1, 2, 6][rng.random_range(0..3)],
            seen: BTreeMap::new(),
            is_led_here: false,
            mode: is_anywhere.then_some("any"),
            rng,
        }
    }

    pub(super) async fn run(self) {
        let world = Rc::clone(&self.world);
        let this = RefCell::new(self);
        while !world.phase.is_over.get() {
            let (from, to) = (this.borrow().host.clone(), this.borrow().node.clone());
            // A machine without power does not even refuse a connection.
            let mode = this.borrow().mode;
            let dialled = Lines::connect_in_mode(&from, &to, mode);
            let dialled = timeout(Duration::from_secs(1), dialled).await;
            if let Ok(Ok(Lines { mut reader, mut writer })) = dialled {
                let queue = Queue::default();
                {
                    let sending = pin!(send(&this, &queue, &mut writer));
                    let receiving = pin!(receive(&this, &queue, &mut reader));
                    select(sending, receiving).await;
                }
                for pending in queue.into_inner() {
                    this.borrow_mut().finish(pending, Answer::Unknown);
                }
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Draws some commands. Returns their bytes.
    fn draw_burst(&mut self, queue: &Queue) -> Vec<u8> {
        let mut bytes = Vec::new();
        for _ in 0..self.rng.random_range(1..=self.burst_max) {
            let (key, action) = self.state.draw(&self.hot_key, &mut self.rng);
            bytes.extend(introduction(&action));
            bytes.extend(self.state.command(key, &action));
            let (invoked, clock_ms) = (self.world.next_time(), self.world.clock_ms(&self.node));
            queue.borrow_mut().push_back(Pending { key, action, invoked, clock_ms });
        }
        bytes
    }

    fn pause_ms(&mut self) -> u64 {
        let think_ms_max = self.world.plan.clients.think_ms_max;
        self.rng.random_range(0..=if self.is_led_here { think_ms_max } else { IDLE_MS_MAX })
    }

    fn finish(&mut self, pending: Pending, answer: Answer) {
        let Pending { key, action, invoked, clock_ms } = pending;
        self.state.learn(key, &action, &answer);
        if matches!(answer, Answer::Stored(_) | Answer::Deleted | Answer::Committed(..)) {
            self.hot_key.announce(key);
        }
        let (client, returned) = (self.number, self.world.next_time());
        let latest_clock_ms = self.world.latest_clock_ms();
        let key = self.state.subject(key, &action);
        self.check_order(&key, &action, &answer);
        self.world.record(Operation {
            client,
            key,
            action,
            invoked,
            returned,
            answer,
            clock_ms,
            latest_clock_ms,
        });
    }

    /// Checks that a key's version does not fall from answer to answer, and that a write makes a
    /// version that no answer before it has shown.
    fn check_order(&mut self, key: &Bytes, action: &Action, answer: &Answer) {
        for (key, version) in shown_versions(key, action, answer) {
            let is_new = matches!(answer, Answer::Stored(_));
            if version == 0 {
                continue;
            }
            let seen = self.seen.insert(key.clone(), version).unwrap_or_default();
            if version < seen || is_new && version == seen {
                let what = format!("{answer:?} of {key:?} comes after version {seen}");
                self.world.violate(Check::SessionOrder, format!("{}: {what}", self.node));
            }
        }
    }

    fn violate(&self, what: &str) {
        self.world.violate(Check::Protocol, format!("{}: {what}", self.node));
    }
}

/// Sends commands until the phase is over, and waits until all of them are answered.
async fn send(
    this: &RefCell<PinnedClient>,
    queue: &Queue,
    writer: &mut (dyn AsyncWrite + Send + Unpin),
) -> io::Result<()> {
    let (world, hot_key) = (Rc::clone(&this.borrow().world), Rc::clone(&this.borrow().hot_key));
    while !world.phase.is_over.get() {
        // In the fault-free phase a write has to succeed in time, after all that wait before it.
        let outstanding_max = if world.phase.is_fault_free.get() { 1 } else { OUTSTANDING_MAX };
        if queue.borrow().len() < outstanding_max && !world.phase.is_quiesced.get() {
            let burst = this.borrow_mut().draw_burst(queue);
            writer.write_all(&burst).await?;
        }
        let pause = Duration::from_millis(this.borrow_mut().pause_ms());
        if this.borrow_mut().rng.random_bool(FOLLOWS_HOT_KEY) {
            select(pin!(sleep(pause)), pin!(hot_key.announced.notified())).await;
        } else {
            sleep(pause).await;
        }
    }
    let end = Instant::now() + PATIENCE;
    while !queue.borrow().is_empty() && Instant::now() < end {
        sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

/// Receives replies for as long as they come.
async fn receive(
    this: &RefCell<PinnedClient>,
    queue: &Queue,
    reader: &mut LineReader,
) -> io::Result<()> {
    loop {
        let line = match timeout(PATIENCE, reader.line()).await {
            Ok(line) => line?,
            Err(_) if queue.borrow().is_empty() => continue,
            Err(_) => return Ok(()),
        };
        // It stays in the queue until its reply is whole: this task may end in between.
        let first = queue.borrow().front().map(|pending| (pending.key, pending.action.clone()));
        let Some((key, action)) = first else {
            this.borrow().violate(&format!("a reply that nobody waits for: {line:?}"));
            return Ok(());
        };
        let key = this.borrow().state.subject(key, &action);
        let reply = reader.reply(line, &key, &action).await;
        let Some(pending) = queue.borrow_mut().pop_front() else { return Ok(()) };
        let answer = match &reply {
            Ok(Ok(Try::Answer(Answer::Stale)) | Err(_)) => {
                let line = reply.as_ref().ok().and_then(|reply| reply.as_ref().err());
                this.borrow().violate(&format!("an unexpected reply: {line:?} to {action:?}"));
                Answer::Unknown
            }
            Ok(Ok(Try::Answer(answer))) => answer.clone(),
            Ok(Ok(Try::Elsewhere(_))) => Answer::Refused,
            Ok(Ok(Try::Lost)) | Err(_) => Answer::Unknown,
        };
        this.borrow_mut().is_led_here = answer != Answer::Refused;
        this.borrow_mut().finish(pending, answer);
        if !matches!(reply, Ok(Ok(_))) {
            return Ok(());
        }
    }
}
