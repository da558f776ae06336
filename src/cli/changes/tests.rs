use super::*;
use coracle::client::Previous;

fn form(json: bool) -> Form {
    Form { json: AsJson { json } }
}

fn changes() -> Changes {
    let previous = |version, value: &[u8]| Some(Previous { version, value: value.to_vec() });
    let set = ChangeKind::Set { value: b"two\nlines".to_vec(), exptime: 9 };
    let change = |key: &[u8], kind, previous| Change { key: key.to_vec(), kind, previous };
    Changes {
        revision: 7,
        changes: vec![
            change(b"a", set, previous(3, b"one")),
            change(b"b", ChangeKind::Deleted, previous(4, b"\xff\0")),
            change(b"c\"", ChangeKind::Expired, None),
        ],
    }
}

#[test]
fn a_change_is_a_line_and_its_value_another_whatever_bytes_it_has() {
    let expected = "prev a 3 3\none\nset a 7 9 9\n\"two\\nlines\"\n\
                    prev b 4 2\n\"\\xff\\x00\"\ndeleted b 7\nexpired c\" 7\n";
    assert_eq!(
        String::from_utf8(form(false).bytes(&changes(), Paint::default())).unwrap(),
        expected
    );
}

#[test]
fn a_change_is_an_object_whatever_bytes_its_value_has() {
    let expected = [
        r#"{"revision":7,"change":"set","key":"a","exptime":9,"value":"two\u000alines","#,
        r#""previous":{"version":3,"value":"one"}}"#,
        "\n",
        r#"{"revision":7,"change":"deleted","key":"b","previous":{"version":4,"#,
        r#""value":{"hex":"ff00"}}}"#,
        "\n",
        r#"{"revision":7,"change":"expired","key":"c\""}"#,
        "\n",
    ];
    let expected = expected.concat();
    assert_eq!(
        String::from_utf8(form(true).bytes(&changes(), Paint::default())).unwrap(),
        expected
    );
}

#[test]
fn a_note_of_progress_prints_nothing() {
    let note = Changes { revision: 9, changes: vec![] };
    assert!(form(true).bytes(&note, Paint::default()).is_empty());
    assert!(form(false).bytes(&note, Paint::default()).is_empty());
}
