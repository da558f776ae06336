//! The old program after the format was raised, and `coracle upgrade check`.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::Duration;

use coracle::testing::drill::{Failure, LEDGER, Stop, succeeded, wait_for_exit};

use crate::cluster::Build;
use crate::drill::{Drill, NEVER_S, Outcome, Plan, Terms};
use crate::rounds::files::{save, small_files, text};

/// The time for which an old server with an empty directory runs beside the new ones.
const REFUSED_FOR: Duration = Duration::from_secs(3);
/// The time after which the format is raised by itself, in seconds.
const RAISE_AFTER_S: u64 = 1;

/// The old program meets everything that the new one has written after the raise.
pub fn after_raise(plan: &Plan, name: &str) -> Result<Outcome, Failure> {
    let mut drill = Drill::start(plan, name, &Terms::raised_after(RAISE_AFTER_S))?;
    drill.replace_all(Build::New)?;
    drill.wait_for_format()?;
    drill.go_on()?;
    let id = drill.cluster.ids()[1];
    refused_directory(&mut drill, id, "with the format in its log")?;
    let leader = drill.cluster.wait_for_leader()?;
    refused_directory(&mut drill, leader, "of the last leader")?;
    refused_by_peers(&mut drill, id)?;
    refused_backup(plan, &mut drill, name)?;
    old_client(&mut drill)?;
    drill.add(after_snapshots(plan, &format!("{name}-snapshots"))?);
    drill.finish()
}

/// The same for directories in which snapshots have replaced the entry with the format.
fn after_snapshots(plan: &Plan, name: &str) -> Result<Outcome, Failure> {
    let terms = Terms { raise_after_s: RAISE_AFTER_S, ..small_files() };
    let mut drill = Drill::start(plan, name, &terms)?;
    drill.replace_all(Build::New)?;
    drill.wait_for_format()?;
    let id = drill.cluster.ids()[2];
    let raised = drill
        .cluster
        .wait_for("a server's status", |cluster| cluster.status(id)?.number("last_log_index"))?;
    // Two snapshots are kept, and the log begins behind the older one.
    let behind = raised + 500;
    drill.write(1_000)?;
    drill.cluster.wait_for("a snapshot with the format", |cluster| {
        (cluster.status(id)?.number("snapshot_index")? > behind).then_some(())
    })?;
    refused_directory(&mut drill, id, "with the format in its snapshots")?;
    drill.finish()
}

/// A server is stopped, and comes back after the old program has refused its directory.
fn refused_directory(drill: &mut Drill, id: u64, what: &str) -> Result<(), Failure> {
    drill.cluster.stop(id, Stop::Term)?;
    refuse(drill, id, what)?;
    drill.cluster.start(id, Build::New)?;
    drill.cluster.wait_until_back(id)?;
    drill.go_on()
}

/// The old program is started on the directory of a server that is down; it has to refuse it and
/// leave it as it is.
pub fn refuse(drill: &mut Drill, id: u64, what: &str) -> Result<(), Failure> {
    let directory = drill.cluster.data_dir(id);
    let before = (contents(&directory)?, verify(drill, &directory)?);
    let log = drill.cluster.directory().join(format!("{id}.refused.log"));
    let _ = fs::remove_file(&log);
    let mut process = spawn_old(drill, id, &log)?;
    let status = wait_for_exit(&mut process, "the old program to refuse the directory")?;
    let said = fs::read_to_string(&log)?;
    if status.code() != Some(1) {
        return Err(Failure::new(format!("the old program ended with {status}: {said}")));
    }
    unchanged(drill, &directory, &before)?;
    drill.note(format!("old serve on a directory {what}, exit code 1"), last_line(&said));
    let dump = ["log", "dump", "--data-dir", &text(&directory)];
    let dumped = Command::new(drill.cluster.program(Build::Old)).args(dump).output()?;
    unchanged(drill, &directory, &before)?;
    if dumped.status.success() {
        drill.note(
            format!("old log dump of a directory {what}"),
            "not refused: the log has only entries of the format before",
        );
    } else {
        let sentence = last_line(&String::from_utf8_lossy(&dumped.stderr));
        drill.note(format!("old log dump of a directory {what}, {}", dumped.status), sentence);
    }
    Ok(())
}

