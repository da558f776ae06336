//! Five servers as processes, each of the old or of the new program.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use coracle::client::{Status, status_of};
use rustix::process::{Pid, Signal, kill_process};

use crate::failure::Failure;

/// Number of servers of a cluster.
const SERVERS: u64 = 5;
/// The time that the drill waits for anything before it fails. It is far longer than anything
/// takes on any machine.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// The pause between two looks.
const LOOK: Duration = Duration::from_millis(20);
/// The time that a server has for its answer to `status`.
const STATUS_PATIENCE: Duration = Duration::from_secs(2);

/// One of the two programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Build {
    /// The last program before the format.
    Old,
    /// The program of this tree.
    New,
}

/// The way in which a server is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// With SIGTERM.
    Term,
    /// With SIGKILL.
    Kill,
}

/// The paths of the two programs.
#[derive(Clone, Debug)]
pub struct Programs {
    /// The old one.
    pub old: PathBuf,
    /// The new one.
    pub new: PathBuf,
}

impl Programs {
    /// The path of a program.
    pub fn path(&self, build: Build) -> &Path {
        match build {
            Build::Old => &self.old,
            Build::New => &self.new,
        }
    }
}

/// The settings of a cluster, apart from its addresses.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The name of the cluster.
    pub name: String,
    /// Tables of servers.toml that both programs know.
    pub tables: String,
    /// `[upgrade] raise_after_s`, which only the new program knows.
    pub raise_after_s: u64,
}

struct Server {
    client_port: u16,
    log_port: u16,
    build: Build,
    process: Option<Child>,
}

/// Five servers in a directory and on ports of their own. Dropping it kills its processes.
pub struct Cluster {
    directory: PathBuf,
    programs: Programs,
    servers: BTreeMap<u64, Server>,
    /// Number of starts of a server after its first one.
    pub restarts: u64,
}

impl Cluster {
    /// Prepares five servers in `directory`, which it creates, without starting them.
    pub fn prepare(
        directory: PathBuf,
        programs: &Programs,
        setup: &Setup,
    ) -> Result<Cluster, Failure> {
        fs::create_dir_all(&directory)?;
        let mut servers = BTreeMap::new();
        let ports = free_ports(2 * SERVERS as usize)?;
        for (id, ports) in (1..=SERVERS).zip(ports.chunks(2)) {
            let (client_port, log_port) = (ports[0], ports[1]);
            servers.insert(id, Server { client_port, log_port, build: Build::Old, process: None });
        }
        let cluster = Cluster { directory, programs: programs.clone(), servers, restarts: 0 };
        let old = cluster.settings(setup);
        let upgrade = format!("\n[upgrade]\nraise_after_s = {}\n", setup.raise_after_s);
        fs::write(cluster.config(Build::Old), &old)?;
        fs::write(cluster.config(Build::New), old + &upgrade)?;
        Ok(cluster)
    }

    fn settings(&self, setup: &Setup) -> String {
        // The election timeouts are longer than the defaults, because the drill also runs on
        // small machines.
        let mut text = format!(
            "cluster = \"{}\"\ndata_dir = \"{}\"\n{}\n[raft]\nelection_timeout_ms = [300, 600]\n",
            setup.name,
            self.directory.join("data").display(),
            setup.tables
        );
        for (id, Server { client_port, log_port, .. }) in &self.servers {
            text += &format!(
                "\n[[servers]]\nid = {id}\nhostname = \"127.0.0.1\"\n\
                 client_port = {client_port}\nlog_port = {log_port}\n"
            );
        }
        text
    }

    /// The servers.toml for a program. The old program refuses the table `[upgrade]`.
    pub fn config(&self, build: Build) -> PathBuf {
        self.directory.join(match build {
            Build::Old => "servers.old.toml",
            Build::New => "servers.toml",
        })
    }

