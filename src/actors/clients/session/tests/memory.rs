//! Sessions of a server that is short of memory: a session that holds nothing is refused as
//! busy, and one that holds something waits (docs/adr/0010).

use tokio::io::AsyncWriteExt;

use super::*;
use crate::actors::clients::session::tests::{
    Client, answer, config, config_with_window, connect, refused, stored, take, value,
};
use crate::actors::clients::session_io::SESSION_BYTES;
use crate::protocol::{ClientRequest, Refusal};
use crate::testing::settle;

const KIB: u64 = 1024;

fn short_of(free_bytes: u64) -> (SessionConfig, MemoryBudget) {
    let memory = MemoryBudget::new(SESSION_BYTES + free_bytes);
    (SessionConfig { memory: memory.clone(), ..config() }, memory)
}

#[actix::test]
async fn a_session_that_holds_nothing_is_busy_while_others_hold_all_and_served_when_they_do_not() {
    let (config, memory) = short_of(100 * KIB);
    let (mut client, raft) = connect(config);
    let others = memory.reserve(100 * KIB);
    client.say("set k 0 1\r\n1\r\nget k\r\nset k 0 1 noreply\r\n1\r\n").await;
    client.say("scan * 1\r\nping\r\nget\r\nhelp\r\n").await;
    let heard = client.hear().await;
    let front = "ERR_BUSY\r\nERR_BUSY\r\nERR_BUSY\r\nPONG\r\nERR_CMD_ERR ";
    assert!(heard.starts_with(front) && heard.ends_with("\r\nEND\r\n"), "{heard}");
    assert!(take(&raft).is_empty());
    drop(others);
    client.say("set k 0 1\r\n1\r\n").await;
    answer(&client, take(&raft)[0].0, stored(7));
    assert_eq!(client.hear().await, "OK 7\r\n");
    assert_eq!(memory.used_bytes(), SESSION_BYTES, "counters return to what they were");
}

/// Two values that have come in part must not wait for each other.
#[actix::test]
async fn a_value_that_finds_no_room_is_given_up_and_read_past() {
    for (noreply, expected) in [("", "ERR_BUSY\r\nPONG\r\n"), (" noreply", "PONG\r\n")] {
        let (config, memory) = short_of(200 * KIB);
        let (mut client, raft) = connect(config);
        client.say(format!("set k 0 1000000{noreply}\r\n")).await;
        let mut most = 0;
        for _ in 0..1000 {
            client.say("v".repeat(1000)).await;
            most = memory.used_bytes().max(most);
        }
        assert!((50 * KIB..200 * KIB).contains(&most), "{most}");
        assert_eq!(memory.used_bytes(), SESSION_BYTES, "it is given back at once");
        client.say("\r\nping\r\n").await;
        assert_eq!(client.hear().await, expected);
        // There is room for a smaller value.
        client.say(format!("set k 0 50000\r\n{}\r\n", "v".repeat(50_000))).await;
        assert_eq!(take(&raft).len(), 1);
    }
}

#[actix::test]
async fn a_session_that_waits_for_an_answer_is_slowed_and_not_refused() {
    let (config, memory) = short_of(100 * KIB);
    let (mut client, raft) = connect(config);
    let others = memory.reserve(97 * KIB);
    client.say("get a\r\nget b\r\nset k 0 1\r\n1\r\nget c\r\n").await;
    for (index, expected) in ["VALUE 1\r\n1\r\n", "VALUE 1\r\n2\r\n"].iter().enumerate() {
        let requests = take(&raft);
        assert_eq!(requests.len(), 1, "there may be no room for a second value");
        answer(&client, requests[0].0, value(&(index + 1).to_string()));
        assert_eq!(client.hear().await, *expected);
    }
    let requests = take(&raft);
    answer(&client, requests[0].0, stored(1));
    drop(others);
    assert_eq!(client.hear().await, "OK 1\r\n");
}

