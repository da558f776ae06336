//! Tests of the commands of operators about the members (docs/adr/0026), of the list of members,
//! and of redirects.

use super::*;
use crate::protocol::{CanLose, ChangeWaited, MemberKind, MemberState, MembersReport};
use crate::raft::GateSettings;
use crate::testing::introduction;
use crate::types::{Format, MemberOperation, MemberRequest, Payload};

const OTHER: NodeId = NodeId(3);

fn change(operation: MemberOperation) -> MemberRequest {
    MemberRequest { operation, can_lose: Some(0), is_dry_run: false }
}

fn remove(id: NodeId) -> ClientRequest {
    ClientRequest::Member(change(MemberOperation::Remove { id }))
}

fn add_learner(id: u64) -> ClientRequest {
    let (new, member) = member(id);
    let operation = MemberOperation::Add { id: Some(new), member, is_learner: true };
    ClientRequest::Member(change(operation))
}

fn add(id: u64) -> MemberRequest {
    let (new, member) = member(id);
    change(MemberOperation::Add { id: Some(new), member, is_learner: false })
}

fn wait(number: u64) -> ClientRequest {
    ClientRequest::WaitForChange { number: LogIndex(number) }
}

impl Fixture {
    fn start_with_addresses() -> Fixture {
        let gate = GateSettings { formats: FormatRange::OWN, ..settings().gate };
        let settings = RaftSettings { gate, ..settings_with_addresses() };
        Fixture::start_as(settings, HardState::default(), LogSummary::default())
    }

    /// A leader of a cluster in which format 3 is in force, and whose log has the addresses of the
    /// members.
    async fn lead_members() -> Fixture {
        let f = Fixture::start_with_addresses();
        f.lead().await;
        f.introduce(PEER).await;
        f.introduce(OTHER).await;
        let client = Client::new(1);
        for slot in [1, 2] {
            f.request(&client, vec![(slot, ClientRequest::Raise)]).await;
            f.commit_all().await;
        }
        let raised = client.refusals();
        assert_eq!(raised.last(), Some(&(2, ClientReply::Raised(Format(3)))), "{raised:?}");
        f.ticks(1).await;
        f.commit_all().await;
        f
    }

    /// Persists what is appended, acknowledges it as the peer, and applies it, until there is no
    /// more. Returns the newest entry, if there was one.
    async fn commit_all(&self) -> Option<LogIndex> {
        let mut last = None;
        loop {
            let appends = self.appends();
            let Some(append) = appends.last() else { return last };
            let entries = appends.iter().flat_map(|append| &append.entries);
            last = entries.map(|entry| entry.index).max().or(last);
            self.persisted(append.seq.0).await;
            if let Some(index) = last {
                self.replicated(1, index.0, 0).await;
                self.raft.do_send(applied(index.0));
                settle().await;
            }
        }
    }

    async fn list(&self) -> MembersReport {
        let client = Client::new(99);
        self.request(&client, vec![(1, ClientRequest::Members)]).await;
        match client.refusals().pop() {
            Some((1, ClientReply::Members(report))) => *report,
            other => panic!("{other:?}"),
        }
    }
}

#[actix::test]
async fn a_change_is_answered_when_its_entry_is_applied_here() {
    let f = Fixture::lead_members().await;
    let client = Client::new(8);
    f.request(&client, vec![(1, add_learner(4))]).await;
    let appends = f.appends();
    let entry = &appends[0].entries[0];
    assert!(matches!(entry.payload, Payload::Membership(_)), "{entry:?}");
    let number = entry.index;
    f.persisted(appends[0].seq.0).await;
    f.replicated(1, number.0, 0).await;
    assert_eq!(client.refusals(), [], "it is committed and not applied");
    f.raft.do_send(applied(number.0));
    settle().await;
    assert_eq!(client.refusals(), [(1, ClientReply::Change { number, id: NodeId(4) })]);
    f.request(&client, vec![(2, add_learner(4))]).await;
    assert_eq!(client.refusals(), [(2, ClientReply::Already)]);
}

#[actix::test]
async fn a_change_that_is_asked_for_again_while_it_goes_on_is_answered_at_once() {
    let f = Fixture::lead_members().await;
    let client = Client::new(8);
    let request = |slot| vec![(slot, ClientRequest::Member(add(4)))];
    f.request(&client, request(1)).await;
    f.request(&client, request(2)).await;
    let number = f.commit_all().await.expect("the change has an entry");
    f.request(&client, request(3)).await;
    let begun = ClientReply::Change { number, id: NodeId(4) };
    assert_eq!(client.refusals(), [1, 2, 3].map(|slot| (slot, begun.clone())));
}

