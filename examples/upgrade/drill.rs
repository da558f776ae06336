//! One round: a cluster that begins with the old program, its load, and the checks at its end.

use std::path::PathBuf;
use std::time::Duration;

use coracle::testing::simulation::Operation;

use coracle::testing::drill::{
    Failure, Load, LoadPlan, PATIENCE, Stop, check_history, check_identities, check_log,
    check_stores, longest_gap_ms, say, scan_all, succeeded,
};

use crate::cluster::{Build, Cluster, Programs, Setup};

/// A number of seconds that never passes in a round: the format is raised by command only.
pub const NEVER_S: u64 = 100_000;
/// Number of clients of each kind.
const CLIENTS: u64 = 3;
/// Number of keys that are in use at a time.
const KEYS: u64 = 4;
/// Number of acknowledged writes after which a step has been seen to work.
const WRITES: u64 = 30;
/// The size of the values in bytes, unless a round needs other ones.
const VALUE_BYTES: usize = 100;

/// The data that all rounds share.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The two programs.
    pub programs: Programs,
    /// The directory in which each round has one of its own.
    pub directory: PathBuf,
    /// The time of the load after each step.
    pub load_time: Duration,
    /// The format that the new program adds.
    pub format: u64,
}

impl Plan {
    /// The format that both programs read.
    pub fn format_before(&self) -> u64 {
        self.format - 1
    }
}

/// The settings that differ between rounds.
#[derive(Clone, Debug)]
pub struct Terms {
    /// `[upgrade] raise_after_s`.
    pub raise_after_s: u64,
    /// Tables of servers.toml that both programs know.
    pub tables: &'static str,
    /// The size of the values that are written, in bytes.
    pub value_bytes: usize,
}

impl Terms {
    /// The default settings; the format is raised after `raise_after_s` seconds.
    pub fn raised_after(raise_after_s: u64) -> Terms {
        Terms { raise_after_s, tables: "", value_bytes: VALUE_BYTES }
    }
}

/// The result of a round that did not fail.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Number of starts of a server after its first one.
    pub restarts: u64,
    /// Number of commands of the clients.
    pub operations: u64,
    /// The longest time without an acknowledged write, in milliseconds.
    pub gap_ms: u64,
    /// The refusals, each with the program's own sentence.
    pub refusals: Vec<(String, String)>,
}

impl Outcome {
    /// Adds the figures of another cluster of the same round.
    pub fn add(&mut self, other: Outcome) {
        self.restarts += other.restarts;
        self.operations += other.operations;
        self.gap_ms = self.gap_ms.max(other.gap_ms);
        self.refusals.extend(other.refusals);
    }
}

/// A round that is under way.
pub struct Drill {
    /// The data that all rounds share.
    pub plan: Plan,
    /// The servers.
    pub cluster: Cluster,
    load: Option<Load>,
    outcome: Outcome,
}

impl Drill {
    /// Starts five servers with the old program, and the load.
    pub fn start(plan: &Plan, name: &str, terms: &Terms) -> Result<Drill, Failure> {
        let mut drill = Drill::prepare(plan, name, terms)?;
        drill.cluster.start_all(Build::Old)?;
        drill.cluster.wait_for_leader()?;
        // A new cluster raises its format by itself to the highest one that all read. A program
        // that reads only the first one does not show it.
        if plan.format_before() > 1 {
            drill.wait_until_all_show(plan.format_before())?;
        }
        drill.begin_load(terms.value_bytes);
        drill.go_on()?;
        Ok(drill)
    }

    /// Prepares five servers, which do not run.
    pub fn prepare(plan: &Plan, name: &str, terms: &Terms) -> Result<Drill, Failure> {
        let setup = Setup {
            name: name.to_owned(),
            tables: terms.tables.to_owned(),
            raise_after_s: terms.raise_after_s,
        };
        let cluster = Cluster::prepare(plan.directory.join(name), &plan.programs, &setup)?;
        Ok(Drill { plan: plan.clone(), cluster, load: None, outcome: Outcome::default() })
    }

    /// Starts the clients.
    pub fn begin_load(&mut self, value_bytes: usize) {
        self.load = Some(Load::start(LoadPlan {
            servers: self.cluster.addresses(),
            ledger_clients: 1,
            once_clients: CLIENTS,
            bare_clients: CLIENTS,
            keys: KEYS,
            value_bytes,
            deadline: PATIENCE,
        }));
    }

    /// Lets the load run for a while; it has to make progress.
    pub fn go_on(&mut self) -> Result<(), Failure> {
        let load_time = self.plan.load_time;
        self.load()?.go_on(load_time, WRITES)?;
        self.cluster.ids().into_iter().try_for_each(|id| self.cluster.assert_runs(id))
    }

    /// Lets the load run until it has written this many values more.
    pub fn write(&mut self, count: u64) -> Result<(), Failure> {
        self.load()?.go_on(Duration::ZERO, count)
    }

    fn load(&self) -> Result<&Load, Failure> {
        self.load.as_ref().ok_or_else(|| Failure::new("there is no load"))
    }

    /// Stops a server and starts it with a program, waits until it is back, and lets the load run.
    pub fn replace(&mut self, id: u64, build: Build, how: Stop) -> Result<(), Failure> {
        self.cluster.restart(id, build, how)?;
        self.cluster.wait_until_back(id)?;
        self.go_on()
    }

