//! Clusters that are found by an address instead of servers.toml.

use super::process::{done_at, run_with, said, start, three_servers};
use crate::common::code;

#[test]
fn one_address_is_enough_for_every_command_that_asks_a_running_cluster() {
    let cluster = three_servers();
    let follower = if cluster.wait_for_leader() == 1 { 2 } else { 1 };
    let address = cluster.address(follower);
    let done = |arguments: &[&str]| done_at(&address, arguments, 0);
    let version = done(&["set", "a", "one"]);
    assert_eq!(done(&["get", "a"]), "one");
    assert_eq!(done(&["get", "a", "--at", version.trim()]), "one");
    done(&["add", "b", "two"]);
    assert_eq!(done(&["delete", "b"]), "");
    assert!(done(&["scan", "a"]).starts_with("a "));
    assert!(done(&["history", "a"]).starts_with("set a "));
    let lease = done(&["lease", "grant", "60"]);
    done(&["lease", "renew", lease.trim()]);
    done(&["lease", "info", lease.trim()]);
    done(&["lease", "revoke", lease.trim()]);
    let locked = run_with(&["lock", "l", "--endpoints", &address, "--", "echo", "held"], &[], b"");
    assert_eq!((code(&locked), &locked.stdout[..]), (0, &b"held\n"[..]), "{locked:?}");
    done_at(&address, &["elect", "e"], 1);
    let txn = run_with(&["txn", "--endpoints", &address], &[], b"get a\n");
    assert!(txn.stdout.ends_with(b"one\n"), "{txn:?}");

    // Commands that ask each server for itself know all three.
    let status = done(&["status"]);
    let rows: Vec<&str> = status.lines().skip(1).collect();
    assert_eq!(rows.len(), 3, "{status}");
    for id in cluster.ids() {
        let is_its_row = |row: &&&str| row.split_whitespace().next() == Some(&id.to_string());
        let row = rows.iter().find(is_its_row).expect("each server has a row");
        assert!(row.contains(&cluster.address(id)) && row.ends_with("yes"), "{status}");
    }
    assert!(done(&["check"]).starts_with("equal: servers 1, 2, 3 after"));
    let top = done(&["top", "--once"]);
    assert!(top.contains("3 servers, 3 answer."), "{top}");
    assert!(top.contains("Only servers.toml names the HTTP ports"), "{top}");
    let doctor = done(&["doctor"]);
    assert!(doctor.contains("servers 1, 2, 3 answer at the port for clients"), "{doctor}");
    assert!(doctor.contains("not checked: settings, snapshots"), "{doctor}");
    done_at(&address, &["doctor", "--id", "1"], 2);
    assert!(done(&["upgrade", "status"]).contains("reachable"));
    done(&["upgrade", "check", "--to", env!("CARGO_BIN_EXE_coracle")]);
    assert!(done(&["upgrade", "hold"]).starts_with("held by 1, 2, 3\n"));
    assert!(done(&["upgrade", "release"]).starts_with("released by 1, 2, 3\n"));
    assert!(done(&["member", "list"]).contains("can lose 1"));
    done(&["member", "wait", "--all-in-step", "--timeout-ms", "60000"]);
    done(&["leader", "transfer", "--avoid", "1"]);
    done(&["drain", "1"]);
    done(&["undrain", "1"]);
    let bench = done(&["bench", "--count", "10", "--json"]);
    assert!(bench.starts_with('{'), "{bench}");
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    assert!(done(&["snapshot", "save", &path("backup")]).contains(" digest="));
    let bundle = done(&["debug", "bundle", "--output", &path("bundle.tar.gz")]);
    assert!(bundle.contains("parts could not be had"), "{bundle}");
}

#[test]
fn the_variable_names_servers_and_an_option_counts_before_it() {
    let cluster = three_servers();
    let nobody = [("CORACLE_ENDPOINTS", "127.0.0.1:1")];
    let somebody = cluster.address(1);
    let somebody = [("CORACLE_ENDPOINTS", somebody.as_str())];
    assert_eq!(code(&run_with(&["set", "a", "1"], &somebody, b"")), 0);
    let short = ["get", "a", "--timeout-ms", "200"];
    assert_eq!(code(&run_with(&short, &nobody, b"")), 3);
    let address = cluster.address(2);
    let named = run_with(&["get", "a", "--endpoints", &address], &nobody, b"");
    assert_eq!(named.stdout, b"1");
    let file = cluster.config();
    let file = file.to_str().unwrap();
    assert_eq!(run_with(&["get", "a", "--config", file], &nobody, b"").stdout, b"1");
    // Two places are one too many.
    let both = run_with(&["get", "a", "--config", file, "--endpoints", &address], &[], b"");
    assert_eq!(code(&both), 2);
    let sentence = said(&run_with(&["get", "a"], &[], b""), 2);
    assert!(sentence.contains("--endpoints HOST:PORT"), "{sentence}");
    let wrong = said(&run_with(&["get", "a"], &[("CORACLE_ENDPOINTS", "a")], b""), 2);
    assert!(wrong.contains("the variable CORACLE_ENDPOINTS: \"a\" is no address"), "{wrong}");
}

#[test]
fn a_command_outlives_the_server_that_it_was_given() {
    let mut cluster = three_servers();
    let given = cluster.wait_for_leader();
    let address = cluster.address(given);
    let (watch, _directory) = start(&["watch", "k", "--from", "1", "--endpoints", &address]);
    done_at(&address, &["set", "k", "before"], 0);
    assert!(watch.line().starts_with("set k "));
    assert_eq!(watch.line(), "before");
    cluster.kill(given);
    cluster.wait_for_leader();
    let other = cluster.ids().into_iter().find(|id| *id != given).unwrap();
    done_at(&cluster.address(other), &["set", "k", "after"], 0);
    assert!(watch.line().starts_with("set k "));
    assert_eq!(watch.line(), "after");
    // A member that is down has its row, because the others name it.
    let both = format!("{address},{}", cluster.address(other));
    let status = done_at(&both, &["status"], 0);
    let dead = status.lines().find(|row| row.starts_with(&format!("{given} "))).unwrap();
    assert!(dead.ends_with("no") && dead.contains(&address), "{status}");
    // Nobody else is known when the only one that is named is dead.
    done_at(&address, &["status", "--timeout-ms", "200"], 3);
}
