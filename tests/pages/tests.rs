//! The test is tested: how pages are read, and how lines are compared.

use std::collections::BTreeMap;

use super::page::{Part, Rules, Step, steps};
use super::words::{Found, fit, mark, normal, replace, without_numbers};

fn command(line: usize, typed: &str, printed: &[&str]) -> Step {
    let printed = printed.iter().map(|line| (*line).to_owned()).collect();
    Step { line, part: Part::Command { typed: typed.into(), printed }, rules: Rules::default() }
}

fn event(line: usize, event: &str) -> Step {
    Step { line, part: Part::Event(event.into()), rules: Rules::default() }
}

#[test]
fn a_page_is_read_as_events_commands_and_outputs() {
    let page = "text\n<!-- test: start 3 servers; kill 3 -->\n```console\n$ coracle a\nb\n\n\
                $ coracle c \\\n  d\n```\n$ no command\n  ```sh\n  one\n    two\n  ```\n\
                ```text\nno command\n```\n";
    let part = Part::Script("one\n  two".into());
    let expected = vec![
        event(2, "start 3 servers"),
        event(2, "kill 3"),
        command(4, "coracle a", &["b", ""]),
        command(7, "coracle c \\\n  d", &[]),
        Step { line: 11, part, rules: Rules::default() },
    ];
    assert_eq!(steps(page), Ok(expected));
}

#[test]
fn rules_are_for_the_next_block_alone() {
    let page = "<!-- test: learn 4711 n3; any x;\n  exit 0 or 3; background -->\n```console\n\
                $ a\n```\n```console\n$ b\n```\n<!-- test: skip it takes minutes; really -->\n\
                ```sh\nc\n```\n<!-- test: run d; e -->\n";
    let steps = steps(page).unwrap();
    let rules = &steps[0].rules;
    assert_eq!(rules.learn, ["4711", "n3"]);
    assert_eq!((&rules.any[..], &rules.exit[..]), (&["x".to_owned()][..], &[0, 3][..]));
    assert!(rules.is_background && !rules.has_any_numbers);
    assert_eq!(steps[1], command(7, "b", &[]));
    let reason = "it takes minutes; really".to_owned();
    assert_eq!(steps[2].part, Part::Skipped { typed: "c".into(), reason });
    assert_eq!(steps[3], event(13, "run d; e"));
}

#[test]
fn a_block_that_would_not_be_run_is_a_failure() {
    let failure = |page: &str| steps(page).unwrap_err();
    assert!(failure("```bash\nls\n```\n").starts_with("3: a block of \"bash\" is neither run"));
    assert!(failure("```text\n$ ls\n```\n").starts_with("3: a command is in a block"));
    assert!(failure("```console\nls\n```\n").starts_with("3: a block of console begins"));
    assert!(failure("```sh\nls\n").starts_with("the page ends"));
    assert!(failure("<!-- test: background -->\n").starts_with("the page ends"));
    let rule = "<!-- test: background -->\n<!-- test: kill 3 -->\n";
    assert!(failure(rule).starts_with("2: \"kill 3\" comes between"));
    assert!(failure("<!-- test: any a -->\n```text\na\n```\n").starts_with("4: the rules are not"));
}

#[test]
fn words_are_replaced_where_they_are_words() {
    let table = [("9000", "11"), ("10.0.0.1:9000", "h:22"), ("PID", "7")];
    let table: BTreeMap<String, String> =
        table.into_iter().map(|(there, here)| (there.into(), here.into())).collect();
    let text = "10.0.0.1:9000 9000, 19000 90001 x:9000 PIDS PID";
    assert_eq!(replace(text, &table), "h:22 11, 19000 90001 x:11 PIDS 7");
}

fn fits(pattern: &[&str], lines: &[&str], is_open: bool) -> Option<Found> {
    let words = ["4711".to_owned(), "n3".to_owned()];
    let pattern: Vec<String> = pattern.iter().map(|line| mark(line, &words)).collect();
    let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
    let mut found = Found::new();
    fit(&pattern, &lines, is_open, &mut found).then_some(found)
}

#[test]
fn lines_are_compared_one_by_one_and_marks_and_dots_stand_for_others() {
    assert!(fits(&["a", "b"], &["a", "b"], false).is_some());
    assert!(fits(&["a", "b"], &["a", "c"], false).is_none());
    assert!(fits(&["a"], &["a", "b"], false).is_none());
    assert!(fits(&["a"], &["a", "b"], true).is_some());
    assert!(fits(&["a", "b"], &["a"], true).is_none());
    assert!(fits(&["a", "...", "d"], &["a", "b", "c", "d"], false).is_some());
    assert!(fits(&["a", "...", "d"], &["a", "b", "c"], false).is_none());
    assert!(fits(&["x=1...2 b"], &["x=1999992 b"], false).is_some());
    assert!(fits(&["x=1...2 b"], &["x=1999992 c"], false).is_none());
    let found = fits(&["...", "n3 (pid 4711) leads"], &["n1 (pid 1)", "n5 (pid 12) leads"], true);
    assert_eq!(found, Some(Found::from([(0, "12".to_owned()), (1, "n5".to_owned())])));
}

#[test]
fn only_what_differs_from_run_to_run_is_not_compared() {
    let same = |one: &str, other: &str| normal(one) == normal(other);
    assert!(same("change 17: remove 1", "change 4321: remove 1"));
    assert!(!same("change 17: remove 1", "change 17: remove 2"));
    assert!(same(
        "2  voter  follower  h:1  12 ms  0  1..3  0.3.0",
        "2  voter  follower  h:1  4 s  7  1..3  1.0.12"
    ));
    assert!(!same(
        "2  voter  follower  h:1  12 ms  0  1..3  0.3.0",
        "2  voter  unseen  h:1  12 ms  0  1..3  0.3.0"
    ));
    assert!(!same(
        "2  voter  follower  h:1  12 ms  0  1..3  0.3.0",
        "2  voter  follower  h:1  12 ms  0  1..4  0.3.0"
    ));
    assert!(same("connected after 4 s", "connected after 12 ms"));
    assert!(same("1 round", "3 rounds"));
    assert!(same("`coracle member wait 17` (term 3).", "`coracle member wait 9` (term 12)."));
    assert!(same("keys=2 bytes=13 digest=5c2b...e1", "keys=2 bytes=1 digest=77aa"));
    assert!(!same("keys=2 bytes=13", "keys=3 bytes=13"));
    assert!(!same("4 voters, 3 needed, 3 here", "4 voters, 3 needed, 4 here"));
}

#[test]
fn a_block_may_leave_out_its_numbers_and_nothing_else() {
    let same = |one: &str, other: &str| without_numbers(one) == without_numbers(other);
    assert!(same("3  follower  4.0 ms  1.0 MiB  -", "3   follower  130 us  8 KiB  12,345"));
    assert!(same("p50 2.7 ms, p99 10.4 ms; more", "p50 900 us, p99 1 s; more"));
    assert!(!same("3  follower  4.0 ms", "3  leader  4.0 ms"));
    assert!(!same("20 ok, 1 warning", "20 ok, 1 failure"));
}
