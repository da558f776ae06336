use super::*;
use crate::testing::introduction;

fn hello(cluster: &str, from: u64, to: u64) -> Hello {
    Hello {
        cluster: cluster.into(),
        from: NodeId(from),
        to: NodeId(to),
        restore_id: None,
        promise: None,
        introduction: None,
    }
}

#[test]
fn only_a_peer_of_the_same_cluster_that_looks_for_this_node_is_answered() {
    let local = LocalNode {
        cluster: "coracle".into(),
        id: NodeId(1),
        peers: [NodeId(2), NodeId(3)].into(),
        restore_id: None,
        promise: None,
        format: FormatInForce::default(),
        introduction: introduction(),
    };
    assert_eq!(local.answer(&hello("coracle", 2, 1)), Ok(hello("coracle", 1, 2)));
    assert_eq!(
        local.answer(&hello("other", 2, 1)),
        Err(HelloError::Cluster { ours: "coracle".into(), theirs: "other".into() })
    );
    assert_eq!(
        local.answer(&hello("coracle", 2, 3)),
        Err(HelloError::Recipient { ours: NodeId(1), wanted: NodeId(3) })
    );
    for stranger in [1, 9] {
        assert_eq!(
            local.answer(&hello("coracle", stranger, 1)),
            Err(HelloError::Sender { ours: NodeId(1), theirs: NodeId(stranger) })
        );
    }
}

#[test]
fn servers_restored_from_different_backups_refuse_each_other() {
    let of = |restore_id| LocalNode {
        cluster: "coracle".into(),
        id: NodeId(1),
        peers: [NodeId(2)].into(),
        restore_id,
        promise: None,
        format: FormatInForce::default(),
        introduction: introduction(),
    };
    let from = |restore_id| Hello { restore_id, ..hello("coracle", 2, 1) };
    let refused = of(Some(7)).answer(&from(Some(8)));
    assert_eq!(refused, Err(HelloError::RestoreId { ours: 7, theirs: 8 }));
    for (ours, theirs) in [(Some(7), Some(7)), (None, Some(7)), (Some(7), None)] {
        let answer = of(ours).answer(&from(theirs));
        assert_eq!(answer.map(|answer| (answer.from, answer.to)), Ok((NodeId(1), NodeId(2))));
    }
}

#[test]
fn servers_that_promise_different_things_refuse_each_other() {
    let ms = |ms| Some(Duration::from_millis(ms));
    let of = |promise| LocalNode {
        cluster: "coracle".into(),
        id: NodeId(1),
        peers: [NodeId(2)].into(),
        restore_id: None,
        promise,
        format: FormatInForce::default(),
        introduction: introduction(),
    };
    for (ours, theirs) in [(None, ms(150)), (ms(150), None), (ms(150), ms(149))] {
        let error = of(ours).answer(&Hello { promise: theirs, ..hello("coracle", 2, 1) });
        let expected = HelloError::Promise { ours: Promise(ours), theirs: Promise(theirs) };
        assert_eq!(error, Err(expected));
    }
    let same = Hello { promise: ms(150), ..hello("coracle", 2, 1) };
    assert_eq!(of(ms(150)).answer(&same), Ok(same.answer()));
    let error = HelloError::Promise { ours: Promise(None), theirs: Promise(ms(150)) };
    assert_eq!(
        error.to_string(),
        "this server has no leader_lease, the dialling one leader_lease with election \
         timeouts from 150 ms: [raft] leader_lease, and with it the least \
         election_timeout_ms, must be the same on all servers"
    );
}
