//! Commands that run while a test goes on.

use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use crate::common::{Cluster, PATIENCE, code};

/// A cluster of three servers in which versions are revisions.
pub fn three_servers() -> Cluster {
    let settings = "[raft]\nelection_timeout_ms = [300, 600]\n";
    let mut cluster = Cluster::prepare_like(3, "127.0.0.1", settings);
    cluster.ids().into_iter().for_each(|id| cluster.start_server(id));
    cluster.wait_for_leader();
    cluster.wait_until_named();
    cluster
}

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

/// The one sentence of a command that was refused with this exit code.
#[track_caller]
pub fn said(output: &Output, exit_code: i32) -> String {
    assert_eq!(code(output), exit_code, "{output:?}");
    let said = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(said.lines().count(), 1, "{said}");
    said
}

/// A command that runs. Dropped, it is killed.
pub struct Running {
    process: Child,
    lines: Receiver<String>,
}

impl Running {
    /// Starts `coracle` with these arguments, and a command behind two dashes if it is not empty.
    pub fn start(cluster: &Cluster, arguments: &[&str], command: &[&str]) -> Running {
        let mut process = Command::new(env!("CARGO_BIN_EXE_coracle"));
        process.args(arguments).arg("--config").arg(cluster.config());
        if !command.is_empty() {
            process.arg("--").args(command);
        }
        let mut process = process
            .current_dir(directory(cluster))
            .env("CORACLE", env!("CARGO_BIN_EXE_coracle"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary can be started");
        let output = BufReader::new(process.stdout.take().expect("it is piped"));
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            // The test may have ended.
            let _ = output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line));
        });
        Running { process, lines }
    }

    /// The next line that it prints.
    #[track_caller]
    pub fn line(&self) -> String {
        self.lines.recv_timeout(PATIENCE).expect("it prints another line")
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// True until it has ended.
    pub fn is_running(&mut self) -> bool {
        self.process.try_wait().expect("our child can be waited for").is_none()
    }

    /// Waits for its end. Returns its exit code, the lines that it has printed and not told yet,
    /// and what it has said on standard error.
    #[track_caller]
    pub fn end(mut self) -> (i32, Vec<String>, String) {
        let deadline = Instant::now() + PATIENCE;
        while self.is_running() {
            assert!(Instant::now() < deadline, "it does not end");
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        let status = self.process.wait().expect("our child can be waited for");
        let mut said = String::new();
        let stderr = self.process.stderr.as_mut().expect("it is piped");
        stderr.read_to_string(&mut said).expect("it is text");
        let code = status.code().expect("it was not ended by a signal");
        (code, self.lines.iter().collect(), said)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
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
