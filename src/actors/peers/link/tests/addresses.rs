//! The addresses at which a peer is dialled (docs/adr/0027).

use super::*;
use crate::raft::Announcement;
use crate::testing::introduction;
use crate::types::{ClusterId, LogIndex, Member};

fn at(port: u16) -> Address {
    Address { host: "peer".into(), port }
}

fn addresses(logged: Option<u16>, configured: Option<u16>) -> PeerAddresses {
    PeerAddresses { logged: logged.map(at), configured: configured.map(at) }
}

/// The facts that a server of this cluster, at this port, has in its hello.
fn facts(cluster_id: u128, port: u16) -> Introduction {
    Introduction {
        cluster_id: Some(ClusterId(cluster_id)),
        member: Some(Member { peer: at(port), client: at(port + 1) }),
        ..introduction()
    }
}

/// The news from the log about the cluster, and about the peer.
fn news(logged: Option<u16>) -> Announce {
    let peers = [(NodeId(2), logged.map(at))].into();
    Announce(Announcement { cluster_id: Some(ClusterId(5)), peers, ..announcement(1) })
}

fn introduced(cluster_id: u128, port: u16) -> PeerIntroduced {
    PeerIntroduced { peer: NodeId(2), introduction: Some(facts(cluster_id, port)) }
}

/// Answers the hello as a server of cluster 5 that says it is at `port`.
async fn answer_from(far: &mut FarEnd, port: u16) {
    let Some(Frame::Hello(dialled)) = far.receive().await else { panic!("a hello") };
    let introduction = Some(facts(5, port));
    far.send(&Frame::Hello(Hello { introduction, ..dialled.answer() })).await;
    settle().await;
}

/// A link of cluster 5 that is connected to its peer at port 1.
async fn connected_at_1(configured: Option<u16>) -> (Bench, FarEnd) {
    let network = FakeNetwork::default();
    let mut far = network.expect_connection(1024);
    let bench = bench_at(&network, LinkSettings::default(), addresses(Some(1), configured));
    bench.link.do_send(news(Some(1)));
    answer_from(&mut far, 1).await;
    assert_eq!((bench.ups(), network.take_ports()), (1, vec![1]));
    (bench, far)
}

#[test]
fn a_dial_that_fails_is_followed_at_once_by_the_next_address_and_a_round_by_a_pause() {
    run_paused(async {
        let network = FakeNetwork::default();
        (0..5).for_each(|_| network.expect(Dial::Refused));
        let mut far = network.expect_connection(1024);
        let addresses = addresses(Some(1), Some(2));
        let bench = bench_at(&network, LinkSettings::default(), addresses);
        answer_hello(&mut far).await;
        settle().await;
        assert_eq!(bench.ups(), 1);
        for round in network.times().chunks(2) {
            assert_eq!(round[0], round[1], "the second address is dialled without a pause");
        }
        let times = network.times();
        assert!(times[2] - times[1] >= Duration::from_millis(10));
        assert_eq!(network.take_ports(), [1, 2, 1, 2, 1, 2]);
        assert_eq!(bench.raft.refused.drain().len(), 2, "one hint a round");
    });
}

#[test]
fn a_peer_is_taken_for_dead_only_when_every_address_refuses() {
    run_paused(async {
        let network = FakeNetwork::default();
        network.expect(Dial::Never);
        network.expect(Dial::Refused);
        let mut far = network.expect_connection(1024);
        let addresses = addresses(Some(1), Some(2));
        let bench = bench_at(&network, LinkSettings::default(), addresses);
        answer_hello(&mut far).await;
        assert_eq!(bench.raft.refused.drain(), [], "it may be where nobody has answered");
    });
}

/// All servers may get other addresses while none of them runs, and then nobody can say so in the
/// log.
#[test]
fn an_address_that_leads_to_another_server_is_left_for_the_next_one() {
    run_paused(async {
        let network = FakeNetwork::default();
        let (mut other, mut far) =
            (network.expect_connection(1024), network.expect_connection(1024));
        let addresses = addresses(Some(1), Some(2));
        let bench = bench_at(&network, LinkSettings::default(), addresses);
        other.receive().await;
        other.send(&Frame::Refused { reason: "this is node 3".into() }).await;
        answer_hello(&mut far).await;
        settle().await;
        assert_eq!((bench.ups(), network.take_ports()), (1, vec![1, 2]));
    });
}

#[test]
fn a_peer_that_says_another_address_is_dialled_there_at_once_during_a_pause() {
    run_paused(async {
        let settings = LinkSettings {
            backoff_ms_min: 3_600_000,
            backoff_ms_max: 3_600_000,
            ..LinkSettings::default()
        };
        let network = FakeNetwork::default();
        network.expect(Dial::Refused);
        let bench = bench_at(&network, settings, addresses(Some(1), None));
        bench.link.do_send(news(Some(1)));
        settle().await;
        let start = Instant::now();
        let mut far = network.expect_connection(1024);
        bench.link.do_send(introduced(5, 7));
        answer_from(&mut far, 7).await;
        assert_eq!((bench.ups(), start.elapsed()), (1, Duration::ZERO));
        assert_eq!(network.take_ports(), [1, 7]);
        // The pause that was under way is over, and dials no more.
        answer_probes(&mut far, Duration::from_secs(7200)).await;
        assert_eq!(network.take_ports(), [0_u16; 0]);
    });
}

