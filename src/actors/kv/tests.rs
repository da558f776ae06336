//! KvActor alone.

mod slow;

use std::sync::Arc;

use actix::Addr;
use bytes::Bytes;

use super::*;
use crate::actors::messages::clients::{ClientReplies, SessionId};
use crate::kv::{Answer, Command, HistoryLimits, Item, Operation, Outcome, StoreStatus};
use crate::raft::{NodeStatus, Role};
use crate::testing::cluster_status;
use crate::testing::store_model;
use crate::testing::{Inbox, probe, settle};
use crate::types::{
    ClusterState, Entry, LogIndex, LogPosition, NodeId, Payload, SnapshotPoint, Term,
};

struct Session {
    id: u64,
    port: Arc<Recipient<ClientReplies>>,
    inbox: Inbox<ClientReplies>,
}

impl Session {
    fn new(id: u64) -> Session {
        let (port, inbox) = probe();
        Session { id, port: Arc::new(port), inbox }
    }

    fn reply_handle(&self, slot: u64) -> ReplyHandle {
        let reply_to = Arc::clone(&self.port);
        let times = OperationTimes::arrived("set", Duration::ZERO);
        ReplyHandle { session: SessionId(self.id), slot, reply_to, times }
    }
}

fn ports(raft: Recipient<Applied>) -> KvPorts {
    let (snapshots, _) = probe();
    let (digests, _) = probe();
    let (corrupted, _) = probe();
    KvPorts { raft, digests, corrupted, snapshots, memory: MemoryBudget::new(1 << 20) }
}

fn start() -> (Addr<KvActor>, Inbox<Applied>) {
    let (raft, applied) = probe();
    (KvActor::new(Store::new(), ports(raft)).start(), applied)
}

fn set(index: u64, value: &'static str, exptime: u64) -> Entry {
    set_key(index, "k", value, exptime)
}

fn set_key(index: u64, key: &'static str, value: &'static str, exptime: u64) -> Entry {
    let (key, value) = (Bytes::from(key), Bytes::from(value));
    let operation = Operation::Set { key, exptime, value, lease: 0 };
    let command = Command { once: None, store_bytes_max: 0, operation };
    let payload = Payload::Command(command.encode());
    Entry { index: LogIndex(index), term: Term(1), stamp_ms: 1000, payload }
}

fn entry(entry: Entry, reply_handle: ReplyHandle) -> ApplyTask {
    ApplyTask::Entry { entry, waiters: Some(reply_handle.into()) }
}

fn get(read_index: u64, reply_handle: ReplyHandle) -> ApplyTask {
    let query = Query::Get { key: Bytes::from("k"), at: 0 };
    ApplyTask::Read { query, read_index: LogIndex(read_index), now_ms: 0, reply_handle }
}

fn stored(version: u64) -> ClientReply {
    ClientReply::Outcome(Outcome::Stored { version })
}

fn value(value: &'static str) -> ClientReply {
    ClientReply::Answer(Answer::Value(Bytes::from(value)))
}

#[actix::test]
async fn a_read_sees_the_entries_before_it_and_none_after_it() {
    let (kv, _applied) = start();
    let session = Session::new(1);
    let tasks = vec![
        entry(set(1, "one", 0), session.reply_handle(1)),
        get(1, session.reply_handle(2)),
        entry(set(2, "two", 0), session.reply_handle(3)),
        get(1, session.reply_handle(4)),
    ];
    kv.do_send(Apply { tasks });
    settle().await;
    let replies = vec![(1, stored(1)), (2, value("one")), (3, stored(2)), (4, value("two"))];
    assert_eq!(session.inbox.drain(), [ClientReplies { replies }]);
}

#[actix::test]
async fn each_session_gets_all_its_replies_in_one_message() {
    let (kv, _applied) = start();
    let (one, two) = (Session::new(1), Session::new(2));
    let tasks = vec![
        entry(set(1, "a", 0), two.reply_handle(7)),
        entry(set(2, "b", 0), one.reply_handle(1)),
        ApplyTask::Entry { entry: set(3, "c", 0), waiters: None },
        entry(set(4, "d", 0), two.reply_handle(8)),
    ];
    kv.do_send(Apply { tasks });
    settle().await;
    assert_eq!(one.inbox.drain(), [ClientReplies { replies: vec![(1, stored(2))] }]);
    let replies = vec![(7, stored(1)), (8, stored(4))];
    assert_eq!(two.inbox.drain(), [ClientReplies { replies }]);
}

