//! Upgrades clusters of two real programs under load: the last one before a format of the cluster,
//! and that of this tree. scripts/upgrade.sh builds both and runs it.

mod cluster;
mod drill;
mod rounds;

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use coracle::testing::drill::Failure;

use crate::cluster::Programs;
use crate::drill::{Outcome, Plan};
use crate::rounds::{ROUNDS, Round};

/// Upgrades clusters of five servers from the old program to the new one, and back.
#[derive(Parser)]
#[command(name = "upgrade.sh")]
struct Options {
    /// The last program before the format.
    #[arg(long, value_name = "BINARY")]
    old: PathBuf,
    /// The program of this tree.
    #[arg(long, value_name = "BINARY")]
    new: PathBuf,
    /// The format that the new program adds.
    #[arg(long, value_name = "N")]
    format: u64,
    /// Plays all rounds N times.
    #[arg(long, value_name = "N", default_value_t = 1)]
    rounds: u64,
    /// Time of the load after each step, in seconds.
    #[arg(long, value_name = "S", default_value_t = 0.5)]
    seconds: f64,
    /// Plays these rounds only.
    #[arg(long, value_name = "ROUND", value_delimiter = ',')]
    only: Vec<String>,
    /// Keeps the directory with the logs although nothing has failed.
    #[arg(long)]
    keep: bool,
}

impl Options {
    fn chosen(&self) -> Result<Vec<&'static Round>, Failure> {
        for name in &self.only {
            if !ROUNDS.iter().any(|round| round.name == name) {
                let names: Vec<&str> = ROUNDS.iter().map(|round| round.name).collect();
                let reason = format!("there is no round {name}, only {}", names.join(", "));
                return Err(Failure::new(reason));
            }
        }
        let is_chosen =
            |round: &&Round| self.only.is_empty() || self.only.iter().any(|n| n == round.name);
        Ok(ROUNDS.iter().filter(is_chosen).collect())
    }
}

fn main() -> ExitCode {
    let options = Options::parse();
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("upgrade: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<(), Failure> {
    let chosen = options.chosen()?;
    let load_time = Duration::try_from_secs_f64(options.seconds);
    let load_time = load_time.map_err(|error| Failure::new(format!("--seconds: {error}")))?;
    let directory = tempfile::Builder::new().prefix("coracle-upgrade.").tempdir()?;
    // It is removed only when nothing fails.
    let directory = directory.keep();
    let plan = Plan {
        programs: Programs {
            old: fs::canonicalize(&options.old)?,
            new: fs::canonicalize(&options.new)?,
        },
        directory: directory.clone(),
        load_time,
        format: options.format,
    };
    println!("| round | what | restarts | commands | longest gap, ms | seconds | verdict |");
    println!("| --- | --- | ---: | ---: | ---: | ---: | --- |");
    let mut failures = Vec::new();
    let mut refusals: Vec<(String, String)> = Vec::new();
    for turn in 1..=options.rounds {
        for round in &chosen {
            let began = Instant::now();
            let played = (round.play)(&plan, &format!("{}-{turn}", round.name));
            let seconds = began.elapsed().as_secs();
            match played {
                Ok(outcome) => {
                    print_row(round, &outcome, seconds);
                    if turn == 1 {
                        refusals.extend(outcome.refusals);
                    }
                }
                Err(failure) => {
                    println!(
                        "| {} | {} | - | - | - | {seconds} | FAILED |",
                        round.name, round.what
                    );
                    failures.push(format!("{}, turn {turn}: {failure}", round.name));
                }
            }
        }
    }
    if !refusals.is_empty() {
        println!("\nRefusals, and answers of upgrade check:");
        for (what, sentence) in refusals {
            println!("- {what}\n  {sentence}");
        }
    }
    match (failures.is_empty(), options.keep) {
        (true, false) => Ok(fs::remove_dir_all(&directory)?),
        (true, true) => {
            println!("\nkept: {}", directory.display());
            Ok(())
        }
        (false, _) => {
            let kept = directory.display();
            Err(Failure::new(format!("{}\nkept: {kept}", failures.join("\n"))))
        }
    }
}

fn print_row(round: &Round, outcome: &Outcome, seconds: u64) {
    let Outcome { restarts, operations, gap_ms, .. } = outcome;
    let (name, what) = (round.name, round.what);
    println!("| {name} | {what} | {restarts} | {operations} | {gap_ms} | {seconds} | passed |");
}
