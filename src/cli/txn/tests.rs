use coracle::client::Item;
use proptest::prelude::*;

use super::*;

fn script() -> Script {
    let text = b"check c 0\nset a 1\ndelete b\ndelete c\nget d\nget e\ngetm f\ngetm g\nget h\n";
    Script::parse(text).unwrap()
}

fn committed() -> Committed {
    let item = Item { key: b"f".to_vec(), version: 4, exptime: 9, value: b"x\ny".to_vec() };
    Committed {
        revision: 7,
        results: vec![
            OperationResult::Stored { version: 7 },
            OperationResult::Deleted { was_there: true },
            OperationResult::Deleted { was_there: false },
            OperationResult::Value(Some(b"\xff".to_vec())),
            OperationResult::Value(None),
            OperationResult::Item(Some(item)),
            OperationResult::Item(None),
            OperationResult::Compacted { revision: 5 },
        ],
    }
}

#[test]
fn each_command_but_the_checks_has_its_line() {
    let expected = "committed 7\nstored a 7\ndeleted b\nabsent c\nvalue d 1\n\"\\xff\"\n\
                    absent e\nvalue f 4 9 3\n\"x\\ny\"\nabsent g\ncompacted h 5\n";
    assert_eq!(text(&script(), &committed()), expected);
}

#[test]
fn each_command_but_the_checks_has_its_object() {
    let expected = [
        r#"{"command":"set","key":"a","version":7}"#,
        r#"{"command":"delete","key":"b","was_there":true}"#,
        r#"{"command":"delete","key":"c","was_there":false}"#,
        r#"{"command":"get","key":"d","value":{"hex":"ff"}}"#,
        r#"{"command":"get","key":"e","value":null}"#,
        r#"{"command":"getm","key":"f","version":4,"exptime":9,"value":"x\u000ay"}"#,
        r#"{"command":"getm","key":"g","value":null}"#,
        r#"{"command":"get","key":"h","compacted":5}"#,
    ];
    let results = expected.join(",");
    let expected = format!("{{\"committed\":true,\"revision\":7,\"results\":[{results}]}}");
    assert_eq!(object(&script(), &committed()).to_string(), expected);
}

#[test]
fn an_aborted_transaction_says_which_check_did_not_hold() {
    let sentence = |version| aborted(b"k", version).to_string();
    assert_eq!(sentence(3), "nothing was executed: the version of k is 3");
    assert_eq!(sentence(0), "nothing was executed: k is absent");
}

proptest! {
    #[test]
    fn a_printed_value_is_one_line_and_a_script_reads_a_quoted_one_as_the_same_bytes(
        bytes in prop_oneof![any::<Vec<u8>>(), any::<String>().prop_map(String::into_bytes)]
    ) {
        let printed = quoted(&bytes);
        prop_assert!(printed.chars().all(crate::cli::text::is_harmless), "{}", printed);
        if printed.starts_with('"') {
            let script = Script::parse(format!("set k {printed}").as_bytes()).unwrap();
            let Some(Step::Set { value, .. }) = script.answered().next() else {
                panic!("{printed} is no value");
            };
            prop_assert_eq!(value, &bytes, "{}", printed);
        } else {
            prop_assert_eq!(printed.as_bytes(), &bytes[..]);
        }
    }
}
