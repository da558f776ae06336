//! Both formats of records.

use log::{Level, Record, kv};

use super::json::json;
use super::*;
use crate::types::{LogLine, Term};

const TIME: &str = "2026-01-02T03:04:05.678Z";

/// The formats of a record with these facts.
fn both(message: &str, facts: &[(&str, kv::Value<'_>)]) -> (String, String) {
    let format = |format: fn(&str, NodeId, &Record<'_>) -> String| {
        let mut builder = Record::builder();
        let record = builder.level(Level::Info).key_values(&facts);
        format(TIME, NodeId(1), &record.args(format_args!("{message}")).build())
    };
    (format(text), format(json))
}

#[test]
fn facts_keep_their_order_and_in_json_their_types() {
    let (candidate, term) = (NodeId(3), Term(2));
    let facts: [(&str, kv::Value<'_>); 9] = [
        ("candidate", kv::ToValue::to_value(&candidate)),
        ("term", kv::ToValue::to_value(&term)),
        ("node", 1_u64.into()),
        ("change", (-5_i64).into()),
        ("ms", 7_u128.into()),
        ("seconds", 0.25.into()),
        ("is_done", true.into()),
        ("address", "127.0.0.1:9001".into()),
        ("nothing", kv::Value::null()),
    ];
    let (text, json) = both("granted vote", &facts);
    assert_eq!(
        text,
        "2026-01-02T03:04:05.678Z INFO  n1 granted vote candidate=3 term=2 node=1 change=-5 ms=7 \
         seconds=0.250 is_done=true address=127.0.0.1:9001"
    );
    assert_eq!(
        json,
        "{\"time\":\"2026-01-02T03:04:05.678Z\",\"level\":\"info\",\"node\":1,\
         \"message\":\"granted vote\",\"candidate\":3,\"term\":2,\"change\":-5,\"ms\":7,\
         \"seconds\":0.25,\"is_done\":true,\"address\":\"127.0.0.1:9001\"}"
    );
}

#[test]
fn a_line_stays_one_line_whatever_is_in_it() {
    let hostile = "a\n2026 INFO \"b\" \\ \u{0}\u{1b}[31m\u{7f}\u{fc}";
    let (text, json) = both(hostile, &[("key", hostile.into()), ("detail", hostile.into())]);
    assert!(!text.contains(char::is_control), "{text:?}");
    assert_eq!(
        text,
        "2026-01-02T03:04:05.678Z INFO  n1 a\\n2026 INFO \"b\" \\ \\u{0}\\u{1b}[31m\\u{7f}\u{fc} \
         key=\"a\\n2026 INFO \\\"b\\\" \\\\ \\u{0}\\u{1b}[31m\\u{7f}\u{fc}\": \
         a\\n2026 INFO \"b\" \\ \\u{0}\\u{1b}[31m\\u{7f}\u{fc}"
    );
    assert!(!json.contains('\n'), "{json:?}");
    let read: serde_json::Value = serde_json::from_str(&json).unwrap();
    for key in ["message", "key", "detail"] {
        assert_eq!(read[key], hostile);
    }
}

#[test]
fn no_fact_takes_the_place_of_what_every_line_has() {
    let (_, json) = both("m", &[("level", "error".into()), ("message", "x".into())]);
    let expected =
        format!("{{\"time\":\"{TIME}\",\"level\":\"info\",\"node\":1,\"message\":\"m\"}}");
    assert_eq!(json, expected);
}

#[test]
fn a_line_is_the_record_that_it_was_made_of() {
    let line = LogLine::new("m").with("number", 1_u64).with("word", "a b").with("flag", true);
    let record = Record::builder().args(format_args!("m")).key_values(&line).build();
    assert_eq!(line_of(&record), line);
}
