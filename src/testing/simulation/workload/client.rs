//! A client that wants an answer: it sends one command at a time, follows redirects, and turns to
//! another node when one does not answer. It records its commands and their answers.

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use rand::RngExt;
use rand::rngs::StdRng;
use tokio::time::{Instant, sleep, timeout};

use super::lines::{Lines, Try};
use super::mix::{HotKey, Mix, WorkloadState, introduction, lease_id};
use crate::testing::simulation::checks::violation::Check;
use crate::testing::simulation::history::{Action, Answer, Operation};
use crate::testing::simulation::network::SimHost;
use crate::testing::simulation::world::{World, host};

/// The number of the client whose network is always good.
pub(crate) const CALM: u64 = 0;

/// The number of the lease that the calm client uses.
const CALM_LEASE: usize = 0;

/// A client.
pub(crate) struct SimClient {
    world: Rc<World>,
    number: u64,
    pub(super) rng: StdRng,
    pub(super) host: SimHost,
    /// The node that gets the next command.
    pub(super) target: String,
    lines: Option<Lines>,
    pub(super) state: WorkloadState,
    hot_key: Rc<HotKey>,
    /// True when it prefixes its writes with `once`, and repeats them until they are answered.
    is_exact: bool,
    seq: u64,
    /// The newest sequence number that was executed, and its answer.
    last_executed: Option<(u64, Answer)>,
    /// The time after which it gives up a command.
    deadline: Duration,
    /// The clock of the node that got the last command, at that time, in milliseconds.
    asked_clock_ms: u64,
    /// The mode of its connections, if not the usual one.
    mode: Option<&'static str>,
}

impl SimClient {
    pub(super) fn new(world: &Rc<World>, number: u64, mut rng: StdRng) -> SimClient {
        let is_exact = rng.random_bool(0.6);
        let is_anywhere = world.plan.clients.model.are_some_anywhere && rng.random_bool(0.5);
        let deadline_ms = [800, 3_000, 10_000][rng.random_range(0..3)];
        SimClient {
            world: Rc::clone(world),
            number,
            host: world.network.host(&format!("c{number}")),
            target: host(1 + number % world.plan.nodes),
            lines: None,
            state: WorkloadState::new(&world.plan, number, Mix::All),
            hot_key: Rc::default(),
            is_exact,
            seq: 0,
            last_executed: None,
            deadline: Duration::from_millis(deadline_ms),
            asked_clock_ms: 0,
            mode: is_anywhere.then_some("any"),
            rng,
        }
    }

    /// A client whose network is always good, for the checks after the faults.
    pub(crate) fn calm(world: &Rc<World>, rng: StdRng, deadline: Duration) -> SimClient {
        let host = world.network.calm_host("calm");
        SimClient { host, is_exact: true, deadline, mode: None, ..SimClient::new(world, CALM, rng) }
    }

    /// The same client, with a hot key that it shares with others.
    pub(super) fn with_hot_key(self, hot_key: &Rc<HotKey>) -> SimClient {
        SimClient { hot_key: Rc::clone(hot_key), ..self }
    }

    /// Works until the phase is over.
    pub(super) async fn run(mut self) {
        while !self.world.phase.is_over.get() {
            let think_ms = self.rng.random_range(0..=self.world.plan.clients.think_ms_max);
            sleep(Duration::from_millis(think_ms)).await;
            if self.world.phase.is_quiesced.get() {
                continue;
            }
            let (key, action) = self.state.draw(&Rc::clone(&self.hot_key), &mut self.rng);
            self.execute(key, action).await;
            if self.rng.random_bool(0.1) {
                self.repeat(key).await;
            }
        }
    }

    /// Lets a key expire in the fault-free phase, and reads it until it has expired.
    pub(crate) async fn watch_a_key_expire(&mut self) {
        let key = self.state.expiring_key();
        let value = self.state.new_value();
        self.execute(key, Action::SetFor(1, value)).await;
        let end = Instant::now() + Duration::from_secs(3);
        while Instant::now() < end && self.execute(key, Action::Get).await != Answer::NotFound {
            sleep(Duration::from_millis(1)).await;
        }
        // This read records the leader's clock.
        self.execute(key, Action::Get).await;
    }

