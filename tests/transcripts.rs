//! The transcripts of docs/operations.md and docs/coordination.md, run as they are written there.
//!
//! Every block of `console` is run: each line after `$ ` by a shell, with the built program, in a
//! directory with a servers.toml; and its output has to be the lines that follow. A comment before
//! a block says what has happened to the servers: `start 3 servers`, `kill 3`, `stop 3`,
//! `restart 2`. A server that is started by a line goes on in the background. The
//! document has addresses and directories of real machines, and these stand for others here:
//!
//! | in the document | here |
//! | --- | --- |
//! | `10.0.0.N:9000`, `10.0.0.N:9001` | free ports of this machine, for clients and servers |
//! | `DIR` | the directory of all servers' data |
//! | `On that machine:  coracle serve ...` in an output | the command is run when it is printed |
//!
//! Times, terms, versions, the numbers of changes and entries, and the widths of columns differ
//! from run to run, and are not compared.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};

use common::Cluster;

const BINARY: &str = env!("CARGO_BIN_EXE_coracle");

/// Maximum number of machines in a transcript.
const MACHINES: usize = 8;

/// The server that leads when a transcript begins.
const LEADER: u64 = 2;

/// A part of the document.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// The servers do this, or this is done to them.
    Event(String),
    /// A line that is typed at this line of the document, and the lines that are printed.
    Command { line: usize, typed: String, printed: Vec<String> },
}

/// The steps of a document.
fn steps(document: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut is_console = false;
    for (number, line) in document.lines().enumerate() {
        let event = line.strip_prefix("<!-- test: ").and_then(|rest| rest.strip_suffix(" -->"));
        if let Some(event) = event {
            steps.extend(event.split("; ").map(|event| Step::Event(event.to_owned())));
        } else if line == "```console" {
            is_console = true;
        } else if line.starts_with("```") {
            is_console = false;
        } else if is_console && let Some(typed) = line.strip_prefix("$ ") {
            let (line, typed) = (number + 1, typed.to_owned());
            steps.push(Step::Command { line, typed, printed: Vec::new() });
        } else if is_console {
            match steps.last_mut() {
                Some(Step::Command { printed, .. }) => printed.push(line.to_owned()),
                _ => panic!("line {}: output before a command", number + 1),
            }
        }
    }
    steps
}

/// The machines of a transcript, and the servers on them.
struct Machines {
    cluster: Cluster,
    /// The addresses in the document, each with that here.
    addresses: BTreeMap<String, String>,
    /// The servers that were started because an output said so.
    joined: Vec<Child>,
}

impl Drop for Machines {
    fn drop(&mut self) {
        for server in &mut self.joined {
            let _ = server.kill();
            let _ = server.wait();
        }
    }
}

impl Machines {
    /// Starts the first servers of a cluster, and waits until they can change their members.
    fn start(count: u64) -> Machines {
        let settings = "[raft]\nelection_timeout_ms = [300, 600]\n";
        let mut cluster = Cluster::prepare_like(MACHINES, "127.0.0.1", settings);
        let text = fs::read_to_string(cluster.config()).unwrap();
        let first: Vec<&str> = text.split("[[servers]]").take(count as usize + 1).collect();
        fs::write(cluster.config(), first.join("[[servers]]")).unwrap();
        let addresses = (1..=MACHINES as u64).flat_map(|id| {
            let here = [cluster.address(id), cluster.log_address(id)];
            [9000, 9001].map(|port| format!("10.0.0.{id}:{port}")).into_iter().zip(here)
        });
        let addresses = addresses.collect();
        (1..=count).for_each(|id| cluster.start_server(id));
        cluster.wait_for_leader();
        cluster.wait_for_highest_format();
        let machines = Machines { cluster, addresses, joined: Vec::new() };
        machines.until_done("member wait --all-in-step");
        machines.until_done(&format!("leader transfer --to {LEADER}"));
        machines.until_done("member wait --all-in-step");
        machines
    }

    /// Gives a command until it is done.
    fn until_done(&self, command: &str) {
        let arguments: Vec<&str> = command.split(' ').collect();
        self.cluster
            .wait_for(command, || self.cluster.coracle(&arguments).status.success().then_some(()));
    }

