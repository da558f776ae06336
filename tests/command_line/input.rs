//! Keys and values that are hard to type.

use super::process::{done_at, run_with, said, three_servers};
use crate::common::code;

#[test]
fn a_value_may_begin_with_a_dash_and_a_misspelt_option_is_no_value() {
    let cluster = three_servers();
    let address = cluster.address(1);
    let get = || done_at(&address, &["get", "a"], 0);
    done_at(&address, &["set", "a", "-5"], 0);
    assert_eq!(get(), "-5");
    done_at(&address, &["set", "a", "-5 degrees", "--exptime", "100"], 0);
    assert_eq!(get(), "-5 degrees");
    let set = ["set", "--endpoints", &address, "a", "--", "--exptme=60"];
    assert_eq!(code(&run_with(&set, &[], b"")), 0);
    assert_eq!(get(), "--exptme=60");
    let set = ["set", "--endpoints", &address, "--", "a", "-7"];
    assert_eq!(code(&run_with(&set, &[], b"")), 0);
    assert_eq!(get(), "-7");
    let wrong = ["set", "--endpoints", &address, "a", "--exptme=60"];
    let sentence = said(&run_with(&wrong, &[], b""), 2);
    assert!(sentence.contains("there is no option --exptme=60"), "{sentence}");
    assert_eq!(get(), "-7");
}

#[test]
fn bytes_that_are_no_text_come_from_a_file_from_standard_input_or_as_digits() {
    let cluster = three_servers();
    let address = cluster.address(1);
    let get = || run_with(&["get", "a", "--endpoints", &address], &[], b"").stdout;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("value");
    std::fs::write(&file, b"\0\xff\n").unwrap();
    let file = file.to_str().unwrap();
    done_at(&address, &["set", "a", "--file", file], 0);
    assert_eq!(get(), b"\0\xff\n");
    for standard_input in [&["-"][..], &["--file", "-"]] {
        let set = [&["set", "a", "--endpoints", &address], standard_input].concat();
        assert_eq!(code(&run_with(&set, &[], b"\xfe\0")), 0);
        assert_eq!(get(), b"\xfe\0");
        done_at(&address, &["delete", "a"], 0);
    }
    done_at(&address, &["set", "a", "--hex", "00 fF 0a"], 0);
    assert_eq!(get(), b"\0\xff\n");
    let set = ["set", "a", "-", "--base64", "--endpoints", &address];
    assert_eq!(code(&run_with(&set, &[], b"AP8L\n")), 0);
    assert_eq!(get(), b"\0\xff\x0b");
    done_at(&address, &["set", "--key-hex", "ff80", "one"], 0);
    assert_eq!(done_at(&address, &["get", "--key-base64", "/4A="], 0), "one");
    assert_eq!(
        done_at(&address, &["scan", "--key-hex", "ff", "--keys-only"], 0),
        "\"\\xff\\x80\"\n"
    );
    done_at(&address, &["delete", "--key-hex", "ff80"], 0);
    done_at(&address, &["get", "--key-hex", "ff80"], 1);

    let refused = |arguments: &[&str]| {
        let arguments = [arguments, &["--endpoints", &address]].concat();
        said(&run_with(&arguments, &[], b"!"), 2)
    };
    assert!(refused(&["set", "a", "0", "--hex"]).contains("--hex: 0: two hexadecimal digits"));
    let sentence = refused(&["set", "a", "-", "--base64"]);
    assert!(sentence.contains("--base64: standard input: it is no base64"), "{sentence}");
    assert!(refused(&["get", "x", "--key-hex"]).contains("--key-hex: x: two hexadecimal"));
    assert!(refused(&["set", "a", "--file", "/no/such/file"]).contains("/no/such/file: "));
}

#[test]
fn without_a_terminal_a_command_is_needed() {
    for arguments in [&[][..], &["--endpoints", "127.0.0.1:1"]] {
        let output = run_with(arguments, &[], b"get a\n");
        assert_eq!(code(&output), 2, "{output:?}");
        assert!(output.stdout.is_empty(), "{output:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("Usage: coracle"), "{output:?}");
    }
}

#[test]
fn options_in_front_of_a_command_are_not_taken_for_those_of_the_command() {
    let output = run_with(&["--endpoints", "127.0.0.1:1", "get", "a"], &[], b"");
    assert!(said(&output, 2).contains("--endpoints and --config stand behind the command"));
}
