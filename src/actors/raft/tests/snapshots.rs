//! Tests of the snapshots that RaftActor has taken, and of those that it receives.

use super::*;
use crate::raft::InstallSnapshot;
use crate::types::{ClusterState, SnapshotId, SnapshotPoint};

#[actix::test]
async fn a_snapshot_is_taken_right_after_its_last_entry_and_then_the_log_is_compacted() {
    let f = Fixture::start_snapshotting(HardState::default(), LogSummary::default(), 3);
    f.lead().await;
    let client = Client::new(8);
    f.request(&client, (1..=2).map(|slot| (slot, write())).collect()).await;
    f.persisted(3).await;
    f.replicated(1, 4, 0).await;
    let reply_handle = |slot| format!("Some(SessionId(8)/{slot})");
    let first = format!("entry 3@1 for {}", reply_handle(1));
    let second = format!("entry 4@1 for {}", reply_handle(2));
    assert_eq!(f.tasks(), [first, second, "snapshot of 4@1".into()]);
    assert!(f.compactions().is_empty(), "it is not durable yet");
    let last = LogPosition { term: Term(1), index: LogIndex(4) };
    f.raft.do_send(SnapshotWritten { last, bytes: Some(10) });
    f.raft.do_send(applied(4));
    f.request(&client, (3..=5).map(|slot| (slot, write())).collect()).await;
    f.persisted(4).await;
    f.replicated(1, 7, 0).await;
    assert_eq!(f.tasks().last(), Some(&"snapshot of 7@1".to_owned()));
    let last = LogPosition { term: Term(1), index: LogIndex(7) };
    f.raft.do_send(SnapshotWritten { last, bytes: Some(10) });
    settle().await;
    assert_eq!(f.compactions(), [CompactLog { limit: LogIndex(4) }], "up to the older one");
}

#[actix::test]
async fn a_snapshot_that_was_received_replaces_log_and_store_in_the_order_of_the_effects() {
    let hard_state = HardState { current_term: Term(1), ..HardState::default() };
    let f = Fixture::start_with(hard_state, LogSummary::default());
    let snapshot = SnapshotId {
        last: LogPosition { term: Term(1), index: LogIndex(1) },
        bytes: 10,
        digest: 1,
    };
    let bytes = Bytes::from_static(b"0123456789");
    let piece = InstallSnapshot { request_seq: 3, snapshot, offset: 0, bytes };
    f.receive(PEER, 1, Rpc::InstallSnapshot(piece.clone())).await;
    let handed_on = f.pieces.drain();
    assert_eq!((handed_on.len(), &handed_on[0].piece), (1, &piece));
    let mut store = Store::new();
    let stamp_ms = 9;
    let noop = Entry { index: LogIndex(1), term: Term(1), stamp_ms, payload: Payload::Noop };
    store.apply(&noop).unwrap();
    let (responses, _) = f.attach(1);
    f.raft.do_send(SnapshotReceived {
        from: PEER,
        term: Term(1),
        request_seq: 3,
        point: SnapshotPoint { last: snapshot.last, cluster: ClusterState::default() },
        stamp_ms,
        store,
    });
    settle().await;
    assert_eq!(f.resets(), [ResetLog { base: snapshot.last }]);
    assert_eq!(f.tasks(), ["install 1"]);
    let answer = responses.drain().pop().map(|message| message.envelope.rpc);
    let Some(Rpc::InstallSnapshotResponse(answer)) = answer else { panic!("{answer:?}") };
    assert!(answer.is_installed);
    f.raft.do_send(applied(1));
    settle().await;
}

/// A store that is not needed is freed by SnapshotWriterActor: that of a million keys takes
/// longer than the main arbiter may.
#[actix::test]
async fn a_received_store_that_is_not_wanted_is_handed_over_to_be_freed() {
    let f = Fixture::start();
    f.lead().await;
    let last = LogPosition { term: Term(1), index: LogIndex(1) };
    let mut store = Store::new();
    let noop = Entry { index: LogIndex(1), term: Term(1), stamp_ms: 9, payload: Payload::Noop };
    store.apply(&noop).unwrap();
    f.raft.do_send(SnapshotReceived {
        from: PEER,
        term: Term(1),
        request_seq: 3,
        point: SnapshotPoint { last, cluster: ClusterState::default() },
        stamp_ms: 9,
        store,
    });
    settle().await;
    assert!(f.resets().is_empty(), "the log holds that entry");
    let freed = f.stores.drain();
    let [StoreCommand::Drop(order)] = &freed[..] else { panic!("{freed:?}") };
    assert_eq!(order.store.last_applied(), LogIndex(1));
}
