//! Commands that run in a directory without servers.toml.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use crate::common::code;
pub use crate::common::running::{Running, said, three_servers};

const BINARY: &str = env!("CARGO_BIN_EXE_coracle");

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

/// Starts a command that runs, in a directory that is there as long as it is kept.
pub fn start(arguments: &[&str]) -> (Running, tempfile::TempDir) {
    let (mut command, directory) = program();
    (Running::spawn(command.args(arguments)), directory)
}