    /// Lets happen to the servers what the document says.
    fn event(&mut self, event: &str) {
        let words: Vec<&str> = event.split(' ').collect();
        match words.as_slice() {
            ["kill", id] => {
                let id = id.parse().unwrap();
                self.cluster.kill(id);
                let unseen = format!("\n{id}   voter      unseen ");
                self.cluster.wait_for("the leader to miss it", || {
                    let list = self.cluster.coracle(&["member", "list"]).stdout;
                    String::from_utf8(list).unwrap().contains(&unseen).then_some(())
                });
            }
            ["stop", id] => {
                self.cluster.terminate(id.parse().unwrap());
            }
            ["settle"] => self.cluster.wait_for("all servers to have applied the same", || {
                let statuses = self.cluster.running_statuses()?;
                let mut applied = statuses.iter().map(|status| &status["last_applied"]);
                let first = applied.next()?;
                applied.all(|other| other == first).then_some(())
            }),
            ["restart", id] => {
                let id = id.parse().unwrap();
                self.cluster.terminate(id);
                self.cluster.start_server(id);
            }
            _ => panic!("an unknown event: {event}"),
        }
    }

    fn directory(&self) -> PathBuf {
        self.cluster.config().with_file_name("")
    }

    /// Runs a line, and each server that it says is to be started. Returns the lines of both
    /// outputs in the order in which they came.
    fn run(&mut self, typed: &str) -> Vec<String> {
        let typed = self
            .addresses
            .iter()
            .fold(typed.to_owned(), |typed, (there, here)| typed.replace(there, here));
        if typed.starts_with("coracle serve ") {
            let server = self.shell(&format!("exec {typed} 2>> joined.log"), Stdio::null());
            self.joined.push(server);
            return Vec::new();
        }
        let mut shell = self.shell(&format!("{{ {typed}; }} 2>&1"), Stdio::piped());
        let output = BufReader::new(shell.stdout.take().expect("it is piped"));
        let mut lines = Vec::new();
        for line in output.lines() {
            let line = line.unwrap();
            if let Some((_, serve)) = line.split_once("On that machine:  ") {
                let serve = format!("exec {} 2>> joined.log", serve.replace("DIR", "data"));
                let server = self.shell(&serve, Stdio::null());
                self.joined.push(server);
            }
            lines.push(line);
        }
        shell.wait().unwrap();
        lines
    }

    fn shell(&self, script: &str, stdout: Stdio) -> Child {
        let programs = Path::new(BINARY).parent().expect("it is in a directory").display();
        let path = format!("{programs}:{}", std::env::var("PATH").unwrap_or_default());
        let mut shell = Command::new("sh");
        shell.args(["-c", script]).current_dir(self.directory()).env("PATH", path);
        shell.stdin(Stdio::null()).stdout(stdout).spawn().expect("a shell is installed")
    }

    /// The line without what differs from run to run.
    fn normal(&self, line: &str) -> String {
        let line = self
            .addresses
            .iter()
            .fold(line.to_owned(), |line, (there, here)| line.replace(here, there));
        normal(&line)
    }
}

/// Words after which a number differs from run to run.
const BEFORE_NUMBERS: &[&str] = &["change", "term", "entry", "wait", "cancel", "seconds_left"];
/// Words after a number that is a time.
const UNITS: &[&str] = &["ms", "s", "min", "h"];

/// The line without times, versions and the numbers of changes and entries, and with single
/// spaces.
fn normal(line: &str) -> String {
    let cells: Vec<&str> = line.split("  ").filter(|cell| !cell.trim().is_empty()).collect();
    let is_member = cells.len() == 8 && cells[0].trim().parse::<u64>().is_ok();
    let of_a_moment = is_member.then_some(cells.get(5)).flatten().map(|cell| cell.trim());
    let line = cells.iter().map(|cell| {
        let is_behind = Some(cell.trim()) == of_a_moment && cell.trim().parse::<u64>().is_ok();
        if is_behind { "N" } else { cell }
    });
    let line = line.collect::<Vec<_>>().join(" ");
    let mut words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    for at in 0..words.len() {
        let number = words[at].trim_matches(is_mark).to_owned();
        let previous = at.checked_sub(1).map(|before| words[before].trim_matches(is_mark));
        let next = words.get(at + 1).map(|next| next.trim_matches(is_mark));
        let is_number = number.parse::<u64>().is_ok();
        let is_counted = previous.is_some_and(|word| BEFORE_NUMBERS.contains(&word));
        let is_time = next.is_some_and(|word| UNITS.contains(&word));
        let is_version = number.split('.').count() == 3
            && number.split('.').all(|part| part.parse::<u64>().is_ok());
        if is_number && is_time {
            words[at] = words[at].replace(&number, "TIME");
            let unit = words[at + 1].trim_matches(is_mark).to_owned();
            words[at + 1] = words[at + 1].replace(&unit, "UNIT");
        } else if is_number && next.is_some_and(|word| word.trim_end_matches('s') == "round") {
            words[at] = "N".into();
            words[at + 1] = "rounds".into();
        } else if (is_number && is_counted) || is_version {
            words[at] = words[at].replace(&number, "N");
        }
    }
    words.join(" ")
}

