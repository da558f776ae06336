//! The servers as processes.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, ExitStatus, Stdio};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use coracle::config::Settings;
use coracle::types::NodeId;
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::timeout;

use super::screen::Screen;
use crate::cli::failure::Failure;
use crate::cli::guarded::guarded;

/// Maximum time for a clean stop. A server that takes longer is killed, which loses nothing.
const STOP_PATIENCE: Duration = Duration::from_secs(10);

/// The servers of one cluster.
pub struct Fleet {
    program: PathBuf,
    config: PathBuf,
    screen: Arc<Screen>,
    running: BTreeMap<NodeId, Server>,
    ended: Receiver<NodeId>,
    ends: Sender<NodeId>,
}

/// A server that runs, or has ended and was not waited for: its process id is not given to another
/// process until then.
struct Server {
    process: Child,
    pid: Pid,
    copying: JoinHandle<()>,
    /// True when it was killed on request.
    is_killed: bool,
}

/// A server that has ended.
#[derive(Clone, Copy, Debug)]
pub struct Ended {
    pub id: NodeId,
    pub status: ExitStatus,
    /// True when it was killed on request.
    pub is_killed: bool,
}

impl Fleet {
    /// No servers yet. They are processes of this program, and read the file `config`.
    ///
    /// # Errors
    /// The path of this program is not known.
    pub fn new(config: PathBuf, servers: usize, screen: Arc<Screen>) -> io::Result<Fleet> {
        let program = std::env::current_exe()?;
        let (ends, ended) = channel(servers);
        let running = BTreeMap::new();
        Ok(Fleet { program, config, screen, running, ended, ends })
    }

    /// Starts a server that does not run. This must be called by the main thread: the servers are
    /// killed when the thread ends that has started them.
    ///
    /// # Errors
    /// The error of the system.
    pub fn start(&mut self, settings: &Settings, id: NodeId) -> Result<(), Failure> {
        let mut command: Vec<OsString> = vec![self.program.clone().into(), "serve".into()];
        command.extend(["--config".into(), self.config.clone().into()]);
        command.extend(["--id".into(), id.to_string().into()]);
        // Several servers find each other; one alone has to be told that it may begin.
        if settings.servers.len() == 1 && !settings.server(id)?.data_dir.exists() {
            command.push("--new-cluster".into());
        }
        let (output, writer) = io::pipe()?;
        let mut command = guarded(&command);
        command.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer);
        // The signals of the terminal are for this process alone, which stops the servers.
        let process = command.process_group(0).spawn()?;
        // The end of the pipe is that of the server, and not that of this process.
        drop(command);
        let pid = Pid::from_child(&process);
        let copying = self.screen.copy(id, output);
        let ends = self.ends.clone();
        thread::spawn(move || {
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
            while waitid(WaitId::Pid(pid), options).err() == Some(Errno::INTR) {}
            // Nobody waits any more when this process ends.
            let _ = ends.blocking_send(id);
        });
        self.running.insert(id, Server { process, pid, copying, is_killed: false });
        Ok(())
    }

    /// True when no server runs.
    pub fn is_empty(&self) -> bool {
        self.running.is_empty()
    }

    /// The process id of a server that runs.
    pub fn pid(&self, id: NodeId) -> Option<i32> {
        self.running.get(&id).map(|server| server.pid.as_raw_pid())
    }

    /// Kills a server.
    pub fn kill(&mut self, id: NodeId) {
        if let Some(server) = self.running.get_mut(&id) {
            server.is_killed = true;
            server.signal(Signal::KILL);
        }
    }

    /// The next server that ends. Cancel-safe.
    ///
    /// # Errors
    /// The error of the system.
    pub async fn next_end(&mut self) -> io::Result<Ended> {
        loop {
            let id = self.ended.recv().await.expect("the fleet has a sender itself");
            let Some(server) = self.running.remove(&id) else { continue };
            let Server { mut process, copying, is_killed, .. } = server;
            let status = process.wait()?;
            // Its last lines are shown before its end is told.
            copying.join().expect("no thread panics while it copies");
            return Ok(Ended { id, status, is_killed });
        }
    }

    /// Asks all servers to stop, and waits for them; kills those that take too long, or all as soon
    /// as `hurry` is ready.
    ///
    /// # Errors
    /// The error of the system.
    pub async fn stop(&mut self, hurry: impl Future<Output = ()>) -> io::Result<()> {
        self.signal_all(Signal::TERM);
        let stopped = async {
            while !self.is_empty() {
                self.next_end().await?;
            }
            Ok(())
        };
        tokio::select! {
            stopped = timeout(STOP_PATIENCE, stopped) => if let Ok(stopped) = stopped {
                return stopped;
            },
            () = hurry => {}
        }
        self.signal_all(Signal::KILL);
        while !self.is_empty() {
            self.next_end().await?;
        }
        Ok(())
    }

    fn signal_all(&self, signal: Signal) {
        self.running.values().for_each(|server| server.signal(signal));
    }
}

impl Server {
    fn signal(&self, signal: Signal) {
        // It fails when the server has ended, which is what is wanted.
        let _ = kill_process(self.pid, signal);
    }
}

impl Drop for Fleet {
    /// Leaves no server behind, whatever this command has failed at.
    fn drop(&mut self) {
        self.signal_all(Signal::KILL);
        for server in self.running.values_mut() {
            // An error means that it is gone.
            let _ = server.process.wait();
        }
    }
}
