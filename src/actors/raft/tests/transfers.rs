//! Tests of transfers of the leadership: the commands that are held back, those of operators, and
//! the end of the process (docs/adr/0028).

use futures_util::FutureExt;

use super::*;
use crate::actors::messages::lifecycle::HandOver;
use crate::raft::{GateSettings, Introduction, TimeoutNow};
use crate::testing::introduction;
use crate::types::{ClusterHistory, ClusterState, Format, FormatInForce, TransferTarget};

fn transfer() -> ClientRequest {
    ClientRequest::Transfer(TransferTarget::To(PEER))
}

fn named_write(name: &'static str) -> ClientRequest {
    ClientRequest::Write(Bytes::from_static(name.as_bytes()))
}

impl Fixture {
    /// A node of a cluster in format 3.
    fn start_in_format_3(settings: RaftSettings) -> Fixture {
        let gate = GateSettings { formats: FormatRange::OWN, ..settings.gate };
        let settings = RaftSettings { gate, ..settings };
        let format = FormatInForce::of(Format(3));
        let cluster = ClusterHistory::beginning_with(ClusterState { format, ..Default::default() });
        let summary = LogSummary { cluster, ..LogSummary::default() };
        Fixture::start_as(settings, HardState::default(), summary)
    }

    /// The peer connects, and says where it is reached: clients are sent there.
    fn meet_peer(&self) {
        let ((port, _), (end, _)) = (probe(), probe());
        let introduction = Some(Introduction { member: Some(member(2).1), ..introduction() });
        let attached = PeerEvent::Attached { peer: PEER, connection: 1, port, end, introduction };
        self.raft.do_send(attached);
    }

    /// A leader that hands over to the peer. Returns the client that has asked for it.
    async fn start_transfer() -> (Fixture, Client) {
        let f = Fixture::start_in_format_3(settings());
        f.meet_peer();
        f.lead().await;
        let operator = Client::new(100);
        f.request(&operator, vec![(1, transfer())]).await;
        assert_eq!(f.orders(), [LogPosition { index: LogIndex(2), term: Term(1) }]);
        (f, operator)
    }

    /// A peer connects that says where it is reached.
    async fn introduce_with_address(&self, peer: NodeId) {
        let ((port, _), (end, _)) = (probe(), probe());
        let (_, addresses) = member(peer.0);
        let introduction = Some(Introduction { member: Some(addresses), ..introduction() });
        self.raft.do_send(PeerEvent::Attached { peer, connection: 1, port, end, introduction });
        settle().await;
    }

    /// The ends of the log in the orders to campaign that the peer was sent.
    fn orders(&self) -> Vec<LogPosition> {
        let sent = self.links[&PEER].drain().into_iter().map(|message| message.envelope.rpc);
        let order = |rpc| match rpc {
            Rpc::TimeoutNow(TimeoutNow { last }) => Some(last),
            _ => None,
        };
        sent.filter_map(order).collect()
    }

