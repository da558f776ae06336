//! The directory and the servers of a page.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use coracle::testing::drill::free_ports;
use tempfile::TempDir;

use super::page::{Part, Rules, Step};
use super::process::Running;
use super::words::{self, Found, fit, mark, normal, without_numbers};
use crate::common::http::{ask, value_of};
use crate::common::{Cluster, PATIENCE};

const BINARY: &str = env!("CARGO_BIN_EXE_coracle");
const SOURCES: &str = env!("CARGO_MANIFEST_DIR");

/// Maximum number of machines on a page.
const MACHINES: usize = 8;

/// The server that leads when a page begins.
const LEADER: u64 = 2;

/// The pause between two looks at something that is waited for.
const PAUSE: Duration = Duration::from_millis(20);

/// Programs that a machine may lack.
const OPTIONAL: &[&str] = &["curl", "promtool", "zcat"];

/// The contents of our `nc`, in the place of a program that many machines lack.
const NC: &str =
    "#!/usr/bin/env bash\nset -e\nexec 3<>\"/dev/tcp/$1/$2\" 4<&0\ncat <&4 >&3 &\ncat <&3\n";

/// A directory like a checkout, on ports of its own, and what runs in it.
pub struct Stage {
    /// The programs in the background; they are dropped first.
    background: Vec<Running>,
    cluster: Cluster,
    http_ports: Vec<u16>,
    tools: TempDir,
    /// Words of the page, each with the word that is meant here.
    table: BTreeMap<String, String>,
    /// Number of machines in servers.toml.
    count: u64,
    /// The lines that set the environment of all later shells.
    exports: String,
}

/// A failure: what was expected, and what came.
pub type Outcome = Result<(), String>;

impl Stage {
    /// Prepares a directory with the servers.toml of the sources, for its first servers.
    pub fn prepare(count: u64) -> Stage {
        let cluster = Cluster::prepare_like(MACHINES, "127.0.0.1", "");
        let http_ports = free_ports(MACHINES).expect("ports are free");
        let mut table = BTreeMap::new();
        for (offset, http_port) in http_ports.iter().enumerate() {
            let id = offset as u64 + 1;
            let (client, log) = (cluster.client_port(id), cluster.log_port(id));
            let ports = [(9000 + 2 * offset, client), (9001 + 2 * offset, log)];
            let words = ports.into_iter().chain([(9100 + offset, *http_port)]);
            table.extend(words.map(|(there, here)| (there.to_string(), here.to_string())));
            let addresses = [(9000, cluster.address(id)), (9001, cluster.log_address(id))];
            table.extend(addresses.map(|(port, here)| (format!("10.0.0.{id}:{port}"), here)));
            // A server in a servers.toml, and in the list of `coracle config`.
            let host = format!("hostname = \"10.0.0.{id}\"\n");
            let lines = |host: &str, client, log, http| {
                format!("{host}client_port = {client}\nlog_port = {log}\nhttp_port = {http}")
            };
            let here = lines("hostname = \"127.0.0.1\"\n", client, log, *http_port);
            table.insert(lines(&host, 9000, 9001, 9100), here);
            let here = format!("127.0.0.1 {client} {log} {http_port}");
            table.insert(format!("10.0.0.{id} 9000 9001 9100"), here);
            table.insert(format!("10.0.0.{id}:9100"), format!("127.0.0.1:{http_port}"));
        }
        let settings = [("/etc/coracle/servers.toml".to_owned(), "servers.toml".to_owned())];
        table.extend(settings);
        let exports = String::new();
        let tools = TempDir::new().expect("a temporary directory can be made");
        let stage =
            Stage { background: Vec::new(), cluster, http_ports, tools, table, count, exports };
        stage.link_sources();
        stage.write_settings();
        stage
    }

    /// The same with running servers, whose members can be changed.
    pub fn start(count: u64) -> Stage {
        let mut stage = Stage::prepare(count);
        (1..=count).for_each(|id| stage.cluster.start_server(id));
        stage.cluster.wait_for_leader();
        stage.cluster.wait_for_highest_format();
        stage.until_done("member wait --all-in-step");
        stage.until_done(&format!("leader transfer --to {LEADER}"));
        stage.until_done("member wait --all-in-step");
        stage
    }

