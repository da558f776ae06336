//! Whole clusters by seed: see docs/internals/simulation.md. A failure prints the
//! seed and the command that replays it with all that happened.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use coracle::testing::simulation::{Fault, Report, catch_panics, simulate};

/// So many seeds with every run of the tests.
const SEEDS: u64 = 12;

fn env(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

fn check(report: &Report) -> bool {
    if report.violations.is_empty() {
        return true;
    }
    let seed = report.seed;
    println!("seed {seed} failed:\n  {}", report.violations.join("\n  "));
    println!("replay: scripts/simulate.sh --replay {seed}");
    false
}

#[test]
fn clusters_keep_their_promises_whatever_goes_wrong() {
    catch_panics();
    let failed = (0..SEEDS).filter(|seed| !check(&simulate(*seed, false))).count();
    assert_eq!(failed, 0, "of {SEEDS} seeds");
}

#[test]
fn a_seed_is_the_same_run_every_time() {
    catch_panics();
    for seed in 0..2 {
        assert_eq!(simulate(seed, false), simulate(seed, false));
    }
}

#[test]
#[ignore = "replays CORACLE_SEED and tells all of it"]
fn replay() {
    catch_panics();
    let seed = env("CORACLE_SEED").expect("CORACLE_SEED is the number of a seed");
    assert!(check(&simulate(seed, true)));
}

/// What many seeds came to.
#[derive(Default)]
struct Soak {
    seeds: u64,
    failed: Vec<u64>,
    simulated_ms: u64,
    operations: u64,
    events: u64,
    given_up: u64,
    recovery_ms_max: u64,
    faults: BTreeMap<Fault, u64>,
}

impl Soak {
    fn add(&mut self, report: &Report) {
        self.seeds += 1;
        self.simulated_ms += report.simulated_ms;
        self.operations += report.operations;
        self.events += report.events;
        self.given_up += u64::from(report.is_given_up);
        self.recovery_ms_max = self.recovery_ms_max.max(report.recovery_ms);
        for (fault, times) in &report.faults {
            *self.faults.entry(*fault).or_default() += times;
        }
    }

    fn tell(&self, elapsed: Duration) {
        let seconds = elapsed.as_secs_f64();
        let rate = self.events as f64 / seconds;
        println!(
            "{} seeds in {seconds:.0} s: {:.2} simulated hours, {} operations, {} events \
             ({rate:.0} a second), {} failed",
            self.seeds,
            self.simulated_ms as f64 / 3_600_000.0,
            self.operations,
            self.events,
            self.failed.len()
        );
    }
}

#[test]
#[ignore = "scripts/simulate.sh runs it: CORACLE_SEEDS seeds from CORACLE_FIRST on"]
fn soak() {
    catch_panics();
    let seeds = env("CORACLE_SEEDS").unwrap_or(100);
    let first = env("CORACLE_FIRST").unwrap_or(1_000);
    let limit = env("CORACLE_MINUTES").map_or(Duration::MAX, |m| Duration::from_secs(60 * m));
    let begin = Instant::now();
    let (next, soak) = (AtomicU64::new(first), Mutex::new(Soak::default()));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + seeds || begin.elapsed() > limit {
                        break;
                    }
                    let report = simulate(seed, false);
                    let mut soak = soak.lock().expect("a failed check does not panic");
                    soak.add(&report);
                    if !check(&report) {
                        soak.failed.push(seed);
                    }
                    if soak.seeds.is_multiple_of(100) {
                        soak.tell(begin.elapsed());
                    }
                }
            });
        }
    });
    let soak = soak.into_inner().expect("a failed check does not panic");
    soak.tell(begin.elapsed());
    println!("faults: {:?}", soak.faults);
    println!(
        "longest recovery: {} ms; searches given up: {}; failed seeds: {:?}",
        soak.recovery_ms_max, soak.given_up, soak.failed
    );
    assert!(soak.failed.is_empty());
}
