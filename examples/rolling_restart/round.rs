//! The restarts of one cluster: each round stops and starts every server once, the leader last.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use coracle::testing::drill::{
    Failure, Fleet, Load, LoadPlan, Members, Stop, check_history, check_log, check_stores,
    count_failed, free_ports, longest_gap_ms, members_of, scan_all,
};
use coracle::testing::simulation::Operation;

/// Number of servers.
const SERVERS: u64 = 5;
/// Number of clients that add one key after the other.
const LEDGER_CLIENTS: u64 = 8;
/// Number of clients that write, read and delete the same keys.
const ONCE_CLIENTS: u64 = 24;
/// Number of keys of these clients that are in use at a time.
const KEYS: u64 = 12;
/// The size of the values in bytes.
const VALUE_BYTES: usize = 100;
/// The time that a client has for a command, over all of its tries: its retries are bounded.
const DEADLINE: Duration = Duration::from_secs(5);
/// Number of acknowledged writes after which a restart has been seen to work.
const WRITES: u64 = 100;
/// The longest time without an acknowledged write that is wanted of planned restarts, in
/// milliseconds.
const GAP_MS_MAX: u64 = 100;
/// Nanoseconds in a millisecond: the clock of the history has nanoseconds.
const NANOS_PER_MS: u64 = 1_000_000;

/// The figures of one round.
pub struct Figures {
    /// The longest time without an acknowledged write, in milliseconds.
    pub gap_ms: u64,
    /// The longest time of one command, over all of its tries, in milliseconds.
    pub slowest_ms: u64,
    /// The number of terms that have begun.
    pub changes: u64,
    /// Number of commands that failed after all of their tries.
    pub failed: usize,
    /// Number of commands.
    pub commands: usize,
}

/// The figures of all rounds of a cluster, and what is wrong with it afterwards.
pub struct Report {
    /// The rounds, in their order.
    pub rounds: Vec<Figures>,
    /// The reason why the history is not right, if it is not.
    pub history_fault: Option<String>,
    /// The way in which the stores differ, if they do.
    pub stores_fault: Option<String>,
    /// The way in which the members have changed, if they have.
    pub members_fault: Option<String>,
}

impl Report {
    /// Everything that is not as it should be, each as a sentence. Only planned restarts have to
    /// keep the bounds of gaps, leaders and failures.
    pub fn faults(&self, is_planned: bool) -> Vec<String> {
        let mut faults = Vec::new();
        for (round, figures) in (1..).zip(&self.rounds).filter(|_| is_planned) {
            if figures.gap_ms >= GAP_MS_MAX {
                let gap_ms = figures.gap_ms;
                faults.push(format!("round {round}: no write was acknowledged for {gap_ms} ms"));
            }
            if figures.changes != 1 {
                faults.push(format!("round {round}: {} changes of leader", figures.changes));
            }
            if figures.failed > 0 {
                faults.push(format!("round {round}: {} commands failed", figures.failed));
            }
        }
        faults.extend(self.history_fault.clone());
        faults.extend(self.stores_fault.clone());
        faults.extend(self.members_fault.clone());
        faults
    }
}

/// One round, on the clock of the history.
struct Span {
    begin: u64,
    end: u64,
    changes: u64,
}

struct Cluster<'a> {
    program: &'a Path,
    config: PathBuf,
    fleet: Fleet,
}

/// Restarts all servers of a new cluster of `program` in `directory`, `rounds` times. The load goes
/// on for `load_time` after each restart.
pub fn play(
    program: &Path,
    directory: &Path,
    how: Stop,
    rounds: u64,
    load_time: Duration,
) -> Result<Report, Failure> {
    let mut cluster = Cluster::begin(program, directory)?;
    let members = cluster.members()?;
    let load = Load::start(LoadPlan {
        servers: cluster.fleet.addresses(),
        ledger_clients: LEDGER_CLIENTS,
        once_clients: ONCE_CLIENTS,
        bare_clients: 0,
        keys: KEYS,
        value_bytes: VALUE_BYTES,
        deadline: DEADLINE,
    });
    load.go_on(load_time, WRITES)?;
    let mut spans = Vec::new();
    for _ in 0..rounds {
        let (begin, before) = (load.now(), cluster.term()?);
        cluster.restart_all(how, &load, load_time)?;
        spans.push(Span { begin, end: load.now(), changes: cluster.term()? - before });
    }
    let history = load.stop()?;
    cluster.report(history, &spans, &members)
}