fn scan(session: &Session, slot: u64) -> ApplyTask {
    let query = Query::Scan { prefix: Bytes::new(), limit: 10, after: None, at: 0 };
    let read_index = LogIndex(0);
    ApplyTask::Read { query, read_index, now_ms: 0, reply_handle: session.reply_handle(slot) }
}

fn scanned(value: &'static str, version: u64) -> ClientReply {
    let item = Item { value: Bytes::from(value), version, exptime: 0 };
    let bytes = 1 + value.len() + ITEM_OVERHEAD_BYTES;
    let items = vec![(Bytes::from("k"), item)];
    ClientReply::Scan(
        Answer::Scan { items, more: false },
        MemoryBudget::new(0).reserve(bytes as u64),
    )
}

#[actix::test]
async fn a_scan_sees_the_store_as_it_was_although_it_is_answered_later() {
    let (kv, _applied) = start();
    let session = Session::new(1);
    let tasks = vec![
        entry(set(1, "one", 0), session.reply_handle(1)),
        scan(&session, 2),
        entry(set(2, "two", 0), session.reply_handle(3)),
        scan(&session, 4),
    ];
    kv.do_send(Apply { tasks });
    settle().await;
    let message = |replies: &[(u64, ClientReply)]| ClientReplies { replies: replies.to_vec() };
    let expected = [
        message(&[(1, stored(1)), (3, stored(2))]),
        message(&[(2, scanned("one", 1))]),
        message(&[(4, scanned("two", 2))]),
    ];
    assert_eq!(session.inbox.drain(), expected);
}

/// It could be a key that was written by each of the changes since.
#[actix::test]
async fn a_read_far_back_in_the_history_waits_for_its_turn_as_a_scan_does() {
    let mut log = store_model::Log::with_history();
    (0..1100).for_each(|number| drop(log.apply(&store_model::set("k", &number.to_string()))));
    let (raft, _applied) = probe();
    let kv = KvActor::new(log.store, ports(raft)).start();
    let session = Session::new(1);
    let read = |slot, at| {
        let query = Query::Get { key: Bytes::from("k"), at };
        let (read_index, reply_handle) = (LogIndex(1), session.reply_handle(slot));
        ApplyTask::Read { query, read_index, now_ms: 0, reply_handle }
    };
    kv.do_send(Apply { tasks: vec![read(1, 2), read(2, 1000), read(3, 0)] });
    settle().await;
    let message = |replies: &[(u64, ClientReply)]| ClientReplies { replies: replies.to_vec() };
    let expected = [message(&[(2, value("998")), (3, value("1099"))]), message(&[(1, value("0"))])];
    assert_eq!(session.inbox.drain(), expected);
}

#[actix::test]
async fn scans_are_answered_one_a_turn_and_too_many_are_refused() {
    let (kv, _applied) = start();
    let session = Session::new(1);
    let slots = SCANS_WAITING_MAX as u64;
    let tasks = (1..=slots + 1).map(|slot| scan(&session, slot)).collect();
    kv.do_send(Apply { tasks });
    kv.do_send(Apply { tasks: vec![entry(set(1, "a", 0), session.reply_handle(0))] });
    let mut heard = Vec::new();
    for _ in 0..10 * slots {
        // The test has one turn for each turn of the store.
        tokio::task::yield_now().await;
        let messages = session.inbox.drain();
        let is_scan = |reply: &ClientReply| matches!(reply, ClientReply::Scan(..));
        let replies: Vec<_> = messages.into_iter().flat_map(|m| m.replies).collect();
        assert!(replies.iter().filter(|(_, reply)| is_scan(reply)).count() <= 1);
        heard.extend(replies);
    }
    assert_eq!(heard[0], (slots + 1, ClientReply::Refused(Refusal::Busy)));
    assert_eq!(heard[1], (0, stored(1)), "a write does not wait for the scans before it");
    assert!(heard[2..].iter().map(|(slot, _)| *slot).eq(1..=slots));
}

