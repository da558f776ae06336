//! `bench`: loads the cluster through its client protocol, and measures.
//!
//! A closed loop: every connection keeps `--pipeline` commands in flight and sends
//! the next as soon as one is answered. It shares the machine with what it
//! measures, often enough, so it is cheap: one thread, the protocol as it is, and
//! nothing is allocated for a command.

mod connection;
mod floor;
mod reply;
mod report;
mod workload;

use std::cell::{Cell, RefCell};
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::{Args, value_parser};
use coracle::client::status_of;
use coracle::config::Settings;
use futures_util::future::join_all;
use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use self::connection::{Input, Run};
use self::reply::{Malformed, Outcome};
use self::report::Recorder;
use self::workload::{Workload, put_read};
use super::{ConfigFile, Failure, block_on, print};

#[derive(Args, Debug)]
pub struct BenchCommand {
    #[command(flatten)]
    file: ConfigFile,
    /// Connections
    #[arg(
        long,
        value_name = "N",
        default_value_t = 1,
        value_parser = value_parser!(u64).range(1..=10_000),
    )]
    clients: u64,
    /// Commands in flight on each connection
    #[arg(
        long,
        value_name = "D",
        default_value_t = 1,
        value_parser = value_parser!(u64).range(1..=100_000),
    )]
    pipeline: u64,
    /// Keys, of 8 bytes each
    #[arg(
        long,
        value_name = "K",
        default_value_t = 10_000,
        value_parser = value_parser!(u64).range(1..=10_000_000),
    )]
    keys: u64,
    /// Bytes of a value
    #[arg(
        long,
        value_name = "B",
        default_value_t = 256,
        value_parser = value_parser!(u64).range(0..=64 * 1024 * 1024),
    )]
    value_bytes: u64,
    /// How many of a hundred commands are reads; the keys are written first if they are not there
    #[arg(
        long,
        value_name = "P",
        default_value_t = 0,
        value_parser = value_parser!(u32).range(0..=100),
    )]
    read_percent: u32,
    /// How long to measure
    #[arg(long, value_name = "S", default_value_t = 5.0, value_parser = seconds)]
    duration_s: f64,
    /// Instead of a duration: how many commands to send
    #[arg(long, value_name = "N", conflicts_with = "duration_s")]
    count: Option<u64>,
    /// How long to load it before
    #[arg(long, value_name = "S", default_value_t = 0.0, value_parser = seconds)]
    warmup_s: f64,
    /// How long to look for a leader
    #[arg(long, value_name = "MS", default_value_t = 10_000)]
    timeout_ms: u64,
    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
    /// Measure what a disk and a socket take by themselves instead, with a file in DIR
    #[arg(long, value_name = "DIR", hide = true)]
    floor: Option<PathBuf>,
}

/// Between two looks for a leader.
const LOOK_INTERVAL: Duration = Duration::from_millis(10);
/// How long one server may take to say how it is.
const STATUS_PATIENCE: Duration = Duration::from_secs(1);
/// At the end the commands in flight are waited for, but no longer.
const DRAIN: Duration = Duration::from_secs(2);
/// So much is in flight while the keys are written before the run.
const FILL_BYTES: usize = 64 * 1024;

impl BenchCommand {
    pub fn run(self) -> Result<(), Failure> {
        if let Some(dir) = &self.floor {
            return print(floor::measure(dir)?.as_bytes());
        }
        let settings = self.file.load()?;
        let recorder = block_on(self.load(&settings))??;
        print(if self.json { recorder.json() } else { recorder.text() }.as_bytes())
    }

