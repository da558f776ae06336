use super::*;

fn member(cause: Option<&str>, behind_ms: u64) -> Value {
    json!({"cause": cause, "cause_text": "as the leader knows it", "behind_ms": behind_ms})
}

fn completed(mut member: Value, report: &Value) -> Option<String> {
    complete(&mut member, report);
    member["cause"].as_str().map(str::to_owned)
}

#[test]
fn a_disk_that_stands_still_comes_before_a_store_that_waits_for_it() {
    let report = json!({"disk_silent_ms": 1_200, "apply_wait_ms": 1_300, "fsync_p99_ms": null});
    assert_eq!(completed(member(Some("catching"), 2_000), &report).as_deref(), Some("disk"));
    let report = json!({"disk_silent_ms": 0, "apply_wait_ms": 1_300, "fsync_p99_ms": 3.0});
    let mut slow = member(None, 0);
    complete(&mut slow, &report);
    assert_eq!(slow["cause"], "apply");
    assert_eq!(slow["cause_text"], "Its store has owed a committed entry for 1300 ms.");
}

#[test]
fn slow_syncs_are_a_cause_only_of_a_member_that_is_behind() {
    let report = json!({"disk_silent_ms": 0, "apply_wait_ms": 0, "fsync_p99_ms": 240.0});
    assert_eq!(completed(member(Some("network"), 3_000), &report).as_deref(), Some("disk"));
    assert_eq!(completed(member(Some("catching"), 0), &report).as_deref(), Some("disk"));
    assert_eq!(completed(member(None, 20), &report), None);
}

#[test]
fn a_cause_that_explains_everything_stays() {
    let report = json!({"disk_silent_ms": 9_000, "apply_wait_ms": 9_000});
    for cause in ["unseen", "snapshot", "rejoining", "draining"] {
        assert_eq!(completed(member(Some(cause), 9_000), &report).as_deref(), Some(cause));
    }
}

#[test]
fn a_member_that_sends_no_report_keeps_the_leaders_cause() {
    let found = completed(member(Some("network"), 5_000), &Value::Null);
    assert_eq!(found.as_deref(), Some("network"));
}

#[test]
fn a_line_is_slow_by_its_round_trips_or_by_what_waits_for_it() {
    let peer = PeerMetrics::default();
    assert_eq!(of_network(&peer), None);
    peer.on_round_trip(Duration::from_millis(2));
    assert_eq!(of_network(&peer), None);
    peer.set_waiting(UNSENT_BYTES_MIN as usize, 0);
    assert_eq!(of_network(&peer).map(|(cause, _)| cause), Some("network"));
    peer.set_waiting(0, 0);
    for _ in 0..40 {
        peer.on_round_trip(Duration::from_millis(250));
    }
    let (_, text) = of_network(&peer).expect("it is slow");
    assert!(text.starts_with("A round trip to it takes 2"), "{text}");
}