#[actix::test]
async fn a_scan_whose_result_finds_no_memory_is_busy_and_the_rest_is_counted() {
    let (raft, _applied) = probe();
    let memory = MemoryBudget::new(1000);
    let ports = KvPorts { memory: memory.clone(), ..ports(raft) };
    let kv = KvActor::new(Store::new(), ports).start();
    let session = Session::new(1);
    let others = memory.reserve(900);
    let value = "v".repeat(100).leak();
    let tasks = vec![entry(set(1, value, 0), session.reply_handle(1)), scan(&session, 2)];
    kv.do_send(Apply { tasks });
    settle().await;
    let replies = |session: &Session| session.inbox.drain().pop().unwrap().replies;
    // A single key is never refused: it may be above the limits that the server has now.
    let result = replies(&session);
    assert_eq!(result, [(2, scanned(value, 1))]);
    assert_eq!(memory.used_bytes(), 900 + 165, "until the session has it");
    drop(result);
    let second = entry(set_key(2, "l", value, 0), session.reply_handle(3));
    kv.do_send(Apply { tasks: vec![second, scan(&session, 4)] });
    settle().await;
    assert_eq!(replies(&session), [(4, ClientReply::Refused(Refusal::Busy))]);
    drop(others);
    kv.do_send(Apply { tasks: vec![scan(&session, 5)] });
    settle().await;
    let result = replies(&session);
    assert_eq!(memory.used_bytes(), 2 * 165, "until the session has it");
    drop(result);
    assert_eq!(memory.used_bytes(), 0);
}

#[actix::test]
async fn sessions_are_answered_in_the_order_of_their_first_reply() {
    let (kv, _applied) = start();
    // Both sessions' replies go to one probe, which shows their order.
    let first = Session::new(9);
    let second = Session { id: 3, port: Arc::clone(&first.port), ..Session::new(3) };
    let tasks = vec![
        entry(set(1, "a", 0), first.reply_handle(1)),
        entry(set(2, "b", 0), second.reply_handle(1)),
        entry(set(3, "c", 0), first.reply_handle(2)),
    ];
    kv.do_send(Apply { tasks });
    settle().await;
    let of_first = ClientReplies { replies: vec![(1, stored(1)), (2, stored(3))] };
    let of_second = ClientReplies { replies: vec![(1, stored(2))] };
    assert_eq!(first.inbox.drain(), [of_first, of_second]);
}

#[actix::test]
async fn every_message_is_answered_by_applied_with_the_next_deadline() {
    let (kv, applied) = start();
    kv.do_send(Apply { tasks: vec![ApplyTask::Entry { entry: set(1, "a", 5), waiters: None }] });
    kv.do_send(Apply { tasks: vec![ApplyTask::Entry { entry: set(2, "b", 0), waiters: None }] });
    kv.do_send(Apply { tasks: vec![] });
    settle().await;
    let mut store = Store::new();
    let digests = [set(1, "a", 5), set(2, "b", 0)].map(|entry| {
        store.apply(&entry).unwrap();
        store.digest()
    });
    let answer = |last_applied, next_deadline_ms| Applied {
        last_applied: LogIndex(last_applied),
        next_deadline_ms,
        has_hidden: false,
        ending_leases: 0,
        digest: digests[last_applied as usize - 1],
        history: HistoryLimits::NONE,
    };
    assert_eq!(applied.drain(), [answer(1, Some(6000)), answer(2, None), answer(2, None)]);
}

#[actix::test]
async fn applied_says_when_expired_keys_wait_for_their_removal() {
    let (kv, applied) = start();
    let keys = (1..=100).map(|index| {
        store_model::entry(index, 1000, &store_model::set_for(&format!("k{index}"), "v", 1))
    });
    let last = store_model::entry(101, 2000, &store_model::set("other", "v"));
    let tasks = keys.chain([last]).map(|entry| ApplyTask::Entry { entry, waiters: None });
    kv.do_send(Apply { tasks: tasks.collect() });
    let entry = store_model::noop(102, 2000);
    kv.do_send(Apply { tasks: vec![ApplyTask::Entry { entry, waiters: None }] });
    settle().await;
    let reports = applied.drain().into_iter();
    assert_eq!(reports.map(|applied| applied.has_hidden).collect::<Vec<_>>(), [true, false]);
}