#[actix::test]
async fn a_change_is_refused_by_a_node_that_does_not_lead_and_with_the_reason_by_one_that_does() {
    let f = Fixture::start_with_addresses();
    let client = Client::new(8);
    f.request(&client, vec![(1, remove(OTHER))]).await;
    assert_eq!(client.refusals(), [refused(1, Refusal::NotLeader { leader: None })]);
    f.lead().await;
    f.request(&client, vec![(2, remove(OTHER))]).await;
    let replies = client.refusals();
    assert!(matches!(replies[..], [(2, ClientReply::NotYet(_))]), "{replies:?}");

    let f = Fixture::lead_members().await;
    f.request(&client, vec![(3, remove(NodeId(9)))]).await;
    let replies = client.refusals();
    assert!(
        matches!(replies[..], [(3, ClientReply::RefusedBecause(_) | ClientReply::Already)]),
        "{replies:?}"
    );
    let dry_run = MemberRequest { is_dry_run: true, ..add(4) };
    f.request(&client, vec![(4, ClientRequest::Member(dry_run))]).await;
    let replies = client.refusals();
    assert!(matches!(replies[..], [(4, ClientReply::Plan(_))]), "{replies:?}");
    assert!(f.appends().is_empty(), "nothing has begun");
}

#[actix::test]
async fn a_change_without_an_outcome_is_answered_in_time_and_when_the_leadership_is_lost() {
    let f = Fixture::lead_members().await;
    let client = Client::new(8);
    f.request(&client, vec![(1, add_learner(4))]).await;
    let before = f.appends()[0].entries[0].index.0 - 1;
    for _ in 0..5 {
        f.ticks(10).await;
        // The quorum answers, and does not store the entry.
        f.replicated(1, before, 0).await;
    }
    assert_eq!(client.refusals(), [refused(1, Refusal::Timeout)]);

    let f = Fixture::lead_members().await;
    f.request(&client, vec![(2, add_learner(4))]).await;
    f.receive(PEER, 2, Rpc::RequestVoteResponse(RequestVoteResponse { vote_granted: false })).await;
    assert_eq!(client.refusals(), [refused(2, Refusal::LeadershipLost)]);
}

#[actix::test]
async fn one_who_waits_for_a_change_is_answered_when_it_has_ended() {
    let f = Fixture::lead_members().await;
    let client = Client::new(8);
    f.request(&client, vec![(1, ClientRequest::Member(add(4)))]).await;
    let number = f.commit_all().await.expect("the change has an entry");
    assert_eq!(client.refusals(), [(1, ClientReply::Change { number, id: NodeId(4) })]);
    f.request(&client, vec![(2, wait(number.0)), (3, wait(999))]).await;
    let nothing = ClientReply::ChangeWaited(LogIndex(999), ChangeWaited::NotFound);
    assert_eq!(client.refusals(), [(3, nothing)], "a leader has every entry");

    let cancel = ClientRequest::Member(MemberRequest {
        operation: MemberOperation::Cancel { number },
        can_lose: None,
        is_dry_run: false,
    });
    f.request(&client, vec![(4, cancel)]).await;
    assert_eq!(client.refusals(), [], "the end is not committed");
    f.commit_all().await;
    let cancelled = ClientReply::ChangeWaited(number, ChangeWaited::Ended { is_done: false });
    let mut replies = client.refusals();
    replies.sort_by_key(|(slot, _)| *slot);
    let begun = ClientReply::Change { number, id: NodeId(4) };
    assert_eq!(replies, [(2, cancelled.clone()), (4, begun)]);
    f.request(&client, vec![(5, wait(number.0))]).await;
    assert_eq!(client.refusals(), [(5, cancelled)], "it is remembered");
}

#[actix::test]
async fn one_who_waits_for_longer_than_a_command_may_take_is_told_what_the_change_waits_for() {
    let f = Fixture::lead_members().await;
    let client = Client::new(8);
    f.request(&client, vec![(1, ClientRequest::Member(add(4)))]).await;
    let number = f.commit_all().await.expect("the change has an entry");
    client.refusals();
    f.request(&client, vec![(2, wait(number.0))]).await;
    for _ in 0..6 {
        f.ticks(10).await;
        f.replicated(1, number.0, 0).await;
    }
    let replies = client.refusals();
    let [(2, ClientReply::ChangeWaited(of, ChangeWaited::Running { sentence }))] = &replies[..]
    else {
        panic!("{replies:?}")
    };
    assert_eq!(*of, number);
    assert!(sentence.starts_with("add 4 as a voter; waits for: "), "{sentence}");
}

#[actix::test]
async fn too_many_that_wait_are_refused() {
    let f = Fixture::lead_members().await;
    let client = Client::new(8);
    f.request(&client, vec![(1000, ClientRequest::Member(add(4)))]).await;
    let number = f.commit_all().await.expect("the change has an entry");
    client.refusals();
    f.request(&client, (0..70).map(|slot| (slot, wait(number.0))).collect()).await;
    let busy = client.refusals();
    assert_eq!(busy.len(), 6);
    assert!(busy.iter().all(|reply| *reply == refused(reply.0, Refusal::Busy)), "{busy:?}");
}

