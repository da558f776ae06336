//! Peers that come and go while this node leads (docs/adr/0027).

use super::*;

const OTHER: NodeId = NodeId(3);

#[actix::test]
async fn nothing_goes_to_a_peer_that_is_gone() {
    let f = Fixture::start();
    let (responses, _) = f.attach(1);
    f.lead().await;
    f.raft.do_send(PeersChanged { added: Vec::new(), removed: vec![PEER] });
    f.replicators[&PEER].drain();
    f.replicators[&OTHER].drain();
    let client = Client::new(8);
    f.request(&client, vec![(1, write())]).await;
    assert_eq!(f.replicates(OTHER).len(), 1);
    f.receive(PEER, 1, Rpc::RejoinRequest).await;
    assert!(f.replicators[&PEER].drain().is_empty() && responses.drain().is_empty());
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
