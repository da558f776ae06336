//! Strangers at the HTTP port: what they hold is bounded, and the cluster does not notice them.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::common::http::{HttpPorts, ask};
use crate::common::members::CALM;
use crate::common::{Cluster, PATIENCE};

/// The settings of a port that takes few connections.
const FEW: &str = "[http]\nconnections_max = 64\n";

fn start() -> (Cluster, HttpPorts, u64) {
    // The term is compared, so no pause of a busy machine may cause an election.
    let mut cluster = Cluster::prepare_like(5, "127.0.0.1", &format!("{CALM}{FEW}"));
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

/// Number of strangers, and how many of their connections they keep open.
const STRANGERS: usize = 5_000;
const KEPT: usize = 500;

#[test]
fn thousands_of_slow_connections_keep_nobody_out_and_cost_little() {
    let (cluster, ports, leader) = start();
    let term = cluster.status(leader).unwrap()["term"].clone();
    let files_before = cluster.open_descriptors(leader);
    let memory_before = cluster.resident_bytes(leader);
    let is_over = AtomicBool::new(false);
    let written = std::thread::scope(|scope| {
        let writer = scope.spawn(|| write_until(&cluster, leader, &is_over));
        let mut slow = VecDeque::new();
        for n in 0..STRANGERS {
            let mut stream = dial(ports.port(leader));
            // Some say nothing, some begin a request, some a header.
            let begun = ["", "GET /met", "GET /metrics HTTP/1.1\r\nHost: a\r\nX-Slow: "][n % 3];
            let _ = stream.write_all(begun.as_bytes());
            slow.push_back(stream);
            if slow.len() > KEPT {
                slow.pop_front();
            }
            if n % 500 == 0 {
                assert_eq!(ports.status(leader, "/metrics"), 200, "after {n} slow connections");
            }
        }
        let files = cluster.open_descriptors(leader);
        let grown = cluster.resident_bytes(leader).saturating_sub(memory_before);
        is_over.store(true, Ordering::Relaxed);
        let written = writer.join().expect("every write is acknowledged");
        println!(
            "{STRANGERS} slow connections: {files} descriptors ({files_before} before), {grown} \
             bytes, {written} writes meanwhile"
        );
        assert!(files <= files_before + 64 + 16, "{files} descriptors, {files_before} before");
        assert!(grown < 32 << 20, "{grown} bytes for slow connections");
        written
    });
    assert!(written > 0);
    let after = cluster.status(leader).unwrap();
    assert_eq!((&after["role"][..], &after["term"]), ("leader", &term), "there was an election");
}

/// Writes to the leader until the test is over; returns the number of acknowledged writes.
fn write_until(cluster: &Cluster, leader: u64, is_over: &AtomicBool) -> u64 {
    let mut client = cluster.connect(leader).unwrap();
    let mut written = 0;
    while !is_over.load(Ordering::Relaxed) {
        let reply = client.ask("set key 0 1\r\nv\r\n").unwrap();
        assert!(reply.starts_with("OK "), "{reply}");
        written += 1;
    }
    written
}

/// Sends these lines of headers; returns what is answered until the connection ends.
fn answer_to_headers(port: u16, lines: &str) -> String {
    let mut stream = dial(port);
    // The server may end the connection before all is written.
    let request = format!("GET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{lines}\r\n");
    let _ = stream.write_all(request.as_bytes());
    read_all(&mut stream)
}

#[test]
fn headers_beyond_their_bounds_are_refused() {
    let (cluster, ports, leader) = start();
    let port = ports.port(leader);
    let large = |bytes: usize| format!("X-Large: {}\r\n", "x".repeat(bytes));
    let many = |count: usize| (0..count).map(|n| format!("X-{n}: 1\r\n")).collect::<String>();
    for within in [large(8_000), many(60)] {
        assert!(answer_to_headers(port, &within).starts_with("HTTP/1.1 200"));
    }
    let memory_before = cluster.resident_bytes(leader);
    for beyond in [large(32_000), large(10_000_000), many(70), many(100_000)] {
        let said = answer_to_headers(port, &beyond);
        // A reset behind an answer may overtake it.
        assert!(said.is_empty() || said.starts_with("HTTP/1.1 431"), "{said}");
    }
    let grown = cluster.resident_bytes(leader).saturating_sub(memory_before);
    assert!(grown < 8 << 20, "{grown} bytes for headers");
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
