//! The console: who may ask, reads and writes, watches, and what is pushed, with real servers.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

use serde_json::{Value, json};

use crate::common::http::{Answer, HttpPorts, ask, exchange};
use crate::common::members::BRISK;
use crate::common::{Cluster, PATIENCE};

/// The key `color` in the base64 of JSON. In that of a query it has no padding.
const COLOR: &str = "Y29sb3I=";

fn start() -> (Cluster, HttpPorts, u64) {
    start_of(3)
}

fn start_of(servers: usize) -> (Cluster, HttpPorts, u64) {
    let mut cluster = Cluster::prepare_like(servers, "127.0.0.1", BRISK);
    let ports = HttpPorts::draw(&cluster);
    ports.start_all(&mut cluster);
    let leader = cluster.wait_for_leader();
    cluster.wait_for_highest_format();
    (cluster, ports, leader)
}

/// A page of one server.
struct Page {
    port: u16,
    token: String,
}

impl Page {
    fn open(port: u16) -> Page {
        let session = get(port, "/session");
        assert_eq!(session["version"], 1, "{session}");
        let token = session["token"].as_str().unwrap().to_owned();
        assert_eq!(token.len(), 32);
        Page { port, token }
    }

    /// Sends a write with these headers in the place of those of a page.
    fn send(&self, path: &str, body: &Value, headers: &[(&str, &str)]) -> Answer {
        let body = body.to_string();
        let host = format!("127.0.0.1:{}", self.port);
        let origin = format!("http://{host}");
        let own = [
            ("Host", host.as_str()),
            ("Origin", &origin),
            ("Content-Type", "application/json"),
            ("X-Coracle-Token", &self.token),
        ];
        let mut head = format!("POST /console/v1{path} HTTP/1.1\r\n");
        for (name, value) in own {
            let given = headers.iter().find(|(given, _)| *given == name);
            let value = given.map_or(value, |(_, value)| value);
            if !value.is_empty() {
                head += &format!("{name}: {value}\r\n");
            }
        }
        let length = body.len();
        let request = format!("{head}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}");
        exchange(self.port, request.as_bytes()).unwrap()
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        let answer = self.send(path, body, &[]);
        assert_eq!(answer.status, 200, "{}", answer.body);
        serde_json::from_str(&answer.body).unwrap()
    }

    fn put(&self, value: &str, mod_revision: &Value) -> Value {
        let body = json!({
            "key": COLOR, "value": value, "mod_revision": mod_revision, "expires_s": 0,
            "lease": null,
        });
        self.post("/put", &body)
    }
}

fn get_answer(port: u16, path: &str) -> Answer {
    ask(port, &format!("GET /console/v1{path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n")).unwrap()
}

fn get(port: u16, path: &str) -> Value {
    let answer = get_answer(port, path);
    assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    assert_eq!(answer.headers["cache-control"], "no-store");
    serde_json::from_str(&answer.body).unwrap()
}

/// The code of an error.
fn code(answer: &Answer) -> (u16, String) {
    let body: Value = serde_json::from_str(&answer.body).unwrap();
    (answer.status, body["error"]["code"].as_str().unwrap().to_owned())
}

/// A stream of events.
struct Events(BufReader<TcpStream>);

