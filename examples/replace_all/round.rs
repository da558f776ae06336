//! One round: five servers, their load, three new servers, and the five removals.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use coracle::testing::drill::{
    Failure, Fleet, Load, LoadPlan, Members, Stop, change, check_history, check_log, check_stores,
    count_failed, free_ports, longest_gap_ms, lost_writes, members_of, say_to_leader, scan_all,
    succeeded,
};
use coracle::testing::simulation::{Answer, Operation};

/// Number of servers at the beginning; their ids begin with 1.
const OLD: u64 = 5;
/// Number of servers at the end; their ids follow those of the old ones.
const NEW: u64 = 3;
/// The number of old servers that are removed before the leader is.
const REMOVED_BEFORE_LEADER: usize = 2;
/// Number of clients that add one key after the other. What each of them was told is compared with
/// the store at the end.
const LEDGER_CLIENTS: u64 = 8;
/// Number of clients that write, read and delete the same keys.
const ONCE_CLIENTS: u64 = 24;
/// Number of keys of these clients that are in use at a time.
const KEYS: u64 = 12;
/// The size of the values in bytes.
const VALUE_BYTES: usize = 100;
/// The time that a client has for a command, over all of its tries: its retries are bounded.
const DEADLINE: Duration = Duration::from_secs(5);
/// Number of acknowledged writes after which a step has been seen to work.
const WRITES: u64 = 100;
/// The longest time without an acknowledged write that is wanted, in milliseconds.
const GAP_MS_MAX: u64 = 500;

/// The figures of a round.
pub struct Report {
    /// The steps, each with the longest time without an acknowledged write in it, in milliseconds.
    pub steps: Vec<(String, u64)>,
    /// Number of commands of the clients.
    pub commands: usize,
    /// Number of writes that were acknowledged.
    pub acknowledged: usize,
    /// The keys of acknowledged writes that are not in the store.
    pub lost: Vec<String>,
    /// Number of commands that failed after all of their tries.
    pub failed: usize,
    /// The longest time without an acknowledged write, in milliseconds.
    pub gap_ms: u64,
    /// The reason why the history is not right, if it is not.
    pub history_fault: Option<String>,
    /// The way in which the stores differ, if they do.
    pub stores_fault: Option<String>,
    /// The members at the end, as one of them lists them.
    pub members: String,
    /// The time of the round.
    pub time: Duration,
}

impl Report {
    /// Everything that is not as it should be, each as a sentence.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if !self.lost.is_empty() {
            faults.push(format!("acknowledged writes are lost: {}", self.lost.join(", ")));
        }
        if self.failed > 0 {
            faults.push(format!("{} commands failed", self.failed));
        }
        if self.gap_ms >= GAP_MS_MAX {
            faults.push(format!("no write was acknowledged for {} ms", self.gap_ms));
        }
        faults.extend(self.history_fault.clone());
        faults.extend(self.stores_fault.clone());
        faults
    }
}

/// A round that is under way.
struct Round<'a> {
    program: &'a Path,
    directory: &'a Path,
    fleet: Fleet,
    /// The ports of each server for clients and for other servers, by id.
    ports: Vec<(u16, u16)>,
    load_time: Duration,
    /// The steps so far, each with its end on the clock of the history.
    steps: Vec<(String, u64)>,
}

/// Plays a round with servers of `program` in `directory`, which it creates. The load goes on for
/// `load_time` after each step.
pub fn play(program: &Path, directory: &Path, load_time: Duration) -> Result<Report, Failure> {
    let began = Instant::now();
    fs::create_dir_all(directory)?;
    let ports = free_ports(2 * (OLD + NEW) as usize)?;
    let ports = ports.chunks(2).map(|ports| (ports[0], ports[1])).collect();
    let fleet = Fleet::default();
    let mut round = Round { program, directory, fleet, ports, load_time, steps: Vec::new() };
    let load = round.begin()?;
    round.step(&load, "five servers".to_owned())?;
    for id in OLD + 1..=OLD + NEW {
        round.add(id)?;
        round.step(&load, format!("added {id}"))?;
    }
    for removed in 0..OLD as usize {
        let is_leader_due = removed == REMOVED_BEFORE_LEADER;
        let (id, what) = round.remove(is_leader_due)?;
        round.step(&load, format!("removed {id}, {what}"))?;
        round.fleet.stop(id, Stop::Term)?;
    }
    round.step(&load, "three new servers".to_owned())?;
    let end = load.now();
    let history = load.stop()?;
    round.report(history, end, began)
}

