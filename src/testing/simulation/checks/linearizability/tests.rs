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

fn at_key(key: &'static str, operation: Operation) -> Operation {
    Operation { key: key.into(), ..operation }
}

fn part_set(key: &'static str, text: &'static str) -> Part {
    Part::Set(key.into(), 0, value(text))
}

fn transaction(parts: &[Part], at: (u64, u64), answer: Answer) -> Operation {
    operation(Action::Transaction(parts.to_vec()), at.0, at.1, answer)
}

/// Sets the keys `a` and `b` at one revision.
fn set_both(text: &'static str, at: (u64, u64), revision: u64) -> Operation {
    let parts = [part_set("a", text), part_set("b", text)];
    let answers = vec![Answer::Stored(revision); 2];
    transaction(&parts, at, Answer::Committed(revision, answers))
}

fn get_both(texts: [(&'static str, u64); 2], at: (u64, u64)) -> Operation {
    let parts = [Part::Get("a".into()), Part::Get("b".into())];
    let seen = texts.map(|(text, version)| Answer::Value(version, value(text)));
    transaction(&parts, at, Answer::Committed(9, seen.to_vec()))
}

#[test]
fn a_transaction_that_is_half_executed_is_found() {
    let writes = [set_both("x", (1, 2), 1), set_both("y", (3, 8), 2)];
    let with = |read| [&writes[..], &[read]].concat();
    assert_good(&with(get_both([("x", 1), ("x", 1)], (4, 5))));
    assert_good(&with(get_both([("y", 2), ("y", 2)], (4, 5))));
    assert_bad(&with(get_both([("y", 2), ("x", 1)], (4, 5))));
}

#[test]
fn reads_of_two_keys_that_no_order_explains_are_found() {
    // Each key's history is linearizable by itself.
    let writes = [set_both("x", (1, 2), 1), set_both("y", (3, 20), 2)];
    let read = |key, text, at, version| at_key(key, get(text, at, version));
    let reads = [read("a", "y", (4, 5), 2), read("b", "x", (6, 7), 1)];
    assert_bad(&[&writes[..], &reads].concat());
    let others = [read("a", "y", (4, 7), 2), read("b", "x", (5, 6), 1)];
    assert_good(&[&writes[..], &others].concat());
}

#[test]
fn a_check_holds_or_fails_at_one_moment_with_the_rest() {
    let check = |version| Part::Check("b".into(), version);
    let checked = |version, answer| {
        let parts = [check(version), part_set("a", "z")];
        [set_both("x", (1, 2), 1), transaction(&parts, (3, 4), answer)]
    };
    let done = Answer::Committed(2, vec![Answer::Stored(2)]);
    assert_good(&checked(1, done.clone()));
    assert_bad(&checked(0, done));
    assert_good(&checked(0, Answer::Aborted("b".into(), 1)));
    assert_bad(&checked(1, Answer::Aborted("b".into(), 1)));
    let after = at_key("a", get("z", (5, 6), 2));
    assert_bad(&[&checked(0, Answer::Aborted("b".into(), 1))[..], &[after]].concat());
}

#[test]
fn reads_in_a_transaction_see_its_writes() {
    let parts = [part_set("a", "x"), Part::Get("a".into()), Part::Delete("b".into())];
    let with = |seen| {
        let answers = vec![Answer::Stored(1), seen, Answer::NotFound];
        [transaction(&parts, (1, 2), Answer::Committed(1, answers))]
    };
    assert_good(&with(Answer::Value(1, value("x"))));
    assert_bad(&with(Answer::NotFound));
}

#[test]
fn a_transaction_without_an_answer_happens_whole_or_never() {
    let lost = transaction(&[part_set("a", "x"), part_set("b", "x")], (1, 0), Answer::Unknown);
    let lost = Operation { returned: u64::MAX, ..lost };
    let absent = |key, at| at_key(key, get_nothing(at));
    let there = |key, at| at_key(key, get("x", at, 4));
    assert_good(&[lost.clone(), absent("a", (2, 3)), absent("b", (4, 5))]);
    assert_good(&[lost.clone(), there("a", (2, 3)), there("b", (4, 5))]);
    assert_bad(&[lost, there("a", (2, 3)), absent("b", (4, 5))]);
}
