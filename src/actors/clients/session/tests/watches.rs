//! A watch of a session: what it tells WatchHubActor, and what it sends the client.

use bytes::Bytes;

use super::*;
use crate::actors::clients::session::tests::{Client, config, connect};
use crate::actors::clients::session_io::SESSION_BYTES;
use crate::actors::messages::watch::{WatchCommand, WatchNews, WatchText};
use crate::testing::settle;

fn text(text: impl Into<Bytes>) -> WatchNews {
    WatchNews::Text(WatchText { bytes: text.into(), held: None })
}

/// The commands that came to the hub, as words.
async fn told(client: &Client) -> Vec<String> {
    settle().await;
    let word = |command: WatchCommand| match command {
        WatchCommand::Begin(begin) => format!("begin {:?}", begin.request.from),
        WatchCommand::Ready { session } => format!("ready {}", session.0),
        WatchCommand::End { session } => format!("end {}", session.0),
    };
    client.watches.drain().into_iter().map(word).collect()
}

async fn tell(client: &Client, news: WatchNews) {
    client.session.do_send(news);
    settle().await;
}

/// A client with a watch that has begun.
async fn watching(config: SessionConfig) -> Client {
    let (mut client, _raft) = connect(config);
    client.say("watch key k\r\n").await;
    assert_eq!(told(&client).await, ["begin None"]);
    tell(&client, WatchNews::Began { revision: 7 }).await;
    assert_eq!(client.hear().await, "WATCHING 7\r\n");
    client
}

#[actix::test]
async fn a_client_gets_the_stream_and_the_hub_is_told_when_it_has_taken_it() {
    let mut client = watching(config()).await;
    assert_eq!(told(&client).await, [] as [&str; 0], "the hub knows that it takes the first part");
    for part in ["DELETED k 7\r\nEND 7\r\n", "END 9\r\n"] {
        tell(&client, text(part)).await;
        assert_eq!(client.hear().await, part);
        assert_eq!(told(&client).await, ["ready 5"]);
    }
}

#[actix::test]
async fn the_hub_is_not_told_before_the_client_has_taken_everything() {
    let mut client = watching(config()).await;
    // The pipe holds 64 KiB.
    tell(&client, text("x".repeat(100_000))).await;
    assert_eq!(told(&client).await, [] as [&str; 0]);
    assert_eq!(client.hear().await.len(), 100_000);
    assert_eq!(told(&client).await, ["ready 5"]);
}

#[actix::test]
async fn a_text_that_others_share_is_counted_by_the_hub_alone() {
    let memory = MemoryBudget::new(64 * MIB as u64);
    let mut client = watching(SessionConfig { memory: memory.clone(), ..config() }).await;
    let bytes = Bytes::from("x".repeat(500_000));
    let held = Arc::new(memory.reserve(bytes.len() as u64));
    tell(&client, WatchNews::Text(WatchText { bytes, held: Some(held) })).await;
    assert_eq!(memory.used_bytes(), SESSION_BYTES + 500_000);
    assert_eq!(client.hear().await.len(), 500_000);
    assert_eq!(memory.used_bytes(), SESSION_BYTES, "the last one has sent it");
    // One that is not shared is the session's.
    tell(&client, text("x".repeat(500_000))).await;
    assert!((400_000..510_000).contains(&memory.used_bytes()), "{}", memory.used_bytes());
}

#[actix::test]
async fn a_watch_that_is_over_ends_the_connection() {
    let mut client = watching(config()).await;
    tell(&client, WatchNews::Ended(ErrorReply::Compacted { revision: 9 })).await;
    assert_eq!(client.hear().await, "ERR_COMPACTED 9\r\n");
    assert!(client.is_at_end().await);
    client.hang_up();
    assert!(client.is_closed().await);
    assert_eq!(told(&client).await, [] as [&str; 0], "the hub has ended it");
}

#[actix::test]
async fn a_watch_that_is_refused_leaves_the_connection_as_it_was() {
    let (mut client, _raft) = connect(config());
    client.say("watch key k from 3\r\nping\r\n").await;
    assert_eq!(told(&client).await, ["begin Some(3)"]);
    tell(&client, WatchNews::Refused(ErrorReply::Busy)).await;
    assert_eq!(client.hear().await, "ERR_BUSY\r\nPONG\r\n");
    client.say("watch key k\r\n").await;
    assert_eq!(told(&client).await, ["begin None"]);
}

#[actix::test]
async fn the_hub_is_told_when_a_client_leaves() {
    for farewell in ["quit\r\n", "nonsense\r\n"] {
        let mut client = watching(config()).await;
        client.say(farewell).await;
        assert_eq!(told(&client).await, ["end 5"], "{farewell}");
        tell(&client, text("END 9\r\n")).await;
        assert!(!client.hear().await.contains("END 9"));
    }
    // It leaves before the watch has begun.
    let (mut client, _raft) = connect(config());
    client.say("watch key k\r\n").await;
    client.break_off();
    assert_eq!(told(&client).await, ["begin None"]);
    tell(&client, WatchNews::Began { revision: 7 }).await;
    assert_eq!(told(&client).await, ["end 5"]);
}

#[actix::test]
async fn a_server_that_stops_ends_the_watch() {
    let mut client = watching(config()).await;
    client.session.do_send(EndSession);
    assert_eq!(told(&client).await, ["end 5"]);
    assert_eq!(client.hear().await, "");
    assert!(client.is_at_end().await);
}

#[actix::test]
async fn a_client_that_takes_nothing_is_cut_off() {
    tokio::time::pause();
    let client = watching(config()).await;
    tell(&client, text("x".repeat(100_000))).await;
    tokio::time::sleep(Duration::from_secs(40)).await;
    assert!(!client.session.connected());
    assert_eq!(told(&client).await, ["end 5"]);
}
