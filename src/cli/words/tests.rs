use super::*;
use crate::cli::text::is_harmless;

#[track_caller]
fn check_commands(text: &str, expected: &[&[&str]]) {
    let found = commands(text.as_bytes()).unwrap();
    let found: Vec<Vec<String>> = found
        .iter()
        .map(|words| words.iter().map(|word| String::from_utf8_lossy(word).into()).collect())
        .collect();
    assert_eq!(found, expected, "{text:?}");
}

#[test]
fn each_line_is_a_command_unless_its_end_is_typed() {
    check_commands("", &[]);
    check_commands(" \t\n\n", &[]);
    check_commands("get a\nget b\n", &[&["get", "a"], &["get", "b"]]);
    check_commands("set a 'one\ntwo'\nget a", &[&["set", "a", "one\ntwo"], &["get", "a"]]);
    check_commands("# get a\nget b # c", &[&["get", "b", "#", "c"]]);
}

#[track_caller]
fn check_last(text: &str, before: &[&str], start: usize, word: &str) {
    let last = LastWord::of(text.as_bytes()).unwrap();
    let before = before.iter().map(|word| word.as_bytes().to_vec()).collect();
    assert_eq!(last, LastWord { before, start, word: word.as_bytes().to_vec() }, "{text:?}");
}

#[test]
fn the_end_of_a_text_is_the_word_that_is_being_typed() {
    check_last("", &[], 0, "");
    check_last("ge", &[], 0, "ge");
    check_last("get ", &["get"], 4, "");
    check_last("get a", &["get"], 4, "a");
    check_last("get \"a b", &["get"], 4, "a b");
    check_last("get 'a ", &["get"], 4, "a ");
    check_last("get 'a' 'b'", &["get", "a"], 8, "b");
    check_last("get a\nset b", &["set"], 10, "b");
    check_last("# one\nset b", &["set"], 10, "b");
    assert_eq!(LastWord::of(b"# one"), None);
    assert_eq!(LastWord::of(b"get \"\\q"), None);
}

/// Each byte string is a word of its own, whatever is in it.
#[test]
fn a_quoted_word_is_read_as_what_it_was() {
    let long: Vec<u8> = (0..=255).collect();
    let words: [&[u8]; 9] = [
        b"",
        b"a",
        b"a b",
        b"'",
        b"\"",
        b"a\\b",
        b"one\ntwo",
        "caf\u{e9}\u{200b}".as_bytes(),
        &long,
    ];
    for bytes in words {
        let typed = super::typed(bytes);
        assert_eq!(super::words(typed.as_bytes()).unwrap(), [bytes], "{typed}");
        assert!(!typed.chars().any(|character| !is_harmless(character)), "{typed:?}");
    }
    assert_eq!(typed(b"user/1"), "user/1");
    assert_eq!(typed("caf\u{e9} 1".as_bytes()), "\"caf\u{e9} 1\"");
}