/// Many clients that come at once and ask for little are served: the maximum length of a
/// value is not reserved for each of them.
#[actix::test]
async fn a_thousand_new_clients_that_read_at_the_same_time_are_served() {
    let memory = MemoryBudget::new(1000 * (SESSION_BYTES + 8 * KIB));
    let (raft, inbox) = crate::testing::probe();
    let mut clients = Vec::new();
    for _ in 0..1000 {
        let config = SessionConfig { memory: memory.clone(), ..config() };
        let mut client = Client::connect(config, raft.clone(), 1024);
        client.to_server.as_mut().unwrap().write_all(b"get k\r\n").await.unwrap();
        clients.push(client);
    }
    settle().await;
    assert_eq!(take(&inbox).len(), 1000);
}

/// While replies are unsent no further command is taken, and the replies need no memory to
/// leave.
#[actix::test]
async fn a_client_that_does_not_read_its_replies_is_not_read_from_until_it_does() {
    let (config, memory) = short_of(100 * KIB);
    let (raft, inbox) = crate::testing::probe();
    let mut client = Client::connect(config, raft, 1024);
    client.say("get a\r\n").await;
    answer(&client, take(&inbox)[0].0, value(&"v".repeat(90_000)));
    settle().await;
    assert!(memory.used_bytes() > 80 * KIB);
    client.say("get b\r\n").await;
    assert!(take(&inbox).is_empty());
    let heard = client.hear().await;
    assert_eq!(heard.len(), "VALUE 90000\r\n\r\n".len() + 90_000);
    assert_eq!(take(&inbox).len(), 1);
}

#[actix::test]
async fn nothing_is_left_of_a_session_that_ends_with_commands_and_input_under_way() {
    let (config, memory) = short_of(4000 * KIB);
    let (raft, inbox) = crate::testing::probe();
    let mut client = Client::connect(config, raft, 1 << 16);
    client.say(format!("set k 0 9000\r\n{}\r\n", "v".repeat(9000))).await;
    let in_the_mailbox = memory.used_bytes();
    assert!(in_the_mailbox > SESSION_BYTES + 9000, "{in_the_mailbox}");
    client.say(format!("get k\r\nset l 0 60000\r\n{}", "v".repeat(50_000))).await;
    assert!(memory.used_bytes() > in_the_mailbox);
    let Client { session, to_server, from_server, .. } = client;
    drop((to_server, from_server));
    settle().await;
    assert!(session.connected(), "its replies are due");
    for message in inbox.drain() {
        let replies = message.requests.into_iter().map(|(slot, _)| (slot, value("v")));
        session.do_send(ClientReplies { replies: replies.collect() });
    }
    settle().await;
    assert!(!session.connected());
    assert_eq!(memory.used_bytes(), 0);
}

/// RaftActor counts a write that has timed out until it is settled, and would refuse a
/// command that took its place.
#[actix::test]
async fn a_write_that_has_timed_out_keeps_its_place_until_it_is_settled() {
    let (mut client, raft) = connect(config_with_window(2));
    client.say("set k 0 1\r\n1\r\nget k\r\nset k 0 1\r\n2\r\nget k\r\nping\r\n").await;
    client.hang_up();
    let requests = take(&raft);
    let ClientRequest::Write(command) = &requests[0].1 else { panic!("a set is a write") };
    let command_bytes = command.len();
    answer(&client, requests[0].0, ClientReply::TimedOut);
    settle().await;
    assert!(take(&raft).is_empty(), "the window is full: a write and a read");
    answer(&client, requests[1].0, refused(Refusal::Timeout));
    assert_eq!(client.hear().await, "ERR_TIMEOUT\r\nERR_TIMEOUT\r\n");
    let second = take(&raft);
    assert_eq!(second.len(), 1, "a read leaves its place");
    answer(&client, second[0].0, ClientReply::TimedOut);
    assert_eq!(client.hear().await, "ERR_TIMEOUT\r\n");
    assert!(take(&raft).is_empty() && !client.is_closed().await, "there is input left");
    answer(&client, requests[0].0, ClientReply::Settled { command_bytes });
    settle().await;
    answer(&client, take(&raft)[0].0, value("2"));
    assert_eq!(client.hear().await, "VALUE 1\r\n2\r\nPONG\r\n");
    assert!(client.is_closed().await, "the other write needs not be settled");
}
