//! Clients that load a cluster while a drill disturbs it, and write down each of their commands
//! with its times and its answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{JoinHandle, sleep};
use std::time::{Duration, Instant};

use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::PATIENCE;
use super::bare::BareClient;
use super::failure::Failure;
use super::process::block_on;
use crate::client::{Client, Error, Options};
use crate::testing::simulation::{Action, Answer, Operation};

/// Number of commands on a key. Then the next key takes its place: the search for an order of all
/// commands on a key is short.
const COMMANDS_A_KEY: u64 = 60;
/// The pause of a client between two commands.
const PAUSE: Duration = Duration::from_millis(2);
/// The prefix of the keys that are added once, one after the other.
pub const LEDGER: &str = "ledger";

/// The clients of a load, and what they do.
#[derive(Clone, Debug)]
pub struct LoadPlan {
    /// The addresses of the servers that each client begins with.
    pub servers: Vec<String>,
    /// Number of clients that add one key after the other, each with `once`.
    pub ledger_clients: u64,
    /// Number of clients that send random commands by the client library, each write with `once`.
    pub once_clients: u64,
    /// Number of clients that send random commands as text, without `once`.
    pub bare_clients: u64,
    /// Number of keys of random commands that are in use at a time.
    pub keys: u64,
    /// The approximate size of the values in bytes.
    pub value_bytes: usize,
    /// The time that the client library has for a command, over all of its tries.
    pub deadline: Duration,
}

/// The parts that all clients share.
#[derive(Clone)]
struct Shared {
    plan: LoadPlan,
    began: Instant,
    stop: Arc<AtomicBool>,
    /// The next command on the keys in use.
    ticket: Arc<AtomicU64>,
    /// Number of acknowledged writes.
    acknowledged: Arc<AtomicU64>,
}

impl Shared {
    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).expect("a run lasts less than centuries")
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }

    /// The key of the next command.
    fn key(&self) -> Bytes {
        let ticket = self.ticket.fetch_add(1, Ordering::SeqCst);
        let keys = self.plan.keys;
        let generation = ticket / (keys * COMMANDS_A_KEY);
        format!("key{:06}", generation * keys + ticket % keys).into()
    }

    /// A value that no other command of the history writes.
    fn value(&self, client: u64, number: u64) -> Bytes {
        let mut value = format!("{client}-{number}-").into_bytes();
        value.resize(value.len().max(self.plan.value_bytes), b'.');
        value.into()
    }
}

/// The clients that load a cluster.
pub struct Load {
    shared: Shared,
    threads: Vec<JoinHandle<Result<Vec<Operation>, Failure>>>,
}

impl Load {
    /// Starts the clients.
    pub fn start(plan: LoadPlan) -> Load {
        let first_once = plan.ledger_clients;
        let first_bare = first_once + plan.once_clients;
        let clients = first_bare + plan.bare_clients;
        let shared = Shared {
            plan,
            began: Instant::now(),
            stop: Arc::default(),
            ticket: Arc::default(),
            acknowledged: Arc::default(),
        };
        let mut threads = Vec::new();
        for client in 0..clients {
            let shared = shared.clone();
            threads.push(std::thread::spawn(move || match client {
                _ if client < first_once => block_on(keep_ledger(shared, client)),
                _ if client < first_bare => block_on(use_library(shared, client)),
                _ => use_text(&shared, client),
            }));
        }
        Load { shared, threads }
    }

    /// The time since the beginning, on the clock of the history.
    pub fn now(&self) -> u64 {
        self.shared.now()
    }

    /// Number of acknowledged writes so far.
    pub fn acknowledged(&self) -> u64 {
        self.shared.acknowledged.load(Ordering::SeqCst)
    }

    /// Lets the clients go on for `time`, and until `count` more writes are acknowledged.
    ///
    /// # Errors
    /// When a client has failed, and when the writes are not acknowledged within [`PATIENCE`].
    pub fn go_on(&self, time: Duration, count: u64) -> Result<(), Failure> {
        let wanted = self.acknowledged() + count;
        sleep(time);
        let deadline = Instant::now() + PATIENCE;
        while self.acknowledged() < wanted {
            if self.threads.iter().any(JoinHandle::is_finished) {
                return Err(Failure::new("a client has ended early"));
            }
            if Instant::now() >= deadline {
                let patience = PATIENCE.as_secs();
                let reason = format!("{count} more writes were not acknowledged in {patience} s");
                return Err(Failure::new(reason));
            }
            sleep(PAUSE);
        }
        Ok(())
    }

    /// Stops the clients; returns all their commands.
    ///
    /// # Errors
    /// When a client has failed.
    pub fn stop(self) -> Result<Vec<Operation>, Failure> {
        self.shared.stop.store(true, Ordering::SeqCst);
        let mut history = Vec::new();
        for thread in self.threads {
            let operations = thread.join();
            history.extend(operations.map_err(|_| Failure::new("a client panicked"))??);
        }
        Ok(history)
    }
}

/// A client's notes: the commands and their answers.
struct Notes {
    client: u64,
    shared: Shared,
    operations: Vec<Operation>,
}

impl Notes {
    fn new(client: u64, shared: Shared) -> Notes {
        Notes { client, shared, operations: Vec::new() }
    }

