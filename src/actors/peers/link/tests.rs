//! PeerLinkActor over a fake network, whose far end the test plays. `handshake` tests the
//! introductions and the short hello, `addresses` where a peer is dialled, `lines` what is logged.

mod addresses;
mod handshake;
mod lines;

use actix::Addr;
use bytes::Bytes;
use tokio::time::sleep;

use super::*;
use crate::raft::{Forward, InstallSnapshot, InstallSnapshotResponse, PeerFault};
use crate::testing::peer_connection::*;
use crate::testing::{Inbox, probe, settle};
use crate::types::{BootId, LogPosition, SnapshotId, Term};
use crate::wire::FRAME_BYTES_MAX;

/// The link of node 1 to node 2, with probes for the actors that it sends to.
struct Bench {
    link: Addr<PeerLinkActor>,
    network: FakeNetwork,
    raft: PeerEvents,
    replicator: Inbox<LinkEvent>,
}

fn bench(network: &FakeNetwork, settings: LinkSettings) -> Bench {
    let logged = Some(Address { host: "peer".into(), port: 9001 });
    bench_at(network, settings, PeerAddresses { logged, configured: None })
}

/// The link to a peer that may be at these addresses.
fn bench_at(network: &FakeNetwork, settings: LinkSettings, addresses: PeerAddresses) -> Bench {
    let (raft_port, raft) = probe();
    let (replicator_port, replicator) = probe();
    let ports = PeerLinkPorts { raft: raft_port, replicator: replicator_port };
    let rc_network: Rc<dyn Network> = Rc::new(network.clone());
    let local = local_node();
    let link = PeerLinkActor::new(local, NodeId(2), addresses, settings, rc_network, ports, 1);
    let link = link.start();
    let raft = PeerEvents::of(&raft);
    Bench { link, network: network.clone(), raft, replicator }
}

impl Bench {
    fn send(&self, envelope: Envelope) {
        self.link.do_send(SendRpc { envelope });
    }

    /// Number of times that the connection came up since the last call.
    fn ups(&self) -> usize {
        self.replicator.drain_kind(|event| (*event == LinkEvent::Up).then_some(())).len()
    }

    /// Number of times that the connection went down since the last call.
    fn downs(&self) -> usize {
        self.replicator.drain_kind(|event| (*event == LinkEvent::Down).then_some(())).len()
    }

    /// Number of times that the connection was lost since the last call.
    async fn losses(&self) -> usize {
        settle().await;
        assert_eq!(self.raft.refused.drain(), [], "a lost connection alone is no hint");
        self.downs()
    }
}

/// A link whose hello is answered.
async fn connected(settings: LinkSettings, capacity: usize) -> (Bench, FarEnd) {
    let network = FakeNetwork::default();
    let mut far = network.expect_connection(capacity);
    let bench = bench(&network, settings);
    answer_hello(&mut far).await;
    settle().await;
    assert_eq!(bench.ups(), 1);
    (bench, far)
}

/// Answers all probes for this time, and returns their number. Nothing else may come.
async fn answer_probes(far: &mut FarEnd, time: Duration) -> u32 {
    let mut probes = 0;
    let answer = async {
        while let Some(frame) = far.receive().await {
            assert_eq!(frame, Frame::Probe);
            far.send(&Frame::ProbeAnswer).await;
            probes += 1;
        }
    };
    let ended = tokio::time::timeout(time, answer).await;
    assert!(ended.is_err(), "the link has closed the connection");
    probes
}

async fn answer_hello(far: &mut FarEnd) {
    assert_eq!(far.receive().await, Some(Frame::Hello(long_hello(1, 2))));
    far.send(&Frame::Hello(long_hello(2, 1))).await;
}

#[test]
fn the_link_is_up_when_the_peer_has_answered_the_hello_and_drops_messages_before() {
    run_paused(async {
        let network = FakeNetwork::default();
        let mut far = network.expect_connection(1024);
        let bench = bench(&network, LinkSettings::default());
        bench.send(request_vote(1, 2));
        settle().await;
        bench.send(request_vote(1, 2));
        settle().await;
        assert_eq!(bench.ups(), 0);
        answer_hello(&mut far).await;
        settle().await;
        assert_eq!(bench.ups(), 1);
        bench.send(append(1, 2, 10));
        assert_eq!(far.receive().await, Some(Frame::Rpc(append(1, 2, 10))));
    });
}

