use std::cell::RefCell;
use std::rc::Rc;

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;

use super::*;
use crate::kv::{Command, KeyRange, Operation};
use crate::protocol::WatchParser;
use crate::testing::store_model::{Log, delete, set};

const MIB: u64 = 1 << 20;

/// The news that a session was sent.
#[derive(Clone, Default)]
struct Inbox(Rc<RefCell<Vec<WatchNews>>>);

impl Port for Inbox {
    fn send(&self, news: WatchNews) {
        self.0.borrow_mut().push(news);
    }
}

impl Inbox {
    fn drain(&self) -> Vec<WatchNews> {
        std::mem::take(&mut self.0.borrow_mut())
    }

    /// The lines of one text, without the line ends and the first words' values.
    fn text(&self) -> String {
        let news = self.drain();
        let [WatchNews::Text(text)] = &news[..] else { panic!("one text is sent, not {news:?}") };
        String::from_utf8(text.bytes.to_vec()).unwrap().replace("\r\n", " ").trim_end().to_owned()
    }
}

/// A store, and a hub that watches it.
struct World {
    log: Log,
    hub: Watches<Inbox, ()>,
    now: Instant,
}

impl World {
    fn new() -> World {
        World::with_memory(64 * MIB)
    }

    fn with_memory(bytes: u64) -> World {
        let limits = WatchLimits { event_bytes_max: 2 * MIB as usize };
        let hub = Watches::new(limits, MemoryBudget::new(bytes));
        World { log: Log::with_history(), hub, now: Instant::now() }
    }

    /// Shows the hub the store as it is now.
    fn show(&mut self) {
        self.hub.on_view(self.log.store.history_view());
    }

    fn serve(&mut self) {
        while self.hub.serve(self.now).unwrap() {}
    }

    fn apply(&mut self, commands: &[Command]) {
        commands.iter().for_each(|command| _ = self.log.apply(command));
        self.show();
        self.serve();
    }

    fn begin(&mut self, session: u64, keys: KeyRange, from: Option<u64>) -> Inbox {
        let inbox = Inbox::default();
        self.show();
        let (session, port) = (SessionId(session), inbox.clone());
        let new = NewWatch { session, filter: WatchFilter::all(keys), from, port, held: () };
        self.hub.begin(new, self.now);
        self.serve();
        inbox
    }

    fn ready(&mut self, session: u64) {
        self.hub.on_ready(SessionId(session));
        self.serve();
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.hub.look_for_silence(self.now);
    }

    fn state(&self, session: u64) -> State {
        self.hub.watches[&SessionId(session)].state
    }
}

fn key(key: &'static str) -> KeyRange {
    KeyRange::key(Bytes::from(key))
}

fn prefix(prefix: &'static str) -> KeyRange {
    KeyRange::prefix(Bytes::from(prefix))
}

fn compact(revision: u64) -> Command {
    Command { once: None, store_bytes_max: 0, operation: Operation::Compact { revision } }
}

#[test]
fn a_watch_from_now_on_gets_the_changes_that_follow() {
    let mut world = World::new();
    world.apply(&[set("k", "0")]);
    let inbox = world.begin(1, key("k"), None);
    assert_eq!(inbox.drain(), [WatchNews::Began { revision: 3 }]);
    world.apply(&[set("k", "1"), set("other", "2"), delete("k")]);
    assert_eq!(inbox.text(), "SET k 3 0 1 1 END 3 DELETED k 5 END 5");
}

#[test]
fn nothing_is_sent_before_the_client_has_taken_what_was_sent() {
    let mut world = World::new();
    let inbox = world.begin(1, prefix(""), None);
    inbox.drain();
    world.apply(&[set("a", "1")]);
    assert_eq!(inbox.text(), "SET a 2 0 1 1 END 2");
    for value in ["2", "3", "4"] {
        world.apply(&[set("a", value)]);
    }
    assert_eq!(inbox.drain(), []);
    world.ready(1);
    assert_eq!(inbox.text(), "SET a 3 0 1 2 END 3 SET a 4 0 1 3 END 4 SET a 5 0 1 4 END 5");
    world.ready(1);
    assert_eq!((inbox.drain(), world.state(1)), (vec![], State::Idle));
}

