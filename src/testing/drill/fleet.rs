//! The servers of a cluster as processes.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::PATIENCE;
use super::failure::Failure;
use super::process::{LOOK, block_on, wait_for_exit};
use crate::client::{Status, status_of};

/// The time that a server has for its answer to `status`.
const STATUS_PATIENCE: Duration = Duration::from_secs(2);

/// The way in which a server is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// With SIGTERM.
    Term,
    /// With SIGKILL.
    Kill,
}

/// The servers of a cluster, each a process that runs or does not. Dropping it kills them.
#[derive(Debug, Default)]
pub struct Fleet {
    servers: BTreeMap<u64, Server>,
    /// Number of starts of a server after its first one.
    pub restarts: u64,
}

#[derive(Debug)]
struct Server {
    address: String,
    log: PathBuf,
    process: Option<Child>,
}

impl Fleet {
    /// Adds a server that does not run. `address` is the one for clients, `log` the file that gets
    /// what it logs.
    pub fn add(&mut self, id: u64, address: String, log: PathBuf) {
        self.servers.insert(id, Server { address, log, process: None });
    }

    /// The ids of all servers.
    pub fn ids(&self) -> Vec<u64> {
        self.servers.keys().copied().collect()
    }

    /// The ids of the servers that run.
    pub fn running(&self) -> Vec<u64> {
        let running = self.servers.iter().filter(|(_, server)| server.process.is_some());
        running.map(|(id, _)| *id).collect()
    }

    /// The address of a server for clients.
    pub fn address(&self, id: u64) -> String {
        self.servers[&id].address.clone()
    }

    /// The addresses of all servers for clients.
    pub fn addresses(&self) -> Vec<String> {
        self.servers.values().map(|server| server.address.clone()).collect()
    }

    /// The number of a server's process, if it runs.
    pub fn process_id(&self, id: u64) -> Option<u32> {
        self.servers[&id].process.as_ref().map(Child::id)
    }

    /// The path of a server's log.
    pub fn log_path(&self, id: u64) -> &Path {
        &self.servers[&id].log
    }

    /// The text that a server has logged so far.
    pub fn log(&self, id: u64) -> String {
        fs::read_to_string(self.log_path(id)).unwrap_or_default()
    }

    /// Starts a server that does not run, by this command. Its log is appended to that of its
    /// earlier runs.
    ///
    /// # Errors
    /// When it runs already, and when the command cannot be started.
    pub fn start(&mut self, id: u64, command: &mut Command) -> Result<(), Failure> {
        if self.server(id).process.is_some() {
            return Err(Failure::new(format!("server {id} was started twice")));
        }
        let path = self.log_path(id).to_owned();
        let is_first = !path.exists();
        let log = File::options().create(true).append(true).open(path)?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        self.server(id).process = Some(command.spawn()?);
        self.restarts += u64::from(!is_first);
        Ok(())
    }

    /// Stops a server that runs. After SIGTERM it has to end with exit code 0.
    ///
    /// # Errors
    /// When it does not run, and when it ends in another way.
    pub fn stop(&mut self, id: u64, how: Stop) -> Result<(), Failure> {
        self.assert_runs(id)?;
        let process = self.server(id).process.take();
        let mut process = process.ok_or_else(|| Failure::new(format!("server {id} is down")))?;
        if how == Stop::Kill {
            process.kill()?;
            process.wait()?;
            return Ok(());
        }
        send(&process, Signal::TERM)?;
        let status = wait_for_exit(&mut process, &format!("server {id} to end after SIGTERM"))?;
        match status.success() {
            true => Ok(()),
            false => Err(Failure::new(format!("server {id} ended with {status} after SIGTERM"))),
        }
    }

    /// Sends a signal to a server that runs.
    ///
    /// # Errors
    /// When it does not run.
    pub fn signal(&self, id: u64, signal: Signal) -> Result<(), Failure> {
        match &self.servers[&id].process {
            Some(process) => send(process, signal),
            None => Err(Failure::new(format!("server {id} is down"))),
        }
    }

    /// Stops all servers that run.
    ///
    /// # Errors
    /// When one of them does not end as it should.
    pub fn stop_all(&mut self, how: Stop) -> Result<(), Failure> {
        self.running().into_iter().try_for_each(|id| self.stop(id, how))
    }

