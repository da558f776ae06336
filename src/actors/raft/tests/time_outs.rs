//! Tests of the commands that have timed out: nothing of them is kept uncounted.

use super::*;
use crate::protocol::{ClientRequest, Refusal};

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
