use bytes::Bytes;

use super::super::error_reply::ErrorReply;
use super::*;

fn value(bytes: usize) -> Reply {
    Reply::Value(Bytes::from(vec![b'v'; bytes]))
}

#[test]
fn replies_leave_in_the_order_of_the_commands() {
    let mut window = Window::new(1024, 4096);
    let first = window.open_write(10, false);
    let second = window.open_read();
    window.push_answered(Reply::Pong);
    assert!(window.answer(second, value(3)));
    assert_eq!(window.pop_due(), None);
    assert!(window.answer(first, Reply::Deleted));
    assert_eq!(window.pop_due(), Some(Some(Reply::Deleted)));
    assert_eq!(window.pop_due(), Some(Some(value(3))));
    assert_eq!(window.pop_due(), Some(Some(Reply::Pong)));
    assert_eq!(window.pop_due(), None);
    assert_eq!((window.is_empty(), window.held_bytes()), (true, 0));
}

#[test]
fn a_result_that_nobody_waits_for_changes_nothing() {
    let mut window = Window::new(1024, 4096);
    let slot = window.open_write(10, false);
    assert!(!window.answer(slot + 1, Reply::Deleted));
    assert!(window.answer(slot, Reply::Deleted));
    assert!(!window.answer(slot, Reply::Pong), "answered twice");
    assert_eq!(window.pop_due(), Some(Some(Reply::Deleted)));
    assert!(!window.answer(slot, Reply::Pong), "answered after it left");
    assert_eq!(window.held_bytes(), 0);
}

#[test]
fn a_write_that_has_timed_out_costs_until_it_is_settled() {
    let timeout = Reply::Error(ErrorReply::Timeout);
    let mut window = Window::new(1024, 4096);
    let slot = window.open_write(100, false);
    let cost = window.held_bytes();
    assert!(window.time_out(slot, timeout.clone()));
    assert_eq!(window.pop_due(), Some(Some(timeout.clone())));
    assert_eq!((window.is_empty(), window.held_commands()), (true, 1));
    assert_eq!(window.held_bytes(), cost);
    assert!(window.settle(100));
    assert!(!window.settle(100), "settled twice");
    assert_eq!((window.held_commands(), window.held_bytes()), (0, 0));
    assert!(!window.time_out(slot, timeout), "no command waits in the slot");
    assert_eq!(window.held_commands(), 0);
}

#[test]
fn each_of_several_writes_that_have_timed_out_frees_its_own_bytes() {
    let timeout = Reply::Error(ErrorReply::Timeout);
    let mut window = Window::new(1024, 4096);
    let slots = [100, 200, 300].map(|bytes| window.open_write(bytes, false));
    let cost = window.held_bytes();
    for slot in slots {
        window.time_out(slot, timeout.clone());
        window.pop_due();
    }
    assert_eq!((window.held_commands(), window.held_bytes()), (3, cost));
    assert!(window.settle(200));
    assert_eq!(window.held_bytes(), cost - 200 - COMMAND_OVERHEAD_BYTES);
    assert!(window.settle(100));
    assert_eq!(window.held_bytes(), 300 + COMMAND_OVERHEAD_BYTES);
    assert!(window.settle(300));
    assert_eq!((window.held_commands(), window.held_bytes()), (0, 0));
}

#[test]
fn noreply_leaves_in_its_turn_and_silently() {
    let mut window = Window::new(1024, 4096);
    let silent = window.open_write(10, true);
    window.push_answered(Reply::Pong);
    assert_eq!(window.pop_due(), None, "pong waits for the outcome of the silent one");
    window.answer(silent, Reply::Deleted);
    assert_eq!(window.pop_due(), Some(None));
    assert_eq!(window.pop_due(), Some(Some(Reply::Pong)));
}

#[test]
fn reads_are_expected_to_be_large_until_they_prove_small() {
    let mut window = Window::new(1024 * 1024, 4096);
    let mut expected = Vec::new();
    for _ in 0..200 {
        let slot = window.open_read();
        expected.push(window.held_bytes());
        window.answer(slot, value(10));
        window.pop_due();
    }
    assert_eq!(expected[0], 1024 * 1024);
    assert!(expected.is_sorted_by(|a, b| a >= b));
    assert_eq!(expected[199], READ_BYTES_MIN);
    let slot = window.open_read();
    window.answer(slot, value(500_000));
    window.open_read();
    assert!(window.held_bytes() >= 1_000_000, "one large value makes the next expected large");
}
