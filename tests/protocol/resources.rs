//! The cost of clients: many idle ones, ones that do not read, ones that send slowly. The
//! bounds on memory leave room for the allocator.

use std::io::{Read, Write};
use std::net::TcpStream;

use bytes::BytesMut;
use tokio_util::codec::{Decoder, Encoder};

use coracle::raft::Introduction;
use coracle::types::{BootId, FormatRange, Incarnation, NodeId};
use coracle::wire::{FRAME_HEADER_BYTES, Frame, FrameCodec, Hello, PROTOCOL_VERSION};

use super::raw::{Raw, Server};
use crate::common::Cluster;

const MIB: u64 = 1 << 20;

#[test]
fn a_thousand_idle_connections_cost_less_than_50_mb() {
    let server = Server::start();
    let mut first = server.connect();
    first.ask("set k 0 1\r\n1\r\n", "OK #\r\n");
    let before = server.cluster.resident_bytes(1);
    let mut idle: Vec<Raw> = (0..1_000).map(|_| server.connect()).collect();
    // The clients are idle, not new: each has sent a command.
    for client in &mut idle {
        client.ask("get k\r\n", "VALUE 1\r\n1\r\n");
    }
    let after = server.cluster.resident_bytes(1);
    let grown = after.saturating_sub(before);
    assert!(grown < 50_000_000, "{grown} bytes");
    first.ask("get k\r\n", "VALUE 1\r\n1\r\n");
}

#[test]
fn a_reader_that_stalls_does_not_grow_the_server() {
    const VALUE_BYTES: usize = 100 * 1024;
    let server = Server::start();
    let mut other = server.connect();
    let value = "v".repeat(VALUE_BYTES);
    let set = format!("set k 0 {VALUE_BYTES}\r\n{value}\r\n");
    let get = format!("VALUE {VALUE_BYTES}\r\n{value}\r\n");
    other.ask(&set, "OK #\r\n");
    let before = server.cluster.resident_bytes(1);
    let mut stalled: Vec<Raw> = (0..4).map(|_| server.connect()).collect();
    // Each client asks for 2 GB of replies and reads none. The server stops reading, too,
    // so threads that wait send the commands.
    let gets = "get k\r\n".repeat(20_000);
    let mut writers = Vec::new();
    for client in &mut stalled {
        let (mut sender, gets) = (client.another_half(), gets.clone());
        writers.push(std::thread::spawn(move || sender.try_send(gets.as_bytes())));
    }
    // Other clients are served meanwhile, also those that overwrite a value that is waiting
    // to be sent: then only the replies hold a copy of it.
    let mut served = server.connect();
    for _ in 0..20 {
        served.send("get k\r\n");
        served.expect_bytes(get.as_bytes());
        other.ask(&set, "OK #\r\n");
    }
    // The bound is a window of 4 MiB and an output of 1 MiB for each connection and the
    // values that were set; and once more as much for the allocator.
    let grown = server.cluster.resident_bytes(1).saturating_sub(before);
    assert!(grown < 2 * (4 * 5 + 2 + 2) * MIB, "{grown} bytes");
    drop(stalled);
    for writer in writers {
        writer.join().unwrap();
    }
}

#[test]
fn an_announced_length_costs_nothing_before_its_bytes_come() {
    let server = Server::start();
    let before = server.cluster.resident_bytes(1);
    let mut announced: Vec<Raw> = (0..100).map(|_| server.connect()).collect();
    for (number, client) in announced.iter_mut().enumerate() {
        let value_bytes = if number % 2 == 0 { 1 << 20 } else { 64 << 20 };
        client.ask(format!("ping\r\nset k 0 {value_bytes}\r\nv"), "PONG\r\n");
    }
    // One client sends its 64 MiB except the last byte: the block is thrown away as it
    // comes.
    let block = vec![b'v'; 1 << 20];
    for _ in 0..63 {
        announced[1].send(&block);
    }
    announced[1].send(&block[2..]);
    let mut other = server.connect();
    other.ask("set other 0 1\r\n1\r\n", "OK #\r\n");
    let grown = server.cluster.resident_bytes(1).saturating_sub(before);
    assert!(grown < 16 * MIB, "{grown} bytes");
    announced[1].ask("v\r\nping\r\n", "ERR_TOO_LARGE~\r\nPONG\r\n");
    let grown = server.cluster.resident_bytes(1).saturating_sub(before);
    assert!(grown < 16 * MIB, "{grown} bytes");
    other.ask("get other\r\n", "VALUE 1\r\n1\r\n");
}