    /// The commands that were proposed since the last call.
    fn proposed(&self) -> Vec<String> {
        let entries = self.appends().into_iter().flat_map(|append| append.entries);
        let command = |entry: Entry| match entry.payload {
            Payload::Command(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
            _ => None,
        };
        entries.filter_map(command).collect()
    }

    async fn refuse_transfer(&self) {
        self.receive(PEER, 1, Rpc::TransferRefused).await;
    }

    /// The peer connects, and says where clients reach it.
    async fn introduce_peer(&self) {
        let ((port, _), (end, _)) = (probe(), probe());
        let introduction = Introduction { member: Some(member(2).1), ..introduction() };
        let introduction = Some(introduction);
        let event = PeerEvent::Attached { peer: PEER, connection: 1, port, end, introduction };
        self.raft.do_send(event);
        settle().await;
    }

    /// The peer asks for the vote of its term 2.
    async fn campaign(&self) {
        let last = LogPosition { index: LogIndex(2), term: Term(1) };
        self.receive(PEER, 2, Rpc::TransferVote(RequestVote { last })).await;
    }

    /// The peer leads term 2.
    async fn follow_peer(&self) {
        let request = AppendEntries {
            request_seq: 1,
            prev: LogPosition { index: LogIndex(2), term: Term(1) },
            leader_commit: LogIndex(2),
            read_seq: 0,
            entries: Vec::new(),
        };
        self.receive(PEER, 2, Rpc::AppendEntries(request)).await;
    }
}

#[actix::test]
async fn held_commands_go_on_in_their_order_when_a_transfer_comes_to_nothing() {
    let (f, operator) = Fixture::start_transfer().await;
    let (a, b) = (Client::new(1), Client::new(2));
    f.request(&a, vec![(1, named_write("a1")), (2, read()), (3, named_write("a3"))]).await;
    f.request(&b, vec![(1, named_write("b1"))]).await;
    assert_eq!((f.proposed(), f.tasks()), (vec![], vec![]), "nothing was proposed or read");
    f.refuse_transfer().await;
    assert_eq!(f.proposed(), ["a1", "a3", "b1"]);
    let sentence = "server 2 refused to campaign: server 1 leads on";
    assert_eq!(operator.refusals(), [(1, ClientReply::RefusedBecause(sentence.to_owned()))]);
    f.persisted(3).await;
    f.replicated(1, 5, 1).await;
    let tasks = f.tasks();
    assert_eq!(
        tasks,
        [
            "entry 3@1 for Some(SessionId(1)/1)",
            "read at 3 for SessionId(1)/2",
            "entry 4@1 for Some(SessionId(1)/3)",
            "entry 5@1 for Some(SessionId(2)/1)"
        ],
        "the read sees the write before it, and not the one after it"
    );
    assert_eq!((a.refusals(), b.refusals()), (vec![], vec![]));
}

/// A command that comes between the end of the transfer and the release must not overtake.
#[actix::test]
async fn a_command_that_comes_with_the_end_of_a_transfer_keeps_its_place() {
    let (f, _operator) = Fixture::start_transfer().await;
    let client = Client::new(1);
    f.request(&client, vec![(1, named_write("first"))]).await;
    // Both are in the mailbox before the effects of the first are executed.
    let envelope = Envelope { from: PEER, to: ME, term: Term(1), rpc: Rpc::TransferRefused };
    f.raft.do_send(PeerEvent::Message(envelope));
    f.request(&client, vec![(2, named_write("second"))]).await;
    assert_eq!(f.proposed(), ["first", "second"]);
}

#[actix::test]
async fn the_reads_of_other_sessions_are_not_held() {
    let (f, _operator) = Fixture::start_transfer().await;
    let (writer, reader) = (Client::new(1), Client::new(2));
    f.request(&writer, vec![(1, write())]).await;
    f.request(&reader, vec![(1, read())]).await;
    f.replicated(1, 2, 1).await;
    assert_eq!(f.tasks(), ["read at 2 for SessionId(2)/1"]);
}

/// Nothing was proposed, so the outcome is known: it is no `ERR_TIMEOUT`.
#[actix::test]
async fn held_commands_are_redirected_as_soon_as_the_new_leader_is_known() {
    let (f, operator) = Fixture::start_transfer().await;
    f.introduce_peer().await;
    let client = Client::new(1);
    f.request(&client, vec![(1, write()), (2, read())]).await;
    f.campaign().await;
    assert_eq!(client.refusals(), [], "who leads is not known yet");
    f.request(&client, vec![(3, write()), (4, read())]).await;
    assert_eq!(client.refusals(), [], "these wait as well");
    f.introduce_with_address(PEER).await;
    f.follow_peer().await;
    let leader = || redirect("db2.example:9000");
    let redirected: Vec<(u64, ClientReply)> = (1..=4).map(|slot| refused(slot, leader())).collect();
    assert_eq!(client.refusals(), redirected);
    let answer = ClientReply::Transferred { leader: PEER, term: Term(2) };
    assert_eq!(operator.refusals(), [(1, answer)]);
    assert_eq!(f.proposed(), [] as [&str; 0]);
    f.request(&client, vec![(5, write())]).await;
    assert_eq!(client.refusals(), [refused(5, leader())], "at once from now on");
}

#[actix::test]
async fn held_commands_are_refused_when_no_leader_is_found_in_an_election_timeout() {
    let (f, _operator) = Fixture::start_transfer().await;
    let client = Client::new(1);
    f.request(&client, vec![(1, write())]).await;
    f.campaign().await;
    f.ticks(9).await;
    assert_eq!(client.refusals(), []);
    f.ticks(12).await;
    assert_eq!(client.refusals(), [refused(1, Refusal::NotLeader { leader: None })]);
}

#[actix::test]
async fn held_commands_are_within_the_bounds_of_pending_commands_and_of_memory() {
    let (f, _operator) = Fixture::start_transfer().await;
    let before = f.memory.used_bytes();
    let client = Client::new(1);
    f.request(&client, (0..6).map(|slot| (slot, write())).collect()).await;
    let busy: Vec<(u64, ClientReply)> = [4, 5].map(|slot| refused(slot, Refusal::Busy)).into();
    assert_eq!(client.refusals(), busy);
    let bytes = 4 * "command".len() as u64;
    assert!(f.memory.used_bytes() >= before + bytes, "they are counted");
    f.campaign().await;
    f.follow_peer().await;
    assert_eq!(client.refusals().len(), 4);
    assert_eq!(f.memory.used_bytes(), before, "and are no longer");
}

#[actix::test]
async fn large_writes_that_are_held_are_bounded_in_bytes() {
    let (f, _operator) = Fixture::start_transfer().await;
    let client = Client::new(1);
    let large = || ClientRequest::Write(Bytes::from(vec![0; 600]));
    f.request(&client, vec![(1, large()), (2, large()), (3, large())]).await;
    assert_eq!(client.refusals(), [refused(3, Refusal::Busy)]);
}

/// A transfer that takes longer than a command may: the command is refused, and may be repeated.
#[actix::test]
async fn a_held_command_whose_time_is_over_is_known_not_to_be_executed() {
    let slow = RaftSettings {
        election_timeout_ticks_min: 100,
        election_timeout_ticks_max: 120,
        ..settings()
    };
    let f = Fixture::start_in_format_3(slow);
    f.ticks(100).await;
    f.lead().await;
    f.request(&Client::new(100), vec![(1, transfer())]).await;
    let client = Client::new(1);
    f.request(&client, vec![(1, write())]).await;
    for _ in 0..10 {
        f.ticks(5).await;
        f.replicated(1, 2, 0).await; // the peer lives
    }
    assert_eq!(client.refusals(), [refused(1, Refusal::Busy)]);
    f.refuse_transfer().await;
    assert_eq!(f.proposed(), [] as [&str; 0]);
}

#[actix::test]
async fn a_transfer_is_answered_at_once_when_it_is_refused_or_needless() {
    let f = Fixture::start_in_format_3(settings());
    let client = Client::new(1);
    f.request(&client, vec![(1, transfer())]).await;
    assert_eq!(client.refusals(), [refused(1, Refusal::NotLeader { leader: None })]);
    f.lead().await;
    let to = |id| ClientRequest::Transfer(TransferTarget::To(NodeId(id)));
    f.request(&client, vec![(2, to(1)), (3, to(9))]).await;
    let sentence = "9 is no member: see `coracle member list`".to_owned();
    let answers = [(2, ClientReply::Already), (3, ClientReply::RefusedBecause(sentence))];
    assert_eq!(client.refusals(), answers);
}

/// A leader of a new term does not know yet how far the others are: that is waited for.
#[actix::test]
async fn a_transfer_that_comes_too_early_waits() {
    let f = Fixture::start_in_format_3(settings());
    f.lead().await;
    let client = Client::new(1);
    let to = ClientRequest::Transfer(TransferTarget::To(NodeId(3)));
    f.request(&client, vec![(1, to)]).await;
    f.ticks(1).await;
    assert_eq!(client.refusals(), []);
    // The leader has given the cluster its id meanwhile.
    f.persisted(3).await;
    f.replicated(1, 3, 0).await;
    f.raft.do_send(applied(3));
    let report = ReplicationReport { match_index: LogIndex(3), ..Default::default() };
    f.raft.do_send(Replicated { peer: NodeId(3), term: Term(1), report });
    f.ticks(1).await;
    assert_eq!(client.refusals(), []);
    let sent = f.links[&NodeId(3)].drain().into_iter().map(|message| message.envelope.rpc);
    assert_eq!(sent.filter(|rpc| matches!(rpc, Rpc::TimeoutNow(_))).count(), 1);
}

#[actix::test]
async fn a_drain_is_answered_when_the_server_does_not_lead() {
    let f = Fixture::start_in_format_3(settings());
    let client = Client::new(1);
    let drain = |is_draining| ClientRequest::SetDraining(is_draining);
    f.request(&client, vec![(1, drain(true)), (2, drain(false))]).await;
    let mut answers = client.refusals();
    answers.sort_by_key(|(slot, _)| *slot);
    assert_eq!(answers, [(1, ClientReply::Draining), (2, ClientReply::Draining)], "a follower");
    f.lead().await;
    f.request(&client, vec![(3, drain(true))]).await;
    assert_eq!(f.orders().len(), 1, "it hands over");
    assert_eq!(client.refusals(), []);
    f.campaign().await;
    assert_eq!(client.refusals(), [(3, ClientReply::Draining)]);
}

/// The process may end when nobody waits for a redirect any more.
#[actix::test]
async fn a_stop_waits_for_the_hand_over_and_for_the_redirects() {
    let f = Fixture::start_in_format_3(settings());
    f.meet_peer();
    f.lead().await;
    f.introduce_peer().await;
    let mut stop = Box::pin(f.raft.send(HandOver));
    settle().await;
    assert!(stop.as_mut().now_or_never().is_none());
    let client = Client::new(1);
    f.request(&client, vec![(1, write())]).await;
    f.campaign().await;
    let is_over = stop.as_mut().now_or_never().is_some();
    assert!(!is_over, "a command waits for the new leader");
    f.introduce_with_address(PEER).await;
    f.follow_peer().await;
    assert_eq!(client.refusals(), [refused(1, redirect("db2.example:9000"))]);
    assert!(stop.as_mut().now_or_never().is_some());
}

#[actix::test]
async fn a_stop_of_a_server_that_does_not_lead_or_leads_alone_waits_for_nothing() {
    let follower = Fixture::start_in_format_3(settings());
    follower.raft.send(HandOver).await.expect("it runs");
    let alone = Membership::of_voters([1].map(member).into());
    let f = Fixture::start_in_format_3(RaftSettings { initial_membership: alone, ..settings() });
    f.ticks(21).await;
    f.persisted(1).await;
    f.raft.send(HandOver).await.expect("it runs");
}