impl Cluster<'_> {
    /// Starts the servers, and waits until leaders can hand over.
    fn begin<'a>(program: &'a Path, directory: &Path) -> Result<Cluster<'a>, Failure> {
        fs::create_dir_all(directory)?;
        let ports = free_ports(2 * SERVERS as usize)?;
        let mut text = format!("data_dir = \"{}\"\n", directory.join("data").display());
        let mut fleet = Fleet::default();
        for (id, ports) in (1..).zip(ports.chunks(2)) {
            text += &format!(
                "\n[[servers]]\nid = {id}\nhostname = \"127.0.0.1\"\n\
                 client_port = {}\nlog_port = {}\n",
                ports[0], ports[1]
            );
            let log = directory.join(format!("{id}.log"));
            fleet.add(id, format!("127.0.0.1:{}", ports[0]), log);
        }
        let config = directory.join("servers.toml");
        fs::write(&config, text)?;
        let mut cluster = Cluster { program, config, fleet };
        for id in cluster.fleet.ids() {
            cluster.start(id)?;
        }
        cluster.fleet.wait_for_leader()?;
        cluster.members()?;
        Ok(cluster)
    }

    fn start(&mut self, id: u64) -> Result<(), Failure> {
        let mut command = Command::new(self.program);
        command.args(["serve", "--log-level", "info", "--id", &id.to_string(), "--config"]);
        command.arg(&self.config);
        self.fleet.start(id, &mut command)
    }

    /// The addresses of the members, when all servers list the same.
    fn members(&mut self) -> Result<Vec<String>, Failure> {
        self.fleet.wait_for("the members in the logs of all servers", |fleet| {
            let lists: Option<Vec<Vec<String>>> = fleet
                .running()
                .into_iter()
                .map(|id| members_of(&fleet.address(id)).map(|list| addresses(&list)))
                .collect();
            let lists = lists?;
            let first = lists.first()?.clone();
            let is_whole = first.len() == SERVERS as usize;
            (is_whole && lists.iter().all(|list| *list == first)).then_some(first)
        })
    }

    fn term(&mut self) -> Result<u64, Failure> {
        let leader = self.fleet.wait_for_leader()?;
        self.fleet.wait_for("the leader's term", |fleet| fleet.status(leader)?.number("term"))
    }

    /// Stops and starts every server once, the leader last.
    fn restart_all(&mut self, how: Stop, load: &Load, load_time: Duration) -> Result<(), Failure> {
        let first_leader = self.fleet.wait_for_leader()?;
        let mut order = self.fleet.ids();
        order.sort_by_key(|id| *id == first_leader);
        for id in order {
            self.fleet.stop(id, how)?;
            self.start(id)?;
            self.fleet.wait_until_back(id)?;
            load.go_on(load_time, WRITES)?;
            self.fleet.running().into_iter().try_for_each(|id| self.fleet.assert_runs(id))?;
        }
        Ok(())
    }

    fn report(
        mut self,
        history: Vec<Operation>,
        spans: &[Span],
        members: &[String],
    ) -> Result<Report, Failure> {
        let stores_fault = check_stores(&mut self.fleet).err().map(|failure| failure.to_string());
        let now = self.members()?;
        let members_fault =
            (now != members).then(|| format!("the members were {members:?}, and are {now:?}"));
        let items = scan_all(self.fleet.addresses())?;
        for id in self.fleet.ids() {
            check_log(id, &self.fleet.log(id))?;
        }
        let report = Report {
            rounds: spans.iter().map(|span| figures(&history, span)).collect(),
            history_fault: check_history(history, items).err().map(|failure| failure.to_string()),
            stores_fault,
            members_fault,
        };
        self.fleet.stop_all(Stop::Term)?;
        Ok(report)
    }
}

fn addresses(list: &Members) -> Vec<String> {
    list.members.iter().map(|(id, member)| format!("{id} at {}", member.log_address)).collect()
}

fn figures(history: &[Operation], span: &Span) -> Figures {
    let is_within = |operation: &&Operation| (span.begin..=span.end).contains(&operation.returned);
    let slowest = |operation: &Operation| operation.returned - operation.invoked;
    let slowest = history.iter().filter(is_within).map(slowest).max().unwrap_or_default();
    let within: Vec<Operation> = history
        .iter()
        .filter(is_within)
        .cloned()
        .map(|operation| Operation { returned: operation.returned - span.begin, ..operation })
        .collect();
    Figures {
        gap_ms: longest_gap_ms(&within, span.end - span.begin),
        slowest_ms: slowest / NANOS_PER_MS,
        changes: span.changes,
        failed: count_failed(&within),
        commands: within.len(),
    }
}
