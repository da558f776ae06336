//! Snapshots and backups of one program that the other one reads, in the format of both.

use std::fs;
use std::path::{Path, PathBuf};

use coracle::testing::drill::{Failure, Stop, check_stores, succeeded};

use crate::cluster::{Build, Cluster};
use crate::drill::{Drill, NEVER_S, Outcome, Plan, Terms};

/// Settings with which a server that is down is soon behind the beginning of the others' logs.
const SMALL: &str = "
[snapshot]
entries_max = 100

[log]
segment_bytes = 131072
keep_entries = 10

[limits]
value_bytes_max = 4096
";

/// Settings with which each log file has about forty values.
pub fn small_files() -> Terms {
    Terms { tables: SMALL, value_bytes: 3_000, ..Terms::raised_after(NEVER_S) }
}

/// A server that is behind is sent a snapshot by a leader with the other program.
pub fn snapshots(plan: &Plan, name: &str) -> Result<Outcome, Failure> {
    let mut drill = Drill::start(plan, name, &small_files())?;
    let ids = drill.cluster.ids();
    let (old, new) = (ids[ids.len() - 1], ids[0]);
    for id in &ids[..3] {
        drill.replace(*id, Build::New, Stop::Term)?;
    }
    send_snapshot(&mut drill, old, Build::New)?;
    send_snapshot(&mut drill, new, Build::Old)?;
    drill.assert_not_raised()?;
    // Both go on after a crash with the snapshot that they were sent.
    for id in [old, new] {
        drill.replace(id, drill.cluster.build(id), Stop::Kill)?;
    }
    drill.finish()
}

/// Keeps server `id` down until the others no longer have the entries that it lacks, and has a
/// server with the program `leads` lead when it comes back.
fn send_snapshot(drill: &mut Drill, id: u64, leads: Build) -> Result<(), Failure> {
    drill.cluster.stop(id, Stop::Term)?;
    let others = drill.cluster.running();
    let newest: Vec<u64> =
        others.iter().filter_map(|other| segments(&drill.cluster, *other).pop()).collect();
    let last = newest.into_iter().max().ok_or_else(|| Failure::new("no log"))?;
    // The next segment may begin with entries of the time before, too.
    const TRIES: u32 = 100;
    let mut tries = 0;
    while others.iter().any(|other| segments(&drill.cluster, *other)[0] <= last + 1) {
        if tries == TRIES {
            return Err(Failure::new("the others do not compact their logs"));
        }
        tries += 1;
        drill.write(100)?;
    }
    drill.lead_by(leads)?;
    let seen = drill.cluster.log(id).len();
    drill.cluster.start(id, drill.cluster.build(id))?;
    drill.cluster.wait_until_back(id)?;
    if !drill.cluster.log(id)[seen..].contains("installs snapshot") {
        return Err(Failure::new(format!("server {id} has caught up without a snapshot")));
    }
    drill.go_on()
}

/// The numbers of a server's segments, in order.
fn segments(cluster: &Cluster, id: u64) -> Vec<u64> {
    let files = fs::read_dir(cluster.data_dir(id).join("log")).into_iter().flatten();
    let names = files.filter_map(|file| file.ok()?.file_name().into_string().ok());
    let mut numbers: Vec<u64> =
        names.filter_map(|name| name.strip_suffix(".segment")?.parse().ok()).collect();
    numbers.sort_unstable();
    numbers
}

/// Backups are taken by both programs, from old, mixed and new clusters. Both programs read all of
/// them, and begin new clusters with those of the other one.
pub fn backups(plan: &Plan, name: &str) -> Result<Outcome, Failure> {
    let mut drill = Drill::start(plan, name, &Terms::raised_after(NEVER_S))?;
    let ids = drill.cluster.ids();
    let old = save(&mut drill, Build::Old, "old")?;
    for id in &ids[..3] {
        drill.replace(*id, Build::New, Stop::Term)?;
    }
    let mut files = vec![old.clone()];
    for (leads, program) in [(Build::Old, Build::New), (Build::New, Build::Old)] {
        drill.lead_by(leads)?;
        files.push(save(&mut drill, program, &format!("led-by-{leads:?}"))?);
    }
    for id in &ids[3..] {
        drill.replace(*id, Build::New, Stop::Term)?;
    }
    drill.assert_not_raised()?;
    let new = save(&mut drill, Build::New, "new")?;
    files.push(new.clone());
    for file in &files {
        let digests = [Build::Old, Build::New].map(|build| inspect(&drill.cluster, build, file));
        let [by_old, by_new] = digests;
        if by_old? != by_new? {
            let file = file.display();
            return Err(Failure::new(format!("the programs read two stores in {file}")));
        }
    }
    for (file, build) in [(old, Build::New), (new, Build::Old)] {
        drill.add(restore(plan, &format!("{name}-by-{build:?}"), build, &file)?);
    }
    drill.finish()
}

/// Saves a backup with the command line of a program.
pub fn save(drill: &mut Drill, build: Build, name: &str) -> Result<PathBuf, Failure> {
    let file = drill.cluster.directory().join(format!("{name}.backup"));
    let saved = drill.cluster.coracle(build, &["snapshot", "save", &text(&file)])?;
    succeeded("snapshot save", saved)?;
    Ok(file)
}

/// The digest of the store in a backup, as a program reads it.
fn inspect(cluster: &Cluster, build: Build, file: &Path) -> Result<String, Failure> {
    let mut command = std::process::Command::new(cluster.program(build));
    let inspected = command.args(["snapshot", "inspect", &text(file)]).output()?;
    let lines = succeeded("snapshot inspect", inspected)?;
    let digest = lines.lines().find_map(|line| line.strip_prefix("store_digest "));
    digest.map(str::to_owned).ok_or_else(|| Failure::new(format!("no store_digest in: {lines}")))
}

/// Begins a new cluster of the program `build` with a backup.
fn restore(plan: &Plan, name: &str, build: Build, file: &Path) -> Result<Outcome, Failure> {
    let mut drill = Drill::prepare(plan, name, &Terms::raised_after(NEVER_S))?;
    let restore = ["snapshot", "restore", &text(file), "--all"];
    succeeded("snapshot restore", drill.cluster.coracle(build, &restore)?)?;
    drill.cluster.start_all(build)?;
    let digest = inspect(&drill.cluster, build, file)?;
    for _ in 0..2 {
        let restored = check_stores(&mut drill.cluster)?;
        if restored != digest {
            return Err(Failure::new(format!("{name}: the store is {restored}, not {digest}")));
        }
        let leader = drill.cluster.wait_for_leader()?;
        drill.cluster.restart(leader, build, Stop::Kill)?;
    }
    drill.finish()
}

/// A path as an argument.
pub fn text(path: &Path) -> String {
    path.display().to_string()
}