/// Starts the old program as server `id`, beside the servers of the cluster. It logs to `log`.
fn spawn_old(drill: &Drill, id: u64, log: &Path) -> Result<Child, Failure> {
    let log = File::options().create(true).append(true).open(log)?;
    let mut command = drill.cluster.serve(Build::Old, id);
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    Ok(command.spawn()?)
}

/// The old program is started with an empty directory beside the new servers: they refuse it, and
/// nothing of the cluster comes to it.
fn refused_by_peers(drill: &mut Drill, id: u64) -> Result<(), Failure> {
    drill.cluster.stop(id, Stop::Term)?;
    let directory = drill.cluster.data_dir(id);
    let aside = drill.cluster.directory().join("aside");
    fs::rename(&directory, &aside)?;
    let seen: BTreeMap<u64, usize> =
        drill.cluster.running().into_iter().map(|id| (id, drill.cluster.log(id).len())).collect();
    let log = drill.cluster.directory().join(format!("{id}.empty.log"));
    let mut process = spawn_old(drill, id, &log)?;
    sleep(REFUSED_FOR);
    let status = drill.cluster.status(id);
    process.kill()?;
    process.wait()?;
    let status = status.ok_or_else(|| Failure::new("the old server does not answer"))?;
    let is_empty = |name| status.number(name) == Some(0);
    if !["last_log_index", "commit_index", "last_applied", "snapshot_index", "keys"]
        .into_iter()
        .all(is_empty)
    {
        return Err(Failure::new(format!("the old server was sent something: {status:?}")));
    }
    for (other, from) in &seen {
        let log = drill.cluster.log(*other);
        let is_refusal = |line: &&str| {
            let is_about = format!("is in force, and node {id}, ");
            line.contains("refused peer") && line.contains(&is_about)
        };
        let Some(line) = log[*from..].lines().find(is_refusal) else {
            return Err(Failure::new(format!("server {other} has not refused server {id}")));
        };
        if Some(other) == seen.keys().next() {
            drill
                .note("old serve with an empty directory, in the logs of its peers", message(line));
        }
    }
    let said = fs::read_to_string(&log)?;
    let line = said.lines().find(|line| line.contains("it refused the hello"));
    drill.note("the same, in its own log", message(line.unwrap_or_default()));
    fs::remove_dir_all(&directory)?;
    fs::rename(&aside, &directory)?;
    drill.cluster.start(id, Build::New)?;
    drill.cluster.wait_until_back(id)?;
    drill.go_on()
}

/// A backup from after the raise is refused by the old program, and stays as it is.
fn refused_backup(plan: &Plan, drill: &mut Drill, name: &str) -> Result<(), Failure> {
    let file = save(drill, Build::New, "raised")?;
    let before = fs::read(&file)?;
    let inspect = ["snapshot", "inspect", &text(&file)];
    let inspected = Command::new(drill.cluster.program(Build::New)).args(inspect).output()?;
    succeeded("snapshot inspect", inspected)?;
    let inspected = Command::new(drill.cluster.program(Build::Old)).args(inspect).output()?;
    refused(drill, "old snapshot inspect of a backup of the new format", &inspected)?;
    let name = format!("{name}-restored");
    let other = Drill::prepare(plan, &name, &Terms::raised_after(NEVER_S))?.cluster;
    let restore = ["snapshot", "restore", &text(&file), "--all"];
    let restored = other.coracle(Build::Old, &restore)?;
    refused(drill, "old snapshot restore of a backup of the new format", &restored)?;
    for id in other.ids() {
        if other.data_dir(id).exists() {
            return Err(Failure::new(format!("restore has made {}", other.data_dir(id).display())));
        }
    }
    match fs::read(&file)? == before {
        true => Ok(()),
        false => Err(Failure::new("the old program has changed the backup")),
    }
}

