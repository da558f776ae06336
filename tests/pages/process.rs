//! Shells that run what is typed, and end with all that they have started.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::common::PATIENCE;

/// A shell, and the lines that it and its children have printed.
pub struct Running {
    typed: String,
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
    reader: JoinHandle<()>,
}

impl Running {
    /// Starts a shell whose both outputs are read together.
    pub fn start(mut shell: Command, typed: &str) -> Running {
        shell.stdin(Stdio::null());
        Running::start_with(shell, typed)
    }

    /// Likewise one to which lines are typed later.
    pub fn start_interactive(mut shell: Command, typed: &str) -> Running {
        shell.stdin(Stdio::piped());
        Running::start_with(shell, typed)
    }

    fn start_with(mut shell: Command, typed: &str) -> Running {
        shell.stdout(Stdio::piped()).process_group(0);
        let mut child = shell.spawn().expect("a shell is installed");
        let output = BufReader::new(child.stdout.take().expect("it is piped"));
        let lines: Arc<Mutex<Vec<String>>> = Arc::default();
        let read = Arc::clone(&lines);
        let reader = std::thread::spawn(move || {
            for line in output.split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line).trim_end_matches('\r').to_owned();
                read.lock().expect("no reader has failed").push(line);
            }
        });
        Running { typed: typed.to_owned(), child, lines, reader }
    }

    /// Types a line to it.
    pub fn type_in(&mut self, line: &str) -> io::Result<()> {
        let input = self.child.stdin.as_mut();
        writeln!(input.expect("it was started to be typed to"), "{line}")
    }

    /// The line that was typed to start it.
    pub fn typed(&self) -> &str {
        &self.typed
    }

    /// The lines that have been printed so far, and have not been taken.
    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().expect("no reader has failed").clone()
    }

    /// Takes the lines that have been printed so far.
    pub fn take_lines(&self) -> Vec<String> {
        std::mem::take(&mut self.lines.lock().expect("no reader has failed"))
    }

    /// Waits for its end, and hands each line to `each` when it comes; returns the exit code. A
    /// shell that a signal has ended has 128 and its number, as shells say it.
    pub fn wait(mut self, mut each: impl FnMut(&str)) -> (i32, Vec<String>) {
        // Some commands have work for a while.
        let deadline = Instant::now() + 4 * PATIENCE;
        let mut heard = 0;
        loop {
            let has_ended = self.reader.is_finished();
            let lines = self.lines();
            lines[heard..].iter().for_each(|line| each(line));
            heard = lines.len();
            let status = self.child.try_wait().expect("our child can be waited for");
            if let Some(status) = status.filter(|_| has_ended) {
                return (code(status), lines);
            }
            let text = lines.join("\n");
            assert!(Instant::now() < deadline, "{} did not end:\n{text}", self.typed);
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// True when the shell has ended.
    fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.has_ended() {
            return;
        }
        let group = Pid::from_child(&self.child);
        let _ = kill_process_group(group, Signal::TERM);
        let deadline = Instant::now() + PATIENCE / 3;
        while !self.has_ended() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(10));
        }
        // A process is waited for once, and its number is another one's afterwards.
        if !self.has_ended() {
            let _ = kill_process_group(group, Signal::KILL);
            let _ = self.child.wait();
        }
    }
}

fn code(status: ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt;
    status.code().or(status.signal().map(|signal| 128 + signal)).expect("it has ended")
}