#[actix::test]
async fn a_status_is_answered_with_the_state_of_the_store() {
    let (kv, _applied) = start();
    let session = Session::new(1);
    let status = NodeStatus {
        id: NodeId(3),
        role: Role::Leader,
        term: Term(1),
        leader_id: Some(NodeId(3)),
        commit_index: LogIndex(4),
        last_log_index: LogIndex(5),
        last_persisted_index: LogIndex(5),
        snapshot_index: LogIndex(0),
        snapshot_progress: vec![(
            NodeId(2),
            crate::raft::SnapshotProgress { acked_bytes: 1, bytes: 2 },
        )],
        snapshot_refusals: Vec::new(),
        removed_at: None,
        cluster: cluster_status(),
    };
    let tasks = vec![
        ApplyTask::Entry { entry: set(1, "a", 0), waiters: None },
        ApplyTask::Status {
            status: Box::new(status.clone()),
            reply_handle: session.reply_handle(1),
        },
    ];
    kv.do_send(Apply { tasks });
    settle().await;
    let mut store = Store::new();
    store.apply(&set(1, "a", 0)).unwrap();
    let of_store = StoreStatus {
        last_applied: LogIndex(1),
        clock_ms: store.clock_ms(),
        keys: 1,
        bytes: store.bytes(),
        clients: 0,
        digest: store.digest(),
        revision: 1,
        compacted_revision: 1,
        history_changes: 0,
        history_bytes: 0,
        leases: 0,
    };
    let replies = vec![(1, ClientReply::Status(Box::new(status), of_store))];
    assert_eq!(session.inbox.drain(), [ClientReplies { replies }]);
}

#[actix::test]
async fn a_snapshot_is_a_view_of_the_store_and_an_installed_one_replaces_it() {
    let (raft, _applied) = probe();
    let (snapshots, orders) = probe();
    let kv = KvActor::new(Store::new(), KvPorts { snapshots, ..ports(raft) }).start();
    let session = Session::new(1);
    let mut saved = Store::new();
    saved.apply(&set(1, "a", 0)).unwrap();
    let (mut replaced, mut received) = (saved.clone(), saved.clone());
    replaced.apply(&set(2, "b", 0)).unwrap();
    for (index, value) in [(2, "b"), (3, "c")] {
        received.apply(&set(index, value, 0)).unwrap();
    }
    let last = LogPosition { index: LogIndex(1), term: Term(1) };
    let point = SnapshotPoint { last, cluster: ClusterState::default() };
    let tasks = vec![
        ApplyTask::Entry { entry: set(1, "a", 0), waiters: None },
        ApplyTask::Snapshot { point: point.clone() },
        ApplyTask::Entry { entry: set(2, "b", 0), waiters: None },
        ApplyTask::Install { store: Box::new(received) },
        get(3, session.reply_handle(1)),
    ];
    kv.do_send(Apply { tasks });
    settle().await;
    let replies = vec![(1, value("c"))];
    assert_eq!(session.inbox.drain(), [ClientReplies { replies }]);
    let mut orders = orders.drain().into_iter();
    let Some(StoreCommand::Write(order)) = orders.next() else { panic!("it is saved first") };
    assert_eq!((order.point, order.stamp_ms, order.store), (point, 1000, saved));
    let Some(StoreCommand::Drop(order)) = orders.next() else { panic!("then it is freed") };
    assert_eq!((order.store, orders.count()), (replaced, 0));
}

#[actix::test]
async fn a_session_that_is_gone_hinders_nobody() {
    struct Leaving;
    impl Actor for Leaving {
        type Context = Context<Self>;
        fn started(&mut self, ctx: &mut Context<Self>) {
            actix::ActorContext::stop(ctx);
        }
    }
    impl Handler<ClientReplies> for Leaving {
        type Result = ();
        fn handle(&mut self, _: ClientReplies, _: &mut Context<Self>) {
            panic!("a stopped actor handles nothing");
        }
    }
    let (kv, applied) = start();
    let port = Arc::new(Leaving.start().recipient());
    settle().await;
    assert!(!port.connected());
    let gone = Session { port, ..Session::new(1) };
    let there = Session::new(2);
    let tasks = vec![
        entry(set(1, "a", 0), gone.reply_handle(1)),
        entry(set(2, "b", 0), there.reply_handle(1)),
    ];
    kv.do_send(Apply { tasks });
    settle().await;
    assert_eq!(there.inbox.drain(), [ClientReplies { replies: vec![(1, stored(2))] }]);
    assert_eq!(applied.drain().len(), 1);
}