/// The old command line still reads and writes, and refuses a backup that it cannot check.
fn old_client(drill: &mut Drill) -> Result<(), Failure> {
    let written = drill.cluster.coracle(Build::Old, &["set", LEDGER, "by the old client"])?;
    succeeded("old set", written)?;
    let read = drill.cluster.coracle(Build::Old, &["get", LEDGER])?;
    if succeeded("old get", read)?.trim_end() != "by the old client" {
        return Err(Failure::new("the old client reads something else"));
    }
    succeeded("old delete", drill.cluster.coracle(Build::Old, &["delete", LEDGER])?)?;
    succeeded("old status", drill.cluster.coracle(Build::Old, &["status"])?)?;
    let file = drill.cluster.directory().join("by-old.backup");
    let saved = drill.cluster.coracle(Build::Old, &["snapshot", "save", &text(&file)])?;
    refused(drill, "old snapshot save from servers of the new format", &saved)?;
    match file.exists() {
        true => Err(Failure::new(format!("the old program has saved {}", file.display()))),
        false => Ok(()),
    }
}

/// A command of the old program must have failed with exit code 1.
fn refused(drill: &mut Drill, what: &str, output: &Output) -> Result<(), Failure> {
    let sentence = last_line(&String::from_utf8_lossy(&output.stderr));
    if output.status.code() != Some(1) {
        let status = output.status;
        return Err(Failure::new(format!("{what}: it ended with {status}: {sentence}")));
    }
    drill.note(format!("{what}, exit code 1"), sentence);
    Ok(())
}

/// The answers of `upgrade check --to OLD` before and after the raise are what happens then.
pub fn check(plan: &Plan, name: &str) -> Result<Outcome, Failure> {
    let mut drill = Drill::start(plan, name, &Terms::raised_after(NEVER_S))?;
    let id = drill.cluster.ids()[3];
    drill.replace_all(Build::New)?;
    let answer = asked(&drill, Build::Old)?;
    let said = succeeded("upgrade check before the raise", answer)?;
    drill.note("upgrade check --to OLD before the raise, exit code 0", last_line(&said));
    drill.replace(id, Build::Old, Stop::Term)?;
    drill.replace(id, Build::New, Stop::Term)?;
    let raised = drill.cluster.coracle(Build::New, &["upgrade", "raise"])?;
    succeeded("upgrade raise", raised)?;
    drill.wait_for_format()?;
    let answer = asked(&drill, Build::Old)?;
    refused(&mut drill, "upgrade check --to OLD after the raise", &answer)?;
    refused_directory(&mut drill, id, "of which upgrade check has said so")?;
    let answer = asked(&drill, Build::New)?;
    succeeded("upgrade check --to NEW after the raise", answer)?;
    drill.replace(id, Build::New, Stop::Term)?;
    drill.finish()
}

fn asked(drill: &Drill, to: Build) -> Result<Output, Failure> {
    let to = text(drill.cluster.program(to));
    drill.cluster.coracle(Build::New, &["upgrade", "check", "--to", &to])
}

/// The files of a directory, with their bytes.
type Contents = BTreeMap<PathBuf, Vec<u8>>;

/// The files of a directory, apart from `hard_state`: the old program opens the log before it looks
/// at the snapshots, and notes there up to where it has found the log durable.
fn contents(directory: &Path) -> Result<Contents, Failure> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(contents(&path)?);
        } else if !path.ends_with("hard_state") {
            let bytes = fs::read(&path)?;
            files.insert(path, bytes);
        }
    }
    Ok(files)
}

/// The term, the vote and the end of the log in a directory.
fn verify(drill: &Drill, directory: &Path) -> Result<String, Failure> {
    let verify = ["log", "verify", "--data-dir", &text(directory)];
    let verified = Command::new(drill.cluster.program(Build::New)).args(verify).output()?;
    succeeded("log verify", verified)
}

fn unchanged(
    drill: &Drill,
    directory: &Path,
    (before, verified): &(Contents, String),
) -> Result<(), Failure> {
    let after = contents(directory)?;
    let mut paths = before.keys().chain(after.keys());
    if let Some(path) = paths.find(|path| before.get(*path) != after.get(*path)) {
        return Err(Failure::new(format!("the old program has changed {}", path.display())));
    }
    let now = verify(drill, directory)?;
    match now == *verified {
        true => Ok(()),
        false => Err(Failure::new(format!("was:\n{verified}and is after the old program:\n{now}"))),
    }
}

/// A line of a log without its time.
fn message(line: &str) -> &str {
    line.split_once(' ').map_or(line, |(_, message)| message)
}

/// The last line of a text.
fn last_line(text: &str) -> String {
    text.lines().last().unwrap_or_default().to_owned()
}
