//! Tests of the times that RaftActor tells the core, on which leader leases rely
//! (docs/adr/0012).

use super::*;
use crate::raft::{LeaseSettings, PreVote};
use crate::types::LogIndex;

/// A node with a promise of 100 ms at time 1000 ms: the promise of its start is over.
fn start() -> Fixture {
    let lease = LeaseSettings { promise: Duration::from_millis(100), started_at: Duration::ZERO };
    let settings = RaftSettings { leader_lease: Some(lease), ..settings() };
    let f = Fixture::start_as(settings, HardState::default(), LogSummary::default());
    f.clock.0.store(1000, Ordering::Relaxed);
    f
}

/// A process that was stopped finds the read in its mailbox before any tick.
#[actix::test]
async fn a_read_is_checked_against_the_time_at_which_it_leaves_the_mailbox() {
    let f = start();
    f.lead().await;
    f.replicated(1, 2, 1).await; // a round that began at 1000
    f.tasks();
    let client = Client::new(8);
    f.clock.0.store(1074, Ordering::Relaxed);
    f.request(&client, vec![(1, read())]).await;
    assert_eq!(f.tasks(), ["read at 2 for SessionId(8)/1"]);
    f.replicates(PEER);
    f.clock.0.store(1075, Ordering::Relaxed);
    f.request(&client, vec![(2, read())]).await;
    assert_eq!(f.tasks(), [""; 0], "the lease is over");
    let rounds: Vec<u64> = f.replicates(PEER).iter().map(|r| r.read_seq).collect();
    assert_eq!(rounds, [2]);
    f.replicated(1, 2, 2).await;
    assert_eq!(f.tasks(), ["read at 2 for SessionId(8)/2"]);
}

#[actix::test]
async fn a_promise_begins_when_the_leaders_message_leaves_the_mailbox() {
    let f = start();
    let (responses, _) = f.attach(1);
    f.clock.0.store(2000, Ordering::Relaxed);
    let request = AppendEntries {
        request_seq: 1,
        prev: LogPosition::default(),
        leader_commit: LogIndex(0),
        read_seq: 1,
        entries: Vec::new(),
    };
    f.receive(PEER, 3, Rpc::AppendEntries(request)).await;
    f.persisted(1).await;
    f.ticks(20).await; // more ticks than the clock shows
    responses.drain();
    for (time, vote_granted) in [(2099, false), (2100, true)] {
        f.clock.0.store(time, Ordering::Relaxed);
        let last = LogPosition { index: LogIndex(1), term: Term(3) };
        f.receive(PEER, 4, Rpc::PreVote(PreVote { last })).await;
        let answer = responses.drain().remove(0).envelope.rpc;
        assert_eq!(answer, Rpc::PreVoteResponse(PreVoteResponse { vote_granted }), "at {time}");
    }
}
