//! The mutant matrix: puts each bug back, and shows which check of the simulation notices it
//! (docs/mutants.md). scripts/mutants.sh builds it as an example of the copy that has the bugs.

use std::process::{Command, ExitCode};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use clap::Parser;
use coracle::mutants::{LEFT_TO_TESTS, MUTANTS, Mutant, put_back};
use coracle::testing::simulation::{catch_panics, simulate};
use rustix::process::{Resource, Rlimit, setrlimit};

/// Maximum memory of one simulation in bytes. A bug may make a node take all that there is.
const MEMORY_BYTES_MAX: u64 = 4 << 30;

/// The beginning of what is said of a seed that fails without any bug.
const FAILS_ANYWAY: &str = "fails without a bug:";

/// Puts bugs back, one at a time, and simulates clusters until a check notices it.
#[derive(Parser)]
#[command(name = "mutants.sh", args_override_self = true)]
struct Options {
    /// The only bug to put back; by default all but those that are left to the tests.
    bug: Option<String>,
    /// Maximum number of seeds a bug.
    #[arg(long, value_name = "N", default_value_t = 2_000)]
    seeds: u64,
    /// The first seed.
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    first: u64,
    /// Tries the seed of the bug's row in docs/mutants.md before all others.
    #[arg(long)]
    known: bool,
    /// Number of threads; by default one a core.
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Runs this seed alone.
    #[arg(long, value_name = "SEED", requires = "bug")]
    replay: Option<u64>,
    /// With --replay: prints all events.
    #[arg(long, requires = "replay")]
    trace: bool,
    /// With --replay: prints only the check that failed, if one did.
    #[arg(long, requires = "replay", hide = true)]
    brief: bool,
}

/// The search for the first seed that notices a bug.
struct Hunt {
    mutant: Mutant,
    /// The sentence that describes the bug.
    what: &'static str,
    /// The seed that noticed the bug when docs/mutants.md was written, until it is begun.
    known: Option<u64>,
    /// Number of seeds that were begun, the known one not counted.
    begun: u64,
    /// Number of seeds that are running.
    running: usize,
    /// The first seed that noticed, counted from 1, and the check that did.
    caught: Option<(u64, String)>,
    /// Time that its seeds took, on all threads.
    spent: Duration,
}

impl Hunt {
    fn new(mutant: Mutant, what: &'static str, known: Option<u64>) -> Hunt {
        Hunt { mutant, what, known, begun: 0, running: 0, caught: None, spent: Duration::ZERO }
    }

    /// True when no further seed is to be run.
    fn is_over(&self, options: &Options) -> bool {
        self.caught.is_some() || self.begun >= options.seeds
    }

    /// Returns the row of the table.
    fn row(&self) -> String {
        let (seeds, check) = match &self.caught {
            Some((seeds, check)) => (*seeds, check.as_str()),
            None => (self.begun, "nothing"),
        };
        format!("| {:?} | {} | {check} | {seeds} |", self.mutant, self.what)
    }
}

