use super::*;

fn operation(action: Action, invoked: u64, returned: u64, answer: Answer) -> Operation {
    Operation {
        client: 1,
        key: Bytes::from("k"),
        action,
        invoked,
        returned,
        answer,
        clock_ms: 0,
        latest_clock_ms: 0,
    }
}

fn value(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

fn set(text: &'static str, at: (u64, u64), version: u64) -> Operation {
    operation(Action::Set(value(text)), at.0, at.1, Answer::Stored(version))
}

fn lost_set(text: &'static str, invoked: u64) -> Operation {
    operation(Action::Set(value(text)), invoked, u64::MAX, Answer::Unknown)
}

fn get(text: &'static str, at: (u64, u64), version: u64) -> Operation {
    operation(Action::Get, at.0, at.1, Answer::Value(version, value(text)))
}

fn get_nothing(at: (u64, u64)) -> Operation {
    operation(Action::Get, at.0, at.1, Answer::NotFound)
}

fn delete(at: (u64, u64), answer: Answer) -> Operation {
    operation(Action::Delete, at.0, at.1, answer)
}

fn cas(version: u64, text: &'static str, at: (u64, u64), answer: Answer) -> Operation {
    operation(Action::Cas(version, value(text)), at.0, at.1, answer)
}

fn assert_good(history: &[Operation]) {
    assert_eq!(check(history), Verdict::Linearizable);
}

fn assert_bad(history: &[Operation]) {
    assert!(matches!(check(history), Verdict::Violation(_)), "{history:?}");
}

#[test]
fn a_sequential_history_is_linearizable() {
    assert_good(&[
        get_nothing((1, 2)),
        set("a", (3, 4), 1),
        get("a", (5, 6), 1),
        cas(1, "b", (7, 8), Answer::Stored(2)),
        cas(1, "c", (9, 10), Answer::Mismatch(2)),
        delete((11, 12), Answer::Deleted),
        delete((13, 14), Answer::NotFound),
    ]);
}

#[test]
fn a_stale_read_is_found() {
    assert_bad(&[set("a", (1, 2), 1), set("b", (3, 4), 2), get("a", (5, 6), 1)]);
}

#[test]
fn a_read_during_a_write_may_see_either() {
    for seen in [get("a", (4, 5), 1), get("b", (4, 5), 2)] {
        assert_good(&[set("a", (1, 2), 1), set("b", (3, 6), 2), seen]);
    }
}

#[test]
fn a_value_that_was_read_does_not_vanish_again() {
    assert_bad(&[
        set("a", (1, 2), 1),
        set("b", (3, 10), 2),
        get("b", (4, 5), 2),
        get("a", (6, 7), 1),
    ]);
}

#[test]
fn a_lost_acknowledged_write_is_found() {
    assert_bad(&[set("a", (1, 2), 1), get_nothing((3, 4))]);
}

#[test]
fn a_write_without_an_answer_may_happen_late_or_never_but_once() {
    let begin = [lost_set("a", 1), set("b", (2, 3), 5)];
    assert_good(&[&begin[..], &[get("b", (4, 5), 5)]].concat());
    assert_good(&[&begin[..], &[get("b", (4, 5), 5), get("a", (6, 7), 9)]].concat());
    let back = [get("a", (4, 5), 9), get("b", (6, 7), 5)];
    assert_bad(&[&begin[..], &back].concat());
}

#[test]
fn a_refused_write_that_is_read_is_found() {
    let refused = operation(Action::Set(value("a")), 1, 2, Answer::Refused);
    assert_bad(&[refused, get("a", (3, 4), 1)]);
}

#[test]
fn two_cas_of_one_version_cannot_both_succeed() {
    assert_bad(&[
        set("a", (1, 2), 1),
        cas(1, "b", (3, 6), Answer::Stored(2)),
        cas(1, "c", (4, 5), Answer::Stored(3)),
    ]);
}

#[test]
fn a_cas_that_fails_needs_another_version_to_fail_at() {
    assert_bad(&[set("a", (1, 2), 1), cas(1, "b", (3, 4), Answer::Mismatch(1))]);
    assert_good(&[lost_set("x", 0), set("a", (1, 2), 1), {
        cas(1, "b", (3, 4), Answer::Mismatch(7))
    }]);
}

#[test]
fn a_read_of_an_unwritten_value_is_found() {
    assert_bad(&[get("a", (1, 2), 1)]);
}

#[test]
fn a_delete_may_meet_a_write_without_an_answer() {
    let deleted = [lost_set("a", 1), delete((2, 3), Answer::Deleted)];
    assert_good(&[&deleted[..], &[get_nothing((4, 5))]].concat());
    let again = delete((4, 5), Answer::Deleted);
    assert_bad(&[&deleted[..], &[again]].concat());
}

#[test]
fn a_delete_needs_something_to_delete() {
    assert_bad(&[delete((1, 2), Answer::Deleted)]);
    assert_bad(&[set("a", (1, 2), 1), delete((3, 4), Answer::NotFound)]);
}
