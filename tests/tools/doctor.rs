//! `doctor` of a cluster that is up, half up, and down.

use std::net::TcpListener;
use std::process::Output;

use serde_json::Value;

use super::{follower, start};
use crate::common::{Cluster, code};

/// The checks whose outcome depends on the machine that the tests run on.
const OF_THE_MACHINE: &[&str] =
    &["disk sync", "disk space", "election timeout", "memory", "open files"];

fn diagnosis(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

/// The findings that are not ok, apart from those of the machine: level, check, server, text.
fn bad(diagnosis: &Value) -> Vec<(String, String, Option<u64>, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let findings = diagnosis["findings"].as_array().unwrap().iter();
    let all = findings.map(|it| {
        (text(&it["level"]), text(&it["check"]), it["server"].as_u64(), text(&it["text"]))
    });
    all.filter(|(level, check, ..)| level != "ok" && !OF_THE_MACHINE.contains(&check.as_str()))
        .collect()
}

/// Runs `doctor --json`, and checks that its exit code fits what it found.
fn examine(cluster: &Cluster, more: &[&str]) -> Value {
    let arguments = [&["doctor", "--json"][..], more].concat();
    let output = cluster.coracle(&arguments);
    let diagnosis = diagnosis(&output);
    let fails = diagnosis["fail"].as_u64().unwrap() > 0;
    assert_eq!(code(&output), i32::from(fails), "{output:?}");
    diagnosis
}

#[test]
fn a_cluster_that_is_up_is_well_and_each_thing_is_checked() {
    let cluster = start();
    cluster.wait_for("all to be well", || bad(&examine(&cluster, &[])).is_empty().then_some(()));
    let names = ["members", "ports", "versions", "formats", "snapshots", "clocks"];
    let text = cluster.wait_for("all to be well in the text", || {
        let text = String::from_utf8(cluster.coracle(&["doctor"]).stdout).unwrap();
        let is_well =
            |name: &str| text.lines().any(|line| line.starts_with(&format!("ok    {name}")));
        names.iter().all(|name| is_well(name)).then_some(text)
    });
    for id in cluster.ids() {
        for name in ["disk sync", "disk space", "open files"] {
            assert!(text.contains(&format!("{name} of {id} ")), "{name} of {id}: {text}");
        }
        let names = std::fs::read_dir(cluster.data_dir(id)).unwrap();
        let names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
        assert!(
            !names.iter().any(|name| name.to_string_lossy().starts_with("doctor")),
            "{names:?}"
        );
    }
    // Only the files of this one are taken for ours.
    let text = String::from_utf8(cluster.coracle(&["doctor", "--id", "2"]).stdout).unwrap();
    assert!(text.contains(" at ") && text.contains("1 server here may need"), "{text}");
    let output = cluster.coracle(&["doctor", "--id", "9"]);
    assert_eq!(code(&output), 2, "{output:?}");
}

#[test]
fn a_dead_server_is_a_warning_here_and_a_failure_where_its_port_is_taken_or_it_is_elsewhere() {
    let mut cluster = start();
    let dead = follower(&cluster);
    cluster.kill(dead);
    let found = cluster.wait_for("the leader to miss it", || {
        let found = bad(&examine(&cluster, &[]));
        let has_members = found.iter().any(|(_, check, ..)| check == "members");
        let is_whole = found.iter().all(|(level, ..)| level == "warn");
        (has_members && is_whole).then_some(found)
    });
    let of = |check: &str| {
        let found = found.iter().find(|it| it.1 == check && it.2 == Some(dead));
        found.unwrap_or_else(|| panic!("{check}: {found:?}"))
    };
    assert_eq!(of("members").0, "warn");
    assert_eq!(of("ports").0, "warn");
    assert!(of("ports").3.contains("its ports are free"), "{found:?}");

    let leader = cluster.wait_for_leader().to_string();
    let ports_fail = |more: &[&str]| {
        let found = bad(&examine(&cluster, more));
        let fails = found.iter().filter(|it| it.1 == "ports" && it.0 == "fail");
        let failures: Vec<Option<u64>> = fails.map(|it| it.2).collect();
        (failures == [Some(dead)]).then_some(())
    };
    cluster.wait_for("a failure elsewhere", || ports_fail(&["--id", &leader]));
    let squatter = TcpListener::bind(cluster.address(dead)).unwrap();
    cluster.wait_for("a failure of a port that is taken", || ports_fail(&[]));
    drop(squatter);
}

#[test]
fn without_a_quorum_the_members_fail_and_without_servers_only_what_is_here_is_checked() {
    let mut cluster = start();
    let leader = cluster.wait_for_leader();
    cluster.kill(leader);
    let others: Vec<u64> = cluster.ids().into_iter().filter(|id| *id != leader).collect();
    others[..2].iter().for_each(|id| cluster.kill(*id));
    cluster.wait_for("no leader", || {
        let found = bad(&examine(&cluster, &[]));
        let members = found.iter().find(|it| it.1 == "members")?;
        (members.0 == "fail" && members.3.contains("no leader answers")).then_some(())
    });
    others[2..].iter().for_each(|id| cluster.kill(*id));
    let diagnosis = examine(&cluster, &[]);
    let found = bad(&diagnosis);
    assert!(found.len() == 5 && found.iter().all(|it| it.0 == "warn"), "{found:?}");
    let unchecked = diagnosis["unchecked"].to_string();
    for name in ["members", "versions and formats", "clocks"] {
        assert!(unchecked.contains(name), "{name}: {unchecked}");
    }
    assert!(diagnosis["findings"].to_string().contains("\"disk sync\""), "{diagnosis}");
}