#[test]
fn a_watch_from_the_past_is_told_when_it_has_come_to_the_present() {
    let mut world = World::new();
    world.apply(&[set("a", "1"), set("b", "2"), set("c", "3")]);
    let inbox = world.begin(1, prefix("b"), Some(2));
    let news = inbox.drain();
    assert_eq!(news[0], WatchNews::Began { revision: 2 });
    world.ready(1);
    assert_eq!(inbox.text(), "END 4");
    world.ready(1);
    // A key without any change, and a watch whose last end is that of the present.
    let inbox = world.begin(2, key("never"), Some(1));
    assert_eq!(inbox.drain().len(), 2);
    let inbox = world.begin(3, key("c"), Some(1));
    assert_eq!(inbox.drain().len(), 2);
    world.ready(3);
    assert_eq!((inbox.drain(), world.state(3)), (vec![], State::Idle));
}

#[test]
fn a_watch_from_the_future_waits_and_is_told_nothing_meanwhile() {
    let mut world = World::new();
    let inbox = world.begin(1, prefix(""), Some(4));
    assert_eq!(inbox.drain(), [WatchNews::Began { revision: 4 }]);
    world.apply(&[set("a", "1")]);
    world.pass(2 * SILENCE);
    assert_eq!(inbox.drain(), []);
    world.apply(&[set("a", "2")]);
    world.apply(&[set("a", "3"), set("a", "4")]);
    assert_eq!(inbox.text(), "SET a 4 0 1 3 END 4 SET a 5 0 1 4 END 5");
}

#[test]
fn a_silent_watch_is_told_how_far_it_has_come() {
    let mut world = World::new();
    let inbox = world.begin(1, key("k"), None);
    inbox.drain();
    world.apply(&[set("other", "1"), set("other", "2")]);
    world.pass(SILENCE - Duration::from_millis(1));
    assert_eq!(inbox.drain(), []);
    world.pass(Duration::from_millis(1));
    assert_eq!(inbox.text(), "END 3");
    // The note waits for its client, as every text does.
    world.pass(SILENCE);
    assert_eq!(inbox.drain(), []);
    world.ready(1);
    world.apply(&[set("k", "3")]);
    assert_eq!(inbox.text(), "SET k 4 0 1 3 END 4");
    world.ready(1);
    world.pass(SILENCE - Duration::from_millis(1));
    assert_eq!(inbox.drain(), []);
    world.pass(SILENCE);
    assert_eq!(inbox.text(), "END 4");
}

#[test]
fn what_is_compacted_is_told_at_the_beginning_and_in_the_middle() {
    let mut world = World::new();
    let slow = world.begin(1, prefix(""), None);
    let idle = world.begin(2, key("k"), None);
    world.apply(&[set("a", "1"), set("a", "2"), set("a", "3")]);
    slow.drain();
    idle.drain();
    world.apply(&[set("a", "4"), set("a", "5")]);
    world.apply(&[compact(6)]);
    let refused = world.begin(3, prefix(""), Some(5));
    let compacted = ErrorReply::Compacted { revision: 6 };
    assert_eq!(refused.drain(), [WatchNews::Refused(compacted.clone())]);
    assert_eq!(world.begin(4, prefix(""), Some(6)).drain().len(), 2);
    // The slow one had been read for up to revision 4. The change of revision 5 is gone.
    world.ready(1);
    assert_eq!(slow.drain(), [WatchNews::Ended(compacted)]);
    assert!(!world.hub.watches.contains_key(&SessionId(1)));
    // An idle watch has missed nothing.
    world.apply(&[set("k", "6")]);
    assert_eq!(idle.text(), "SET k 7 0 1 6 END 7");
}

