//! A command that is run while something is held. It does not outlive a parent that is killed, and
//! whose lease nobody renews.

use std::ffi::{OsStr, OsString};
use std::io::{self, IsTerminal};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child as Process, ExitStatus};
use std::thread;

use rustix::io::Errno;
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, kill_process, kill_process_group, waitid,
};
use tokio::sync::oneshot;

use super::holding::Running;
use crate::cli::failure::Failure;
use crate::cli::guarded::{NOT_EXECUTABLE, guarded};

/// A command that was started.
pub struct Child {
    process: Process,
    pid: Pid,
    /// True when the command leads a group of its own, which has all that it starts, too.
    has_group: bool,
    ended: Option<oneshot::Receiver<()>>,
}

impl Child {
    /// Starts a command, with variables of the environment.
    pub fn start(command: &[OsString], variables: &[(&str, OsString)]) -> Result<Child, Failure> {
        // A command that is typed at a terminal stays in the group of the foreground, so that it
        // can read from the terminal and is interrupted by it.
        let has_group = !io::stdin().is_terminal();
        let mut guarded = guarded(command);
        guarded.envs(variables.iter().map(|(name, value)| (OsStr::new(name), value)));
        if has_group {
            guarded.process_group(0);
        }
        let process = guarded.spawn()?;
        let pid = Pid::from_child(&process);
        let (sender, ended) = oneshot::channel();
        thread::spawn(move || {
            // The process is left to be waited for once more, so that its number stays its own as
            // long as signals may be sent to it.
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
            while waitid(WaitId::Pid(pid), options).err() == Some(Errno::INTR) {}
            // Nobody waits any more when this process ends.
            let _ = sender.send(());
        });
        Ok(Child { process, pid, has_group, ended: Some(ended) })
    }

    /// The exit code of the command, which has ended: its own, or 128 and the number of the signal
    /// that ended it.
    pub fn reap(mut self) -> Result<u8, Failure> {
        Ok(exit_code(self.process.wait()?))
    }
}

impl Running for Child {
    async fn ended(&mut self) {
        if let Some(ended) = &mut self.ended {
            // An error means that the thread is gone, and so is what it waited for.
            let _ = ended.await;
            self.ended = None;
        }
    }

    fn pass_on(&mut self, signal: Signal) {
        // A terminal has interrupted the whole group of the foreground already.
        if self.has_group || signal != Signal::INT {
            self.signal(signal);
        }
    }

    fn signal(&mut self, signal: Signal) {
        // It fails when the command is gone, which is what is wanted.
        let _ = match self.has_group {
            true => kill_process_group(self.pid, signal),
            false => kill_process(self.pid, signal),
        };
    }
}

/// The exit code that tells how a command has ended, as shells have it.
fn exit_code(status: ExitStatus) -> u8 {
    match (status.code(), status.signal()) {
        (Some(code), _) => code as u8,
        (None, Some(signal)) => 128 + signal as u8,
        (None, None) => NOT_EXECUTABLE,
    }
}
