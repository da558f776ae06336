//! Tests of the commands of clients that fetch a backup (docs/adr/0011).

use super::*;
use crate::actors::messages::snapshots::SnapshotsQueried;
use crate::protocol::{ClientRequest, Refusal, SnapshotAnswer, SnapshotQuery};
use crate::types::{LogIndex, SnapshotId};

fn found(index: u64) -> SnapshotAnswer {
    let last = LogPosition { term: Term(1), index: LogIndex(index) };
    SnapshotAnswer::Found(SnapshotId { last, bytes: 9, digest: 8 })
}

fn find() -> ClientRequest {
    ClientRequest::Snapshot(SnapshotQuery::Find { index: LogIndex(1) })
}

#[actix::test]
async fn a_backup_begins_when_the_leadership_is_confirmed_and_all_before_is_applied() {
    let f = Fixture::start();
    f.lead().await;
    let client = Client::new(8);
    let requests = vec![(5, write()), (6, ClientRequest::BeginSnapshot)];
    f.request(&client, requests).await;
    f.ticks(1).await;
    assert!(f.tasks().is_empty() && client.refusals().is_empty());
    f.persisted(3).await;
    f.replicated(1, 3, 1).await;
    assert_eq!(client.refusals(), [(6, ClientReply::SnapshotBegun(LogIndex(3)))]);
    f.ticks(1).await;
    assert_eq!(f.tasks(), ["entry 3@1 for Some(SessionId(8)/5)", "snapshot of 3@1"]);
}

#[actix::test]
async fn a_backup_is_begun_by_a_leader_that_stays_one_or_refused() {
    let f = Fixture::start();
    let client = Client::new(8);
    f.request(&client, vec![(1, ClientRequest::BeginSnapshot)]).await;
    let nobody = Refusal::NotLeader { leader: None };
    assert_eq!(client.refusals(), [refused(1, nobody.clone())]);
    f.lead().await;
    f.request(&client, vec![(2, ClientRequest::BeginSnapshot)]).await;
    f.receive(PEER, 2, Rpc::RequestVoteResponse(RequestVoteResponse { vote_granted: false })).await;
    assert_eq!(client.refusals(), [refused(2, nobody)]);
}

#[actix::test]
async fn a_client_of_a_backup_is_answered_in_time_whatever_the_disk_does() {
    let f = Fixture::start();
    let client = Client::new(8);
    f.request(&client, vec![(1, find()), (2, find())]).await;
    let queries = f.queries.drain();
    let answer = |at: usize, answer| {
        let QuerySnapshots { ticket, reply_to, .. } = &queries[at];
        reply_to.do_send(SnapshotsQueried { ticket: *ticket, answer });
    };
    answer(1, found(7));
    settle().await;
    assert_eq!(client.refusals(), [(2, ClientReply::Snapshot(found(7)))]);
    f.ticks(50).await;
    assert_eq!(client.refusals(), [refused(1, Refusal::Timeout)]);
    answer(0, found(7));
    settle().await;
    assert_eq!(client.refusals(), [], "too late");
}

/// A question that has timed out is still in the mailbox of SnapshotReaderActor, so it
/// counts.
#[actix::test]
async fn questions_about_snapshots_are_bounded_even_when_they_have_timed_out() {
    let f = Fixture::start();
    let client = Client::new(8);
    f.request(&client, (0..100).map(|slot| (slot, find())).collect()).await;
    let busy = client.refusals();
    assert!(!busy.is_empty() && busy.iter().all(|r| *r == refused(r.0, Refusal::Busy)));
    f.ticks(50).await;
    assert_eq!(client.refusals().len(), 100 - busy.len());
    f.request(&client, vec![(100, find())]).await;
    assert_eq!(client.refusals(), [refused(100, Refusal::Busy)]);
    for QuerySnapshots { ticket, reply_to, .. } in f.queries.drain() {
        reply_to.do_send(SnapshotsQueried { ticket, answer: SnapshotAnswer::NotFound });
    }
    settle().await;
    f.request(&client, vec![(101, find())]).await;
    assert_eq!((client.refusals(), f.queries.drain().len()), (vec![], 1));
}