    /// The directory of the cluster, for files of a round.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The path of a program.
    pub fn program(&self, build: Build) -> &Path {
        self.programs.path(build)
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

    /// The program that a server runs, or ran last.
    pub fn build(&self, id: u64) -> Build {
        self.servers[&id].build
    }

    /// The data directory of a server.
    pub fn data_dir(&self, id: u64) -> PathBuf {
        self.directory.join("data").join(id.to_string())
    }

    /// The address of a server for clients.
    pub fn address(&self, id: u64) -> String {
        format!("127.0.0.1:{}", self.servers[&id].client_port)
    }

    /// The addresses of all servers for clients.
    pub fn addresses(&self) -> Vec<String> {
        self.ids().into_iter().map(|id| self.address(id)).collect()
    }

    /// The path of a server's log.
    pub fn log_path(&self, id: u64) -> PathBuf {
        self.directory.join(format!("{id}.log"))
    }

    /// The text that a server has logged so far.
    pub fn log(&self, id: u64) -> String {
        fs::read_to_string(self.log_path(id)).unwrap_or_default()
    }

    /// The command that serves as `id` with a program. It logs to `log`.
    pub fn serve(&self, build: Build, id: u64, log: &Path) -> Result<Command, Failure> {
        let log = File::options().create(true).append(true).open(log)?;
        let mut command = Command::new(self.program(build));
        command.args(["serve", "--log-level", "info", "--id", &id.to_string(), "--config"]);
        command.arg(self.config(build)).stdin(Stdio::null());
        command.stdout(log.try_clone()?).stderr(log);
        Ok(command)
    }

    /// Starts a server that does not run, with a program.
    pub fn start(&mut self, id: u64, build: Build) -> Result<(), Failure> {
        let is_first = !self.log_path(id).exists();
        let process = self.serve(build, id, &self.log_path(id))?.spawn()?;
        self.restarts += u64::from(!is_first);
        let server = self.server(id);
        server.build = build;
        match server.process.replace(process) {
            None => Ok(()),
            Some(_) => Err(Failure::new(format!("server {id} was started twice"))),
        }
    }

    /// Starts all servers with a program.
    pub fn start_all(&mut self, build: Build) -> Result<(), Failure> {
        self.ids().into_iter().try_for_each(|id| self.start(id, build))
    }

    /// Stops a server that runs. After SIGTERM it has to end with exit code 0.
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
    pub fn signal(&self, id: u64, signal: Signal) -> Result<(), Failure> {
        match &self.servers[&id].process {
            Some(process) => send(process, signal),
            None => Err(Failure::new(format!("server {id} is down"))),
        }
    }

    /// Stops all servers that run.
    pub fn stop_all(&mut self, how: Stop) -> Result<(), Failure> {
        self.running().into_iter().try_for_each(|id| self.stop(id, how))
    }

    /// Stops a server and starts it with a program; it does not wait until the server is back.
    pub fn restart(&mut self, id: u64, build: Build, how: Stop) -> Result<(), Failure> {
        self.stop(id, how)?;
        self.start(id, build)
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
    pub fn wait_for_leader(&mut self) -> Result<u64, Failure> {
        self.wait_for("one leader of all servers that run", |cluster| {
            let statuses = cluster.statuses()?;
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
    pub fn wait_until_back(&mut self, id: u64) -> Result<(), Failure> {
        let leader = self.wait_for_leader()?;
        let index = self.wait_for("the leader's status", |cluster| {
            cluster.status(leader)?.number("commit_index")
        })?;
        self.wait_for(&format!("server {id} to apply entry {index}"), |cluster| {
            let status = cluster.status(id)?;
            let is_voter = matches!(status.get("role"), Some("leader" | "follower"));
            (is_voter && status.number("last_applied")? >= index).then_some(())
        })
    }

    /// Polls until `poll` returns something. It fails at once when a server that should run has
    /// ended, and after [`PATIENCE`].
    pub fn wait_for<T>(
        &mut self,
        what: &str,
        mut poll: impl FnMut(&Cluster) -> Option<T>,
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
            let build = self.build(id);
            text += &format!("\n  server {id} ({build:?})");
            let Some(status) = self.status(id) else {
                text += " does not answer";
                continue;
            };
            for name in ["role", "term", "leader", "commit_index", "last_applied", "format"] {
                text += &format!(" {name}={}", status.get(name).unwrap_or("-"));
            }
        }
        text
    }

    /// Fails if a server that should run has ended.
    pub fn assert_runs(&mut self, id: u64) -> Result<(), Failure> {
        let Some(process) = &mut self.server(id).process else { return Ok(()) };
        let Some(status) = process.try_wait()? else { return Ok(()) };
        self.server(id).process = None;
        let log = self.log(id);
        let last = log.lines().last().unwrap_or_default();
        Err(Failure::new(format!("server {id} has ended by itself with {status}: {last}")))
    }

    /// Runs the command line of a program with the settings of this cluster.
    pub fn coracle(&self, build: Build, arguments: &[&str]) -> Result<Output, Failure> {
        let mut command = Command::new(self.program(build));
        command.args(arguments).arg("--config").arg(self.config(build)).stdin(Stdio::null());
        Ok(command.output()?)
    }

    fn server(&mut self, id: u64) -> &mut Server {
        self.servers.get_mut(&id).expect("the rounds use the ids of ids()")
    }
}

impl Drop for Cluster {
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

/// Waits for the end of a process; kills it when that takes too long.
pub fn wait_for_exit(process: &mut Child, what: &str) -> Result<ExitStatus, Failure> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(status) = process.try_wait()? {
            return Ok(status);
        }
        if Instant::now() >= deadline {
            process.kill()?;
            process.wait()?;
            return Err(Failure::new(format!(
                "waited {} s for {what} in vain",
                PATIENCE.as_secs()
            )));
        }
        sleep(LOOK);
    }
}

/// The output of a command that must not fail.
pub fn succeeded(what: &str, output: Output) -> Result<String, Failure> {
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    match output.status.success() {
        true => Ok(said),
        false => {
            let error = String::from_utf8_lossy(&output.stderr);
            Err(Failure::new(format!("{what} failed with {}: {said}{error}", output.status)))
        }
    }
}

/// Runs a future to its end on this thread.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("the system gives a runtime").block_on(future)
}

/// Returns ports on which no process listens. They are below the range that the system gives to
/// outgoing connections: one of those could take the port of a server while it is down. No two
/// calls in a process return the same port.
fn free_ports(count: usize) -> Result<Vec<u16>, Failure> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    const FIRST: u32 = 10_000;
    const SPAN: u32 = 20_000;
    // Drills that run at the same time start at different ports.
    let start = std::process::id().wrapping_mul(7_919) % SPAN;
    let mut ports = Vec::new();
    while ports.len() < count {
        let next = NEXT.fetch_add(1, Ordering::SeqCst);
        if next == SPAN {
            return Err(Failure::new("all ports are taken".to_owned()));
        }
        let port = (FIRST + (start + next) % SPAN) as u16;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            ports.push(port);
        }
    }
    Ok(ports)
}