    fn directory(&self) -> PathBuf {
        self.cluster.config().with_file_name("")
    }

    /// Makes the directory look like a checkout with a built program.
    fn link_sources(&self) {
        const OWN: &[&str] = &[".git", "target", "data", "servers.toml"];
        let directory = self.directory();
        for entry in fs::read_dir(SOURCES).expect("the sources can be read") {
            let entry = entry.expect("the sources can be read");
            let is_own = OWN.iter().any(|name| entry.file_name() == *name);
            if !is_own {
                symlink(entry.path(), directory.join(entry.file_name())).expect("it is ours");
            }
        }
        // It comes last, so that scripts take it for newer than the sources.
        fs::create_dir_all(directory.join("target/release")).expect("it is ours");
        symlink(BINARY, directory.join("target/release/coracle")).expect("it is ours");
        symlink(BINARY, self.tools.path().join("coracle")).expect("it is ours");
        let nc = self.tools.path().join("nc");
        fs::write(&nc, NC).expect("it is ours");
        fs::set_permissions(&nc, fs::Permissions::from_mode(0o755)).expect("it is ours");
    }

    /// Writes the servers.toml of the sources with our ports. The election timeouts are longer,
    /// because tests run side by side on small machines.
    fn write_settings(&self) {
        let text = fs::read_to_string(Path::new(SOURCES).join("servers.toml"));
        let text = words::replace(&text.expect("it is there"), &self.table);
        let text =
            text.replace("election_timeout_ms = [150, 300]", "election_timeout_ms = [300, 600]");
        const BEGIN: &str = "\n[[servers]]\n";
        let (servers, tables) = text.split_once("\n[raft]").expect("the tables begin with [raft]");
        let servers: Vec<&str> = servers.split(BEGIN).take(self.count as usize + 1).collect();
        let text = format!("{}\n[raft]{tables}", servers.join(BEGIN));
        fs::write(self.cluster.config(), text).expect("it is ours");
    }

    /// Gives a command until it is done.
    fn until_done(&self, command: &str) {
        let arguments: Vec<&str> = command.split(' ').collect();
        self.cluster
            .wait_for(command, || self.cluster.coracle(&arguments).status.success().then_some(()));
    }

    /// Lets happen to the servers what the page says.
    pub fn event(&mut self, event: &str) -> Outcome {
        if let Some(script) = event.strip_prefix("run ") {
            return self.script(script, &[0]);
        }
        if let Some(script) = event.strip_prefix("until ") {
            let deadline = Instant::now() + PATIENCE;
            while let Err(error) = self.script(script, &[0]) {
                if Instant::now() > deadline {
                    return Err(error);
                }
                std::thread::sleep(PAUSE);
            }
            return Ok(());
        }
        if let Some(line) = event.strip_prefix("type ") {
            let last = self.background.last_mut().ok_or("nothing runs in the background")?;
            return last.type_in(line).map_err(|error| error.to_string());
        }
        let words: Vec<&str> = event.split(' ').collect();
        match words.as_slice() {
            ["settle"] => self.settle(),
            ["watched"] => self.wait_for_watch(),
            ["end", "background"] => self.background.clear(),
            ["kill", "all"] => {
                // The leader comes last, so that no other one is elected.
                let (leader, others): (Vec<u64>, Vec<u64>) =
                    self.cluster.running().into_iter().partition(|id| *id == LEADER);
                others.into_iter().chain(leader).for_each(|id| self.cluster.kill(id));
            }
            [name, id] => return self.event_of(name, id.parse().map_err(|_| event.to_owned())?),
            _ => return Err(format!("an unknown event: {event}")),
        }
        Ok(())
    }

    /// Lets an event happen to one server.
    fn event_of(&mut self, name: &str, id: u64) -> Outcome {
        match name {
            "kill" => {
                self.cluster.kill(id);
                self.wait_until_missed(id);
            }
            "missed" => self.wait_until_missed(id),
            "stop" => {
                self.cluster.terminate(id);
            }
            "start" => self.cluster.start_server(id),
            "restart" => {
                self.cluster.terminate(id);
                self.cluster.start_server(id);
            }
            "lead" => {
                self.until_done(&format!("leader transfer --to {id}"));
                self.until_done("member wait --all-in-step");
            }
            "pid" => {
                self.table.insert("PID".to_owned(), self.cluster.pid(id).to_string());
            }
            _ => return Err(format!("an unknown event: {name} {id}")),
        }
        Ok(())
    }

