//! Clients: they speak the text protocol to whichever node they can reach, and
//! write down what they did and were told.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use rand::RngExt;
use rand::rngs::StdRng;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::time::{Instant, sleep, timeout};

use super::check::Check;
use super::history::{Action, Answer, Operation, unique_value};
use super::network::SimHost;
use super::world::{World, host};
use crate::net::{Network, Stream};

/// A connection that speaks lines.
pub(super) struct Lines {
    reader: BufReader<Box<dyn tokio::io::AsyncRead + Send + Unpin>>,
    writer: Box<dyn AsyncWrite + Send + Unpin>,
}

impl Lines {
    pub(super) async fn connect(from: &SimHost, to: &str) -> io::Result<Lines> {
        let Stream { reader, writer } = from.connect(to, 9000).await?;
        Ok(Lines { reader: BufReader::new(reader), writer })
    }

    pub(super) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.writer.write_all(bytes).await
    }

    pub(super) async fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.reader.read_line(&mut line).await?;
        match line.strip_suffix("\r\n") {
            Some(line) => Ok(line.to_owned()),
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    async fn block(&mut self, bytes: usize) -> io::Result<Bytes> {
        let mut block = vec![0; bytes];
        self.reader.read_exact(&mut block).await?;
        self.line().await?;
        Ok(block.into())
    }
}

/// One try of a command.
enum Try {
    Answer(Answer),
    /// Not executed: better ask this node, or any other.
    Elsewhere(Option<String>),
    /// Executed or not.
    Lost,
}

/// A client at work.
pub(super) struct SimClient {
    world: Rc<World>,
    number: u64,
    rng: StdRng,
    host: SimHost,
    target: String,
    lines: Option<Lines>,
    /// Whether it prefixes its writes with `once`, and repeats them.
    is_exact: bool,
    seq: u64,
    writes: u64,
    /// The last version that it knows of each key.
    versions: Vec<u64>,
    deadline: Duration,
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
            is_exact,
            seq: 0,
            writes: 0,
            versions: vec![0; world.plan.keys as usize],
            deadline: Duration::from_millis(deadline_ms),
            rng,
        }
    }

    /// One whose network is always good, for the last word; it waits so long.
    pub(super) fn calm(world: &Rc<World>, rng: StdRng, deadline: Duration) -> SimClient {
        let host = world.network.calm_host("calm");
        SimClient { host, is_exact: true, deadline, ..SimClient::new(world, 0, rng) }
    }

    /// Works until the world says that it is over.
    pub(super) async fn run(mut self) {
        while !self.world.is_over.get() {
            let think_ms = self.rng.random_range(0..=self.world.plan.think_ms_max);
            sleep(Duration::from_millis(think_ms)).await;
            if self.world.is_hushed.get() {
                continue;
            }
            let key = self.rng.random_range(0..self.versions.len());
            let action = self.draw_action(key);
            self.execute(key, action).await;
        }
    }

    fn draw_action(&mut self, key: usize) -> Action {
        self.writes += 1;
        let value = unique_value(self.number, self.writes);
        match self.rng.random_range(0..100) {
            0..25 => Action::Set(value),
            25..35 => Action::Add(value),
            35..50 => Action::Cas(self.versions[key], value),
            50..58 => Action::Delete,
            _ => Action::Get,
        }
    }

    /// Carries out one command, and writes it down.
    pub(super) async fn execute(&mut self, key: usize, action: Action) -> Answer {
        let key_name = format!("k{key}");
        let command = self.command(&key_name, &action);
        let invoked = self.world.moment();
        let answer = self.answer(&command, &action).await;
        let returned = self.world.moment();
        self.versions[key] = match answer {
            Answer::Stored(version)
            | Answer::Mismatch(version)
            | Answer::Exists(version)
            | Answer::Value(version, _) => version,
            Answer::Deleted | Answer::NotFound => 0,
            Answer::Unknown | Answer::Refused => self.versions[key],
        };
        let number = self.number;
        self.world.trace.say(&format_args!("c{number} {key_name} {action:?}: {answer:?}"));
        self.world.history.borrow_mut().push(Operation {
            client: number,
            key: key_name.into(),
            action,
            invoked,
            returned,
            answer: answer.clone(),
        });
        answer
    }

    fn command(&mut self, key: &str, action: &Action) -> Vec<u8> {
        let once = match action {
            Action::Get => String::new(),
            _ if !self.is_exact => String::new(),
            _ => {
                self.seq += 1;
                format!("once c{} {} ", self.number, self.seq)
            }
        };
        let length = action.value().map_or(0, Bytes::len);
        let line = match action {
            Action::Set(_) => format!("set {key} 0 {length}"),
            Action::Add(_) => format!("add {key} 0 {length}"),
            Action::Cas(version, _) => format!("cas {key} 0 {version} {length}"),
            Action::Delete => format!("delete {key}"),
            Action::Get => format!("getm {key}"),
        };
        let mut command = format!("{once}{line}\r\n").into_bytes();
        if let Some(value) = action.value() {
            command.extend_from_slice(value);
            command.extend_from_slice(b"\r\n");
        }
        command
    }

    async fn answer(&mut self, command: &[u8], action: &Action) -> Answer {
        let deadline = Instant::now() + self.deadline;
        let is_read = *action == Action::Get;
        let mut may_have_executed = false;
        let mut pause_ms = 5;
        while Instant::now() < deadline {
            let limit_ms = self.rng.random_range(100..=2_000);
            let attempt = self.attempt(command);
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

    async fn attempt(&mut self, command: &[u8]) -> Try {
        // Dropped with this future, and so never used again after a timeout.
        let mut lines = match self.lines.take() {
            Some(lines) => lines,
            None => match Lines::connect(&self.host, &self.target).await {
                Ok(lines) => lines,
                Err(_) => return Try::Elsewhere(None),
            },
        };
        if lines.send(command).await.is_err() {
            return Try::Lost;
        }
        match read_answer(&mut lines).await {
            Ok(Ok(answer)) => {
                self.lines = Some(lines);
                answer
            }
            Ok(Err(line)) => {
                self.world.violate(
                    Check::Protocol,
                    format!("{}: an unexpected reply: {line:?}", self.target),
                );
                Try::Lost
            }
            Err(_) => Try::Lost,
        }
    }
}

async fn read_answer(lines: &mut Lines) -> io::Result<Result<Try, String>> {
    let line = lines.line().await?;
    let fields: Vec<&str> = line.split(' ').collect();
    let number = |field: &str| field.parse::<u64>().ok();
    let answer = match fields.as_slice() {
        ["OK", version] => number(version).map(Answer::Stored),
        ["DELETED"] => Some(Answer::Deleted),
        ["ERR_NOT_FOUND"] => Some(Answer::NotFound),
        ["ERR_VERSION", version] => number(version).map(Answer::Mismatch),
        ["ERR_EXISTS", version] => number(version).map(Answer::Exists),
        ["VALUE", version, "0", bytes] => match (number(version), bytes.parse()) {
            (Some(version), Ok(bytes)) => Some(Answer::Value(version, lines.block(bytes).await?)),
            _ => None,
        },
        ["ERR_REDIRECT", address] => {
            let host = address.split(':').next().map(str::to_owned);
            return Ok(Ok(Try::Elsewhere(host)));
        }
        ["ERR_NO_LEADER"] | ["ERR_BUSY"] => return Ok(Ok(Try::Elsewhere(None))),
        ["ERR_TIMEOUT"] | ["ERR_INTERNAL", ..] => return Ok(Ok(Try::Lost)),
        _ => None,
    };
    Ok(answer.map(Try::Answer).ok_or(line))
}