impl Events {
    fn open(port: u16, path: &str) -> Events {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let head = format!("GET /console/v1{path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        Events(BufReader::new(stream))
    }

    /// The next event with its data; `None` at the end of the stream. What frames the chunks is
    /// passed over.
    fn next(&mut self) -> Option<(String, Value)> {
        let mut name = None;
        loop {
            let mut line = String::new();
            if self.0.read_line(&mut line).ok()? == 0 {
                return None;
            }
            if let Some(it) = line.strip_prefix("event: ") {
                name = Some(it.trim().to_owned());
            }
            if let (Some(name), Some(data)) = (&name, line.strip_prefix("data: ")) {
                return Some((name.clone(), serde_json::from_str(data).unwrap()));
            }
        }
    }

    /// The first event that is wanted.
    fn find(&mut self, wanted: impl Fn(&str, &Value) -> bool) -> Value {
        loop {
            let (name, data) = self.next().expect("the stream goes on");
            if wanted(&name, &data) {
                return data;
            }
        }
    }
}

#[test]
fn the_page_is_served_with_its_policy_and_kept_by_its_tag() {
    let (cluster, ports, leader) = start();
    let port = ports.port(leader);
    let host = format!("Host: 127.0.0.1:{port}\r\n");
    let policy = || ask(port, &format!("GET / HTTP/1.1\r\n{host}")).unwrap();
    let others = cluster.wait_for("the addresses of the others", || {
        let page = policy();
        let policy = page.headers["content-security-policy"].clone();
        let others = cluster.ids().into_iter().filter(|id| *id != leader);
        let are_there = others
            .map(|id| format!("http://127.0.0.1:{}", ports.port(id)))
            .all(|other| policy.contains(&other));
        are_there.then_some(page)
    });
    assert_eq!(others.status, 200);
    assert!(others.body.contains("/console/app.js"));
    let tag = &others.headers["etag"];
    let again = ask(port, &format!("GET / HTTP/1.1\r\n{host}If-None-Match: {tag}\r\n")).unwrap();
    assert_eq!((again.status, &again.body[..]), (304, ""));
    let script = ask(port, &format!("GET /console/app.js HTTP/1.1\r\n{host}")).unwrap();
    assert_eq!(script.headers["content-type"], "text/javascript; charset=utf-8");
    let none = ask(port, &format!("GET /console/mod.rs HTTP/1.1\r\n{host}")).unwrap();
    assert_eq!(code(&none), (404, "not_found".to_owned()));
}

#[test]
fn a_stranger_can_neither_read_nor_write() {
    let (_cluster, ports, leader) = start();
    let port = ports.port(leader);
    let read = |headers: &str| {
        ask(port, &format!("GET /console/v1/session HTTP/1.1\r\n{headers}")).unwrap()
    };
    let host = format!("Host: 127.0.0.1:{port}\r\n");
    assert_eq!(read(&host).status, 200);
    for name in ["evil.example", "127.0.0.1.evil.example:9100", ""] {
        assert_eq!(code(&read(&format!("Host: {name}\r\n"))), (421, "host".to_owned()), "{name}");
    }
    for site in ["cross-site", "same-site"] {
        let answer = read(&format!("{host}Sec-Fetch-Site: {site}\r\n"));
        assert_eq!(code(&answer), (403, "origin".to_owned()));
        assert!(!answer.headers.keys().any(|name| name.starts_with("access-control")));
    }
    let page = Page::open(port);
    let body = json!({
        "key": COLOR, "value": "", "mod_revision": 0, "expires_s": 0, "lease": null
    });
    for (headers, expected) in [
        (("Origin", ""), (403, "origin")),
        (("Origin", "null"), (403, "origin")),
        (("Origin", "http://evil.example"), (403, "origin")),
        (("Origin", "http://127.0.0.1:1"), (403, "origin")),
        (("Content-Type", "text/plain"), (415, "bad_request")),
        (("X-Coracle-Token", ""), (403, "token")),
        (("X-Coracle-Token", "00000000000000000000000000000000"), (403, "token")),
    ] {
        let refused = page.send("/put", &body, &[headers]);
        assert_eq!(code(&refused), (expected.0, expected.1.to_owned()), "{headers:?}");
    }
    // None of them has written.
    assert_eq!(get(port, "/key?key=Y29sb3I")["found"], false);
    assert_eq!(page.send("/put", &body, &[]).status, 200);
}

#[test]
fn a_lost_race_shows_what_is_there_and_writes_nothing_at_any_server() {
    let (cluster, ports, leader) = start();
    let follower = cluster.ids().into_iter().find(|id| *id != leader).unwrap();
    let (one, other) = (Page::open(ports.port(leader)), Page::open(ports.port(follower)));
    let seen = one.put("b25l", &json!(0))["mod_revision"].clone();
    let now = other.put("dHdv", &seen)["mod_revision"].clone();
    let lost = one.put("dGhyZWU=", &seen);
    assert_eq!(lost["conflict"]["value"], "dHdv");
    assert_eq!(lost["conflict"]["mod_revision"], now);
    let deleted = one.post("/delete", &json!({"key": COLOR, "mod_revision": seen}));
    assert_eq!(deleted["conflict"]["mod_revision"], now);
    assert_eq!(other.put("eA==", &json!(0))["conflict"]["value"], "dHdv");
    let gone = other.post("/delete", &json!({"key": COLOR, "mod_revision": now}));
    assert!(gone["revision"].as_u64() > now.as_u64(), "{gone}");
    let versions = get(ports.port(leader), "/revisions?key=Y29sb3I");
    let kinds: Vec<&str> = versions["revisions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|version| version["kind"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["deleted", "set", "set"]);
    let past = get(ports.port(follower), &format!("/key?key=Y29sb3I&at={seen}"));
    assert_eq!(past["value"], "b25l");
    let lease = json!({
        "key": COLOR, "value": "", "mod_revision": 0, "expires_s": 0, "lease": "77"
    });
    assert_eq!(code(&one.send("/put", &lease, &[])), (409, "no_lease".to_owned()));
}

#[test]
fn a_watch_has_the_past_that_was_asked_for_and_then_every_change() {
    let (cluster, ports, leader) = start();
    let page = Page::open(ports.port(leader));
    let first = page.put("b25l", &json!(0))["mod_revision"].clone();
    let follower = cluster.ids().into_iter().find(|id| *id != leader).unwrap();
    let caught_up = || {
        let now = get(ports.port(follower), "/revisions?key=Y29sb3I")["revision"].as_u64();
        (now >= first.as_u64()).then_some(())
    };
    cluster.wait_for("the follower's store", caught_up);
    let path = format!("/watch?prefix=Y29s&from={first}");
    let mut watch = Events::open(ports.port(follower), &path);
    watch.find(|name, _| name == "watching");
    let change = watch.find(|name, _| name == "changes");
    assert_eq!((&change["revision"], &change["left_out"]), (&first, &json!(0)));
    let second = page.put("dHdv", &first)["mod_revision"].clone();
    let change = watch.find(|name, _| name == "changes");
    assert_eq!(change["changes"][0]["value"], "dHdv");
    assert_eq!(change["changes"][0]["mod_revision"], second);
    page.post("/delete", &json!({"key": COLOR, "mod_revision": second}));
    let change = watch.find(|name, _| name == "changes");
    assert_eq!(change["changes"][0]["kind"], "deleted");
    // A silent watch says how far it has come.
    let progress = watch.find(|name, _| name == "progress");
    assert_eq!(progress["revision"], change["revision"]);
}

#[test]
fn the_state_of_the_cluster_is_pushed_and_a_new_leader_is_seen() {
    let (mut cluster, ports, leader) = start();
    let follower = cluster.ids().into_iter().find(|id| *id != leader).unwrap();
    let mut events = Events::open(ports.port(follower), "/events");
    let (name, hello) = events.next().unwrap();
    assert_eq!(name, "hello");
    assert_eq!(hello["state"]["server"], json!(follower));
    assert_eq!(hello["terms"][0]["leader"], json!(leader));
    // A follower shows what the leader knows, and what each server says of itself.
    let state = events.find(|name, data| {
        let members = || data["members"].as_array().unwrap().iter();
        name == "state"
            && data["members_from"] == json!(leader)
            && members().all(|member| !member["report"].is_null())
    });
    assert_eq!((&state["here"], &state["can_lose"]), (&json!(3), &json!(1)), "{state}");
    for member in state["members"].as_array().unwrap() {
        let number = |name: &str| member["report"][name].as_u64().unwrap();
        let on_disk = 1..=number("last_log_index");
        assert!(on_disk.contains(&number("last_persisted_index")), "{member}");
    }
    events.find(|name, data| name == "sample" && data["rows"][0].is_array());
    cluster.kill(leader);
    let successor = |data: &Value| data["leader"].as_u64().filter(|id| *id != leader);
    let term = events.find(|name, data| name == "term" && successor(data).is_some());
    let state = events.find(|name, data| {
        let members = || data["members"].as_array().unwrap().iter();
        let is_unseen = |member: &Value| member["id"] == leader && member["state"] == "unseen";
        name == "state" && successor(data).is_some() && members().any(is_unseen)
    });
    assert_eq!(state["term"], term["term"]);
    assert_eq!(state["can_lose"], 0);
    let gone = state["members"].as_array().unwrap().iter().find(|it| it["id"] == leader).unwrap();
    assert_eq!((&gone["behind_entries"], &gone["cause"]), (&Value::Null, &json!("unseen")));
    let refused = events.find(|name, data| {
        let of = |it: &Value| it["id"] == leader && it["report_error"].is_string();
        name == "state" && data["members"].as_array().unwrap().iter().any(of)
    });
    assert_eq!(refused["leader"], state["leader"]);
}

#[test]
fn the_leadership_moves_and_a_removal_is_planned_from_any_server() {
    let (cluster, ports, leader) = start_of(5);
    let follower = cluster.ids().into_iter().find(|id| *id != leader).unwrap();
    let page = Page::open(ports.port(follower));
    let planned = cluster.wait_for("a plan", || {
        let planned = page.post("/members/remove", &json!({"id": leader, "dry_run": true}));
        (!planned["refused"].is_string()).then_some(planned)
    });
    assert_eq!(planned["plan"]["voters"], json!([5, 4]), "{planned}");
    let unknown = page.send("/members/transfer", &json!({"to": 99}), &[]);
    assert_eq!(code(&unknown), (404, "not_found".to_owned()));
    let moved = cluster.wait_for("a transfer", || {
        let moved = page.post("/members/transfer", &json!({"to": follower}));
        (!moved["refused"].is_string()).then_some(moved)
    });
    assert_eq!(moved["leader"], json!(follower), "{moved}");
    assert_eq!(page.post("/members/transfer", &json!({"to": follower})), json!({"already": true}));
}

#[test]
fn a_server_that_stops_says_so_to_its_pages() {
    let (mut cluster, ports, leader) = start();
    let mut events = Events::open(ports.port(leader), "/events");
    assert_eq!(events.next().unwrap().0, "hello");
    cluster.terminate(leader);
    assert_eq!(events.find(|name, _| name == "bye"), json!({"text": "The server stops."}));
    assert_eq!(events.next(), None);
}

#[test]
fn streams_beyond_the_bound_are_refused_and_leave_room_for_scrapes() {
    let mut cluster = Cluster::prepare_like(3, "127.0.0.1", &format!("{BRISK}{FEW}"));
    let ports = HttpPorts::draw(&cluster);
    ports.start_all(&mut cluster);
    let leader = cluster.wait_for_leader();
    cluster.wait_for_highest_format();
    let port = ports.port(leader);
    let mut streams: Vec<Events> = (0..4).map(|_| Events::open(port, "/watch?prefix=")).collect();
    for stream in &mut streams {
        assert_eq!(stream.next().unwrap().0, "watching");
    }
    assert_eq!(code(&get_answer(port, "/events")), (503, "busy".to_owned()));
    for _ in 0..20 {
        assert_eq!(ports.status(leader, "/metrics"), 200);
    }
    // The streams are no idle connections: each of them goes on.
    for stream in &mut streams {
        assert_eq!(stream.next().unwrap().0, "progress");
    }
    drop(streams);
    let room = || (get_answer_status_of_stream(port) == 200).then_some(());
    cluster.wait_for("room for a stream", room);
}

const FEW: &str = "[http]\nconnections_max = 8\n";

/// The status of a stream's answer, without what follows.
fn get_answer_status_of_stream(port: u16) -> u16 {
    let mut events = Events::open(port, "/watch?prefix=");
    let mut line = String::new();
    events.0.read_line(&mut line).unwrap();
    line.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
}
