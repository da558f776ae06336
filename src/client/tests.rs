use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::BytesMut;
use proptest::prelude::*;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

mod members;

use super::connection::read_reply;
use super::{Client, DEADLINE_MAX, Error, Options, digest_of, set_hold_of, status_of};
use crate::protocol::{Expect, Reply};

/// A fake server's reaction to a command.
pub(super) enum Act {
    /// Sends these bytes.
    Say(String),
    /// Sends these bytes, and closes the connection.
    SayAndClose(String),
    /// Closes the connection without a reply.
    Close,
    /// Keeps the client waiting for ever.
    Ignore,
}

pub(super) fn say(reply: &str) -> Act {
    Act::Say(format!("{reply}\r\n"))
}

/// A server that follows a script: one act for each command, and the last one for ever.
pub(super) struct Fake {
    pub(super) address: String,
    /// The reply to `member list`, which is not part of the script. At first that of a server from
    /// before the command.
    members: Arc<Mutex<String>>,
    /// The number of times that it was asked for.
    lists: Arc<AtomicUsize>,
    received: Arc<Mutex<Vec<Vec<u8>>>>,
    connections: Arc<AtomicUsize>,
}

impl Fake {
    pub(super) async fn start(script: Vec<Act>) -> Fake {
        Fake::follow(TcpListener::bind("127.0.0.1:0").await.unwrap(), script)
    }

    fn follow(listener: TcpListener, script: Vec<Act>) -> Fake {
        let address = listener.local_addr().unwrap().to_string();
        let received = Arc::new(Mutex::new(Vec::new()));
        let connections = Arc::new(AtomicUsize::new(0));
        let members = Arc::new(Mutex::new("ERR_CMD_ERR unknown command\r\n".to_owned()));
        let lists = Arc::new(AtomicUsize::new(0));
        let fake = Fake {
            address,
            members: Arc::clone(&members),
            lists: Arc::clone(&lists),
            received: Arc::clone(&received),
            connections: Arc::clone(&connections),
        };
        let script = Arc::new(script);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                connections.fetch_add(1, Ordering::SeqCst);
                let (members, lists) = (Arc::clone(&members), Arc::clone(&lists));
                let list = move || {
                    lists.fetch_add(1, Ordering::SeqCst);
                    members.lock().unwrap().clone()
                };
                let received = Arc::clone(&received);
                tokio::spawn(serve(BufReader::new(stream), Arc::clone(&script), received, list));
            }
        });
        fake
    }

    pub(super) fn received(&self) -> Vec<String> {
        let received = self.received.lock().unwrap();
        received.iter().map(|bytes| String::from_utf8_lossy(bytes).into_owned()).collect()
    }
}

async fn serve(
    mut stream: BufReader<tokio::net::TcpStream>,
    script: Arc<Vec<Act>>,
    received: Arc<Mutex<Vec<Vec<u8>>>>,
    list: impl Fn() -> String,
) {
    loop {
        let mut command = Vec::new();
        if stream.read_until(b'\n', &mut command).await.unwrap_or(0) == 0 {
            return;
        }
        let line = String::from_utf8_lossy(&command).into_owned();
        if line == "member list\r\n" {
            stream.get_mut().write_all(list().as_bytes()).await.unwrap();
            continue;
        }
        if let Some(length) = block_bytes(&line) {
            let mut block = vec![0; length + 2];
            stream.read_exact(&mut block).await.unwrap();
            command.extend(block);
        }
        let number = {
            let mut received = received.lock().unwrap();
            received.push(command);
            received.len() - 1
        };
        match &script[number.min(script.len() - 1)] {
            Act::Say(reply) => stream.get_mut().write_all(reply.as_bytes()).await.unwrap(),
            Act::SayAndClose(reply) => {
                return stream.get_mut().write_all(reply.as_bytes()).await.unwrap();
            }
            Act::Close => return,
            Act::Ignore => {}
        }
    }
}

/// The length of the data block after a command line, if it has one.
fn block_bytes(line: &str) -> Option<usize> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let words = if words.first() == Some(&"once") { &words[3..] } else { &words[..] };
    let bytes = match *words.first()? {
        "set" | "add" => words[3],
        "cas" => words[4],
        _ => return None,
    };
    Some(bytes.parse().unwrap())
}

/// Options for a test that expects an answer.
pub(super) fn patient() -> Options {
    let (deadline, try_timeout) = (Duration::from_secs(60), Duration::from_secs(60));
    Options { deadline, try_timeout, ..Options::default() }
}