#[test]
fn responses_to_appends_and_chunks_go_to_the_replicator_and_the_others_to_the_core() {
    run_paused(async {
        let (bench, mut far) = connected(LinkSettings::default(), 1024).await;
        let response = append_response(2, 1, 7);
        far.send(&Frame::Rpc(vote(2, 1))).await;
        far.send(&Frame::Rpc(response.clone())).await;
        let install = InstallSnapshotResponse {
            request_seq: 4,
            is_rejoining: false,
            last: LogPosition::default(),
            received: 5,
            is_installed: false,
            refusal: None,
        };
        let rpc = Rpc::InstallSnapshotResponse(install);
        let envelope = Envelope { from: NodeId(2), to: NodeId(1), term: Term(3), rpc };
        far.send(&Frame::Rpc(envelope)).await;
        settle().await;
        let Rpc::AppendEntriesResponse(response) = response.rpc else { unreachable!() };
        let term = Term(3);
        let expected = [
            LinkEvent::AppendResponse { term, response },
            LinkEvent::InstallResponse { term, response: install },
        ];
        assert_eq!(bench.replicator.drain(), expected);
        assert_eq!(bench.raft.messages.drain(), [vote(2, 1)]);
    });
}

/// A heartbeat waits for at most one chunk of a snapshot, and for what the kernel has
/// already (docs/bugs.md B59).
#[test]
fn chunks_of_a_snapshot_let_everything_else_go_first() {
    run_paused(async {
        let (bench, mut far) = connected(LinkSettings::default(), 1_000).await;
        let piece = |offset| {
            let snapshot = SnapshotId { last: LogPosition::default(), bytes: 1 << 20, digest: 1 };
            let bytes = Bytes::from(vec![1; 64 * 1024]);
            let piece = InstallSnapshot { request_seq: 1, snapshot, offset, bytes };
            let rpc = Rpc::InstallSnapshot(piece);
            Envelope { from: NodeId(1), to: NodeId(2), term: Term(3), rpc }
        };
        for place in 0..4 {
            bench.send(piece(place * 64 * 1024));
        }
        settle().await;
        bench.send(append(1, 2, 10));
        assert_eq!(far.receive().await, Some(Frame::Rpc(piece(0))));
        assert_eq!(far.receive().await, Some(Frame::Rpc(append(1, 2, 10))));
        for place in 1..4 {
            assert_eq!(far.receive().await, Some(Frame::Rpc(piece(place * 64 * 1024))));
        }
    });
}

#[test]
fn a_burst_larger_than_the_socket_takes_arrives_whole_and_in_order() {
    run_paused(async {
        let (bench, mut far) = connected(LinkSettings::default(), 100).await;
        for value_bytes in 0..200 {
            bench.send(append(1, 2, value_bytes));
        }
        for value_bytes in 0..200 {
            assert_eq!(far.receive().await, Some(Frame::Rpc(append(1, 2, value_bytes))));
        }
    });
}

#[test]
fn a_lost_connection_is_reported_once_and_redialled_at_once() {
    run_paused(async {
        let (bench, mut far) = connected(LinkSettings::default(), 1024).await;
        answer_probes(&mut far, Duration::from_secs(60)).await;
        let lost = Instant::now();
        let mut next = bench.network.expect_connection(1024);
        drop(far);
        assert_eq!(bench.losses().await, 1);
        assert_eq!(bench.ups(), 0);
        bench.send(request_vote(1, 2));
        answer_hello(&mut next).await;
        settle().await;
        assert_eq!(bench.ups(), 1);
        assert_eq!(*bench.network.times().last().unwrap(), lost);
        // A message sent in between is lost, and one sent now is not.
        bench.send(append(1, 2, 1));
        assert_eq!(next.receive().await, Some(Frame::Rpc(append(1, 2, 1))));
        assert_eq!(bench.losses().await, 0);
    });
}

#[test]
fn a_peer_that_sends_what_no_sound_node_sends_is_cut_off_and_dialled_again() {
    run_paused(async {
        let (bench, mut far) = connected(LinkSettings::default(), 1024).await;
        let mut next = bench.network.expect_connection(1024);
        let fault = PeerFault::Round { confirmed: 9, sent: 1 };
        bench.link.do_send(EndConnection { fault });
        assert_eq!(bench.losses().await, 1);
        assert_eq!(far.receive().await, None);
        answer_hello(&mut next).await;
        settle().await;
        assert_eq!(bench.ups(), 1);
    });
}

