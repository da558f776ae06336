//! PeerAcceptorActor over a fake listener, and two nodes over TCP.

use tokio::time::sleep;

use super::*;
use crate::actors::messages::peers::SendRpc;
use crate::actors::messages::replication::LinkEvent;
use crate::actors::peers::link::{PeerAddresses, PeerLinkActor, PeerLinkPorts};
use crate::net::{Network, Tcp};
use crate::testing::peer_connection::*;
use crate::testing::{Inbox, KindInbox, LogLines, introduction, probe, settle};
use crate::types::{Address, Incarnation};
use crate::wire::Frame;

/// The acceptor of node 1, whose peers are 2 and 3, with a probe in place of RaftActor.
struct Bench {
    acceptor: Addr<PeerAcceptorActor>,
    raft: PeerEvents,
    /// The facts about the peers that PeersActor is told.
    introduced: Inbox<PeerIntroduced>,
}

fn bench(listener: Box<dyn Listener>, settings: LinkSettings) -> Bench {
    let (raft_port, raft) = probe();
    let (introduced_port, introduced) = probe();
    let ports = PeerAcceptorPorts { raft: raft_port, introduced: introduced_port };
    let local = local_node();
    let acceptor = PeerAcceptorActor::new(listener, local, settings, ports).start();
    Bench { acceptor, raft: PeerEvents::of(&raft), introduced }
}

async fn connect(listener: &FakeListener, peer: u64) -> FarEnd {
    let mut far = listener.dial(1024);
    far.send(&Frame::Hello(hello(peer, 1))).await;
    assert_eq!(far.receive().await, Some(Frame::Hello(hello(1, peer))));
    far
}

#[test]
fn two_servers_with_one_id_are_distinguished_from_one_that_comes_back() {
    let (young, old) = (Duration::from_secs(1), YOUNG_AGE_MAX);
    let mut detector = DuplicateIdDetector::default();
    for _ in 0..5 {
        for _ in 1..REPLACEMENTS_MAX {
            assert!(!detector.record(NodeId(2), young) && !detector.record(NodeId(3), young));
        }
        assert!(!detector.record(NodeId(2), old), "it had been there for a while");
        assert!(detector.record(NodeId(3), young), "it goes on and on");
    }
}

#[test]
fn the_newest_connection_of_a_peer_replaces_the_one_before_and_no_other() {
    run_paused(async {
        let listener = FakeListener::default();
        let bench = bench(Box::new(listener.clone()), LinkSettings::default());
        let mut first = connect(&listener, 2).await;
        let mut other = connect(&listener, 3).await;
        let mut second = connect(&listener, 2).await;
        assert_eq!(first.receive().await, None);
        settle().await;
        let attached: Vec<_> =
            bench.raft.attached.drain().iter().map(|a| (a.peer.0, a.connection)).collect();
        assert_eq!(attached, [(2, 1), (3, 2), (2, 3)]);
        assert_eq!(bench.raft.detached.drain(), [(NodeId(2), 1)]);
        assert!(!other.is_closed().await && !second.is_closed().await);
    });
}

#[test]
fn a_refused_connection_replaces_no_other() {
    run_paused(async {
        let listener = FakeListener::default();
        let bench = bench(Box::new(listener.clone()), LinkSettings::default());
        let mut peer = connect(&listener, 2).await;
        let mut refused = listener.dial(1024);
        refused.send(&Frame::Hello(hello(2, 3))).await;
        assert!(matches!(refused.receive().await, Some(Frame::Refused { .. })));
        assert!(!peer.is_closed().await);
        assert_eq!(bench.raft.detached.drain().len(), 0);
    });
}

#[test]
fn a_refusal_is_logged_once_for_each_reason_until_the_node_connects() {
    run_paused(async {
        let lines = LogLines::record();
        let listener = FakeListener::default();
        let _bench = bench(Box::new(listener.clone()), LinkSettings::default());
        let refuse = async |to| {
            let mut refused = listener.dial(1024);
            refused.send(&Frame::Hello(hello(2, to))).await;
            assert!(matches!(refused.receive().await, Some(Frame::Refused { .. })));
            settle().await;
        };
        for _ in 0..8 {
            refuse(3).await;
        }
        let first = lines.drain("refused peer");
        assert_eq!(first.len(), 1, "{first:?}");
        let begins = "WARN refused peer node=1 address=";
        assert!(first[0].starts_with(begins) && !first[0].contains("left_out"), "{first:?}");
        refuse(4).await;
        let other = lines.drain("refused peer");
        assert!(other.len() == 1 && other[0].contains(" left_out=7: "), "{other:?}");
        refuse(3).await;
        assert_eq!(lines.drain("refused peer"), Vec::<String>::new());
        let _far = connect(&listener, 2).await;
        refuse(3).await;
        let again = lines.drain("refused peer");
        assert!(again.len() == 1 && again[0].contains(" left_out=1: "), "{again:?}");
    });
}

