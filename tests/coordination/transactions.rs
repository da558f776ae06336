//! `coracle txn`.

use std::fs;

use super::process::{directory, done, done_with_input, refused, said, three_servers};

#[test]
fn a_script_is_executed_as_a_whole_or_not_at_all() {
    let cluster = three_servers();
    done(&cluster, &["set", "a", "1"], 0);
    done(&cluster, &["set", "gone", "x"], 0);
    let script = "# moves a\ncheck a 2\ncheck b 0\n\nset a 'two words'\nset b \"\\x00\\n\"\n\
                  delete gone\ndelete absent\nget a\ngetm b\nget absent\n";
    let told = done_with_input(&cluster, &["txn"], script, 0);
    let expected = "committed 4\nstored a 4\nstored b 4\ndeleted gone\nabsent absent\n\
                    value a 9\ntwo words\nvalue b 4 0 2\n\"\\x00\\n\"\nabsent absent\n";
    assert_eq!(told, expected);

    // The same once more: the first check does not hold, and nothing is changed.
    let output = cluster.coracle_with_input(&["txn", "-"], script.as_bytes());
    assert_eq!(said(&output, 1), "coracle: nothing was executed: the version of a is 4\n");
    assert_eq!(output.stdout, b"");
    let output = cluster.coracle_with_input(&["txn", "--json"], b"check absent 7\nset c 1\n");
    assert_eq!(said(&output, 1), "coracle: nothing was executed: absent is absent\n");
    assert_eq!(output.stdout, b"{\"committed\":false,\"key\":\"absent\",\"version\":0}\n");
    refused(&cluster, &["get", "c"], 1);
    assert_eq!(done(&cluster, &["get", "a"], 0), "two words");
}

#[test]
fn a_script_may_be_a_file_and_one_that_only_reads_writes_nothing() {
    let cluster = three_servers();
    done(&cluster, &["set", "a", "1"], 0);
    let script = directory(&cluster).join("script");
    fs::write(&script, "check a 2\nget a\n").unwrap();
    let script = script.to_str().unwrap();
    assert_eq!(done(&cluster, &["txn", script], 0), "committed 2\nvalue a 1\n1\n");
    let told = done(&cluster, &["txn", script, "--json"], 0);
    let expected = "{\"committed\":true,\"revision\":2,\"results\":\
                    [{\"command\":\"get\",\"key\":\"a\",\"value\":\"1\"}]}\n";
    assert_eq!(told, expected);
    // An empty script tells the revision.
    assert_eq!(done_with_input(&cluster, &["txn"], "", 0), "committed 2\n");
    assert_eq!(done(&cluster, &["set", "b", "1"], 0), "3\n");
}

#[test]
fn a_script_that_is_wrong_is_a_usage_error() {
    let cluster = three_servers();
    let wrong = |script: &str| said(&cluster.coracle_with_input(&["txn"], script.as_bytes()), 2);
    let unknown = wrong("get a\nput a 1\n");
    assert_eq!(unknown, "coracle: line 2: put is none of check, set, delete, get and getm\n");
    wrong("set a \"x\n");
    // The servers refuse what only they know.
    let twice = wrong("set a 1\nset a 2\n");
    assert!(twice.contains("ERR_CMD_ERR"), "{twice}");
    let many: String = (0..129).map(|number| format!("set k{number} 1\n")).collect();
    let many = wrong(&many);
    assert!(many.contains("ERR_TOO_LARGE"), "{many}");
    assert!(wrong(&format!("get {}\n", "k".repeat(251))).contains("ERR_TOO_LARGE"));
    let lease = cluster.coracle_with_input(&["txn"], b"set a 1 lease 9\n");
    assert_eq!(said(&lease, 1), "coracle: no such lease\n");
    refused(&cluster, &["txn", "/no/such/file"], 2);
    refused(&cluster, &["get", "a"], 1);
    refused(&cluster, &["get", "k0"], 1);
}
