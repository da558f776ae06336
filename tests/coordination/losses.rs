//! `coracle lock` when the lock is lost, or about to be.

use std::fs;

use super::process::{
    Running, directory, done, is_alive, queue, signal, start, three_servers, wait_for_places,
};
use crate::common::Cluster;

/// A command that prints the number of its process, does not end when it is asked, and has started
/// another one that does not either.
const STUBBORN: &str = "trap 'echo asked' TERM; (trap '' TERM; exec sleep 1000) & echo $!; \
                        echo $$; while :; do sleep 0.02; done";

fn lock(cluster: &Cluster, seconds: &str, script: &str) -> Running {
    start(cluster, &["lock", "l", "--seconds", seconds], &["sh", "-c", script])
}

/// The numbers of the processes of the stubborn command.
fn processes(holder: &Running) -> [u32; 2] {
    [holder.line(), holder.line()].map(|line| line.parse().unwrap())
}

/// The lease of the only place in the queue.
fn lease(cluster: &Cluster) -> String {
    let places = done(cluster, &["scan", "l/"], 0);
    let key = places.split(' ').next().unwrap();
    let digits = key.strip_prefix("l/").unwrap();
    u64::from_str_radix(digits, 16).unwrap().to_string()
}

#[test]
fn a_command_whose_lock_is_taken_away_is_killed_with_all_that_it_has_started() {
    let cluster = three_servers();
    let holder = lock(&cluster, "15", STUBBORN);
    let processes = processes(&holder);
    done(&cluster, &["lease", "revoke", &lease(&cluster)], 0);
    let (code, _, said) = holder.end();
    assert_eq!(code, 3);
    assert!(said.starts_with("coracle: the lock was lost, and the command was ended: "), "{said}");
    for process in processes {
        cluster.wait_for("the end of the process", || (!is_alive(process)).then_some(()));
    }
}

#[test]
fn a_place_that_is_taken_away_from_who_waits_is_told() {
    let cluster = three_servers();
    let holder = lock(&cluster, "30", "echo runs; exec sleep 1000");
    assert_eq!(holder.line(), "runs");
    let first = lease(&cluster);
    let waiter = lock(&cluster, "30", "echo never");
    wait_for_places(&cluster, "l", 2);
    let places = done(&cluster, &["scan", "l/"], 0);
    let leases = places.split_whitespace().filter_map(|word| word.strip_prefix("l/"));
    let mut leases = leases.map(|digits| u64::from_str_radix(digits, 16).unwrap().to_string());
    let second = leases.find(|lease| *lease != first).unwrap();
    done(&cluster, &["lease", "revoke", &second], 0);
    let (code, printed, said) = waiter.end();
    assert_eq!((code, printed), (3, vec![]));
    assert!(said.starts_with("coracle: the place in the queue was lost"), "{said}");
    drop(holder);
}

/// The servers are stopped, and not killed: the lease lives on at them, and ends when they go on.
#[test]
fn a_command_is_gone_before_the_lock_can_be_had_when_no_server_answers() {
    let cluster = three_servers();
    let holder = lock(&cluster, "10", STUBBORN);
    let processes = processes(&holder);
    assert_eq!(queue(&cluster, "l").len(), 1);
    cluster.ids().into_iter().for_each(|id| cluster.signal(id, "STOP"));
    assert_eq!(holder.line(), "asked", "before it is killed");
    let (code, _, said) = holder.end();
    assert!(processes.into_iter().all(|process| !is_alive(process)));
    cluster.ids().into_iter().for_each(|id| cluster.signal(id, "CONT"));
    assert_eq!(code, 3);
    assert!(said.contains("no server has renewed its lease in time"), "{said}");
    let next = lock(&cluster, "10", "echo runs");
    assert_eq!(next.line(), "runs");
    assert_eq!(next.end().0, 0);
}

#[test]
fn a_lock_is_kept_while_servers_die_and_come_back() {
    let mut cluster = three_servers();
    let script = "echo runs; while [ ! -e go ]; do sleep 0.02; done";
    // Long enough for an election on a machine that is busy, and short enough to be renewed.
    let holder = lock(&cluster, "20", script);
    assert_eq!(holder.line(), "runs");
    let waiter = lock(&cluster, "20", "echo runs");
    wait_for_places(&cluster, "l", 2);
    for _ in 0..2 {
        let leader = cluster.wait_for_leader();
        cluster.kill(leader);
        cluster.wait_for_leader();
        cluster.start_server(leader);
        cluster.wait_for_leader();
    }
    assert_eq!(queue(&cluster, "l").len(), 2);
    fs::write(directory(&cluster).join("go"), "").unwrap();
    assert_eq!(holder.end(), (0, vec![], String::new()));
    assert_eq!(waiter.end(), (0, vec!["runs".into()], String::new()));
}