/// Options for a test that ends with the deadline.
pub(super) fn hasty() -> Options {
    let (deadline, try_timeout) = (Duration::from_millis(200), Duration::from_millis(50));
    Options { deadline, try_timeout, ..Options::default() }
}

pub(super) async fn client(servers: &[&Fake], options: Options) -> Client {
    let addresses = servers.iter().map(|fake| fake.address.clone());
    Client::connect(addresses, options).await.unwrap()
}

/// Returns a command without its `once <client> <seq> `, and that prefix.
pub(super) fn without_once(command: &str) -> (String, String) {
    let fields: Vec<&str> = command.splitn(4, ' ').collect();
    assert_eq!(fields[0], "once");
    (fields[3].into(), fields[..3].join(" "))
}

#[tokio::test]
async fn commands_and_replies_pass_as_the_protocol_says() {
    let script = vec![
        say("OK 7"),
        say("OK 8"),
        say("OK 9"),
        say("VALUE 4\r\n\r\n\r\n"),
        say("VALUE 7 60 0\r\n"),
        say("KEY a 1 0 1\r\nx\r\nKEY b 2 3 0\r\n\r\nMORE"),
        say("END"),
        say("DELETED"),
        say("id 3\r\nrole leader\r\nEND"),
    ];
    let fake = Fake::start(script).await;
    let mut client = client(&[&fake], patient()).await;
    assert_eq!(client.set("k", 0, b"\r\n").await, Ok(7));
    assert_eq!(client.add("k", 5, b"").await, Ok(8));
    assert_eq!(client.cas("k", 0, 8, b"x y").await, Ok(9));
    assert_eq!(client.get("k").await.unwrap(), b"\r\n\r\n");
    let item = client.getm("k").await.unwrap();
    assert_eq!((item.version, item.exptime, item.value.len()), (7, 60, 0));
    let page = client.scan("", 2, None).await.unwrap();
    let keys: Vec<_> = page.items.iter().map(|item| (&item.key[..], item.version)).collect();
    assert_eq!((keys, page.more), (vec![(&b"a"[..], 1), (&b"b"[..], 2)], true));
    assert!(!client.scan("a", 10_000, Some(b"b")).await.unwrap().more);
    assert_eq!(client.delete("k").await, Ok(()));
    let status = client.status().await.unwrap();
    assert_eq!((status.number("id"), status.get("role")), (Some(3), Some("leader")));

    let received = fake.received();
    assert_eq!(without_once(&received[0]).0, "set k 0 2\r\n\r\n\r\n");
    assert_eq!(without_once(&received[1]).0, "add k 5 0\r\n\r\n");
    assert_eq!(without_once(&received[2]).0, "cas k 0 8 3\r\nx y\r\n");
    assert_eq!(received[3], "get k\r\n");
    assert_eq!(received[4], "getm k\r\n");
    assert_eq!(received[5], "scan * 2\r\n");
    assert_eq!(received[6], "scan a 10000 after b\r\n");
    assert_eq!(without_once(&received[7]).0, "delete k\r\n");
    assert_eq!(received[8], "status\r\n");
}

#[tokio::test]
async fn the_commands_of_operators_pass_as_the_protocol_says() {
    let patience = patient().try_timeout;
    let fake = Fake::start(vec![
        say("OK"),
        say("OK"),
        say("DIGEST 7 00000000000000ab"),
        say("ERR_NOT_FOUND"),
        say("DIGEST 8 00000000000000ab"),
        say("ERR_CMD_ERR unknown command; help lists them"),
        say("ERR_BUSY"),
    ])
    .await;
    assert_eq!(set_hold_of(&fake.address, true, patience).await, Ok(()));
    assert_eq!(set_hold_of(&fake.address, false, patience).await, Ok(()));
    assert_eq!(digest_of(&fake.address, 7, patience).await, Ok(0xab));
    assert_eq!(digest_of(&fake.address, 7, patience).await, Err(Error::NotFound));
    let other = digest_of(&fake.address, 7, patience).await;
    assert!(matches!(other, Err(Error::Unavailable { .. })), "the answer to another question");
    let old = set_hold_of(&fake.address, true, patience).await;
    assert!(matches!(old, Err(Error::Refused { .. })), "an old server does not know the command");
    let busy = status_of(&fake.address, patience).await;
    assert!(matches!(busy, Err(Error::Unavailable { .. })));
    let sent = ["upgrade hold", "upgrade release", "digest 7", "digest 7", "digest 7"];
    let sent: Vec<String> = sent.iter().map(|line| format!("{line}\r\n")).collect();
    assert_eq!(fake.received()[..5], sent);
}

