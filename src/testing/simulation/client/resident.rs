//! Clients that live beside a node: nothing cuts their line to it, and they never
//! turn to another. A leader that nobody else can reach still has them, and when a
//! process wakes up that stood still, it finds what they have sent meanwhile.
//!
//! They pipeline: commands leave whether or not the ones before are answered, several
//! in one write; the replies have to come in the order of the commands.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use futures_util::future::select;
use rand::RngExt;
use rand::rngs::StdRng;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, sleep, timeout};

use super::super::check::Check;
use super::super::history::{Action, Answer, Operation};
use super::super::network::SimHost;
use super::super::world::{World, host};
use super::lines::{LineReader, Lines, Try};
use super::mind::{Mind, News, Taste};
use super::record;

/// Commands that are sent before the first of them is answered, at the most: enough
/// for a process that stands still for seconds to find new ones when it wakes up.
const OUTSTANDING_MAX: usize = 2_000;
/// How long a node may say nothing: longer than a command may take and a process
/// stands still.
const PATIENCE: Duration = Duration::from_secs(9);
/// Between two commands to a node that does not lead, in milliseconds at the most.
const IDLE_MS_MAX: u64 = 60;

/// How often one hears of a write, and looks at once.
const HEARS: f64 = 0.2;

/// See the module.
pub(super) struct Resident {
    world: Rc<World>,
    number: u64,
    node: String,
    host: SimHost,
    rng: StdRng,
    mind: Mind,
    news: Rc<News>,
    burst_max: usize,
    is_led_here: bool,
}

/// A command that was sent.
struct Pending {
    key: usize,
    action: Action,
    invoked: u64,
    clock_ms: u64,
}

/// What has been sent and not been answered, oldest first.
type Queue = RefCell<VecDeque<Pending>>;

impl Resident {
    pub(super) fn new(
        world: &Rc<World>,
        number: u64,
        node: u64,
        news: Rc<News>,
        mut rng: StdRng,
    ) -> Resident {
        let taste = [Taste::All, Taste::Reads, Taste::Reads, Taste::Writes];
        let taste = taste[rng.random_range(0..taste.len())];
        Resident {
            world: Rc::clone(world),
            number,
            node: host(node),
            host: world.network.calm_host(&format!("r{number}")),
            mind: Mind::new(&world.plan, number, taste),
            news,
            burst_max: [1, 2, 6][rng.random_range(0..3)],
            is_led_here: false,
            rng,
        }
    }

    pub(super) async fn run(self) {
        let world = Rc::clone(&self.world);
        let this = RefCell::new(self);
        while !world.is_over.get() {
            let (from, to) = (this.borrow().host.clone(), this.borrow().node.clone());
            // A machine without power does not even refuse.
            let dialled = timeout(Duration::from_secs(1), Lines::connect(&from, &to)).await;
            if let Ok(Ok(Lines { mut reader, mut writer })) = dialled {
                let queue = Queue::default();
                {
                    let sending = pin!(send(&this, &queue, &mut writer));
                    let hearing = pin!(hear(&this, &queue, &mut reader));
                    select(sending, hearing).await;
                }
                for pending in queue.into_inner() {
                    this.borrow_mut().finish(pending, Answer::Unknown);
                }
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Some commands, as one piece of bytes.
    fn draw_burst(&mut self, queue: &Queue) -> Vec<u8> {
        let mut bytes = Vec::new();
        for _ in 0..self.rng.random_range(1..=self.burst_max) {
            let (key, action) = self.mind.draw(&self.news, &mut self.rng);
            bytes.extend(self.mind.command(key, &action));
            let (invoked, clock_ms) = (self.world.moment(), self.world.clock_ms(&self.node));
            queue.borrow_mut().push_back(Pending { key, action, invoked, clock_ms });
        }
        bytes
    }

    fn pause_ms(&mut self) -> u64 {
        let think_ms_max = self.world.plan.think_ms_max;
        self.rng.random_range(0..=if self.is_led_here { think_ms_max } else { IDLE_MS_MAX })
    }

    fn finish(&mut self, pending: Pending, answer: Answer) {
        let Pending { key, action, invoked, clock_ms } = pending;
        self.mind.learn(key, &answer);
        if matches!(answer, Answer::Stored(_) | Answer::Deleted) {
            self.news.tell(key);
        }
        let (client, returned) = (self.number, self.world.moment());
        let latest_clock_ms = self.world.latest_clock_ms();
        let key = self.mind.subject(key, &action);
        record(
            &self.world,
            Operation { client, key, action, invoked, returned, answer, clock_ms, latest_clock_ms },
        );
    }

    fn complain(&self, what: &str) {
        self.world.violate(Check::Protocol, format!("{}: {what}", self.node));
    }
}

/// Sends until it is over and all is answered.
async fn send(
    this: &RefCell<Resident>,
    queue: &Queue,
    writer: &mut (dyn AsyncWrite + Send + Unpin),
) -> io::Result<()> {
    let (world, news) = (Rc::clone(&this.borrow().world), Rc::clone(&this.borrow().news));
    while !world.is_over.get() {
        // In peace what is written has to come through in time, behind all that waits.
        let outstanding_max = if world.is_peace.get() { 1 } else { OUTSTANDING_MAX };
        if queue.borrow().len() < outstanding_max && !world.is_hushed.get() {
            let burst = this.borrow_mut().draw_burst(queue);
            writer.write_all(&burst).await?;
        }
        let pause = Duration::from_millis(this.borrow_mut().pause_ms());
        if this.borrow_mut().rng.random_bool(HEARS) {
            select(pin!(sleep(pause)), pin!(news.told.notified())).await;
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

/// Takes the replies, as long as they come.
async fn hear(this: &RefCell<Resident>, queue: &Queue, reader: &mut LineReader) -> io::Result<()> {
    loop {
        let line = match timeout(PATIENCE, reader.line()).await {
            Ok(line) => line?,
            Err(_) if queue.borrow().is_empty() => continue,
            Err(_) => return Ok(()),
        };
        let Some(pending) = queue.borrow_mut().pop_front() else {
            this.borrow().complain(&format!("a reply that nobody waits for: {line:?}"));
            return Ok(());
        };
        let key = this.borrow().mind.key_name(pending.key);
        let reply = reader.reply(line, &key, &pending.action).await;
        let answer = match &reply {
            Ok(Ok(Try::Answer(Answer::Stale))) | Ok(Err(_)) => {
                let action = &pending.action;
                this.borrow().complain(&format!("an unexpected reply to {action:?}"));
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
