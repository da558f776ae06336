//! Watches: when they begin, what is sent, and how they end.

use super::*;
use crate::protocol::WatchRequest;

impl Fixture {
    /// A session whose watch runs from revision 8 on.
    fn watching() -> Fixture {
        let mut f = Fixture::new(SETTINGS);
        f.read("watch key k from 8\r\n");
        assert!(f.session.take_watch().is_some());
        f.session.begin_watch(8, &mut f.io);
        assert_eq!((f.step(), f.heard()), (Step::Done, "WATCHING 8\r\n".to_owned()));
        f
    }

    fn put_text(&mut self, text: &'static str) {
        self.session.put_watch_text(text.into(), &mut self.io);
    }
}

#[test]
fn a_watch_waits_for_the_commands_before_it() {
    let mut f = Fixture::new(SETTINGS);
    f.read("get a\r\nwatch prefix p from 8 prev\r\nquit\r\n");
    assert_eq!(f.session.take_watch(), None);
    assert!(!f.wants_input());
    let slots = f.slots();
    f.answer(slots[0], value("1"));
    let keys = kv::KeyRange::prefix("p".into());
    let watch = WatchRequest { keys, from: Some(8), wants_previous: true };
    assert_eq!(f.session.take_watch(), Some(watch));
    assert_eq!(f.session.take_watch(), None, "it is taken once");
    assert!(!f.session.is_watching() && !f.wants_input());
    assert_eq!(f.step(), Step::Done);
    f.session.begin_watch(8, &mut f.io);
    assert_eq!(f.heard(), "VALUE 1\r\n1\r\nWATCHING 8\r\n");
    assert!(f.session.is_watching());
    f.step();
    assert!(!f.session.is_watching(), "the quit behind the watch ends it");
    assert_eq!(f.close(), Closing::Linger);
}

#[test]
fn events_are_wanted_when_all_is_sent() {
    let mut f = Fixture::watching();
    assert!(f.session.wants_events(&f.io) && f.wants_input());
    f.put_text("DELETED k 8\r\nEND 8\r\n");
    assert!(!f.session.wants_events(&f.io));
    assert!(f.wants_input(), "a quit must be heard even if the client does not read");
    assert_eq!(f.heard(), "DELETED k 8\r\nEND 8\r\n");
    assert!(f.session.wants_events(&f.io));
    assert_eq!(f.close(), Closing::No);
    f.session.update_memory(&mut f.io);
    assert_eq!(f.io.used_bytes, 0, "an idle watch holds nothing");
}

#[test]
fn a_watch_that_is_refused_leaves_the_connection_as_it_was() {
    let mut f = Fixture::new(SETTINGS);
    f.read("watch key k from 3\r\nping\r\n");
    assert!(f.session.take_watch().is_some());
    f.session.refuse_watch(ErrorReply::Compacted { revision: 9 });
    f.step();
    assert_eq!(f.heard(), "ERR_COMPACTED 9\r\nPONG\r\n");
    assert!(f.wants_input() && !f.session.is_watching());
    f.session.refuse_watch(ErrorReply::Busy);
    f.session.begin_watch(9, &mut f.io);
    f.put_text("END 9\r\n");
    assert_eq!(f.heard(), "", "there is no watch any more");
}

#[test]
fn a_watch_ends_with_an_error_as_its_last_line() {
    let mut f = Fixture::watching();
    f.put_text("END 8\r\n");
    f.session.end_watch(ErrorReply::Compacted { revision: 20 });
    f.put_text("END 9\r\n");
    f.session.end_watch(ErrorReply::Busy);
    f.step();
    assert_eq!(f.heard(), "END 8\r\nERR_COMPACTED 20\r\n");
    assert_eq!(f.close(), Closing::Linger);
    f.session.on_input_end();
    assert_eq!(f.close(), Closing::Stop);
}

#[test]
fn while_a_watch_runs_only_quit_may_be_sent() {
    let told = "ERR_CMD_ERR while a watch runs only quit may be sent; the watch has ended\r\n";
    for line in
        ["ping\r\n", "watch key k\r\n", "what\r\n", "\r\n", "set k 0 5\r\n", "set k x 5\r\n"]
    {
        let mut f = Fixture::watching();
        f.read(line);
        assert_eq!(f.heard(), told, "{line}");
        assert!(!f.session.is_watching() && f.requests().is_empty(), "{line}");
        assert_eq!(f.close(), Closing::Linger, "{line}");
    }
    let mut f = Fixture::watching();
    f.read("QUI");
    assert!(f.session.is_watching() && f.wants_input());
    f.read("T\r\nping\r\n");
    assert_eq!((f.heard(), f.close()), (String::new(), Closing::Linger));
    let mut f = Fixture::watching();
    f.read(&"x".repeat(2000));
    assert_eq!(f.heard(), "ERR_TOO_LARGE a line has at most 1024 bytes\r\n");
}

#[test]
fn a_client_that_ends_its_input_ends_the_watch() {
    let mut f = Fixture::watching();
    f.put_text("END 8\r\n");
    f.session.on_input_end();
    f.step();
    assert!(!f.session.is_watching() && !f.session.wants_events(&f.io) && !f.wants_input());
    assert_eq!(f.close(), Closing::No, "there is unsent text");
    f.heard();
    assert_eq!(f.close(), Closing::Stop);
    // Before the watch has begun it has its reply like any other command.
    let mut f = Fixture::new(SETTINGS);
    f.read("watch key k\r\n");
    f.session.on_input_end();
    f.step();
    assert_eq!(f.close(), Closing::No);
    assert!(f.session.take_watch().is_some());
    f.session.begin_watch(8, &mut f.io);
    assert_eq!(f.heard(), "WATCHING 8\r\n");
    assert_eq!(f.close(), Closing::Stop);
}

#[test]
fn a_session_that_is_ended_has_no_watch() {
    let mut f = Fixture::watching();
    f.session.end();
    f.step();
    assert!(!f.session.is_watching());
    assert_eq!((f.heard(), f.close()), (String::new(), Closing::Linger));
    let mut f = Fixture::new(SETTINGS);
    f.read("watch key k\r\n");
    assert!(f.session.take_watch().is_some());
    f.session.end();
    f.session.begin_watch(8, &mut f.io);
    assert!(!f.session.is_watching());
    assert_eq!(f.heard(), "", "the server stops");
}
