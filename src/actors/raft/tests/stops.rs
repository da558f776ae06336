//! The stop of a node whose store is not what it should be (docs/adr/0025).

use super::*;
use crate::raft::{StateDiverged, StopReason};
use crate::storage::Divergence;

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
