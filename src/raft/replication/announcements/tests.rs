//! The announcements to one peer, by themselves.

use super::*;

#[test]
fn a_round_is_new_until_a_request_carries_it() {
    let mut news = Announcements::default();
    news.update(LogIndex(4), 2, false);
    assert!(news.has_new_round());
    assert_eq!(news.announce(), (LogIndex(4), 2));
    assert!(!news.has_new_round());
}

#[test]
fn a_heartbeat_stays_due_until_it_is_taken() {
    let mut news = Announcements::default();
    news.update(LogIndex(0), 0, true);
    news.update(LogIndex(1), 0, false);
    assert!(news.take_heartbeat());
    assert!(!news.take_heartbeat());
}

#[test]
fn the_newest_confirmed_round_counts() {
    let mut news = Announcements::default();
    news.on_confirmed(3);
    news.on_confirmed(1);
    assert_eq!(news.confirmed_read_seq(), 3);
}