#[test]
fn every_refused_dial_is_a_hint_and_the_pauses_grow_to_their_cap() {
    run_paused(async {
        let network = FakeNetwork::default();
        for _ in 0..12 {
            network.expect(Dial::Refused);
        }
        let bench = bench(&network, LinkSettings::default());
        while network.times().len() < 13 {
            sleep(Duration::from_millis(1)).await;
        }
        let hints = bench.raft.refused.drain();
        assert_eq!(hints.len(), 12);
        assert!(hints.iter().all(|peer| *peer == NodeId(2)));
        assert_eq!(bench.downs(), 0);
        let mut cap_ms = 20;
        for dials in network.times().windows(2) {
            let pause_ms = (dials[1] - dials[0]).as_millis();
            assert!((cap_ms / 2..=cap_ms + 1).contains(&pause_ms), "{pause_ms} of {cap_ms}");
            cap_ms = (cap_ms * 2).min(500);
        }
    });
}

#[test]
fn a_dial_that_times_out_is_no_hint_and_is_repeated() {
    run_paused(async {
        let network = FakeNetwork::default();
        network.expect(Dial::Never);
        let mut far = network.expect_connection(1024);
        let bench = bench(&network, LinkSettings::default());
        answer_hello(&mut far).await;
        settle().await;
        assert_eq!(bench.ups(), 1);
        assert_eq!(bench.raft.refused.drain().len(), 0);
        let times = network.times();
        assert!(times[1] - times[0] >= Duration::from_millis(1000));
    });
}

#[test]
fn connections_that_never_last_are_not_redialled_in_a_hot_loop() {
    run_paused(async {
        let network = FakeNetwork::default();
        let start = Instant::now();
        let mut ends: Vec<_> = (0..8).map(|_| network.expect_connection(1024)).collect();
        let bench = bench(&network, LinkSettings::default());
        for mut far in ends.drain(..) {
            answer_hello(&mut far).await;
            settle().await;
        }
        assert_eq!(bench.ups(), 8);
        assert_eq!(network.times()[1], start, "the first loss is redialled at once");
        // The pauses are at least half of 20, 40, 80, 160, 320 and 500 ms.
        assert!(start.elapsed() >= Duration::from_millis(560));
    });
}

#[test]
fn a_hello_that_is_refused_or_wrong_or_missing_is_no_link_and_no_hint() {
    run_paused(async {
        let network = FakeNetwork::default();
        let mut refusing = network.expect_connection(1024);
        let mut mistaken = network.expect_connection(1024);
        let mut rude = network.expect_connection(1024);
        let mut mute = network.expect_connection(1024);
        let mut good = network.expect_connection(1024);
        let bench = bench(&network, LinkSettings::default());

        refusing.receive().await;
        refusing.send(&Frame::Refused { reason: "no".into() }).await;
        assert_eq!(refusing.receive().await, None);
        mistaken.receive().await;
        mistaken.send(&Frame::Hello(hello(3, 1))).await;
        assert_eq!(mistaken.receive().await, None);
        rude.receive().await;
        rude.send(&Frame::Rpc(vote(2, 1))).await;
        assert_eq!(rude.receive().await, None);
        mute.receive().await;
        let sent = Instant::now();
        assert_eq!(mute.receive().await, None);
        assert!(sent.elapsed() >= Duration::from_millis(2000));

        assert_eq!(bench.losses().await, 0);
        assert_eq!(bench.ups(), 0);
        assert_eq!(bench.raft.messages.drain().len(), 0);
        answer_hello(&mut good).await;
        settle().await;
        assert_eq!(bench.ups(), 1);
    });
}

#[test]
fn a_message_that_does_not_belong_on_a_link_ends_the_connection_and_nothing_else() {
    run_paused(async {
        let (bench, mut far) = connected(LinkSettings::default(), 1024).await;
        let wrong: [&[Frame]; 5] = [
            &[Frame::Rpc(request_vote(2, 1))],
            &[Frame::Rpc(vote(3, 1))],
            &[Frame::Rpc(vote(2, 3))],
            &[Frame::Hello(hello(2, 1))],
            &[Frame::Refused { reason: "late".into() }],
        ];
        for frames in wrong {
            answer_probes(&mut far, Duration::from_millis(1130)).await;
            let mut next = bench.network.expect_connection(1024);
            for frame in frames {
                far.send(frame).await;
            }
            assert_eq!(far.receive().await, None);
            assert_eq!(bench.losses().await, 1);
            answer_hello(&mut next).await;
            far = next;
        }
        answer_probes(&mut far, Duration::from_millis(1130)).await;
        far.send_bytes(b"\xff\xff\xff\xff\x01\x00\x00\x00\x00").await;
        assert_eq!(far.receive().await, None);
        assert_eq!(bench.losses().await, 1);
        assert_eq!(bench.raft.messages.drain(), []);
        assert!(bench.replicator.drain().iter().all(|event| *event == LinkEvent::Up));
    });
}

