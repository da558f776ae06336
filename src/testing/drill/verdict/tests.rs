//! Histories that are right, and histories with each fault that a check is for.

use super::*;

fn operation(key: &str, action: Action, times: (u64, u64), answer: Answer) -> Operation {
    let key = Bytes::copy_from_slice(key.as_bytes());
    let (invoked, returned) = times;
    Operation { client: 1, key, action, invoked, returned, answer, clock_ms: 0, latest_clock_ms: 0 }
}

fn set(key: &str, value: &'static str, times: (u64, u64), version: u64) -> Operation {
    operation(key, Action::Set(Bytes::from(value)), times, Answer::Stored(version))
}

fn add(key: &str, value: &'static str, answer: Answer) -> Operation {
    operation(key, Action::Add(Bytes::from(value)), (1, 2), answer)
}

fn item(key: &str, version: u64, value: &str) -> Item {
    Item { key: key.into(), version, exptime: 0, value: value.into() }
}

fn refusal(history: Vec<Operation>, items: Vec<Item>) -> String {
    check_history(history, items).expect_err("the history has a fault").to_string()
}

#[test]
fn a_history_with_all_of_its_writes_passes() {
    let lost = operation("a", Action::Delete, (5, 6), Answer::Unknown);
    let history = vec![set("a", "1", (1, 2), 7), set("a", "2", (3, 4), 8), lost];
    assert!(check_history(history.clone(), vec![item("a", 8, "2")]).is_ok());
    assert!(check_history(history, Vec::new()).is_ok(), "the deletion may have been executed");
}

#[test]
fn a_lost_acknowledged_write_is_noticed() {
    let history = vec![set("a", "1", (1, 2), 7), set("a", "2", (3, 4), 8)];
    assert!(refusal(history.clone(), vec![item("a", 7, "1")]).contains("not linearizable"));
    assert!(refusal(history, Vec::new()).contains("not linearizable"));
    let ledger = vec![add("ledger1", "1", Answer::Stored(7))];
    assert!(refusal(ledger, Vec::new()).contains("NotFound"));
}

#[test]
fn a_write_that_was_executed_twice_is_noticed() {
    let twice = vec![set("a", "1", (1, 2), 7)];
    assert!(refusal(twice, vec![item("a", 9, "1")]).contains("executed twice, at 7 and 9"));
    let found = vec![add("ledger1", "1", Answer::Exists(7))];
    assert!(refusal(found, vec![item("ledger1", 7, "1")]).contains("Exists(7)"));
}

#[test]
fn a_write_that_was_refused_and_executed_and_a_key_of_nobody_are_noticed() {
    let refused = vec![add("ledger1", "1", Answer::Refused)];
    assert!(refusal(refused, vec![item("ledger1", 7, "1")]).contains("Refused"));
    assert!(refusal(Vec::new(), vec![item("b", 7, "1")]).contains("nobody wrote"));
}

#[test]
fn the_longest_gap_counts_acknowledged_writes_only_and_both_ends() {
    let ms = |ms: u64| ms * NANOS_PER_MS;
    let lost = operation("a", Action::Delete, (1, ms(60)), Answer::Unknown);
    let history = [set("a", "1", (1, ms(10)), 7), lost, set("a", "2", (2, ms(90)), 8)];
    assert_eq!(longest_gap_ms(&history, ms(100)), 80);
    assert_eq!(longest_gap_ms(&history, ms(300)), 210);
    assert_eq!(longest_gap_ms(&[], ms(30)), 30);
}

#[test]
fn lost_and_failed_commands_are_counted() {
    let history = vec![
        add("ledger1", "1", Answer::Stored(7)),
        add("ledger2", "2", Answer::Stored(8)),
        add("ledger3", "3", Answer::Unknown),
        add("ledger4", "4", Answer::Refused),
    ];
    assert_eq!(count_failed(&history), 2);
    let items = [item("ledger1", 7, "1"), item("ledger2", 8, "2")];
    assert!(lost_writes(&history, &items).is_empty());
    assert_eq!(lost_writes(&history, &items[..1]), ["ledger2"]);
    assert_eq!(lost_writes(&history, &[item("ledger1", 9, "1"), items[1].clone()]), ["ledger1"]);
}

#[test]
fn errors_and_panics_in_a_log_are_noticed() {
    assert!(check_log(1, "t WARN  n1 peer disconnected\n").is_ok());
    assert!(check_log(1, "t INFO  n1 started\nt ERROR n1 has lost entries\n").is_err());
    assert!(check_log(1, "thread 'main' panicked at src/a.rs:1:1:\n").is_err());
}