    /// The status of a server; `None` if it does not answer.
    pub fn status(&self, id: u64) -> Option<Status> {
        block_on(status_of(&self.address(id), STATUS_PATIENCE)).ok()
    }

    /// The statuses of all servers that run; `None` if one of them does not answer.
    pub fn statuses(&self) -> Option<BTreeMap<u64, Status>> {
        self.running().into_iter().map(|id| Some((id, self.status(id)?))).collect()
    }

    /// Waits until all servers that run are voters and follow the same leader; returns its id.
    ///
    /// # Errors
    /// See [`Fleet::wait_for`].
    pub fn wait_for_leader(&mut self) -> Result<u64, Failure> {
        self.wait_for("one leader of all servers that run", |fleet| {
            let statuses = fleet.statuses()?;
            let is_leader = |status: &&Status| status.get("role") == Some("leader");
            let leader = statuses.values().find(is_leader)?;
            let (id, term) = (leader.number("id")?, leader.number("term")?);
            let follows = |status: &Status| {
                status.number("leader") == Some(id)
                    && status.number("term") == Some(term)
                    && matches!(status.get("role"), Some("leader" | "follower"))
            };
            statuses.values().all(follows).then_some(id)
        })
    }

    /// Waits until a server is a voter and has applied everything that was committed when the
    /// wait began.
    ///
    /// # Errors
    /// See [`Fleet::wait_for`].
    pub fn wait_until_back(&mut self, id: u64) -> Result<(), Failure> {
        let leader = self.wait_for_leader()?;
        let index = self.wait_for("the leader's status", |fleet| {
            fleet.status(leader)?.number("commit_index")
        })?;
        self.wait_for(&format!("server {id} to apply entry {index}"), |fleet| {
            let status = fleet.status(id)?;
            let is_voter = matches!(status.get("role"), Some("leader" | "follower"));
            (is_voter && status.number("last_applied")? >= index).then_some(())
        })
    }

    /// Polls until `poll` returns something. `what` says in the failure what was waited for.
    ///
    /// # Errors
    /// At once when a server that should run has ended, and after [`PATIENCE`].
    pub fn wait_for<T>(
        &mut self,
        what: &str,
        mut poll: impl FnMut(&Fleet) -> Option<T>,
    ) -> Result<T, Failure> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = poll(self) {
                return Ok(found);
            }
            for id in self.running() {
                self.assert_runs(id)?;
            }
            if Instant::now() >= deadline {
                return Err(Failure::new(format!(
                    "waited {} s for {what} in vain{}",
                    PATIENCE.as_secs(),
                    self.seen()
                )));
            }
            sleep(LOOK);
        }
    }

    /// The state of each server in a few words, for a failure.
    fn seen(&self) -> String {
        let mut text = String::new();
        for id in self.running() {
            text += &format!("\n  server {id}");
            let Some(status) = self.status(id) else {
                text += " does not answer";
                continue;
            };
            let names =
                ["version", "role", "term", "leader", "commit_index", "last_applied", "format"];
            for name in names {
                text += &format!(" {name}={}", status.get(name).unwrap_or("-"));
            }
        }
        text
    }

    /// Fails if a server that should run has ended.
    ///
    /// # Errors
    /// When it has ended, with the last line of its log.
    pub fn assert_runs(&mut self, id: u64) -> Result<(), Failure> {
        let Some(process) = &mut self.server(id).process else { return Ok(()) };
        let Some(status) = process.try_wait()? else { return Ok(()) };
        self.server(id).process = None;
        let log = self.log(id);
        let last = log.lines().last().unwrap_or_default();
        Err(Failure::new(format!("server {id} has ended by itself with {status}: {last}")))
    }

    fn server(&mut self, id: u64) -> &mut Server {
        self.servers.get_mut(&id).expect("drills use the ids of ids()")
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        for process in self.servers.values_mut().filter_map(|server| server.process.as_mut()) {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

fn send(process: &Child, signal: Signal) -> Result<(), Failure> {
    Ok(kill_process(Pid::from_child(process), signal).map_err(std::io::Error::from)?)
}
