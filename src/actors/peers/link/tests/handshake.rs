//! The two forms of the hello, the check of the answer, and facts that change.

use super::*;
use crate::raft::Announcement;
use crate::testing::introduction;
use crate::types::{ClusterId, FormatRange};

/// Ends the connection at the hello, as servers from before format 2 do at the long one.
async fn end_at(mut far: FarEnd, hello: Hello) {
    assert_eq!(far.receive().await, Some(Frame::Hello(hello)));
}

fn introduced(introduction: Option<Introduction>) -> PeerIntroduced {
    PeerIntroduced { peer: NodeId(2), introduction }
}

/// Answers the short hello with a short one.
async fn answer_short_hello(far: &mut FarEnd) {
    assert_eq!(far.receive().await, Some(Frame::Hello(hello(1, 2))));
    far.send(&Frame::Hello(hello(2, 1))).await;
    settle().await;
}

#[test]
fn a_peer_that_ends_the_connection_at_the_long_hello_is_dialled_at_once_with_the_short_one() {
    run_paused(async {
        let network = FakeNetwork::default();
        let (first, mut second) =
            (network.expect_connection(1024), network.expect_connection(1024));
        let start = Instant::now();
        let bench = bench(&network, LinkSettings::default());
        end_at(first, long_hello(1, 2)).await;
        answer_short_hello(&mut second).await;
        assert_eq!(bench.ups(), 1);
        assert_eq!(network.times(), [start, start]);
        bench.send(append(1, 2, 1));
        assert_eq!(second.receive().await, Some(Frame::Rpc(append(1, 2, 1))));
        // The server may have been upgraded meanwhile.
        sleep(Duration::from_secs(60)).await;
        let mut third = network.expect_connection(1024);
        drop(second);
        answer_hello(&mut third).await;
        settle().await;
        assert_eq!(bench.ups(), 1);
    });
}

#[test]
fn a_peer_that_ends_every_connection_is_not_dialled_in_a_hot_loop() {
    run_paused(async {
        let network = FakeNetwork::default();
        let ends: Vec<_> = (0..24).map(|_| network.expect_connection(1024)).collect();
        let bench = bench(&network, LinkSettings::default());
        for (dial, far) in ends.into_iter().enumerate() {
            let expected = if dial % 2 == 0 { long_hello(1, 2) } else { hello(1, 2) };
            end_at(far, expected).await;
        }
        settle().await;
        assert_eq!(bench.ups() + bench.losses().await, 0);
        let mut cap_ms = 20;
        for pair in network.times().chunks(2).collect::<Vec<_>>().windows(2) {
            assert_eq!(pair[0][0], pair[0][1], "the short hello follows at once");
            let pause_ms = (pair[1][0] - pair[0][1]).as_millis();
            assert!((cap_ms / 2..=cap_ms + 1).contains(&pause_ms), "{pause_ms} of {cap_ms}");
            cap_ms = (cap_ms * 2).min(500);
        }
    });
}

/// A refusal, noise and silence are no signs of an old server.
#[test]
fn a_peer_that_answers_the_long_hello_in_any_way_is_dialled_with_no_short_one() {
    run_paused(async {
        let network = FakeNetwork::default();
        let ends: Vec<_> = (0..3).map(|_| network.expect_connection(1024)).collect();
        let mut last = network.expect_connection(1024);
        let bench = bench(&network, LinkSettings::default());
        for (mut far, answer) in ends.into_iter().zip(0..) {
            assert_eq!(far.receive().await, Some(Frame::Hello(long_hello(1, 2))));
            match answer {
                0 => far.send(&Frame::Refused { reason: "no".into() }).await,
                1 => far.send_bytes(b"\xff\xff\xff\xff\x01\x00\x00\x00\x00").await,
                _ => {}
            }
            assert_eq!(far.receive().await, None);
        }
        answer_hello(&mut last).await;
        settle().await;
        assert_eq!(bench.ups(), 1);
    });
}

