//! The table and the JSON of `top`, with a server that was killed.

use serde_json::Value;

use super::{WITHOUT_HTTP, follower, start};
use crate::common::{Cluster, Connection, code};

/// The object that `top --once --json` prints, once all servers but this one answer: on a busy
/// machine a server may answer too late for one look.
fn look_until(cluster: &Cluster, down: u64, condition: impl Fn(&Value) -> bool) -> Value {
    cluster.wait_for("a look at all others", || {
        let output = cluster.coracle(&["top", "--once", "--json"]);
        let view: Value = serde_json::from_slice(&output.stdout).unwrap();
        let others = cluster.ids().into_iter().filter(|id| *id != down);
        let mut others = others.map(|id| server(&view, id));
        let are_up = others.all(|server| server["is_down"] == false);
        (are_up && condition(&view)).then_some(view)
    })
}

/// A server in the object; null when it is not there.
fn server(view: &Value, id: u64) -> &Value {
    let servers = view["servers"].as_array().unwrap();
    servers.iter().find(|server| server["id"] == id).unwrap_or(&Value::Null)
}

#[test]
fn a_killed_server_is_down_and_the_others_show_their_numbers() {
    let mut cluster = start();
    let dead = follower(&cluster);
    let leader = cluster.wait_for_leader();
    let reply = Connection::open(&cluster.address(leader)).unwrap().ask("set a 0 1\r\nb\r\n");
    assert!(reply.unwrap().starts_with("OK "));
    cluster.kill(dead);
    let with_http = || cluster.ids().into_iter().filter(|id| ![dead, WITHOUT_HTTP].contains(id));
    let view = look_until(&cluster, dead, |view| {
        // A server tells its rates, and what its disk has, when it has run for some seconds.
        let is_told = |name: &str| with_http().all(|id| server(view, id)[name].is_number());
        let is_missed = view["can_lose"] == 1 && view["here"] == 4;
        is_missed && is_told("writes_per_second") && is_told("disk_free_bytes")
    });
    assert_eq!((&view["voters"], &view["needed"]), (&5.into(), &3.into()));
    let gone = server(&view, dead);
    assert_eq!((&gone["is_down"], &gone["role"]), (&true.into(), &"down".into()), "{view}");
    assert_eq!(gone["state"], "unseen", "{view}");
    assert!(gone["behind_entries"].is_null() && gone["term"].is_null(), "{view}");
    let leads = server(&view, view["leader"].as_u64().unwrap());
    assert_eq!((&leads["role"], &leads["behind_entries"]), (&"leader".into(), &0.into()), "{view}");
    for id in cluster.ids().into_iter().filter(|id| *id != dead) {
        let alive = server(&view, id);
        assert_eq!(alive["term"], leads["term"], "{view}");
        assert!(alive["store_bytes"].as_u64().unwrap() > 0, "{view}");
        let has_http = id != WITHOUT_HTTP;
        for name in ["disk_free_bytes", "log_bytes", "resident_bytes", "reads_per_second"] {
            assert_eq!(alive[name].is_number(), has_http, "{name} of {id}: {view}");
        }
    }
    let notes = view["notes"].as_array().unwrap();
    assert!(notes.len() == 1 && notes[0].as_str().unwrap().contains("refused"), "{view}");
}

#[test]
fn one_table_is_printed_without_a_terminal() {
    let mut cluster = start();
    let dead = follower(&cluster);
    cluster.kill(dead);
    for arguments in [&["top", "--once"][..], &["top"]] {
        let text = cluster.wait_for("a look at all others", || {
            let output = cluster.coracle(arguments);
            assert_eq!(code(&output), 0, "{output:?}");
            let text = String::from_utf8(output.stdout).unwrap();
            text.contains("5 servers, 4 answer.\n").then_some(text)
        });
        for id in cluster.ids() {
            let row = text.lines().find(|line| line.starts_with(&format!("{id}  "))).unwrap();
            assert!(row.contains(&cluster.address(id)), "{text}");
            assert_eq!(row.contains(" down "), id == dead, "{text}");
        }
    }
    cluster.ids().into_iter().filter(|id| *id != dead).for_each(|id| cluster.kill(id));
    let output = cluster.coracle(&["top", "--once"]);
    assert_eq!(code(&output), 3, "{output:?}");
    assert!(String::from_utf8(output.stdout).unwrap().contains("5 servers, 0 answer."));
}

#[test]
fn a_stopped_server_is_down_and_does_not_keep_the_others_from_being_shown() {
    let cluster = start();
    let stopped = follower(&cluster);
    cluster.signal(stopped, "STOP");
    let view = look_until(&cluster, stopped, |_| true);
    cluster.signal(stopped, "CONT");
    assert_eq!(server(&view, stopped)["is_down"], true, "{view}");
    assert!(view["notes"].to_string().contains("no answer in time"), "{view}");
}

#[test]
fn a_member_that_is_not_in_the_file_is_shown_with_what_its_text_port_gives() {
    let mut cluster = start();
    let added = cluster.add_server();
    // No server has the id 0.
    let view = look_until(&cluster, 0, |view| view["voters"] == 6);
    let joined = server(&view, added);
    assert_eq!(joined["client_address"], cluster.address(added), "{view}");
    assert!(joined["store_bytes"].is_number() && joined["disk_free_bytes"].is_null(), "{view}");
}
