//! A session between a scripted client and a scripted RaftActor.

mod backup;
mod endings;
mod members;
mod memory;
mod watches;

use std::sync::Mutex;

use actix::Addr;
use bytes::Bytes;
use futures_util::FutureExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use super::*;
use crate::kv;
use crate::protocol::{ClientRequest, Limits, Refusal, STEP_COMMANDS};
use crate::raft::{NodeStatus, Role};
use crate::testing::cluster_status;
use crate::testing::{Inbox, probe, settle, turn};
use crate::types::{Format, Incarnation, LogIndex, NodeId, Term};

const MIB: usize = 1 << 20;

/// A clock that always shows the same time.
struct StoppedClock;

impl Clock for StoppedClock {
    fn wall_ms(&self) -> u64 {
        1_700_000_012_000
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }
}

pub(super) fn config() -> SessionConfig {
    SessionConfig {
        session: SessionSettings {
            limits: Limits { line_bytes_max: 1024, key_bytes_max: 250, value_bytes_max: MIB },
            store_bytes_max: 77,
            leases_max: 50,
            transaction: kv::TransactionLimits { ops_max: 8, bytes_max: 1024 * 1024 },
            inflight_commands_max: 1024,
            inflight_bytes_max: 4 * MIB,
            outbound_bytes_max: MIB,
        },
        memory: MemoryBudget::new(64 * MIB as u64),
        write_stall_ms_max: 30_000,
        started: Instant::now(),
        clock: Arc::new(StoppedClock),
        version: "0.2.0".to_owned(),
        incarnation: Incarnation(0xab),
        metrics: ClientMetrics::default(),
    }
}

/// The configuration with a window of this many commands.
pub(super) fn config_with_window(commands: usize) -> SessionConfig {
    let session = SessionSettings { inflight_commands_max: commands, ..config().session };
    SessionConfig { session, ..config() }
}

/// A client and its session. Each direction is a pipe of its own, so that either side can
/// end one and keep the other.
pub(super) struct Client {
    pub(super) to_server: Option<DuplexStream>,
    pub(super) from_server: DuplexStream,
    pub(super) session: Addr<SessionActor>,
    closed: Inbox<SessionClosed>,
    foreign: Inbox<ForeignClient>,
    pub(super) watches: Inbox<WatchCommand>,
}

impl Client {
    /// Connects. A pipe holds `pipe_bytes` in each direction, as the kernel would.
    pub(super) fn connect(
        config: SessionConfig,
        raft: Recipient<ClientRequests>,
        pipe_bytes: usize,
    ) -> Self {
        let (to_server, reader) = tokio::io::duplex(pipe_bytes);
        let (from_server, writer) = tokio::io::duplex(pipe_bytes);
        let stream = Stream { reader: Box::new(reader), writer: Box::new(writer) };
        let (closed_port, closed) = probe();
        let (foreign_port, foreign) = probe();
        let (watches_port, watches) = probe();
        let ports = SessionPorts {
            raft,
            watches: watches_port,
            closed: closed_port,
            foreign: foreign_port,
        };
        let session = SessionActor::create(|ctx| {
            SessionActor::new(SessionId(5), stream, Arc::new(config), ports, ctx)
        });
        Client { to_server: Some(to_server), from_server, session, closed, foreign, watches }
    }

    /// Sends all of `text`, which the pipe must have room for.
    pub(super) async fn say(&mut self, text: impl AsRef<[u8]>) {
        self.pipe().write_all(text.as_ref()).await.unwrap();
        settle().await;
    }

    /// Sends as much as is taken now, and returns the number of bytes.
    async fn press(&mut self, text: &[u8]) -> usize {
        let mut taken = 0;
        while let Some(wrote) = self.pipe().write(&text[taken..]).now_or_never() {
            taken += wrote.unwrap();
            settle().await;
            if taken == text.len() {
                break;
            }
        }
        taken
    }

    fn pipe(&mut self) -> &mut DuplexStream {
        self.to_server.as_mut().expect("the client has not hung up")
    }

    /// Reads everything that can be read now.
    pub(super) async fn hear(&mut self) -> String {
        let mut heard = Vec::new();
        loop {
            settle().await;
            match self.from_server.read_buf(&mut heard).now_or_never() {
                Some(Ok(read)) if read > 0 => {}
                _ => return String::from_utf8(heard).expect("the tests' replies are text"),
            }
        }
    }

