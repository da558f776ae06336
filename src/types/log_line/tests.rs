use super::*;

fn vote() -> LogLine {
    LogLine::new("granted vote").with("candidate", 3_u64).with("term", 2_u64)
}

#[test]
fn facts_follow_the_message_in_their_order() {
    assert_eq!(vote().to_string(), "granted vote candidate=3 term=2");
    let line = LogLine::new("took snapshot").with("seconds", Fact::Fraction(0.25));
    assert_eq!(line.with("is_done", true).to_string(), "took snapshot seconds=0.250 is_done=true");
}

#[test]
fn a_value_whose_end_would_not_be_seen_is_in_quotes() {
    let text = |value: &str| LogLine::new("m").with("key", value).to_string();
    assert_eq!(text("127.0.0.1:9001"), "m key=127.0.0.1:9001");
    assert_eq!(text("two words"), "m key=\"two words\"");
    assert_eq!(text(""), "m key=\"\"");
    assert_eq!(text("a\"b\\c"), r#"m key="a\"b\\c""#);
    assert_eq!(text("a\nterm=9\u{7}"), "m key=\"a\\nterm=9\\u{7}\"");
    assert_eq!(text("zw\u{f6}lf"), "m key=zw\u{f6}lf");
}

#[test]
fn a_fact_that_the_message_tells_is_not_repeated() {
    let line = LogLine::new("the store of peer=4 differs after entry index=12; it stops");
    let line = line.with("peer", 4_u64).with("index", 12_u64).with("node", 1_u64);
    let text = "the store of peer=4 differs after entry index=12; it stops node=1";
    assert_eq!(line.to_string(), text);
    // Another number begins or ends like this one.
    let other = LogLine::new("peer=41 and xpeer=4").with("peer", 4_u64);
    assert_eq!(other.to_string(), "peer=41 and xpeer=4 peer=4");
}

#[test]
fn the_detail_stands_at_the_end_after_a_colon() {
    let line = vote().with(DETAIL, "why it \"was\" so\r\nforged line").with("node", 1_u64);
    let text = "granted vote candidate=3 term=2 node=1: why it \"was\" so\\r\\nforged line";
    assert_eq!(line.to_string(), text);
}

#[test]
fn a_message_stays_one_line() {
    assert_eq!(LogLine::new("a \"b\" \\ \u{1b}[31m\n").to_string(), "a \"b\" \\ \\u{1b}[31m\\n");
}
