use super::*;

fn bytes(text: &str) -> Vec<u8> {
    text.as_bytes().to_vec()
}

#[track_caller]
fn check_word(line: &str, expected: &[&[u8]]) {
    let expected: Vec<Vec<u8>> = expected.iter().map(|word| word.to_vec()).collect();
    assert_eq!(words(line.as_bytes()), Ok(expected), "{line}");
}

#[track_caller]
fn check_fault(script: &str, expected: &str) {
    assert_eq!(Script::parse(script.as_bytes()).unwrap_err().to_string(), expected, "{script}");
}

#[test]
fn every_command_is_read() {
    let script = "# a comment\n\ncheck a 0\r\n  CHECK  b 7\nset a 'x y'\nset b \"\" exptime 9\n\
                  set c v lease 5 exptime 3\ndelete d\n\tget e\ngetm f";
    let set = |key: &str, value: &str, exptime, lease| Step::Set {
        key: bytes(key),
        value: bytes(value),
        exptime,
        lease,
    };
    let expected = vec![
        Step::Check { key: bytes("a"), version: 0 },
        Step::Check { key: bytes("b"), version: 7 },
        set("a", "x y", 0, 0),
        set("b", "", 9, 0),
        set("c", "v", 3, 5),
        Step::Delete { key: bytes("d") },
        Step::Get { key: bytes("e") },
        Step::GetMeta { key: bytes("f") },
    ];
    assert_eq!(Script::parse(script.as_bytes()), Ok(Script { steps: expected }));
    let script = Script::parse(script.as_bytes()).unwrap();
    let answered: Vec<&str> = script.answered().map(Step::word).collect();
    assert_eq!(answered, ["set", "set", "set", "delete", "get", "getm"]);
    assert_eq!(Script::parse(b""), Ok(Script { steps: vec![] }));
}

#[test]
fn words_have_quotes_and_escapes() {
    check_word("a  b\tc ", &[b"a", b"b", b"c"]);
    check_word("'a b' \"c d\" ''", &[b"a b", b"c d", b""]);
    check_word("a'b c'\"d\\\"e\"f", &[b"ab cd\"ef"]);
    check_word(r#""\n\t\r\\\x00\xFf""#, &[b"\n\t\r\\\x00\xff"]);
    check_word(r"'\n' a\n", &[br"\n", br"a\n"]);
    check_word("# 'a", &[]);
    check_word("a # b", &[b"a", b"#", b"b"]);
    check_word("a #b\"#\"", &[b"a", b"#b#"]);
}

#[test]
fn a_line_that_is_no_command_is_named_with_its_reason() {
    check_fault("get a\nput a 1", "line 2: put is none of check, set, delete, get and getm");
    check_fault("check a", "line 1: it is `check KEY VERSION`");
    check_fault("check a x", "line 1: x is not a version");
    check_fault("check a +1", "line 1: +1 is not a version");
    check_fault("check a -1", "line 1: -1 is not a version");
    check_fault("check a 18446744073709551616", "line 1: 18446744073709551616 is not a version");
    check_fault("set a", "line 1: it is `set KEY VALUE [exptime SECONDS] [lease ID]`");
    check_fault("set a two words", "line 1: words has no number");
    check_fault("set a v exptime", "line 1: exptime has no number");
    check_fault("set a v ttl 5", "line 1: ttl is neither exptime nor lease");
    check_fault("set a v lease 5 lease 6", "line 1: lease is there twice");
    check_fault("set a v lease x", "line 1: x is not a number");
    check_fault("delete", "line 1: it is `delete KEY`");
    check_fault("get a b", "line 1: it is `get KEY`");
    check_fault("getm", "line 1: it is `getm KEY`");
    check_fault("\n\nset a 'b", "line 3: a single quote has no end");
    check_fault("set a \"b\\", "line 1: a double quote has no end");
    check_fault("set a \"b\\\"", "line 1: a double quote has no end");
    check_fault("set a \"\\q\"", "line 1: \\q is unknown between double quotes");
    check_fault("set a \"\\x0\"", "line 1: \\x is followed by two hexadecimal digits");
    check_fault("set a \"\\xg0\"", "line 1: \\x is followed by two hexadecimal digits");
}
