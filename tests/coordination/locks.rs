//! `coracle lock`: whose turn it is, and what the command gets.

use std::fs;

use super::process::{
    Running, directory, done, is_alive, queue, signal, start, three_servers, wait_for_places,
};
use crate::common::Cluster;

/// A time of a lease that no test waits for, in seconds.
const LONG: &str = "3000";

/// A shell script that prints that it runs, and goes on when there is a file `go`.
const UNTIL_GO: &str = "echo runs; while [ ! -e go ]; do sleep 0.02; done";

/// Starts a command under the lock `l`, as the holder `name`.
fn lock(cluster: &Cluster, name: &str, script: &str) -> Running {
    let arguments = ["lock", "l", "--seconds", LONG, "--holder", name];
    start(cluster, &arguments, &["sh", "-c", script])
}

#[test]
fn the_lock_goes_round_in_the_order_of_asking() {
    let cluster = three_servers();
    // Each notes its beginning and its end; they would be mixed if two ran at a time.
    let script = |name: &str| format!("echo {name} >> order; sleep 0.1; echo {name} >> order");
    let first = lock(&cluster, "first", UNTIL_GO);
    assert_eq!(first.line(), "runs");
    let names = ["a", "b", "c", "d"];
    let waiting: Vec<Running> = names
        .iter()
        .enumerate()
        .map(|(before, name)| {
            let running = lock(&cluster, name, &script(name));
            wait_for_places(&cluster, "l", before + 2);
            running
        })
        .collect();
    let places: Vec<String> = queue(&cluster, "l").into_iter().map(|(_, name)| name).collect();
    assert_eq!(places, ["first", "a", "b", "c", "d"]);
    fs::write(directory(&cluster).join("go"), "").unwrap();
    for running in waiting.into_iter().chain([first]) {
        assert_eq!(running.end(), (0, vec![], String::new()));
    }
    let order = fs::read_to_string(directory(&cluster).join("order")).unwrap();
    assert_eq!(order, "a\na\nb\nb\nc\nc\nd\nd\n");
    assert_eq!(queue(&cluster, "l"), []);
}

/// Each hand-over of the lock writes one entry, however many wait: the end of a lease.
#[test]
fn a_hand_over_wakes_nobody_but_the_next_one() {
    let cluster = three_servers();
    let first = lock(&cluster, "first", UNTIL_GO);
    assert_eq!(first.line(), "runs");
    let second = lock(&cluster, "second", "echo runs; exec sleep 1000");
    wait_for_places(&cluster, "l", 2);
    let others: Vec<Running> = (0..4).map(|_| lock(&cluster, "other", "echo runs")).collect();
    wait_for_places(&cluster, "l", 6);
    let revision = || {
        let status = cluster.status(cluster.wait_for_leader()).unwrap();
        status["revision"].parse::<u64>().unwrap()
    };
    let before = revision();
    fs::write(directory(&cluster).join("go"), "").unwrap();
    assert_eq!(second.line(), "runs");
    assert_eq!(first.end().0, 0);
    assert_eq!((revision(), queue(&cluster, "l").len()), (before + 1, 5));
    drop(others);
}

#[test]
fn the_command_gets_what_it_needs_and_its_exit_code_is_told() {
    let cluster = three_servers();
    let run = |command: &[&str]| start(&cluster, &["lock", "l"], command).end();
    assert_eq!(run(&["true"]), (0, vec![], String::new()));
    assert_eq!(run(&["sh", "-c", "exit 7"]), (7, vec![], String::new()));
    assert_eq!(run(&["sh", "-c", "kill -9 $$"]), (128 + 9, vec![], String::new()));
    let (code, _, said) = run(&["/no/such/command", "--config"]);
    assert_eq!(code, 127);
    assert!(said.starts_with("coracle: /no/such/command: "), "{said}");
    let (code, _, said) = run(&["/"]);
    assert!(code == 126 && said.starts_with("coracle: /: "), "{said}");
    let (_, printed, _) = run(&["printf", "%s\n", "a b", "--wait", "$HOME"]);
    assert_eq!(printed, ["a b", "--wait", "$HOME"]);

    let script = "echo $CORACLE_LOCK_KEY $CORACLE_LOCK_TOKEN; $CORACLE scan l/";
    let (_, printed, _) = run(&["sh", "-c", script]);
    let (key, token) = printed[0].split_once(' ').unwrap();
    assert!(key.starts_with("l/") && key.len() == 18, "{key}");
    let place: Vec<&str> = printed[1].split(' ').take(2).collect();
    assert_eq!(place, [key, token], "the place in the queue has the token for its version");
    let holder = printed[2].rsplit_once(':').unwrap().1;
    assert!(holder.parse::<u32>().unwrap() > 0, "{printed:?}");
    assert_eq!(queue(&cluster, "l"), []);
    done(&cluster, &["lock", "l"], 2);
}

#[test]
fn who_gives_up_leaves_the_queue_at_once() {
    let cluster = three_servers();
    let first = lock(&cluster, "first", UNTIL_GO);
    assert_eq!(first.line(), "runs");
    let impatient = ["lock", "l", "--seconds", LONG, "--wait", "1", "--holder", "impatient"];
    let (code, printed, said) = start(&cluster, &impatient, &["echo", "never"]).end();
    assert_eq!((code, printed), (3, vec![]));
    assert_eq!(said, "coracle: others were first for 1 s\n");
    assert_eq!(queue(&cluster, "l").len(), 1);

    for (name, number) in [("TERM", 15), ("INT", 2), ("HUP", 1)] {
        let interrupted = lock(&cluster, "interrupted", "echo never");
        wait_for_places(&cluster, "l", 2);
        signal(interrupted.pid().into(), name);
        assert_eq!(interrupted.end(), (128 + number, vec![], String::new()));
        assert_eq!(queue(&cluster, "l").len(), 1);
    }
    // The next one waits for nobody who is not there any more.
    let next = lock(&cluster, "next", "echo runs");
    wait_for_places(&cluster, "l", 2);
    fs::write(directory(&cluster).join("go"), "").unwrap();
    assert_eq!(next.line(), "runs");
    assert_eq!(first.end().0, 0);
}

#[test]
fn a_signal_to_the_holder_reaches_the_command_and_the_lock_is_released() {
    let cluster = three_servers();
    let script = "trap 'echo asked; exit 9' TERM; echo $$; while :; do sleep 0.02; done";
    let holder = lock(&cluster, "holder", script);
    let command: u32 = holder.line().parse().unwrap();
    signal(holder.pid().into(), "TERM");
    let (code, printed, _) = holder.end();
    assert_eq!((code, printed), (9, vec!["asked".to_owned()]));
    assert!(!is_alive(command));
    assert_eq!(queue(&cluster, "l"), []);
}
