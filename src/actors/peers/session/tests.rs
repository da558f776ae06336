//! PeerSessionActor over a fake connection, whose far end the test plays. `members` tests what
//! servers are told that were removed, or join.

mod members;

use actix::Addr;
use bytes::BytesMut;
use tokio::time::Instant;
use tokio_util::codec::Encoder;

use super::*;
use crate::raft::{Announcement, Envelope, PeerFault};
use crate::testing::peer_connection::*;
use crate::testing::{Inbox, introduction, probe, settle};
use crate::types::{BootId, ClusterId, FormatRange, Term};
use crate::wire::{FRAME_BYTES_MAX, FrameCodec};

/// A session of node 1, whose peers are 2 and 3, with probes for the actors that it sends to.
struct Bench {
    session: Addr<PeerSessionActor>,
    raft: PeerEvents,
    acceptor: Inbox<PeerSessionEvent>,
}

fn bench(settings: &LinkSettings, capacity: usize) -> (Bench, FarEnd) {
    let (raft_port, raft) = probe();
    let (acceptor_port, acceptor) = probe();
    let ports = PeerSessionPorts { raft: raft_port, acceptor: acceptor_port };
    let local = local_node();
    let (stream, far) = connection(capacity);
    let session =
        PeerSessionActor::new(stream, "far:1".into(), 5, Rc::new(local), settings, ports).start();
    (Bench { session, raft: PeerEvents::of(&raft), acceptor }, far)
}

impl Bench {
    fn requests(&self) -> Vec<Envelope> {
        self.raft.messages.drain()
    }

    /// Checks that the session is over, and that its hello was never accepted. Returns the
    /// reason for which it was refused.
    async fn assert_never_attached(&self) -> Option<String> {
        settle().await;
        let mut events = self.acceptor.drain();
        assert_eq!(events.pop(), Some(PeerSessionEvent::Ended { connection: 5 }));
        let refused = events.pop().map(|event| match event {
            PeerSessionEvent::Refused { connection: 5, reason, .. } => reason,
            other => panic!("{other:?}"),
        });
        assert_eq!(events, []);
        assert_eq!(self.raft.attached.drain().len() + self.raft.detached.drain().len(), 0);
        assert_eq!(self.raft.messages.drain().len(), 0);
        assert!(!self.session.connected());
        refused
    }
}

async fn attached(settings: &LinkSettings, capacity: usize) -> (Bench, FarEnd, AttachedPeer) {
    let (bench, mut far) = bench(settings, capacity);
    far.send(&Frame::Hello(hello(2, 1))).await;
    assert_eq!(far.receive().await, Some(Frame::Hello(hello(1, 2))));
    settle().await;
    let attached = bench.raft.attached.drain().pop().expect("the hello was good");
    let introduction = None;
    let authenticated =
        PeerSessionEvent::Authenticated { connection: 5, peer: NodeId(2), introduction };
    assert_eq!(bench.acceptor.drain(), [authenticated]);
    (bench, far, attached)
}

#[test]
fn a_probe_is_answered_at_once_and_tells_nobody_else() {
    run_paused(async {
        let (bench, mut far, _attached) = attached(&LinkSettings::default(), 1024).await;
        for _ in 0..3 {
            far.send(&Frame::Probe).await;
            assert_eq!(far.receive().await, Some(Frame::ProbeAnswer));
        }
        assert_eq!(bench.requests(), []);
    });
}

#[test]
fn a_probe_before_the_hello_ends_the_connection() {
    run_paused(async {
        let (bench, mut far) = bench(&LinkSettings::default(), 1024);
        far.send(&Frame::Probe).await;
        assert_eq!(far.receive().await, None);
        assert_eq!(bench.assert_never_attached().await, None);
    });
}

#[test]
fn a_good_hello_attaches_the_peer_and_messages_go_both_ways() {
    run_paused(async {
        let (bench, mut far, attached) = attached(&LinkSettings::default(), 1024).await;
        assert_eq!((attached.peer, attached.connection), (NodeId(2), 5));
        far.send(&Frame::Rpc(request_vote(2, 1))).await;
        far.send(&Frame::Rpc(append(2, 1, 10_000))).await;
        settle().await;
        assert_eq!(bench.requests(), [request_vote(2, 1), append(2, 1, 10_000)]);
        for envelope in [vote(1, 2), append_response(1, 2, 1)] {
            attached.port.do_send(SendRpc { envelope });
        }
        assert_eq!(far.receive().await, Some(Frame::Rpc(vote(1, 2))));
        assert_eq!(far.receive().await, Some(Frame::Rpc(append_response(1, 2, 1))));
        drop(far);
        settle().await;
        assert_eq!(bench.raft.detached.drain(), [(NodeId(2), 5)]);
        assert_eq!(bench.acceptor.drain(), [PeerSessionEvent::Ended { connection: 5 }]);
    });
}

