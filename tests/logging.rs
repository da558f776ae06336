//! The log of real servers: as JSON, and at a level that changes while they run.

mod common;

use std::fs;

use common::Cluster;
use serde_json::Value;

/// One server with this beginning of its servers.toml.
fn one_server(beginning: &str) -> Cluster {
    let raft = "[raft]\nelection_timeout_ms = [50, 100]\nheartbeat_interval_ms = 15\n";
    Cluster::prepare_like(1, "127.0.0.1", &format!("{beginning}{raft}"))
}

/// Replaces a text in servers.toml.
fn edit(cluster: &Cluster, from: &str, to: &str) {
    let text = fs::read_to_string(cluster.config()).unwrap();
    assert!(text.contains(from), "{text}");
    fs::write(cluster.config(), text.replace(from, to)).unwrap();
}

fn set(cluster: &Cluster, key: &str) {
    let reply = cluster.connect(1).unwrap().ask(&format!("set {key} 0 1\r\n1\r\n")).unwrap();
    assert!(reply.starts_with("OK "), "{reply}");
}

/// The whole lines that the server has logged so far, each of which has what every line has.
fn objects(cluster: &Cluster) -> Vec<Value> {
    let log = cluster.log(1);
    let whole = log.rfind('\n').map_or("", |end| &log[..end]);
    whole.lines().map(|line| checked(line, serde_json::from_str(line).unwrap())).collect()
}

fn checked(line: &str, object: Value) -> Value {
    let time = object["time"].as_str().unwrap();
    let digits = |c: char| if c.is_ascii_digit() { '0' } else { c };
    assert_eq!(time.chars().map(digits).collect::<String>(), "0000-00-00T00:00:00.000Z");
    let levels = ["error", "warn", "info", "debug", "trace"];
    assert!(levels.contains(&object["level"].as_str().unwrap()), "{line}");
    assert_eq!(object["node"], 1, "{line}");
    assert!(!object["message"].as_str().unwrap().is_empty(), "{line}");
    let begins = format!("{{\"time\":\"{time}\",\"level\":");
    assert!(line.starts_with(&begins), "{line}");
    object
}

/// Waits for the line with this message behind the first `seen` lines.
fn wait_for(cluster: &Cluster, seen: usize, message: &str) -> Value {
    cluster.wait_for(message, || {
        let lines = objects(cluster);
        lines.into_iter().skip(seen).find(|line| line["message"] == message)
    })
}

#[test]
fn json_lines_have_typed_facts_and_their_level_follows_the_file() {
    let mut cluster = one_server("log_level = \"info\"\n");
    cluster.start_server_with(1, &["--log-format", "json"]);
    cluster.wait_for_leader();
    let listening = wait_for(&cluster, 0, "listening");
    assert_eq!(listening["client_port"], cluster.client_port(1));
    assert_eq!(listening["http_port"], "none");
    let leader = wait_for(&cluster, 0, "became leader");
    assert!(leader["term"].as_u64().is_some_and(|term| term > 0), "{leader}");
    assert!(objects(&cluster).iter().all(|line| line["level"] != "debug"));

    edit(&cluster, "\"info\"", "\"debug\"");
    cluster.signal(1, "HUP");
    let changed = wait_for(&cluster, 0, "log level changed");
    assert_eq!((&changed["from"], &changed["to"]), (&"info".into(), &"debug".into()));
    let seen = objects(&cluster).len();
    set(&cluster, "k");
    let connected = wait_for(&cluster, seen, "client connected");
    assert_eq!(connected["level"], "debug");
    assert!(connected["session"].is_u64(), "{connected}");
    assert!(connected["from"].as_str().unwrap().starts_with("127.0.0.1:"), "{connected}");

    edit(&cluster, "\"debug\"", "\"off\"");
    cluster.signal(1, "HUP");
    cluster.wait_for("the last line", || {
        objects(&cluster).iter().any(|line| line["to"] == "off").then_some(())
    });
    set(&cluster, "l");
    assert_eq!(cluster.terminate(1).code(), Some(0));
    assert_eq!(objects(&cluster).last().unwrap()["to"], "off");
}

#[test]
fn a_file_that_cannot_be_read_leaves_the_level_as_it_is_and_says_why() {
    let mut cluster = one_server("log_level = \"info\"\nlog_format = \"json\"\n");
    cluster.start_server(1);
    cluster.wait_for_leader();
    edit(&cluster, "\"info\"", "\"loud\"");
    cluster.signal(1, "HUP");
    let kept = wait_for(&cluster, 0, "log level not changed");
    let path = cluster.config();
    assert_eq!(kept["level"], "warn");
    assert_eq!(
        kept["detail"],
        format!(
            "{}, line 1: log_level is \"loud\": it must be off, error, warn, info, debug or trace",
            path.display()
        )
    );
    // A fault anywhere in the file would stop the next start as well.
    edit(&cluster, "\"loud\"", "\"debug\"");
    edit(&cluster, "[raft]", "[rift]");
    let seen = objects(&cluster).len();
    cluster.signal(1, "HUP");
    let kept = wait_for(&cluster, seen, "log level not changed");
    assert!(kept["detail"].as_str().unwrap().contains("rift is not a key"), "{kept}");
    set(&cluster, "k");
    edit(&cluster, "[rift]", "[raft]");
    cluster.signal(1, "HUP");
    wait_for(&cluster, seen, "log level changed");
    assert_eq!(cluster.terminate(1).code(), Some(0));
}

#[test]
fn a_flag_and_the_environment_come_before_the_file() {
    let said = |cluster: &Cluster, fixed: &str| {
        let line = format!("log level not changed, because {fixed} comes before servers.toml");
        cluster.signal(1, "HUP");
        cluster.wait_for(&line, || cluster.log(1).contains(&line).then_some(()));
        assert!(!cluster.log(1).contains(" DEBUG "), "{}", cluster.log(1));
    };
    let mut cluster = one_server("log_level = \"trace\"\n");
    cluster.start_server_with(1, &["--log-level", "info"]);
    cluster.wait_for_leader();
    said(&cluster, "--log-level");
    cluster.terminate(1);
    cluster.start_server_within(1, "export RUST_LOG=info");
    cluster.wait_for_leader();
    said(&cluster, "RUST_LOG");
    cluster.terminate(1);
}
