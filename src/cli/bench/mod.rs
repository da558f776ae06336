//! `bench`: loads the cluster through its client protocol, and measures.
//!
//! The load is a closed loop: every connection keeps `--pipeline` commands in flight and
//! sends the next as soon as one is answered. With `--rate` it is an open loop: commands
//! have their times, independent of the answers to those before ([`schedule`]). The
//! program often shares the machine with the servers that it measures, so it is cheap: it
//! runs on one thread, and allocates nothing for a command or a reply.

mod baseline;
mod chart;
mod chart_input;
mod connection;
mod report;
mod schedule;
mod warmup;
mod workload;

use std::cell::{Cell, RefCell};
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::{Args, value_parser};
use futures_util::future::join_all;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::time::sleep;

use self::chart::{Chart, XMarks, YScale};
use self::connection::{Beats, Client, Run, slow_count};
use self::report::Recorder;
use self::schedule::Schedule;
use self::warmup::{Patience, find_ready_leader};
use self::workload::{Distribution, Workload};
use crate::cli::cluster::{Cluster, block_on};
use crate::cli::failure::{Failure, usage};
use crate::cli::output::{LoadBar, print};

#[derive(Args, Debug)]
pub struct BenchCommand {
    #[command(flatten)]
    shape: LoadShape,
    /// Time to measure
    #[arg(long, value_name = "S", default_value_t = 5.0, value_parser = seconds)]
    duration_s: f64,
    /// Instead of a duration: number of commands to send
    #[arg(long, value_name = "N", conflicts_with = "duration_s")]
    count: Option<u64>,
    /// Time to load it before
    #[arg(long, value_name = "S", default_value_t = 0.0, value_parser = seconds)]
    warmup_s: f64,
    /// A server that owes an answer and says nothing for so long is given up for the next
    #[arg(
        long,
        value_name = "MS",
        default_value_t = 10_000,
        value_parser = value_parser!(u64).range(1..=600_000),
    )]
    silence_ms_max: u64,
    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
    /// Draw the distribution of the latencies into an SVG file
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
    /// Draw the points that standard input lists, as chart_input.rs says
    #[arg(long, value_name = "FILE", hide = true)]
    chart: Option<PathBuf>,
    /// Measure the time of a sync and of a round trip instead, with a file in DIR
    #[arg(long, value_name = "DIR", hide = true)]
    floor: Option<PathBuf>,
    #[command(flatten)]
    cluster: Cluster<10_000, 1_000>,
}

/// The connections of a load, and the commands that they send.
#[derive(Args, Debug)]
struct LoadShape {
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
    /// Frequency with which keys are chosen
    #[arg(long, value_name = "HOW", default_value = "uniform")]
    distribution: Distribution,
    /// Bytes of a value
    #[arg(
        long,
        value_name = "B",
        default_value_t = 256,
        value_parser = value_parser!(u64).range(0..=64 * 1024 * 1024),
    )]
    value_bytes: u64,
    /// Number of commands in a hundred that are reads; the keys are written first if they are not
    /// there
    #[arg(
        long,
        value_name = "P",
        default_value_t = 0,
        value_parser = value_parser!(u32).range(0..=100),
    )]
    read_percent: u32,
    /// Commands a second, on all connections together, at times of their own: latencies count from
    /// those, and a connection whose pipeline is full sends them later
    #[arg(long, value_name = "R", value_parser = rate)]
    rate: Option<f64>,
    /// Number of connections in a hundred that read their replies slowly, of more commands at a
    /// time; they are counted apart, and no part of --rate or --count
    #[arg(
        long,
        value_name = "P",
        default_value_t = 0,
        value_parser = value_parser!(u64).range(0..=99),
    )]
    slow_percent: u64,
}

/// Maximum time to wait for the commands in flight at the end.
const DRAIN: Duration = Duration::from_secs(2);
/// Open files in addition to the connections: the standard ones, those of the runtime, and a
/// few to ask for a leader.
const OTHER_FILES: u64 = 32;
/// The time between two updates of the bar; a person reads no faster.
const BAR_INTERVAL: Duration = Duration::from_millis(200);

impl BenchCommand {
    /// Measures, and prints the result.
    pub fn run(self) -> Result<(), Failure> {
        if let Some(dir) = &self.floor {
            return print(baseline::measure(dir)?.as_bytes());
        }
        if let Some(file) = &self.chart {
            return Ok(fs::write(
                file,
                chart_input::draw(&std::io::read_to_string(std::io::stdin())?)?,
            )?);
        }
        // Checked before the load, which may be long.
        allow_files(self.shape.clients + OTHER_FILES)?;
        if let Some(plot) = &self.plot {
            fs::write(plot, "").map_err(|error| usage(format!("{}: {error}", plot.display())))?;
        }
        let recorder = block_on(self.load())??;
        if let Some(plot) = &self.plot {
            fs::write(plot, self.chart_of(&recorder).svg())?;
        }
        print(if self.json { recorder.json() } else { recorder.text() }.as_bytes())
    }

