//! A cluster of real processes, which tests start, kill and ask.
//!
//! A test never sleeps for a fixed time: it polls until a condition is met. After
//! [`PATIENCE`] it fails and prints the last lines of each server's log.

// No test program uses all of this.
#![allow(dead_code)]

pub mod captured_log;
pub mod clients;
pub mod doors;
pub mod gates;
pub mod http;
pub mod members;
pub mod node_thread;
pub mod running;
pub mod slow_line;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use coracle::testing::drill::free_ports;
use doors::Doors;
use gates::Gates;
use tempfile::TempDir;

/// The time that a test waits for anything before it fails. It is far longer than anything
/// takes on any machine: it decides when a broken test ends, never whether a test passes.
pub const PATIENCE: Duration = Duration::from_secs(60);

const BINARY: &str = env!("CARGO_BIN_EXE_coracle");

/// A cluster in a directory and on ports of its own. Dropping it kills its processes, and
/// prints the ends of their logs if the test has failed.
pub struct Cluster {
    directory: TempDir,
    hostname: String,
    /// The text of servers.toml before the list of servers.
    settings: String,
    nodes: BTreeMap<u64, Node>,
    gates: Option<Gates>,
    doors: Option<Doors>,
}

struct Node {
    client_port: u16,
    /// The port at which clients are told to reach it, when it is behind a door.
    door_port: Option<u16>,
    /// The port at which other servers reach it: its own, or that of its gate.
    log_port: u16,
    /// The port at which it listens for other servers, when it is behind a gate.
    listen_port: Option<u16>,
    /// The address that it asks for the members, when it is in no servers.toml.
    joins: Option<String>,
    process: Option<Child>,
}

/// A server's reply to `status`: values by their names.
pub type Status = BTreeMap<String, String>;

impl Cluster {
    /// Starts five servers.
    pub fn start() -> Cluster {
        let mut cluster = Cluster::prepare();
        for id in cluster.ids() {
            cluster.start_server(id);
        }
        cluster
    }

    /// Prepares five servers without starting them.
    pub fn prepare() -> Cluster {
        Cluster::prepare_with("")
    }

    /// Prepares five servers with further `tables` in servers.toml.
    pub fn prepare_with(tables: &str) -> Cluster {
        // The election timeouts are longer than the defaults, because tests run side by
        // side on small machines.
        let settings = format!("{tables}\n[raft]\nelection_timeout_ms = [300, 600]\n");
        Cluster::prepare_like(5, "127.0.0.1", &settings)
    }

    /// Prepares `count` servers that listen at `hostname`, without starting them.
    /// `settings` is the text of servers.toml before the list of servers.
    pub fn prepare_like(count: usize, hostname: &str, settings: &str) -> Cluster {
        let ports = free_ports(2 * count).expect("ports are free");
        let node = |(offset, ports): (usize, &[u16])| {
            let (client_port, log_port) = (ports[0], ports[1]);
            let node = Node {
                client_port,
                door_port: None,
                log_port,
                listen_port: None,
                joins: None,
                process: None,
            };
            (offset as u64 + 1, node)
        };
        let nodes: BTreeMap<u64, Node> = ports.chunks(2).enumerate().map(node).collect();
        let directory = TempDir::new().expect("a temporary directory can be made");
        let (hostname, settings) = (hostname.to_owned(), settings.to_owned());
        let cluster = Cluster { directory, hostname, settings, nodes, gates: None, doors: None };
        cluster.write_settings(&cluster.ids());
        cluster
    }

    /// Writes a servers.toml of these servers.
    pub fn write_settings(&self, ids: &[u64]) {
        let mut text = self.settings.clone();
        for id in ids {
            let Node { client_port, door_port, log_port, listen_port, .. } = &self.nodes[id];
            let told_port = door_port.unwrap_or(*client_port);
            text += &format!(
                "[[servers]]\nid = {id}\nhostname = \"{}\"\n\
                 client_port = {told_port}\nlog_port = {log_port}\n",
                self.hostname
            );
            if door_port.is_some() {
                text += &format!("client_listen = \"127.0.0.1:{client_port}\"\n");
            }
            if let Some(port) = listen_port {
                text += &format!("log_listen = \"127.0.0.1:{port}\"\n");
            }
        }
        fs::write(self.config(), text).expect("it is ours to write to");
    }

    /// The ids of all servers.
    pub fn ids(&self) -> Vec<u64> {
        self.nodes.keys().copied().collect()
    }

