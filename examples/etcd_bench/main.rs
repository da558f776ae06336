//! Loads an etcd cluster as `coracle bench` loads ours, for comparison.
//!
//! ```sh
//! cargo run --release --example etcd_bench -- --endpoints 127.0.0.1:2379 --clients 64
//! ```
//!
//! The program speaks gRPC, as etcd's own clients do; etcd's gateway for JSON would cost
//! etcd more. Keys, values, mix and report are those of `coracle bench`, from the same
//! sources. The loop is the same, too: one command in flight on each connection. The load
//! begins at etcd's leader. Reads are linearizable, which is etcd's default.

mod grpc;
mod rush;
/// The parts of `coracle bench` that this program shares.
#[allow(dead_code)]
#[path = "../../src/cli/bench"]
mod bench {
    pub mod chart;
    pub mod report;
    pub mod workload;
}

use std::cell::{Cell, RefCell};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use bytes::Bytes;
use clap::Parser;
use futures_util::future::join_all;
use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::time::{sleep, timeout};

use self::bench::report::Recorder;
use self::bench::workload::{Distribution, Kind, Workload, key_bytes, value};
use self::grpc::{Channel, Fault};

/// Loads an etcd cluster, and measures throughput and latency.
#[derive(Debug, Parser)]
struct Options {
    /// Client addresses of all members
    #[arg(long, value_name = "HOST:PORT,...", value_delimiter = ',', required = true)]
    endpoints: Vec<String>,
    /// Connections
    #[arg(long, value_name = "N", default_value_t = 1)]
    clients: u64,
    /// Keys, of 8 bytes each
    #[arg(
        long,
        value_name = "K",
        default_value_t = 10_000,
        value_parser = clap::value_parser!(u64).range(1..=10_000_000),
    )]
    keys: u64,
    /// Bytes of a value
    #[arg(long, value_name = "B", default_value_t = 256)]
    value_bytes: usize,
    /// Number of commands in a hundred that are reads; the keys are written first if they are not
    /// there
    #[arg(long, value_name = "P", default_value_t = 0)]
    read_percent: u32,
    /// Time to measure
    #[arg(long, value_name = "S", default_value_t = 5.0)]
    duration_s: f64,
    /// Instead of a duration: number of commands to send
    #[arg(long, value_name = "N", conflicts_with = "duration_s")]
    count: Option<u64>,
    /// Time to load it before
    #[arg(long, value_name = "S", default_value_t = 0.0)]
    warmup_s: f64,
    /// Instead of the load of `coracle bench`: number of watches that see every write
    #[arg(long, value_name = "N", default_value_t = 0)]
    watches: u64,
    /// Writes a second that the watches see
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    rate: u64,
    /// Instead of a load: print the leader's client address
    #[arg(long)]
    leader: bool,
    /// A member that says nothing for so long is given up for the next
    #[arg(long, value_name = "MS", default_value_t = 10_000)]
    silence_ms_max: u64,
    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
}

/// Maximum time to look for a leader.
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK_INTERVAL: Duration = Duration::from_millis(10);
const PAUSE: Duration = Duration::from_millis(2);
/// Maximum time to wait for the commands in flight at the end.
const DRAIN: Duration = Duration::from_secs(2);
/// Number of commands in flight while the keys are written before the run: h2 begins at most 100
/// calls at a time until the other side has said how many it takes.
const FILL_COMMANDS: u64 = 64;