/// A store that was installed from a snapshot may have trimmed changes that were never seen here.
#[test]
fn a_view_that_skips_changes_ends_the_watches_that_may_have_missed_one() {
    let mut world = World::new();
    let idle = world.begin(1, key("k"), None);
    let ahead = world.begin(2, key("k"), Some(6));
    idle.drain();
    ahead.drain();
    let commands = [set("k", "1"), set("a", "2"), set("a", "3"), compact(4), set("k", "4")];
    world.apply(&commands);
    assert_eq!(idle.drain(), [WatchNews::Ended(ErrorReply::Compacted { revision: 4 })]);
    assert_eq!(ahead.drain(), []);
    world.apply(&[set("k", "5")]);
    assert_eq!(ahead.text(), "SET k 6 0 1 5 END 6");
}

#[test]
fn a_view_that_skips_changes_keeps_the_watches_that_miss_none() {
    let mut world = World::new();
    let idle = world.begin(1, key("k"), None);
    idle.drain();
    world.apply(&[set("k", "1")]);
    idle.drain();
    world.ready(1);
    world.apply(&[set("a", "2"), compact(3), set("k", "3")]);
    assert_eq!(idle.text(), "SET k 4 0 1 3 END 4");
}

#[test]
fn watches_at_the_same_place_share_what_is_printed() {
    let mut world = World::new();
    let inboxes: Vec<Inbox> = (1..=3).map(|id| world.begin(id, prefix("a"), None)).collect();
    inboxes.iter().for_each(|inbox| _ = inbox.drain());
    world.apply(&[set("a", &"v".repeat(UNCOPIED_BYTES_MIN))]);
    let texts: Vec<WatchText> = inboxes
        .iter()
        .map(|inbox| match inbox.drain().remove(0) {
            WatchNews::Text(text) => text,
            other => panic!("{other:?}"),
        })
        .collect();
    assert!(texts.iter().all(|text| text.bytes.as_ptr() == texts[0].bytes.as_ptr()));
    // The memory is counted once, and given back when the last one has sent it.
    let bytes = texts[0].bytes.len() as u64;
    assert_eq!(world.hub.memory.used_bytes(), bytes);
    drop(texts);
    world.show();
    assert_eq!(world.hub.memory.used_bytes(), 0);
}

#[test]
fn without_memory_a_watch_waits_and_loses_nothing() {
    let mut world = World::with_memory(MIB);
    let inbox = world.begin(1, prefix(""), None);
    inbox.drain();
    let others = world.hub.memory.reserve(MIB - 100);
    world.apply(&[set("a", &"v".repeat(100))]);
    assert_eq!((inbox.drain(), world.state(1)), (vec![], State::Short));
    world.hub.retry_short();
    world.serve();
    assert!(world.hub.is_short());
    drop(others);
    world.hub.retry_short();
    world.serve();
    assert!(inbox.text().starts_with("SET a 2 0 100 v"));
    assert!(!world.hub.is_short());
}

#[test]
fn an_event_beyond_the_limits_of_today_is_sent_whatever_the_memory() {
    let mut world = World::with_memory(MIB);
    world.hub.limits.event_bytes_max = 0;
    let inbox = world.begin(1, prefix(""), None);
    inbox.drain();
    let _others = world.hub.memory.reserve(MIB);
    world.apply(&[set("a", &"v".repeat(TEXT_BYTES_MAX + 1))]);
    assert!(inbox.text().ends_with("v END 2"));
}

#[test]
fn the_view_is_forgotten_with_the_last_watch() {
    let mut world = World::new();
    world.begin(1, prefix(""), None);
    world.begin(2, key("k"), Some(9));
    world.hub.end(SessionId(1));
    assert!(world.hub.view.is_some());
    world.hub.end(SessionId(2));
    assert!(world.hub.view.is_none() && world.hub.is_empty() && world.hub.ahead.is_empty());
    assert_eq!(world.hub.next_look(), None);
    // A change that nobody watches, and a watch after it.
    world.apply(&[set("k", "1")]);
    assert_eq!(world.begin(3, key("k"), None).drain(), [WatchNews::Began { revision: 3 }]);
}

