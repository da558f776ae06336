//! Tests of PeersActor: it starts the actors of every peer, connects their ports, and ends
//! them.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::actors::io::memory::MemoryBudget;
use crate::actors::messages::peers::SendRpc;
use crate::metrics::NodeMetrics;
use crate::raft::{Announcement, ProgressSettings};
use crate::testing::peer_connection::*;
use crate::testing::{Inbox, introduction, probe, settle};
use crate::types::{ClusterId, Member, Membership};
use crate::wire::Frame;

fn settings(memory: &MemoryBudget) -> PeersSettings {
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
    let reservation = memory.reserve(0);
    PeersSettings {
        link: LinkSettings::default(),
        replicator,
        memory: PeerMemory { peers: 2, peer_bytes: 10, bytes_max: 15, reservation },
        configured: BTreeMap::new(),
        seed: 1,
        metrics: NodeMetrics::default(),
    }
}

fn address(peer: u64) -> Address {
    Address { host: format!("peer{peer}"), port: 9000 + peer as u16 }
}

fn member(id: u64) -> Member {
    Member { peer: address(id), client: Address { port: 8000, ..address(id) } }
}

/// PeersActor of node 1, with probes for the actors that it and its actors send to.
struct Bench {
    peers: Addr<PeersActor>,
    network: FakeNetwork,
    listener: FakeListener,
    events: Inbox<PeerEvent>,
    changed: Inbox<PeersChanged>,
    memory: MemoryBudget,
}

fn bench() -> Bench {
    bench_of(local_node(), BTreeMap::new())
}

/// The same for another node, with the addresses in its servers.toml.
fn bench_of(local: LocalNode, configured: BTreeMap<NodeId, Address>) -> Bench {
    let (network, listener) = (FakeNetwork::default(), FakeListener::default());
    let ((events_port, events), (replicated, _)) = (probe(), probe());
    let ((log, _), (snapshot, _), (changed_port, changed)) = (probe(), probe(), probe());
    let ports =
        PeersPorts { changed: changed_port, events: events_port, replicated, log, snapshot };
    let memory = MemoryBudget::new(100);
    let (rc_network, accepting) = (Rc::new(network.clone()), Box::new(listener.clone()));
    let settings = PeersSettings { configured, ..settings(&memory) };
    let peers = PeersActor::new(local, rc_network, accepting, settings, ports);
    Bench { peers: peers.start(), network, listener, events, changed, memory }
}

impl Bench {
    /// Announces these peers. Returns the ports of the new ones, and those that are gone.
    async fn announce(&self, peers: &[u64], facts: Announcement) -> (Vec<PeerPorts>, Vec<u64>) {
        let peers = peers.iter().map(|peer| (NodeId(*peer), Some(address(*peer)))).collect();
        self.peers.do_send(Announce(Announcement { peers, ..facts }));
        settle().await;
        let mut changes = (Vec::new(), Vec::new());
        for PeersChanged { added, removed } in self.changed.drain() {
            changes.0.extend(added.into_iter().map(|(_, ports)| ports));
            changes.1.extend(removed.iter().map(|peer| peer.0));
        }
        changes
    }
}

#[test]
fn every_peer_is_dialled_by_its_own_address_and_a_shutdown_ends_all() {
    run_paused(async {
        let bench = bench();
        let mut ends = [2, 3].map(|peer| (peer, bench.network.expect_connection(1024)));
        let (ports, gone) = bench.announce(&[2, 3], announcement(1)).await;
        assert_eq!((bench.network.take_ports(), gone), (vec![9002, 9003], vec![]));
        for ((peer, far), ports) in ends.iter_mut().zip(&ports) {
            assert_eq!(far.receive().await, Some(Frame::Hello(long_hello(1, *peer))));
            far.send(&Frame::Hello(long_hello(*peer, 1))).await;
            settle().await;
            ports.link.do_send(SendRpc { envelope: request_vote(1, *peer) });
            assert_eq!(far.receive().await, Some(Frame::Rpc(request_vote(1, *peer))));
            far.send(&Frame::Rpc(vote(*peer, 1))).await;
            settle().await;
            let messages = PeerEvents::of(&bench.events).messages.drain();
            assert_eq!(messages, [vote(*peer, 1)]);
        }
        let mut accepted = bench.listener.dial(1024);
        accepted.send(&Frame::Hello(hello(2, 1))).await;
        assert_eq!(accepted.receive().await, Some(Frame::Hello(hello(1, 2))));

        bench.peers.do_send(Shutdown);
        settle().await;
        assert!(bench.listener.is_closed());
        assert_eq!(accepted.receive().await, None);
        for (_, far) in &mut ends {
            assert_eq!(far.receive().await, None);
        }
        assert!(ports.iter().all(|ports| !ports.link.connected() && !ports.replicator.connected()));
    });
}

