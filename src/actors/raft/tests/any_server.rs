//! Tests of reads and writes at a node that does not lead, and of what its leader does for it
//! (docs/adr/0031).

use futures_util::future::join;

use super::*;
use crate::actors::io::operation_times::Part;
use crate::kv::{Command, Operation, Outcome};
use crate::raft::{
    Forward, ForwardOutcome, Forwarded, GateSettings, ReadIndexRequest, ReadIndexResponse,
    TellCommit,
};
use crate::types::{BootId, ClusterHistory, ClusterState, Format, FormatInForce};

/// The run of the node under test.
fn boot() -> BootId {
    shut_gate().boot
}

fn named_write(name: &'static str) -> ClientRequest {
    ClientRequest::WriteAnywhere(Bytes::from_static(name.as_bytes()))
}

fn read_anywhere() -> ClientRequest {
    ClientRequest::ReadAnywhere(Query::Get { key: Bytes::from_static(b"key"), at: 0 })
}

fn read_applied() -> ClientRequest {
    ClientRequest::ReadApplied(Query::Get { key: Bytes::from_static(b"key"), at: 0 })
}

fn renew(id: u64) -> ClientRequest {
    ClientRequest::Renew { id, is_anywhere: true }
}

/// A command that the store can decode.
fn delete(key: &'static str) -> Bytes {
    let operation = Operation::Delete { key: Bytes::from_static(key.as_bytes()) };
    Command { once: None, store_bytes_max: 0, operation }.encode()
}

fn unknown(slot: u64) -> (u64, ClientReply) {
    refused(slot, Refusal::LeadershipLost)
}

impl Fixture {
    /// A node of a cluster in this format.
    pub(super) fn start_in_format(format: Format, settings: RaftSettings) -> Fixture {
        let gate = GateSettings { formats: FormatRange::OWN, ..settings.gate };
        let settings = RaftSettings { gate, ..settings };
        let format = FormatInForce::of(format);
        let cluster = ClusterHistory::beginning_with(ClusterState { format, ..Default::default() });
        let summary = LogSummary { cluster, ..LogSummary::default() };
        Fixture::start_as(settings, HardState::default(), summary)
    }

    /// A node that follows the peer in term 3, and has a connection to it. Entry 1 is applied.
    async fn following() -> Fixture {
        let f = Fixture::start_in_format(Format(4), settings_with_addresses());
        f.raft.do_send(PeerEvent::Reached { peer: PEER });
        f.append(PEER, 3, 0, &["x"], 1).await;
        f.all_persisted().await;
        f.raft.do_send(applied(1));
        settle().await;
        f.sent(PEER);
        f.tasks();
        f
    }

    /// The leader of the term sends commands as the entries after `last`.
    async fn append(&self, from: NodeId, term: u64, last: u64, commands: &[&str], commit: u64) {
        let entry = |(place, command): (usize, &&str)| Entry {
            index: LogIndex(last + 1 + place as u64),
            term: Term(term),
            stamp_ms: 0,
            payload: Payload::Command(Bytes::copy_from_slice(command.as_bytes())),
        };
        let last_term = if last == 0 { Term(0) } else { Term(3) };
        let request = AppendEntries {
            request_seq: 1,
            prev: LogPosition { index: LogIndex(last), term: last_term },
            leader_commit: LogIndex(commit),
            read_seq: 0,
            entries: commands.iter().enumerate().map(entry).collect(),
        };
        self.receive(from, term, Rpc::AppendEntries(request)).await;
    }

    /// All writes so far are durable.
    async fn all_persisted(&self) {
        let last = self.appends().last().map(|append| append.seq);
        if let Some(seq) = last {
            self.persisted(seq.0).await;
        }
    }

    /// The commands and questions that the peer was sent since the last call.
    fn sent(&self, peer: NodeId) -> Vec<String> {
        let rpcs = self.links[&peer].drain().into_iter().map(|message| message.envelope.rpc);
        let text = |rpc| match rpc {
            Rpc::ReadIndex(ReadIndexRequest { number, .. }) => Some(format!("ask {number}")),
            Rpc::Forward(Forward { number, command, .. }) => {
                Some(format!("forward {number} {}", String::from_utf8_lossy(&command)))
            }
            Rpc::Forwarded(Forwarded { number, outcome, .. }) => {
                Some(format!("forwarded {number} {outcome:?}"))
            }
            _ => None,
        };
        rpcs.filter_map(text).collect()
    }

