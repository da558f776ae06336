//! Tests of PeersActor: it starts the actors of every peer, connects their ports, and ends
//! them.

use std::time::Duration;

use super::*;
use crate::actors::messages::peers::SendRpc;
use crate::raft::ProgressSettings;
use crate::testing::peer_connection::*;
use crate::testing::{probe, settle};
use crate::wire::Frame;

fn settings() -> PeersSettings {
    let progress = ProgressSettings {
        append_entries_max: 2,
        append_bytes_max: 1 << 20,
        inflight_entries_max: 4,
        inflight_bytes_max: 1 << 20,
        snapshot_piece_bytes: 1 << 16,
        snapshot_window_bytes: 1 << 20,
    };
    let replicator = ReplicatorSettings {
        progress,
        snapshot_bytes_per_second_max: 0,
        batched_peer_delay: Duration::from_millis(2),
    };
    PeersSettings { link: LinkSettings::default(), replicator, seed: 1 }
}

#[test]
fn every_peer_is_dialled_by_its_own_address_and_a_shutdown_ends_all() {
    run_paused(async {
        let network = FakeNetwork::default();
        let listener = FakeListener::default();
        let ((events, events_inbox), (replicated, _)) = (probe(), probe());
        let ((log, _), (snapshot, _)) = (probe(), probe());
        let ports = PeersPorts { events, replicated, log, snapshot };
        let local = local_node();
        let mut peers = PeersActor::new(local, Rc::new(network.clone()), settings(), ports);
        let mut ends = Vec::new();
        for peer in [2, 3] {
            let mut far = network.expect_connection(1024);
            let address = PeerAddress { host: format!("peer{peer}"), port: 9001 };
            let ports = peers.add(NodeId(peer), address);
            assert_eq!(far.receive().await, Some(Frame::Hello(long_hello(1, peer))));
            far.send(&Frame::Hello(long_hello(peer, 1))).await;
            ends.push((peer, far, ports));
        }
        peers.listen(Box::new(listener.clone()));
        let peers = peers.start();
        settle().await;
        for (peer, far, ports) in &mut ends {
            ports.link.do_send(SendRpc { envelope: request_vote(1, *peer) });
            assert_eq!(far.receive().await, Some(Frame::Rpc(request_vote(1, *peer))));
            far.send(&Frame::Rpc(vote(*peer, 1))).await;
            settle().await;
            let messages = PeerEvents::of(&events_inbox).messages.drain();
            assert_eq!(messages, [vote(*peer, 1)]);
        }
        let mut accepted = listener.dial(1024);
        accepted.send(&Frame::Hello(hello(2, 1))).await;
        assert_eq!(accepted.receive().await, Some(Frame::Hello(hello(1, 2))));

        peers.do_send(Shutdown);
        settle().await;
        assert!(listener.is_closed());
        assert_eq!(accepted.receive().await, None);
        for (_, far, _) in &mut ends {
            assert_eq!(far.receive().await, None);
        }
    });
}

#[test]
fn what_is_announced_reaches_the_links_and_the_accepted_connections() {
    run_paused(async {
        let network = FakeNetwork::default();
        let listener = FakeListener::default();
        let ((events, _), (replicated, _)) = (probe(), probe());
        let ((log, _), (snapshot, _)) = (probe(), probe());
        let ports = PeersPorts { events, replicated, log, snapshot };
        let mut peers = PeersActor::new(local_node(), Rc::new(network.clone()), settings(), ports);
        let mut linked = network.expect_connection(1024);
        peers.add(NodeId(2), PeerAddress { host: "peer2".into(), port: 9001 });
        linked.receive().await;
        linked.send(&Frame::Hello(long_hello(2, 1))).await;
        peers.listen(Box::new(listener.clone()));
        let peers = peers.start();
        let mut accepted = listener.dial(1024);
        accepted.send(&Frame::Hello(long_hello(2, 1))).await;
        assert_eq!(accepted.receive().await, Some(Frame::Hello(long_hello(1, 2))));
        peers.do_send(Announce(announcement(2)));
        assert!(!linked.is_closed().await && !accepted.is_closed().await);
        peers.do_send(Announce(announcement(3)));
        assert_eq!(linked.receive().await, None);
        assert_eq!(accepted.receive().await, None);
    });
}