#[test]
fn a_scanner_gets_ten_lines_a_minute_and_the_next_says_how_many_it_was_refused() {
    run_paused(async {
        let lines = LogLines::record();
        let listener = FakeListener::default();
        let _bench = bench(Box::new(listener.clone()), LinkSettings::default());
        let scan = async || {
            let mut scanner = listener.dial(1024);
            scanner.send_bytes(b"GET / HTTP/1.1\r\n\r\n").await;
            settle().await;
        };
        for _ in 0..30 {
            scan().await;
        }
        let refused = lines.drain("WARN refused peer node=1 address=");
        assert_eq!(refused.len(), 10, "{refused:?}");
        sleep(Duration::from_secs(60)).await;
        scan().await;
        let next = lines.drain("WARN refused peer node=1 address=");
        assert!(next.len() == 1 && next[0].contains(" left_out=20: "), "{next:?}");
    });
}

#[test]
fn two_servers_with_one_id_have_one_data_directory_or_two() {
    let of = |incarnation| Introduction { incarnation: Incarnation(incarnation), ..introduction() };
    let same = duplicates(Some(&of(7)), Some(&of(7)));
    assert!(same.contains("a copy of one data directory (incarnation 0"), "{same}");
    let two = duplicates(Some(&of(7)), Some(&of(8)));
    assert!(two.contains("a data directory of its own (incarnations 0"), "{two}");
    assert!(two.contains("07 and ") && two.contains("08)"), "{two}");
    for (one, other) in [(None, Some(&of(7))), (Some(&of(7)), None), (None, None)] {
        assert!(duplicates(one, other).contains("does not say"));
    }
}

#[test]
fn what_each_peer_says_of_itself_is_told_as_long_as_it_is_connected() {
    run_paused(async {
        let listener = FakeListener::default();
        let bench = bench(Box::new(listener.clone()), LinkSettings::default());
        let heard = async || {
            settle().await;
            let heard = bench.introduced.drain();
            let said = |heard: &PeerIntroduced| (heard.peer.0, heard.introduction.is_some());
            heard.iter().map(said).collect::<Vec<_>>()
        };
        let mut far = listener.dial(1024);
        far.send(&Frame::Hello(long_hello(2, 1))).await;
        assert_eq!(far.receive().await, Some(Frame::Hello(long_hello(1, 2))));
        assert_eq!(heard().await, [(2, true)]);
        let _other = connect(&listener, 3).await;
        assert_eq!(heard().await, [(3, false)]);
        let old = connect(&listener, 2).await;
        assert_eq!(far.receive().await, None);
        assert_eq!(heard().await, [(2, false)], "the connection that was replaced does not count");
        let mut new = listener.dial(1024);
        new.send(&Frame::Hello(long_hello(2, 1))).await;
        new.receive().await;
        assert_eq!(heard().await, [(2, true)]);
        drop((old, new));
        assert_eq!(heard().await, [(2, false)]);
    });
}

#[test]
fn what_is_announced_holds_for_connections_that_are_there_and_for_new_ones() {
    run_paused(async {
        let listener = FakeListener::default();
        let bench = bench(Box::new(listener.clone()), LinkSettings::default());
        let mut old = connect(&listener, 2).await;
        let mut new = listener.dial(1024);
        new.send(&Frame::Hello(long_hello(3, 1))).await;
        assert!(matches!(new.receive().await, Some(Frame::Hello(_))));
        bench.acceptor.do_send(Announce(announcement(2)));
        assert_eq!(old.receive().await, None);
        assert!(!new.is_closed().await);
        let mut again = listener.dial(1024);
        again.send(&Frame::Hello(hello(2, 1))).await;
        assert!(matches!(again.receive().await, Some(Frame::Refused { .. })));
    });
}

#[test]
fn unauthenticated_connections_beyond_the_limit_are_dropped_until_there_is_room_again() {
    run_paused(async {
        let settings = LinkSettings { handshakes_max: 2, ..LinkSettings::default() };
        let listener = FakeListener::default();
        let bench = bench(Box::new(listener.clone()), settings);
        let mut peer = connect(&listener, 3).await;
        let mut unauthenticated = [listener.dial(1024), listener.dial(1024)];
        let mut dropped = listener.dial(1024);
        assert!(dropped.is_closed().await);
        for connection in &mut unauthenticated {
            assert!(!connection.is_closed().await);
        }
        for connection in &mut unauthenticated {
            assert_eq!(connection.receive().await, None, "its time is over");
        }
        connect(&listener, 2).await;
        assert!(!peer.is_closed().await);
        settle().await;
        assert_eq!(bench.raft.attached.drain().len(), 2);
    });
}