    /// Executes one command, and records it.
    pub(crate) async fn execute(&mut self, key: usize, action: Action) -> Answer {
        let mut command = self.state.command(key, &action);
        let is_once = self.is_exact && action.may_be_once();
        if is_once {
            self.seq += 1;
            command = self.once(self.seq, command);
        }
        command = [introduction(&action), command].concat();
        let invoked = self.world.next_time();
        let mut answer = self.answer(&command, key, &action).await;
        let returned = self.world.next_time();
        if answer == Answer::Stale {
            self.world.violate(
                Check::ExactlyOnce,
                format!("c{} is told that its newest number {} is old", self.number, self.seq),
            );
            answer = Answer::Unknown;
        }
        self.state.learn(key, &action, &answer);
        if matches!(answer, Answer::Stored(_) | Answer::Deleted | Answer::Committed(..)) {
            self.hot_key.announce(key);
        }
        let is_answered = !matches!(answer, Answer::Unknown | Answer::Refused);
        if is_once && is_answered {
            self.last_executed = Some((self.seq, answer.clone()));
        }
        let operation = Operation {
            client: self.number,
            key: self.state.subject(key, &action),
            action,
            invoked,
            returned,
            answer: answer.clone(),
            clock_ms: self.asked_clock_ms,
            latest_clock_ms: self.world.latest_clock_ms(),
        };
        self.world.record(operation);
        answer
    }

    /// Uses a sequence number again, for another command, which must never be executed. The newest
    /// number keeps its answer; every lower one is answered with `ERR_STALE`.
    async fn repeat(&mut self, key: usize) {
        let Some((last_seq, answer)) = self.last_executed.clone() else { return };
        let seq = self.rng.random_range(last_seq.saturating_sub(2).max(1)..=last_seq);
        let expected = match seq == last_seq {
            // A higher number may have been executed since.
            true if last_seq < self.seq => return,
            // The reply to a `set` does not have the words for every outcome.
            true if !is_of_single_key(&answer) => return,
            true => answer,
            false => Answer::Stale,
        };
        let action = Action::Set(self.state.new_value());
        let command = self.once(seq, self.state.command(key, &action));
        let invoked = self.world.next_time();
        let answered = self.answer(&command, key, &action).await;
        if !matches!(answered, Answer::Unknown | Answer::Refused) && answered != expected {
            self.world.violate(
                Check::ExactlyOnce,
                format!("c{} repeats {seq}: {answered:?}, and not {expected:?}", self.number),
            );
        }
        let (client, returned) = (self.number, self.world.next_time());
        let (answer, clock_ms) = (Answer::Refused, self.asked_clock_ms);
        let latest_clock_ms = self.world.latest_clock_ms();
        let key = self.state.key_name(key);
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

    /// Lets a lease expire in the fault-free phase, and reads its key until it has expired.
    pub(crate) async fn watch_a_lease_expire(&mut self) {
        let key = self.state.leased_key();
        let lease = CALM_LEASE;
        if self.execute(lease, Action::Grant(1)).await == Answer::LeaseExists {
            self.execute(lease, Action::Renew).await;
        }
        let value = self.state.new_value();
        self.execute(key, Action::SetLeased(lease_id(lease), value)).await;
        let end = Instant::now() + Duration::from_secs(6);
        while Instant::now() < end && self.execute(key, Action::Get).await != Answer::NotFound {
            sleep(Duration::from_millis(1)).await;
        }
    }

    fn once(&self, seq: u64, command: Vec<u8>) -> Vec<u8> {
        [format!("once c{} {seq} ", self.number).into_bytes(), command].concat()
    }

    async fn answer(&mut self, command: &[u8], key: usize, action: &Action) -> Answer {
        let deadline = Instant::now() + self.deadline;
        let is_read = action.is_read();
        let key = self.state.subject(key, action);
        let mut may_have_executed = false;
        let mut pause_ms = 5;
        while Instant::now() < deadline {
            let limit_ms = self.rng.random_range(100..=2_000);
            let attempt = self.attempt(command, &key, action);
            match timeout(Duration::from_millis(limit_ms), attempt).await {
                // An earlier leader may not know that the newest format is in force.
                Ok(Try::Answer(Answer::Refused)) if may_have_executed => return Answer::Unknown,
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
                    if !(self.is_exact && action.may_be_once()) {
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
        let serving = self.world.serving();
        let target = host(serving[self.rng.random_range(0..serving.len())]);
        self.turn_to(target);
    }

    async fn attempt(&mut self, command: &[u8], key: &Bytes, action: &Action) -> Try {
        // After a timeout this future is dropped with the connection, which is never used again.
        let mut lines = match self.lines.take() {
            Some(lines) => lines,
            None => match Lines::connect_in_mode(&self.host, &self.target, self.mode).await {
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

/// True for the answers that a command on a single key has.
fn is_of_single_key(answer: &Answer) -> bool {
    matches!(
        answer,
        Answer::Stored(_)
            | Answer::Deleted
            | Answer::NotFound
            | Answer::Mismatch(_)
            | Answer::Exists(_)
    )
}
