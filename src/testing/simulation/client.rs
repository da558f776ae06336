//! Clients: they speak the text protocol to the nodes, and write down what they did
//! and were told.
//!
//! [`SimClient`] wants an answer: it asks one thing at a time, follows redirects and
//! turns to another node when one does not answer. A [`Resident`](resident) lives
//! beside a node and stays with it, whatever becomes of it. Those of [`slow`] behave
//! badly.

mod lines;
mod mind;
mod resident;
mod slow;

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use super::check::Check;
use super::history::{Action, Answer, Operation};
use super::network::SimHost;
use super::world::{World, host};
pub(super) use lines::Lines;
use lines::Try;
use mind::{Mind, News, Taste};
use resident::Resident;

/// The number of the one whose network is always good.
pub(super) const CALM: u64 = 0;
/// The first number of those who live beside a node.
const FIRST_RESIDENT: u64 = 100;
/// The number of the one who reads slowly.
const SLOW: u64 = 200;

/// Sets all clients to work, until the world says that it is over.
pub(super) fn start_all(world: &Rc<World>, mut rng: StdRng) -> Vec<JoinHandle<()>> {
    let news = Rc::new(News::default());
    let mut next_rng = || StdRng::seed_from_u64(rng.random());
    let mut clients = Vec::new();
    for number in 1..=world.plan.clients {
        let news = Rc::clone(&news);
        let client = SimClient { news, ..SimClient::new(world, number, next_rng()) };
        clients.push(actix::spawn(client.run()));
    }
    for number in 0..world.plan.residents {
        let node = 1 + number % world.plan.nodes;
        let number = FIRST_RESIDENT + number;
        let resident = Resident::new(world, number, node, Rc::clone(&news), next_rng());
        clients.push(actix::spawn(resident.run()));
    }
    if world.plan.has_slow_clients {
        clients.push(actix::spawn(slow::read_slowly(Rc::clone(world), SLOW, next_rng())));
        clients.push(actix::spawn(slow::send_by_halves(Rc::clone(world), SLOW + 1, next_rng())));
    }
    clients
}

/// Writes down what came of a command.
fn record(world: &World, operation: Operation) {
    let Operation { client, key, action, answer, .. } = &operation;
    let key = String::from_utf8_lossy(key);
    match answer {
        // Nobody can say anything of a read that was not answered.
        Answer::Unknown | Answer::Refused if action.is_read() => return,
        _ => world.trace.say(&format_args!("c{client} {key} {action:?}: {answer:?}")),
    }
    world.history.borrow_mut().push(operation);
}

/// A write whose answer nobody waits for.
pub(super) fn record_unknown(world: &World, key: &'static str, action: Action) {
    let (client, invoked, latest_clock_ms) = (CALM, world.moment(), world.latest_clock_ms());
    let (key, answer, returned) = (Bytes::from_static(key.as_bytes()), Answer::Unknown, invoked);
    let clock_ms = latest_clock_ms;
    record(
        world,
        Operation { client, key, action, invoked, returned, answer, clock_ms, latest_clock_ms },
    );
}

/// A client at work.
pub(super) struct SimClient {
    world: Rc<World>,
    number: u64,
    rng: StdRng,
    host: SimHost,
    target: String,
    lines: Option<Lines>,
    mind: Mind,
    news: Rc<News>,
    /// Whether it prefixes its writes with `once`, and repeats them.
    is_exact: bool,
    seq: u64,
    /// The newest number that was executed, and its answer.
    last_executed: Option<(u64, Answer)>,
    deadline: Duration,
    /// The clock of the node that was asked last, at that time.
    asked_clock_ms: u64,
}

impl SimClient {
    pub(super) fn new(world: &Rc<World>, number: u64, mut rng: StdRng) -> SimClient {
        let is_exact = rng.random_bool(0.6);
        let deadline_ms = [800, 3_000, 10_000][rng.random_range(0..3)];
        SimClient {
            world: Rc::clone(world),
            number,
            host: world.network.host(&format!("c{number}")),
            target: host(1 + number % world.plan.nodes),
            lines: None,
            mind: Mind::new(&world.plan, number, Taste::All),
            news: Rc::default(),
            is_exact,
            seq: 0,
            last_executed: None,
            deadline: Duration::from_millis(deadline_ms),
            asked_clock_ms: 0,
            rng,
        }
    }

    /// One whose network is always good, for the last word; it waits so long.
    pub(super) fn calm(world: &Rc<World>, rng: StdRng, deadline: Duration) -> SimClient {
        let host = world.network.calm_host("calm");
        SimClient { host, is_exact: true, deadline, ..SimClient::new(world, CALM, rng) }
    }

    /// Works until the world says that it is over.
    async fn run(mut self) {
        while !self.world.is_over.get() {
            let think_ms = self.rng.random_range(0..=self.world.plan.think_ms_max);
            sleep(Duration::from_millis(think_ms)).await;
            if self.world.is_hushed.get() {
                continue;
            }
            let (key, action) = self.mind.draw(&Rc::clone(&self.news), &mut self.rng);
            self.execute(key, action).await;
            if self.rng.random_bool(0.1) {
                self.repeat(key).await;
            }
        }
    }

    /// Lets a key expire in peace, and looks for it all the time.
    pub(super) async fn watch_a_key_expire(&mut self) {
        let key = self.mind.expiring_key();
        let value = self.mind.new_value();
        self.execute(key, Action::SetFor(1, value)).await;
        let end = Instant::now() + Duration::from_secs(3);
        while Instant::now() < end && self.execute(key, Action::Get).await != Answer::NotFound {
            sleep(Duration::from_millis(1)).await;
        }
        // Writes down what the leader's clock is now.
        self.execute(key, Action::Get).await;
    }

