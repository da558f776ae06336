//! A program that knows the name of a cluster and the ids of its servers sends frames to their
//! log ports.

mod common;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use bytes::BytesMut;
use common::Cluster;
use coracle::raft::{AppendEntries, Envelope, Introduction, PreVote, RequestVote, Rpc};
use coracle::types::{
    BootId, Entry, Format, FormatInForce, FormatRange, Incarnation, LogIndex, LogPosition, NodeId,
    Payload, Term,
};
use coracle::wire::{Frame, FrameCodec, Hello};
use tokio_util::codec::{Decoder, Encoder};

fn encode(frame: &Frame) -> BytesMut {
    let mut bytes = BytesMut::new();
    FrameCodec::new(1 << 20).encode(frame, &mut bytes).expect("a small frame");
    bytes
}

/// The introduction of a server of this version.
fn introduction() -> Introduction {
    Introduction {
        formats: FormatRange::OWN,
        binary: env!("CARGO_PKG_VERSION").to_owned(),
        incarnation: Incarnation(1),
        boot: BootId(1),
        cluster_id: None,
        is_held: false,
        member: None,
        is_draining: false,
        http: None,
    }
}

/// Dials a server in the name of another one, and sends one request after the hellos. Returns
/// when the server has closed the connection.
fn send(cluster: &Cluster, from: u64, to: u64, term: u64, rpc: Rpc) {
    let mut stream = TcpStream::connect(cluster.log_address(to)).expect("the server listens");
    stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a socket has a time limit");
    let (from, to) = (NodeId(from), NodeId(to));
    let cluster = "coracle".to_owned();
    let introduction = Some(introduction());
    let hello = Hello { cluster, from, to, restore_id: None, promise: None, introduction };
    stream.write_all(&encode(&Frame::Hello(hello.clone()))).expect("the server reads");
    let mut input = BytesMut::new();
    let mut codec = FrameCodec::new(1 << 20);
    let mut chunk = [0; 4096];
    let answer = loop {
        if let Some(frame) = codec.decode(&mut input).expect("a server sends good frames") {
            break frame;
        }
        let bytes = stream.read(&mut chunk).expect("the server answers");
        assert!(bytes > 0, "the server refuses the hello");
        input.extend_from_slice(&chunk[..bytes]);
    };
    let Frame::Hello(answer) = answer else { panic!("the server refuses the hello: {answer:?}") };
    assert_eq!((answer.from, answer.to), (to, from));
    let envelope = Envelope { from, to, term: Term(term), rpc };
    stream.write_all(&encode(&Frame::Rpc(envelope))).expect("the server reads");
    // The server may close while bytes of ours are unread: then this is an error.
    let _ = stream.read_to_end(&mut Vec::new());
}

fn append(prev: u64, leader_commit: u64, stamp_ms: u64) -> Rpc {
    let term = if prev == 0 { Term(0) } else { Term(1) };
    let index = LogIndex(prev.wrapping_add(1));
    Rpc::AppendEntries(AppendEntries {
        request_seq: 1,
        prev: LogPosition { index: LogIndex(prev), term },
        leader_commit: LogIndex(leader_commit),
        read_seq: 0,
        entries: vec![Entry { index, term: Term(1), stamp_ms, payload: Payload::Noop }],
    })
}

/// docs/bugs.md C11: the term of one such frame was adopted by all servers, and made durable.
/// After one more election no term was left.
#[test]
fn no_frame_ends_a_cluster() {
    const LAST: u64 = u64::MAX - 1;
    let mut cluster = Cluster::prepare_like(3, "127.0.0.1", "");
    for id in cluster.ids() {
        cluster.start_server(id);
    }
    cluster.wait_for_leader();
    let last = LogPosition { index: LogIndex(1), term: Term(1) };
    for to in cluster.ids() {
        let from = to % 3 + 1;
        for rpc in [
            append(0, 0, 0),
            Rpc::RequestVote(RequestVote { last }),
            Rpc::PreVote(PreVote { last }),
        ] {
            send(&cluster, from, to, LAST, rpc);
        }
        send(&cluster, from, to, 1, append(u64::MAX - 1, 0, 0));
        send(&cluster, from, to, 1, append(0, u64::MAX, 0));
        send(&cluster, from, to, 1, append(0, 0, u64::MAX));
    }
    for id in cluster.ids() {
        let log = cluster.log(id);
        assert!(log.contains("it is in term 18446744073709551614, and no cluster is"), "{log}");
        assert!(log.contains("and no log has more than 9007199254740992"), "{log}");
        assert!(log.contains("has the stamp 18446744073709551615"), "{log}");
    }
    cluster.wait_for("a write", || {
        let set = |id| cluster.connect(id).ok()?.ask("set k 0 1\r\nv\r\n").ok();
        cluster.ids().into_iter().find_map(|id| set(id).filter(|reply| reply.starts_with("OK ")))
    });
    for id in cluster.ids() {
        let term: u64 = cluster.status(id).expect("it answers")["term"].parse().expect("a number");
        assert!(term < 1000, "server {id} is in term {term}");
    }
}

/// docs/bugs.md V6: the last line of defence against a cluster that is too new.
#[test]
fn a_server_that_is_sent_a_format_that_it_cannot_read_ends_and_keeps_its_files() {
    let mut cluster = Cluster::prepare_like(3, "127.0.0.1", "");
    let listens = |cluster: &Cluster| TcpStream::connect(cluster.log_address(2)).ok();
    cluster.start_server(2);
    cluster.wait_for("the log port", || listens(&cluster));
    let needed = FormatInForce::read(Format(99), "9.0.0");
    let payload = Payload::Format(needed);
    let entry = Entry { index: LogIndex(1), term: Term(1), stamp_ms: 0, payload };
    let request = AppendEntries {
        request_seq: 1,
        prev: LogPosition::default(),
        leader_commit: LogIndex(1),
        read_seq: 0,
        entries: vec![entry],
    };
    send(&cluster, 1, 2, 1, Rpc::AppendEntries(request));
    let status = cluster.wait_for_end(2);
    assert_eq!(status.code(), Some(1));
    let sentence = "the cluster has format 99, and this server reads formats 1..4: start version \
                    9.0.0 or a later one; nothing of that format was stored here";
    assert!(cluster.log(2).contains(sentence), "{}", cluster.log(2));
    // It finds nothing on its disk that it could not read.
    cluster.start_server(2);
    cluster.wait_for("the log port", || listens(&cluster));
    let status = cluster.wait_for("an answer", || cluster.status(2));
    assert_eq!((status["last_log_index"].as_str(), status["format"].as_str()), ("0", "1"));
}