#[test]
fn a_peer_that_sends_what_no_sound_node_sends_is_cut_off() {
    run_paused(async {
        let (bench, mut far, attached) = attached(&LinkSettings::default(), 1024).await;
        let fault = PeerFault::Term { theirs: Term(u64::MAX - 1), ours: Term(1) };
        attached.end.do_send(EndConnection { fault });
        settle().await;
        assert_eq!(far.receive().await, None);
        assert_eq!(bench.raft.detached.drain(), [(NodeId(2), 5)]);
    });
}

#[test]
fn a_hello_that_does_not_fit_is_refused_with_the_reason() {
    let other_cluster = Hello { cluster: "other".into(), ..hello(2, 1) };
    let cases = [
        (other_cluster, "cluster \"other\""),
        (hello(2, 3), "this is node 1 and not node 3"),
        (hello(9, 1), "node 9 is not a member of cluster \"coracle\""),
        (hello(1, 1), "node 1 is not a member of cluster \"coracle\""),
    ];
    for (hello, expected) in cases {
        run_paused(async {
            let (bench, mut far) = bench(&LinkSettings::default(), 1024);
            far.send(&Frame::Hello(hello)).await;
            let Some(Frame::Refused { reason }) = far.receive().await else {
                panic!("refused: {expected}");
            };
            assert!(reason.contains(expected), "{reason}");
            assert_eq!(far.receive().await, None);
            assert_eq!(bench.assert_never_attached().await, Some(reason));
        });
    }
}

#[test]
fn a_long_hello_is_answered_by_a_long_one_and_goes_to_the_core_with_its_facts() {
    run_paused(async {
        let (bench, mut far) = bench(&LinkSettings::default(), 1024);
        let introduction = Some(Introduction { boot: BootId(77), ..introduction() });
        let hello = Hello { introduction: introduction.clone(), ..hello(2, 1) };
        far.send(&Frame::Hello(hello)).await;
        assert_eq!(far.receive().await, Some(Frame::Hello(long_hello(1, 2))));
        settle().await;
        let attached = bench.raft.attached.drain().pop().expect("the hello was good");
        assert_eq!(attached.introduction, introduction);
        let peer = NodeId(2);
        let authenticated = PeerSessionEvent::Authenticated { connection: 5, peer, introduction };
        assert_eq!(bench.acceptor.drain(), [authenticated]);
    });
}

#[test]
fn a_peer_without_an_introduction_is_refused_once_a_higher_format_is_in_force() {
    run_paused(async {
        let (bench, mut far) = bench(&LinkSettings::default(), 1024);
        bench.session.do_send(Announce(announcement(2)));
        settle().await;
        far.send(&Frame::Hello(hello(2, 1))).await;
        let Some(Frame::Refused { reason }) = far.receive().await else { panic!("refused") };
        assert!(reason.contains("start version 0.2.0"), "{reason}");
        assert_eq!(far.receive().await, None);
        assert_eq!(bench.assert_never_attached().await, Some(reason));
    });
}

#[test]
fn a_peer_that_does_not_fit_what_is_announced_loses_its_connection() {
    let of =
        |cluster_id| Introduction { cluster_id: Some(ClusterId(cluster_id)), ..introduction() };
    let cluster = |id| Announcement { cluster_id: Some(ClusterId(id)), ..announcement(1) };
    let highest = FormatRange::OWN.highest.0;
    // The hello, a fact that it fits, and one that it does not fit.
    let cases = [
        (None, announcement(1), announcement(2)),
        (Some(introduction()), announcement(highest), announcement(highest + 1)),
        (Some(of(6)), cluster(6), cluster(5)),
    ];
    for (introduction, fitting, other) in cases {
        run_paused(async {
            let (bench, mut far) = bench(&LinkSettings::default(), 1024);
            far.send(&Frame::Hello(Hello { introduction, ..hello(2, 1) })).await;
            assert!(matches!(far.receive().await, Some(Frame::Hello(_))));
            bench.session.do_send(Announce(fitting));
            assert!(!far.is_closed().await);
            bench.session.do_send(Announce(other));
            assert_eq!(far.receive().await, None);
            settle().await;
            assert_eq!(bench.raft.detached.drain(), [(NodeId(2), 5)]);
        });
    }
}

#[test]
fn a_server_of_another_release_is_told_so() {
    run_paused(async {
        let (bench, mut far) = bench(&LinkSettings::default(), 1024);
        far.send_bytes(b"\x00\x00\x00\x05\x09\x00\x00\x00\x00hello").await;
        let Some(Frame::Refused { reason }) = far.receive().await else { panic!("refused") };
        assert!(reason.contains("version 9"), "{reason}");
        assert_eq!(far.receive().await, None);
        bench.assert_never_attached().await;
    });
}

