//! `coracle lease`, and writes that go with a lease.

use super::process::{done, done_with_input, refused, three_servers};

#[test]
fn the_keys_of_a_lease_go_with_it_in_one_revision() {
    let cluster = three_servers();
    assert_eq!(done(&cluster, &["lease", "grant", "1000", "--id", "7"], 0), "7\n");
    let taken = refused(&cluster, &["lease", "grant", "1000", "--id", "7"], 1);
    assert_eq!(taken, "coracle: a lease with that id is there already\n");
    assert_eq!(done(&cluster, &["set", "a", "1", "--lease", "7"], 0), "2\n");
    assert_eq!(done(&cluster, &["add", "b", "1", "--lease", "7"], 0), "3\n");
    assert_eq!(done(&cluster, &["cas", "c", "0", "1", "--lease", "7"], 0), "4\n");
    let detached = "set d 1 lease 7\n";
    assert!(done_with_input(&cluster, &["txn"], detached, 0).starts_with("committed 5\n"));
    assert_eq!(done(&cluster, &["set", "d", "2"], 0), "6\n", "it goes with the lease no more");
    assert_eq!(done(&cluster, &["lease", "renew", "7"], 0), "1000\n");

    let info = done(&cluster, &["lease", "info", "7"], 0);
    let lines: Vec<&str> = info.lines().collect();
    assert_eq!([&lines[..1], &lines[2..]].concat(), ["id 7", "key a", "key b", "key c"]);
    let left: u64 = lines[1].strip_prefix("seconds_left ").unwrap().parse().unwrap();
    assert!((1..=1000).contains(&left), "{info}");
    let json = done(&cluster, &["lease", "info", "7", "--json"], 0);
    assert!(json.starts_with("{\"id\":7,\"seconds_left\":"), "{json}");
    assert!(json.ends_with(",\"keys\":[\"a\",\"b\",\"c\"],\"more\":false}\n"), "{json}");

    done(&cluster, &["lease", "revoke", "7"], 0);
    assert_eq!(done(&cluster, &["scan", ""], 0), "d 6 0 1\n2\n");
    let watched = done(&cluster, &["watch", "", "--from", "7", "--limit", "1"], 0);
    assert_eq!(watched, "deleted a 7\ndeleted b 7\ndeleted c 7\n");
    for command in ["renew", "revoke", "info"] {
        assert_eq!(refused(&cluster, &["lease", command, "7"], 1), "coracle: no such lease\n");
    }
    let late = refused(&cluster, &["set", "a", "1", "--lease", "7"], 1);
    assert_eq!(late, "coracle: no such lease\n");
}

#[test]
fn a_lease_that_nobody_renews_ends_and_says_so_to_watchers() {
    let cluster = three_servers();
    let id = done(&cluster, &["lease", "grant", "1"], 0);
    let id = id.trim_end();
    assert!(id.parse::<u64>().unwrap() > 0);
    let other = done(&cluster, &["lease", "grant", "1000"], 0);
    assert_ne!(id, other.trim_end(), "nobody else has it");
    // The lease may have ended already, on a machine that stood still.
    let write = cluster.coracle(&["set", "a", "1", "--lease", id]);
    if write.status.success() {
        let ended = done(&cluster, &["watch", "a", "--from", "3", "--prev", "--limit", "1"], 0);
        assert_eq!(ended, "prev a 2 1\n1\nexpired a 3\n");
        refused(&cluster, &["get", "a"], 1);
    }
    cluster.wait_for("the end of the lease", || {
        (cluster.coracle(&["lease", "info", id]).status.code() == Some(1)).then_some(())
    });
    refused(&cluster, &["lease", "renew", id], 1);
    refused(&cluster, &["lease", "grant", "0"], 2);
    refused(&cluster, &["lease", "grant", "3153600001"], 2);
    refused(&cluster, &["lease", "grant", "10", "--id", "0"], 2);
}
