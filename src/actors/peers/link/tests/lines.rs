//! The lines about a peer: few, whatever it does.

use super::*;
use crate::testing::LogLines;

#[test]
fn a_peer_that_cannot_be_dialled_is_told_each_ten_minutes_and_with_the_connection() {
    run_paused(async {
        let lines = LogLines::record();
        let network = FakeNetwork::default();
        let bench = bench(&network, LinkSettings::default());
        sleep(Duration::from_secs(550)).await;
        let first = lines.drain("did not connect");
        let begins = "WARN did not connect to peer node=1 peer=2 address=peer:9001: ";
        assert!(first.len() == 1 && first[0].starts_with(begins), "{first:?}");
        let dials = network.times().len();
        sleep(Duration::from_secs(100)).await;
        let next = lines.drain("did not connect");
        assert!(next.len() == 1 && dials > 300, "{next:?}");
        let begins = "WARN did not connect to peer node=1 peer=2 address=peer:9001 left_out=";
        assert!(next[0].starts_with(begins), "{next:?}");
        let mut far = network.expect_connection(1024);
        answer_hello(&mut far).await;
        settle().await;
        assert_eq!(bench.ups(), 1);
        let connected = lines.drain("INFO peer connected node=1 peer=2 address=peer:9001 ");
        assert!(connected.len() == 1 && connected[0].contains(" left_out="), "{connected:?}");
    });
}

#[test]
fn a_peer_whose_connections_break_again_and_again_has_few_lines() {
    run_paused(async {
        let lines = LogLines::record();
        let network = FakeNetwork::default();
        let connections: Vec<FarEnd> = (0..30).map(|_| network.expect_connection(1024)).collect();
        let bench = bench(&network, LinkSettings::default());
        for mut far in connections {
            answer_hello(&mut far).await;
            drop(far);
            settle().await;
        }
        assert_eq!(bench.ups(), 30);
        let told = lines.drain("peer ");
        assert_eq!(told.len(), 10, "{told:?}");
        let begins = "WARN peer disconnected node=1 peer=2 address=peer:9001: ";
        assert!(told[9].starts_with(begins), "{told:?}");
        // The last of these lines would be wrong for ever.
        let mut far = network.expect_connection(1024);
        answer_hello(&mut far).await;
        answer_probes(&mut far, Duration::from_secs(90)).await;
        let state = lines.drain("peer ");
        let begins = "INFO peer connected node=1 peer=2 address=peer:9001 ";
        assert!(state.len() == 1 && state[0].starts_with(begins), "{state:?}");
        assert!(state[0].ends_with(" left_out=51"), "{state:?}");
    });
}

#[test]
fn a_slow_peer_is_told_once_and_so_is_its_next_answer() {
    run_paused(async {
        let lines = LogLines::record();
        let (bench, mut far) = connected(LinkSettings::default(), 1024).await;
        bench.send(append(1, 2, 1));
        sleep(Duration::from_millis(900)).await;
        assert_eq!(lines.drain("slow"), Vec::<String>::new());
        sleep(Duration::from_millis(900)).await;
        let slow = lines.drain("slow");
        let begins = "INFO peer is slow to answer node=1 peer=2 address=peer:9001 unanswered_ms=1";
        assert!(slow.len() == 1 && slow[0].starts_with(begins), "{slow:?}");
        far.send(&Frame::Rpc(append_response(2, 1, 1))).await;
        settle().await;
        let again = "INFO peer answers again node=1 peer=2 address=peer:9001";
        assert_eq!(lines.drain("answers"), [again]);
        bench.send(append(1, 2, 2));
        far.send(&Frame::Rpc(append_response(2, 1, 2))).await;
        settle().await;
        assert_eq!(lines.drain("peer "), Vec::<String>::new());
    });
}