    fn add(&mut self, key: Bytes, action: Action, invoked: u64, answer: Answer) {
        if matches!(answer, Answer::Stored(_) | Answer::Deleted) {
            self.shared.acknowledged.fetch_add(1, Ordering::SeqCst);
        }
        self.operations.push(Operation {
            client: self.client,
            key,
            action,
            invoked,
            returned: self.shared.now(),
            answer,
            clock_ms: 0,
            latest_clock_ms: 0,
        });
    }
}

/// A command that is drawn at random. `version` is the version of the key that was seen last.
fn draw(rng: &mut StdRng, value: Bytes, version: u64) -> Action {
    match rng.random_range(0..10) {
        0..=3 => Action::Set(value),
        4 => Action::Add(value),
        5..=7 => Action::Cas(version, value),
        8 => Action::Delete,
        _ => Action::Get,
    }
}

/// The version of the key after an answer, for the next `cas`.
fn version_after(answer: &Answer) -> Option<u64> {
    match answer {
        Answer::Stored(version)
        | Answer::Mismatch(version)
        | Answer::Exists(version)
        | Answer::Value(version, _) => Some(*version),
        Answer::Deleted | Answer::NotFound => Some(0),
        _ => None,
    }
}

/// Adds one key after the other, each once. If a retry were executed twice, `add` would find the
/// key there.
async fn keep_ledger(shared: Shared, number: u64) -> Result<Vec<Operation>, Failure> {
    let mut client = connect(&shared).await?;
    let mut notes = Notes::new(number, shared.clone());
    for write in 0.. {
        if shared.is_stopped() {
            break;
        }
        let key = Bytes::from(format!("{LEDGER}{number}-{write:08}"));
        let action = Action::Add(shared.value(number, write));
        let invoked = shared.now();
        let answer = ask(&mut client, &key, &action).await?;
        notes.add(key, action, invoked, answer);
        tokio::time::sleep(PAUSE).await;
    }
    // A name that is not forgotten now is forgotten after an hour.
    let _ = client.close().await;
    Ok(notes.operations)
}

/// Sends commands by the client library, which sends each write with `once`.
async fn use_library(shared: Shared, number: u64) -> Result<Vec<Operation>, Failure> {
    let mut client = connect(&shared).await?;
    let mut notes = Notes::new(number, shared.clone());
    let mut rng = StdRng::seed_from_u64(number);
    for write in 0.. {
        if shared.is_stopped() {
            break;
        }
        let key = shared.key();
        let mut version = 0;
        // The first command looks the version up that the second one may expect.
        for step in 0..2 {
            let action = match step {
                0 => Action::Get,
                _ => draw(&mut rng, shared.value(number, write), version),
            };
            let invoked = shared.now();
            let answer = ask(&mut client, &key, &action).await?;
            version = version_after(&answer).unwrap_or(version);
            notes.add(key.clone(), action, invoked, answer);
        }
        tokio::time::sleep(PAUSE).await;
    }
    let _ = client.close().await;
    Ok(notes.operations)
}

/// Sends commands over plain connections, without `once`: a write without an answer may have been
/// executed or not.
fn use_text(shared: &Shared, number: u64) -> Result<Vec<Operation>, Failure> {
    let mut client = BareClient::new(shared.plan.servers.clone(), number);
    let mut notes = Notes::new(number, shared.clone());
    let mut rng = StdRng::seed_from_u64(number);
    let mut version = 0;
    for write in 0.. {
        if shared.is_stopped() {
            break;
        }
        let key = shared.key();
        let action = draw(&mut rng, shared.value(number, write), version);
        let invoked = shared.now();
        let answer = client.ask(&key, &action)?;
        version = version_after(&answer).unwrap_or(version);
        notes.add(key, action, invoked, answer);
        sleep(PAUSE);
    }
    Ok(notes.operations)
}

async fn connect(shared: &Shared) -> Result<Client, Failure> {
    let options = Options { deadline: shared.plan.deadline, ..Options::default() };
    let client = Client::connect(shared.plan.servers.clone(), options).await;
    client.map_err(|error| Failure::new(error.to_string()))
}

async fn ask(client: &mut Client, key: &Bytes, action: &Action) -> Result<Answer, Failure> {
    let answer = match action {
        Action::Set(value) => client.set(key, 0, value).await.map(Answer::Stored),
        Action::Add(value) => client.add(key, 0, value).await.map(Answer::Stored),
        Action::Cas(version, value) => {
            client.cas(key, 0, *version, value).await.map(Answer::Stored)
        }
        Action::Delete => client.delete(key).await.map(|()| Answer::Deleted),
        _ => {
            client.getm(key).await.map(|item| Answer::Value(item.version, Bytes::from(item.value)))
        }
    };
    Ok(match answer {
        Ok(answer) => answer,
        Err(Error::NotFound) => Answer::NotFound,
        Err(Error::VersionMismatch { version }) => Answer::Mismatch(version),
        Err(Error::Exists { version }) => Answer::Exists(version),
        Err(Error::Unknown { .. }) => Answer::Unknown,
        Err(Error::Unavailable { .. }) => Answer::Refused,
        Err(error) => return Err(Failure::new(format!("{action:?}: {error}"))),
    })
}