#[tokio::test]
async fn a_raise_follows_the_leader_and_a_refusal_is_its_answer() {
    let leader =
        Fake::start(vec![say("OK 2"), say("ERR_NOT_YET server 3 (0.1.0) reads 1..1")]).await;
    let other = Fake::start(vec![say(&format!("ERR_REDIRECT {}", leader.address))]).await;
    let mut client = client(&[&other, &leader], patient()).await;
    assert_eq!(client.raise().await, Ok(2));
    let sentence = "server 3 (0.1.0) reads 1..1".to_owned();
    assert_eq!(client.raise().await, Err(Error::NotYet { sentence }));
    // The refusal is not tried again, and the raise has used no number.
    assert_eq!(leader.received(), ["upgrade raise\r\n", "upgrade raise\r\n"]);
}

#[tokio::test]
async fn every_write_has_a_number_of_its_own_under_a_name_of_its_own() {
    let fake = Fake::start(vec![say("OK 7")]).await;
    let mut first = client(&[&fake], patient()).await;
    let mut second = client(&[&fake], patient()).await;
    first.set("k", 0, b"").await.unwrap();
    first.set("k", 0, b"").await.unwrap();
    second.set("k", 0, b"").await.unwrap();
    let prefixes: Vec<_> = fake.received().iter().map(|line| without_once(line).1).collect();
    let name = |prefix: &str| prefix.split(' ').nth(1).unwrap().to_owned();
    assert!(prefixes[0].ends_with(" 1") && prefixes[1].ends_with(" 2"));
    assert_eq!(name(&prefixes[0]), name(&prefixes[1]));
    assert_ne!(name(&prefixes[0]), name(&prefixes[2]));
}

#[tokio::test]
async fn a_redirect_is_followed_and_the_leader_is_asked_first_from_then_on() {
    let leader = Fake::start(vec![say("OK 7")]).await;
    let follower = Fake::start(vec![say(&format!("ERR_REDIRECT {}", leader.address))]).await;
    let mut client = client(&[&follower], patient()).await;
    assert_eq!(client.set("k", 0, b"").await, Ok(7));
    assert_eq!(client.set("k", 0, b"").await, Ok(7));
    assert_eq!(follower.received().len(), 1);
    assert_eq!(leader.received().len(), 2);
}

#[tokio::test]
async fn two_servers_that_redirect_to_each_other_are_not_asked_without_end() {
    let one = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let two = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let to_two = say(&format!("ERR_REDIRECT {}", two.local_addr().unwrap()));
    let to_one = say(&format!("ERR_REDIRECT {}", one.local_addr().unwrap()));
    let (one, two) = (Fake::follow(one, vec![to_two]), Fake::follow(two, vec![to_one]));
    let mut client = client(&[&one, &two], hasty()).await;
    assert!(matches!(client.get("k").await, Err(Error::Unavailable { .. })));
    // The pauses begin with at least 5 ms and double: 200 ms are enough for seven rounds of
    // four.
    assert!(one.received().len() + two.received().len() <= 7 * 4);
}

#[tokio::test]
async fn a_write_without_a_reply_is_retried_under_its_number_elsewhere() {
    let deaf = Fake::start(vec![Act::Close]).await;
    let busy = Fake::start(vec![say("ERR_BUSY")]).await;
    let slow = Fake::start(vec![say("ERR_TIMEOUT")]).await;
    let lost = Fake::start(vec![say("ERR_NO_LEADER")]).await;
    let well = Fake::start(vec![say("OK 7")]).await;
    let mut client = client(&[&deaf, &busy, &slow, &lost, &well], patient()).await;
    assert_eq!(client.set("k", 0, b"value").await, Ok(7));
    let sent = well.received();
    for fake in [&deaf, &busy, &slow, &lost] {
        assert_eq!(fake.received(), sent, "the very same command, once");
    }
}

#[tokio::test]
async fn an_answer_that_the_servers_remember_settles_a_lost_try() {
    let fake = Fake::start(vec![Act::Close, say("ERR_VERSION 9")]).await;
    let mut client = client(&[&fake], patient()).await;
    let result = client.cas("k", 0, 3, b"").await;
    assert_eq!(result, Err(Error::VersionMismatch { version: 9 }));
}

