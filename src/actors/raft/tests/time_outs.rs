//! Tests of the commands that have timed out: nothing of them is kept uncounted.

use super::*;
use crate::protocol::{ClientRequest, Refusal};

#[actix::test]
async fn commands_that_are_not_done_in_time_are_answered_as_timed_out() {
    let f = Fixture::start();
    f.lead().await;
    let client = Client::new(8);
    f.request(&client, vec![(1, write()), (2, read())]).await;
    for _ in 0..49 {
        f.ticks(1).await;
        f.replicated(1, 2, 0).await; // the peer lives, and its disk is silent
    }
    assert!(client.refusals().is_empty());
    f.ticks(1).await;
    assert_eq!(client.refusals(), [(1, ClientReply::TimedOut), refused(2, Refusal::Timeout)]);
}

/// RaftActor asserts after every batch that the core keeps no read but those that wait here,
/// which are bounded. Here the quorum lives, its disks are silent, and clients try again.
#[actix::test]
async fn reads_that_have_timed_out_are_kept_nowhere() {
    let f = Fixture::start();
    f.lead().await;
    let client = Client::new(8);
    let commands = || vec![(1, write()), (2, read()), (3, ClientRequest::BeginSnapshot)];
    f.request(&client, commands()).await;
    f.persisted(3).await; // its own disk is well
    for tick in 1..=150 {
        f.ticks(1).await;
        f.replicated(1, 2, 1).await;
        if tick % 50 == 0 {
            let timed_out = client.refusals();
            assert!(timed_out.contains(&refused(2, Refusal::Timeout)), "{timed_out:?}");
            assert!(timed_out.contains(&refused(3, Refusal::Timeout)), "{timed_out:?}");
            f.request(&client, commands().split_off(1)).await;
        }
    }
    f.replicated(1, 3, 3).await;
    f.replicated(1, 3, 4).await;
    assert_eq!(f.tasks(), ["entry 3@1 for None", "read at 3 for SessionId(8)/2"]);
}