    /// True when the server has ended its output, and all of it was read.
    async fn is_at_end(&mut self) -> bool {
        settle().await;
        matches!(self.from_server.read(&mut [0]).now_or_never(), Some(Ok(0)))
    }

    pub(super) fn hang_up(&mut self) {
        self.to_server = None;
    }

    /// Breaks the connection off, in both directions.
    pub(super) fn break_off(&mut self) {
        self.hang_up();
        self.from_server = tokio::io::duplex(1).0;
    }

    /// True when the session has ended and has sent [`SessionClosed`].
    pub(super) async fn is_closed(&mut self) -> bool {
        settle().await;
        let closed = self.closed.drain();
        assert_eq!(closed.len(), usize::from(!self.session.connected()));
        closed == [SessionClosed { session: SessionId(5) }]
    }
}

/// A client of a session whose RaftActor only records the requests.
pub(super) fn connect(config: SessionConfig) -> (Client, Inbox<ClientRequests>) {
    let (raft, inbox) = probe();
    (Client::connect(config, raft, 1 << 16), inbox)
}

/// The requests that have come, each with its slot.
pub(super) fn take(inbox: &Inbox<ClientRequests>) -> Vec<(u64, ClientRequest)> {
    inbox.drain().into_iter().flat_map(|message| message.requests).collect()
}

pub(super) fn answer(client: &Client, slot: u64, reply: ClientReply) {
    client.session.do_send(ClientReplies { replies: vec![(slot, reply)] });
}

pub(super) fn stored(version: u64) -> ClientReply {
    ClientReply::Outcome(kv::Outcome::Stored { version })
}

pub(super) fn value(text: &str) -> ClientReply {
    ClientReply::Answer(kv::Answer::Value(Bytes::copy_from_slice(text.as_bytes())))
}

pub(super) fn refused(refusal: Refusal) -> ClientReply {
    ClientReply::Refused(refusal)
}

fn get_query(key: &str) -> ClientRequest {
    ClientRequest::Read(kv::Query::Get { key: Bytes::copy_from_slice(key.as_bytes()), at: 0 })
}

fn status() -> ClientReply {
    let node = NodeStatus {
        id: NodeId(1),
        role: Role::Leader,
        term: Term(4),
        leader_id: Some(NodeId(1)),
        commit_index: LogIndex(9),
        last_log_index: LogIndex(10),
        last_persisted_index: LogIndex(10),
        snapshot_index: LogIndex(3),
        snapshot_progress: Vec::new(),
        snapshot_refusals: Vec::new(),
        removed_at: None,
        cluster: cluster_status(),
    };
    let last_applied = LogIndex(8);
    let (clock_ms, keys, bytes, clients, digest) = (700, 2, 100, 5, 0xfeed);
    let store = kv::StoreStatus {
        last_applied,
        clock_ms,
        keys,
        bytes,
        clients,
        digest,
        revision: 17,
        compacted_revision: 14,
        history_changes: 15,
        history_bytes: 16,
        leases: 18,
    };
    ClientReply::Status(Box::new(node), store)
}

#[actix::test]
async fn all_commands_of_one_read_leave_in_one_message() {
    let (mut client, raft) = connect(config());
    client.say("set k 5 3\r\nabc\r\nping\r\nget k\r\nonce c 1 delete k\r\n").await;
    let messages = raft.drain();
    assert_eq!(messages.len(), 1);
    assert_eq!(messages[0].session, SessionId(5));
    let set = kv::Command {
        once: None,
        store_bytes_max: 77,
        operation: kv::Operation::Set {
            key: Bytes::from_static(b"k"),
            exptime: 5,
            value: Bytes::from_static(b"abc"),
            lease: 0,
        },
    };
    let delete = kv::Command {
        once: Some(kv::Once { client: Bytes::from_static(b"c"), seq: 1 }),
        store_bytes_max: 77,
        operation: kv::Operation::Delete { key: Bytes::from_static(b"k") },
    };
    let requests: Vec<_> = messages[0].requests.iter().map(|(_, request)| request).collect();
    assert_eq!(
        requests,
        [
            &ClientRequest::Write(set.encode()),
            &get_query("k"),
            &ClientRequest::Write(delete.encode())
        ]
    );
}

