//! Restarts the servers of a cluster one after the other while it is under load, by SIGTERM and, in
//! another cluster, by SIGKILL. scripts/rolling_restart.sh builds the program and runs it.

mod round;

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use coracle::testing::drill::{Failure, Stop};

use crate::round::{Report, play};

/// Restarts five servers one after the other under 32 clients.
#[derive(Parser)]
#[command(name = "rolling_restart.sh")]
struct Options {
    /// The program of the servers.
    #[arg(long, value_name = "BINARY")]
    program: PathBuf,
    /// Time of the load after each restart, in seconds.
    #[arg(long, value_name = "S", default_value_t = 0.5)]
    seconds: f64,
    /// Restarts all servers N times.
    #[arg(long, value_name = "N", default_value_t = 2)]
    rounds: u64,
    /// Keeps the directory with the logs although nothing has failed.
    #[arg(long)]
    keep: bool,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("rolling_restart: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<(), Failure> {
    let load_time = Duration::try_from_secs_f64(options.seconds);
    let load_time = load_time.map_err(|error| Failure::new(format!("--seconds: {error}")))?;
    let program = fs::canonicalize(&options.program)?;
    // It is removed only when nothing fails.
    let directory = tempfile::Builder::new().prefix("coracle-rolling.").tempdir()?.keep();
    let mut failures = Vec::new();
    println!(
        "stopped by  round  longest gap of writes  slowest command  changes of leader  failed"
    );
    for (how, name) in [(Stop::Term, "SIGTERM"), (Stop::Kill, "SIGKILL")] {
        match play(&program, &directory.join(name), how, options.rounds, load_time) {
            Ok(report) => {
                print(name, &report);
                // Nobody can hand over who is killed: those figures are to compare with.
                let is_planned = how == Stop::Term;
                let faults = report.faults(is_planned).into_iter();
                failures.extend(faults.map(|fault| format!("{name}: {fault}")));
            }
            Err(failure) => failures.push(format!("{name}: {failure}")),
        }
    }
    match (failures.is_empty(), options.keep) {
        (true, false) => Ok(fs::remove_dir_all(&directory)?),
        (true, true) => {
            println!("kept: {}", directory.display());
            Ok(())
        }
        (false, _) => {
            let kept = directory.display();
            Err(Failure::new(format!("{}\nkept: {kept}", failures.join("\n"))))
        }
    }
}

fn print(name: &str, report: &Report) {
    for (round, figures) in (1..).zip(&report.rounds) {
        println!(
            "{name:<10}  {round:>5}  {:>18} ms  {:>12} ms  {:>17}  {:>6} of {}",
            figures.gap_ms, figures.slowest_ms, figures.changes, figures.failed, figures.commands
        );
    }
    let yes_no = |fault: &Option<String>| if fault.is_none() { "yes" } else { "NO" };
    println!(
        "{name:<10}  history linearizable: {}; stores equal: {}; the same members: {}",
        yes_no(&report.history_fault),
        yes_no(&report.stores_fault),
        yes_no(&report.members_fault)
    );
}
