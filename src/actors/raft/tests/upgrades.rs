//! Tests of the commands of operators about the cluster's format (docs/adr/0023).

use super::*;
use crate::raft::GateSettings;
use crate::testing::introduction;
use crate::types::{Format, FormatInForce};

fn set_hold(slot: u64, is_held: bool) -> (u64, ClientRequest) {
    (slot, ClientRequest::SetHold { is_held })
}

impl Fixture {
    /// A node that reads the second format, and raises it only when it is asked.
    fn start_new() -> Fixture {
        let gate = GateSettings { formats: FormatRange::OWN, ..settings().gate };
        let settings = RaftSettings { gate, ..settings() };
        Fixture::start_as(settings, HardState::default(), LogSummary::default())
    }

    fn holds(&self) -> Vec<bool> {
        self.log.drain_kind(|command| match command {
            LogCommand::Hold { is_held } => Some(*is_held),
            _ => None,
        })
    }

    async fn hold_saved(&self, is_held: bool) {
        self.raft.do_send(HoldSaved { is_held });
        settle().await;
    }

    /// A peer connects that reads the second format, and answers the leader.
    pub(super) async fn introduce(&self, peer: NodeId) {
        let ((port, _), (end, _)) = (probe(), probe());
        let introduction = Some(introduction());
        self.raft.do_send(PeerEvent::Attached { peer, connection: 1, port, end, introduction });
        let report = ReplicationReport { match_index: LogIndex(2), ..Default::default() };
        self.raft.do_send(Replicated { peer, term: Term(1), report });
        settle().await;
    }
}

#[actix::test]
async fn a_hold_is_answered_when_it_is_durable_and_in_the_order_of_the_commands() {
    let f = Fixture::start_new();
    let client = Client::new(8);
    f.request(&client, vec![set_hold(1, true), set_hold(2, false)]).await;
    assert_eq!(f.holds(), [true, false]);
    assert_eq!(client.refusals(), []);
    f.hold_saved(true).await;
    assert_eq!(client.refusals(), [(1, ClientReply::HoldSaved)]);
    f.hold_saved(false).await;
    assert_eq!(client.refusals(), [(2, ClientReply::HoldSaved)]);
}

#[actix::test]
async fn a_hold_is_answered_in_time_and_a_late_answer_is_not_given_to_the_next() {
    let f = Fixture::start_new();
    let client = Client::new(8);
    f.request(&client, vec![set_hold(1, true)]).await;
    f.ticks(50).await;
    assert_eq!(client.refusals(), [refused(1, Refusal::Timeout)]);
    f.request(&client, vec![set_hold(2, false)]).await;
    f.hold_saved(true).await;
    assert_eq!(client.refusals(), [], "that was the first");
    f.hold_saved(false).await;
    assert_eq!(client.refusals(), [(2, ClientReply::HoldSaved)]);
}

#[actix::test]
async fn holds_are_bounded_even_when_they_have_timed_out() {
    let f = Fixture::start_new();
    let client = Client::new(8);
    f.request(&client, (0..100).map(|slot| set_hold(slot, true)).collect()).await;
    let busy = client.refusals();
    assert_eq!(busy.len() + f.holds().len(), 100);
    assert!(!busy.is_empty() && busy.iter().all(|r| *r == refused(r.0, Refusal::Busy)));
    f.ticks(50).await;
    assert_eq!(client.refusals().len(), 100 - busy.len());
    f.request(&client, vec![set_hold(100, true)]).await;
    assert_eq!(client.refusals(), [refused(100, Refusal::Busy)]);
}

#[actix::test]
async fn a_raise_is_refused_by_a_node_that_does_not_lead_and_with_the_reason_by_one_that_does() {
    let f = Fixture::start_new();
    let client = Client::new(8);
    f.request(&client, vec![(1, ClientRequest::Raise)]).await;
    assert_eq!(client.refusals(), [refused(1, Refusal::NotLeader { leader: None })]);
    f.lead().await;
    f.introduce(NodeId(3)).await;
    f.request(&client, vec![(2, ClientRequest::Raise)]).await;
    let sentence = "format 1 is in force; server 2 is not connected".to_owned();
    assert_eq!(client.refusals(), [(2, ClientReply::NotYet(sentence))]);
}