#[actix::test]
async fn replies_are_sent_in_the_order_of_the_commands_whatever_order_results_come_in() {
    let (mut client, raft) = connect(config());
    client.say("set k 0 1\r\nx\r\nping\r\nget k\r\nfrob\r\ndelete k\r\n").await;
    let slots: Vec<u64> = take(&raft).into_iter().map(|(slot, _)| slot).collect();
    answer(&client, slots[2], ClientReply::Outcome(kv::Outcome::Deleted));
    answer(&client, slots[1], value("x"));
    assert_eq!(client.hear().await, "");
    answer(&client, slots[0], stored(7));
    let heard = client.hear().await;
    let (front, error) = heard.split_at("OK 7\r\nPONG\r\nVALUE 1\r\nx\r\n".len());
    assert_eq!(front, "OK 7\r\nPONG\r\nVALUE 1\r\nx\r\n");
    assert!(error.starts_with("ERR_CMD_ERR ") && error.ends_with("\r\nDELETED\r\n"), "{error}");
}

#[actix::test]
async fn every_result_is_sent_in_the_words_of_the_protocol() {
    let item = |version, exptime| kv::Item { value: Bytes::from_static(b"v"), version, exptime };
    let items = vec![(Bytes::from_static(b"k"), item(3, 0))];
    let outcome = ClientReply::Outcome;
    let digest = |digest| ClientReply::Digest { index: LogIndex(7), digest };
    let read = ClientReply::Answer;
    let not_leader = |address: &str| {
        let leader = Some(Arc::new(address.parse().expect("the test has addresses")));
        refused(Refusal::NotLeader { leader })
    };
    let write = "set k 0 0\r\n\r\n";
    let table = [
        (write, stored(3), "OK 3\r\n"),
        (write, outcome(kv::Outcome::VersionMismatch { version: 4 }), "ERR_VERSION 4\r\n"),
        (write, outcome(kv::Outcome::Exists { version: 5 }), "ERR_EXISTS 5\r\n"),
        (write, outcome(kv::Outcome::Stale), "ERR_STALE\r\n"),
        (write, outcome(kv::Outcome::Full), "ERR_FULL\r\n"),
        (write, outcome(kv::Outcome::Busy), "ERR_BUSY\r\n"),
        ("delete k\r\n", outcome(kv::Outcome::Deleted), "DELETED\r\n"),
        ("delete k\r\n", outcome(kv::Outcome::NotFound), "ERR_NOT_FOUND\r\n"),
        ("get k\r\n", value("v"), "VALUE 1\r\nv\r\n"),
        ("get k\r\n", read(kv::Answer::NotFound), "ERR_NOT_FOUND\r\n"),
        ("getm k\r\n", read(kv::Answer::Meta(item(3, 9))), "VALUE 3 9 1\r\nv\r\n"),
        (
            "scan * 1\r\n",
            read(kv::Answer::Scan { items, more: true }),
            "KEY k 3 0 1\r\nv\r\nMORE\r\n",
        ),
        ("upgrade hold\r\n", ClientReply::HoldSaved, "OK\r\n"),
        ("upgrade release\r\n", ClientReply::HoldSaved, "OK\r\n"),
        ("upgrade raise\r\n", ClientReply::Raised(Format(2)), "OK 2\r\n"),
        (
            "upgrade raise\r\n",
            ClientReply::NotYet("server 3 (x\r\nOK 2) reads 1..1".into()),
            "ERR_NOT_YET server 3 (x??OK 2) reads 1..1\r\n",
        ),
        ("digest 7\r\n", digest(Some(0xd)), "DIGEST 7 000000000000000d\r\n"),
        ("digest 7\r\n", digest(None), "ERR_NOT_FOUND\r\n"),
        (write, refused(Refusal::Busy), "ERR_BUSY\r\n"),
        (write, refused(Refusal::LeadershipLost), "ERR_TIMEOUT\r\n"),
        ("get k\r\n", refused(Refusal::Timeout), "ERR_TIMEOUT\r\n"),
        (write, ClientReply::TimedOut, "ERR_TIMEOUT\r\n"),
        (write, refused(Refusal::NotLeader { leader: None }), "ERR_NO_LEADER\r\n"),
        (write, not_leader("db2.example:9002"), "ERR_REDIRECT db2.example:9002\r\n"),
        ("get k\r\n", not_leader("[fe80::3]:9004"), "ERR_REDIRECT [fe80::3]:9004\r\n"),
    ];
    let (mut client, raft) = connect(config());
    for (command, reply, text) in table {
        client.say(command).await;
        let (slot, _) = take(&raft)[0];
        answer(&client, slot, reply);
        assert_eq!(client.hear().await, text, "{command}");
    }
}