#[test]
fn a_peer_that_leaves_requests_unanswered_is_dropped_and_an_idle_one_is_not() {
    run_paused(async {
        let (bench, mut far) = connected(LinkSettings::default(), 1024).await;
        let probes = answer_probes(&mut far, Duration::from_secs(3600)).await;
        assert!((2400..=3600).contains(&probes), "{probes} probes in an hour");
        assert_eq!(bench.losses().await, 0);
        for request_seq in 0..10 {
            bench.send(append(1, 2, 1));
            sleep(Duration::from_millis(1000)).await;
            far.send(&Frame::Rpc(append_response(2, 1, request_seq))).await;
        }
        assert_eq!(bench.losses().await, 0);
        assert_eq!(bench.replicator.drain().len(), 10);
        let sent = Instant::now();
        // The test goes on reading, as the kernel of a hung process does.
        let requests = async {
            loop {
                bench.send(append(1, 2, 1));
                sleep(Duration::from_millis(50)).await;
            }
        };
        let reading = async { while far.receive().await.is_some() {} };
        tokio::select! {
            () = requests => unreachable!(),
            () = reading => {}
        }
        let silence = sent.elapsed();
        assert!((2000..=2500).contains(&silence.as_millis()), "{silence:?}");
        assert_eq!(bench.losses().await, 1);
        assert_eq!(bench.network.times().len(), 2);
    });
}

/// A firewall has forgotten the connection between two followers, and tells neither.
#[test]
fn an_idle_connection_whose_path_has_died_is_replaced_before_it_is_needed() {
    run_paused(async {
        let (bench, _far) = connected(LinkSettings::default(), 1024).await;
        let mut next = bench.network.expect_connection(1024);
        sleep(Duration::from_secs(4)).await;
        assert_eq!((bench.losses().await, bench.network.times().len()), (1, 2));
        answer_hello(&mut next).await;
        settle().await;
        bench.send(request_vote(1, 2));
        assert_eq!(next.receive().await, Some(Frame::Rpc(request_vote(1, 2))));
    });
}

#[test]
fn a_peer_that_answers_requests_is_not_probed_nor_one_that_does_not_read_probes() {
    run_paused(async {
        let (bench, mut far) = connected(LinkSettings::default(), 1024).await;
        for request_seq in 0..20 {
            bench.send(append(1, 2, 1));
            assert_eq!(far.receive().await, Some(Frame::Rpc(append(1, 2, 1))));
            far.send(&Frame::Rpc(append_response(2, 1, request_seq))).await;
            sleep(Duration::from_millis(500)).await;
        }
        let network = FakeNetwork::default();
        let mut old = network.expect_connection(1024);
        let old_bench = self::bench(&network, LinkSettings::default());
        assert_eq!(old.receive().await, Some(Frame::Hello(long_hello(1, 2))));
        let mut answer = long_hello(2, 1);
        let facts = answer.introduction.as_mut().unwrap();
        facts.formats.highest = Format(3);
        old.send(&Frame::Hello(answer)).await;
        let heard = tokio::time::timeout(Duration::from_secs(60), old.receive()).await;
        assert!(heard.is_err(), "{heard:?}");
        assert_eq!(old_bench.losses().await, 0);
    });
}

/// A forwarded command is answered on the other connection, which the leader has made.
#[test]
fn a_forwarded_command_is_no_request_that_the_peer_leaves_unanswered() {
    run_paused(async {
        let (bench, mut far) = connected(LinkSettings::default(), 1024).await;
        let forward = Forward { boot: BootId(7), number: 1, command: Bytes::from("command") };
        bench.send(Envelope { rpc: Rpc::Forward(forward), ..append(1, 2, 1) });
        assert!(far.receive().await.is_some());
        answer_probes(&mut far, Duration::from_secs(3600)).await;
        assert_eq!(bench.losses().await, 0);
    });
}

