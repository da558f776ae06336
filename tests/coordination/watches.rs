//! `coracle watch`.

use std::process::{Command, Stdio};

use super::process::{compact, done, done_with_input, refused, signal, start, three_servers};
use crate::common::clients::Writer;
use crate::common::code;

#[test]
fn a_watch_prints_each_change_once_in_order_while_servers_die_one_after_the_other() {
    let mut cluster = three_servers();
    let watch = start(&cluster, &["watch", "key", "--from", "2"], &[]);
    let writer = Writer::start(cluster.addresses());
    for id in cluster.ids() {
        writer.wait_for_more(&cluster, 50);
        cluster.kill(id);
        writer.wait_for_more(&cluster, 50);
        cluster.start_server(id);
        cluster.wait_for_leader();
    }
    let leader = cluster.wait_for_leader();
    cluster.kill(leader);
    writer.wait_for_more(&cluster, 50);
    let acknowledged = writer.stop();

    let (mut last, mut told) = (1, Vec::new());
    let wanted = &acknowledged.last().unwrap().0;
    loop {
        let line = watch.line();
        let words: Vec<&str> = line.split(' ').collect();
        let ["set", key, revision, "0", size] = words[..] else { panic!("{line}") };
        let revision: u64 = revision.parse().unwrap();
        assert!(revision > last, "{line} after revision {last}");
        last = revision;
        assert_eq!((size.parse(), watch.line().as_str()), (Ok(key.len()), key));
        told.push((key.to_owned(), revision));
        if key == wanted {
            break;
        }
    }
    // A write that was not acknowledged may have been executed all the same.
    let known = |told: &&(String, u64)| acknowledged.binary_search(told).is_ok();
    assert_eq!(told.iter().filter(known).count(), acknowledged.len());
    signal(watch.pid().into(), "TERM");
}

#[test]
fn a_watch_tells_whole_revisions_from_the_past_on_with_what_was_before() {
    let cluster = three_servers();
    done(&cluster, &["set", "a/1", "x"], 0);
    done(&cluster, &["set", "b", "y"], 0);
    let script = "set a/1 z\nset a/2 v exptime 1000\nset b w\n";
    done_with_input(&cluster, &["txn"], script, 0);
    done(&cluster, &["delete", "a/1"], 0);
    let watch = |arguments: &[&str]| done(&cluster, &[&["watch"], arguments].concat(), 0);
    let all = watch(&["a/", "--from", "1", "--limit", "4"]);
    let expected = "set a/1 2 0 1\nx\nset a/1 4 0 1\nz\nset a/2 4 1000 1\nv\ndeleted a/1 5\n";
    assert_eq!(all, expected);
    let torn = watch(&["a/", "--from", "4", "--limit", "1"]);
    assert_eq!(torn, "set a/1 4 0 1\nz\nset a/2 4 1000 1\nv\n", "a revision is not torn apart");
    let key = watch(&["b", "--key", "--from", "3", "--prev", "--limit", "2"]);
    assert_eq!(key, "set b 3 0 1\ny\nprev b 3 1\ny\nset b 4 0 1\nw\n");
    let json = watch(&["a/", "--from", "5", "--prev", "--json", "--limit", "1"]);
    let expected = "{\"revision\":5,\"change\":\"deleted\",\"key\":\"a/1\",\
                    \"previous\":{\"version\":4,\"value\":\"z\"}}\n";
    assert_eq!(json, expected);
    let every = watch(&["", "--from", "3", "--limit", "1"]);
    assert_eq!(every, "set b 3 0 1\ny\n");
}

#[test]
fn a_watch_of_what_is_no_longer_kept_says_where_to_go_on() {
    let cluster = three_servers();
    for value in ["1", "2", "3", "4"] {
        done(&cluster, &["set", "a", value], 0);
    }
    compact(&cluster, "4");
    let gone = refused(&cluster, &["watch", "a", "--from", "2"], 1);
    assert!(gone.contains("from revision 2 on are no longer kept"), "{gone}");
    assert!(gone.contains("`--at 4`") && gone.contains("`--from 5`"), "{gone}");
    let on = done(&cluster, &["watch", "a", "--from", "5", "--limit", "1"], 0);
    assert_eq!(on, "set a 5 0 1\n4\n");
}

/// In the protocol the prefix `*` stands for every key.
#[test]
fn a_watch_takes_its_prefix_as_it_is() {
    let cluster = three_servers();
    for key in ["a", "*b", "*"] {
        done(&cluster, &["set", key, "1"], 0);
    }
    let watch = ["watch", "*", "--from", "2", "--limit", "2"];
    assert_eq!(done(&cluster, &watch, 0), "set *b 3 0 1\n1\nset * 4 0 1\n1\n");
}

#[test]
fn a_watch_ends_when_nobody_reads_what_it_prints() {
    let cluster = three_servers();
    done(&cluster, &["set", "a", "1"], 0);
    let mut watch = Command::new(env!("CARGO_BIN_EXE_coracle"))
        .args(["watch", "", "--from", "2", "--config"])
        .arg(cluster.config())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(watch.stdout.take());
    // The pipe may hold what was printed before it was closed.
    cluster.wait_for("the end of the watch", || {
        done(&cluster, &["set", "a", "2"], 0);
        watch.try_wait().unwrap()
    });
    let output = watch.wait_with_output().unwrap();
    assert_eq!((code(&output), output.stderr), (0, vec![]));
}
