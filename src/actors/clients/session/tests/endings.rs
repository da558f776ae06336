//! The end of a session: by the client, by the server, and without RaftActor.

use actix::Message;

use super::*;
use crate::actors::clients::session::tests::{
    Client, answer, config, config_with_window, connect, status, stored, take, value,
};
use crate::protocol::ForeignProtocol;
use crate::testing::settle;

#[actix::test]
async fn after_a_half_close_the_due_replies_come_and_then_the_end() {
    let (mut client, raft) = connect(config());
    client.say("set k 0 1\r\nx\r\nget k\r\nset k 0 5\r\ncut").await;
    client.hang_up();
    assert!(!client.is_at_end().await);
    let requests = take(&raft);
    assert_eq!(requests.len(), 2);
    answer(&client, requests[1].0, value("x"));
    answer(&client, requests[0].0, stored(1));
    assert_eq!(client.hear().await, "OK 1\r\nVALUE 1\r\nx\r\n");
    assert!(client.is_at_end().await);
    assert!(client.is_closed().await);
    assert!(take(&raft).is_empty());
}

#[actix::test]
async fn input_that_waited_for_room_is_still_served_after_a_half_close() {
    let (mut client, raft) = connect(config_with_window(1));
    client.say("get a\r\nget b\r\nstatus\r\nget c\r\nget d").await;
    client.hang_up();
    for reply in [value("1"), value("2"), status(), value("3")] {
        settle().await;
        let requests = take(&raft);
        assert_eq!(requests.len(), 1);
        assert!(!client.is_closed().await);
        answer(&client, requests[0].0, reply);
    }
    assert!(client.hear().await.ends_with("END\r\nVALUE 1\r\n3\r\n"));
    assert!(client.is_closed().await);
}

#[actix::test]
async fn a_cut_last_line_is_dropped_without_a_reply() {
    for text in ["ping", "set k 0 1\r\nx", "set k x 1\r\n", ""] {
        let (mut client, raft) = connect(config());
        client.say(text).await;
        client.hang_up();
        assert_eq!(client.hear().await, "");
        assert!(client.is_closed().await, "{text:?}");
        assert!(take(&raft).is_empty());
    }
}

#[actix::test]
async fn quit_sends_what_is_due_and_executes_nothing_more() {
    let (mut client, raft) = connect(config());
    client.say("get k\r\nquit\r\nset k 0 1\r\nx\r\nping\r\n").await;
    client.say("set k 0 1\r\nx\r\n").await;
    let requests = take(&raft);
    assert_eq!(requests.len(), 1);
    assert!(!client.is_at_end().await);
    answer(&client, requests[0].0, value("v"));
    assert_eq!(client.hear().await, "VALUE 1\r\nv\r\n");
    assert!(client.is_at_end().await);
    assert!(!client.is_closed().await, "it still reads, so that nothing is reset");
    client.say("set k 0 1\r\nx\r\n").await;
    client.hang_up();
    assert!(client.is_closed().await);
    assert!(take(&raft).is_empty());
}

#[actix::test]
async fn a_line_over_its_limit_is_answered_and_drained_for_a_second() {
    tokio::time::pause();
    let (mut client, raft) = connect(config());
    client.say(format!("get k\r\n{}", "x".repeat(5000))).await;
    answer(&client, take(&raft)[0].0, value("v"));
    let heard = client.hear().await;
    assert!(heard.starts_with("VALUE 1\r\nv\r\nERR_TOO_LARGE "), "{heard}");
    assert!(client.is_at_end().await);
    client.say("ping\r\n".repeat(50_000)).await;
    tokio::time::sleep(Duration::from_millis(900)).await;
    assert!(!client.is_closed().await);
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(client.is_closed().await);
}

/// A RaftActor that can be stopped.
struct Mortal;

impl Actor for Mortal {
    type Context = Context<Self>;
}

impl Handler<ClientRequests> for Mortal {
    type Result = ();

    fn handle(&mut self, _message: ClientRequests, _ctx: &mut Context<Self>) {}
}

/// Stops [`Mortal`].
#[derive(Message)]
#[rtype(result = "()")]
struct Die;

impl Handler<Die> for Mortal {
    type Result = ();

    fn handle(&mut self, _message: Die, ctx: &mut Context<Self>) {
        ctx.stop();
    }
}

#[actix::test]
async fn when_raft_is_gone_no_client_waits_for_ever() {
    tokio::time::pause();
    let raft = Mortal.start();
    let mut early = Client::connect(config(), raft.clone().recipient(), 4096);
    let mut late = Client::connect(config(), raft.clone().recipient(), 4096);
    early.say("get k\r\nset k 0 0 noreply\r\n\r\nset k 0 0\r\n\r\nping\r\n").await;
    raft.do_send(Die);
    settle().await;
    late.say("get k\r\nping\r\n").await;
    let heard = late.hear().await;
    assert!(heard.starts_with("ERR_INTERNAL ") && heard.ends_with("\r\nPONG\r\n"), "{heard}");
    assert!(late.is_at_end().await);
    assert_eq!(early.hear().await, "");
    tokio::time::sleep(Duration::from_secs(2)).await;
    let heard = early.hear().await;
    assert_eq!(heard.matches("ERR_INTERNAL ").count(), 2, "{heard}");
    assert!(heard.ends_with("\r\nPONG\r\n"), "{heard}");
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(early.is_closed().await && late.is_closed().await);
}

#[actix::test]
async fn a_session_that_is_ended_sends_what_is_due_and_takes_nothing_more() {
    let (mut client, raft) = connect(config());
    client.say("get k\r\n").await;
    client.session.do_send(EndSession);
    client.say("get l\r\n").await;
    let requests = take(&raft);
    assert_eq!(requests.len(), 1);
    answer(&client, requests[0].0, value("v"));
    assert_eq!(client.hear().await, "VALUE 1\r\nv\r\n");
    assert!(client.is_at_end().await);
}

#[actix::test]
async fn an_idle_session_has_no_timer_and_a_broken_connection_ends_it() {
    tokio::time::pause();
    let (mut client, _raft) = connect(config());
    client.say("ping\r\n").await;
    assert_eq!(client.hear().await, "PONG\r\n");
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert!(!client.is_closed().await);
    let Client { from_server, .. } = &mut client;
    *from_server = tokio::io::duplex(1).0;
    client.say("ping\r\n").await;
    assert!(client.is_closed().await);
}

#[actix::test]
async fn a_client_of_another_protocol_is_told_so_reported_once_and_closed() {
    let (mut client, raft) = connect(config());
    client.say("POST / HTTP/1.1\r\nHost: x\r\n\r\nset pwned 0 5\r\nhello\r\n").await;
    let heard = client.hear().await;
    assert!(heard.starts_with("ERR_CMD_ERR ") && heard.matches("\r\n").count() == 1, "{heard}");
    assert!(client.is_at_end().await);
    let reported = ForeignClient { session: SessionId(5), protocol: ForeignProtocol::Http };
    assert_eq!(client.foreign.drain(), [reported]);
    client.say("set pwned 0 5\r\nhello\r\n").await;
    assert!(take(&raft).is_empty() && client.foreign.drain().is_empty());
}
