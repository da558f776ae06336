//! A server that joins, over a network that the test plays.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use tokio::task::LocalSet;

use super::*;
use crate::config::Overrides;
use crate::node::{Placement, Surroundings};
use crate::testing::SimDisk;
use crate::testing::peer_connection::*;
use crate::types::{ClusterId, FormatInForce, LogIndex, Member, Membership};

fn at(host: &str, port: u16) -> Address {
    Address { host: host.into(), port }
}

fn member(id: u64) -> Member {
    let host = format!("host{id}");
    Member { peer: at(&host, 9001), client: at(&host, 9000) }
}

fn options() -> JoinOptions {
    let overrides = Overrides { data_dir: Some("/data".into()), ..Overrides::default() };
    let settings = JoinSettings::load(None, &overrides).unwrap();
    JoinOptions { address: at("peer", 9001), id: NodeId(6), settings }
}

fn environment(network: &FakeNetwork, disk: &SimDisk) -> Environment {
    let answers: crate::node::Answers = Rc::new(|recipient| recipient);
    Environment {
        network: Rc::new(network.clone()),
        clock: Arc::new(crate::clock::SystemClock),
        disk: Box::new(disk.clone()),
        placement: Placement::Inline { blocking: Rc::new(LocalSet::new()), answers },
        surroundings: Surroundings::drawn(false).unwrap(),
        open_files_max: 1000,
    }
}

/// The answer of a member of a cluster that has these members.
fn answer(ids: &[u64]) -> Frame {
    let members: BTreeMap<_, _> = ids.iter().map(|id| (NodeId(*id), member(*id))).collect();
    Frame::Joined(JoinAnswer {
        cluster: "orders".into(),
        cluster_id: Some(ClusterId(5)),
        format: FormatInForce::default(),
        membership: Membership::of_voters(members),
        at: LogIndex(7),
        promise: None,
        restore_id: None,
    })
}

/// Reads the question, and answers it.
async fn reply(mut far: FarEnd, frame: &Frame) {
    let Some(Frame::Join(request)) = far.receive().await else { panic!("a question") };
    assert_eq!((request.id, request.cluster), (NodeId(6), None));
    far.send(frame).await;
}

#[test]
fn a_server_asks_each_second_until_it_is_a_member_and_never_again() {
    run_paused(async {
        let (network, disk) = (FakeNetwork::default(), SimDisk::new());
        network.expect(Dial::Refused);
        let unknown = Frame::Refused { reason: "run coracle member add".into() };
        let answers = [unknown.clone(), answer(&[1, 2]), unknown, answer(&[1, 2, 6])];
        let ends = answers.map(|answer| (network.expect_connection(1 << 16), answer));
        let far = async {
            for (far, answer) in ends {
                reply(far, &answer).await;
            }
        };
        let (environment, options) = (environment(&network, &disk), options());
        let (joined, ()) = tokio::join!(settings(&options, &environment), far);
        let joined = joined.unwrap();
        assert_eq!(joined.cluster, "orders");
        assert_eq!(joined.servers.keys().map(|id| id.0).collect::<Vec<_>>(), [1, 2, 6]);
        let times = network.times();
        assert_eq!(times.len(), 5);
        assert!(times.windows(2).all(|pair| (pair[1] - pair[0]).as_secs() == 1));
        let again = settings(&options, &environment).await.unwrap();
        assert_eq!((again, network.times().len()), (joined, 5), "the file has the answer");
    });
}

#[test]
fn a_server_that_answers_nothing_or_noise_is_asked_again() {
    run_paused(async {
        let (network, disk) = (FakeNetwork::default(), SimDisk::new());
        network.expect(Dial::Never);
        let mut mute = network.expect_connection(1 << 16);
        let mut client_port = network.expect_connection(1 << 16);
        let closing = network.expect_connection(1 << 16);
        let good = network.expect_connection(1 << 16);
        let far = async {
            mute.receive().await;
            assert_eq!(mute.receive().await, None, "its time is over");
            client_port.receive().await;
            client_port.send_bytes(b"ERR_SYNTAX this is no command\r\n").await;
            drop(closing);
            reply(good, &answer(&[6])).await;
        };
        let (environment, options) = (environment(&network, &disk), options());
        let (joined, ()) = tokio::join!(settings(&options, &environment), far);
        assert_eq!(joined.unwrap().servers.len(), 1);
        assert_eq!(network.times().len(), 5);
    });
}

/// The fake network listens nowhere, as a container that does not have its advertised address.
#[test]
fn a_server_that_cannot_listen_where_it_is_reached_listens_at_all_its_addresses() {
    run_paused(async {
        let (network, disk) = (FakeNetwork::default(), SimDisk::new());
        let far = network.expect_connection(1 << 16);
        let (environment, options) = (environment(&network, &disk), options());
        let told = answer(&[1, 6]);
        let (joined, ()) = tokio::join!(settings(&options, &environment), reply(far, &told));
        let joined = joined.unwrap();
        let own = &joined.servers[&NodeId(6)];
        assert_eq!(
            (&own.log_listen, &own.client_listen),
            (&at("0.0.0.0", 9001), &at("0.0.0.0", 9000))
        );
        assert_eq!(own.member(), member(6));
    });
}
