//! The client follows the members of the cluster, and asks for changes of them.

use super::*;
use crate::client::{Changed, Transferred, Waited, members_of, set_draining_of};
use crate::protocol::{
    CanLose, MemberOperation, MemberRequest, MemberState, Plan, Tolerance, TransferTarget,
};
use crate::types::{Address, LogIndex, Member, NodeId};

/// The list of these members, by id from 1, as of the log entry `index`.
fn list(index: u64, members: &[(&str, &str)]) -> String {
    let mut text = format!("MEMBERS 3 2 3 1 3 leader {index} yes\r\n");
    for (at, (kind, client)) in members.iter().enumerate() {
        let id = at + 1;
        text += &format!("MEMBER {id} {kind} follower db{id}.example:1 {client} seen_ms=3\r\n");
    }
    text + "END\r\n"
}

impl Fake {
    fn set_members(&self, members: String) {
        *self.members.lock().unwrap() = members;
    }

    fn lists(&self) -> usize {
        self.lists.load(Ordering::SeqCst)
    }
}

/// An address at which nobody listens.
async fn nobody() -> String {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().to_string()
}

#[tokio::test]
async fn a_client_whose_whole_first_list_was_replaced_goes_on_with_the_new_members() {
    let first = Fake::start(vec![say("VALUE 1\r\na"), Act::Close]).await;
    let new = Fake::start(vec![say("VALUE 1\r\nb")]).await;
    let dead = nobody().await;
    first.set_members(list(7, &[("voter", &dead), ("voter", &new.address)]));
    let mut client = client(&[&first], patient()).await;
    assert_eq!(client.get("k").await.unwrap(), b"a");
    assert_eq!(client.get("k").await.unwrap(), b"b");
    assert_eq!(first.received().len(), 2);
}

/// reports.md of etcd #13853: clients found the learner in the list, and got errors for good.
#[tokio::test]
async fn a_client_that_knows_only_the_learner_reaches_the_leader_and_learns_the_others() {
    let leader = Fake::start(vec![say("VALUE 1\r\na"), Act::Close]).await;
    let next = Fake::start(vec![say("VALUE 1\r\nb")]).await;
    let learner = Fake::start(vec![say(&format!("ERR_REDIRECT {}", leader.address))]).await;
    let members = list(
        7,
        &[("learner", &learner.address), ("voter", &leader.address), ("voter", &next.address)],
    );
    learner.set_members(members);
    let mut client = client(&[&learner], patient()).await;
    assert_eq!(client.get("k").await.unwrap(), b"a");
    assert_eq!(client.get("k").await.unwrap(), b"b");
}

#[tokio::test]
async fn a_redirect_to_an_address_that_is_in_no_list_is_followed_and_its_members_are_learned() {
    let new = Fake::start(vec![say("VALUE 1\r\na"), Act::Close]).await;
    let other = Fake::start(vec![say("VALUE 1\r\nb")]).await;
    new.set_members(list(9, &[("voter", &new.address), ("voter", &other.address)]));
    let old = Fake::start(vec![say(&format!("ERR_REDIRECT {}", new.address)), Act::Close]).await;
    let mut client = client(&[&old], patient()).await;
    assert_eq!(client.get("k").await.unwrap(), b"a");
    assert_eq!(client.get("k").await.unwrap(), b"b");
    assert_eq!(old.received().len(), 1, "it is asked after the members");
}

#[tokio::test]
async fn a_server_from_before_the_command_leaves_the_client_its_addresses() {
    let one = Fake::start(vec![say("VALUE 1\r\na"), Act::Close]).await;
    let two = Fake::start(vec![say("VALUE 1\r\nb")]).await;
    let mut client = client(&[&one, &two], patient()).await;
    assert_eq!(client.get("k").await.unwrap(), b"a");
    assert_eq!(client.get("k").await.unwrap(), b"b");
    assert!(one.lists() > 0 && two.lists() > 0);
}

#[tokio::test]
async fn each_connection_asks_for_the_members_once_and_again_after_a_while() {
    let fake = Fake::start(vec![say("VALUE 1\r\na")]).await;
    let next = Fake::start(vec![say("VALUE 1\r\nb")]).await;
    let mut client = client(&[&fake], patient()).await;
    for _ in 0..3 {
        assert_eq!(client.get("k").await.unwrap(), b"a");
    }
    assert_eq!(fake.lists(), 1);
    fake.set_members(list(7, &[("voter", &fake.address), ("voter", &next.address)]));
    client.refresh_interval = Duration::ZERO;
    assert_eq!(client.get("k").await.unwrap(), b"a");
    assert_eq!(fake.lists(), 2);
    client.connection = None;
    client.turn_to_next();
    assert_eq!(client.get("k").await.unwrap(), b"b");
}

/// A server that takes connections and never answers holds up one try of one command.
#[tokio::test]
async fn a_server_that_does_not_answer_is_asked_last_from_then_on() {
    let options = Options { try_timeout: Duration::from_millis(300), ..patient() };
    let deaf = Fake::start(vec![Act::Ignore]).await;
    let well = Fake::start(vec![say("VALUE 1\r\na")]).await;
    let mut client = client(&[&deaf, &well], options).await;
    assert_eq!(client.get("k").await.unwrap(), b"a");
    well.set_members(list(7, &[("voter", &deaf.address), ("voter", &well.address)]));
    for _ in 0..3 {
        client.connection = None;
        assert_eq!(client.get("k").await.unwrap(), b"a");
    }
    assert_eq!(deaf.received().len(), 1);
}

fn remove() -> MemberRequest {
    let operation = MemberOperation::Remove { id: NodeId(3) };
    MemberRequest { operation, can_lose: None, is_dry_run: false }
}

