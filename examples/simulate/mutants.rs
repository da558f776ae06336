//! The mutant matrix: puts back each bug, and prints the check that notices it (docs/mutants.md).

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use coracle::mutants::{LEFT_TO_TESTS, MUTANTS, Mutant, put_back};
use coracle::testing::simulation::{Report, simulate};

use super::Options;

/// The result for a bug.
enum Fate {
    /// It was noticed in this report, which is that of the last of this many seeds.
    Caught(Report, u64),
    /// It was not noticed in this many seeds.
    Survived(u64),
}

/// Puts back the bug of that name, or all but those that are left to the tests. True when each was
/// noticed.
pub(super) fn run(options: &Options, name: &str) -> bool {
    let chosen: Vec<(Mutant, &str)> = MUTANTS
        .iter()
        .copied()
        .filter(|(mutant, _)| match name {
            "" => !LEFT_TO_TESTS.contains(mutant),
            name => name == format!("{mutant:?}"),
        })
        .collect();
    if let (Some(seed), [(mutant, _)]) = (options.replay, chosen.as_slice()) {
        put_back(Some(*mutant));
        return super::check(&simulate(seed, options.trace));
    }
    let (next, fates) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = || {
        while let Some((mutant, what)) = chosen.get(next.fetch_add(1, Ordering::Relaxed)) {
            let begin = Instant::now();
            let fate = hunt(*mutant, options);
            eprintln!("{} ({:.1} s)", row(*mutant, what, &fate), begin.elapsed().as_secs_f64());
            let mut fates = fates.lock().expect("no thread panics while it holds the lock");
            fates.push((*mutant, *what, fate));
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..options.threads() {
            scope.spawn(work);
        }
    });
    let mut fates = fates.into_inner().expect("no thread panics while it holds the lock");
    fates.sort_by_key(|(mutant, ..)| *mutant);
    println!("| bug | put back | noticed by | after seeds |\n| --- | --- | --- | --- |");
    for (mutant, what, fate) in &fates {
        println!("{}", row(*mutant, what, fate));
    }
    let survivors = fates.iter().filter(|(.., fate)| matches!(fate, Fate::Survived(_))).count();
    println!("\n{} bugs put back, {survivors} not noticed", fates.len());
    survivors == 0 && !fates.is_empty()
}

fn hunt(mutant: Mutant, options: &Options) -> Fate {
    put_back(Some(mutant));
    for (seeds, seed) in (1..=options.seeds).zip(options.first..) {
        let report = simulate(seed, false);
        if !report.violations.is_empty() {
            return Fate::Caught(report, seeds);
        }
    }
    Fate::Survived(options.seeds)
}

fn row(mutant: Mutant, what: &str, fate: &Fate) -> String {
    match fate {
        Fate::Caught(report, seeds) => {
            format!("| {mutant:?} | {what} | {} | {seeds} |", report.violations[0].check)
        }
        Fate::Survived(seeds) => format!("| {mutant:?} | {what} | nothing | {seeds} |"),
    }
}