fn digest_at(index: u64) -> ApplyTask {
    ApplyTask::Digest(crate::raft::ReadDigest { index: LogIndex(index) })
}

/// Entries 1 to `last`, and the digest of the store after each of them.
fn some_entries(last: u64) -> (Vec<ApplyTask>, Vec<u64>) {
    let mut store = Store::new();
    let entries = (1..=last).map(|index| set_key(index, "k", "value", index % 2));
    entries
        .map(|entry| {
            store.apply(&entry).unwrap();
            (ApplyTask::Entry { entry, waiters: None }, store.digest())
        })
        .unzip()
}

#[actix::test]
async fn a_digest_is_answered_as_soon_as_its_entry_is_applied() {
    let (raft, _applied) = probe();
    let (digests, read) = probe();
    let kv = KvActor::new(Store::new(), KvPorts { digests, ..ports(raft) }).start();
    let (mut entries, expected) = some_entries(5000);
    let rest = entries.split_off(3);
    let answer =
        |index: u64| DigestRead { index: LogIndex(index), digest: expected[index as usize - 1] };
    kv.do_send(Apply { tasks: vec![digest_at(2)] });
    kv.do_send(Apply { tasks: entries });
    settle().await;
    assert_eq!(read.drain(), [answer(2)]);
    kv.do_send(Apply { tasks: vec![digest_at(3), digest_at(1), digest_at(5), digest_at(4)] });
    settle().await;
    assert_eq!(read.drain(), [answer(3), answer(1)]);
    kv.do_send(Apply { tasks: rest });
    settle().await;
    assert_eq!(read.drain(), [answer(4)], "a later order takes the place of one that waits");
    kv.do_send(Apply { tasks: vec![digest_at(1), digest_at(1024), digest_at(5000)] });
    settle().await;
    assert_eq!(read.drain(), [answer(1024), answer(5000)], "one is too old");
    let session = Session::new(1);
    let ask = |index, slot| ApplyTask::ClientDigest {
        index: LogIndex(index),
        reply_handle: session.reply_handle(slot),
    };
    kv.do_send(Apply { tasks: vec![ask(4999, 1), ask(5001, 2), ask(1, 3)] });
    settle().await;
    let reply = |index, digest| ClientReply::Digest { index: LogIndex(index), digest };
    let replies =
        vec![(1, reply(4999, Some(expected[4998]))), (2, reply(5001, None)), (3, reply(1, None))];
    assert_eq!(session.inbox.drain(), [ClientReplies { replies }]);
}

#[actix::test]
async fn of_an_installed_store_only_its_own_digest_is_known() {
    let (raft, _applied) = probe();
    let (digests, read) = probe();
    let kv = KvActor::new(Store::new(), KvPorts { digests, ..ports(raft) }).start();
    let (entries, expected) = some_entries(2);
    let mut received = Store::new();
    for index in 1..=4 {
        received.apply(&set(index, "other", 0)).unwrap();
    }
    let digest = received.digest();
    kv.do_send(Apply { tasks: entries });
    let tasks = vec![digest_at(4), ApplyTask::Install { store: Box::new(received) }, digest_at(2)];
    kv.do_send(Apply { tasks });
    settle().await;
    assert_eq!(read.drain(), [DigestRead { index: LogIndex(4), digest }]);
    assert_ne!(digest, expected[1]);
}

/// A store whose only record, of key "k", has changed in memory.
fn corrupted_store() -> Store {
    let mut store = Store::new();
    store.apply(&set(1, "value", 0)).unwrap();
    assert!(store.flip_bit(0));
    store
}

const FOUND: &str = "the record of key \"k\", version 1, does not match its hash";