    async fn load(&self) -> Result<Recorder, Failure> {
        let progress = LoadBar::new();
        let servers = self.cluster.roster().await?.addresses();
        let value_bytes = self.shape.value_bytes as usize;
        let workload = Workload::new(
            self.shape.keys,
            self.shape.distribution,
            value_bytes,
            self.shape.read_percent,
        );
        let patience = Patience { try_time: self.cluster.patience(), time: self.cluster.timeout() };
        let leader = find_ready_leader(&servers, patience, &workload, &progress).await?;
        let run = Run {
            workload,
            pipeline: self.shape.pipeline as usize,
            silence_max: Duration::from_millis(self.silence_ms_max),
            recorder: RefCell::new(Recorder::new()),
            servers,
            target: RefCell::new(leader),
            left: Cell::new(u64::MAX),
            beats: self.shape.rate.map(|rate| self.beats(rate)),
        };
        let clients = join_all(
            (0..self.shape.clients)
                .map(|number| run.client(Client::new(number, self.shape.slow_percent))),
        );
        tokio::select! {
            _ = clients => self.end(&run),
            () = self.conduct(&run, &progress) => {}
            () = run.keep_time() => {}
        }
        Ok(run.recorder.into_inner())
    }

    fn beats(&self, rate: f64) -> Beats {
        let connections =
            self.shape.clients - slow_count(self.shape.clients, self.shape.slow_percent);
        Beats::new(Schedule::new(Instant::now(), rate, connections), connections)
    }

    /// Begins and ends the measurement.
    async fn conduct(&self, run: &Run, progress: &LoadBar) {
        progress.waiting("warming up");
        sleep(Duration::from_secs_f64(self.warmup_s)).await;
        let begin = Instant::now();
        run.recorder.borrow_mut().begin(begin);
        run.left.set(self.count.unwrap_or(u64::MAX));
        let duration = Duration::from_secs_f64(self.duration_s);
        loop {
            let elapsed = begin.elapsed();
            let counts = run.recorder.borrow().so_far();
            let (done, all) = match self.count {
                Some(count) => (counts.0 + counts.1, count),
                None => (elapsed.as_millis() as u64, duration.as_millis() as u64),
            };
            progress.doing("measuring", done, all);
            progress.counted(counts, elapsed);
            let rest = duration.saturating_sub(elapsed);
            if self.count.is_none() && rest.is_zero() {
                break;
            }
            let pause = if self.count.is_none() { rest.min(BAR_INTERVAL) } else { BAR_INTERVAL };
            sleep(pause).await;
        }
        self.end(run);
        run.stop();
        sleep(DRAIN).await;
    }

    /// Ends the measurement, if it has not ended already.
    fn end(&self, run: &Run) {
        let now = Instant::now();
        let mut recorder = run.recorder.borrow_mut();
        recorder.end(now);
        // With a count all commands are answered.
        if let (Some(beats), None) = (&run.beats, self.count) {
            recorder.due(beats.schedule.due_count(now));
        }
    }

    fn chart_of(&self, recorder: &Recorder) -> Chart {
        let clients = match (self.shape.clients, self.shape.pipeline) {
            (1, 1) => "1 client".to_owned(),
            (clients, 1) => format!("{clients} clients"),
            (clients, pipeline) => format!("{clients} clients x {pipeline} in flight"),
        };
        let rate = self.shape.rate.map(|rate| format!(", {rate} a second")).unwrap_or_default();
        Chart {
            title: format!("Latency, {clients}{rate}"),
            x_label: "percentile".into(),
            y_label: "ms".into(),
            x_marks: XMarks::Percentiles,
            y_scale: YScale::Linear,
            series: recorder.curves(),
        }
    }
}

/// Raises the limit of open files as far as the system lets us.
fn allow_files(wanted: u64) -> Result<(), Failure> {
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= wanted) {
        return Ok(());
    }
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let is_enough = limit.maximum.is_none_or(|maximum| maximum >= wanted);
    if is_enough && setrlimit(Resource::Nofile, raised).is_ok() {
        return Ok(());
    }
    let maximum = limit.maximum.unwrap_or(u64::MAX);
    Err(usage(format!(
        "--clients: so many need {wanted} open files, and this process may have {maximum}: \
         raise it with ulimit -n"
    )))
}

fn rate(text: &str) -> Result<f64, String> {
    let rate: f64 = text.parse().map_err(|_| "it is not a number".to_owned())?;
    if !(0.01..=10_000_000.0).contains(&rate) {
        return Err("it is not between 0.01 and 10000000".into());
    }
    Ok(rate)
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds: f64 = text.parse().map_err(|_| "it is not a number".to_owned())?;
    if !(0.0..=86_400.0).contains(&seconds) {
        return Err("it is not between 0 and 86400".into());
    }
    Ok(seconds)
}