#[tokio::test]
async fn an_answer_that_they_do_not_remember_leaves_a_lost_try_unknown() {
    for reply in ["ERR_FULL", "ERR_TOO_LARGE value", "ERR_STALE"] {
        let fake = Fake::start(vec![Act::Close, say(reply)]).await;
        let mut client = client(&[&fake], patient()).await;
        let result = client.set("k", 0, b"").await;
        assert!(matches!(result, Err(Error::Unknown { .. })), "{reply}: {result:?}");
    }
    // Without a lost try before, these answers mean that nothing was executed.
    let fake = Fake::start(vec![say("ERR_FULL"), say("ERR_TOO_LARGE value")]).await;
    let mut client = client(&[&fake], patient()).await;
    assert_eq!(client.set("k", 0, b"").await, Err(Error::Full));
    assert!(matches!(client.set("k", 0, b"").await, Err(Error::Refused { .. })));
}

#[tokio::test]
async fn a_write_that_may_have_been_executed_is_never_called_a_failure() {
    for act in [Act::Close, Act::Ignore, say("ERR_TIMEOUT"), say("ERR_INTERNAL disk"), say("??")] {
        let fake = Fake::start(vec![act]).await;
        let mut client = client(&[&fake], hasty()).await;
        let result = client.set("k", 0, b"").await;
        assert!(matches!(result, Err(Error::Unknown { .. })), "{result:?}");
        // A read has no effect that could be in doubt.
        let result = client.get("k").await;
        assert!(matches!(result, Err(Error::Unavailable { .. })), "{result:?}");
    }
    // A write that was lost once, and then refused until the deadline, is still in doubt.
    let fake = Fake::start(vec![Act::Close, say("ERR_NO_LEADER")]).await;
    let mut client = client(&[&fake], hasty()).await;
    assert!(matches!(client.delete("k").await, Err(Error::Unknown { .. })));
}

#[tokio::test]
async fn a_write_that_no_server_took_was_not_executed() {
    for reply in ["ERR_NO_LEADER", "ERR_BUSY"] {
        let fake = Fake::start(vec![say(reply)]).await;
        let mut client = client(&[&fake], hasty()).await;
        let result = client.set("k", 0, b"").await;
        assert!(matches!(result, Err(Error::Unavailable { .. })), "{result:?}");
    }
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let error = Client::connect([free.to_string()], hasty()).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }), "{error:?}");
}