    async fn answer(&self, term: u64, number: u64, index: u64) {
        let index = Some(LogIndex(index));
        let response = ReadIndexResponse { boot: boot(), number, index };
        self.receive(PEER, term, Rpc::ReadIndexResponse(response)).await;
    }

    async fn tell(&self, from: NodeId, term: u64, number: u64, outcome: ForwardOutcome) {
        self.receive(from, term, Rpc::Forwarded(Forwarded { boot: boot(), number, outcome })).await;
    }

    async fn appended(&self, number: u64, index: u64) {
        self.tell(PEER, 3, number, ForwardOutcome::Appended(LogIndex(index))).await;
    }

    /// Another node is heard as the leader of term 4.
    async fn follow_third(&self) {
        self.raft.do_send(PeerEvent::Reached { peer: NodeId(3) });
        self.append(NodeId(3), 4, 1, &[], 1).await;
        self.all_persisted().await;
    }

    /// This node is elected in term 4.
    async fn take_over(&self) {
        self.ticks(25).await;
        self.receive(PEER, 4, Rpc::PreVoteResponse(PreVoteResponse { vote_granted: true })).await;
        self.all_persisted().await;
        let response = RequestVoteResponse { vote_granted: true };
        self.receive(PEER, 4, Rpc::RequestVoteResponse(response)).await;
        self.appends();
    }

