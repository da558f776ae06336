//! Simulates whole clusters by seed: see docs/internals/simulation.md. A failure prints the seed
//! and the command that replays it with everything that happens.

use std::process::Command;

use coracle::testing::simulation::{Report, catch_panics, simulate};

/// The number of seeds in every run of the tests. Each of them runs twice.
const SEEDS: u64 = 12;

/// The environment variable that is set for the second process.
const IS_SECOND: &str = "CORACLE_SECOND_PROCESS";

/// The commit that the test was built from: a seed means the same run only at one commit.
fn commit() -> String {
    let output = Command::new("git").args(["describe", "--always", "--dirty"]).output();
    let commit = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    commit.unwrap_or_else(|_| "no commit".to_owned())
}

fn is_good(report: &Report) -> bool {
    for violation in &report.violations {
        let seed = report.seed;
        println!(
            "commit {}, seed {seed}: {violation}; \
             replay: scripts/simulate.sh --replay {seed} --trace",
            commit()
        );
    }
    report.violations.is_empty()
}

fn hash_line(report: &Report) -> String {
    format!("seed {} hash {:016x}", report.seed, report.hash)
}

/// Every promise holds with every seed, and another process has the same run of each: this test
/// runs itself once more for that.
#[test]
fn clusters_keep_their_promises_and_a_seed_is_one_run_in_every_process() {
    catch_panics();
    let second = std::env::var_os(IS_SECOND).is_none().then(|| {
        let this = std::env::current_exe().expect("a process knows its program");
        Command::new(this).arg("--nocapture").env(IS_SECOND, "1").output()
    });
    let reports: Vec<Report> = (0..SEEDS).map(|seed| simulate(seed, false)).collect();
    let hashes: Vec<String> = reports.iter().map(hash_line).collect();
    println!("{}", hashes.join("\n"));
    let failed = reports.iter().filter(|report| !is_good(report)).count();
    assert_eq!(failed, 0, "of {SEEDS} seeds");
    if let Some(second) = second {
        let output = second.expect("this program can be run again").stdout;
        let output = String::from_utf8_lossy(&output);
        for hash in &hashes {
            assert!(output.contains(hash), "{hash} here, and in another process:\n{output}");
        }
    }
}
