//! A node that must stop although its disk is good, and the facts that it announces.

use super::*;
use crate::raft::{Announcement, StateDiverged, StopReason};
use crate::types::{Divergence, Format, FormatInForce, Membership};

/// The orders to mark the data directory, since the last call.
fn marks(f: &Fixture) -> Vec<Divergence> {
    f.log.drain_kind(|command| match command {
        LogCommand::MarkDiverged(divergence) => Some(divergence.clone()),
        _ => None,
    })
}

#[actix::test]
async fn a_corrupted_store_has_the_directory_marked_and_nobody_is_answered_any_more() {
    let f = Fixture::start();
    f.lead().await;
    let client = Client::new(8);
    f.request(&client, vec![(1, write())]).await;
    f.kv.drain();
    f.appends();
    f.raft.do_send(StoreCorrupted { what: "the record of key \"k\" differs".to_owned() });
    settle().await;
    let found = "the memory of this server holds other bytes than were written there: the record \
                 of key \"k\" differs, found at entry 2";
    assert_eq!(marks(&f), [Divergence { index: LogIndex(2), found: found.to_owned() }]);
    assert_eq!(f.tasks(), ["end"]);
    client.refusals();
    f.request(&client, vec![(2, read()), (3, write())]).await;
    f.ticks(100).await;
    assert!(f.tasks().is_empty() && marks(&f).is_empty() && f.appends().is_empty());
    assert!(client.refusals().iter().all(|(_, reply)| matches!(reply, ClientReply::Refused(_))));
}

#[actix::test]
async fn a_node_that_differs_from_a_majority_has_its_directory_marked() {
    let f = Fixture::start();
    let heartbeat = AppendEntries {
        request_seq: 1,
        prev: LogPosition::default(),
        leader_commit: LogIndex(0),
        read_seq: 0,
        entries: Vec::new(),
    };
    f.receive(PEER, 1, Rpc::AppendEntries(heartbeat)).await;
    let word = StateDiverged { index: LogIndex(0), digest: 7 };
    f.receive(PEER, 1, Rpc::StateDiverged(word)).await;
    assert_eq!(f.tasks(), ["digest at 0"]);
    f.raft.do_send(DigestRead { index: LogIndex(0), digest: 8 });
    settle().await;
    let reason = StopReason::Diverged { index: LogIndex(0), own: 8, majority: 7 };
    let divergence = Divergence { index: LogIndex(0), found: reason.to_string() };
    assert_eq!((marks(&f), f.tasks()), (vec![divergence], vec!["end".to_owned()]));
}

#[actix::test]
async fn a_leader_that_stops_answers_as_one_that_has_lost_its_leadership() {
    let f = Fixture::start();
    f.lead().await;
    let client = Client::new(1);
    f.request(&client, vec![(0, write()), (1, read())]).await;
    f.raft.do_send(StoreCorrupted { what: "a record".to_owned() });
    settle().await;
    assert_eq!(marks(&f).len(), 1);
    let mut refusals = client.refusals();
    refusals.sort_by_key(|(slot, _)| *slot);
    assert_eq!(
        refusals,
        [refused(0, Refusal::LeadershipLost), refused(1, Refusal::NotLeader { leader: None })],
        "the write may be executed, and the read was not"
    );
    f.kv.drain();
    // From now on nobody gets anything from it.
    let later = vec![(2, write()), (3, read()), (4, ClientRequest::Status)];
    f.request(&client, later).await;
    let not_leader = || Refusal::NotLeader { leader: None };
    assert_eq!(client.refusals(), [2, 3, 4].map(|slot| refused(slot, not_leader())));
    f.appends();
    f.replicated(1, 3, 0).await;
    f.persisted(3).await;
    f.ticks(100).await;
    assert_eq!((f.tasks(), f.appends()), (vec![], vec![]));
    assert!(marks(&f).is_empty(), "it stops once");
}

#[actix::test]
async fn a_follower_that_cannot_read_the_format_writes_nothing_and_stops() {
    let f = Fixture::start();
    let (responses, _) = f.attach(1);
    let payload = Payload::Format(FormatInForce::of(Format(2)));
    let entry = Entry { index: LogIndex(1), term: Term(1), stamp_ms: 0, payload };
    let request = AppendEntries {
        request_seq: 1,
        prev: LogPosition::default(),
        leader_commit: LogIndex(1),
        read_seq: 0,
        entries: vec![entry],
    };
    f.receive(PEER, 1, Rpc::AppendEntries(request)).await;
    let stops: Vec<String> =
        f.stops.drain().into_iter().map(|stop| stop.reason.to_string()).collect();
    assert_eq!(stops.len(), 1);
    assert!(stops[0].starts_with("the cluster has format 2, and this server reads formats 1..1"));
    assert!(responses.drain().is_empty());
    assert!(f.appends().iter().all(|append| append.entries.is_empty()));
    assert_eq!(f.tasks(), ["end"]);
}

#[actix::test]
async fn the_facts_are_announced_at_the_start() {
    let f = Fixture::start();
    settle().await;
    let format = FormatInForce::default();
    let membership = Arc::new(Membership::seed([1, 2, 3].map(NodeId)));
    let facts = Announcement {
        format,
        membership: Arc::clone(&membership),
        peers: [2, 3].map(|id| (NodeId(id), None)).into(),
        ..Announcement::default()
    };
    assert_eq!(f.announced.drain(), [Announce(facts.clone())]);
    f.lead().await;
    let facts = Announcement { committed: Some(membership), ..facts };
    assert_eq!(f.announced.drain(), [Announce(facts)], "the members are committed");
}