    /// The commands that this node has appended since the last call.
    fn commands(&self) -> Vec<String> {
        let entries = self.appends().into_iter().flat_map(|append| append.entries);
        let text = |entry: Entry| match entry.payload {
            Payload::Command(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
            _ => None,
        };
        entries.filter_map(text).collect()
    }

    /// A peer forwards a command to this node.
    async fn forwarded_here(&self, number: u64, command: Bytes) {
        let forward = Forward { boot: BootId(77), number, command };
        self.receive(PEER, 1, Rpc::Forward(forward)).await;
    }

    fn tells(&self, peer: NodeId) -> Vec<TellCommit> {
        self.replicators[&peer].drain_kind(|command| match command {
            ReplicationCommand::TellCommit(order) => Some(*order),
            _ => None,
        })
    }
}

#[actix::test]
async fn the_reads_of_one_drain_share_a_question_and_wait_for_the_own_store() {
    let f = Fixture::following().await;
    let (a, b) = (Client::new(1), Client::new(2));
    f.request(&a, vec![(1, read_anywhere()), (2, read_anywhere())]).await;
    assert_eq!(f.sent(PEER), ["ask 1"]);
    f.request(&b, vec![(1, read_anywhere())]).await;
    assert_eq!(f.sent(PEER), [""; 0], "one question is under way");
    f.answer(3, 1, 2).await;
    assert_eq!((f.tasks(), f.sent(PEER)), (vec![], vec!["ask 2".to_owned()]));
    f.append(PEER, 3, 1, &["y"], 2).await;
    f.all_persisted().await;
    let reads = ["read at 2 for SessionId(1)/1", "read at 2 for SessionId(1)/2"];
    assert_eq!(f.tasks(), [&["entry 2@3 for None"], &reads[..]].concat());
    f.answer(3, 2, 2).await;
    assert_eq!(f.tasks(), ["read at 2 for SessionId(2)/1"]);
    assert_eq!((a.refusals(), b.refusals()), (vec![], vec![]));
}

#[actix::test]
async fn a_forwarded_write_is_answered_at_its_entry() {
    let f = Fixture::following().await;
    let client = Client::new(1);
    f.request(&client, vec![(1, named_write("a")), (2, named_write("b"))]).await;
    assert_eq!(f.sent(PEER), ["forward 1 a", "forward 2 b"], "writes do not wait for each other");
    f.appended(1, 2).await;
    f.appended(2, 4).await;
    f.append(PEER, 3, 1, &["a", "of another", "b"], 4).await;
    f.all_persisted().await;
    assert_eq!(
        f.tasks(),
        [
            "entry 2@3 for Some(SessionId(1)/1)",
            "entry 3@3 for None",
            "entry 4@3 for Some(SessionId(1)/2)"
        ]
    );
    assert_eq!(client.refusals(), []);
}

/// It is certain then that the command is not executed: its place is taken for ever.
#[actix::test]
async fn a_forwarded_write_is_lost_when_another_entry_has_its_place() {
    let f = Fixture::following().await;
    let client = Client::new(1);
    f.request(&client, vec![(1, named_write("a"))]).await;
    f.appended(1, 2).await;
    f.follow_third().await;
    assert_eq!(client.refusals(), [], "the entry may yet come");
    f.append(NodeId(3), 4, 1, &["other"], 2).await;
    f.all_persisted().await;
    assert_eq!(f.tasks(), ["entry 2@4 for None"]);
    assert_eq!(client.refusals(), [refused(1, Refusal::NotLeader { leader: None })]);
}

#[actix::test]
async fn a_write_is_unknown_when_a_connection_is_lost_before_its_answer() {
    for event in ["lost", "attached", "detached"] {
        let f = Fixture::following().await;
        let (_responses, _ends) = f.attach(1);
        let client = Client::new(1);
        f.request(&client, vec![(1, named_write("a")), (2, named_write("b"))]).await;
        f.appended(1, 2).await;
        match event {
            "lost" => f.raft.do_send(PeerEvent::Lost { peer: PEER }),
            "attached" => drop(f.attach(2)),
            _ => f.raft.do_send(PeerEvent::Detached { peer: PEER, connection: 1 }),
        }
        settle().await;
        assert_eq!(client.refusals(), [unknown(2)], "{event}: the first one's entry will come");
        f.append(PEER, 3, 1, &["a"], 2).await;
        f.all_persisted().await;
        assert_eq!(f.tasks(), ["entry 2@3 for Some(SessionId(1)/1)"]);
        f.appended(2, 3).await;
        assert_eq!(client.refusals(), [], "{event}: nobody waits for a late word");
    }
}

#[actix::test]
async fn a_write_that_is_not_answered_in_time_is_unknown_and_counts_no_more() {
    let f = Fixture::following().await;
    let client = Client::new(1);
    f.request(&client, (1..=4).map(|slot| (slot, named_write("a"))).collect()).await;
    f.request(&client, vec![(5, named_write("a"))]).await;
    assert_eq!(client.refusals(), [refused(5, Refusal::Busy)], "four are the limit");
    f.appended(1, 2).await;
    for _ in 0..50 {
        f.append(PEER, 3, 1, &[], 1).await;
        f.ticks(1).await;
    }
    let timed_out: Vec<_> = [2, 3, 4, 1].map(|slot| refused(slot, Refusal::Timeout)).into();
    assert_eq!(client.refusals(), timed_out);
    f.request(&client, vec![(6, named_write("b"))]).await;
    assert_eq!(f.sent(PEER).last().map(String::as_str), Some("forward 5 b"));
}

/// As a leader that has handed over answers what it had held.
#[actix::test]
async fn refused_writes_are_forwarded_to_the_next_leader_in_their_order() {
    let f = Fixture::following().await;
    let (a, b) = (Client::new(1), Client::new(2));
    f.request(&a, vec![(1, named_write("a1")), (2, named_write("a2"))]).await;
    f.sent(PEER);
    f.follow_third().await;
    f.tell(PEER, 4, 1, ForwardOutcome::NotLeader).await;
    f.request(&b, vec![(1, named_write("b1"))]).await;
    assert_eq!(f.sent(NodeId(3)), [""; 0], "the answer about the second is not there");
    f.tell(PEER, 4, 2, ForwardOutcome::NotLeader).await;
    assert_eq!(f.sent(NodeId(3)), ["forward 3 a1", "forward 4 a2", "forward 5 b1"]);
    assert_eq!((a.refusals(), b.refusals()), (vec![], vec![]));
}

#[actix::test]
async fn a_refused_write_is_not_forwarded_after_a_later_one_of_its_session() {
    let f = Fixture::following().await;
    let client = Client::new(1);
    f.request(&client, vec![(1, named_write("a1")), (2, named_write("a2"))]).await;
    f.sent(PEER);
    f.tell(PEER, 3, 1, ForwardOutcome::NotLeader).await;
    f.appended(2, 2).await;
    assert_eq!(client.refusals(), [refused(1, Refusal::NotLeader { leader: None })]);
    assert_eq!(f.sent(PEER), [""; 0]);
}

/// The first leader is slow to answer: meanwhile the next one has appended a later command.
#[actix::test]
async fn a_write_that_is_refused_late_is_not_forwarded_after_a_later_one_of_its_session() {
    let f = Fixture::following().await;
    let (client, other) = (Client::new(1), Client::new(2));
    f.request(&client, vec![(1, named_write("a1"))]).await;
    f.request(&other, vec![(1, named_write("b1"))]).await;
    f.follow_third().await;
    f.request(&client, vec![(2, named_write("a2"))]).await;
    assert_eq!(f.sent(NodeId(3)), ["forward 3 a2"]);
    f.tell(NodeId(3), 4, 3, ForwardOutcome::Appended(LogIndex(2))).await;
    f.tell(PEER, 4, 1, ForwardOutcome::NotLeader).await;
    f.tell(PEER, 4, 2, ForwardOutcome::NotLeader).await;
    assert_eq!(client.refusals(), [refused(1, Refusal::NotLeader { leader: None })]);
    assert_eq!(f.sent(NodeId(3)), ["forward 4 b1"], "the other session has no later command");
}

/// The node that has forwarded them is elected, and appends later ones itself.
#[actix::test]
async fn a_new_leader_does_not_append_refused_writes_after_later_ones_of_their_session() {
    let f = Fixture::following().await;
    let (client, other) = (Client::new(1), Client::new(2));
    f.request(&client, vec![(1, named_write("a1")), (2, named_write("a2"))]).await;
    f.request(&other, vec![(1, named_write("b1"))]).await;
    f.take_over().await;
    f.request(&client, vec![(3, named_write("a3"))]).await;
    for number in 1..=3 {
        f.tell(PEER, 4, number, ForwardOutcome::NotLeader).await;
    }
    let not_executed = |slot| refused(slot, Refusal::NotLeader { leader: None });
    assert_eq!(client.refusals(), [not_executed(1), not_executed(2)]);
    assert_eq!(other.refusals(), []);
    assert_eq!(f.commands(), ["a3", "b1"]);
}

/// A redirect would be wrong: the leader is well, and the client has asked for any server.
#[actix::test]
async fn commands_that_have_waited_too_long_for_others_of_their_session_are_not_redirected() {
    let f = Fixture::following().await;
    let client = Client::new(1);
    let requests = [named_write("a"), read_anywhere(), named_write("b"), renew(5)];
    f.request(&client, (1..).zip(requests).collect()).await;
    f.request(&client, vec![(5, read_anywhere())]).await;
    assert_eq!(client.refusals(), [refused(5, Refusal::Busy)], "four are the limit");
    for _ in 0..50 {
        f.append(PEER, 3, 1, &[], 1).await;
        f.ticks(1).await;
    }
    let timed_out: Vec<_> = (1..=4).map(|slot| refused(slot, Refusal::Timeout)).collect();
    assert_eq!(client.refusals(), timed_out);
    assert_eq!(f.sent(PEER), ["forward 1 a"], "nothing goes on whose time is over");
}

/// It waits behind its session's write, whose leader leads no more.
#[actix::test]
async fn a_read_of_what_is_applied_at_a_leader_that_steps_down_is_not_redirected() {
    let f = Fixture::start_in_format(Format(4), settings_with_addresses());
    f.lead().await;
    let client = Client::new(1);
    f.request(&client, vec![(1, named_write("a")), (2, read_applied())]).await;
    f.raft.do_send(PeerEvent::Reached { peer: PEER });
    f.append(PEER, 3, 0, &[], 0).await;
    assert_eq!(client.refusals(), [refused(1, Refusal::LeadershipLost)]);
    assert_eq!(f.sent(PEER), ["ask 1"]);
    f.answer(3, 1, 2).await;
    assert_eq!(f.tasks(), ["read at 2 for SessionId(1)/2"]);
}

#[actix::test]
async fn a_busy_leader_and_an_old_format_are_told_to_the_client() {
    let f = Fixture::following().await;
    let client = Client::new(1);
    f.request(&client, vec![(1, named_write("a")), (2, named_write("b"))]).await;
    f.tell(PEER, 3, 1, ForwardOutcome::Busy).await;
    f.tell(PEER, 3, 2, ForwardOutcome::NotYet).await;
    let replies = client.refusals();
    assert_eq!(replies[0], refused(1, Refusal::Busy));
    assert!(matches!(&replies[1], (2, ClientReply::NotYet(_))), "{replies:?}");
}

#[actix::test]
async fn the_commands_of_a_session_keep_their_order() {
    let f = Fixture::following().await;
    let client = Client::new(1);
    let requests = [named_write("a"), read_anywhere(), named_write("b"), read_applied()];
    f.request(&client, (1..).zip(requests).collect()).await;
    assert_eq!(f.sent(PEER), ["forward 1 a"], "the read has to see the write");
    f.appended(1, 2).await;
    f.append(PEER, 3, 1, &["a"], 2).await;
    f.all_persisted().await;
    assert_eq!(f.tasks(), ["entry 2@3 for Some(SessionId(1)/1)"]);
    assert_eq!(f.sent(PEER), ["ask 1"], "and must not see the write after it");
    f.answer(3, 1, 2).await;
    assert_eq!(f.tasks(), ["read at 2 for SessionId(1)/2"]);
    assert_eq!(f.sent(PEER), ["forward 2 b"]);
    f.appended(2, 3).await;
    f.append(PEER, 3, 2, &["b"], 3).await;
    f.all_persisted().await;
    let last = ["entry 3@3 for Some(SessionId(1)/3)", "read at 0 for SessionId(1)/4"];
    assert_eq!(f.tasks(), last);
    assert_eq!(client.refusals(), []);
}

#[actix::test]
async fn a_read_of_what_is_applied_asks_nobody() {
    let f = Fixture::following().await;
    let (client, other) = (Client::new(1), Client::new(2));
    f.request(&other, vec![(1, named_write("a"))]).await;
    f.sent(PEER);
    f.request(&client, vec![(1, read_applied())]).await;
    assert_eq!(f.tasks(), ["read at 0 for SessionId(1)/1"]);
    assert_eq!(f.sent(PEER), [""; 0]);
    // Without any leader as well.
    f.ticks(200).await;
    f.request(&client, vec![(2, read_applied())]).await;
    assert_eq!(f.tasks(), ["read at 0 for SessionId(1)/2"]);
}

#[actix::test]
async fn commands_wait_for_a_leader_and_for_a_connection_to_it() {
    let f = Fixture::start_in_format(Format(4), settings());
    let client = Client::new(1);
    f.request(&client, vec![(1, named_write("a")), (2, read_anywhere())]).await;
    f.append(PEER, 3, 0, &["x"], 1).await;
    f.all_persisted().await;
    assert_eq!((f.sent(PEER), client.refusals()), (vec![], vec![]), "the link is not up yet");
    f.raft.do_send(PeerEvent::Reached { peer: PEER });
    settle().await;
    assert_eq!(f.sent(PEER), ["forward 1 a"]);
    f.appended(1, 2).await;
    f.append(PEER, 3, 1, &["a"], 2).await;
    f.all_persisted().await;
    assert_eq!(f.sent(PEER), ["ask 1"]);
    assert_eq!(client.refusals(), []);
}

#[actix::test]
async fn nothing_waits_when_no_leader_was_heard_for_long() {
    let f = Fixture::following().await;
    f.ticks(49).await;
    let client = Client::new(1);
    f.request(&client, vec![(1, named_write("a")), (2, read_anywhere())]).await;
    assert_eq!(client.refusals(), []);
    f.ticks(49).await;
    let none = || Refusal::NotLeader { leader: None };
    f.request(&client, vec![(3, named_write("b")), (4, read_anywhere())]).await;
    let replies: Vec<_> = (1..=4).map(|slot| refused(slot, none())).collect();
    let mut refusals = client.refusals();
    refusals.sort_by_key(|(slot, _)| *slot);
    assert_eq!(refusals, replies);
}

#[actix::test]
async fn before_format_4_a_node_that_does_not_lead_redirects() {
    let f = Fixture::start_in_format(Format(3), settings_with_addresses());
    f.raft.do_send(PeerEvent::Reached { peer: PEER });
    f.append(PEER, 3, 0, &["x"], 1).await;
    f.all_persisted().await;
    let client = Client::new(1);
    f.request(&client, vec![(1, named_write("a")), (2, read_anywhere()), (3, renew(5))]).await;
    let there = || redirect("db2.example:9000");
    let mut refusals = client.refusals();
    refusals.sort_by_key(|(slot, _)| *slot);
    assert_eq!(refusals, [refused(1, there()), refused(2, there()), refused(3, there())]);
    assert_eq!(f.sent(PEER), [""; 0]);
}

#[actix::test]
async fn a_leader_takes_commands_of_peers_and_tells_them_the_commit_at_once() {
    let f = Fixture::start_in_format(Format(4), settings());
    f.lead().await;
    f.forwarded_here(1, delete("a")).await;
    f.forwarded_here(1, delete("a")).await;
    assert_eq!(f.sent(PEER), ["forwarded 1 Appended(LogIndex(3))"], "the second is the first");
    assert_eq!(f.appends().iter().map(|append| append.entries.len()).sum::<usize>(), 1);
    assert_eq!(f.tells(PEER), []);
    f.persisted(3).await;
    f.replicated(1, 3, 0).await;
    let told = TellCommit { term: Term(1), peer: PEER, leader_commit: LogIndex(3) };
    assert_eq!((f.tells(PEER), f.tells(NodeId(3))), (vec![told], vec![]));
    assert_eq!(f.tasks(), ["entry 3@1 for None"]);
}

#[actix::test]
async fn a_leader_has_a_limit_for_commands_of_peers_and_takes_none_that_it_cannot_read() {
    let f = Fixture::start_in_format(Format(4), settings());
    f.lead().await;
    f.forwarded_here(1, Bytes::from_static(b"\xff")).await;
    assert_eq!(f.sent(PEER), ["forwarded 1 NotYet"]);
    for number in 2..=6 {
        f.forwarded_here(number, delete("a")).await;
    }
    assert_eq!(f.sent(PEER).last().map(String::as_str), Some("forwarded 6 Busy"));
    f.persisted(6).await;
    f.replicated(1, 6, 0).await;
    f.raft.do_send(applied(6));
    f.forwarded_here(7, delete("a")).await;
    assert_eq!(f.sent(PEER), ["forwarded 7 Appended(LogIndex(7))"]);
}

#[actix::test]
async fn a_read_at_a_leader_that_steps_down_waits_for_the_next_leader() {
    let f = Fixture::start_in_format(Format(4), settings());
    f.lead().await;
    let (client, plain) = (Client::new(1), Client::new(2));
    f.request(&client, vec![(1, read_anywhere())]).await;
    f.request(&plain, vec![(1, read())]).await;
    f.raft.do_send(PeerEvent::Reached { peer: PEER });
    f.append(PEER, 3, 0, &[], 0).await;
    assert_eq!(client.refusals(), []);
    assert_eq!(plain.refusals(), [refused(1, Refusal::NotLeader { leader: None })]);
    assert_eq!(f.sent(PEER), ["ask 1"]);
    // A write of its session waits until it is answered.
    f.request(&client, vec![(2, named_write("a"))]).await;
    assert_eq!(f.sent(PEER), [""; 0]);
    f.answer(3, 1, 2).await;
    assert_eq!(f.tasks(), ["read at 2 for SessionId(1)/1"]);
    assert_eq!(f.sent(PEER), ["forward 1 a"]);
}

#[actix::test]
async fn a_read_at_a_leader_that_steps_down_is_before_later_commands_of_its_session() {
    let f = Fixture::start_in_format(Format(4), settings());
    f.lead().await;
    let client = Client::new(1);
    f.request(&client, vec![(1, read_anywhere())]).await;
    f.raft.do_send(PeerEvent::Reached { peer: PEER });
    // The word of the new leader and the commands come in one drain of the mailbox.
    let later = vec![(2, read_anywhere()), (3, named_write("a"))];
    join(f.append(PEER, 3, 0, &[], 0), f.request(&client, later)).await;
    assert_eq!(f.sent(PEER), ["ask 1"]);
    f.answer(3, 1, 2).await;
    assert_eq!(f.tasks(), ["read at 2 for SessionId(1)/1"]);
    assert_eq!(f.sent(PEER), ["ask 2"]);
    f.answer(3, 2, 2).await;
    assert_eq!(f.tasks(), ["read at 2 for SessionId(1)/2"]);
    assert_eq!(f.sent(PEER), ["forward 1 a"]);
}

#[actix::test]
async fn the_renewals_of_one_drain_share_an_entry() {
    let f = Fixture::start_in_format(Format(4), settings());
    f.lead().await;
    let (a, b) = (Client::new(1), Client::new(2));
    let of = |client: &Client, requests| ClientRequests {
        session: client.session,
        reply_to: Arc::clone(&client.port),
        requests,
        arrived_at: None,
        held: f.memory.reserve(0),
    };
    f.raft.do_send(of(&a, vec![(1, renew(5)), (2, renew(6))]));
    f.raft.do_send(of(&b, vec![(1, ClientRequest::Renew { id: 7, is_anywhere: false })]));
    settle().await;
    let entries: Vec<Entry> = f.appends().into_iter().flat_map(|append| append.entries).collect();
    let Payload::Command(bytes) = &entries[0].payload else { panic!("a command") };
    let command = Command::decode(bytes, Format(4)).unwrap();
    assert_eq!(command.operation, Operation::Renew { ids: vec![5, 6, 7] });
    assert_eq!(entries.len(), 1);
    f.persisted(3).await;
    f.replicated(1, 3, 0).await;
    let apply = f.kv.drain().into_iter().flat_map(|apply| apply.tasks).next();
    let Some(ApplyTask::Entry { waiters: Some(waiters), .. }) = apply else { panic!("an entry") };
    let mut replies = Replies::default();
    waiters.answer(Outcome::Renewed(vec![Some(10), None, Some(30)]), &mut replies);
    replies.send();
    settle().await;
    let renewed = |slot, ttl| (slot, ClientReply::Outcome(Outcome::Renewed(vec![ttl])));
    assert_eq!(a.refusals(), [renewed(1, Some(10)), renewed(2, None)]);
    assert_eq!(b.refusals(), [renewed(1, Some(30))]);
}

/// A read behind a renewal of its session sees it.
#[actix::test]
async fn a_command_after_a_renewal_of_its_session_is_after_it() {
    let f = Fixture::start_in_format(Format(4), settings());
    f.lead().await;
    let client = Client::new(1);
    f.request(&client, vec![(1, renew(5)), (2, read()), (3, renew(6))]).await;
    f.persisted(3).await;
    f.replicated(1, 4, 1).await;
    let (of_5, of_6) = ("[(5, SessionId(1)/1)]", "[(6, SessionId(1)/3)]");
    let tasks = [
        format!("entry 3@1 for Some({of_5})"),
        "read at 3 for SessionId(1)/2".to_owned(),
        format!("entry 4@1 for Some({of_6})"),
    ];
    assert_eq!(f.tasks(), tasks);
}

/// All three have waited for the first: a read that is released with a renewal is behind it, too.
#[actix::test]
async fn a_read_that_has_waited_behind_a_renewal_of_its_session_is_after_it() {
    let f = Fixture::following().await;
    let client = Client::new(1);
    let requests = [read_anywhere(), renew(5), read_anywhere()];
    f.request(&client, (1..).zip(requests).collect()).await;
    assert_eq!(f.sent(PEER), ["ask 1"]);
    f.answer(3, 1, 1).await;
    let sent = f.sent(PEER);
    assert!(sent.len() == 1 && sent[0].starts_with("forward 1 "), "{sent:?}");
    f.appended(1, 2).await;
    f.append(PEER, 3, 1, &["renew"], 2).await;
    f.all_persisted().await;
    assert_eq!(f.sent(PEER), ["ask 2"]);
}

#[actix::test]
async fn renewals_at_another_node_are_forwarded_together() {
    let f = Fixture::following().await;
    let client = Client::new(1);
    f.request(&client, vec![(1, renew(5)), (2, renew(6))]).await;
    assert_eq!(f.sent(PEER).len(), 1);
    f.tell(PEER, 3, 1, ForwardOutcome::NotLeader).await;
    assert_eq!(f.sent(PEER).len(), 1, "and once more");
    f.appended(2, 2).await;
    f.append(PEER, 3, 1, &["renew"], 2).await;
    f.all_persisted().await;
    let both = "[(5, SessionId(1)/1), (6, SessionId(1)/2)]";
    assert_eq!(f.tasks(), [format!("entry 2@3 for Some({both})")]);
    let plain = ClientRequest::Renew { id: 7, is_anywhere: false };
    f.request(&client, vec![(3, plain)]).await;
    assert_eq!(client.refusals(), [refused(3, redirect("db2.example:9000"))]);
}

#[actix::test]
async fn a_command_of_a_later_format_is_refused_with_a_sentence() {
    let f = Fixture::start_in_format(Format(3), settings());
    f.lead().await;
    let client = Client::new(1);
    let operation = Operation::Revoke { id: 1 };
    let revoke = Command { once: None, store_bytes_max: 0, operation }.encode();
    let requests = [ClientRequest::Write(revoke.clone()), ClientRequest::WriteAnywhere(revoke)];
    f.request(&client, (1..).zip(requests).chain([(3, renew(5))]).collect()).await;
    for (slot, reply) in client.refusals() {
        let ClientReply::NotYet(sentence) = reply else { panic!("{slot}: {reply:?}") };
        assert!(sentence.starts_with("format 3 is in force, and this command needs format 4"));
    }
    assert_eq!(f.appends().len(), 0, "nothing of it was proposed");
}

#[actix::test]
async fn a_leader_sets_the_bounds_of_the_history_when_others_are_in_force() {
    // The leader of a cluster without an id has entries of its own to write.
    let commands = |f: &Fixture| -> Vec<Operation> {
        let entries = f.appends().into_iter().flat_map(|append| append.entries);
        let command = |entry: Entry| match entry.payload {
            Payload::Command(bytes) => Some(Command::decode(&bytes, Format(4)).unwrap().operation),
            _ => None,
        };
        entries.filter_map(command).collect()
    };
    for (format, expected) in [(Format(3), 0), (Format(4), 1)] {
        let f = Fixture::start_in_format(format, settings());
        f.lead().await;
        f.ticks(1).await;
        assert_eq!(commands(&f), [], "those of the settings are in force");
        let history = HistoryLimits { keep_revisions: 7, bytes_max: 8 };
        f.raft.do_send(Applied { history, ..applied(2) });
        f.ticks(2).await;
        let set = Operation::SetHistory(HistoryLimits::default());
        assert_eq!(commands(&f), vec![set; expected]);
    }
}

/// Nothing new comes to it, so whoever reads or watches there is to ask another server.
#[actix::test]
async fn a_server_that_was_removed_ends_its_history_once_and_answers_no_command_of_the_data() {
    let f = Fixture::following().await;
    f.raft.do_send(PeerEvent::Removed { peer: PEER, at: LogIndex(2) });
    settle().await;
    assert_eq!(f.tasks(), ["end of the history"]);
    let client = Client::new(1);
    f.request(&client, vec![(1, read_applied()), (2, read_anywhere()), (3, named_write("w"))])
        .await;
    let nobody = Refusal::NotLeader { leader: None };
    assert_eq!(client.refusals(), [1, 2, 3].map(|slot| refused(slot, nobody.clone())));
    assert_eq!(f.tasks(), [] as [&str; 0]);
    assert_eq!(f.sent(PEER), [] as [&str; 0], "no forwarded command would be answered");
}

/// The server that a client asks knows only how long its command was away, and the leader where
/// the time went there.
#[actix::test]
async fn a_forwarded_command_is_slow_at_both_servers() {
    let f = Fixture::following().await;
    f.set_clock(1_000);
    f.request_since(&Client::new(1), ClientRequest::WriteAnywhere("a".into()), 990).await;
    f.appended(1, 2).await;
    f.set_clock(1_200);
    f.append(PEER, 3, 1, &["a"], 2).await;
    f.all_persisted().await;
    let expected = [(Part::Queue, 10), (Part::Forward, 200), (Part::Apply, 1)];
    assert_eq!(f.parts(1_201), expected);

    let f = Fixture::start_in_format(Format(4), settings());
    f.lead().await;
    f.set_clock(1_000);
    f.attach(1);
    f.forwarded_here(1, delete("k")).await;
    f.set_clock(1_150);
    f.persisted(3).await;
    f.replicated(1, 3, 0).await;
    assert_eq!(f.metrics.clients.slow("delete", "disk"), 1);
}