#[test]
fn a_command_does_not_outlive_the_process_that_renews_its_lock() {
    let cluster = three_servers();
    let holder = lock(&cluster, "8", STUBBORN);
    let [other, command] = processes(&holder);
    let waiter = lock(&cluster, "8", "echo runs");
    wait_for_places(&cluster, "l", 2);
    signal(holder.pid().into(), "KILL");
    cluster.wait_for("the end of the command", || (!is_alive(command)).then_some(()));
    // Its place is gone when its lease is over.
    assert_eq!(waiter.line(), "runs");
    assert_eq!(waiter.end().0, 0);
    // The other process of the command is left, as when any command is killed.
    signal(other.into(), "KILL");
    drop(holder);
}

/// The holder is stopped for longer than its lease lasts, and its command writes before it can be
/// killed: the write is refused, because the lock has another holder with a higher token.
#[test]
fn a_holder_that_stood_still_cannot_write_under_its_old_token() {
    let cluster = three_servers();
    let script = "echo $$; echo $CORACLE_LOCK_TOKEN; while [ ! -e go ]; do sleep 0.02; done; \
                  printf 'check %s %s\\nset result %s\\n' $CORACLE_LOCK_KEY $CORACLE_LOCK_TOKEN \
                  $CORACLE_LOCK_TOKEN | $CORACLE txn 2> refused > written; echo $? > code";
    let first = lock(&cluster, "8", script);
    let command: i64 = first.line().parse().unwrap();
    let old_token: u64 = first.line().parse().unwrap();
    signal(first.pid().into(), "STOP");
    signal(-command, "STOP");

    let directory = directory(&cluster);
    let next = "echo $CORACLE_LOCK_TOKEN; \
                printf 'check %s %s\\nset result %s\\n' $CORACLE_LOCK_KEY $CORACLE_LOCK_TOKEN \
                $CORACLE_LOCK_TOKEN | $CORACLE txn; while [ ! -e end ]; do sleep 0.02; done";
    let next = lock(&cluster, "30", next);
    let new_token: u64 = next.line().parse().unwrap();
    assert!(new_token > old_token, "{new_token} after {old_token}");
    assert!(next.line().starts_with("committed ") && next.line().starts_with("stored result "));

    // Only the command goes on: nobody kills it.
    fs::write(directory.join("go"), "").unwrap();
    signal(-command, "CONT");
    let read = |file: &str| fs::read_to_string(directory.join(file)).unwrap_or_default();
    cluster.wait_for("the late write", || (read("code") == "1\n").then_some(()));
    let refused = read("refused");
    assert!(refused.starts_with("coracle: nothing was executed: l/"), "{refused}");
    assert!(refused.ends_with(" is absent\n"), "{refused}");
    assert_eq!(done(&cluster, &["get", "result"], 0), new_token.to_string());

    // The first holder learns it when it goes on.
    signal(first.pid().into(), "CONT");
    let (code, _, said) = first.end();
    assert!(code == 3 && said.contains("the lock was lost"), "{said}");
    assert_eq!(queue(&cluster, "l").len(), 1);
    fs::write(directory.join("end"), "").unwrap();
    assert_eq!(next.end().0, 0);
}

/// A process that has long been stopped ends its command as soon as it goes on.
#[test]
fn a_holder_that_stood_still_kills_its_command_when_it_goes_on() {
    let cluster = three_servers();
    let holder = lock(&cluster, "8", STUBBORN);
    let processes = processes(&holder);
    signal(holder.pid().into(), "STOP");
    cluster.wait_for("the end of the lease", || queue(&cluster, "l").is_empty().then_some(()));
    assert!(processes.into_iter().all(is_alive), "nobody can kill it");
    signal(holder.pid().into(), "CONT");
    assert_eq!(holder.end().0, 3);
    for process in processes {
        cluster.wait_for("the end of the process", || (!is_alive(process)).then_some(()));
    }
}

#[test]
fn a_release_that_no_server_hears_is_told_and_is_no_failure() {
    let mut cluster = three_servers();
    let script = "echo runs; while [ ! -e go ]; do sleep 0.02; done";
    let holder = lock(&cluster, "600", script);
    assert_eq!(holder.line(), "runs");
    let leader = start(&cluster, &["elect", "e", "me", "--seconds", "600"], &[]);
    leader.line();
    cluster.ids().into_iter().for_each(|id| cluster.kill(id));
    fs::write(directory(&cluster).join("go"), "").unwrap();
    signal(leader.pid().into(), "TERM");
    for (process, sentence) in [
        (holder, "coracle: the lock is released when its time is over: "),
        (leader, "coracle: the leadership ends when its time is over: "),
    ] {
        let (code, _, said) = process.end();
        assert_eq!(code, 0, "{said}");
        assert!(said.starts_with(sentence), "{said}");
    }
}
