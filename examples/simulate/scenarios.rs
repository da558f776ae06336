//! Plays each scenario with many seeds, and prints a table of the results.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use coracle::testing::simulation::{Outcome, Report, Scenario, rehearse};

use super::Options;

/// The results of a scenario with many seeds.
struct Figures {
    scenario: Scenario,
    outcomes: Vec<Outcome>,
    failed: Vec<Report>,
}

/// Plays all scenarios. Returns true when none failed.
pub(super) fn run(options: &Options, seeds: u64) -> bool {
    let (next, all) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = || {
        while let Some(scenario) = Scenario::ALL.get(next.fetch_add(1, Ordering::Relaxed)) {
            let figures = play(*scenario, options.first, seeds);
            all.lock().expect("no thread panics while it holds the lock").push(figures);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..options.threads() {
            scope.spawn(work);
        }
    });
    let mut all = all.into_inner().expect("no thread panics while it holds the lock");
    all.sort_by_key(|figures| figures.scenario);
    println!("{seeds} seeds each, from {}; simulated milliseconds:\n", options.first);
    println!("| scenario | first write: min | median | max | changes of leader: min | max |");
    println!("| --- | --- | --- | --- | --- | --- |");
    all.iter().for_each(print);
    for figures in &all {
        for report in &figures.failed {
            print_failure(figures.scenario, report);
        }
    }
    all.iter().all(|figures| figures.failed.is_empty())
}

/// Plays one scenario with one seed.
///
/// # Panics
/// When there is no scenario of that name.
pub(super) fn replay(name: &str, seed: u64, is_printed: bool) -> Report {
    let scenario = Scenario::ALL.into_iter().find(|scenario| format!("{scenario:?}") == name);
    let scenario = scenario.unwrap_or_else(|| panic!("there is no scenario {name}"));
    rehearse(scenario, seed, is_printed)
}

fn play(scenario: Scenario, first: u64, seeds: u64) -> Figures {
    let mut figures = Figures { scenario, outcomes: Vec::new(), failed: Vec::new() };
    for seed in (first..).take(seeds as usize) {
        let report = rehearse(scenario, seed, false);
        match report.outcome {
            Some(outcome) if report.violations.is_empty() => figures.outcomes.push(outcome),
            _ => figures.failed.push(report),
        }
    }
    figures
}

fn print(figures: &Figures) {
    let Figures { scenario, outcomes, failed } = figures;
    let mut writes: Vec<u64> = outcomes.iter().map(|outcome| outcome.first_write_ms).collect();
    writes.sort_unstable();
    let changes = || outcomes.iter().map(|outcome| outcome.leader_changes);
    match (writes.as_slice(), changes().min(), changes().max()) {
        ([min, ..], Some(fewest), Some(most)) => println!(
            "| {scenario:?} | {min} | {} | {} | {fewest} | {most} |{}",
            writes[writes.len() / 2],
            writes[writes.len() - 1],
            if failed.is_empty() { String::new() } else { format!(" {} failed", failed.len()) },
        ),
        _ => println!("| {scenario:?} | all {} failed |", failed.len()),
    }
}

fn print_failure(scenario: Scenario, report: &Report) {
    println!("{scenario:?}, seed {} failed:", report.seed);
    for violation in &report.violations {
        println!("  {violation}");
    }
    println!(
        "replay: scripts/simulate.sh --scenario {scenario:?} --replay {} --trace",
        report.seed
    );
}
