//! Simulates whole clusters by seed: see docs/internals/simulation.md. scripts/simulate.sh runs it.

mod scenarios;
mod soak;

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use coracle::logging::line_of;
use coracle::testing::simulation::{Report, catch_panics, simulate};

/// Simulates a cluster for each seed, on all cores: the faults are drawn from the
/// seed, and everything that Raft and the protocol promise is checked.
#[derive(Parser)]
#[command(name = "simulate.sh", args_override_self = true)]
struct Options {
    /// Number of seeds.
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    seeds: u64,
    /// First seed.
    #[arg(long, value_name = "SEED", default_value_t = 1_000)]
    first: u64,
    /// Begins no further seed after M minutes.
    #[arg(long, value_name = "M")]
    minutes: Option<u64>,
    /// Number of threads; by default one per core.
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Runs this seed only.
    #[arg(long, value_name = "SEED")]
    replay: Option<u64>,
    /// With --replay: prints everything that happens.
    #[arg(long, requires = "replay")]
    trace: bool,
    /// Plays each scenario with N seeds (default: 50), and prints the results.
    #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = "50")]
    scenarios: Option<u64>,
    /// With --replay: plays this scenario with that seed.
    #[arg(long, value_name = "NAME", requires = "replay")]
    scenario: Option<String>,
}

impl Options {
    fn threads(&self) -> usize {
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        self.threads.unwrap_or_else(cores)
    }

    fn limit(&self) -> Duration {
        self.minutes.map_or(Duration::MAX, |minutes| Duration::from_secs(60 * minutes))
    }
}

fn main() -> ExitCode {
    let options = Options::parse();
    // With RUST_LOG, the lines of `--trace` have between them what the nodes log.
    let filter = env_logger::Env::default().default_filter_or("off");
    env_logger::Builder::from_env(filter)
        .target(env_logger::Target::Stdout)
        .format(|out, record| {
            let (level, module) = (record.level(), record.target());
            writeln!(out, "[{level:<5} {module}] {}", line_of(record))
        })
        .init();
    catch_panics();
    let is_good = run(&options);
    if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn run(options: &Options) -> bool {
    if let Some(seeds) = options.scenarios {
        return scenarios::run(options, seeds);
    }
    match options.replay {
        Some(seed) => {
            let report = match &options.scenario {
                Some(name) => scenarios::replay(name, seed, options.trace),
                None => simulate(seed, options.trace),
            };
            println!("{report:#?}");
            check(&report)
        }
        None => soak::run(options),
    }
}

/// Prints the violations of a seed, and the command that replays it. True when there are none.
fn check(report: &Report) -> bool {
    if report.violations.is_empty() {
        return true;
    }
    println!("seed {} failed:", report.seed);
    for violation in &report.violations {
        println!("  {violation}");
    }
    let commit = std::env::var("CORACLE_COMMIT").unwrap_or_else(|_| "an unknown commit".to_owned());
    println!("at {commit}; replay: scripts/simulate.sh --replay {} --trace", report.seed);
    false
}
