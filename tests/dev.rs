//! `coracle dev`: servers in one terminal, which end with it.

mod common;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use common::PATIENCE;
use tempfile::TempDir;

/// A cluster in a terminal of its own. Dropped, it is killed.
struct Dev {
    process: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
    /// The lines that it has printed so far.
    seen: Vec<String>,
    /// The directory of its temporary files.
    temporary: TempDir,
}

impl Dev {
    fn start(arguments: &[&str]) -> Dev {
        let temporary = TempDir::new().unwrap();
        let mut process = Command::new(env!("CARGO_BIN_EXE_coracle"));
        process.arg("dev").args(arguments).env("TMPDIR", temporary.path());
        process.env_remove("RUST_LOG");
        process.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = process.spawn().expect("the binary can be started");
        let output = BufReader::new(process.stdout.take().expect("it is piped"));
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            // The test may have ended.
            let _ = output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line));
        });
        let input = process.stdin.take();
        Dev { process, input, lines, seen: Vec::new(), temporary }
    }

    fn typed(&mut self, line: &str) {
        let input = self.input.as_mut().expect("it is open until the end");
        input.write_all(format!("{line}\n").as_bytes()).expect("it reads what is typed");
    }

    /// Waits for a line of the command itself that has this text, among those that come from now
    /// on; returns what comes before and after the text.
    #[track_caller]
    fn told(&mut self, text: &str) -> (String, String) {
        loop {
            let line = self.lines.recv_timeout(PATIENCE);
            let line = line.unwrap_or_else(|_| panic!("no line has {text:?}: {:#?}", self.seen));
            self.seen.push(line.clone());
            let Some(line) = line.strip_prefix("dev | ") else { continue };
            if let Some((before, after)) = line.split_once(text) {
                return (before.to_owned(), after.to_owned());
            }
        }
    }

    /// Waits until it tells of a leader; returns the id.
    #[track_caller]
    fn leader(&mut self) -> usize {
        let (name, _) = self.told(" leads (term ");
        name.strip_prefix('n').and_then(|id| id.parse().ok()).expect("it is the name of a server")
    }

    /// The process ids of the servers that it has told of, each as it was started last.
    fn pids(&self) -> Vec<u32> {
        let pid = |line: &String| line.split_once(" runs as process ")?.1.parse().ok();
        self.seen.iter().filter_map(pid).collect()
    }

    /// The addresses of the servers for clients, once it is ready.
    fn endpoints(&mut self) -> String {
        let (_, command) = self.told("CORACLE_ENDPOINTS=");
        command.split_once(' ').expect("a command follows").0.to_owned()
    }

    fn signal(&self, name: &str) {
        let pid = self.process.id().to_string();
        let kill = Command::new("kill").args(["-s", name, &pid]).status();
        assert!(kill.expect("kill is installed").success());
    }

    /// Waits for its end; returns its exit code.
    fn end(&mut self) -> Option<i32> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.process.try_wait().expect("our child can be waited for") {
                return status.code();
            }
            assert!(Instant::now() < deadline, "it does not end: {:#?}", self.seen);
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn temporary_files(&self) -> usize {
        fs::read_dir(self.temporary.path()).expect("it is ours").count()
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// True while there is such a process, which is no zombie.
fn is_alive(pid: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status.lines().any(|line| line.starts_with("State:") && !line.contains('Z'))
}

/// Waits until none of the processes is left.
#[track_caller]
fn wait_until_gone(pids: &[u32]) {
    let deadline = Instant::now() + PATIENCE;
    while let Some(pid) = pids.iter().find(|pid| is_alive(**pid)) {
        assert!(Instant::now() < deadline, "process {pid} is left");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Runs a command with the cluster at these addresses.
fn coracle(endpoints: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_coracle"));
    command.args(arguments).env("CORACLE_ENDPOINTS", endpoints).stdin(Stdio::null());
    command.output().expect("the binary can be started")
}

#[track_caller]
fn done(endpoints: &str, arguments: &[&str]) -> String {
    let output = coracle(endpoints, arguments);
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn servers_are_killed_and_started_again_by_keys_and_all_end_with_the_command() {
    let mut dev = Dev::start(&["--nodes", "5", "--port", "0"]);
    let endpoints = dev.endpoints();
    assert_eq!(endpoints.split(',').count(), 5);
    done(&endpoints, &["set", "greeting", "hello"]);
    assert_eq!(dev.pids().len(), 5);
    assert_eq!(dev.temporary_files(), 1);

    dev.typed("l");
    let leader = dev.leader();
    let killed = dev.pids()[leader - 1];
    dev.typed(&format!("k {leader}"));
    dev.told(&format!("n{leader} was killed"));
    assert!(!is_alive(killed));
    dev.typed(&format!("k {leader}"));
    dev.told(&format!("n{leader} does not run: r {leader} starts it"));
    assert_ne!(dev.leader(), leader);
    done(&endpoints, &["set", "greeting", "hello again"]);
    dev.typed(&format!("r {leader}"));
    dev.told(&format!("n{leader} runs as process "));
    assert_eq!(dev.pids().len(), 6);
    dev.typed("k 9");
    dev.told("there is no server \"9\"");
    assert_eq!(done(&endpoints, &["get", "greeting"]), "hello again");

    let pids = dev.pids();
    dev.signal("INT");
    assert_eq!(dev.end(), Some(0));
    assert!(pids.iter().all(|pid| !is_alive(*pid)), "it waits for all servers");
    assert_eq!(dev.temporary_files(), 0);
}

#[test]
fn no_server_outlives_a_command_that_is_killed() {
    let mut dev = Dev::start(&["--nodes", "3", "--port", "0"]);
    dev.endpoints();
    let pids = dev.pids();
    assert!(pids.len() == 3 && pids.iter().all(|pid| is_alive(*pid)));
    dev.signal("KILL");
    assert_eq!(dev.end(), None);
    wait_until_gone(&pids);
}

#[test]
fn all_ends_when_nobody_reads_the_lines_any_more() {
    let mut dev = Dev::start(&["--nodes", "3", "--port", "0"]);
    dev.endpoints();
    let pids = dev.pids();
    // The thread that reads closes the pipe with the next line that nobody takes from it.
    dev.lines = channel().1;
    let deadline = Instant::now() + PATIENCE;
    while dev.process.try_wait().expect("our child can be waited for").is_none() {
        assert!(Instant::now() < deadline, "it goes on");
        // It may end before it reads this.
        let _ = dev.input.as_mut().expect("it is open").write_all(b"?\n");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(dev.end(), Some(0));
    assert!(pids.iter().all(|pid| !is_alive(*pid)), "it waits for all servers");
    assert_eq!(dev.temporary_files(), 0);
}

#[test]
fn one_server_goes_on_with_the_directory_that_it_is_given() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("dev");
    let arguments = ["--dir", path.to_str().unwrap()];
    let mut first = Dev::start(&[&arguments[..], &["--port", "0"]].concat());
    let endpoints = first.endpoints();
    done(&endpoints, &["set", "greeting", "hello"]);
    first.typed("q");
    assert_eq!(first.end(), Some(0));
    assert_eq!(first.temporary_files(), 0);

    let mut second = Dev::start(&arguments);
    assert_eq!(second.endpoints(), endpoints);
    assert_eq!(done(&endpoints, &["get", "greeting"]), "hello");
    let pids = second.pids();
    second.signal("TERM");
    assert_eq!(second.end(), Some(0));
    wait_until_gone(&pids);
    assert!(path.join("servers.toml").exists());
}

/// The directory belongs to a server that runs already.
#[test]
fn a_cluster_whose_last_server_ends_by_itself_is_a_failure() {
    let directory = TempDir::new().unwrap();
    let arguments = ["--dir", directory.path().to_str().unwrap(), "--port", "0"];
    let mut first = Dev::start(&arguments);
    first.endpoints();
    let mut second = Dev::start(&arguments[..2]);
    second.told("n1 has ended with exit code 1");
    assert_eq!(second.end(), Some(1));
    assert!(first.pids().iter().all(|pid| is_alive(*pid)));
}