#[tokio::test]
async fn the_commands_about_members_pass_as_the_protocol_says() {
    let fake = Fake::start(vec![
        say("CHANGE 17 6"),
        say("ALREADY"),
        say("PLAN voters=3,2 needed=2,2 here=3,2 can_lose=1,0"),
        say("ERR_REFUSED 3 is the last voter"),
        say("RUNNING 17 add 6 as a voter; waits for: its snapshot"),
        say("ENDED 17 done"),
        say("ERR_NOT_FOUND"),
        say("LEADER 6 42"),
        say("ALREADY"),
    ])
    .await;
    let mut client = client(&[&fake], patient()).await;
    let address = |text: &str| text.parse::<Address>().unwrap();
    let add = MemberRequest {
        operation: MemberOperation::Add {
            id: None,
            member: Member { peer: address("a:1"), client: address("a:2") },
            is_learner: false,
        },
        ..remove()
    };
    assert_eq!(client.member(add).await, Ok(Changed::Begun { number: 17, id: 6 }));
    assert_eq!(client.member(remove()).await, Ok(Changed::Already));
    let before = Tolerance { voters: 3, needed: 2, here: 3, can_lose: Some(1) };
    let after = Tolerance { voters: 2, needed: 2, here: 2, can_lose: Some(0) };
    let planned = Changed::Planned(Plan { before, after });
    assert_eq!(client.member(MemberRequest { is_dry_run: true, ..remove() }).await, Ok(planned));
    let sentence = "3 is the last voter".to_owned();
    assert_eq!(client.member(remove()).await, Err(Error::NotSafe { sentence }));
    let sentence = "add 6 as a voter; waits for: its snapshot".to_owned();
    assert_eq!(client.wait_for_change(17).await, Ok(Waited::Running { sentence }));
    assert_eq!(client.wait_for_change(17).await, Ok(Waited::Ended { is_done: true }));
    assert_eq!(client.wait_for_change(18).await, Err(Error::NotFound));
    let to = TransferTarget::To(NodeId(6));
    assert_eq!(client.transfer(to).await, Ok(Transferred::To { id: 6, term: 42 }));
    let avoid = TransferTarget::Avoid([NodeId(2)].into());
    assert_eq!(client.transfer(avoid).await, Ok(Transferred::Already));
    let sent = [
        "member add a:1 a:2",
        "member remove 3",
        "member remove 3 dry-run",
        "member remove 3",
        "member wait 17",
        "member wait 17",
        "member wait 18",
        "leader transfer to 6",
        "leader transfer avoid 2",
    ];
    assert_eq!(fake.received(), sent.map(|line| format!("{line}\r\n")));

    fake.set_members(list(7, &[("voter", "a:2"), ("learner", "b:2")]));
    let report = client.members().await.unwrap();
    assert_eq!((report.index, report.can_lose), (LogIndex(7), CanLose::Voters(1)));
    assert_eq!(report.members[1].state, MemberState::Follower);
    assert_eq!(members_of(&fake.address, patient().deadline).await, Ok(report));
}

#[tokio::test]
async fn the_leader_is_asked_for_the_members_if_it_answers() {
    let leader = Fake::start(vec![say("PONG")]).await;
    let other = Fake::start(vec![say("PONG")]).await;
    let as_follower = |leader: &str| {
        format!(
            "MEMBERS 3 2 unknown unknown 3 2 7 yes\r\n\
             MEMBER 1 voter leader a:1 {leader}\r\nMEMBER 2 voter follower b:1 b:2\r\nEND\r\n"
        )
    };
    other.set_members(as_follower(&leader.address));
    leader.set_members(list(7, &[("voter", &leader.address)]));
    let mut client = client(&[&other], patient()).await;
    assert_eq!(client.members().await.unwrap().not_leading, None);
    other.set_members(as_follower(&nobody().await));
    let mut client = super::client(&[&other], patient()).await;
    assert_eq!(client.members().await.unwrap().not_leading, Some(NodeId(2)));
    assert_eq!(client.target, other.address);
}

#[tokio::test]
async fn a_drain_is_asked_of_one_server() {
    let patience = patient().deadline;
    let fake = Fake::start(vec![say("OK"), say("OK"), say("ERR_REFUSED nobody else can lead")]);
    let fake = fake.await;
    assert_eq!(set_draining_of(&fake.address, true, patience).await, Ok(()));
    assert_eq!(set_draining_of(&fake.address, false, patience).await, Ok(()));
    let sentence = "nobody else can lead".to_owned();
    let refused = set_draining_of(&fake.address, true, patience).await;
    assert_eq!(refused, Err(Error::NotSafe { sentence }));
    assert_eq!(fake.received(), ["drain\r\n", "undrain\r\n", "drain\r\n"]);
}

/// A second removal is not the first one again, but perhaps that of another server's choice.
#[tokio::test]
async fn a_change_without_an_answer_is_unknown_and_not_repeated() {
    for act in [Act::Close, say("ERR_TIMEOUT")] {
        let fake = Fake::start(vec![act]).await;
        let mut client = client(&[&fake], patient()).await;
        let result = client.member(remove()).await;
        assert!(matches!(result, Err(Error::Unknown { .. })), "{result:?}");
        assert_eq!(fake.received().len(), 1);
    }
    let well = Fake::start(vec![say("CHANGE 17 3")]).await;
    let lost = Fake::start(vec![say("ERR_NO_LEADER")]).await;
    let mut client = client(&[&lost, &well], patient()).await;
    let begun = Changed::Begun { number: 17, id: 3 };
    assert_eq!(client.member(remove()).await, Ok(begun), "the first server has not begun it");
}