    /// The path of servers.toml.
    pub fn config(&self) -> PathBuf {
        self.directory.path().join("servers.toml")
    }

    /// The address of a server for the other servers.
    pub fn log_address(&self, id: u64) -> String {
        format!("127.0.0.1:{}", self.nodes[&id].log_port)
    }

    /// The data directory of a server.
    pub fn data_dir(&self, id: u64) -> PathBuf {
        self.directory.path().join("data").join(id.to_string())
    }

    /// The address of a server for clients.
    pub fn address(&self, id: u64) -> String {
        let port = self.nodes[&id].client_port;
        match self.hostname.contains(':') {
            true => format!("[{}]:{port}", self.hostname),
            false => format!("{}:{port}", self.hostname),
        }
    }

    /// The addresses of all servers for clients.
    pub fn addresses(&self) -> Vec<String> {
        self.nodes.keys().map(|id| self.address(*id)).collect()
    }

    /// The port of a server for clients.
    pub fn client_port(&self, id: u64) -> u16 {
        self.nodes[&id].client_port
    }

    /// Starts a server that is not running. Its log is appended to the log of earlier runs.
    pub fn start_server(&mut self, id: u64) {
        self.start_server_with(id, &[]);
    }

    /// Starts a server with further arguments.
    pub fn start_server_with(&mut self, id: u64, arguments: &[&str]) {
        self.spawn_server(id, Command::new(BINARY), arguments);
    }

    /// Starts a server with these variables in its environment.
    pub fn start_server_under(&mut self, id: u64, variables: &[(&str, &str)]) {
        let mut command = Command::new(BINARY);
        command.envs(variables.iter().copied());
        self.spawn_server(id, command, &[]);
    }

    /// Starts a server from a shell that runs the command `limits` first, for example
    /// `ulimit -n 100`.
    pub fn start_server_within(&mut self, id: u64, limits: &str) {
        let mut shell = Command::new("sh");
        let script = format!("{limits} && exec \"$0\" \"$@\"");
        shell.args(["-c", &script, BINARY]);
        self.spawn_server(id, shell, &[]);
    }

    fn spawn_server(&mut self, id: u64, mut command: Command, arguments: &[&str]) {
        let log = File::options().create(true).append(true).open(self.log_path(id));
        let log = log.expect("it is ours to write to");
        command.args(["serve", "--id", &id.to_string()]);
        if self.nodes[&id].joins.is_some() {
            command.args(self.join_arguments(id));
        } else {
            let new_cluster = (self.nodes.len() == 1).then_some("--new-cluster");
            command.arg("--config").arg(self.config()).args(new_cluster);
        }
        let process = command
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a descriptor is free"))
            .stderr(log)
            .spawn()
            .expect("the binary can be started");
        let old = self.node(id).process.replace(process);
        assert!(old.is_none(), "server {id} was running");
    }

    /// Ends a running server with `kill -9`.
    pub fn kill(&mut self, id: u64) {
        let mut process = self.node(id).process.take().expect("only what runs is killed");
        process.kill().expect("our child can be killed");
        process.wait().expect("our child can be waited for");
    }

    /// Sends SIGTERM to a running server; returns its exit status.
    pub fn terminate(&mut self, id: u64) -> ExitStatus {
        self.signal(id, "TERM");
        self.wait_for_end(id)
    }

    /// Sends the signal `name` to a running server.
    pub fn signal(&self, id: u64, name: &str) {
        let kill =
            Command::new("kill").args([format!("-{name}"), self.pid(id).to_string()]).status();
        assert!(kill.expect("kill is installed").success());
    }

    /// Bytes of memory that a running server occupies.
    pub fn resident_bytes(&self, id: u64) -> u64 {
        let path = format!("/proc/{}/status", self.pid(id));
        let status = fs::read_to_string(path).expect("our child's status can be read");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
        1024 * kib.and_then(|kib| kib.parse::<u64>().ok()).expect("the kernel tells VmRSS in kB")
    }

    /// Number of files and sockets that a running server has open.
    pub fn open_descriptors(&self, id: u64) -> usize {
        let path = format!("/proc/{}/fd", self.pid(id));
        fs::read_dir(path).expect("our child's descriptors can be listed").count()
    }