    /// Kills all servers at once and starts them with a program.
    pub fn replace_all(&mut self, build: Build) -> Result<(), Failure> {
        self.cluster.stop_all(Stop::Kill)?;
        self.cluster.start_all(build)?;
        self.cluster.wait_for_leader()?;
        Ok(())
    }

    /// Kills leaders until a server with this program leads; each is started again at once.
    pub fn lead_by(&mut self, build: Build) -> Result<u64, Failure> {
        const TRIES: u32 = 30;
        for _ in 0..TRIES {
            let leader = self.cluster.wait_for_leader()?;
            if self.cluster.build(leader) == build {
                return Ok(leader);
            }
            self.cluster.restart(leader, self.cluster.build(leader), Stop::Kill)?;
        }
        Err(Failure::new(format!("no server with the program {build:?} has become the leader")))
    }

    /// Kills the leader and starts it again, with the program that it had.
    pub fn kill_leader(&mut self) -> Result<(), Failure> {
        let leader = self.cluster.wait_for_leader()?;
        self.replace(leader, self.cluster.build(leader), Stop::Kill)
    }

    /// Waits until all servers show the new format.
    pub fn wait_for_format(&mut self) -> Result<(), Failure> {
        self.wait_until_all_show(self.plan.format)
    }

    fn wait_until_all_show(&mut self, format: u64) -> Result<(), Failure> {
        self.cluster.wait_for(&format!("format {format} on all servers"), |cluster| {
            let statuses = cluster.statuses()?;
            statuses.values().all(|status| status.number("format") == Some(format)).then_some(())
        })
    }

    /// Fails if a server with the new program shows the new format.
    pub fn assert_not_raised(&mut self) -> Result<(), Failure> {
        let before = self.plan.format_before();
        for id in self.cluster.ids() {
            if self.cluster.build(id) == Build::Old {
                continue;
            }
            let shown = self.cluster.wait_for("a server's status", |cluster| {
                Some(cluster.status(id)?.number("format"))
            })?;
            if let Some(shown) = shown.filter(|shown| *shown > before) {
                let reason = format!("server {id} shows the format {shown}, and not {before}");
                return Err(Failure::new(reason));
            }
        }
        Ok(())
    }

    /// Sends a command as text to a server; returns the reply, one line. `None` without a reply.
    pub fn say(&self, id: u64, command: &str) -> Option<String> {
        say(&self.cluster.address(id), command)
    }

    /// Asks the leader to raise the format until it does, and waits until all servers show it.
    pub fn raise(&mut self) -> Result<(), Failure> {
        let mut last = None;
        let raised = self.cluster.wait_for("the leader to raise the format", |cluster| {
            let leader = cluster.running().into_iter().find(|id| {
                cluster.status(*id).is_some_and(|status| status.get("role") == Some("leader"))
            })?;
            last = say(&cluster.address(leader), "upgrade raise");
            last.as_ref().is_some_and(|reply| reply.starts_with("OK")).then_some(())
        });
        if let Err(failure) = raised {
            return Err(Failure::new(format!("{failure}; the last reply was {last:?}")));
        }
        self.wait_for_format()
    }

    /// Notes a refusal for the list at the end. The directory of the drill is left out of the
    /// sentence.
    pub fn note(&mut self, what: impl Into<String>, sentence: impl Into<String>) {
        let directory = format!("{}/", self.plan.directory.display());
        self.outcome.refusals.push((what.into(), sentence.into().replace(&directory, "")));
    }

    /// Adds the figures of another cluster of the same round.
    pub fn add(&mut self, other: Outcome) {
        self.outcome.add(other);
    }

    /// Stops the load and checks everything. Returns the figures of the round.
    pub fn finish(mut self) -> Result<Outcome, Failure> {
        self.cluster.wait_for_leader()?;
        let mut history: Vec<Operation> = Vec::new();
        if let Some(load) = self.load.take() {
            let end = load.now();
            history = load.stop()?;
            self.outcome.gap_ms = self.outcome.gap_ms.max(longest_gap_ms(&history, end));
            self.outcome.operations += history.len() as u64;
        }
        check_stores(&mut self.cluster)?;
        if !history.is_empty() {
            check_history(history, scan_all(self.cluster.addresses())?)?;
        }
        self.check_raised()?;
        for id in self.cluster.ids() {
            self.cluster.assert_runs(id)?;
            check_log(id, &self.cluster.log(id))?;
        }
        self.outcome.restarts += self.cluster.restarts;
        self.cluster.stop_all(Stop::Term)?;
        Ok(self.outcome)
    }

    /// After the raise, all servers have the format and one id of the cluster, and
    /// `coracle check` says that their stores are equal.
    fn check_raised(&mut self) -> Result<(), Failure> {
        let leader = self.cluster.wait_for_leader()?;
        let shown = self.cluster.wait_for("the leader's status", |cluster| {
            Some(cluster.status(leader)?.number("format"))
        })?;
        if shown != Some(self.plan.format) {
            return Ok(());
        }
        self.wait_for_format()?;
        check_identities(&mut self.cluster)?;
        succeeded("coracle check", self.cluster.coracle(Build::New, &["check"])?)?;
        Ok(())
    }
}