#[test]
fn connections_that_come_and_go_leave_nothing() {
    let server = Server::start();
    let round = || {
        for _ in 0..50 {
            // Each connection ends in another way: in order, within a block, with unread
            // replies, after a quit, without a command.
            server.check("set k 0 1\r\n1\r\nget k\r\n", "OK #\r\nVALUE 1\r\n1\r\n");
            server.connect().send("set k 0 1000000\r\nabc");
            server.connect().send("get k\r\n".repeat(100));
            server.check("quit\r\n", "");
            drop(server.connect());
        }
        let descriptors = server.cluster.wait_for("the connections to be forgotten", || {
            let open = server.cluster.open_descriptors(1);
            (open < 40).then_some(open)
        });
        assert!(descriptors > 0);
        server.cluster.resident_bytes(1)
    };
    round();
    let before = round();
    let mut after = before;
    for _ in 0..4 {
        after = round();
    }
    let grown = after.saturating_sub(before);
    assert!(grown < 8 * MIB, "{grown} bytes over 1000 connections");
}

/// Clients do everything at once that they can do to a server's memory, and a follower
/// stalls meanwhile. The leader stays within its budget and the size of its store, serves
/// the client that behaves, and releases all memory in the end.
#[test]
fn hostile_clients_and_a_stalled_follower_leave_the_leader_within_its_budget() {
    const MEMORY_BYTES: u64 = 100 * MIB;
    // The values that were replaced, within a bound of their own.
    const HISTORY_BYTES: u64 = 16 * MIB;
    const VALUE_BYTES: usize = 100 * 1024;
    const KEYS: usize = 100;
    // Beside the budget and the store there are the program with its runtime, at most
    // 20 MiB; one turn of every session between two looks at the counter; and the freed
    // memory that the allocator keeps, a quarter of all.
    const SLACK_BYTES: u64 = 20 * MIB + MEMORY_BYTES / 4;
    let settings = format!(
        "[raft]\nelection_timeout_ms = [1000, 2000]\n[log]\nsegment_bytes = 16777216\n\
         [limits]\nmemory_bytes = {MEMORY_BYTES}\npeer_inflight_bytes_max = 4194304\n\
         write_stall_ms_max = 5000\n[history]\nbytes_max = {HISTORY_BYTES}\n"
    );
    let mut cluster = Cluster::prepare_like(3, "127.0.0.1", &settings);
    cluster.ids().into_iter().for_each(|id| cluster.start_server(id));
    let leader = cluster.wait_for_leader();
    let follower = cluster.ids().into_iter().find(|id| *id != leader).unwrap();
    let mut good = Raw::open(&cluster, leader);
    let value = "v".repeat(VALUE_BYTES);
    for key in 0..KEYS {
        good.ask(format!("set k{key} 0 {VALUE_BYTES}\r\n{value}\r\n"), "OK #\r\n");
    }
    cluster.signal(follower, "STOP");
    let inputs = hostile_inputs(KEYS, &value);
    let clients: Vec<Raw> = (0..200).map(|_| Raw::open(&cluster, leader)).collect();
    let most = std::thread::scope(|scope| {
        for (number, client) in clients.iter().enumerate() {
            let (mut sender, input) = (client.another_half(), &inputs[number % inputs.len()]);
            // The client reads no reply, and the server hangs up in the end.
            scope.spawn(move || sender.try_send(input.as_bytes()));
        }
        let (mut round, mut most) = (0, 0);
        // A client that sends little, and reads, always gets an answer: it is served, or
        // refused as busy. It is served at the latest when the server has hung up on the
        // clients that do not read, although all of them would still go on.
        cluster.wait_for("who behaves to be served beside those who do not", || {
            round += 1;
            good.send(format!("set good 0 1\r\n{}\r\nget good\r\nping\r\n", round % 10));
            let set = good.line();
            let get = good.line();
            if get == "VALUE 1\r\n" {
                good.line();
            } else {
                assert!(["ERR_BUSY\r\n", "ERR_NOT_FOUND\r\n"].contains(&get.as_str()), "{get:?}");
            }
            assert!(set.starts_with("OK ") || set == "ERR_BUSY\r\n", "{set:?}");
            assert_eq!(good.line(), "PONG\r\n");
            most = most.max(cluster.resident_bytes(leader));
            std::thread::sleep(std::time::Duration::from_millis(80));
            let is_served = set.starts_with("OK ") && get == "VALUE 1\r\n";
            (is_served && round >= 20).then_some(())
        });
        for client in &clients {
            client.close();
        }
        most
    });
    let store_bytes: u64 = cluster.status(leader).unwrap()["store_bytes"].parse().unwrap();
    let bound = MEMORY_BYTES + store_bytes + HISTORY_BYTES + SLACK_BYTES;
    assert!(most < bound, "{} MiB, and the bound is {} MiB", most / MIB, bound / MIB);
    cluster.signal(follower, "CONT");
    drop(clients);
    // All memory is released but for the cost of the connections.
    cluster.wait_for("all that was taken to come back", || {
        let used: u64 = cluster.status(leader)?["memory_bytes_used"].parse().ok()?;
        (used <= 2 * 8192).then_some(())
    });
}