/// A RaftActor that answers gets with their keys and writes with rising versions. It answers
/// the requests of each message in reverse order, and every other one only with the next
/// message.
struct Scrambler {
    version: u64,
    held: Vec<(Arc<Recipient<ClientReplies>>, ClientReplies)>,
    largest: Arc<Mutex<usize>>,
}

impl Actor for Scrambler {
    type Context = Context<Self>;
}

impl Handler<ClientRequests> for Scrambler {
    type Result = ();

    fn handle(&mut self, message: ClientRequests, ctx: &mut Context<Self>) {
        let mut largest = self.largest.lock().unwrap();
        *largest = message.requests.len().max(*largest);
        let mut replies = (vec![], vec![]);
        for (slot, request) in message.requests {
            let reply = match request {
                ClientRequest::Read(kv::Query::Get { key, at: 0 }) => {
                    ClientReply::Answer(kv::Answer::Value(key))
                }
                _ => {
                    self.version += 1;
                    stored(self.version)
                }
            };
            let half = if slot % 2 == 0 { &mut replies.0 } else { &mut replies.1 };
            half.insert(0, (slot, reply));
        }
        message.reply_to.do_send(ClientReplies { replies: replies.1 });
        for (reply_to, replies) in self.held.drain(..) {
            reply_to.do_send(replies);
        }
        self.held.push((message.reply_to, ClientReplies { replies: replies.0 }));
        ctx.run_later(Duration::from_millis(1), |actor, _| {
            for (reply_to, replies) in actor.held.drain(..) {
                reply_to.do_send(replies);
            }
        });
    }
}

#[actix::test]
async fn ten_thousand_commands_in_one_write_are_answered_in_order() {
    tokio::time::pause();
    let largest = Arc::new(Mutex::new(0));
    let raft = Scrambler { version: 0, held: vec![], largest: Arc::clone(&largest) }.start();
    let mut client = Client::connect(config(), raft.recipient(), 8 * MIB);
    let (mut input, mut expected, mut version) = (String::new(), String::new(), 0);
    for n in 0..10_000 {
        match n % 5 {
            0 => {
                version += 1;
                input += &format!("set k{n} 0 3\r\nabc\r\n");
                expected += &format!("OK {version}\r\n");
            }
            1 => {
                version += 1;
                input += &format!("set k{n} 0 3 noreply\r\nabc\r\n");
            }
            2 => {
                input += "ping\r\n";
                expected += "PONG\r\n";
            }
            _ => {
                let key = format!("k{n}");
                input += &format!("get {key}\r\n");
                expected += &format!("VALUE {}\r\n{key}\r\n", key.len());
            }
        }
    }
    client.pipe().write_all(input.as_bytes()).await.unwrap();
    let mut heard = vec![0; expected.len()];
    client.from_server.read_exact(&mut heard).await.unwrap();
    assert!(heard == expected.as_bytes());
    assert_eq!(client.hear().await, "");
    let largest = *largest.lock().unwrap();
    assert!((2..=STEP_COMMANDS).contains(&largest), "commands travel together: {largest}");
}

#[actix::test]
async fn many_commands_in_one_write_are_taken_in_turns_with_others() {
    let (raft, _inbox) = probe();
    let mut client = Client::connect(config(), raft, MIB);
    let commands = 20_000;
    client.pipe().write_all("ping\r\n".repeat(commands).as_bytes()).await.unwrap();
    let most = actix_rt::spawn(async move {
        let (mut answered, mut most) = (0, 0);
        while answered < commands {
            turn().await;
            let mut heard = Vec::with_capacity(MIB);
            if let Some(read) = client.from_server.read_buf(&mut heard).now_or_never() {
                let pongs = read.unwrap() / "PONG\r\n".len();
                answered += pongs;
                most = most.max(pongs);
            }
        }
        most
    });
    // The last commands of one step travel with the first of the next.
    let most = most.await.unwrap();
    assert!((1..=2 * STEP_COMMANDS).contains(&most), "{most}");
}

#[actix::test]
async fn a_half_close_after_more_than_one_step_of_commands_loses_none() {
    let (raft, _inbox) = probe();
    let mut client = Client::connect(config(), raft, MIB);
    let commands = 3 * STEP_COMMANDS;
    client.pipe().write_all("ping\r\n".repeat(commands).as_bytes()).await.unwrap();
    client.hang_up();
    let mut heard = Vec::new();
    client.from_server.read_to_end(&mut heard).await.unwrap();
    assert!(heard == "PONG\r\n".repeat(commands).as_bytes(), "{}", heard.len());
    assert!(client.is_closed().await);
}