#[test]
fn an_unauthenticated_side_that_is_silent_or_does_not_read_its_refusal_is_dropped_in_time() {
    run_paused(async {
        let start = Instant::now();
        let (silent, mut far) = bench(&LinkSettings::default(), 1024);
        assert_eq!(far.receive().await, None);
        silent.assert_never_attached().await;
        let (deaf, mut far) = bench(&LinkSettings::default(), 10);
        far.send(&Frame::Hello(hello(9, 1))).await;
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert!(far.rest().await.len() <= 10);
        deaf.assert_never_attached().await;
        assert!(start.elapsed() >= Duration::from_secs(2));
    });
}

#[test]
fn an_unauthenticated_side_cannot_announce_more_than_a_hello() {
    run_paused(async {
        let (bench, mut far) = bench(&LinkSettings::default(), 1024);
        far.send_bytes(b"\x00\x00\x10\x00\x02\x00\x00\x00\x00").await;
        assert_eq!(far.receive().await, None);
        bench.assert_never_attached().await;
    });
}

#[test]
fn a_message_that_does_not_belong_in_a_session_ends_it_and_nothing_else() {
    let mut flipped = b"\x00\x00\x00\x05\x01\x81\x55\xfc\xad\x92\x02\xa2no".to_vec();
    flipped[10] ^= 1;
    run_paused(async {
        let (bystander, mut other_far, _) = attached(&LinkSettings::default(), 1024).await;
        let wrong = [
            Frame::Rpc(vote(2, 1)),
            Frame::Rpc(request_vote(3, 1)),
            Frame::Rpc(request_vote(2, 3)),
            Frame::Hello(hello(2, 1)),
            Frame::Refused { reason: "late".into() },
        ];
        for frame in &wrong {
            let (bench, mut far, _) = attached(&LinkSettings::default(), 1024).await;
            far.send(frame).await;
            assert_eq!(far.receive().await, None);
            settle().await;
            assert_eq!(bench.raft.detached.drain().len(), 1);
            assert_eq!(bench.requests(), []);
        }
        let noise: [&[u8]; 3] = [
            &flipped,
            b"\xff\xff\xff\xff\x01\x00\x00\x00\x00",
            b"\x00\x00\x00\x00\x01\x00\x00\x00\x00",
        ];
        for bytes in noise {
            let (bench, mut far, _) = attached(&LinkSettings::default(), 1024).await;
            far.send(&Frame::Rpc(request_vote(2, 1))).await;
            far.send_bytes(bytes).await;
            assert_eq!(far.receive().await, None);
            settle().await;
            assert_eq!(bench.raft.detached.drain().len(), 1);
            assert_eq!(bench.requests(), [request_vote(2, 1)], "what was good before counts");
        }
        other_far.send(&Frame::Rpc(request_vote(2, 1))).await;
        settle().await;
        assert_eq!(bystander.requests(), [request_vote(2, 1)]);
        assert_eq!(bystander.raft.detached.drain().len(), 0);
    });
}

/// The sender may have higher limits, or the entry may be older than its limits (docs/bugs.md
/// C12). Only what has come counts: a length that is announced reserves nothing.
#[test]
fn a_request_above_this_servers_own_limits_is_taken_and_counted_as_it_comes() {
    run_paused(async {
        let settings = LinkSettings { own_frame_bytes_max: 1000, ..LinkSettings::default() };
        let (bench, mut far, _) = attached(&settings, 1024).await;
        let large = append(2, 1, 1 << 20);
        let mut bytes = BytesMut::new();
        let frame = Frame::Rpc(large.clone());
        FrameCodec::new(FRAME_BYTES_MAX).encode(&frame, &mut bytes).unwrap();
        far.send_bytes(&bytes[..500]).await;
        settle().await;
        assert_eq!(settings.memory.used_bytes(), 0);
        far.send_bytes(&bytes[500..100_000]).await;
        settle().await;
        let used_bytes = settings.memory.used_bytes();
        assert!((190_000..200_000).contains(&used_bytes), "{used_bytes}");
        far.send_bytes(&bytes[100_000..]).await;
        settle().await;
        assert_eq!(bench.requests(), [large]);
        assert_eq!(settings.memory.used_bytes(), 0);
    });
}

#[test]
fn a_peer_that_does_not_read_its_responses_costs_no_more_than_the_bound() {
    run_paused(async {
        let settings = LinkSettings { outbound_bytes_max: 1000, ..LinkSettings::default() };
        let (bench, far, attached) = attached(&settings, 64).await;
        let mut sent = 0;
        while bench.acceptor.drain().is_empty() {
            attached.port.do_send(SendRpc { envelope: append_response(1, 2, sent) });
            sent += 1;
            settle().await;
        }
        let response_bytes = 9 + 11;
        assert!((45..=60).contains(&sent), "{sent} of {response_bytes} bytes each");
        assert!(far.rest().await.len() <= 64);
        assert_eq!(bench.raft.detached.drain().len(), 1);
    });
}