#[test]
fn failing_accepts_are_repeated_with_pauses_and_end_nothing() {
    run_paused(async {
        let listener = FakeListener::default();
        let bench = bench(Box::new(listener.clone()), LinkSettings::default());
        let mut peer = connect(&listener, 2).await;
        let before = listener.asked();
        for _ in 0..10 {
            // The number is EMFILE.
            listener.push(Err(io::Error::from_raw_os_error(24)));
        }
        let start = tokio::time::Instant::now();
        let next = connect(&listener, 3).await;
        // The pauses are 50, 100, 200, 400, 800 and five times 1000 ms.
        assert_eq!(start.elapsed().as_millis() / 100, 65);
        settle().await;
        assert_eq!(listener.asked(), before + 11);
        assert!(!peer.is_closed().await);
        assert_eq!(bench.raft.detached.drain().len(), 0);
        drop(next);
    });
}

#[test]
fn a_shutdown_closes_the_listener_and_every_session() {
    run_paused(async {
        let listener = FakeListener::default();
        let bench = bench(Box::new(listener.clone()), LinkSettings::default());
        let mut peer = connect(&listener, 2).await;
        let mut unauthenticated = listener.dial(1024);
        settle().await;
        bench.acceptor.do_send(Shutdown);
        assert_eq!(peer.receive().await, None);
        assert_eq!(unauthenticated.receive().await, None);
        settle().await;
        assert!(listener.is_closed());
        assert_eq!(bench.raft.detached.drain().len(), 1);
    });
}

/// Waits for a message of this kind to come over a real socket.
async fn received<M, T>(inbox: &KindInbox<M, T>) -> T {
    loop {
        if let Some(message) = inbox.drain().pop() {
            return message;
        }
        sleep(Duration::from_millis(1)).await;
    }
}

#[test]
fn two_nodes_talk_over_tcp_and_find_each_other_again() {
    run_real(async {
        let listener = Tcp.listen("127.0.0.1", 0).await.unwrap();
        let port = listener.port();
        let server = bench(listener, LinkSettings::default());

        let (raft_port, raft) = probe();
        let (replicator_port, replicator) = probe();
        let ports = PeerLinkPorts { raft: raft_port, replicator: replicator_port };
        let messages = PeerEvents::of(&raft).messages;
        let up = replicator.of_kind(|event| match event {
            LinkEvent::Up => Some(()),
            _ => None,
        });
        let down = replicator.of_kind(|event| match event {
            LinkEvent::Down => Some(()),
            _ => None,
        });
        let responses = replicator.of_kind(|event| match event {
            LinkEvent::AppendResponse { response, .. } => Some(*response),
            _ => None,
        });
        let logged = Some(Address { host: "127.0.0.1".into(), port });
        let addresses = PeerAddresses { logged, configured: None };
        let settings = LinkSettings::default();
        let local = LocalNode { id: NodeId(2), ..local_node() };
        let link =
            PeerLinkActor::new(local, NodeId(1), addresses, settings, Rc::new(Tcp), ports, 1);
        let link = link.start();

        received(&up).await;
        let attached = received(&server.raft.attached).await;
        // The size is above that of any socket buffer.
        let request = append(2, 1, 1 << 22);
        link.do_send(SendRpc { envelope: request.clone() });
        assert_eq!(received(&server.raft.messages).await, request);
        attached.port.do_send(SendRpc { envelope: append_response(1, 2, 9) });
        assert_eq!(received(&responses).await.request_seq, 9);
        link.do_send(SendRpc { envelope: request_vote(2, 1) });
        assert_eq!(received(&server.raft.messages).await, request_vote(2, 1));
        attached.port.do_send(SendRpc { envelope: vote(1, 2) });
        assert_eq!(received(&messages).await, vote(1, 2));

        server.acceptor.do_send(Shutdown);
        received(&down).await;
        let listener = loop {
            // The old listener may not be closed yet.
            match Tcp.listen("127.0.0.1", port).await {
                Ok(listener) => break listener,
                Err(_) => sleep(Duration::from_millis(1)).await,
            }
        };
        let server = bench(listener, LinkSettings::default());
        received(&up).await;
        assert_eq!(received(&server.raft.attached).await.peer, NodeId(2));
        link.do_send(Shutdown);
        assert_eq!(received(&server.raft.detached).await.0, NodeId(2));
    });
}
