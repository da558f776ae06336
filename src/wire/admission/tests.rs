use super::*;
use crate::testing::introduction;
use crate::testing::peer_connection::local_node;
use crate::types::{FORMATS, Incarnation};

fn two_voters() -> Arc<Membership> {
    Arc::new(Membership::seed([1, 2].map(NodeId)))
}

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
    let local = local_node();
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
            Err(HelloError::Sender {
                ours: NodeId(1),
                theirs: NodeId(stranger),
                cluster: "coracle".into()
            })
        );
    }
}

#[test]
fn servers_restored_from_different_backups_refuse_each_other() {
    let of = |restore_id| LocalNode {
        cluster: "coracle".into(),
        id: NodeId(1),
        membership: two_voters(),
        committed: None,
        seeds: BTreeSet::new(),
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
        membership: two_voters(),
        committed: None,
        seeds: BTreeSet::new(),
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

fn local(format: u32, cluster_id: Option<u128>) -> LocalNode {
    let cluster_id = cluster_id.map(ClusterId);
    let since = format!("0.{format}.0");
    LocalNode {
        cluster: "coracle".into(),
        id: NodeId(1),
        membership: two_voters(),
        committed: None,
        seeds: BTreeSet::new(),
        restore_id: None,
        promise: None,
        format: FormatInForce { format: Format(format), since },
        introduction: Introduction { cluster_id, ..introduction() },
    }
}

/// The introduction of a server that reads these formats.
fn reading(lowest: u32, highest: u32) -> Introduction {
    let formats = FormatRange { lowest: Format(lowest), highest: Format(highest) };
    Introduction { formats, binary: "0.7.1".into(), ..introduction() }
}

#[test]
fn a_long_hello_is_answered_by_a_long_one_and_a_short_hello_by_a_short_one() {
    let local = local(1, Some(5));
    let their_introduction = Introduction { incarnation: Incarnation(8), ..introduction() };
    let long = Hello { introduction: Some(their_introduction), ..hello("coracle", 2, 1) };
    assert_eq!(local.answer(&long), Ok(local.hello(NodeId(2))));
    assert_eq!(local.answer(&hello("coracle", 2, 1)), Ok(local.short_hello(NodeId(2))));
}

/// Machines that were given up come back, and the cluster has been made anew under the same name
/// meanwhile.
#[test]
fn servers_of_two_clusters_with_one_name_refuse_each_other() {
    let of = |cluster_id: Option<u128>| Introduction {
        cluster_id: cluster_id.map(ClusterId),
        ..introduction()
    };
    let error = local(1, Some(5)).check(NodeId(2), Some(&of(Some(6)))).unwrap_err();
    assert_eq!(
        error.to_string(),
        "node 2 is a server of another cluster, although both are called \"coracle\": the \
         cluster of node 2 has the id 00000000000000000000000000000006, that of node 1 has the \
         id 00000000000000000000000000000005; move the one whose id is not that of the other \
         servers: its data directory is of another cluster, or an address in a servers.toml \
         leads to the wrong cluster"
    );
    let refused = local(1, Some(5))
        .answer(&Hello { introduction: Some(of(Some(6))), ..hello("coracle", 2, 1) });
    assert_eq!(refused, Err(error));
    for (ours, theirs) in [(Some(5), Some(5)), (None, Some(6)), (Some(5), None), (None, None)] {
        assert_eq!(local(1, ours).check(NodeId(2), Some(&of(theirs))), Ok(()));
    }
    assert_eq!(local(1, Some(5)).check(NodeId(2), None), Ok(()), "it cannot know any id");
}

#[test]
fn a_server_is_admitted_if_and_only_if_it_reads_the_format_in_force() {
    for format in 1..5 {
        let local = local(format, None);
        for lowest in 1..5 {
            for highest in lowest..5 {
                let checked = local.check(NodeId(2), Some(&reading(lowest, highest)));
                assert_eq!(checked.is_ok(), (lowest..=highest).contains(&format), "{checked:?}");
            }
        }
        assert_eq!(local.check(NodeId(2), None).is_ok(), format == 1);
    }
}

#[test]
fn the_refusal_of_a_format_names_the_programs_and_the_way_out() {
    let sentence = |format, introduction: Option<&Introduction>| {
        local(format, None).check(NodeId(2), introduction).unwrap_err().to_string()
    };
    assert_eq!(
        sentence(3, Some(&reading(1, 2))),
        "format 3 is in force, and node 2, version 0.7.1, reads the formats 1..2: start version \
         0.3.0 or another one that reads format 3 there"
    );
    assert_eq!(
        sentence(2, Some(&reading(4, 5))),
        "format 2 is in force, and node 2, version 0.7.1, reads the formats 4..5: the cluster \
         must be raised to format 4 first; until then start version 0.2.0 or another one that \
         reads format 2 there"
    );
    assert_eq!(
        sentence(2, None),
        "format 2 is in force, and node 2, a version from before 0.2.0, reads only format 1: \
         start version 0.2.0 or another one that reads format 2 there"
    );
    let second = FORMATS.iter().find(|row| row.format == Format(2)).unwrap();
    assert_eq!(second.since, INTRODUCED_SINCE);
}

#[test]
fn what_is_announced_is_in_force_and_in_the_next_hello() {
    let mut local = local(1, None);
    let format = FormatInForce { format: Format(2), since: "0.2.0".into() };
    let cluster_id = Some(ClusterId(5));
    local.take(&Announcement {
        format: format.clone(),
        cluster_id,
        is_held: true,
        ..Announcement::default()
    });
    assert_eq!(local.format, format);
    let introduction = local.hello(NodeId(2)).introduction.unwrap();
    assert_eq!((introduction.cluster_id, introduction.is_held), (cluster_id, true));
    local.take(&Announcement { format, ..Announcement::default() });
    let introduction = local.hello(NodeId(2)).introduction.unwrap();
    assert_eq!((introduction.cluster_id, introduction.is_held), (cluster_id, false));
}
