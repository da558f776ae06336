//! Commands that run while a test goes on, and what others say at their end.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use super::{Cluster, PATIENCE, code};

/// A cluster of three servers in which versions are revisions.
pub fn three_servers() -> Cluster {
    let settings = "[raft]\nelection_timeout_ms = [300, 600]\n";
    let mut cluster = Cluster::prepare_like(3, "127.0.0.1", settings);
    cluster.ids().into_iter().for_each(|id| cluster.start_server(id));
    cluster.wait_for_leader();
    cluster.wait_until_named();
    cluster
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
    /// Starts a command, of which the lines on standard output are read as they come.
    pub fn spawn(command: &mut Command) -> Running {
        let mut process = command
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