#[test]
fn what_is_announced_reaches_the_links_and_the_accepted_connections() {
    run_paused(async {
        let bench = bench();
        let mut linked = bench.network.expect_connection(1024);
        bench.announce(&[2], announcement(1)).await;
        linked.receive().await;
        linked.send(&Frame::Hello(long_hello(2, 1))).await;
        let mut accepted = bench.listener.dial(1024);
        accepted.send(&Frame::Hello(long_hello(2, 1))).await;
        assert_eq!(accepted.receive().await, Some(Frame::Hello(long_hello(1, 2))));
        let highest = introduction().formats.highest.0;
        bench.announce(&[2], announcement(highest)).await;
        assert!(!linked.is_closed().await && !accepted.is_closed().await);
        bench.announce(&[2], announcement(highest + 1)).await;
        assert_eq!(linked.receive().await, None);
        assert_eq!(accepted.receive().await, None);
    });
}

#[test]
fn a_peer_that_is_gone_loses_all_its_connections_and_no_other_does() {
    run_paused(async {
        let bench = bench();
        let mut linked = [2, 3].map(|_| bench.network.expect_connection(1024));
        let (ports, _) = bench.announce(&[2, 3], announcement(1)).await;
        let mut accepted = Vec::new();
        for (peer, far) in [2, 3].into_iter().zip(&mut linked) {
            far.receive().await;
            far.send(&Frame::Hello(long_hello(peer, 1))).await;
            let mut far = bench.listener.dial(1024);
            far.send(&Frame::Hello(long_hello(peer, 1))).await;
            far.receive().await;
            accepted.push(far);
        }
        let (added, gone) = bench.announce(&[2], announcement(1)).await;
        assert_eq!((added.len(), gone), (0, vec![3]));
        for (far, is_closed) in
            linked.iter_mut().chain(&mut accepted).zip([false, true, false, true])
        {
            assert_eq!(far.is_closed().await, is_closed);
        }
        assert!(ports[0].link.connected() && ports[0].replicator.connected());
        assert!(!ports[1].link.connected() && !ports[1].replicator.connected());
    });
}

/// A leader that has removed itself: docs/adr/0026.
#[test]
fn a_removed_leader_keeps_its_connections_and_gets_new_ones_until_it_has_handed_over() {
    run_paused(async {
        let bench = bench();
        let removed = |departing| {
            let members: BTreeMap<_, _> = [1, 2].map(|id| (NodeId(id), member(id))).into();
            let membership = Membership { last_id: NodeId(3), ..Membership::of_voters(members) };
            let membership = std::sync::Arc::new(membership);
            let committed = Some(std::sync::Arc::clone(&membership));
            Announcement { membership, committed, departing, ..announcement(1) }
        };
        let mut linked = [2, 3].map(|_| bench.network.expect_connection(1024));
        let (ports, _) = bench.announce(&[2, 3], announcement(1)).await;
        for (peer, far) in [2, 3].into_iter().zip(&mut linked) {
            far.receive().await;
            far.send(&Frame::Hello(long_hello(peer, 1))).await;
        }
        let mut accepted = bench.listener.dial(1024);
        accepted.send(&Frame::Hello(long_hello(3, 1))).await;
        accepted.receive().await;
        let (_, gone) = bench.announce(&[2, 3], removed(Some(NodeId(3)))).await;
        assert!(gone.is_empty());
        assert!(!linked[1].is_closed().await && !accepted.is_closed().await);
        let mut again = bench.listener.dial(1024);
        again.send(&Frame::Hello(long_hello(3, 1))).await;
        assert_eq!(again.receive().await, Some(Frame::Hello(long_hello(1, 3))));
        let (_, gone) = bench.announce(&[2], removed(None)).await;
        assert_eq!(gone, [3]);
        assert!(linked[1].is_closed().await && again.is_closed().await);
        assert!(ports[0].link.connected() && !ports[1].link.connected());
        let mut late = bench.listener.dial(1024);
        late.send(&Frame::Hello(long_hello(3, 1))).await;
        assert!(matches!(late.receive().await, Some(Frame::Refused { .. })));
    });
}

