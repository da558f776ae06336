//! Peers that come and go while this node leads (docs/adr/0027).

use super::*;

const OTHER: NodeId = NodeId(3);

#[actix::test]
async fn no_order_goes_to_a_peer_that_is_gone() {
    let f = Fixture::start();
    f.lead().await;
    f.raft.do_send(PeersChanged { added: Vec::new(), removed: vec![PEER] });
    f.replicators[&PEER].drain();
    f.replicators[&OTHER].drain();
    let client = Client::new(8);
    f.request(&client, vec![(1, write())]).await;
    assert_eq!(f.replicates(OTHER).len(), 1);
    assert!(f.replicators[&PEER].drain().is_empty());
}

/// A server that joins reads in its log of members that came and went before it. Meanwhile those
/// that have connected to it are no members by its log, and are members again a moment later, on
/// the same connections. Without its answers a leader among them takes it for dead.
#[actix::test]
async fn a_peer_whose_actors_are_made_anew_is_answered_on_the_connection_that_it_has() {
    let f = Fixture::start();
    let (responses, _) = f.attach(1);
    let ((link, _), (link_end, _), (replicator, _)) = (probe(), probe(), probe());
    let ports = PeerPorts { link, link_end, replicator };
    f.raft.do_send(PeersChanged { added: Vec::new(), removed: vec![PEER] });
    f.raft.do_send(PeersChanged { added: vec![(PEER, ports)], removed: Vec::new() });
    f.receive(PEER, 1, Rpc::RejoinRequest).await;
    assert_eq!(responses.drain().len(), 1);
}

/// The actors of a peer are made after the core has asked for them. Orders that came before they
/// were there are lost, and the start says where the log is.
#[actix::test]
async fn a_peer_with_new_actors_is_started_and_goes_on_from_there() {
    let f = Fixture::start();
    f.lead().await;
    f.replicators[&OTHER].drain();
    let ((link, _), (link_end, _), (replicator, orders)) = (probe(), probe(), probe());
    let ports = PeerPorts { link, link_end, replicator };
    f.raft.do_send(PeersChanged { added: vec![(OTHER, ports)], removed: vec![OTHER] });
    let client = Client::new(8);
    f.request(&client, vec![(1, write())]).await;
    f.request(&client, vec![(2, write())]).await;
    let orders = orders.drain();
    let is_start = |order: &ReplicationCommand| matches!(order, ReplicationCommand::Start(_));
    let start = orders.iter().position(is_start).expect("its replication begins");
    let ReplicationCommand::Start(started) = &orders[start] else { unreachable!() };
    assert_eq!((started.term, started.runs.last().index), (Term(1), LogIndex(3)));
    let indexes: Vec<u64> = orders[start + 1..]
        .iter()
        .flat_map(|order| match order {
            ReplicationCommand::Replicate(order) => order.entries.to_vec(),
            _ => Vec::new(),
        })
        .map(|entry| entry.index.0)
        .collect();
    assert_eq!(indexes, [4], "the first entry after those that the start names");
    assert!(f.replicators[&OTHER].drain().is_empty(), "the old actors get nothing");
}
