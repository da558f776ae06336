//! Findings as text and as JSON.

use super::*;

fn diagnosis() -> Diagnosis {
    let findings = vec![
        Finding::ok("clocks", "within 3 ms"),
        Finding::warn("disk space", "1.0 GiB of 100.0 GiB", "enlarge the disk").of(NodeId(3)),
        Finding::fail("ports", "nothing \u{7}answers", "start it").of(NodeId(2)),
    ];
    Diagnosis { findings, unchecked: vec!["memory, because it is elsewhere".into()] }
}

#[test]
fn the_text_has_a_line_for_each_finding_and_for_what_to_do() {
    let expected = "\
ok    clocks           within 3 ms
warn  disk space of 3  1.0 GiB of 100.0 GiB
                       -> enlarge the disk
fail  ports of 2       nothing \\u{7}answers
                       -> start it
not checked: memory, because it is elsewhere
1 ok, 1 warning, 1 failure
";
    assert_eq!(diagnosis().text(Paint::default()), expected);
}

#[test]
fn the_object_has_the_same() {
    let json: serde_json::Value = serde_json::from_str(&diagnosis().json().line()).unwrap();
    assert_eq!((&json["ok"], &json["warn"], &json["fail"]), (&1.into(), &1.into(), &1.into()));
    assert!(json["findings"][0]["advice"].is_null() && json["findings"][0]["server"].is_null());
    assert_eq!(json["findings"][1]["server"], 3);
    assert_eq!(json["findings"][2]["level"], "fail");
    assert_eq!(json["findings"][2]["text"], "nothing \u{7}answers");
    assert_eq!(json["unchecked"][0], "memory, because it is elsewhere");
}
