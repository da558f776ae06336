//! A hub between scripted sessions and a scripted KvActor.

use actix::Addr;
use bytes::Bytes;

use super::*;
use crate::kv::KeyRange;
use crate::metrics::ClientMetrics;
use crate::testing::store_model::{Log, set};
use crate::testing::{Inbox, probe, settle};

const MIB: u64 = 1 << 20;

struct World {
    log: Log,
    hub: Addr<WatchHubActor>,
    asked: Inbox<AskHistory>,
    corrupted: Inbox<StoreCorrupted>,
}

impl World {
    fn new() -> World {
        World::with_room(2)
    }

    fn with_room(watches_max: usize) -> World {
        let (kv, asked) = probe();
        let (corrupt, corrupted) = probe();
        let limits = WatchLimits { event_bytes_max: 2 * MIB as usize };
        let room = WatchRoom::new(watches_max, ClientMetrics::default());
        let memory = MemoryBudget::new(64 * MIB);
        let hub =
            WatchHubActor::new(limits, memory, room, WatchHubPorts { kv, corrupted: corrupt });
        World { log: Log::with_history(), hub: hub.start(), asked, corrupted }
    }

    async fn begin(&self, session: u64, from: Option<u64>) -> Inbox<WatchNews> {
        let (reply_to, inbox) = probe();
        let keys = KeyRange::key(Bytes::from("k"));
        let request = WatchRequest { keys, from, wants_previous: false };
        let session = SessionId(session);
        self.hub.do_send(WatchCommand::Begin(BeginWatch { session, request, reply_to }));
        settle().await;
        inbox
    }

    /// The questions that came: true for one that is to be answered at once.
    async fn asked(&self) -> Vec<bool> {
        settle().await;
        self.asked.drain().iter().map(|ask| ask.seen.is_none()).collect()
    }

    async fn tell(&self, is_at_once: bool) {
        self.tell_about(is_at_once, false).await;
    }

    async fn tell_about(&self, is_at_once: bool, has_ended: bool) {
        let (view, last_applied) = (self.log.store.history_view(), self.log.store.last_applied());
        self.hub.do_send(HistoryNews { view, last_applied, is_at_once, has_ended });
        settle().await;
    }

    fn set(&mut self, value: &'static str) {
        self.log.apply(&set("k", value));
    }
}

#[actix::test]
async fn a_change_that_is_not_what_was_written_ends_the_node_and_is_told_to_nobody() {
    let mut world = World::new();
    let watch = world.begin(1, None).await;
    world.tell(true).await;
    assert_eq!(watch.drain(), [WatchNews::Began { revision: 2 }]);
    world.set("value");
    assert!(world.log.store.flip_bit(0));
    world.tell(false).await;
    let what = "the record of key \"k\", version 2, does not match its hash".to_owned();
    assert_eq!(world.corrupted.drain(), [StoreCorrupted { what }]);
    world.set("sound");
    world.tell(false).await;
    let late = world.begin(2, None).await;
    world.tell(true).await;
    assert_eq!((watch.drain(), late.drain()), (vec![], vec![]), "no word after it");
    assert_eq!(world.corrupted.drain(), [], "it is said once");
}

fn texts(inbox: &Inbox<WatchNews>) -> Vec<String> {
    let text = |news: WatchNews| match news {
        WatchNews::Text(text) => String::from_utf8(text.bytes.to_vec()).unwrap(),
        other => format!("{other:?}"),
    };
    inbox.drain().into_iter().map(text).collect()
}

#[actix::test]
async fn a_watch_begins_with_a_view_that_is_younger_than_the_question() {
    let mut world = World::new();
    let first = world.begin(1, None).await;
    assert_eq!(world.asked().await, [true]);
    // The second one asks while a view is under way that may be older than its question.
    let second = world.begin(2, None).await;
    assert_eq!(world.asked().await, [] as [bool; 0]);
    world.tell(true).await;
    assert_eq!(first.drain(), [WatchNews::Began { revision: 2 }]);
    assert_eq!(second.drain(), []);
    assert_eq!(world.asked().await, [true, false]);
    world.set("v");
    world.tell(true).await;
    assert_eq!(second.drain(), [WatchNews::Began { revision: 3 }]);
    assert_eq!(texts(&first), ["SET k 2 0 1\r\nv\r\nEND 2\r\n"]);
    assert_eq!(world.asked().await, [] as [bool; 0], "one question is under way");
}

