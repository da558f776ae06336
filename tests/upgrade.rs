//! The format of a cluster of real servers: held, shown, explained and raised by the command line
//! (docs/adr/0023), and the comparison of its stores (docs/adr/0025).

mod common;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::Output;

use common::clients::Writer;
use common::{Cluster, code};

/// A time that no test waits for, in seconds.
const NEVER_S: u64 = 1 << 20;

/// Three servers in format 1, which server 1 holds. Without a hold they raise it by themselves
/// when all have been able to read the next for so many seconds.
///
/// A leader that has founded its cluster raises the format at once when all are connected, so the
/// third server comes after the hold, and all are started again.
fn held_at_1(raise_after_s: u64) -> Cluster {
    let settings = format!(
        "[raft]\nelection_timeout_ms = [300, 600]\n[upgrade]\nraise_after_s = {raise_after_s}\n"
    );
    let mut cluster = Cluster::prepare_like(3, "127.0.0.1", &settings);
    cluster.start_server_with(1, &["--new-cluster"]);
    cluster.start_server_with(2, &["--new-cluster"]);
    cluster.wait_for_leader();
    assert_eq!(ask(&cluster, 1, "upgrade hold"), "OK\r\n");
    cluster.start_server(3);
    cluster.wait_for_leader();
    restart(&mut cluster);
    cluster
}

/// Kills all servers and starts them again.
fn restart(cluster: &mut Cluster) {
    for id in cluster.ids() {
        cluster.kill(id);
    }
    for id in cluster.ids() {
        cluster.start_server(id);
    }
    cluster.wait_for_leader();
}

/// Waits until the leader says exactly this of the next raise.
fn wait_for_clause(cluster: &Cluster, clause: &str) {
    cluster.wait_for(clause, || {
        let clauses = values(cluster, "upgrade_waits_for");
        clauses.iter().any(|said| said == clause).then_some(())
    });
}

fn ask(cluster: &Cluster, id: u64, command: &str) -> String {
    cluster.connect(id).unwrap().ask(&format!("{command}\r\n")).unwrap()
}

/// The value of a line of `status` on each running server.
fn values(cluster: &Cluster, name: &str) -> Vec<String> {
    let statuses = cluster.ids().into_iter().filter_map(|id| cluster.status(id));
    statuses.map(|status| status[name].clone()).collect()
}

