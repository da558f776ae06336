//! Replaces every server of a cluster while it is under load. scripts/replace_all.sh builds the
//! program and runs it.

mod round;

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use coracle::testing::drill::Failure;

use crate::round::{Report, play};

/// Replaces five servers by three new ones under 32 clients.
#[derive(Parser)]
#[command(name = "replace_all.sh")]
struct Options {
    /// The program of the servers.
    #[arg(long, value_name = "BINARY")]
    program: PathBuf,
    /// Time of the load after each step, in seconds.
    #[arg(long, value_name = "S", default_value_t = 1.0)]
    seconds: f64,
    /// Replaces everything N times, each time in a new cluster.
    #[arg(long, value_name = "N", default_value_t = 1)]
    rounds: u64,
    /// Keeps the directory with the logs although nothing has failed.
    #[arg(long)]
    keep: bool,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("replace_all: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<(), Failure> {
    let load_time = Duration::try_from_secs_f64(options.seconds);
    let load_time = load_time.map_err(|error| Failure::new(format!("--seconds: {error}")))?;
    let program = fs::canonicalize(&options.program)?;
    // It is removed only when nothing fails.
    let directory = tempfile::Builder::new().prefix("coracle-replace-all.").tempdir()?.keep();
    let mut failures = Vec::new();
    for number in 1..=options.rounds {
        println!("round {number}");
        match play(&program, &directory.join(number.to_string()), load_time) {
            Ok(report) => {
                print(&report);
                failures
                    .extend(report.faults().into_iter().map(|f| format!("round {number}: {f}")));
            }
            Err(failure) => failures.push(format!("round {number}: {failure}")),
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

fn print(report: &Report) {
    for (step, gap_ms) in &report.steps {
        println!("  {step:<34} longest gap of writes {gap_ms:>4} ms");
    }
    let yes_no = |fault: &Option<String>| if fault.is_none() { "yes" } else { "NO" };
    println!("  commands                      {}", report.commands);
    println!("  acknowledged writes           {}", report.acknowledged);
    println!("  acknowledged writes lost      {}", report.lost.len());
    println!("  commands failed               {}", report.failed);
    println!("  longest gap of writes         {} ms", report.gap_ms);
    println!("  history linearizable          {}", yes_no(&report.history_fault));
    println!("  stores equal                  {}", yes_no(&report.stores_fault));
    println!("  members at the end            {}", report.members);
    println!("  time                          {:.1} s", report.time.as_secs_f64());
}