/// The state that all connections share.
struct Run<'a> {
    endpoints: &'a [String],
    workload: Workload,
    value: Bytes,
    recorder: RefCell<Recorder>,
    silence_max: Duration,
    /// The endpoint that commands are sent to.
    target: Cell<usize>,
    /// Number of commands that are still to be sent.
    left: Cell<u64>,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let result = runtime.map_err(|error| error.to_string()).and_then(|runtime| {
        runtime.block_on(async {
            let run = run(&options);
            run.await.map_err(|Fault(reason)| reason.to_owned())
        })
    });
    match result {
        Ok(text) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("etcd_bench: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: &Options) -> Result<String, Fault> {
    let endpoints = &options.endpoints;
    let leader = timeout(PATIENCE, find_leader(endpoints))
        .await
        .map_err(|_| Fault("no member says that it leads"))?;
    if options.leader {
        return Ok(format!("{}\n", endpoints[leader]));
    }
    if options.watches > 0 {
        let load = rush::Load {
            watches: options.watches,
            rate: options.rate,
            seconds: options.duration_s,
            value_bytes: options.value_bytes,
        };
        return rush::play(&endpoints[leader], load).await;
    }
    let (keys, read_percent) = (options.keys, options.read_percent);
    let run = Run {
        endpoints,
        workload: Workload::new(keys, Distribution::Uniform, options.value_bytes, read_percent),
        value: value(options.value_bytes).collect(),
        recorder: RefCell::new(Recorder::new()),
        silence_max: Duration::from_millis(options.silence_ms_max),
        target: Cell::new(leader),
        left: Cell::new(u64::MAX),
    };
    if run.workload.has_reads() {
        run.fill().await?;
    }
    let clients = join_all((0..options.clients).map(|number| run.client(number)));
    let conduct = async {
        sleep(Duration::from_secs_f64(options.warmup_s)).await;
        run.recorder.borrow_mut().begin(Instant::now());
        if let Some(count) = options.count {
            run.left.set(count);
            return std::future::pending().await;
        }
        sleep(Duration::from_secs_f64(options.duration_s)).await;
        run.recorder.borrow_mut().end(Instant::now());
        run.left.set(0);
        sleep(DRAIN).await;
    };
    tokio::select! {
        _ = clients => run.recorder.borrow_mut().end(Instant::now()),
        () = conduct => {}
    }
    let recorder = run.recorder.into_inner();
    Ok(if options.json { recorder.json() } else { recorder.text() })
}

/// The number of the endpoint that leads.
async fn find_leader(endpoints: &[String]) -> usize {
    loop {
        for (number, endpoint) in endpoints.iter().enumerate() {
            let leads = async { Channel::connect(endpoint).await?.leads().await };
            // Not every member runs, and one that was stopped sends no answer.
            if let Ok(Ok(true)) = timeout(Duration::from_secs(1), leads).await {
                return number;
            }
        }
        sleep(LOOK_INTERVAL).await;
    }
}

impl Run<'_> {
    /// Writes every key once, unless the last of them is there.
    async fn fill(&self) -> Result<(), Fault> {
        let channel = Channel::connect(&self.endpoints[self.target.get()]).await?;
        let keys = self.workload.keys();
        if channel.clone().get(key_bytes(keys - 1)).await? {
            return Ok(());
        }
        for first in (0..keys).step_by(FILL_COMMANDS as usize) {
            let puts = (first..keys.min(first + FILL_COMMANDS)).map(|key| {
                let mut channel = channel.clone();
                async move { channel.put(key_bytes(key), &self.value).await }
            });
            join_all(puts).await.into_iter().collect::<Result<(), Fault>>()?;
        }
        Ok(())
    }

    async fn client(&self, number: u64) {
        let mut rng = StdRng::seed_from_u64(number);
        while self.left.get() > 0 {
            let target = self.target.get();
            let Err(Fault(why)) = self.session(target, &mut rng).await else { return };
            self.recorder.borrow_mut().failed(why);
            // Another client may have gone on already.
            if self.target.get() == target {
                self.target.set((target + 1) % self.endpoints.len());
            }
            sleep(PAUSE).await;
        }
    }

    async fn session(&self, target: usize, rng: &mut StdRng) -> Result<(), Fault> {
        let connect = timeout(self.silence_max, Channel::connect(&self.endpoints[target]));
        let mut channel = connect.await.map_err(|_| Fault("connection refused"))??;
        while self.left.get() > 0 {
            self.left.set(self.left.get() - 1);
            let (kind, key) = self.workload.draw(rng);
            let sent = Instant::now();
            let command = async {
                match kind {
                    Kind::Read => channel.get(key_bytes(key)).await.map(drop),
                    Kind::Write => channel.put(key_bytes(key), &self.value).await,
                }
            };
            timeout(self.silence_max, command).await.map_err(|_| Fault("no answer"))??;
            self.recorder.borrow_mut().done(kind, sent, Instant::now());
        }
        Ok(())
    }
}
