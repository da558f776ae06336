//! The servers of the load.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use coracle::testing::drill::{Failure, Fleet, Stop, free_ports};
use tempfile::TempDir;

/// The servers, in a directory that is removed at the end.
pub struct Cluster {
    pub fleet: Fleet,
    _directory: TempDir,
}

/// Clock ticks in a second, in which the kernel counts the time of a process.
const TICKS_PER_SECOND: u64 = 100;

impl Cluster {
    /// Starts servers of `program`.
    pub fn start(program: &Path, servers: u64, settings: &str) -> Result<Cluster, Failure> {
        let program = fs::canonicalize(program)?;
        let directory = tempfile::Builder::new().prefix("coracle-watches.").tempdir()?;
        let ports = free_ports(2 * servers as usize)?;
        let mut fleet = Fleet::default();
        let mut text = format!("{settings}\n");
        for (id, ports) in (1..).zip(ports.chunks(2)) {
            let (client, log) = (ports[0], ports[1]);
            text += &format!(
                "[[servers]]\nid = {id}\nhostname = \"127.0.0.1\"\nclient_port = {client}\n\
                 log_port = {log}\n"
            );
            let log = directory.path().join(format!("{id}.log"));
            fleet.add(id, format!("127.0.0.1:{client}"), log);
        }
        let config = directory.path().join("servers.toml");
        fs::write(&config, text)?;
        for id in fleet.ids() {
            let mut command = Command::new(&program);
            command.args(["serve", "--id", &id.to_string(), "--config"]).arg(&config);
            if servers == 1 {
                command.arg("--new-cluster");
            }
            fleet.start(id, &mut command)?;
        }
        Ok(Cluster { fleet, _directory: directory })
    }

    /// Waits until every server counts revisions: a new cluster passes through the formats before.
    pub fn wait_for_revisions(&mut self) -> Result<(), Failure> {
        self.fleet.wait_for("the highest format at every server", |fleet| {
            let statuses = fleet.statuses()?;
            statuses.values().try_for_each(|status| {
                let (_, last) = status.get("reads_formats")?.split_once("..")?;
                (status.get("format")? == last).then_some(())
            })
        })
    }

    /// Stops the servers.
    pub fn end(mut self) -> Result<(), Failure> {
        self.fleet.stop_all(Stop::Term)
    }

    /// The address of a server for clients.
    pub fn address(&self, id: u64) -> String {
        self.fleet.address(id)
    }

    /// The memory of a server's process in bytes, as the kernel counts it.
    pub fn resident_bytes(&self, id: u64) -> Result<u64, Failure> {
        let text = fs::read_to_string(format!("/proc/{}/status", self.process_id(id)?))?;
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        kib.map(|kib| kib * 1024).ok_or_else(|| Failure::new("the kernel tells no VmRSS"))
    }

    /// The time that a server's process has run on a processor.
    pub fn cpu_time(&self, id: u64) -> Result<Duration, Failure> {
        cpu_time(self.process_id(id)?)
    }

    fn process_id(&self, id: u64) -> Result<u32, Failure> {
        let process = self.fleet.process_id(id);
        process.ok_or_else(|| Failure::new(format!("server {id} is down")))
    }
}

/// The time that a process has run on a processor.
pub fn cpu_time(process: u32) -> Result<Duration, Failure> {
    let text = fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The name of the program may have spaces; it is in brackets.
    let fields = text.rsplit(')').next().unwrap_or_default();
    // User and system time are the 14th and 15th field of all, and the first two are before.
    let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<u64>);
    let ticks = ticks.sum::<Result<u64, _>>();
    let ticks = ticks.map_err(|error| Failure::new(error.to_string()))?;
    Ok(Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND))
}
