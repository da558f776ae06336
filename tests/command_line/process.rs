//! Commands that run in a directory without servers.toml.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};

use crate::common::{Cluster, PATIENCE, code};

const BINARY: &str = env!("CARGO_BIN_EXE_coracle");

/// A cluster of three servers in which versions are revisions.
pub fn three_servers() -> Cluster {
    let settings = "[raft]\nelection_timeout_ms = [300, 600]\n";
    let mut cluster = Cluster::prepare_like(3, "127.0.0.1", settings);
    cluster.ids().into_iter().for_each(|id| cluster.start_server(id));
    cluster.wait_for_leader();
    cluster.wait_until_named();
    cluster
}

/// The program in an empty directory, without the variable that names servers.
pub fn program() -> (Command, tempfile::TempDir) {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let mut command = Command::new(BINARY);
    command.current_dir(directory.path()).env_remove("CORACLE_ENDPOINTS");
    (command, directory)
}

/// Runs a command with bytes on standard input.
pub fn run_with(arguments: &[&str], variables: &[(&str, &str)], input: &[u8]) -> Output {
    let (mut command, _directory) = program();
    let mut process = command
        .args(arguments)
        .envs(variables.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary can be started");
    let mut stdin = process.stdin.take().expect("it is piped");
    // A command that ends without reading its input closes the pipe, which is no failure.
    let _ = stdin.write_all(input);
    drop(stdin);
    process.wait_with_output().expect("our child can be waited for")
}

/// Runs a command at an address that has to end with this exit code; returns what it has printed.
#[track_caller]
pub fn done_at(address: &str, arguments: &[&str], exit_code: i32) -> String {
    let output = run_with(&[arguments, &["--endpoints", address]].concat(), &[], b"");
    assert_eq!(code(&output), exit_code, "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).expect("it is text")
}

/// The one sentence of a command that has ended with this exit code.
#[track_caller]
pub fn said(output: &Output, exit_code: i32) -> String {
    assert_eq!(code(output), exit_code, "{output:?}");
    let said = String::from_utf8(output.stderr.clone()).expect("it is text");
    assert_eq!(said.lines().count(), 1, "{said}");
    said
}

/// A command that runs. Dropped, it is killed.
pub struct Running {
    process: Child,
    lines: Receiver<String>,
    _directory: tempfile::TempDir,
}

impl Running {
    /// Starts a command.
    pub fn start(arguments: &[&str]) -> Running {
        let (mut command, directory) = program();
        let mut process = command
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the binary can be started");
        let output = BufReader::new(process.stdout.take().expect("it is piped"));
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            // The test may have ended.
            let _ = output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line));
        });
        Running { process, lines, _directory: directory }
    }

    /// The next line that it prints.
    #[track_caller]
    pub fn line(&self) -> String {
        self.lines.recv_timeout(PATIENCE).expect("it prints another line")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