#[tokio::test]
async fn the_late_reply_of_a_cancelled_command_is_not_given_to_the_next() {
    let fake = Fake::start(vec![Act::Ignore, say("VALUE 3\r\nnew")]).await;
    let mut client = client(&[&fake], patient()).await;
    tokio::select! {
        biased;
        _ = client.get("k") => panic!("it is never answered"),
        () = async { while fake.received().is_empty() { tokio::task::yield_now().await } } => {}
    }
    // A reply to the first command may yet come on the first connection.
    assert_eq!(client.get("k").await.unwrap(), b"new");
    assert_eq!(fake.connections.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_command_that_the_protocol_cannot_express_is_not_sent() {
    let fake = Fake::start(vec![say("OK 7")]).await;
    let mut client = client(&[&fake], patient()).await;
    for key in ["", "a b", "a\r\ndelete b", "\u{7f}", "a\0"] {
        let result = client.set(key, 0, b"").await;
        assert!(matches!(result, Err(Error::InvalidArgument(_))), "{key:?}: {result:?}");
    }
    let result = client.scan("*", 1, None).await;
    assert!(matches!(result, Err(Error::InvalidArgument(_))), "{result:?}");
    let result = client.scan("a", 1, Some(b"")).await;
    assert!(matches!(result, Err(Error::InvalidArgument(_))), "{result:?}");
    assert!(fake.received().is_empty());

    let too_long = Options { deadline: DEADLINE_MAX * 2, ..patient() };
    let error = Client::connect([fake.address.clone()], too_long).await.unwrap_err();
    assert!(matches!(error, Error::InvalidArgument(_)));
    let nobody: [String; 0] = [];
    let error = Client::connect(nobody, patient()).await.unwrap_err();
    assert!(matches!(error, Error::InvalidArgument(_)));
}

/// A reply whose bytes were changed must not make the client reserve memory for a length
/// that was only announced.
#[tokio::test]
async fn an_announced_length_reserves_nothing() {
    for text in ["VALUE 67108864\r\nx", "VALUE 1 2 67108864\r\nx", "KEY k 1 2 67108864\r\nx"] {
        for expect in [Expect::Value, Expect::Meta, Expect::Scan { limit: 2 }] {
            let mut input = BytesMut::new();
            let result = read_reply(&mut text.as_bytes(), &mut input, expect).await;
            assert!(result.is_err(), "{text:?}: {result:?}");
            assert!(input.capacity() <= 64 * 1024, "{text:?}");
        }
    }
}

proptest! {
    #[test]
    fn any_value_survives_the_wire(value in prop::collection::vec(any::<u8>(), 0..200)) {
        let bytes = [format!("VALUE {}\r\n", value.len()).as_bytes(), &value, b"\r\n"].concat();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut input = BytesMut::new();
        let mut reader = &bytes[..];
        let read = read_reply(&mut reader, &mut input, Expect::Value);
        let reply = runtime.block_on(read).unwrap();
        prop_assert_eq!(reply, Reply::Value(value.into()));
        prop_assert!(input.is_empty());
    }
}

// Backups, which are snapshot files that a client fetches (docs/adr/0011).

/// A reply that announces a snapshot of this size.
fn found(bytes: u64) -> Act {
    say(&format!("SNAPSHOT 9 2 {bytes} {:032x}", 0xabc))
}

fn piece(byte: char, bytes: usize) -> Act {
    say(&format!("VALUE {bytes}\r\n{}", byte.to_string().repeat(bytes)))
}

const PIECE: usize = 256 * 1024;

#[tokio::test]
async fn a_backup_is_waited_for_and_fetched_in_pieces() {
    let script = vec![
        say("OK 7"),
        say("ERR_NOT_FOUND"),
        say("ERR_TIMEOUT"),
        found(2 * PIECE as u64 + 10),
        piece('a', PIECE),
        piece('b', PIECE),
        piece('c', 10),
    ];
    let fake = Fake::start(script).await;
    let mut client = client(&[&fake], patient()).await;
    let mut download = client.begin_snapshot().await.unwrap();
    let name = download.name();
    assert_eq!((name.last_included_index, name.last_included_term), (9, 2));
    assert_eq!((name.bytes, name.digest), (2 * PIECE as u64 + 10, 0xabc));
    for (byte, bytes) in [(b'a', PIECE), (b'b', PIECE), (b'c', 10)] {
        assert!(download.next_piece().await.unwrap() == Some(vec![byte; bytes]));
    }
    assert_eq!(download.next_piece().await, Ok(None));
    let received = fake.received();
    assert_eq!(received[0], "snapshot begin\r\n");
    assert!(received[1..4].iter().all(|command| command == "snapshot find 7\r\n"));
    let reads = [0, PIECE, 2 * PIECE]
        .map(|offset| format!("snapshot read 9 2 {:032x} {offset} {PIECE}\r\n", 0xabc));
    assert_eq!(received[4..], reads);
}

#[tokio::test]
async fn pieces_that_a_busy_server_did_not_send_are_asked_for_again() {
    let script = vec![
        say("OK 7"),
        found(2 * PIECE as u64),
        piece('a', PIECE),
        say("ERR_TIMEOUT"),
        say("ERR_BUSY"),
        piece('b', PIECE),
    ];
    let fake = Fake::start(script).await;
    let mut client = client(&[&fake], patient()).await;
    let mut download = client.begin_snapshot().await.unwrap();
    assert!(download.next_piece().await.unwrap() == Some(vec![b'a'; PIECE]));
    assert!(download.next_piece().await.unwrap() == Some(vec![b'b'; PIECE]));
    assert_eq!(download.next_piece().await, Ok(None));
}

/// The first piece does not come, and the second one is not taken for it.
#[tokio::test]
async fn a_piece_after_one_that_is_missing_is_not_taken_for_it() {
    let script = vec![
        say("OK 7"),
        found(2 * PIECE as u64),
        say("ERR_TIMEOUT"),
        piece('b', PIECE),
        piece('a', PIECE),
        piece('b', PIECE),
    ];
    let fake = Fake::start(script).await;
    let mut client = client(&[&fake], patient()).await;
    let mut download = client.begin_snapshot().await.unwrap();
    assert!(download.next_piece().await.unwrap() == Some(vec![b'a'; PIECE]));
    assert!(download.next_piece().await.unwrap() == Some(vec![b'b'; PIECE]));
}

#[tokio::test]
async fn a_backup_that_is_gone_or_makes_no_sense_is_an_error() {
    for wrong in [
        say("ERR_NOT_FOUND"),
        say("ERR_CMD_ERR no"),
        piece('a', 9),
        piece('a', 11),
        piece('a', 0),
        say("OK 1"),
        Act::Close,
    ] {
        let fake = Fake::start(vec![say("OK 7"), found(10), wrong]).await;
        let mut client = client(&[&fake], patient()).await;
        let mut download = client.begin_snapshot().await.unwrap();
        let error = download.next_piece().await.unwrap_err();
        assert!(matches!(error, Error::Unavailable { .. }), "{error}");
    }
    let signed = format!("SNAPSHOT 1 2 +3 {:032x}", 1);
    for wrong in ["SNAPSHOT 1 2 3", "SNAPSHOT 1 2 3 4", &signed] {
        let fake = Fake::start(vec![say("OK 7"), say(wrong)]).await;
        let error = client(&[&fake], patient()).await.begin_snapshot().await.unwrap_err();
        assert!(error.to_string().contains("not a reply to the command"), "{error}");
    }
    let fake = Fake::start(vec![say("OK 7"), say("ERR_NOT_FOUND")]).await;
    let error = client(&[&fake], hasty()).await.begin_snapshot().await.unwrap_err();
    assert!(error.to_string().contains("the snapshot was not taken in time"), "{error}");
}

#[tokio::test]
async fn a_client_that_is_closed_ends_its_name_and_one_that_only_read_has_none() {
    let fake = Fake::start(vec![say("OK 7"), say("OK 8"), say("ENDED")]).await;
    let mut writer = client(&[&fake], patient()).await;
    writer.set("k", 0, b"").await.unwrap();
    writer.set("k", 0, b"").await.unwrap();
    assert_eq!(writer.close().await, Ok(()));
    let received = fake.received();
    let (set, end) = (without_once(&received[1]), without_once(&received[2]));
    assert_eq!(end, ("end\r\n".into(), set.1), "the number of its last write");

    let fake = Fake::start(vec![say("ERR_NOT_FOUND")]).await;
    let mut reader = client(&[&fake], patient()).await;
    assert_eq!(reader.get("k").await, Err(Error::NotFound));
    assert_eq!(reader.close().await, Ok(()));
    assert_eq!(fake.received(), ["get k\r\n"]);
}

/// The servers must go on to remember what they have executed: the copy of the write that was
/// not answered may still come to one of them.
#[tokio::test]
async fn a_client_does_not_end_its_name_after_a_try_without_a_reply() {
    let silent = Fake::start(vec![Act::Close]).await;
    let fake = Fake::start(vec![say("OK 7")]).await;
    let mut writer = client(&[&silent, &fake], patient()).await;
    assert_eq!(writer.set("k", 0, b"").await, Ok(7));
    assert_eq!(writer.set("k", 0, b"").await, Ok(7));
    assert_eq!(writer.close().await, Ok(()));
    assert!(fake.received().iter().all(|line| line.contains(" set ")));

    // A write that is cancelled has no reply either.
    let fake = Fake::start(vec![Act::Ignore, say("OK 7")]).await;
    let mut writer = client(&[&fake], patient()).await;
    let cancelled = tokio::time::timeout(Duration::from_millis(50), writer.set("k", 0, b"")).await;
    assert!(cancelled.is_err());
    assert_eq!(writer.close().await, Ok(()));
    assert!(fake.received().iter().all(|line| line.contains(" set ")));
}

#[tokio::test]
async fn a_close_is_retried_elsewhere_and_gives_up_after_one_try_of_time() {
    let busy = Fake::start(vec![say("OK 7"), say("ERR_BUSY")]).await;
    let fake = Fake::start(vec![say("ENDED")]).await;
    let mut writer = client(&[&busy, &fake], patient()).await;
    writer.set("k", 0, b"").await.unwrap();
    assert_eq!(writer.close().await, Ok(()));
    assert_eq!(fake.received().len(), 1);

    let silent = Fake::start(vec![say("OK 7"), Act::Ignore]).await;
    let mut writer = client(&[&silent], hasty()).await;
    writer.set("k", 0, b"").await.unwrap();
    assert!(matches!(writer.close().await, Err(Error::Unknown { .. })));
}
