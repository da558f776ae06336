//! Reads of the past, the history of a key, and compaction.

use super::process::{compact, done, done_with_input, refused, three_servers};

#[test]
fn a_key_is_read_as_it_was_at_any_revision_that_is_kept() {
    let cluster = three_servers();
    assert_eq!(done(&cluster, &["set", "a", "one"], 0), "2\n");
    assert_eq!(done(&cluster, &["set", "b", "other"], 0), "3\n");
    assert_eq!(done_with_input(&cluster, &["set", "a", "-"], "two", 0), "4\n");
    done(&cluster, &["delete", "a"], 0);
    assert_eq!(done(&cluster, &["add", "a", "three", "--exptime", "1000"], 0), "6\n");

    assert_eq!(done(&cluster, &["get", "a", "--at", "3"], 0), "one");
    assert_eq!(done(&cluster, &["get", "a", "--at", "4", "--meta"], 0), "4 0 3\ntwo");
    assert_eq!(refused(&cluster, &["get", "a", "--at", "5"], 1), "coracle: no such key\n");
    assert_eq!(done(&cluster, &["get", "a", "--at", "6"], 0), "three");
    assert_eq!(done(&cluster, &["scan", "", "--at", "3"], 0), "a 2 0 3\none\nb 3 0 5\nother\n");
    assert_eq!(done(&cluster, &["scan", "", "--at", "2", "--limit", "9"], 0), "a 2 0 3\none\n");
    let future = refused(&cluster, &["get", "a", "--at", "7"], 1);
    assert_eq!(future, "coracle: the store is at revision 6\n");
    refused(&cluster, &["get", "a", "--at", "0"], 2);

    let history = "set a 2 0 3\none\nset a 4 0 3\ntwo\ndeleted a 5\nset a 6 1000 5\nthree\n";
    assert_eq!(done(&cluster, &["history", "a"], 0), history);
    assert_eq!(refused(&cluster, &["history", "absent"], 1), "coracle: no such key\n");
    let json = done(&cluster, &["history", "b", "--json"], 0);
    let expected = "{\"revision\":3,\"change\":\"set\",\"key\":\"b\",\"exptime\":0,\
                    \"value\":\"other\"}\n";
    assert_eq!(json, expected);
}

#[test]
fn what_was_compacted_is_gone_and_the_value_of_that_moment_is_the_first_of_its_history() {
    let cluster = three_servers();
    for value in ["one", "two", "three"] {
        done(&cluster, &["set", "a", value], 0);
    }
    done(&cluster, &["set", "b", "other"], 0);
    done(&cluster, &["delete", "b"], 0);
    compact(&cluster, "3");
    let gone = "coracle: revision 3 is the oldest that can be read\n";
    assert_eq!(refused(&cluster, &["get", "a", "--at", "2"], 1), gone);
    assert_eq!(done(&cluster, &["get", "a", "--at", "3"], 0), "two");
    assert_eq!(done(&cluster, &["history", "a"], 0), "set a 3 0 3\ntwo\nset a 4 0 5\nthree\n");
    // The same again changes nothing, and what is not there yet is not compacted.
    assert_eq!(done(&cluster, &["compact", "2"], 0), "3\n");
    let future = refused(&cluster, &["compact", "7"], 1);
    assert_eq!(future, "coracle: the store is at revision 6\n");
    compact(&cluster, "6");
    assert_eq!(done(&cluster, &["history", "a"], 0), "set a 4 0 5\nthree\n");
    refused(&cluster, &["history", "b"], 1);
}