#[actix::test]
async fn after_a_record_that_has_changed_nothing_is_answered() {
    let session = Session::new(1);
    for task in [get(1, session.reply_handle(2)), scan(&session, 2)] {
        let (raft, applied) = probe();
        let (corrupted, found) = probe();
        let ports = KvPorts { corrupted, ..ports(raft) };
        let kv = KvActor::new(corrupted_store(), ports).start();
        kv.do_send(Apply { tasks: vec![task, scan(&session, 3)] });
        settle().await;
        assert_eq!(found.drain(), [StoreCorrupted { what: FOUND.to_owned() }]);
        applied.drain();
        let tasks = vec![entry(set(2, "b", 0), session.reply_handle(4))];
        kv.do_send(Apply { tasks });
        kv.do_send(Apply { tasks: vec![get(1, session.reply_handle(5)), digest_at(1)] });
        settle().await;
        assert_eq!((session.inbox.drain(), applied.drain()), (vec![], vec![]));
        assert_eq!(found.drain(), [], "it is said once");
    }
}

#[actix::test]
async fn after_the_end_not_even_the_commands_before_it_are_answered() {
    let (kv, applied) = start();
    let session = Session::new(1);
    let tasks = vec![scan(&session, 1), entry(set(1, "a", 0), session.reply_handle(2))];
    kv.do_send(Apply { tasks: tasks.into_iter().chain([ApplyTask::End]).collect() });
    kv.do_send(Apply { tasks: vec![get(1, session.reply_handle(3))] });
    settle().await;
    assert_eq!((session.inbox.drain(), applied.drain()), (vec![], vec![]));
}

#[actix::test]
async fn a_record_that_nobody_reads_is_verified_within_a_second() {
    let (raft, _applied) = probe();
    let (corrupted, found) = probe();
    let _kv = KvActor::new(corrupted_store(), KvPorts { corrupted, ..ports(raft) }).start();
    loop {
        tokio::time::sleep(SCRUB_INTERVAL).await;
        if let [found] = &found.drain()[..] {
            assert_eq!(found.what, FOUND);
            return;
        }
    }
}

// The panics are tested without the runtime: in production they end the process.

fn execute(task: ApplyTask) {
    let (raft, _applied) = probe();
    let mut kv = KvActor::new(Store::new(), ports(raft));
    kv.execute(task, &mut Replies::default()).expect("nothing is corrupted");
}

#[actix::test]
#[should_panic(expected = "cannot apply the committed entry 1@1: the command's operation 99")]
async fn an_unknown_operation_halts_the_node() {
    let payload = Payload::Command(Bytes::from_static(b"\x63"));
    let entry = Entry { index: LogIndex(1), term: Term(1), stamp_ms: 0, payload };
    execute(ApplyTask::Entry { entry, waiters: None });
}

#[actix::test]
#[should_panic(expected = "until the store has applied its read index")]
async fn a_read_is_never_answered_before_its_index_is_applied() {
    execute(get(1, Session::new(1).reply_handle(1)));
}

/// A scan that waits may be the last owner of a store that was replaced. It is not freed
/// here: that of a million keys takes longer than the main arbiter may.
#[actix::test]
async fn the_view_of_a_store_that_was_replaced_is_handed_over_to_be_freed() {
    let (raft, _applied) = probe();
    let (snapshots, stores) = probe();
    let ports = KvPorts { snapshots, ..ports(raft) };
    let kv = KvActor::new(Store::new(), ports).start();
    let (stays, leaves) = (Session::new(1), Session::new(2));
    let mut store = Store::new();
    for index in 1..=3 {
        store.apply(&set(index, "new", 0)).unwrap();
    }
    let tasks = vec![
        ApplyTask::Entry { entry: set(1, "old", 0), waiters: None },
        scan(&leaves, 1),
        scan(&stays, 1),
        ApplyTask::Install { store: Box::new(store) },
        scan(&stays, 2),
    ];
    drop(leaves);
    kv.do_send(Apply { tasks });
    settle().await;
    let replies: Vec<_> = stays.inbox.drain().into_iter().flat_map(|m| m.replies).collect();
    assert_eq!(replies, [(1, scanned("old", 1)), (2, scanned("new", 3))]);
    let freed: Vec<LogIndex> = stores
        .drain()
        .into_iter()
        .map(|command| match command {
            StoreCommand::Drop(order) => order.store.last_applied(),
            command => panic!("{command:?}"),
        })
        .collect();
    assert_eq!(freed, [LogIndex(1); 3], "the store, and two views of it");
}