    /// Waits until the leader takes a server for lost.
    fn wait_until_missed(&self, id: u64) {
        let unseen = format!("\n{id}   voter      unseen ");
        self.cluster.wait_for("the leader to miss it", || {
            let list = self.cluster.coracle(&["member", "list"]).stdout;
            String::from_utf8(list).expect("it is text").contains(&unseen).then_some(())
        });
    }

    /// Waits until all servers have applied the same.
    fn settle(&self) {
        self.cluster.wait_for("all servers to have applied the same", || {
            let statuses = self.cluster.running_statuses()?;
            let mut applied = statuses.iter().map(|status| &status["last_applied"]);
            let first = applied.next()?;
            applied.all(|other| other == first).then_some(())
        });
    }

    /// Waits until a server has a watch.
    fn wait_for_watch(&self) {
        let has_watch = |port: &u16| {
            let metrics = ask(*port, "GET /metrics HTTP/1.1\r\nHost: a\r\n").ok()?;
            value_of(&metrics.body, "client_watches").filter(|watches| *watches > 0.0)
        };
        self.cluster.wait_for("a watch", || self.http_ports.iter().find_map(has_watch));
    }

    /// A shell in the directory, with the built program and our tools before all others.
    fn shell(&self, script: &str, flags: &[&str]) -> Command {
        let path = std::env::var("PATH").unwrap_or_default();
        let mut shell = Command::new("bash");
        shell.args(flags).args(["-c", &format!("exec 2>&1\n{}{script}", self.exports)]);
        shell.current_dir(self.directory()).env("HOME", self.directory());
        shell.env("PATH", format!("{}:{path}", self.tools.path().display()));
        for name in ["CARGO_TARGET_DIR", "CORACLE_ENDPOINTS", "RUST_LOG"] {
            shell.env_remove(name);
        }
        shell
    }