#[actix::test]
async fn reading_stops_while_the_window_is_full_and_goes_on_when_there_is_room() {
    let (raft, inbox) = probe();
    let mut client = Client::connect(config_with_window(10), raft, 256);
    let line = "delete k\r\n";
    let taken = client.press(line.repeat(10_000).as_bytes()).await;
    assert!(taken < 10_000, "the rest stays with the client: {taken}");
    let mut requests = take(&inbox);
    assert_eq!(requests.len(), 10);
    // Each answer makes room for one more command, as far as the bytes that were taken reach.
    for answered in 0..taken / line.len() - 10 {
        let (slot, _) = requests.remove(0);
        assert_eq!(slot, answered as u64);
        answer(&client, slot, ClientReply::Outcome(kv::Outcome::Deleted));
        assert_eq!(client.hear().await, "DELETED\r\n");
        let more = take(&inbox);
        assert_eq!(more.len(), 1);
        requests.extend(more);
    }
}

#[actix::test]
async fn the_bytes_of_writes_in_flight_are_bounded() {
    let (raft, inbox) = probe();
    let mut client = Client::connect(config(), raft, 1 << 16);
    let write = format!("set k 0 {MIB}\r\n{}\r\n", "v".repeat(MIB));
    let taken = client.press(write.repeat(10).as_bytes()).await;
    assert!(taken < 6 * MIB, "{taken}");
    assert_eq!(take(&inbox).len(), 4);
}

#[actix::test]
async fn the_values_that_pipelined_reads_can_pin_are_bounded() {
    let (raft, inbox) = probe();
    let mut client = Client::connect(config(), raft, 1 << 16);
    let large = ClientReply::Answer(kv::Answer::Value(Bytes::from(vec![b'v'; MIB])));
    client.say("get k\r\n".repeat(1024)).await;
    let mut sent = 0;
    loop {
        let requests = take(&inbox);
        if requests.is_empty() {
            break;
        }
        sent += requests.len();
        for (slot, _) in requests {
            answer(&client, slot, large.clone());
        }
        settle().await;
    }
    assert_eq!(sent, 4, "and no more until the client reads");
    while sent < 1024 {
        client.hear().await;
        let requests = take(&inbox);
        assert!((1..=5).contains(&requests.len()), "{}", requests.len());
        sent += requests.len();
        for (slot, _) in requests {
            answer(&client, slot, large.clone());
        }
    }
}

#[actix::test]
async fn one_scan_is_under_way_at_a_time() {
    let (mut client, raft) = connect(config());
    client.say("scan a 9\r\nscan b 9\r\nping\r\n").await;
    let requests = take(&raft);
    assert_eq!(requests.len(), 1);
    let none = ClientReply::Answer(kv::Answer::Scan { items: vec![], more: false });
    answer(&client, requests[0].0, none.clone());
    assert_eq!(client.hear().await, "END\r\n");
    answer(&client, take(&raft)[0].0, none);
    assert_eq!(client.hear().await, "END\r\nPONG\r\n");
}

#[actix::test]
async fn a_client_that_does_not_read_is_slowed_and_then_cut_off() {
    tokio::time::pause();
    let (raft, _inbox) = probe();
    let mut client = Client::connect(config(), raft, 4096);
    let taken = client.press("help\r\n".repeat(100_000).as_bytes()).await;
    assert!(taken < 20_000, "{taken}");
    tokio::time::sleep(Duration::from_secs(29)).await;
    assert!(!client.is_closed().await);
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(client.is_closed().await);
}

#[actix::test]
async fn a_client_that_reads_slowly_is_not_cut_off() {
    tokio::time::pause();
    let (raft, inbox) = probe();
    let mut client = Client::connect(config(), raft, 1024);
    client.say("get k\r\n").await;
    let large = ClientReply::Answer(kv::Answer::Value(Bytes::from(vec![b'v'; 100_000])));
    // A long wait for the store is no stall of the client.
    tokio::time::sleep(Duration::from_millis(29_900)).await;
    answer(&client, take(&inbox)[0].0, large);
    let mut heard = 0;
    while heard < 100_000 {
        tokio::time::sleep(Duration::from_secs(20)).await;
        heard += client.from_server.read(&mut [0; 10_000]).await.unwrap();
    }
    client.say("ping\r\n").await;
    let heard = client.hear().await;
    assert!(heard.ends_with("PONG\r\n"), "{heard:?}");
}