    async fn load(&self, settings: &Settings) -> Result<Recorder, Failure> {
        let servers: Vec<String> =
            settings.servers.values().map(|server| server.client_address()).collect();
        let workload = Workload::new(self.keys, self.value_bytes as usize, self.read_percent);
        let patience = Duration::from_millis(self.timeout_ms);
        let leader = timeout(patience, find_ready_leader(&servers, &workload))
            .await
            .map_err(|_| unavailable("no server says that it leads, and takes commands"))?;
        let run = Run {
            workload,
            pipeline: self.pipeline as usize,
            recorder: RefCell::new(Recorder::new()),
            servers,
            target: RefCell::new(leader),
            left: Cell::new(u64::MAX),
        };
        let clients = join_all((0..self.clients).map(async |number| {
            // Other commands on every connection, but the same in every run.
            run.client(&mut StdRng::seed_from_u64(number)).await;
        }));
        tokio::select! {
            _ = clients => run.recorder.borrow_mut().end(Instant::now()),
            () = self.conduct(&run) => {}
        }
        Ok(run.recorder.into_inner())
    }

    /// Begins and ends the measurement.
    async fn conduct(&self, run: &Run) {
        sleep(Duration::from_secs_f64(self.warmup_s)).await;
        run.recorder.borrow_mut().begin(Instant::now());
        match self.count {
            Some(count) => {
                run.left.set(count);
                std::future::pending().await
            }
            None => {
                sleep(Duration::from_secs_f64(self.duration_s)).await;
                run.recorder.borrow_mut().end(Instant::now());
                run.left.set(0);
                sleep(DRAIN).await;
            }
        }
    }
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds: f64 = text.parse().map_err(|_| "it is not a number".to_owned())?;
    if !(0.0..=86_400.0).contains(&seconds) {
        return Err("it is not between 0 and 86400".into());
    }
    Ok(seconds)
}

/// Asks until there is one.
async fn find_leader(servers: &[String]) -> String {
    loop {
        let asked = servers.iter().map(async |address| {
            let status = status_of(address, STATUS_PATIENCE).await.ok()?;
            let leads = status.get("role") == Some("leader");
            leads.then(|| (status.number("term"), address.clone()))
        });
        // A deposed leader may not know it yet: the highest term counts.
        if let Some((_, leader)) = join_all(asked).await.into_iter().flatten().max() {
            return leader;
        }
        sleep(LOOK_INTERVAL).await;
    }
}

/// A leader that has the keys to be read, if any are.
async fn find_ready_leader(servers: &[String], workload: &Workload) -> String {
    loop {
        let leader = find_leader(servers).await;
        // What fails may be a leader that has just lost its leadership.
        if !workload.has_reads() || fill(&leader, workload).await.is_ok() {
            return leader;
        }
        sleep(LOOK_INTERVAL).await;
    }
}

/// Writes every key once, unless the last of them is there.
async fn fill(leader: &str, workload: &Workload) -> io::Result<()> {
    let mut stream = TcpStream::connect(leader).await?;
    stream.set_nodelay(true)?;
    let mut input = Input::default();
    let mut output = Vec::new();
    put_read(workload.keys() - 1, &mut output);
    if exchange(&mut stream, &mut input, &output, 1).await? {
        return Ok(());
    }
    let mut key = 0;
    while key < workload.keys() {
        output.clear();
        let first = key;
        while key < workload.keys() && output.len() < FILL_BYTES {
            workload.put_write(key, &mut output);
            key += 1;
        }
        exchange(&mut stream, &mut input, &output, key - first).await?;
    }
    Ok(())
}

/// Sends `commands` commands and waits for their replies; true when every key
/// was found.
async fn exchange(
    stream: &mut TcpStream,
    input: &mut Input,
    output: &[u8],
    commands: u64,
) -> io::Result<bool> {
    stream.write_all(output).await?;
    let mut all_found = true;
    let mut answered = 0;
    while answered < commands {
        input.read(stream).await?;
        while let Some(outcome) = input.next().map_err(|Malformed| malformed())? {
            answered += 1;
            match outcome {
                Outcome::Done => {}
                Outcome::NotFound => all_found = false,
                Outcome::Redirect(_) | Outcome::Error(_) => {
                    return Err(io::Error::other("it does not lead, or takes no commands"));
                }
            }
        }
    }
    Ok(all_found)
}

fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "this is no server of ours")
}

fn unavailable(reason: &str) -> Failure {
    Failure::Unavailable(reason.to_owned())
}