/// The other side may be a host that is gone (reports of other systems: a removal waited for a
/// call that hung).
#[test]
fn a_peer_whose_dial_hangs_is_ended_at_once() {
    run_paused(async {
        let bench = bench();
        let users = bench.network.users();
        let start = tokio::time::Instant::now();
        let (ports, _) = bench.announce(&[2], announcement(1)).await;
        assert_eq!(bench.network.take_ports(), [9002], "and the dial never ends");
        bench.announce(&[], announcement(1)).await;
        assert!(!ports[0].link.connected() && !ports[0].replicator.connected());
        assert_eq!((bench.network.users(), start.elapsed()), (users, Duration::ZERO));
    });
}

#[test]
fn nothing_is_left_of_a_thousand_peers_that_came_and_went() {
    run_paused(async {
        let bench = bench();
        let users = bench.network.users();
        let mut ports = Vec::new();
        for change in 0..1000 {
            let peer = 4 + change;
            let mut linked = bench.network.expect_connection(1024);
            ports.extend(bench.announce(&[peer], announcement(1)).await.0);
            linked.receive().await;
            if change % 2 == 0 {
                linked.send(&Frame::Hello(long_hello(peer, 1))).await;
            }
            let (_, gone) = bench.announce(&[], announcement(1)).await;
            assert!(gone == [peer] && linked.is_closed().await, "{change}");
            bench.network.take_ports();
            bench.events.drain();
            bench
                .peers
                .do_send(PeerIntroduced { peer: NodeId(peer), introduction: Some(introduction()) });
        }
        assert_eq!(ports.len(), 1000);
        let alive = |ports: &&PeerPorts| ports.link.connected() || ports.replicator.connected();
        assert_eq!(ports.iter().filter(alive).count(), 0);
        assert_eq!(bench.network.users(), users);
        assert_eq!(bench.memory.used_bytes(), 0);
        // No timer of theirs dials.
        tokio::time::sleep(Duration::from_secs(600)).await;
        assert_eq!(bench.network.take_ports(), [0_u16; 0]);
    });
}

#[test]
fn a_server_that_says_where_it_is_before_it_is_a_member_is_dialled_there() {
    run_paused(async {
        let bench = bench();
        let named = Announcement { cluster_id: Some(ClusterId(5)), ..announcement(1) };
        bench.announce(&[2, 3], named.clone()).await;
        bench.network.take_ports();
        let moved = Address { host: "elsewhere".into(), port: 7001 };
        let facts = Introduction {
            cluster_id: Some(ClusterId(5)),
            member: Some(Member { peer: moved.clone(), client: moved }),
            ..introduction()
        };
        let introduced = PeerIntroduced { peer: NodeId(4), introduction: Some(facts) };
        bench.peers.do_send(introduced);
        bench.announce(&[2, 3, 4], named).await;
        assert_eq!(bench.network.take_ports().last(), Some(&7001));
    });
}

/// Its log may have the members of the past only, who may all be gone.
#[test]
fn a_server_that_joins_dials_those_it_was_told_of_until_its_log_has_it_as_a_member() {
    run_paused(async {
        let local = LocalNode { id: NodeId(7), seeds: [NodeId(5)].into(), ..local_node() };
        let bench = bench_of(local, [(NodeId(5), address(5))].into());
        let _ends = [2, 5].map(|_| bench.network.expect_connection(1024));
        let (_, gone) = bench.announce(&[2], announcement(1)).await;
        assert_eq!((bench.network.take_ports(), gone), (vec![9002, 9005], vec![]));

        let membership = Arc::new(Membership::seed([2, 7].map(NodeId)));
        let (_, gone) = bench.announce(&[2], Announcement { membership, ..announcement(1) }).await;
        assert_eq!(gone, vec![5]);
    });
}

#[test]
fn peers_beyond_those_at_the_start_take_memory_from_the_clients_and_leave_some() {
    run_paused(async {
        let bench = bench();
        for (peers, used_bytes) in
            [(&[2, 3][..], 0), (&[2, 3, 4], 10), (&[2, 3, 4, 5], 15), (&[2, 3], 0)]
        {
            bench.announce(peers, announcement(1)).await;
            assert_eq!(bench.memory.used_bytes(), used_bytes, "{peers:?}");
        }
    });
}