fn is_mark(character: char) -> bool {
    "(),.;:`~".contains(character)
}

#[test]
fn the_transcripts_of_the_operations_page_are_what_happens() {
    run_page("docs/operations.md");
}

#[test]
fn the_transcripts_of_the_coordination_page_are_what_happens() {
    run_page("docs/coordination.md");
}

/// The page that is being run. The machine has no load by two clusters.
static RUNNING: Mutex<()> = Mutex::new(());

/// Does what a page says, and compares what is printed.
fn run_page(page: &str) {
    // The other page may have failed.
    let _running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join(page);
    let document = fs::read_to_string(document).unwrap();
    let mut machines: Option<Machines> = None;
    let mut commands = 0;
    for step in steps(&document) {
        match step {
            Step::Event(event) => match event.split(' ').collect::<Vec<_>>().as_slice() {
                ["start", count, "servers"] => {
                    // The old ones end before, so that the machine has no load by two clusters.
                    drop(machines.take());
                    machines = Some(Machines::start(count.parse().unwrap()));
                }
                _ => machines.as_mut().expect("servers are started first").event(&event),
            },
            Step::Command { line, typed, printed } => {
                let machines = machines.as_mut().expect("servers are started first");
                let found = machines.run(&typed);
                let expected: Vec<String> = printed.iter().map(|it| machines.normal(it)).collect();
                let normal: Vec<String> = found.iter().map(|it| machines.normal(it)).collect();
                let place = format!("{page}:{line}: $ {typed}");
                assert_eq!(normal, expected, "{place}\n{}", found.join("\n"));
                commands += 1;
            }
        }
    }
    assert!(commands > 0, "{page} has transcripts");
}

#[test]
fn a_document_is_read_as_events_commands_and_outputs() {
    let document = "text\n<!-- test: start 3 servers; kill 3 -->\n```console\n$ coracle a\nb\n\n\
                    $ coracle c\n```\n$ no command\n```sh\n$ none\n```\n";
    let command = |line: usize, typed: &str, printed: &[&str]| {
        let printed = printed.iter().map(|line| (*line).to_owned()).collect();
        Step::Command { line, typed: typed.into(), printed }
    };
    let expected = vec![
        Step::Event("start 3 servers".into()),
        Step::Event("kill 3".into()),
        command(4, "coracle a", &["b", ""]),
        command(7, "coracle c", &[]),
    ];
    assert_eq!(steps(document), expected);
}

#[test]
fn only_what_differs_from_run_to_run_is_not_compared() {
    let same = |one: &str, other: &str| normal(one) == normal(other);
    assert!(same("change 17: remove 1", "change 4321: remove 1"));
    assert!(!same("change 17: remove 1", "change 17: remove 2"));
    assert!(same(
        "2  voter  follower  h:1  12 ms  0  1..3  0.3.0",
        "2  voter  follower  h:1  4 s  7  1..3  1.0.12"
    ));
    assert!(!same(
        "2  voter  follower  h:1  12 ms  0  1..3  0.3.0",
        "2  voter  unseen  h:1  12 ms  0  1..3  0.3.0"
    ));
    assert!(!same(
        "2  voter  follower  h:1  12 ms  0  1..3  0.3.0",
        "2  voter  follower  h:1  12 ms  0  1..4  0.3.0"
    ));
    assert!(same("connected after 4 s", "connected after 12 ms"));
    assert!(same("1 round", "3 rounds"));
    assert!(same("`coracle member wait 17` (term 3).", "`coracle member wait 9` (term 12)."));
    assert!(!same("4 voters, 3 needed, 3 here", "4 voters, 3 needed, 4 here"));
}
