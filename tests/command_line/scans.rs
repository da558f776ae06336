//! `coracle scan`: ranges, forms, and lines that cannot be misread.

use super::process::{done_at, run_with, three_servers};
use crate::common::code;

#[test]
fn a_scan_takes_its_prefix_as_it_is_and_begins_where_it_is_told_to() {
    let cluster = three_servers();
    let address = cluster.address(1);
    for key in [")z", "*", "*a", "+", "-x", "user/3", "user/5", "user/7", "v"] {
        let set = ["set", "--endpoints", &address, "--", key, "1"];
        assert_eq!(code(&run_with(&set, &[], b"")), 0);
    }
    let keys = |arguments: &[&str]| {
        let all = [&["scan", "--keys-only"], arguments].concat();
        done_at(&address, &all, 0).lines().map(str::to_owned).collect::<Vec<String>>()
    };
    let all = [")z", "*", "*a", "+", "-x", "user/3", "user/5", "user/7", "v"];
    assert_eq!(keys(&[]), all);
    assert_eq!(keys(&[""]), all);
    assert_eq!(keys(&["*"]), ["*", "*a"]);
    assert_eq!(keys(&["*a"]), ["*a"]);
    assert_eq!(keys(&["--prefix", "-"]), ["-x"]);
    assert_eq!(keys(&["--key-hex", "2d"]), ["-x"]);
    assert_eq!(keys(&["user/", "--from", "user/5"]), ["user/5", "user/7"]);
    assert_eq!(keys(&["user/", "--from", "user/4", "--limit", "1"]), ["user/5"]);
    assert_eq!(keys(&["--from", "user/6"]), ["user/7", "v"]);
    assert_eq!(keys(&["--from", "w"]), Vec::<String>::new());
    let stars = done_at(&address, &["watch", "*", "--from", "1", "--limit", "2"], 0);
    let heads: Vec<&str> = stars.lines().step_by(2).map(|line| &line[..6]).collect();
    assert_eq!(heads, ["set * ", "set *a"]);
    assert_eq!(done_at(&address, &["scan", "--count"], 0), "9\n");
    assert_eq!(done_at(&address, &["scan", "user/", "--count", "--json"], 0), "{\"count\":3}\n");
    assert_eq!(done_at(&address, &["scan", "*", "--count", "--limit", "1"], 0), "1\n");
    let json = done_at(&address, &["scan", "*", "--keys-only", "--json"], 0);
    assert_eq!(json, "{\"key\":\"*\"}\n{\"key\":\"*a\"}\n");
}

#[test]
fn each_value_has_one_line_whatever_bytes_it_has_and_get_prints_them_as_they_are() {
    let cluster = three_servers();
    let address = cluster.address(1);
    let bytes = b"line\nfake 9 0 1\n\xff\0";
    let set = ["set", "a", "-", "--endpoints", &address];
    assert_eq!(code(&run_with(&set, &[], bytes)), 0);
    done_at(&address, &["set", "b", "plain words"], 0);
    let scanned = done_at(&address, &["scan"], 0);
    let expected = "a 2 0 18\n\"line\\nfake 9 0 1\\n\\xff\\x00\"\nb 3 0 11\nplain words\n";
    assert_eq!(scanned, expected);
    let watched = done_at(&address, &["watch", "a", "--from", "1", "--limit", "1"], 0);
    assert_eq!(watched, "set a 2 0 18\n\"line\\nfake 9 0 1\\n\\xff\\x00\"\n");
    assert_eq!(done_at(&address, &["history", "a"], 0), watched);
    let json = done_at(&address, &["scan", "a", "--json"], 0);
    let value = "6c696e650a66616b65203920302031 0aff00".replace(' ', "");
    let expected = format!(
        "{{\"key\":\"a\",\"version\":2,\"exptime\":0,\"value\":{{\"hex\":\"{value}\"}}}}\n"
    );
    assert_eq!(json, expected);
    assert_eq!(run_with(&["get", "a", "--endpoints", &address], &[], b"").stdout, bytes);
    assert_eq!(done_at(&address, &["get", "a", "--hex"], 0), format!("{value}\n"));
    let json = done_at(&address, &["get", "b", "--json"], 0);
    let expected = "{\"key\":\"b\",\"version\":3,\"exptime\":0,\"value\":\"plain words\"}\n";
    assert_eq!(json, expected);
}

#[test]
fn all_keys_of_many_pages_are_those_of_one_moment() {
    let cluster = three_servers();
    let address = cluster.address(1);
    // A page ends after some MiB, so five of these are several pages.
    let large = vec![b'x'; 1 << 20];
    for key in ["a", "b", "c", "d", "e"] {
        let set = ["set", key, "-", "--endpoints", &address];
        assert_eq!(code(&run_with(&set, &[], &large)), 0);
    }
    let lines = done_at(&address, &["scan", "--all"], 0);
    let heads: Vec<&str> = lines.lines().step_by(2).collect();
    let size = large.len();
    let expected = ["a", "b", "c", "d", "e"].iter().zip(2..);
    let expected = expected.map(|(key, version)| format!("{key} {version} 0 {size}"));
    assert_eq!(heads, expected.collect::<Vec<String>>());
    assert_eq!(done_at(&address, &["scan", "--all", "--count"], 0), "5\n");
    done_at(&address, &["delete", "e"], 0);
    assert_eq!(done_at(&address, &["scan", "--count"], 0), "4\n");
    assert_eq!(done_at(&address, &["scan", "--count", "--at", "6"], 0), "5\n");
}