#[actix::test]
async fn a_raise_is_answered_when_the_format_is_in_force_here() {
    let f = Fixture::start_new();
    f.lead().await;
    f.introduce(PEER).await;
    f.introduce(NodeId(3)).await;
    let client = Client::new(8);
    f.request(&client, vec![(1, ClientRequest::Raise), (2, ClientRequest::Raise)]).await;
    assert!(matches!(f.appends()[0].entries[0].payload, Payload::Format(_)));
    f.persisted(3).await;
    f.replicated(1, 3, 0).await;
    assert_eq!(client.refusals(), [], "it is committed and not applied");
    f.raft.do_send(applied(3));
    settle().await;
    let raised = ClientReply::Raised(Format(2));
    assert_eq!(client.refusals(), [(1, raised.clone()), (2, raised.clone())]);
    for number in [3, 4] {
        f.request(&client, vec![(number, ClientRequest::Raise)]).await;
        let index = number + 1;
        f.persisted(index).await;
        f.replicated(1, index, 0).await;
        f.raft.do_send(applied(index));
        settle().await;
        let raised = ClientReply::Raised(Format(number as u32));
        assert_eq!(client.refusals(), [(number, raised)]);
    }
    f.request(&client, vec![(5, ClientRequest::Raise)]).await;
    let highest = ClientReply::Raised(FormatRange::OWN.highest);
    assert_eq!(client.refusals(), [(5, highest)], "there is no higher format");
}

#[actix::test]
async fn a_raise_without_an_outcome_is_answered_in_time_and_when_the_leadership_is_lost() {
    let f = Fixture::start_new();
    f.lead().await;
    f.introduce(PEER).await;
    f.introduce(NodeId(3)).await;
    let client = Client::new(8);
    f.request(&client, vec![(1, ClientRequest::Raise)]).await;
    for _ in 0..5 {
        f.ticks(10).await;
        // The quorum answers, and does not store the entry.
        f.replicated(1, 2, 0).await;
    }
    assert_eq!(client.refusals(), [refused(1, Refusal::Timeout)]);
    f.request(&client, vec![(2, ClientRequest::Raise)]).await;
    f.receive(PEER, 2, Rpc::RequestVoteResponse(RequestVoteResponse { vote_granted: false })).await;
    assert_eq!(client.refusals(), [refused(2, Refusal::LeadershipLost)]);
}

#[actix::test]
async fn a_digest_is_asked_of_the_store_by_any_node() {
    let f = Fixture::start_new();
    let client = Client::new(8);
    f.request(&client, vec![(1, ClientRequest::Digest { index: LogIndex(9) })]).await;
    assert_eq!(f.tasks(), ["digest at 9 for SessionId(8)/1"]);
}

/// The next start must know the id before it knows what is committed.
#[actix::test]
async fn the_id_of_the_cluster_goes_to_the_disk_when_it_is_committed() {
    let f = Fixture::start_new();
    f.attach(1);
    settle().await;
    let kept = || {
        f.log.drain_kind(|command| match command {
            LogCommand::ClusterId(cluster_id) => Some(*cluster_id),
            _ => None,
        })
    };
    let append = |prev, leader_commit, entries| AppendEntries {
        request_seq: 1,
        prev,
        leader_commit: LogIndex(leader_commit),
        read_seq: 0,
        entries,
    };
    let payloads =
        [Payload::Format(FormatInForce::of(Format(2))), Payload::ClusterId(ClusterId(7))];
    let entries = payloads.into_iter().zip(1..).map(|(payload, index)| Entry {
        index: LogIndex(index),
        term: Term(1),
        stamp_ms: 0,
        payload,
    });
    let last = LogPosition { index: LogIndex(2), term: Term(1) };
    let request = append(LogPosition::default(), 1, entries.collect());
    f.receive(PEER, 1, Rpc::AppendEntries(request)).await;
    assert_eq!(kept(), []);
    f.receive(PEER, 1, Rpc::AppendEntries(append(last, 2, vec![]))).await;
    assert_eq!(kept(), [ClusterId(7)]);
    let announced = f.announced.drain().pop().expect("the id is announced");
    assert_eq!(announced.0.cluster_id, Some(ClusterId(7)));
}
