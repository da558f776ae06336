//! Five servers as processes, each of the old or of the new program.

use std::collections::BTreeMap;
use std::fs;
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use coracle::testing::drill::{Failure, Fleet, Stop, free_ports};

/// Number of servers of a cluster.
const SERVERS: u64 = 5;
/// One of the two programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Build {
    /// The last program before the format.
    Old,
    /// The program of this tree.
    New,
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

/// Five servers in a directory and on ports of their own, as processes of the two programs.
pub struct Cluster {
    directory: PathBuf,
    programs: Programs,
    fleet: Fleet,
    /// The ports of each server for clients and for other servers.
    ports: BTreeMap<u64, (u16, u16)>,
    /// The program that each server runs, or ran last.
    builds: BTreeMap<u64, Build>,
}

impl Cluster {
    /// Prepares five servers in `directory`, which it creates, without starting them.
    pub fn prepare(
        directory: PathBuf,
        programs: &Programs,
        setup: &Setup,
    ) -> Result<Cluster, Failure> {
        fs::create_dir_all(&directory)?;
        let mut cluster = Cluster {
            directory,
            programs: programs.clone(),
            fleet: Fleet::default(),
            ports: BTreeMap::new(),
            builds: BTreeMap::new(),
        };
        let ports = free_ports(2 * SERVERS as usize)?;
        for (id, ports) in (1..=SERVERS).zip(ports.chunks(2)) {
            let log = cluster.directory.join(format!("{id}.log"));
            cluster.fleet.add(id, format!("127.0.0.1:{}", ports[0]), log);
            cluster.ports.insert(id, (ports[0], ports[1]));
            cluster.builds.insert(id, Build::Old);
        }
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
        for (id, (client_port, log_port)) in &self.ports {
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

    /// The program that a server runs, or ran last.
    pub fn build(&self, id: u64) -> Build {
        self.builds[&id]
    }

    /// The data directory of a server.
    pub fn data_dir(&self, id: u64) -> PathBuf {
        self.directory.join("data").join(id.to_string())
    }

    /// The command that serves as `id` with a program.
    pub fn serve(&self, build: Build, id: u64) -> Command {
        let mut command = Command::new(self.program(build));
        command.args(["serve", "--log-level", "info", "--id", &id.to_string(), "--config"]);
        command.arg(self.config(build));
        command
    }

    /// Starts a server that does not run, with a program.
    pub fn start(&mut self, id: u64, build: Build) -> Result<(), Failure> {
        let mut command = self.serve(build, id);
        self.builds.insert(id, build);
        self.fleet.start(id, &mut command)
    }

    /// Starts all servers with a program.
    pub fn start_all(&mut self, build: Build) -> Result<(), Failure> {
        self.ids().into_iter().try_for_each(|id| self.start(id, build))
    }

    /// Stops a server and starts it with a program; it does not wait until the server is back.
    pub fn restart(&mut self, id: u64, build: Build, how: Stop) -> Result<(), Failure> {
        self.stop(id, how)?;
        self.start(id, build)
    }

    /// Runs the command line of a program with the settings of this cluster.
    pub fn coracle(&self, build: Build, arguments: &[&str]) -> Result<Output, Failure> {
        let mut command = Command::new(self.program(build));
        command.args(arguments).arg("--config").arg(self.config(build)).stdin(Stdio::null());
        Ok(command.output()?)
    }
}

impl Deref for Cluster {
    type Target = Fleet;

    fn deref(&self) -> &Fleet {
        &self.fleet
    }
}

impl DerefMut for Cluster {
    fn deref_mut(&mut self) -> &mut Fleet {
        &mut self.fleet
    }
}