    /// Number of sockets that a running server has open. Its files are not among them: a log's
    /// segment is opened when it is first read.
    pub fn open_sockets(&self, id: u64) -> usize {
        let path = format!("/proc/{}/fd", self.pid(id));
        let open = fs::read_dir(path).expect("our child's descriptors can be listed");
        // A descriptor may be closed before its link is read.
        let links = open.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
        links.filter(|link| link.to_string_lossy().starts_with("socket:")).count()
    }

    /// The process id of a running server.
    pub fn pid(&self, id: u64) -> u32 {
        self.nodes[&id].process.as_ref().expect("only what runs has a process").id()
    }

    /// Waits for the end of a server that ends by itself; returns its exit status.
    pub fn wait_for_end(&mut self, id: u64) -> ExitStatus {
        let mut process = self.node(id).process.take().expect("only what runs can end");
        wait_for_exit(&mut process)
    }

    /// The text that a server has logged so far.
    pub fn log(&self, id: u64) -> String {
        fs::read_to_string(self.log_path(id)).unwrap_or_default()
    }

    /// The reply of a server to `status`; `None` if it does not answer.
    pub fn status(&self, id: u64) -> Option<Status> {
        status_of(&self.address(id))
    }

    /// Waits until every running server has a vote and follows the same living
    /// leader; returns its id.
    pub fn wait_for_leader(&self) -> u64 {
        self.wait_for("one leader", || {
            let statuses = self.running_statuses()?;
            let (leader, term) = (statuses[0].get("leader")?, statuses[0].get("term")?);
            let agreed = statuses
                .iter()
                .all(|status| status.get("leader") == Some(leader) && status["term"] == *term);
            let leads = |status: &Status| status["id"] == *leader && status["role"] == "leader";
            let all_vote = statuses.iter().all(|status| status["role"] != "rejoining");
            let leads = agreed && all_vote && statuses.iter().any(leads);
            leads.then(|| leader.parse().expect("an id is a number"))
        })
    }

    /// Waits until the new cluster has its id, and its members are in the log. Its first leader
    /// raises the format and writes both by itself, so until then the log grows although no client
    /// writes.
    pub fn wait_until_named(&self) {
        self.wait_for("the id of the cluster", || {
            let statuses = self.running_statuses()?;
            statuses.iter().all(|status| status["cluster_id"] != "none").then_some(())
        });
        let plan = "member add 127.0.0.1:1 127.0.0.1:2 learner dry-run";
        self.wait_for("the members in the log", || {
            self.say_to_leader(plan).starts_with("PLAN ").then_some(())
        });
        self.wait_for_highest_format();
        self.wait_for_quiet();
    }

    /// Waits until the highest format that all running servers read is in force at each of them.
    /// From then on the versions of keys are revisions.
    pub fn wait_for_highest_format(&self) {
        self.wait_for("the highest format", || {
            let statuses = self.running_statuses()?;
            let is_highest = |status: &Status| {
                let (_, highest) = status["reads_formats"].split_once("..")?;
                (status["format"] == highest).then_some(())
            };
            statuses.iter().try_for_each(is_highest)
        });
    }

    /// The format that is in force at a server; 0 when it does not answer. A new cluster passes
    /// through all formats within milliseconds, so that only the last can be waited for exactly.
    pub fn format(&self, id: u64) -> u64 {
        let format = self.status(id).and_then(|status| status.get("format")?.parse().ok());
        format.unwrap_or(0)
    }

    /// Waits until all running servers have applied the whole log; returns their
    /// statuses.
    pub fn wait_for_quiet(&self) -> Vec<Status> {
        self.wait_for("every server to apply the whole log", || {
            let statuses = self.running_statuses()?;
            let last = statuses.iter().map(|status| &status["last_log_index"]).max()?;
            let done = |status: &Status| {
                status["last_log_index"] == *last && status["last_applied"] == *last
            };
            statuses.iter().all(done).then_some(statuses.clone())
        })
    }

