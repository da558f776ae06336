//! Strangers at the HTTP port: what they hold is bounded, and the cluster does not notice them.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

use crate::common::http::{HttpPorts, ask};
use crate::common::{Cluster, PATIENCE};

/// The settings of a port that takes few connections.
const FEW: &str = "[http]\nconnections_max = 64\n";

fn start() -> (Cluster, HttpPorts, u64) {
    let mut cluster = Cluster::prepare_with(FEW);
    let ports = HttpPorts::draw(&cluster);
    ports.start_all(&mut cluster);
    let leader = cluster.wait_for_leader();
    cluster.wait_for_highest_format();
    (cluster, ports, leader)
}

fn dial(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Reads until the server ends the connection.
fn read_all(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    // A reset is an end as well.
    let _ = stream.read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

#[test]
fn thousands_of_idle_connections_keep_nobody_out_and_cost_little() {
    let (cluster, ports, leader) = start();
    let term = cluster.status(leader).unwrap()["term"].clone();
    let files_before = cluster.open_descriptors(leader);
    let memory_before = cluster.resident_bytes(leader);
    let mut idle = Vec::new();
    for n in 0..2_000 {
        let mut stream = dial(ports.port(leader));
        // Some say nothing, some begin a request, some a header.
        let begun = ["", "GET /met", "GET /metrics HTTP/1.1\r\nHost: a\r\nX-Slow: "][n % 3];
        let _ = stream.write_all(begun.as_bytes());
        idle.push(stream);
        if n % 200 == 0 {
            assert_eq!(ports.status(leader, "/livez"), 200, "after {n} idle connections");
        }
    }
    assert_eq!(ports.status(leader, "/metrics"), 200);
    let files = cluster.open_descriptors(leader);
    assert!(files <= files_before + 64 + 16, "{files} descriptors, {files_before} before");
    let grown = cluster.resident_bytes(leader).saturating_sub(memory_before);
    println!("2,000 idle connections: {files} descriptors ({files_before} before), {grown} bytes");
    assert!(grown < 32 << 20, "{grown} bytes for idle connections");
    let after = cluster.status(leader).unwrap();
    assert_eq!((&after["role"][..], &after["term"]), ("leader", &term), "there was an election");
}

#[test]
fn headers_without_end_are_refused() {
    let (_cluster, ports, leader) = start();
    let mut stream = dial(ports.port(leader));
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: a\r\n").unwrap();
    // It may close the connection before all is written.
    let _ = stream.write_all(format!("X-Huge: {}\r\n", "x".repeat(1 << 20)).as_bytes());
    let said = read_all(&mut stream);
    assert!(!said.starts_with("HTTP/1.1 200"), "{said}");
    let mut many = dial(ports.port(leader));
    many.write_all(b"GET /metrics HTTP/1.1\r\nHost: a\r\n").unwrap();
    let lines: String = (0..1_000).map(|n| format!("X-{n}: 1\r\n")).collect();
    let _ = many.write_all(format!("{lines}\r\n").as_bytes());
    let said = read_all(&mut many);
    assert!(said.is_empty() || said.starts_with("HTTP/1.1 431"), "{said}");
}

#[test]
fn a_body_without_end_is_not_read() {
    let (cluster, ports, leader) = start();
    let memory_before = cluster.resident_bytes(leader);
    let mut stream = dial(ports.port(leader));
    stream
        .write_all(b"GET /livez HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        .unwrap();
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
    // The server ends the connection, or stops reading, long before all is sent.
    stream.set_write_timeout(Some(std::time::Duration::from_secs(2))).unwrap();
    let sent = (0..4_000).take_while(|_| stream.write_all(chunk.as_bytes()).is_ok()).count();
    assert!(sent < 4_000, "all of it was taken");
    let grown = cluster.resident_bytes(leader).saturating_sub(memory_before);
    assert!(grown < 32 << 20, "{grown} bytes for one body");
    assert_eq!(ports.status(leader, "/livez"), 200);
}

#[test]
fn nothing_can_be_changed_and_no_other_origin_may_read() {
    let (_cluster, ports, leader) = start();
    for method in ["POST", "PUT", "DELETE", "PATCH"] {
        let head = format!("{method} /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n");
        assert_eq!(ask(ports.port(leader), &head).unwrap().status, 405, "{method}");
    }
    let head = "GET /metrics HTTP/1.1\r\nHost: a\r\nOrigin: http://evil.example\r\n";
    let answer = ask(ports.port(leader), head).unwrap();
    let allows = |name: &String| name.starts_with("access-control-");
    assert!(!answer.headers.keys().any(allows), "{:?}", answer.headers);
    assert_eq!(answer.headers["x-content-type-options"], "nosniff");
    assert_eq!(
        ask(ports.port(leader), "GET /nowhere HTTP/1.1\r\nHost: a\r\n").unwrap().status,
        404
    );
}

#[test]
fn what_is_no_http_ends_its_own_connection_alone() {
    let (cluster, ports, leader) = start();
    for noise in [&b"\x16\x03\x01\x02\x00\x01\x00"[..], b"get key\r\n", b"\0\0\0\0\r\n\r\n"] {
        let mut stream = dial(ports.port(leader));
        let _ = stream.write_all(noise);
        let _ = stream.shutdown(Shutdown::Write);
        let said = read_all(&mut stream);
        assert!(said.is_empty() || said.starts_with("HTTP/1.1 400"), "{said}");
    }
    assert_eq!(ports.status(leader, "/livez"), 200);
    assert!(!cluster.log(leader).contains("HTTP"), "a stranger fills no log");
}

/// Requests that are sent without waiting for answers are answered one after the other.
#[test]
fn pipelined_requests_are_answered_in_turn() {
    let (_cluster, ports, leader) = start();
    let mut stream = dial(ports.port(leader));
    let requests = "GET /livez HTTP/1.1\r\nHost: a\r\n\r\n".repeat(50);
    stream.write_all(requests.as_bytes()).unwrap();
    stream.write_all(b"GET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
    let said = read_all(&mut stream);
    assert_eq!(said.matches("HTTP/1.1 200 OK").count(), 51);
}