/// The process was stopped, or its machine was, and finds all timers due when it goes on. Its
/// client has not had the time to read.
#[actix::test]
async fn a_client_is_not_cut_off_because_the_server_stood_still() {
    tokio::time::pause();
    let (raft, inbox) = probe();
    let mut client = Client::connect(config(), raft, 1024);
    client.say("get k\r\n").await;
    let large = ClientReply::Answer(kv::Answer::Value(Bytes::from(vec![b'v'; 10_000])));
    answer(&client, take(&inbox)[0].0, large);
    tokio::time::sleep(Duration::from_secs(2)).await;
    tokio::time::advance(Duration::from_secs(60)).await;
    settle().await;
    assert!(!client.is_closed().await);
    assert_eq!(client.hear().await.len(), "VALUE 10000\r\n".len() + 10_000 + "\r\n".len());
}

#[actix::test]
async fn a_client_that_reads_again_gets_everything() {
    let (raft, _inbox) = probe();
    let mut client = Client::connect(config(), raft, 4096);
    let input = "ping\r\n".repeat(200_000);
    let (mut said, mut heard) = (0, 0);
    while said < input.len() {
        said += client.press(&input.as_bytes()[said..]).await;
        heard += client.hear().await.len();
    }
    assert_eq!(heard, input.len());
}

#[actix::test]
async fn noreply_gets_no_reply_but_keeps_its_place_until_its_outcome_is_known() {
    let (mut client, raft) = connect(config_with_window(2));
    let quiet = "set k 0 1 noreply\r\nx\r\n";
    client.say(format!("{quiet}{quiet}get k\r\n")).await;
    let requests = take(&raft);
    assert_eq!(requests.len(), 2, "the window counts them");
    answer(&client, requests[0].0, refused(Refusal::NotLeader { leader: None }));
    answer(&client, requests[1].0, stored(3));
    settle().await;
    answer(&client, take(&raft)[0].0, value("x"));
    assert_eq!(client.hear().await, "VALUE 1\r\nx\r\n");
    client.say("set k x 1 noreply\r\nx\r\n").await;
    assert!(client.hear().await.starts_with("ERR_CMD_ERR "), "a malformed one is told");
}

#[actix::test]
async fn status_is_one_point_in_time_in_the_order_of_the_commands() {
    tokio::time::pause();
    let (mut client, raft) = connect(config());
    tokio::time::sleep(Duration::from_secs(12)).await;
    client.say("get a\r\nget b\r\nstatus\r\nget c\r\nping\r\n").await;
    let requests = take(&raft);
    assert_eq!(requests.len(), 2);
    answer(&client, requests[1].0, value("b"));
    settle().await;
    assert!(take(&raft).is_empty(), "an earlier command is not answered yet");
    answer(&client, requests[0].0, value("a"));
    assert_eq!(client.hear().await, "VALUE 1\r\na\r\nVALUE 1\r\nb\r\n");
    let requests = take(&raft);
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].1, ClientRequest::Status);
    answer(&client, requests[0].0, status());
    assert_eq!(
        client.hear().await,
        "id 1\r\nrole leader\r\nterm 4\r\nleader 1\r\ncommit_index 9\r\nlast_applied 8\r\n\
         last_log_index 10\r\nsnapshot_index 3\r\nkeys 2\r\nuptime_seconds 12\r\n\
         wall_clock_ms 1700000012000\r\nstore_clock_ms 700\r\n\
         store_bytes 100\r\nonce_clients 5\r\nstore_digest 000000000000feed\r\n\
         memory_bytes_used 8192\r\nsnapshot_transfers none\r\nsnapshot_refusals none\r\n\
         version 0.2.0\r\nformat 1\r\nreads_formats 1..4\r\ncluster_id none\r\n\
         incarnation 000000000000000000000000000000ab\r\nupgrade_held no\r\n\
         upgrade_waits_for none\r\nremoved_at none\r\ndraining no\r\nrevision 17\r\n\
         compacted_revision 14\r\nhistory_changes 15\r\nhistory_bytes 16\r\nleases 18\r\nEND\r\n"
    );
    answer(&client, take(&raft)[0].0, value("c"));
    assert_eq!(client.hear().await, "VALUE 1\r\nc\r\nPONG\r\n");
}
