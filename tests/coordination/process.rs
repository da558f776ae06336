//! Commands that run while a test goes on.

use std::path::PathBuf;
use std::process::Command;

pub use crate::common::running::{Running, said, three_servers};
use crate::common::{Cluster, code};

/// Runs a command that has to end with this exit code; returns what it has printed.
#[track_caller]
pub fn done(cluster: &Cluster, arguments: &[&str], exit_code: i32) -> String {
    done_with_input(cluster, arguments, "", exit_code)
}

/// Likewise, with a text on standard input.
#[track_caller]
pub fn done_with_input(
    cluster: &Cluster,
    arguments: &[&str],
    input: &str,
    exit_code: i32,
) -> String {
    let output = cluster.coracle_with_input(arguments, input.as_bytes());
    assert_eq!(code(&output), exit_code, "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Compacts the history, and waits until every server has: each answers for what it has applied.
pub fn compact(cluster: &Cluster, revision: &str) {
    assert_eq!(done(cluster, &["compact", revision], 0), format!("{revision}\n"));
    cluster.wait_for("every server to have compacted", || {
        let has = |id: &u64| Some(cluster.status(*id)?["compacted_revision"] == revision);
        cluster.ids().iter().all(|id| has(id) == Some(true)).then_some(())
    });
}

/// Runs a command that is refused with this exit code; returns its sentence.
#[track_caller]
pub fn refused(cluster: &Cluster, arguments: &[&str], exit_code: i32) -> String {
    said(&cluster.coracle(arguments), exit_code)
}

/// Starts `coracle` with these arguments, and a command behind two dashes if it is not empty.
pub fn start(cluster: &Cluster, arguments: &[&str], command: &[&str]) -> Running {
    let mut process = Command::new(env!("CARGO_BIN_EXE_coracle"));
    process.args(arguments).arg("--config").arg(cluster.config());
    if !command.is_empty() {
        process.arg("--").args(command);
    }
    let coracle = env!("CARGO_BIN_EXE_coracle");
    Running::spawn(process.current_dir(directory(cluster)).env("CORACLE", coracle))
}

/// Sends a signal to a process; a number below 0 means a group.
pub fn signal(pid: i64, name: &str) {
    let kill = Command::new("kill").args(["-s", name, "--", &pid.to_string()]).status();
    assert!(kill.expect("kill is installed").success());
}

/// True while there is such a process, which is no zombie.
pub fn is_alive(pid: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status.lines().any(|line| line.starts_with("State:") && !line.contains('Z'))
}

/// A directory for the files of a test.
pub fn directory(cluster: &Cluster) -> PathBuf {
    cluster.config().with_file_name("")
}

/// The versions and values of the places in the queue of a lock or an election, the first one
/// first: by them a test knows who waits.
pub fn queue(cluster: &Cluster, name: &str) -> Vec<(u64, String)> {
    let output = cluster.coracle(&["scan", &format!("{name}/")]);
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let mut places: Vec<(u64, String)> = lines
        .chunks(2)
        .map(|place| {
            let version = place[0].split(' ').nth(1).expect("it is a line of a scan");
            (version.parse().unwrap(), place[1].to_owned())
        })
        .collect();
    places.sort();
    places
}

/// Waits until so many have a place in the queue.
pub fn wait_for_places(cluster: &Cluster, name: &str, places: usize) -> Vec<(u64, String)> {
    cluster.wait_for("places in the queue", || {
        Some(queue(cluster, name)).filter(|queue| queue.len() == places)
    })
}