#[actix::test]
async fn a_hub_asks_for_the_next_view_as_long_as_somebody_watches() {
    let mut world = World::new();
    let inbox = world.begin(1, None).await;
    world.tell(true).await;
    assert_eq!(world.asked().await, [true, false]);
    world.set("1");
    world.tell(false).await;
    assert_eq!(texts(&inbox)[1..], ["SET k 2 0 1\r\n1\r\nEND 2\r\n"]);
    assert_eq!(world.asked().await, [false]);
    world.hub.do_send(WatchCommand::Ready { session: SessionId(1) });
    world.set("2");
    world.tell(false).await;
    assert_eq!(texts(&inbox), ["SET k 3 0 1\r\n2\r\nEND 3\r\n"]);
    assert_eq!(world.asked().await, [false]);
    world.hub.do_send(WatchCommand::End { session: SessionId(1) });
    world.set("3");
    world.tell(false).await;
    assert_eq!(texts(&inbox), [] as [String; 0]);
    assert_eq!(world.asked().await, [] as [bool; 0]);
}

#[actix::test]
async fn more_watches_than_there_may_be_are_refused_until_one_ends() {
    let world = World::with_room(1);
    let first = world.begin(1, None).await;
    let busy = [WatchNews::Refused(ErrorReply::Busy)];
    assert_eq!(world.begin(2, None).await.drain(), busy);
    world.tell(true).await;
    assert_eq!(first.drain().len(), 1);
    assert_eq!(world.begin(3, None).await.drain(), busy);
    world.hub.do_send(WatchCommand::End { session: SessionId(1) });
    let next = world.begin(4, None).await;
    world.tell(true).await;
    assert_eq!(next.drain(), [WatchNews::Began { revision: 2 }]);
}

#[actix::test]
async fn a_session_that_ends_before_its_watch_begins_has_none() {
    let mut world = World::with_room(1);
    let inbox = world.begin(1, None).await;
    world.hub.do_send(WatchCommand::End { session: SessionId(1) });
    let next = world.begin(2, None).await;
    assert_eq!(world.asked().await, [true]);
    world.set("v");
    world.tell(true).await;
    assert_eq!(world.asked().await, [true], "the view may be older than the second question");
    world.tell(true).await;
    assert_eq!(inbox.drain(), []);
    assert_eq!(next.drain(), [WatchNews::Began { revision: 3 }]);
}

#[actix::test]
async fn a_server_that_counts_no_revisions_refuses() {
    let mut world = World::new();
    world.log.store = crate::kv::Store::new();
    let inbox = world.begin(1, Some(7)).await;
    world.tell(true).await;
    assert_eq!(inbox.drain(), [WatchNews::Refused(ErrorReply::NoLeader)]);
    world.log.pass(1);
    let inbox = world.begin(1, None).await;
    world.tell(true).await;
    let news = inbox.drain();
    assert!(matches!(news[..], [WatchNews::Refused(ErrorReply::NotYet { .. })]), "{news:?}");
}

#[actix::test]
async fn a_silent_watch_is_told_how_far_it_has_come() {
    tokio::time::pause();
    let world = World::new();
    let inbox = world.begin(1, None).await;
    world.tell(true).await;
    inbox.drain();
    tokio::time::advance(watches::SILENCE - Duration::from_millis(1)).await;
    settle().await;
    assert_eq!(texts(&inbox), [] as [String; 0]);
    tokio::time::advance(Duration::from_millis(2)).await;
    settle().await;
    assert_eq!(texts(&inbox), ["END 1\r\n"]);
}

/// A server that was removed hears of no change any more, and another one does.
#[actix::test]
async fn watches_end_with_the_history_and_none_begins_after_it() {
    let world = World::with_room(1);
    let runs = world.begin(1, None).await;
    world.tell(true).await;
    assert_eq!(world.asked().await, [true, false]);
    runs.drain();
    world.tell_about(false, true).await;
    assert_eq!(runs.drain(), [WatchNews::Ended(ErrorReply::NoLeader)]);
    assert_eq!(world.asked().await, [] as [bool; 0]);
    let late = world.begin(2, None).await;
    assert_eq!(world.asked().await, [true], "the place of the first one is free again");
    world.tell_about(true, true).await;
    assert_eq!(late.drain(), [WatchNews::Refused(ErrorReply::NoLeader)]);
    let last = world.begin(3, None).await;
    world.tell_about(true, true).await;
    assert_eq!(last.drain(), [WatchNews::Refused(ErrorReply::NoLeader)]);
}