    /// Polls until `poll` returns something. `what` says in the failure what was waited for.
    pub fn wait_for<T>(&self, what: &str, mut poll: impl FnMut() -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = poll() {
                return found;
            }
            assert!(Instant::now() < deadline, "waited {PATIENCE:?} for {what} in vain");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Connects to a server as a client.
    pub fn connect(&self, id: u64) -> io::Result<Connection> {
        Connection::open(&self.address(id))
    }

    /// Runs the command line with the servers.toml of this cluster.
    pub fn coracle(&self, arguments: &[&str]) -> Output {
        self.coracle_with_input(arguments, b"")
    }

    /// Runs the command line with `input` on standard input.
    pub fn coracle_with_input(&self, arguments: &[&str], input: &[u8]) -> Output {
        let mut process = Command::new(BINARY)
            .args(arguments)
            .arg("--config")
            .arg(self.config())
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

    pub fn running_statuses(&self) -> Option<Vec<Status>> {
        let running = self.nodes.iter().filter(|(_, node)| node.process.is_some());
        let statuses: Option<Vec<Status>> = running.map(|(id, _)| self.status(*id)).collect();
        statuses.filter(|statuses| !statuses.is_empty())
    }

    fn node(&mut self, id: u64) -> &mut Node {
        self.nodes.get_mut(&id).expect("tests use the ids of ids()")
    }

    fn log_path(&self, id: u64) -> PathBuf {
        self.directory.path().join(format!("n{id}.log"))
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for node in self.nodes.values_mut() {
            if let Some(process) = &mut node.process {
                let _ = process.kill();
                let _ = process.wait();
            }
        }
        if std::thread::panicking() {
            for id in self.nodes.keys() {
                let log = fs::read_to_string(self.log_path(*id)).unwrap_or_default();
                let lines: Vec<&str> = log.lines().collect();
                let end = &lines[lines.len().saturating_sub(20)..];
                eprintln!("--- the end of the log of n{id}:\n{}", end.join("\n"));
            }
        }
    }
}

/// The reply of the server at an address to `status`; `None` if it does not answer.
pub fn status_of(address: &str) -> Option<Status> {
    let reply = Connection::open(address).ok()?.ask("status\r\n").ok()?;
    let lines = reply.lines().filter_map(|line| line.split_once(' '));
    Some(lines.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

/// Runs `coracle serve` for a server that must end by itself; returns its exit status and
/// its text on standard error.
pub fn serve_to_its_end(config: &Path, arguments: &[&str]) -> (ExitStatus, String) {
    let mut process = Command::new(BINARY)
        .arg("serve")
        .arg("--config")
        .arg(config)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary can be started");
    let status = wait_for_exit(&mut process);
    let mut said = String::new();
    let stderr = process.stderr.as_mut().expect("it is piped");
    stderr.read_to_string(&mut said).expect("it is text");
    (status, said)
}

/// Runs the command line.
pub fn coracle(arguments: &[&str]) -> Output {
    let mut command = Command::new(BINARY);
    command.args(arguments).stdin(Stdio::null()).output().expect("the binary can be started")
}

/// The exit code of a process that was not ended by a signal.
pub fn code(output: &Output) -> i32 {
    output.status.code().expect("it was not ended by a signal")
}

fn wait_for_exit(process: &mut Child) -> ExitStatus {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(status) = process.try_wait().expect("our child can be waited for") {
            return status;
        }
        if Instant::now() >= deadline {
            let _ = process.kill();
            let _ = process.wait();
            panic!("waited {PATIENCE:?} for a server's end in vain");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A client connection on which a test sends commands as text.
pub struct Connection {
    stream: BufReader<TcpStream>,
}

impl Connection {
    /// Connects to `address`.
    pub fn open(address: &str) -> io::Result<Connection> {
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Connection { stream: BufReader::new(stream) })
    }

    /// Sends one command and returns its whole reply, line ends included.
    pub fn ask(&mut self, command: &str) -> io::Result<String> {
        self.send(command)?;
        self.hear(command)
    }

    /// Sends one command.
    pub fn send(&mut self, command: &str) -> io::Result<()> {
        self.stream.get_mut().write_all(command.as_bytes())
    }

    /// Returns the whole reply to `command`, which is the oldest without a reply.
    pub fn hear(&mut self, command: &str) -> io::Result<String> {
        let mut reply = self.line()?;
        match reply.split_whitespace().collect::<Vec<_>>().as_slice() {
            ["VALUE", .., length] => {
                let length: usize = length.parse().map_err(io::Error::other)?;
                let mut block = vec![0; length + 2];
                self.stream.read_exact(&mut block)?;
                reply += &String::from_utf8_lossy(&block);
            }
            _ if command.starts_with("status") && !reply.starts_with("ERR_") => loop {
                let line = self.line()?;
                reply += &line;
                if line == "END\r\n" {
                    break;
                }
            },
            _ => {}
        }
        Ok(reply)
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line)
    }
}
