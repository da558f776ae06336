//! A cluster in which all is well, whose facts each test changes.

use std::path::{Path, PathBuf};

use coracle::config::{Overrides, Settings};
use serde_json::json;

use super::super::super::survey::tests::{members, status, target};
use super::super::super::survey::{Heard, Target};
use super::super::facts::{
    Clock, Disk, Fsync, Local, Machine, Metrics, Port, PortState, ServerFacts,
};
use super::super::finding::{Finding, Level};
use super::*;

/// The members as leader 1 knows them.
pub const MEMBERS: &str = "MEMBERS 3 2 3 1 4 leader 17 yes\n\
     MEMBER 1 voter leader 10.0.0.1:9001 10.0.0.1:9000\n\
     MEMBER 2 voter follower 10.0.0.2:9001 10.0.0.2:9000 seen_ms=12 behind=0\n\
     MEMBER 3 voter follower 10.0.0.3:9001 10.0.0.3:9000 seen_ms=12 behind=0";

pub const MIB: u64 = 1 << 20;
pub const GIB: u64 = 1 << 30;

/// The status of a server, with lines after the first.
pub fn lines(id: u64, more: &str) -> String {
    format!(
        "id {id}\nrole follower\nterm 7\ncommit_index 90\nlast_applied 90\nsnapshot_index 50\n\
         store_bytes 1000\nversion 0.4.0\nformat 4\nreads_formats 1..4\ncluster_id 0f\n\
         snapshot_refusals none\nremoved_at none{more}"
    )
}

fn server(id: u64) -> ServerFacts {
    let report = json!({
        "id": id, "store_bytes": 1000, "log_bytes": MIB, "snapshot_bytes": MIB,
        "disk_free_bytes": 50 * GIB, "disk_bytes": 100 * GIB, "fsync_p99_ms": 2.0,
    });
    let known = (id == 1).then(|| members(MEMBERS));
    let heard = Heard {
        target: target(id),
        status: Ok(status(&lines(id, ""))),
        members: known,
        report: Some(Ok(report)),
    };
    let port = |key: &'static str, port: u16| Port {
        key,
        address: format!("10.0.0.{id}:{port}").parse().unwrap(),
        state: PortState::Answers,
    };
    let metrics = Metrics {
        open_files: Some(50),
        open_files_max: Some(20_000),
        round_trip_ms: (id == 1).then_some(1.0),
        snapshot_failures: Some(0),
    };
    ServerFacts {
        heard,
        ports: vec![port("client_port", 9000), port("log_port", 9001), port("http_port", 9100)],
        clock: Some(Clock { ahead_ms: id as i64, error_ms: 1 }),
        metrics: Some(metrics),
        local: None,
    }
}

/// The settings of three servers, with further tables.
pub fn settings(tables: &str) -> Settings {
    let server = |id: u64| {
        format!(
            "[[servers]]\nid = {id}\nhostname = \"10.0.0.{id}\"\nclient_port = 9000\n\
             log_port = 9001\nhttp_port = 9100\n"
        )
    };
    let text: String = (1..=3).map(server).collect::<String>() + tables;
    Settings::parse(Path::new("servers.toml"), &text, &Overrides::default()).unwrap()
}

/// Three servers with these tables in servers.toml. The files of none are here.
pub fn well_with(tables: &str) -> Facts {
    let machine = Machine { memory_bytes: Some(16 * GIB), open_files_max: 20_000 };
    Facts { settings: Some(settings(tables)), servers: (1..=3).map(server).collect(), machine }
}

/// Three servers, of which all is well.
pub fn well() -> Facts {
    well_with("")
}

/// The files of a server that are here.
pub fn local() -> Local {
    Local {
        data_dir: PathBuf::from("data/1"),
        disk: Some(Disk { device: 7, free_bytes: 50 * GIB, bytes: 100 * GIB }),
        log_bytes: MIB,
        snapshot_bytes: MIB,
        fsync: Ok(Fsync { count: 50, p50_ms: 0.5, p99_ms: 2.0 }),
    }
}

/// The same facts after a server has gone: nothing answers at its ports.
pub fn without(mut facts: Facts, id: u64) -> Facts {
    let server = facts.servers.iter_mut().find(|server| server.id().0 == id).unwrap();
    let refused = |port| format!("10.0.0.{id}:{port} refuses connections");
    for port in &mut server.ports {
        port.state = PortState::Silent(refused(port.address.port));
    }
    server.heard = Heard {
        target: Target { ..target(id) },
        status: Err(refused(9000)),
        members: None,
        report: Some(Err(refused(9100))),
    };
    (server.clock, server.metrics) = (None, None);
    facts
}

/// The outcome of one check.
pub fn run(check: fn(&Facts, &mut Diagnosis), facts: &Facts) -> Diagnosis {
    let mut diagnosis = Diagnosis::default();
    check(facts, &mut diagnosis);
    diagnosis
}

/// Checks the level of all findings that are not ok, and that a text has this part. Returns it.
#[track_caller]
pub fn assert_one(diagnosis: &Diagnosis, level: Level, part: &str) -> Finding {
    let found: Vec<&Finding> =
        diagnosis.findings.iter().filter(|finding| finding.level != Level::Ok).collect();
    match found.as_slice() {
        [finding] => {
            assert_eq!(finding.level, level, "{finding:?}");
            assert!(finding.text.contains(part), "{part:?} is missing in: {finding:?}");
            assert!(finding.advice.is_some(), "{finding:?}");
            (*finding).clone()
        }
        _ => panic!("{diagnosis:?}"),
    }
}

/// Checks that all findings are ok.
#[track_caller]
pub fn assert_well(diagnosis: &Diagnosis) {
    assert!(diagnosis.findings.iter().all(|it| it.level == Level::Ok), "{diagnosis:?}");
    assert!(!diagnosis.findings.is_empty(), "{diagnosis:?}");
}

#[test]
fn all_is_well_and_what_is_not_here_is_not_checked() {
    let diagnosis = check(&well());
    assert_well(&diagnosis);
    assert_eq!(diagnosis.unchecked, ["memory, because no server's files are here"]);
}

#[test]
fn when_nobody_answers_and_nothing_is_here_each_check_says_so() {
    let facts = (1..=3).fold(well(), without);
    let diagnosis = check(&facts);
    assert!(diagnosis.findings.iter().all(|finding| finding.check == "ports"), "{diagnosis:?}");
    assert_eq!(diagnosis.failed(), ["ports of 1", "ports of 2", "ports of 3"]);
    for name in ["members", "versions", "clocks", "round trips", "memory", "open files"] {
        let is_told = diagnosis.unchecked.iter().any(|clause| clause.contains(name));
        assert!(is_told, "{name}: {diagnosis:?}");
    }
}

#[test]
fn without_servers_toml_the_cluster_is_checked_and_the_rest_is_told() {
    let mut facts = well();
    facts.settings = None;
    facts.servers.iter_mut().for_each(|server| server.ports.clear());
    let diagnosis = check(&facts);
    let names: Vec<&str> = diagnosis.findings.iter().map(|finding| finding.check).collect();
    assert_eq!(names, ["members", "ports", "versions", "formats", "clocks"]);
    assert!(diagnosis.findings[1].text.ends_with("answer at the port for clients"));
    assert_eq!(diagnosis.unchecked, [WITHOUT_FILE]);
}