fn main() -> ExitCode {
    let options = Options::parse();
    catch_panics();
    let mut hunts: Vec<Hunt> = MUTANTS
        .iter()
        .filter(|(mutant, _)| match &options.bug {
            None => !LEFT_TO_TESTS.contains(mutant),
            Some(name) => *name == format!("{mutant:?}"),
        })
        .map(|&(mutant, what)| {
            let known = if options.known { seed_in_docs(mutant) } else { None };
            Hunt::new(mutant, what, known)
        })
        .collect();
    if hunts.is_empty() {
        eprintln!("mutants: no bug has that name: see tests/mutants/table.rs");
        return ExitCode::FAILURE;
    }
    let is_good = match options.replay {
        Some(seed) if options.brief => print_check(hunts[0].mutant, seed),
        Some(seed) => replay(hunts[0].mutant, seed, options.trace),
        None => {
            hunt(&mut hunts, &options);
            print_table(&hunts)
        }
    };
    if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Returns the last number of the bug's row in docs/mutants.md.
fn seed_in_docs(mutant: Mutant) -> Option<u64> {
    let docs = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/mutants.md"));
    let begin = format!("| {mutant:?} |");
    let docs = docs.ok()?;
    let row = docs.lines().find(|line| line.starts_with(&begin))?;
    row.trim_end_matches('|').rsplit('|').next()?.trim().parse().ok()
}

/// Runs one seed with the bug in a process of its own. Returns the check that failed.
fn failed_check(mutant: Mutant, seed: u64) -> Option<String> {
    let this = std::env::current_exe().expect("the path of a running program is known");
    let output = Command::new(this)
        .args([&format!("{mutant:?}"), "--brief", "--replay", &seed.to_string()])
        .env("RUST_BACKTRACE", "0")
        .output()
        .expect("a program that runs can be started again");
    if !output.status.success() {
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(error.contains("memory allocation"), "{mutant:?} ended at seed {seed}: {error}");
        return Some("MemoryLimit".to_owned());
    }
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if said.starts_with(FAILS_ANYWAY) {
        eprintln!("{said}");
        return None;
    }
    (!said.is_empty()).then_some(said)
}

/// The other side of [`failed_check`]. A seed that fails without the bug as well says nothing about
/// it.
fn print_check(mutant: Mutant, seed: u64) -> bool {
    let limit = Rlimit { current: Some(MEMORY_BYTES_MAX), maximum: Some(MEMORY_BYTES_MAX) };
    setrlimit(Resource::As, limit).expect("any process may lower its limits");
    let failed = |bug| {
        put_back(bug);
        simulate(seed, false).violations.first().map(|violation| violation.check)
    };
    if let Some(check) = failed(Some(mutant)) {
        match failed(None) {
            None => println!("{check}"),
            Some(check) => println!("{FAILS_ANYWAY} seed {seed}: {check}"),
        }
    }
    true
}

/// Runs one seed with the bug; true when nothing notices it.
fn replay(mutant: Mutant, seed: u64, is_traced: bool) -> bool {
    put_back(Some(mutant));
    let report = simulate(seed, is_traced);
    println!("{report:#?}");
    for violation in &report.violations {
        println!("  {violation}");
    }
    if !report.violations.is_empty() {
        println!("replay: scripts/mutants.sh {mutant:?} --replay {seed} --trace");
    }
    report.violations.is_empty()
}

/// Hunts all bugs at once: a thread that finds no bug without a running seed helps with another.
fn hunt(hunts: &mut [Hunt], options: &Options) {
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    let threads = options.threads.unwrap_or_else(cores);
    let hunts = Mutex::new(hunts);
    let lock = || hunts.lock().unwrap_or_else(PoisonError::into_inner);
    let work = || {
        loop {
            let mut locked = lock();
            let open = locked.iter_mut().enumerate().filter(|(_, hunt)| !hunt.is_over(options));
            let Some((at, hunt)) = open.min_by_key(|(_, hunt)| hunt.running) else { return };
            let mutant = hunt.mutant;
            let number = hunt.known.take().unwrap_or_else(|| {
                hunt.begun += 1;
                hunt.begun
            });
            hunt.running += 1;
            drop(locked);

            let started_at = Instant::now();
            let noticed = failed_check(mutant, options.first + number - 1);

            let mut locked = lock();
            let hunt = &mut locked[at];
            hunt.running -= 1;
            hunt.spent += started_at.elapsed();
            if let Some(check) = noticed
                && hunt.caught.as_ref().is_none_or(|(seeds, _)| number < *seeds)
            {
                hunt.caught = Some((number, check));
            }
            if hunt.is_over(options) && hunt.running == 0 {
                eprintln!("{} ({:.1} s)", hunt.row(), hunt.spent.as_secs_f64());
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
}

/// Prints the table of docs/mutants.md; true when each bug was noticed.
fn print_table(hunts: &[Hunt]) -> bool {
    println!("| bug | put back | noticed by | after seeds |\n| --- | --- | --- | --- |");
    for hunt in hunts {
        println!("{}", hunt.row());
    }
    let survivors = hunts.iter().filter(|hunt| hunt.caught.is_none()).count();
    println!("\n{} bugs put back, {survivors} not noticed", hunts.len());
    survivors == 0
}