/// Commands whose replies or values take much memory: reads, writes, scans, and a value that
/// never ends.
fn hostile_inputs(keys: usize, value: &str) -> [String; 4] {
    let gets: String = (0..keys).cycle().take(5_000).map(|key| format!("get k{key}\r\n")).collect();
    let set = |key| format!("set k{key} 0 {}\r\n{value}\r\n", value.len());
    let sets = (0..keys).map(set).collect::<String>().repeat(2);
    let half = format!("set k0 0 1048576\r\n{}", "v".repeat(1_000_000));
    [gets, sets, "scan * 10000\r\n".repeat(200), half]
}

fn read_frame(peer: &mut TcpStream) -> Frame {
    let mut input = BytesMut::new();
    loop {
        if let Some(frame) = FrameCodec::new(1 << 20).decode(&mut input).unwrap() {
            return frame;
        }
        let mut bytes = [0; 1024];
        let read = peer.read(&mut bytes).unwrap();
        assert!(read > 0, "the connection ends");
        input.extend_from_slice(&bytes[..read]);
    }
}

/// A peer that stalls within a frame, and connects again each time, costs the bytes of one
/// frame that it has sent, once, and nothing else is affected (docs/bugs.md B79).
#[test]
fn a_peer_that_stalls_within_a_frame_costs_that_frame_and_no_more() {
    const FRAME_BYTES: usize = 1 << 20;
    let mut cluster = Cluster::prepare_like(3, "127.0.0.1", "");
    for id in cluster.ids() {
        cluster.start_server(id);
    }
    let leader = cluster.wait_for_leader();
    let gone = cluster.ids().into_iter().find(|id| *id != leader).unwrap();
    cluster.kill(gone);
    let mut client = Raw::open(&cluster, leader);
    client.ask("set k 0 1\r\n1\r\n", "OK #\r\n");
    let term = &cluster.status(leader).unwrap()["term"];
    let before = cluster.resident_bytes(leader);

    let hello = Frame::Hello(Hello {
        cluster: "coracle".into(),
        from: NodeId(gone),
        to: NodeId(leader),
        restore_id: None,
        promise: None,
        introduction: Some(Introduction {
            formats: FormatRange::OWN,
            binary: env!("CARGO_PKG_VERSION").to_owned(),
            incarnation: Incarnation(1),
            boot: BootId(1),
            cluster_id: None,
            is_held: false,
            member: None,
            is_draining: false,
            http: None,
        }),
    });
    let mut first = BytesMut::new();
    FrameCodec::new(FRAME_BYTES).encode(&hello, &mut first).unwrap();
    // The header announces a frame, and all of the frame but its last byte follows.
    let mut part = (FRAME_BYTES as u32).to_be_bytes().to_vec();
    part.push(PROTOCOL_VERSION);
    part.resize(FRAME_HEADER_BYTES + FRAME_BYTES - 1, 0);
    let mut stalled = Vec::new();
    for _ in 0..30 {
        let mut peer = TcpStream::connect(cluster.log_address(leader)).unwrap();
        peer.write_all(&first).unwrap();
        assert!(matches!(read_frame(&mut peer), Frame::Hello(_)), "the leader takes it in");
        // The next connection may cut this one off while it sends.
        let _ = peer.write_all(&part);
        stalled.push(peer);
        client.ask("set k 0 1\r\n1\r\nget k\r\n", "OK #\r\nVALUE 1\r\n1\r\n");
    }
    let grown = cluster.resident_bytes(leader).saturating_sub(before);
    assert!(grown < 12 * MIB, "{grown} bytes");
    assert_eq!(cluster.status(leader).unwrap()["term"], *term, "the same leader still leads");
}
