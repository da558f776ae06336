//! A command that ends with its parent.
//!
//! It is started through this program, which first has the kernel kill it when its parent dies, and
//! then becomes the command.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use clap::Args;
use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};

use super::failure::Failure;

/// Becomes a command that ends with its parent.
#[derive(Args, Debug)]
pub struct GuardedCommand {
    /// The process that must be the parent
    parent: i32,
    #[arg(last = true, required = true)]
    command: Vec<OsString>,
}

/// This program, also when its file was replaced by a newer one meanwhile.
const OWN_PROGRAM: &str = "/proc/self/exe";

/// The exit code when there is no such command, as shells have it.
const NOT_FOUND: u8 = 127;
/// The exit code when the command cannot be run.
pub const NOT_EXECUTABLE: u8 = 126;

impl GuardedCommand {
    /// Does not return unless the command cannot be run.
    pub fn run(self) -> Result<(), Failure> {
        set_parent_process_death_signal(Some(Signal::KILL)).map_err(io::Error::from)?;
        // A parent that died before that is noticed here.
        if getppid().map(Pid::as_raw_pid) != Some(self.parent) {
            return Err(Failure::Ended(NOT_EXECUTABLE));
        }
        let (program, arguments) = self.command.split_first().expect("clap requires it");
        let error = Command::new(program).args(arguments).exec();
        let code = match error.kind() {
            io::ErrorKind::NotFound => NOT_FOUND,
            _ => NOT_EXECUTABLE,
        };
        eprintln!("coracle: {}: {error}", program.display());
        Err(Failure::Ended(code))
    }
}

/// A command that is killed when the thread ends that starts it: that must be the main one.
pub fn guarded(command: &[OsString]) -> Command {
    let mut guarded = Command::new(OWN_PROGRAM);
    let parent = std::process::id().to_string();
    guarded.arg0("coracle").args(["guarded", &parent, "--"]).args(command);
    guarded
}