#[test]
fn a_turn_is_bounded_whatever_has_changed() {
    let mut world = World::new();
    let inboxes: Vec<Inbox> = (0..200).map(|id| world.begin(id, prefix("a"), None)).collect();
    inboxes.iter().for_each(|inbox| _ = inbox.drain());
    for number in 0..SEARCHED_KEYS_MAX + 1 {
        world.log.apply(&set(&format!("b{number}"), "v"));
    }
    world.log.apply(&set("a", "v"));
    world.show();
    assert!(world.hub.serve(world.now).unwrap(), "the search goes on in the next turn");
    assert!(inboxes.iter().all(|inbox| inbox.drain().is_empty()));
    world.serve();
    let end = format!("SET a {0} 0 1 v END {0}", SEARCHED_KEYS_MAX + 3);
    assert!(inboxes.iter().all(|inbox| inbox.text() == end));
}

/// One thing that happens to a hub.
#[derive(Clone, Debug)]
enum Step {
    Set(usize, usize),
    Delete(usize),
    /// The hub is shown the store.
    Show,
    /// The hub has a turn.
    Serve,
    Begin {
        session: u64,
        keys: usize,
        from: u64,
    },
    Ready(u64),
    End(u64),
    Silence,
}

const KEYS: [&str; 5] = ["a", "aa", "ab", "b", "c"];
const SESSIONS: u64 = 4;

fn range(number: usize) -> KeyRange {
    let bytes = |text: &'static str| Bytes::from(text);
    match number {
        0 => key("a"),
        1 => key("c"),
        2 => prefix("a"),
        3 => prefix(""),
        4 => KeyRange::between(bytes("aa"), bytes("c")),
        _ => KeyRange::from(bytes("b")),
    }
}

fn steps() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..KEYS.len(), 0..200_usize).prop_map(|(key, bytes)| Step::Set(key, bytes)),
        1 => (0..KEYS.len()).prop_map(Step::Delete),
        3 => Just(Step::Show),
        3 => Just(Step::Serve),
        1 => (0..SESSIONS, 0..6_usize, 0..30_u64)
            .prop_map(|(session, keys, from)| Step::Begin { session, keys, from }),
        4 => (0..SESSIONS).prop_map(Step::Ready),
        1 => (0..SESSIONS).prop_map(Step::End),
        1 => Just(Step::Silence),
    ]
}