fn wait_for_format(cluster: &Cluster, format: &str) {
    cluster.wait_for("the format on all servers", || {
        let formats = values(cluster, "format");
        (formats.len() == 3 && formats.iter().all(|value| value == format)).then_some(())
    });
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Runs a command; returns its exit code and all that it has said.
fn run(cluster: &Cluster, arguments: &[&str]) -> (i32, String) {
    let output = cluster.coracle(arguments);
    (code(&output), stdout(&output) + &stderr(&output))
}

#[track_caller]
fn says(cluster: &Cluster, arguments: &[&str], exit_code: i32, parts: &[&str]) {
    let (code, said) = run(cluster, arguments);
    assert_eq!(code, exit_code, "{arguments:?}: {said}");
    assert!(parts.iter().all(|part| said.contains(part)), "{arguments:?}: {said}");
}

/// A program that says that it is this version, and knows no other question.
fn program(cluster: &Cluster, version: &str) -> String {
    let path = cluster.config().with_file_name("program");
    let script = format!("#!/bin/sh\n[ \"$1\" = --version ] && echo coracle {version}\n");
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_format_stays_while_any_server_holds_it_and_rises_when_none_does() {
    let mut cluster = held_at_1(0);
    wait_for_clause(&cluster, "server 1 holds the format");
    assert_eq!(values(&cluster, "format"), ["1"; 3]);
    assert_eq!(values(&cluster, "upgrade_held"), ["yes", "no", "no"]);
    says(
        &cluster,
        &["upgrade", "status"],
        0,
        &["Format 1 is in force; format 2 waits: server 1 holds the format.\nHeld by server 1; "],
    );
    says(&cluster, &["upgrade", "hold"], 0, &["held by 1, 2, 3\nFormat 1 is in force.\n"]);
    assert_eq!(ask(&cluster, 1, "upgrade release"), "OK\r\n");
    assert_eq!(ask(&cluster, 2, "upgrade release"), "OK\r\n");
    restart(&mut cluster);
    wait_for_clause(&cluster, "server 3 holds the format");
    assert_eq!(values(&cluster, "format"), ["1"; 3]);
    let old = program(&cluster, "0.1.0");
    let check = ["upgrade", "check", "--to", &old];
    says(&cluster, &check, 0, &["yes: format 1 is in force, and 0.1.0 reads 1..1: any order"]);

    says(&cluster, &["upgrade", "release"], 0, &["released by 1, 2, 3\n"]);
    wait_for_format(&cluster, "4");
    wait_for_one_cluster_id(&cluster);
    says(&cluster, &["upgrade", "status"], 0, &["which every server reads. Nothing to raise."]);
    says(&cluster, &check, 1, &["no: format 4 is in force, and 0.1.0 reads 1..1"]);
    says(&cluster, &["upgrade", "check", "--to", env!("CARGO_BIN_EXE_coracle")], 0, &["yes: "]);
    says(&cluster, &["upgrade", "hold"], 0, &["held by 1, 2, 3\nFormat 4 is in force.\n"]);
}

fn wait_for_one_cluster_id(cluster: &Cluster) {
    cluster.wait_for("one cluster id on all servers", || {
        let ids = values(cluster, "cluster_id");
        let is_one = ids.len() == 3 && ids.iter().all(|id| *id == ids[0]) && ids[0] != "none";
        is_one.then_some(())
    });
    let incarnations = values(cluster, "incarnation");
    assert_ne!(incarnations[0], incarnations[1]);
    assert_ne!(incarnations[1], incarnations[2]);
}

#[test]
fn a_raise_names_the_server_that_is_down_and_is_done_at_once_when_it_is_back() {
    let mut cluster = held_at_1(NEVER_S);
    wait_for_clause(&cluster, "server 1 holds the format");
    cluster.kill(3);
    cluster.wait_for_leader();
    says(&cluster, &["upgrade", "raise"], 1, &["released by 1, 2\n", "server 3 is not connected"]);
    assert_eq!(values(&cluster, "format"), ["1"; 2]);
    says(&cluster, &["upgrade", "release"], 3, &["released by 1, 2\n", "server 3 did not answer"]);
    says(&cluster, &["upgrade", "hold"], 0, &["held by 1, 2\nserver 3 did not answer", "enough"]);
    cluster.start_server(3);
    let leader = cluster.wait_for_leader();
    let follower = cluster.ids().into_iter().find(|id| *id != leader).unwrap();
    let redirect = format!("ERR_REDIRECT {}\r\n", cluster.address(leader));
    assert_eq!(ask(&cluster, follower, "upgrade raise"), redirect);
    wait_for_clause(&cluster, &clause_of_holders(leader));

    says(&cluster, &["upgrade", "raise"], 0, &["released by 1, 2, 3\nFormat 2 is in force.\n"]);
    wait_for_format(&cluster, "2");
    wait_for_one_cluster_id(&cluster);
    // Each raise is to the next format.
    for format in ["3", "4"] {
        let sentence = format!("Format {format} is in force.\n");
        says(&cluster, &["upgrade", "raise"], 0, &[&sentence]);
        wait_for_format(&cluster, format);
    }
    says(&cluster, &["upgrade", "raise"], 0, &["Nothing to raise."]);
    assert_eq!(ask(&cluster, cluster.wait_for_leader(), "upgrade raise"), "OK 4\r\n");
    restart(&mut cluster);
    wait_for_format(&cluster, "4");
}

/// The clause of a leader of which only servers 1 and 2 hold the format: those of its peers first.
fn clause_of_holders(leader: u64) -> String {
    let mut holders = [1, 2];
    holders.sort_by_key(|id| *id == leader);
    let clauses: Vec<String> =
        holders.iter().map(|id| format!("server {id} holds the format")).collect();
    clauses.join(", ")
}

#[test]
fn the_stores_are_compared_under_load_and_those_that_are_down_are_named() {
    let mut cluster = Cluster::start();
    cluster.wait_for_leader();
    let writer = Writer::start(cluster.addresses());
    for _ in 0..3 {
        writer.wait_for_more(&cluster, 200);
        says(&cluster, &["check"], 0, &["equal: servers 1, 2, 3, 4, 5 after entry "]);
    }
    cluster.kill(4);
    writer.wait_for_more(&cluster, 200);
    let four = ["equal: servers 1, 2, 3, 5 after entry ", "; not compared: server 4, without an "];
    says(&cluster, &["check"], 0, &four);
    fs::remove_dir_all(cluster.data_dir(4)).unwrap();
    cluster.start_server(4);
    cluster.wait_for_leader();
    says(&cluster, &["check"], 0, &["equal: servers 1, 2, 3, 4, 5 after entry "]);
    writer.stop();
    for id in [1, 2, 3] {
        cluster.kill(id);
    }
    says(&cluster, &["check"], 3, &["fewer than a majority", "servers 4, 5", "servers 1, 2, 3"]);
}

#[test]
fn commands_without_a_cluster_end_with_3_and_a_wrong_program_with_2() {
    let cluster = Cluster::prepare_like(3, "127.0.0.1", "");
    for command in ["status", "hold", "release", "raise"] {
        says(&cluster, &["upgrade", command, "--timeout-ms", "300"], 3, &["no server answered"]);
    }
    says(&cluster, &["check"], 3, &["no server could be compared"]);
    let own = env!("CARGO_BIN_EXE_coracle");
    says(&cluster, &["upgrade", "check", "--to", own], 3, &["unknown: no server answered"]);
    says(&cluster, &["upgrade", "check", "--to", "/no/such/file"], 2, &["/no/such/file"]);
    let formats = common::coracle(&["upgrade", "formats"]);
    assert!(stdout(&formats).starts_with("version "), "{}", stdout(&formats));
}