#[test]
fn no_short_hello_is_sent_while_a_higher_format_is_in_force() {
    run_paused(async {
        let network = FakeNetwork::default();
        let ends: Vec<_> = (0..3).map(|_| network.expect_connection(1024)).collect();
        let bench = bench(&network, LinkSettings::default());
        bench.link.do_send(Announce(announcement(2)));
        for far in ends {
            end_at(far, long_hello(1, 2)).await;
        }
        settle().await;
        assert_eq!(bench.ups(), 0);
    });
    assert_eq!(
        PeerError::TooOld(announcement(2).format).to_string(),
        "it ended the connection at this server's hello: it is just stopping, or it is a version \
         from before 0.2.0, which reads format 1 only; if that lasts, start version 0.2.0 or a \
         newer one there, because format 2 is in force"
    );
}

#[test]
fn a_raise_while_an_old_peer_is_dialled_with_the_short_hello_ends_the_attempt() {
    run_paused(async {
        let network = FakeNetwork::default();
        let (first, mut second) =
            (network.expect_connection(1024), network.expect_connection(1024));
        let bench = bench(&network, LinkSettings::default());
        end_at(first, long_hello(1, 2)).await;
        assert_eq!(second.receive().await, Some(Frame::Hello(hello(1, 2))));
        bench.link.do_send(Announce(announcement(2)));
        settle().await;
        second.send(&Frame::Hello(hello(2, 1))).await;
        assert_eq!(second.receive().await, None);
        settle().await;
        assert_eq!(bench.ups(), 0);
    });
}

#[test]
fn a_peer_of_another_cluster_or_format_is_no_link() {
    let cluster_id = |id| Some(ClusterId(id));
    let formats =
        |lowest, highest| FormatRange { lowest: Format(lowest), highest: Format(highest) };
    let ours = Announcement { cluster_id: cluster_id(5), ..announcement(2) };
    let wrong = [
        Introduction { cluster_id: cluster_id(6), ..introduction() },
        Introduction { formats: formats(1, 1), ..introduction() },
        Introduction { formats: formats(3, 4), ..introduction() },
    ];
    run_paused(async {
        let network = FakeNetwork::default();
        let ends: Vec<_> = (0..5).map(|_| network.expect_connection(1024)).collect();
        let bench = bench(&network, LinkSettings::default());
        bench.link.do_send(Announce(ours));
        let right = Introduction { cluster_id: cluster_id(5), ..introduction() };
        let answers = wrong.into_iter().map(Some).chain([None, Some(right.clone())]);
        for (mut far, answer) in ends.into_iter().zip(answers) {
            let Some(Frame::Hello(dialled)) = far.receive().await else { panic!("a hello") };
            assert_eq!(dialled.introduction, Some(right.clone()));
            far.send(&Frame::Hello(Hello { introduction: answer.clone(), ..hello(2, 1) })).await;
            let is_closed = far.is_closed().await;
            assert_eq!(is_closed, answer != Some(right.clone()), "{answer:?}");
        }
        assert_eq!(bench.ups(), 1);
    });
}

#[test]
fn a_connection_ends_when_its_peer_does_not_read_the_format_that_is_announced() {
    run_paused(async {
        let (bench, mut far) = connected(LinkSettings::default(), 1024).await;
        let highest = FormatRange::OWN.highest.0;
        bench.link.do_send(Announce(announcement(highest)));
        assert!(!far.is_closed().await);
        assert_eq!(bench.losses().await, 0);
        let mut next = bench.network.expect_connection(1024);
        bench.link.do_send(Announce(announcement(highest + 1)));
        assert_eq!(far.receive().await, None);
        assert_eq!(bench.losses().await, 1);
        assert_eq!(next.receive().await, Some(Frame::Hello(long_hello(1, 2))));
    });
}

#[test]
fn a_connection_by_the_short_hello_ends_when_a_higher_format_is_announced() {
    run_paused(async {
        let network = FakeNetwork::default();
        let (first, mut second) =
            (network.expect_connection(1024), network.expect_connection(1024));
        let bench = bench(&network, LinkSettings::default());
        end_at(first, long_hello(1, 2)).await;
        answer_short_hello(&mut second).await;
        bench.link.do_send(Announce(announcement(1)));
        assert!(!second.is_closed().await);
        bench.link.do_send(Announce(announcement(2)));
        assert_eq!(second.receive().await, None);
        assert_eq!(bench.losses().await, 1);
    });
}

