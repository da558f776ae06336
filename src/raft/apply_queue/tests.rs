//! The queue by itself.

use super::*;

fn queue() -> ApplyQueue {
    let mut queue = ApplyQueue::starting_at(LogIndex(3));
    queue.on_submitted(LogIndex(5));
    queue
}

#[test]
fn a_page_is_read_when_the_store_has_applied_all() {
    let mut queue = queue();
    assert!(!queue.may_read());
    queue.on_applied(LogIndex(4));
    assert!(!queue.may_read());
    queue.on_applied(LogIndex(5));
    assert!(queue.may_read());
}

#[test]
#[should_panic(expected = "the store reports 6 as applied, was given 5")]
fn a_store_that_applies_more_than_it_was_given_is_found_out() {
    queue().on_applied(LogIndex(6));
}

#[test]
#[should_panic(expected = "the store reports 3 as applied")]
fn a_store_that_goes_back_is_found_out() {
    let mut queue = queue();
    queue.on_applied(LogIndex(4));
    queue.on_applied(LogIndex(3));
}

#[test]
#[should_panic(expected = "no entries were asked for")]
fn a_page_that_nobody_asked_for_is_found_out() {
    queue().end_reading();
}

/// The page of the old log is dropped, and the next one counts.
#[test]
fn an_install_makes_a_page_under_way_stale() {
    let mut queue = queue();
    queue.begin_reading();
    queue.on_installed(LogIndex(9));
    assert!(!queue.is_reading());
    queue.begin_reading();
    assert!(!queue.end_reading());
    assert!(queue.is_reading(), "its own page is still to come");
    assert!(queue.end_reading());
    assert!(!queue.is_reading());
}