/// A change that was made: its revision and key, and the length of the value; no length for a
/// deletion.
type Made = (u64, &'static str, Option<usize>);

/// A watch, with the changes that it has to see.
struct Watcher {
    inbox: Inbox,
    keys: KeyRange,
    first: u64,
    stream: Vec<u8>,
    is_waiting: bool,
}

impl Watcher {
    /// Takes what was sent. At most one text comes before the client is ready.
    fn take(&mut self) -> Result<(), TestCaseError> {
        for news in self.inbox.drain() {
            match news {
                WatchNews::Began { revision } => {
                    prop_assert_eq!(revision, self.first);
                }
                WatchNews::Text(text) => {
                    prop_assert!(!self.is_waiting, "a text comes before the client is ready");
                    self.is_waiting = true;
                    self.stream.extend_from_slice(&text.bytes);
                }
                other => prop_assert!(false, "{:?}", other),
            }
        }
        Ok(())
    }

    /// Compares the stream with all changes, of which everything was sent when `is_whole`.
    fn check(&self, changes: &[Made], is_whole: bool) -> Result<(), TestCaseError> {
        let wanted = changes.iter().filter(|(revision, key, _)| {
            *revision >= self.first && self.keys.contains(key.as_bytes())
        });
        let mut wanted = wanted.peekable();
        let (mut parser, mut input) = (WatchParser::new(), BytesMut::from(&self.stream[..]));
        let mut open = None;
        while let Some(part) = parser.next(&mut input).expect("a stream is well-formed") {
            match part {
                WatchPart::Event(event) => {
                    let Some((revision, key, bytes)) = wanted.next() else {
                        return Err(TestCaseError::fail(format!("too much: {event:?}")));
                    };
                    prop_assert_eq!(event.revision, *revision);
                    prop_assert_eq!(&event.key[..], key.as_bytes());
                    let set = crate::protocol::WatchKind::Set {
                        exptime: 0,
                        value: Bytes::from("v".repeat(bytes.unwrap_or_default())),
                    };
                    let gone = crate::protocol::WatchKind::Deleted;
                    prop_assert_eq!(event.kind, if bytes.is_some() { set } else { gone });
                    prop_assert!(open.is_none_or(|open| open == *revision));
                    open = Some(*revision);
                }
                WatchPart::End { revision } => {
                    prop_assert!(open.take().is_none_or(|open| open == revision));
                    prop_assert!(wanted.peek().is_none_or(|(next, ..)| *next > revision));
                }
                WatchPart::Ended(error) => prop_assert!(false, "{}", error),
            }
        }
        prop_assert!(input.is_empty() && open.is_none());
        prop_assert!(!is_whole || wanted.next().is_none(), "something was not sent");
        Ok(())
    }
}

/// A hub with its watchers, and all changes that were made.
struct Play {
    world: World,
    changes: Vec<Made>,
    watchers: BTreeMap<u64, Watcher>,
}

impl Play {
    fn new() -> Play {
        Play { world: World::new(), changes: Vec::new(), watchers: BTreeMap::new() }
    }

    fn step(&mut self, step: Step) -> Result<(), TestCaseError> {
        let world = &mut self.world;
        match step {
            Step::Set(key, bytes) => {
                world.log.apply(&set(KEYS[key], &"v".repeat(bytes)));
                self.changes.push((world.log.store.revision(), KEYS[key], Some(bytes)));
            }
            Step::Delete(key) => {
                let before = world.log.store.revision();
                world.log.apply(&delete(KEYS[key]));
                let revision = world.log.store.revision();
                if revision > before {
                    self.changes.push((revision, KEYS[key], None));
                }
            }
            Step::Show if !world.hub.is_empty() => world.show(),
            Step::Serve => _ = world.hub.serve(world.now),
            Step::Begin { session, keys, from } if !self.watchers.contains_key(&session) => {
                self.begin(session, range(keys), (from > 0).then_some(from));
            }
            Step::Ready(session) => {
                if let Some(watcher) = self.watchers.get_mut(&session) {
                    watcher.take()?;
                    watcher.is_waiting = false;
                    world.hub.on_ready(SessionId(session));
                }
            }
            Step::End(session) => {
                world.hub.end(SessionId(session));
                if let Some(mut watcher) = self.watchers.remove(&session) {
                    watcher.take()?;
                    watcher.check(&self.changes, false)?;
                }
            }
            Step::Silence => world.pass(SILENCE),
            Step::Show | Step::Begin { .. } => {}
        }
        Ok(())
    }

    fn begin(&mut self, session: u64, keys: KeyRange, from: Option<u64>) {
        let (world, inbox) = (&mut self.world, Inbox::default());
        world.show();
        let first = from.unwrap_or(world.log.store.revision() + 1);
        let (filter, port) = (WatchFilter::all(keys.clone()), inbox.clone());
        let new = NewWatch { session: SessionId(session), filter, from, port, held: () };
        world.hub.begin(new, world.now);
        let (stream, is_waiting) = (Vec::new(), false);
        self.watchers.insert(session, Watcher { inbox, keys, first, stream, is_waiting });
    }

    /// Lets everybody take everything, and looks at what they got.
    fn end(mut self) -> Result<(), TestCaseError> {
        if !self.watchers.is_empty() {
            self.world.show();
        }
        for _ in 0..4 {
            self.world.serve();
            for (session, watcher) in &mut self.watchers {
                watcher.take()?;
                watcher.is_waiting = false;
                self.world.hub.on_ready(SessionId(*session));
            }
        }
        self.watchers.values().try_for_each(|watcher| watcher.check(&self.changes, true))
    }
}

proptest! {
    /// Whatever happens in whatever order, a watch is sent each change of its keys once, in
    /// order, each revision as a whole, and no end of a revision too early; and everything in
    /// the end.
    #[test]
    fn a_watch_sees_exactly_the_changes(
        steps in prop::collection::vec(steps(), 1..200),
    ) {
        let mut play = Play::new();
        for step in steps {
            play.step(step)?;
        }
        play.end()?;
    }
}