/// A follower may have to catch up before it knows the change.
#[actix::test]
async fn a_follower_waits_for_a_change_that_it_does_not_know_yet() {
    let f = Fixture::start_with_addresses();
    let client = Client::new(8);
    f.request(&client, vec![(1, wait(7)), (2, wait(0))]).await;
    let nothing = |number| ClientReply::ChangeWaited(LogIndex(number), ChangeWaited::NotFound);
    assert_eq!(client.refusals(), [(2, nothing(0))]);
    f.ticks(60).await;
    assert_eq!(client.refusals(), [(1, nothing(7))]);
}

#[actix::test]
async fn the_leader_lists_the_members_as_it_sees_them() {
    let f = Fixture::lead_members().await;
    let client = Client::new(8);
    f.request(&client, vec![(1, ClientRequest::Member(add(4)))]).await;
    let number = f.commit_all().await.expect("the change has an entry");
    let report = f.list().await;
    assert_eq!((report.voters, report.needed, report.here), (3, 2, Some(3)));
    assert_eq!(report.can_lose, CanLose::Voters(1));
    assert_eq!((report.format, report.not_leading), (Format(3), None));
    assert_eq!((report.index, report.is_committed), (number, true));
    let seen = |member: &crate::protocol::MemberReport| (member.id.0, member.kind, member.state);
    assert_eq!(
        report.members.iter().map(seen).collect::<Vec<_>>(),
        [
            (1, MemberKind::Voter, MemberState::Leader),
            (2, MemberKind::Voter, MemberState::Follower),
            (3, MemberKind::Voter, MemberState::Follower),
            (4, MemberKind::Learner, MemberState::Unseen),
        ]
    );
    let [own, peer, _, new] = &report.members[..] else { unreachable!("there are four") };
    let (_, addresses) = member(4);
    assert_eq!(new.log_address, Some(addresses.peer));
    assert_eq!(new.client_address, Some(addresses.client));
    assert_eq!(peer.formats, Some(introduction().formats));
    assert_eq!(peer.version, Some(introduction().binary));
    assert_eq!((peer.behind, own.behind), (Some(0), None));
    assert_eq!(own.formats, Some(FormatRange::OWN));
    let change = report.change.expect("it is under way");
    assert_eq!((change.number, change.what.as_str()), (number, "add 4 as a voter"));
    assert!(change.waits_for.is_some() && change.age_ms.is_some(), "{change:?}");

    // The third server is silent for longer than any election timeout.
    for _ in 0..4 {
        f.ticks(10).await;
        f.replicated(1, number.0, 0).await;
    }
    let report = f.list().await;
    assert_eq!((report.here, report.can_lose), (Some(2), CanLose::Voters(0)));
    assert_eq!(report.members[2].state, MemberState::Unseen);
}

#[actix::test]
async fn a_server_that_does_not_lead_lists_what_it_knows() {
    let f = Fixture::start_with_addresses();
    let report = f.list().await;
    assert_eq!((report.not_leading, report.index), (Some(ME), LogIndex(0)));
    assert!(report.members.iter().all(|member| member.state == MemberState::Unknown));
    let heartbeat = AppendEntries {
        request_seq: 1,
        prev: LogPosition::default(),
        leader_commit: LogIndex(0),
        read_seq: 0,
        entries: Vec::new(),
    };
    f.receive(PEER, 1, Rpc::AppendEntries(heartbeat)).await;
    let report = f.list().await;
    assert_eq!((report.voters, report.needed, report.here), (3, 2, None));
    assert_eq!(report.can_lose, CanLose::Unknown);
    let states: Vec<MemberState> = report.members.iter().map(|member| member.state).collect();
    assert_eq!(states, [MemberState::Follower, MemberState::Leader, MemberState::Unknown]);
    assert!(report.members.iter().all(|member| member.seen_ms.is_none()));
}

/// A server that listens on every address must not send clients to the one in an old file.
#[actix::test]
async fn a_redirect_has_the_address_that_the_leader_says_it_is_reached_at() {
    let f = Fixture::start_with_addresses();
    let ((port, _), (end, _)) = (probe(), probe());
    let moved = Some(member(7).1);
    let introduction = Some(crate::raft::Introduction { member: moved, ..introduction() });
    f.raft.do_send(PeerEvent::Attached { peer: PEER, connection: 1, port, end, introduction });
    let heartbeat = AppendEntries {
        request_seq: 1,
        prev: LogPosition::default(),
        leader_commit: LogIndex(0),
        read_seq: 0,
        entries: Vec::new(),
    };
    f.receive(PEER, 1, Rpc::AppendEntries(heartbeat)).await;
    let client = Client::new(8);
    f.request(&client, vec![(1, write())]).await;
    assert_eq!(client.refusals(), [refused(1, redirect("db7.example:9000"))]);
}
