use super::*;
use crate::testing::introduction;
use crate::testing::memberships::{joint, membership};
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
        membership_at: LogIndex(0),
        committed: None,
        departing: None,
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
        membership_at: LogIndex(0),
        committed: None,
        departing: None,
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
        membership_at: LogIndex(0),
        committed: None,
        departing: None,
        seeds: BTreeSet::new(),
        restore_id: None,
        promise: None,
        format: FormatInForce::read(Format(format), &since),
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
    let format = FormatInForce::read(Format(2), "0.2.0");
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

/// Node 1, which knows these memberships, in the cluster with the id 5.
fn knowing(membership: Membership, committed: Option<Membership>) -> LocalNode {
    let committed = committed.map(Arc::new);
    LocalNode { membership: Arc::new(membership), committed, ..local(3, Some(5)) }
}

/// The hello of a node with this id of the cluster, which reads the formats up to `highest`.
fn hello_of(from: u64, cluster_id: Option<u128>, highest: u32) -> Hello {
    let cluster_id = cluster_id.map(ClusterId);
    let introduction = Introduction { cluster_id, ..reading(1, highest) };
    Hello { introduction: Some(introduction), ..hello("coracle", from, 1) }
}

/// True when node 1 admits `from`, which proves the cluster id 5 or none.
fn admits(local: &LocalNode, from: u64, is_proven: bool) -> bool {
    local.answer(&hello_of(from, is_proven.then_some(5), 3)).is_ok()
}

#[test]
fn members_of_the_newest_and_of_the_committed_membership_are_admitted() {
    let local = knowing(membership(&[1, 2, 6], &[7]), Some(membership(&[1, 2, 3], &[])));
    for member in [2, 3, 6, 7] {
        assert!(admits(&local, member, true) && admits(&local, member, false), "{member}");
    }
    let joint = knowing(joint(), None);
    assert!([2, 3, 6, 7].into_iter().all(|member| admits(&joint, member, false)));
}

/// The own list may be old: a server that was added meanwhile may be the leader.
#[test]
fn an_id_above_all_known_ones_is_admitted_with_the_id_of_the_cluster_only() {
    let local = knowing(membership(&[1, 2, 3], &[]), Some(membership(&[1, 2], &[])));
    assert!(admits(&local, 4, true) && !admits(&local, 4, false));
    let other = local.answer(&hello_of(4, Some(6), 3));
    assert!(matches!(other, Err(HelloError::ClusterId(_))), "{other:?}");
    let unknowing = LocalNode { introduction: introduction(), ..local };
    assert!(!admits(&unknowing, 4, true), "it cannot know whether that is its cluster");
    assert!(admits(&unknowing, 3, true));
}

/// A gap of a list without addresses may be a server of a later list, and is no member of this
/// one.
#[test]
fn an_id_between_the_known_ones_is_not_admitted() {
    let seed = knowing(Membership::seed([1, 2, 5].map(NodeId)), None);
    assert_eq!(
        seed.answer(&hello_of(3, Some(5), 3)),
        Err(HelloError::Sender { ours: NodeId(1), theirs: NodeId(3), cluster: "coracle".into() })
    );
    assert!(admits(&seed, 6, true));
}

#[test]
fn a_server_is_not_admitted_to_itself() {
    for local in [knowing(membership(&[1, 2], &[]), None), knowing(Membership::default(), None)] {
        assert!(!admits(&local, 1, true));
    }
}

/// It has nothing of the log, so it cannot know who its leader is.
#[test]
fn a_server_that_joins_admits_everybody_of_its_cluster_and_those_that_it_was_told_of() {
    let blank =
        LocalNode { seeds: [2, 3].map(NodeId).into(), ..knowing(Membership::default(), None) };
    assert!(admits(&blank, 2, false) && admits(&blank, 3, false));
    assert!(!admits(&blank, 9, false) && admits(&blank, 9, true));
    // From its first membership on, that counts.
    let joined = LocalNode { membership: Arc::new(membership(&[1, 2], &[])), ..blank };
    assert!(!admits(&joined, 3, false) && admits(&joined, 2, false));
}

/// A removed server with a high term must not send a vote (docs/bugs.md B10).
#[test]
fn a_removed_server_is_refused_by_the_entry_that_removed_it() {
    let committed = joint();
    let local = knowing(committed.clone(), Some(committed));
    for (id, at) in [(4, 31), (5, 33)] {
        let refused = local.answer(&hello_of(id, Some(5), 3)).unwrap_err();
        let (id, at, cluster) = (NodeId(id), LogIndex(at), "coracle".to_owned());
        assert_eq!(refused, HelloError::Removed { id, at, cluster, is_told: true });
    }
    // Its removal is not committed yet, and may be taken back.
    let early = knowing(membership(&[1, 2], &[]), Some(membership(&[1, 2, 3], &[])));
    assert!(admits(&early, 3, false));
    // Only the committed membership is a proof.
    let uncommitted = knowing(membership(&[1, 2, 9], &[]), Some(membership(&[1, 2], &[])));
    let refused = uncommitted.answer(&hello_of(3, Some(5), 3));
    assert!(matches!(refused, Err(HelloError::Sender { .. })), "{refused:?}");
    let forgotten = knowing(membership(&[1, 2, 9], &[]), Some(membership(&[1, 2, 9], &[])));
    let refused = forgotten.answer(&hello_of(3, Some(5), 3)).unwrap_err();
    assert!(matches!(refused, HelloError::Removed { at: LogIndex(0), .. }), "{refused:?}");
    assert!(refused.to_string().contains("removed from cluster \"coracle\" some time ago"));
}