/// A hub of watches, with what it has of the history.
struct Hub {
    port: Recipient<HistoryNews>,
    inbox: Inbox<HistoryNews>,
}

impl Hub {
    fn new() -> Hub {
        let (port, inbox) = probe();
        Hub { port, inbox }
    }

    fn ask(&self, kv: &Addr<KvActor>, seen: Option<u64>) {
        // The history of these tests is that of a new cluster: all of it is kept.
        let seen = seen.map(|revision| HistoryMark { revision, compacted: 1 });
        kv.do_send(AskHistory { seen, reply_to: self.port.clone() });
    }

    /// The revisions that were sent; true for an answer at once.
    async fn told(&self) -> Vec<(u64, bool)> {
        settle().await;
        let revision = |news: HistoryNews| (news.view.revision(), news.is_at_once);
        self.inbox.drain().into_iter().map(revision).collect()
    }

    /// True for each answer that says that the history has ended.
    async fn ends(&self) -> Vec<bool> {
        settle().await;
        self.inbox.drain().iter().map(|news| news.has_ended).collect()
    }
}

fn apply(kv: &Addr<KvActor>, entries: Vec<Entry>) {
    let task = |entry| ApplyTask::Entry { entry, waiters: None };
    kv.do_send(Apply { tasks: entries.into_iter().map(task).collect() });
}

#[actix::test]
async fn a_hub_gets_the_history_when_it_has_asked_and_there_is_something_new() {
    let log = store_model::Log::with_history();
    let (raft, _applied) = probe();
    let kv = KvActor::new(log.store, ports(raft)).start();
    let (one, two) = (Hub::new(), Hub::new());
    one.ask(&kv, None);
    assert_eq!(one.told().await, [(1, true)]);
    one.ask(&kv, Some(1));
    two.ask(&kv, Some(0));
    assert_eq!((one.told().await, two.told().await), (vec![], vec![(1, false)]));
    // An entry that changes nothing is nothing new.
    let noop = Entry { payload: Payload::Noop, ..set(2, "", 0) };
    apply(&kv, vec![noop]);
    assert_eq!(one.told().await, []);
    apply(&kv, vec![set(3, "a", 0), set(4, "b", 0)]);
    assert_eq!((one.told().await, two.told().await), (vec![(3, false)], vec![]));
    // Nobody is told who has not asked.
    apply(&kv, vec![set(5, "c", 0)]);
    assert_eq!(one.told().await, []);
    one.ask(&kv, Some(3));
    assert_eq!(one.told().await, [(4, false)]);
}

#[actix::test]
async fn the_history_of_an_installed_snapshot_is_told() {
    let log = store_model::Log::with_history();
    let mut newer = store_model::Log::with_history();
    let (raft, _applied) = probe();
    let kv = KvActor::new(log.store, ports(raft)).start();
    let hub = Hub::new();
    hub.ask(&kv, Some(1));
    newer.apply(&store_model::set("k", "v"));
    kv.do_send(Apply { tasks: vec![ApplyTask::Install { store: Box::new(newer.store) }] });
    assert_eq!(hub.told().await, [(2, false)]);
}

/// The server was removed: nothing new comes, and whoever waits for it is told so.
#[actix::test]
async fn hubs_are_told_at_once_that_the_history_has_ended() {
    let log = store_model::Log::with_history();
    let (raft, _applied) = probe();
    let kv = KvActor::new(log.store, ports(raft)).start();
    let (waits, late) = (Hub::new(), Hub::new());
    waits.ask(&kv, Some(1));
    assert!(waits.ends().await.is_empty());
    kv.do_send(Apply { tasks: vec![ApplyTask::EndHistory] });
    assert_eq!(waits.ends().await, [true]);
    late.ask(&kv, None);
    late.ask(&kv, Some(1));
    assert_eq!(late.ends().await, [true, true]);
}