impl Round<'_> {
    fn address(&self, port: impl Fn((u16, u16)) -> u16, id: u64) -> String {
        format!("127.0.0.1:{}", port(self.ports[id as usize - 1]))
    }

    fn client_address(&self, id: u64) -> String {
        self.address(|(client, _)| client, id)
    }

    fn log_address(&self, id: u64) -> String {
        self.address(|(_, log)| log, id)
    }

    /// Writes a servers.toml of these servers; returns its path.
    fn settings(&self, name: &str, ids: impl Iterator<Item = u64>) -> Result<PathBuf, Failure> {
        let mut text = format!("data_dir = \"{}\"\n", self.directory.join("data").display());
        for id in ids {
            let (client_port, log_port) = self.ports[id as usize - 1];
            text += &format!(
                "\n[[servers]]\nid = {id}\nhostname = \"127.0.0.1\"\n\
                 client_port = {client_port}\nlog_port = {log_port}\n"
            );
        }
        let path = self.directory.join(name);
        fs::write(&path, text)?;
        Ok(path)
    }

    /// Starts the old servers and the load.
    fn begin(&mut self) -> Result<Load, Failure> {
        let config = self.settings("servers.toml", 1..=OLD)?;
        for id in 1..=OLD {
            let mut command = self.serve(id);
            command.arg("--config").arg(&config);
            self.start(id, &mut command)?;
        }
        self.fleet.wait_for_leader()?;
        self.fleet.wait_for("the members in the logs of all servers", |fleet| {
            let lists: Option<Vec<_>> =
                fleet.running().into_iter().map(|id| members_of(&fleet.address(id))).collect();
            let is_known = |list: &Members| list.members.len() == OLD as usize;
            lists?.iter().all(is_known).then_some(())
        })?;
        Ok(Load::start(LoadPlan {
            servers: self.fleet.addresses(),
            ledger_clients: LEDGER_CLIENTS,
            once_clients: ONCE_CLIENTS,
            bare_clients: 0,
            keys: KEYS,
            value_bytes: VALUE_BYTES,
            deadline: DEADLINE,
        }))
    }

    fn serve(&self, id: u64) -> Command {
        let mut command = Command::new(self.program);
        command.args(["serve", "--log-level", "info", "--id", &id.to_string()]);
        command
    }

    fn start(&mut self, id: u64, command: &mut Command) -> Result<(), Failure> {
        let log = self.directory.join(format!("{id}.log"));
        self.fleet.add(id, self.client_address(id), log);
        self.fleet.start(id, command)
    }

    /// Lets the load go on; notes the end of the step.
    fn step(&mut self, load: &Load, what: String) -> Result<(), Failure> {
        load.go_on(self.load_time, WRITES)?;
        self.fleet.running().into_iter().try_for_each(|id| self.fleet.assert_runs(id))?;
        self.steps.push((what, load.now()));
        Ok(())
    }

    /// Starts a server that knows nothing but an address, and has it added as a voter.
    fn add(&mut self, id: u64) -> Result<(), Failure> {
        let mut command = self.serve(id);
        command.args(["--join", &self.log_address(1), "--data-dir"]);
        command.arg(self.directory.join(format!("data-of-{id}")));
        command.args(["--client-listen", &self.client_address(id)]);
        command.args(["--log-listen", &self.log_address(id)]);
        command.args(["--client-advertise", &self.client_address(id)]);
        command.args(["--log-advertise", &self.log_address(id)]);
        self.start(id, &mut command)?;
        let (log, client) = (self.log_address(id), self.client_address(id));
        let added = change(&self.running(), &format!("member add {log} {client} id {id}"))?;
        match added == id {
            true => Ok(()),
            false => Err(Failure::new(format!("server {id} was added as {added}"))),
        }
    }

    /// Removes an old server: the leader when that is due, else one that does not lead, unless
    /// there is no other. Returns its id, and what it was.
    fn remove(&mut self, is_leader_due: bool) -> Result<(u64, &'static str), Failure> {
        let mut leader = self.leader()?;
        let mut old = self.fleet.running();
        old.retain(|id| *id <= OLD);
        let follower = old.iter().copied().find(|id| *id != leader);
        let id = match (is_leader_due, follower) {
            (false, Some(follower)) => follower,
            // One of the new servers may have come to lead meanwhile.
            (true, Some(follower)) if !old.contains(&leader) => {
                self.hand_over_to(follower)?;
                leader = follower;
                follower
            }
            _ => leader,
        };
        change(&self.running(), &format!("member remove {id}"))?;
        self.fleet.wait_for(&format!("server {id} to know that it is removed"), |fleet| {
            (fleet.status(id)?.get("role") == Some("removed")).then_some(())
        })?;
        Ok((id, if id == leader { "the leader" } else { "a follower" }))
    }

    fn hand_over_to(&self, id: u64) -> Result<(), Failure> {
        let reply = say_to_leader(&self.running(), &format!("leader transfer to {id}"))?;
        match reply.starts_with("LEADER ") || reply == "ALREADY" {
            true => Ok(()),
            false => Err(Failure::new(format!("leader transfer to {id} was answered by: {reply}"))),
        }
    }

    fn leader(&mut self) -> Result<u64, Failure> {
        self.fleet.wait_for("a leader", |fleet| {
            let is_leader = |id: &u64| {
                fleet.status(*id).is_some_and(|status| status.get("role") == Some("leader"))
            };
            fleet.running().into_iter().find(is_leader)
        })
    }

    /// The addresses of the servers that run.
    fn running(&self) -> Vec<String> {
        self.fleet.running().into_iter().map(|id| self.fleet.address(id)).collect()
    }

    /// Compares the stores of the new servers, by their statuses and by `coracle check`.
    fn check_stores(&mut self) -> Result<(), Failure> {
        check_stores(&mut self.fleet)?;
        let config = self.settings("servers.new.toml", OLD + 1..=OLD + NEW)?;
        let mut check = Command::new(self.program);
        check.args(["check", "--config"]).arg(config).stdin(Stdio::null());
        succeeded("coracle check", check.output()?)?;
        Ok(())
    }

    fn report(
        mut self,
        history: Vec<Operation>,
        end: u64,
        began: Instant,
    ) -> Result<Report, Failure> {
        let stores_fault = self.check_stores().err().map(|failure| failure.to_string());
        let items = scan_all(self.running())?;
        let list = members_of(&self.fleet.address(OLD + 1));
        let list = list.ok_or_else(|| Failure::new("the members are not listed"))?;
        let expected: Vec<u64> = (OLD + 1..=OLD + NEW).collect();
        if list.voters() != expected || list.members.len() != expected.len() {
            return Err(Failure::new(format!("the members at the end are {:?}", list.members)));
        }
        for id in self.fleet.ids() {
            check_log(id, &self.fleet.log(id))?;
        }
        let is_acknowledged = |operation: &&Operation| {
            matches!(operation.answer, Answer::Stored(_) | Answer::Deleted)
        };
        let addresses =
            list.members.iter().map(|(id, member)| format!("{id} at {}", member.log_address));
        let report = Report {
            steps: gaps(&history, &self.steps),
            commands: history.len(),
            acknowledged: history.iter().filter(is_acknowledged).count(),
            lost: lost_writes(&history, &items),
            failed: count_failed(&history),
            gap_ms: longest_gap_ms(&history, end),
            members: addresses.collect::<Vec<_>>().join(", "),
            history_fault: check_history(history, items).err().map(|failure| failure.to_string()),
            stores_fault,
            time: began.elapsed(),
        };
        self.fleet.stop_all(Stop::Term)?;
        Ok(report)
    }
}

/// The longest time without an acknowledged write in each step, in milliseconds.
fn gaps(history: &[Operation], steps: &[(String, u64)]) -> Vec<(String, u64)> {
    let mut from = 0;
    let mut gaps = Vec::new();
    for (what, end) in steps {
        let is_within = |operation: &&Operation| (from..=*end).contains(&operation.returned);
        let within: Vec<Operation> = history
            .iter()
            .filter(is_within)
            .cloned()
            .map(|operation| Operation { returned: operation.returned - from, ..operation })
            .collect();
        gaps.push((what.clone(), longest_gap_ms(&within, end - from)));
        from = *end;
    }
    gaps
}