    /// The program that the script needs and this machine lacks.
    fn lacks(&self, script: &str) -> Option<&'static str> {
        let words = script.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
        let needed: Vec<&str> = words.collect();
        let path = std::env::var_os("PATH").unwrap_or_default();
        let is_there =
            |name: &str| std::env::split_paths(&path).any(|folder| folder.join(name).is_file());
        OPTIONAL.iter().copied().find(|name| needed.contains(name) && !is_there(name))
    }

    /// Does a step of the page; returns the reason if it was left out.
    pub fn perform(&mut self, step: &Step) -> Result<Option<String>, String> {
        match &step.part {
            Part::Event(event) => {
                if let Some(program) = self.lacks(event) {
                    return Ok(Some(format!("this machine has no {program}")));
                }
                self.event(event)?;
            }
            Part::Skipped { reason, .. } => return Ok(Some(reason.clone())),
            Part::Printed(printed) => self.compare_background(printed, &step.rules)?,
            Part::Script(typed) | Part::Command { typed, .. } => {
                if let Some(program) = self.lacks(typed) {
                    return Ok(Some(format!("this machine has no {program}")));
                }
                self.type_in(&step.part, &step.rules)?;
            }
        }
        Ok(None)
    }

    fn type_in(&mut self, part: &Part, rules: &Rules) -> Outcome {
        match part {
            Part::Script(script) if rules.is_background => {
                script.lines().for_each(|line| self.start_background(line));
            }
            Part::Command { typed, printed } if rules.is_background => {
                self.start_background(typed);
                self.compare_background(printed, rules)?;
            }
            Part::Script(script) => {
                let codes = if rules.exit.is_empty() { &[0][..] } else { &rules.exit };
                self.script(script, codes)?;
                if script.lines().all(|line| line.starts_with("export ")) {
                    self.exports += &format!("{}\n", words::replace(script, &self.table));
                }
            }
            Part::Command { typed, printed } => self.command(typed, printed, rules)?,
            Part::Event(_) | Part::Printed(_) | Part::Skipped { .. } => {}
        }
        Ok(())
    }

    /// Runs a script that has to end with one of these exit codes.
    fn script(&mut self, script: &str, codes: &[i32]) -> Outcome {
        let script = words::replace(script, &self.table);
        let running = Running::start(self.shell(&script, &["-e", "-o", "pipefail"]), &script);
        let (code, lines) = running.wait(|_| {});
        match codes.contains(&code) {
            true => Ok(()),
            false => Err(format!("exit code {code} and not {codes:?}:\n{}", lines.join("\n"))),
        }
    }

    /// Runs a line, and each server that it says is to be started, and compares what it prints.
    fn command(&mut self, typed: &str, printed: &[String], rules: &Rules) -> Outcome {
        let here = words::replace(typed, &self.table);
        let here = match &rules.answer {
            Some(answer) => format!("exec <<< '{answer}'\n{here}"),
            None => here,
        };
        let running = Running::start(self.shell(&here, &[]), typed);
        let mut to_start = Vec::new();
        let mut servers = Vec::new();
        let (code, lines) = running.wait(|line| {
            if let Some((_, serve)) = line.split_once("On that machine:  ") {
                to_start.push(serve.replace("DIR", "data"));
            }
            servers.extend(to_start.drain(..).map(|serve| {
                let script = format!("exec {serve} >> joined.log");
                Running::start(self.shell(&script, &[]), &serve)
            }));
        });
        // A later part of the page looks at the last that was started by the page itself.
        self.background.splice(0..0, servers);
        let is_refusal = printed.iter().any(|line| line.starts_with("coracle: "));
        let is_right = match rules.exit.as_slice() {
            [] => (code != 0) == is_refusal,
            codes => codes.contains(&code),
        };
        if !is_right {
            return Err(format!("exit code {code}:\n{}", lines.join("\n")));
        }
        self.compare(printed, &lines, false, rules)
    }

    fn start_background(&mut self, typed: &str) {
        let script = words::replace(typed, &self.table);
        self.background.push(Running::start_interactive(self.shell(&script, &[]), typed));
    }

    /// Waits until the last program in the background has printed these lines.
    fn compare_background(&mut self, printed: &[String], rules: &Rules) -> Outcome {
        let Some(last) = self.background.pop() else {
            return Err("nothing runs in the background".to_owned());
        };
        let deadline = Instant::now() + PATIENCE;
        let mut outcome = self.compare(printed, &last.lines(), true, rules);
        while outcome.is_err() && Instant::now() < deadline {
            std::thread::sleep(PAUSE);
            outcome = self.compare(printed, &last.lines(), true, rules);
        }
        if outcome.is_ok() && !printed.is_empty() {
            last.take_lines();
        }
        let outcome = outcome.map_err(|error| format!("$ {}\n{error}", last.typed()));
        self.background.push(last);
        outcome
    }

    /// Compares lines, and learns the words that the page says stand for others.
    fn compare(
        &mut self,
        printed: &[String],
        lines: &[String],
        is_open: bool,
        rules: &Rules,
    ) -> Outcome {
        let marked: Vec<String> = [&rules.learn[..], &rules.any].concat();
        let plain = |line: &str| match rules {
            Rules { has_any_numbers: true, .. } => without_numbers(line),
            // The words that are learned are in no number that is left out.
            Rules { learn, .. } if !learn.is_empty() => line.trim_end().to_owned(),
            _ => normal(line),
        };
        let pattern =
            printed.iter().map(|line| plain(&words::replace(&mark(line, &marked), &self.table)));
        let pattern: Vec<String> = pattern.collect();
        let found: Vec<String> = lines.iter().map(|line| plain(line)).collect();
        let mut words = Found::new();
        if !fit(&pattern, &found, is_open, &mut words) {
            let lists = [pattern.join("\n"), found.join("\n"), lines.join("\n")];
            let [pattern, found, lines] = lists;
            return Err(format!(
                "--- the page\n{pattern}\n--- what came\n{found}\n--- as it came\n{lines}"
            ));
        }
        for (number, word) in rules.learn.iter().enumerate() {
            if let Some(here) = words.get(&number) {
                self.table.insert(word.clone(), here.clone());
            }
        }
        Ok(())
    }
}