#[test]
fn a_peer_that_has_moved_loses_the_connection_to_where_it_was() {
    run_paused(async {
        let (bench, mut far) = connected_at_1(None).await;
        let mut next = bench.network.expect_connection(1024);
        bench.link.do_send(introduced(5, 7));
        assert_eq!(far.receive().await, None);
        answer_from(&mut next, 7).await;
        assert_eq!((bench.downs(), bench.ups()), (1, 1));
        assert_eq!(bench.network.take_ports(), [7]);
        // It says the same again, which is no news.
        bench.link.do_send(introduced(5, 7));
        bench.link.do_send(introduced(5, 1));
        assert_eq!(next.receive().await, None, "it has moved back");
    });
}

/// A server behind a wrong `hostname` says an address that leads nowhere. The one in the log works.
#[test]
fn what_a_peer_says_ends_no_connection_when_it_is_no_news() {
    run_paused(async {
        let network = FakeNetwork::default();
        let mut far = network.expect_connection(1024);
        let bench = bench_at(&network, LinkSettings::default(), addresses(Some(1), None));
        bench.link.do_send(news(Some(1)));
        answer_from(&mut far, 7).await;
        for _ in 0..3 {
            bench.link.do_send(introduced(5, 7));
            assert!(!far.is_closed().await);
        }
        network.expect(Dial::Refused);
        let mut next = network.expect_connection(1024);
        drop(far);
        answer_from(&mut next, 7).await;
        assert_eq!(network.take_ports(), [1, 7, 1]);
    });
}

/// Only the id of the cluster proves who says where a peer is.
#[test]
fn a_server_that_does_not_prove_its_cluster_moves_nobody() {
    run_paused(async {
        let (bench, mut far) = connected_at_1(None).await;
        let unproven = Introduction { cluster_id: None, ..facts(5, 7) };
        for introduction in [Some(facts(6, 7)), Some(unproven)] {
            bench.link.do_send(PeerIntroduced { peer: NodeId(2), introduction });
        }
        assert!(!far.is_closed().await);
        let mut next = bench.network.expect_connection(1024);
        drop(far);
        answer_from(&mut next, 1).await;
        assert_eq!(bench.network.take_ports(), [1]);
    });
    run_paused(async {
        let network = FakeNetwork::default();
        let mut far = network.expect_connection(1024);
        let bench = bench_at(&network, LinkSettings::default(), addresses(Some(1), None));
        answer_hello(&mut far).await;
        bench.link.do_send(introduced(5, 7));
        assert!(!far.is_closed().await, "this server knows no cluster id itself");
    });
}

#[test]
fn a_new_address_in_the_log_is_dialled_at_once_and_ends_no_connection() {
    run_paused(async {
        let network = FakeNetwork::default();
        let bench = bench_at(&network, LinkSettings::default(), addresses(None, None));
        sleep(Duration::from_secs(60)).await;
        assert_eq!(network.take_ports(), [0_u16; 0], "nobody knows where it is");
        let mut far = network.expect_connection(1024);
        bench.link.do_send(news(Some(3)));
        answer_from(&mut far, 3).await;
        bench.link.do_send(news(Some(4)));
        assert!(!far.is_closed().await);
        drop(far);
        settle().await;
        assert_eq!(network.take_ports(), [3, 3], "what the peer says comes before the log");
    });
}

/// It may be asked as often as there are peers, and for years.
#[test]
fn a_peer_that_says_that_this_node_was_removed_is_dialled_seldom_and_the_core_hears_of_it() {
    run_paused(async {
        let network = FakeNetwork::default();
        let addresses = addresses(Some(1), Some(2));
        let ends: Vec<_> = (0..3).map(|_| network.expect_connection(1024)).collect();
        let bench = bench_at(&network, LinkSettings::default(), addresses);
        for mut far in ends {
            far.receive().await;
            far.send(&Frame::Removed { at: LogIndex(9) }).await;
            assert_eq!(far.receive().await, None);
        }
        assert_eq!(bench.raft.removed.drain(), [(NodeId(2), LogIndex(9)); 3]);
        let pauses = network.times().windows(2).map(|pair| pair[1] - pair[0]).collect::<Vec<_>>();
        assert_eq!(pauses, [Duration::from_secs(5); 2]);
        assert_eq!(network.take_ports(), [1, 1, 1]);
        assert_eq!(bench.ups() + bench.losses().await, 0);
    });
    let said = PeerError::Removed(LogIndex(9)).to_string();
    assert!(said.contains("removed from the cluster by entry 9"), "{said}");
    let said = PeerError::Removed(LogIndex(0)).to_string();
    assert!(said.contains("removed from the cluster some time ago"), "{said}");
}
