//! Servers that were removed, and those that ask to join (docs/adr/0027).

use std::collections::BTreeMap;
use std::sync::Arc;

use super::*;
use crate::types::{Address, FormatRange, LogIndex, Member, Membership};
use crate::wire::JoinRequest;

const CLUSTER_ID: ClusterId = ClusterId(5);

fn member(id: u64) -> Member {
    let at = |port| Address { host: format!("host{id}"), port };
    Member { peer: at(9001), client: at(9000) }
}

/// Members 1 to 3, after entry 9 has removed server 4.
fn membership() -> Arc<Membership> {
    let members: BTreeMap<_, _> = (1..=3).map(|id| (NodeId(id), member(id))).collect();
    let removed = [(NodeId(4), LogIndex(9))].into();
    Arc::new(Membership { last_id: NodeId(4), removed, ..Membership::of_voters(members) })
}

fn facts() -> Announcement {
    Announcement {
        cluster_id: Some(CLUSTER_ID),
        membership: membership(),
        committed: Some(membership()),
        ..announcement(3)
    }
}

/// A server of the cluster that introduces itself to node 1.
fn proven_hello(from: u64) -> Hello {
    let introduction = Introduction { cluster_id: Some(CLUSTER_ID), ..introduction() };
    Hello { introduction: Some(introduction), ..hello(from, 1) }
}

fn told(facts: Announcement) -> (Bench, FarEnd) {
    let (bench, far) = bench(&LinkSettings::default(), 1 << 16);
    bench.session.do_send(Announce(facts));
    (bench, far)
}

#[test]
fn a_removed_server_is_told_by_which_entry_if_it_proves_its_cluster() {
    run_paused(async {
        let (bench, mut far) = told(facts());
        far.send(&Frame::Hello(proven_hello(4))).await;
        assert_eq!(far.receive().await, Some(Frame::Removed { at: LogIndex(9) }));
        assert_eq!(far.receive().await, None);
        let reason = bench.assert_never_attached().await.expect("the acceptor logs it");
        assert!(reason.contains("removed from cluster \"coracle\" by entry 9"), "{reason}");
        let (_bench, mut far) = told(facts());
        far.send(&Frame::Hello(long_hello(4, 1))).await;
        assert!(matches!(far.receive().await, Some(Frame::Refused { .. })), "it proves nothing");
    });
}

#[test]
fn a_server_that_is_removed_keeps_its_connection_only_as_long_as_it_has_yet_to_hear_of_it() {
    run_paused(async {
        let members: BTreeMap<_, _> = (1..=4).map(|id| (NodeId(id), member(id))).collect();
        let before = Arc::new(Membership::of_voters(members));
        let (membership, committed) = (Arc::clone(&before), Some(before));
        let (bench, mut far) = told(Announcement { membership, committed, ..facts() });
        far.send(&Frame::Hello(proven_hello(4))).await;
        assert!(matches!(far.receive().await, Some(Frame::Hello(_))));
        let leaving = Announcement { peers: [(NodeId(4), None)].into(), ..facts() };
        bench.session.do_send(Announce(leaving));
        assert!(!far.is_closed().await);
        bench.session.do_send(Announce(facts()));
        assert_eq!(far.receive().await, None);
    });
}

/// A leader that has removed itself: docs/adr/0026.
#[test]
fn a_removed_leader_has_connections_until_it_has_handed_over() {
    run_paused(async {
        let peers = BTreeMap::from([(NodeId(4), None)]);
        let leads = Announcement { peers, departing: Some(NodeId(4)), ..facts() };
        let (bench, mut far) = told(leads.clone());
        far.send(&Frame::Hello(proven_hello(4))).await;
        assert!(matches!(far.receive().await, Some(Frame::Hello(_))), "it may connect again");
        bench.session.do_send(Announce(leads));
        assert!(!far.is_closed().await);
        bench.session.do_send(Announce(facts()));
        assert_eq!(far.receive().await, None);
    });
}

/// Its own list may be old: a server of the cluster that it has not heard of is admitted.
#[test]
fn a_server_with_an_id_above_all_keeps_its_connection() {
    run_paused(async {
        let (bench, mut far) = told(facts());
        far.send(&Frame::Hello(proven_hello(5))).await;
        assert!(matches!(far.receive().await, Some(Frame::Hello(_))));
        bench.session.do_send(Announce(facts()));
        assert!(!far.is_closed().await);
    });
}

fn question(id: u64) -> Frame {
    let formats = FormatRange::OWN;
    Frame::Join(JoinRequest { id: NodeId(id), cluster: None, formats, binary: "1.0.0".into() })
}

#[test]
fn a_server_that_joins_is_told_the_members_if_it_is_one_of_them_and_else_what_to_run() {
    run_paused(async {
        let (bench, mut far) = told(facts());
        far.send(&question(3)).await;
        let Some(Frame::Joined(answer)) = far.receive().await else { panic!("an answer") };
        assert_eq!(
            (answer.membership, answer.cluster_id),
            ((*membership()).clone(), Some(CLUSTER_ID))
        );
        assert_eq!(far.receive().await, None);
        assert_eq!(bench.assert_never_attached().await, None);
        let (bench, mut far) = told(facts());
        far.send(&question(6)).await;
        let Some(Frame::Refused { reason }) = far.receive().await else { panic!("a refusal") };
        assert!(
            reason.contains("coracle member add HOST:PORT --client HOST:PORT --id 6"),
            "{reason}"
        );
        assert_eq!(bench.assert_never_attached().await, Some(reason));
    });
}

/// The largest list of members is far larger than a hello may be.
#[test]
fn the_largest_list_of_members_is_sent_whole() {
    run_paused(async {
        let long = |id: u64| {
            let at = |port| Address { host: format!("{id:0>255}"), port };
            Member { peer: at(9001), client: at(9000) }
        };
        let members: BTreeMap<_, _> = (1..=64).map(|id| (NodeId(id), long(id))).collect();
        let membership = Arc::new(Membership::of_voters(members));
        let (_bench, mut far) = told(Announcement { membership, ..facts() });
        far.send(&question(64)).await;
        let Some(Frame::Joined(answer)) = far.receive().await else { panic!("an answer") };
        assert_eq!(answer.membership.members.len(), 64);
    });
}
