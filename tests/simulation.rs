//! Whole clusters by seed: see docs/internals/simulation.md. A failure prints the
//! seed and the command that replays it with all that happened.

use coracle::testing::simulation::{Report, catch_panics, simulate};

/// So many seeds with every run of the tests.
const SEEDS: u64 = 40;

fn env(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

fn check(report: &Report) -> bool {
    if report.violations.is_empty() {
        return true;
    }
    let seed = report.seed;
    println!("seed {seed} failed:\n  {}", report.violations.join("\n  "));
    println!(
        "replay: CORACLE_SEED={seed} cargo test --release --test simulation replay -- --ignored \
         --nocapture"
    );
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
    for seed in 0..4 {
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