#[test]
fn a_connection_ends_when_its_peer_turns_out_to_be_of_another_cluster() {
    run_paused(async {
        let network = FakeNetwork::default();
        let mut far = network.expect_connection(1024);
        let bench = bench(&network, LinkSettings::default());
        far.receive().await;
        let theirs = Introduction { cluster_id: Some(ClusterId(6)), ..introduction() };
        far.send(&Frame::Hello(Hello { introduction: Some(theirs), ..hello(2, 1) })).await;
        settle().await;
        let ours = |id| Announcement { cluster_id: Some(ClusterId(id)), ..announcement(1) };
        bench.link.do_send(Announce(ours(6)));
        assert!(!far.is_closed().await);
        bench.link.do_send(Announce(ours(5)));
        assert_eq!(far.receive().await, None);
        assert_eq!(bench.losses().await, 1);
    });
}

/// The leader must hear of a hold, and only a hello says it.
#[test]
fn a_hold_that_changes_is_introduced_at_once() {
    run_paused(async {
        let (bench, mut far) = connected(LinkSettings::default(), 1024).await;
        answer_probes(&mut far, Duration::from_secs(60)).await;
        for is_held in [true, false] {
            let mut next = bench.network.expect_connection(1024);
            for _ in 0..2 {
                bench.link.do_send(Announce(Announcement { is_held, ..announcement(1) }));
            }
            assert_eq!(far.receive().await, None);
            assert_eq!(bench.losses().await, 1);
            let Some(Frame::Hello(dialled)) = next.receive().await else { panic!("a hello") };
            let expected = Introduction { is_held, ..introduction() };
            assert_eq!(dialled.introduction, Some(expected));
            next.send(&Frame::Hello(long_hello(2, 1))).await;
            settle().await;
            assert_eq!(bench.ups(), 1);
            far = next;
        }
    });
}

/// A server that was starting, or had too many connections, may have taken the short hello. It
/// must not wait for an upgrade of this one that has long been made.
#[test]
fn a_connection_by_the_short_hello_ends_when_the_peer_introduces_itself() {
    run_paused(async {
        let network = FakeNetwork::default();
        let (first, mut second) =
            (network.expect_connection(1024), network.expect_connection(1024));
        let bench = bench(&network, LinkSettings::default());
        end_at(first, long_hello(1, 2)).await;
        answer_short_hello(&mut second).await;
        bench.link.do_send(introduced(None));
        assert!(!second.is_closed().await);
        let (third, mut fourth) =
            (network.expect_connection(1024), network.expect_connection(1024));
        bench.link.do_send(introduced(Some(introduction())));
        assert_eq!(second.receive().await, None);
        assert_eq!(bench.losses().await, 1);
        // It goes on with long hellos, as long as the peer is known to read them.
        end_at(third, long_hello(1, 2)).await;
        answer_hello(&mut fourth).await;
        bench.link.do_send(introduced(Some(introduction())));
        assert!(!fourth.is_closed().await);
    });
}

/// Two servers may have taken each other for old ones, so that neither introduces itself.
#[test]
fn a_connection_by_the_short_hello_is_tried_again_with_the_long_one() {
    run_paused(async {
        let network = FakeNetwork::default();
        let (first, mut second) =
            (network.expect_connection(1024), network.expect_connection(1024));
        let bench = bench(&network, LinkSettings::default());
        end_at(first, long_hello(1, 2)).await;
        answer_short_hello(&mut second).await;
        let mut third = network.expect_connection(1024);
        let start = Instant::now();
        assert_eq!(second.receive().await, None);
        assert_eq!(start.elapsed().as_secs(), 600);
        answer_hello(&mut third).await;
        sleep(Duration::from_secs(3600)).await;
        assert!(!third.is_closed().await);
        assert_eq!(bench.ups(), 2);
    });
}