/// It leads until it has handed over, and its connections may break before (docs/adr/0026).
#[test]
fn a_removed_leader_is_admitted_until_it_has_handed_over() {
    let mut local = knowing(joint(), Some(joint()));
    assert!(!admits(&local, 4, true));
    let announcement = Announcement {
        membership: Arc::new(joint()),
        committed: Some(Arc::new(joint())),
        departing: Some(NodeId(4)),
        ..Announcement::default()
    };
    local.take(&announcement);
    assert!(admits(&local, 4, true) && admits(&local, 4, false));
    assert!(!admits(&local, 5, true), "no other removed server");
    assert!(matches!(local.answer(&hello_of(4, Some(6), 3)), Err(HelloError::ClusterId(_))));
    local.take(&Announcement { departing: None, ..announcement });
    assert!(!admits(&local, 4, true));
}

/// The frame makes a server stop asking for votes. A server of another cluster, with the same
/// name and an id that was removed here, must never get it, and an old program cannot read it.
#[test]
fn only_a_server_of_this_cluster_that_reads_the_frame_is_told_that_it_was_removed() {
    let local = knowing(joint(), Some(joint()));
    let is_told = |local: &LocalNode, hello: &Hello| match local.answer(hello) {
        Err(HelloError::Removed { is_told, .. }) => is_told,
        other => panic!("it is refused for another reason: {other:?}"),
    };
    assert!(is_told(&local, &hello_of(4, Some(5), 3)));
    assert!(!is_told(&local, &hello_of(4, None, 3)), "it may be of another cluster");
    let other = local.answer(&hello_of(4, Some(6), 3));
    assert!(matches!(other, Err(HelloError::ClusterId(_))), "{other:?}");
    let second = LocalNode { format: FormatInForce::of(Format(2)), ..local.clone() };
    assert!(!is_told(&second, &hello_of(4, Some(5), 2)), "it does not read the frame");
    let unknowing = LocalNode { introduction: introduction(), ..local };
    assert!(!is_told(&unknowing, &hello_of(4, Some(5), 3)), "this one cannot know");
    let said = second.answer(&hello_of(4, Some(5), 2)).unwrap_err().to_string();
    assert!(
        said.starts_with("server 4 was removed from cluster \"coracle\" by entry 31"),
        "{said}"
    );
}

#[test]
fn the_members_that_are_announced_count_from_then_on() {
    let mut local = knowing(membership(&[1, 2, 3], &[]), None);
    let newest = Arc::new(membership(&[1, 2, 4], &[]));
    let announcement = Announcement {
        format: FormatInForce::of(Format(3)),
        membership: Arc::clone(&newest),
        membership_at: LogIndex(9),
        committed: Some(newest),
        ..Announcement::default()
    };
    assert!(admits(&local, 3, false) && !admits(&local, 4, false));
    local.take(&announcement);
    assert!(!admits(&local, 3, true) && admits(&local, 4, false));
    assert_eq!(local.membership_at, LogIndex(9));
}

fn join_of(id: u64, cluster: Option<&str>) -> JoinRequest {
    let formats = FormatRange { lowest: Format(1), highest: Format(3) };
    let cluster = cluster.map(str::to_owned);
    JoinRequest { id: NodeId(id), cluster, formats, binary: "0.7.1".into() }
}

#[test]
fn a_member_that_joins_learns_all_that_it_needs_for_its_start() {
    let members = membership(&[1, 2], &[6]);
    let promise = Some(Duration::from_millis(150));
    let known = LocalNode { promise, restore_id: Some(7), ..knowing(members.clone(), None) };
    let local = LocalNode { membership_at: LogIndex(9), ..known };
    let expected = JoinAnswer {
        cluster: "coracle".into(),
        cluster_id: Some(ClusterId(5)),
        format: FormatInForce::of(Format(3)),
        membership: members,
        at: LogIndex(9),
        promise,
        restore_id: Some(7),
    };
    for cluster in [None, Some("coracle")] {
        assert_eq!(local.join_answer(&join_of(6, cluster)), Ok(expected.clone()));
    }
}

#[test]
fn a_server_that_cannot_join_is_told_what_to_run() {
    let local = knowing(joint(), Some(joint()));
    let said = |local: &LocalNode, request| local.join_answer(&request).unwrap_err().to_string();
    assert_eq!(
        said(&local, join_of(9, None)),
        "server 9 is not a member of cluster \"coracle\": run  coracle member add HOST:PORT \
         --client HOST:PORT --id 9  against any of its servers"
    );
    assert_eq!(
        said(&local, join_of(4, None)),
        "server 4 was removed from cluster \"coracle\" by entry 31, and no server gets its id \
         again: stop it; to use the machine again, run  coracle member add HOST:PORT --client \
         HOST:PORT  against any of the other servers, and start a server with the id that it \
         prints and an empty directory"
    );
    let blank = knowing(Membership::default(), None);
    assert_eq!(
        said(&blank, join_of(6, None)),
        "server 1 knows no members yet, because it joins itself: ask another server"
    );
    let other = said(&local, join_of(6, Some("other")));
    assert!(other.contains("of cluster \"coracle\"") && other.contains("\"other\""), "{other}");
    let old = FormatRange { lowest: Format(1), highest: Format(2) };
    let old = said(&local, JoinRequest { formats: old, ..join_of(6, None) });
    assert!(old.contains("format 3 is in force") && old.contains("start version 0.3.0"), "{old}");
    let seed = LocalNode {
        format: FormatInForce::of(Format(2)),
        ..knowing(Membership::seed([1, 2].map(NodeId)), None)
    };
    let seed = said(&seed, join_of(2, None));
    assert!(seed.contains("start the server with the servers.toml of the others"), "{seed}");
}
