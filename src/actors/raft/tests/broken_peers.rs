//! Tests of peers that send what no sound node sends.

use super::*;
use crate::raft::PeerFault;

const ABSURD: u64 = u64::MAX - 1;

fn fault() -> EndConnection {
    EndConnection { fault: PeerFault::Term { theirs: Term(ABSURD), ours: Term(1) } }
}

/// docs/bugs.md C11: the connection is ended on which the message came, and no other.
#[actix::test]
async fn an_absurd_term_ends_the_connection_and_nothing_else() {
    let f = Fixture::start();
    let (responses, ends) = f.attach(1);
    f.lead().await;
    let last = LogPosition::default();
    f.receive(PEER, ABSURD, Rpc::RequestVote(RequestVote { last })).await;
    assert_eq!((ends.drain(), f.link_ends[&PEER].drain()), (vec![fault()], vec![]));
    let vote = Rpc::RequestVoteResponse(RequestVoteResponse { vote_granted: false });
    f.receive(PEER, ABSURD, vote).await;
    assert_eq!((ends.drain(), f.link_ends[&PEER].drain()), (vec![], vec![fault()]));
    f.replicated(ABSURD, 0, 0).await;
    assert_eq!((ends.drain(), f.link_ends[&PEER].drain()), (vec![], vec![fault()]));
    assert!(responses.drain().is_empty() && f.appends().is_empty(), "no term was adopted");

    let client = Client::new(8);
    f.request(&client, vec![(1, write())]).await;
    assert_eq!(f.appends().len(), 1, "it still leads");
}