/// A peer that sends its response byte by byte is as silent as one that sends nothing.
#[test]
fn a_peer_whose_response_never_becomes_whole_is_dropped() {
    run_paused(async {
        let (bench, mut far) = connected(LinkSettings::default(), 1024).await;
        bench.send(append(1, 2, 1));
        // The header announces more bytes than come.
        far.send_bytes(b"\x00\x00\x00\xff\x02").await;
        for _ in 0..3 {
            sleep(Duration::from_millis(500)).await;
            far.send_bytes(b"\x00").await;
        }
        assert_eq!(bench.losses().await, 0);
        sleep(Duration::from_millis(1000)).await;
        assert_eq!(bench.losses().await, 1);
    });
}

#[test]
fn a_peer_that_does_not_read_costs_no_more_than_the_bound() {
    run_paused(async {
        let settings = LinkSettings { outbound_bytes_max: 10_000, ..LinkSettings::default() };
        let (bench, far) = connected(settings, 64).await;
        for _ in 0..9 {
            bench.send(append(1, 2, 1000));
            settle().await;
        }
        assert_eq!(bench.losses().await, 0);
        bench.send(append(1, 2, 1000));
        assert_eq!(bench.losses().await, 1);
        // The write that waited is over, and its data is dropped.
        assert!(far.rest().await.len() <= 64);
    });
}

#[test]
fn a_message_above_the_limit_of_the_format_ends_the_connection_and_is_not_dropped_in_silence() {
    run_paused(async {
        let (bench, mut far) = connected(LinkSettings::default(), 1024).await;
        bench.send(append(1, 2, 900));
        assert_eq!(far.receive().await, Some(Frame::Rpc(append(1, 2, 900))));
        bench.send(append(1, 2, FRAME_BYTES_MAX));
        assert_eq!(bench.losses().await, 1);
        assert_eq!(far.receive().await, None);
    });
}

/// An entry from before the limits were lowered, and heartbeats behind it, reach the peer
/// (docs/bugs.md C12). Meanwhile clients get less memory.
#[test]
fn a_message_above_this_servers_own_limits_is_sent_and_counted() {
    run_paused(async {
        let settings = LinkSettings {
            own_frame_bytes_max: 1000,
            outbound_bytes_max: 3000,
            ..LinkSettings::default()
        };
        let memory = settings.memory.clone();
        let (bench, mut far) = connected(settings, 1024).await;
        let large = append(1, 2, 1 << 20);
        bench.send(large.clone());
        bench.send(append(1, 2, 1));
        settle().await;
        assert!(memory.used_bytes() > 1_000_000);
        bench.send(append(1, 2, 2));
        assert_eq!(far.receive().await, Some(Frame::Rpc(large)));
        assert_eq!(far.receive().await, Some(Frame::Rpc(append(1, 2, 1))));
        assert_eq!(far.receive().await, Some(Frame::Rpc(append(1, 2, 2))));
        assert_eq!(bench.losses().await, 0);
        bench.send(append(1, 2, 3));
        settle().await;
        assert_eq!(memory.used_bytes(), 0);
    });
}

/// A large entry takes long on a slow network. A peer that reads it is alive.
#[test]
fn a_peer_that_takes_long_to_read_a_large_message_is_not_dropped() {
    run_paused(async {
        let (bench, mut far) = connected(LinkSettings::default(), 1024).await;
        bench.send(append(1, 2, 1 << 20));
        let start = Instant::now();
        for _ in 0..10 {
            sleep(Duration::from_millis(400)).await;
            far.read_bytes(1000).await;
        }
        assert_eq!(bench.losses().await, 0);
        sleep(Duration::from_millis(2600)).await;
        assert_eq!(bench.losses().await, 1, "one that stops to read is dropped");
        assert!(start.elapsed() >= Duration::from_secs(6));
    });
}

#[test]
fn a_shutdown_closes_the_connection_for_good() {
    run_paused(async {
        let (bench, mut far) = connected(LinkSettings::default(), 1024).await;
        bench.link.do_send(Shutdown);
        assert_eq!(far.receive().await, None);
        sleep(Duration::from_secs(10)).await;
        assert_eq!(bench.downs(), 1);
        assert_eq!(bench.network.times().len(), 1);
    });
}