    /// Carries out one command, and writes it down.
    pub(super) async fn execute(&mut self, key: usize, action: Action) -> Answer {
        let mut command = self.mind.command(key, &action);
        if self.is_exact && !action.is_read() {
            self.seq += 1;
            command = self.once(self.seq, command);
        }
        let invoked = self.world.moment();
        let mut answer = self.answer(&command, key, &action).await;
        let returned = self.world.moment();
        if answer == Answer::Stale {
            self.world.violate(
                Check::ExactlyOnce,
                format!("c{} is told that its newest number {} is old", self.number, self.seq),
            );
            answer = Answer::Unknown;
        }
        self.mind.learn(key, &answer);
        if matches!(answer, Answer::Stored(_) | Answer::Deleted) {
            self.news.tell(key);
        }
        let is_answered = !matches!(answer, Answer::Unknown | Answer::Refused);
        if self.is_exact && !action.is_read() && is_answered {
            self.last_executed = Some((self.seq, answer.clone()));
        }
        let operation = Operation {
            client: self.number,
            key: self.mind.subject(key, &action),
            action,
            invoked,
            returned,
            answer: answer.clone(),
            clock_ms: self.asked_clock_ms,
            latest_clock_ms: self.world.latest_clock_ms(),
        };
        record(&self.world, operation);
        answer
    }

    /// Uses a number again that it has used, for another command: that one is never
    /// executed. The newest has its answer for ever, every lower one is old.
    async fn repeat(&mut self, key: usize) {
        let Some((last_seq, answer)) = self.last_executed.clone() else { return };
        let seq = self.rng.random_range(last_seq.saturating_sub(2).max(1)..=last_seq);
        let expected = match seq == last_seq {
            // A higher one may have been executed since.
            true if last_seq < self.seq => return,
            true => answer,
            false => Answer::Stale,
        };
        let action = Action::Set(self.mind.new_value());
        let command = self.once(seq, self.mind.command(key, &action));
        let invoked = self.world.moment();
        let told = self.answer(&command, key, &action).await;
        if !matches!(told, Answer::Unknown | Answer::Refused) && told != expected {
            self.world.violate(
                Check::ExactlyOnce,
                format!("c{} repeats {seq}: {told:?}, and not {expected:?}", self.number),
            );
        }
        let (client, returned) = (self.number, self.world.moment());
        let (answer, clock_ms) = (Answer::Refused, self.asked_clock_ms);
        let latest_clock_ms = self.world.latest_clock_ms();
        let key = self.mind.key_name(key);
        record(
            &self.world,
            Operation { client, key, action, invoked, returned, answer, clock_ms, latest_clock_ms },
        );
    }

    fn once(&self, seq: u64, command: Vec<u8>) -> Vec<u8> {
        [format!("once c{} {seq} ", self.number).into_bytes(), command].concat()
    }

    async fn answer(&mut self, command: &[u8], key: usize, action: &Action) -> Answer {
        let deadline = Instant::now() + self.deadline;
        let is_read = action.is_read();
        let key = self.mind.key_name(key);
        let mut may_have_executed = false;
        let mut pause_ms = 5;
        while Instant::now() < deadline {
            let limit_ms = self.rng.random_range(100..=2_000);
            let attempt = self.attempt(command, &key, action);
            match timeout(Duration::from_millis(limit_ms), attempt).await {
                Ok(Try::Answer(answer)) => return answer,
                Ok(Try::Elsewhere(Some(target))) if target != self.target => {
                    self.turn_to(target);
                    continue;
                }
                Ok(Try::Elsewhere(_)) => self.turn_to_any(),
                Ok(Try::Lost) | Err(_) if is_read => self.turn_to_any(),
                Ok(Try::Lost) | Err(_) => {
                    may_have_executed = true;
                    self.turn_to_any();
                    if !self.is_exact {
                        break;
                    }
                }
            }
            let pause = Duration::from_millis(self.rng.random_range(1..=pause_ms));
            sleep(pause).await;
            pause_ms = (pause_ms * 2).min(200);
        }
        if may_have_executed || is_read { Answer::Unknown } else { Answer::Refused }
    }

    fn turn_to(&mut self, target: String) {
        self.lines = None;
        self.target = target;
    }

    fn turn_to_any(&mut self) {
        let target = host(self.rng.random_range(1..=self.world.plan.nodes));
        self.turn_to(target);
    }

    async fn attempt(&mut self, command: &[u8], key: &Bytes, action: &Action) -> Try {
        // Dropped with this future, and so never used again after a timeout.
        let mut lines = match self.lines.take() {
            Some(lines) => lines,
            None => match Lines::connect(&self.host, &self.target).await {
                Ok(lines) => lines,
                Err(_) => return Try::Elsewhere(None),
            },
        };
        self.asked_clock_ms = self.world.clock_ms(&self.target);
        if lines.send(command).await.is_err() {
            return Try::Lost;
        }
        let Ok(line) = lines.line().await else { return Try::Lost };
        match lines.reader.reply(line, key, action).await {
            Ok(Ok(answer)) => {
                self.lines = Some(lines);
                answer
            }
            Ok(Err(line)) => {
                self.world.violate(
                    Check::Protocol,
                    format!("{}: an unexpected reply to {action:?}: {line:?}", self.target),
                );
                Try::Lost
            }
            Err(_) => Try::Lost,
        }
    }
}
