use super::*;

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn a_row_has_rates_and_what_is_not_measured_is_null() {
    let mut samples = Samples::default();
    let text = |commit: u64, sets: u64| {
        Scrape::parse(&format!(
            "raft_commit_index {commit}\nraft_is_leader 1\nraft_last_log_index {commit}\n\
             client_requests_total{{command=\"set\"}} {sets}\n\
             client_requests_total{{command=\"get\"}} 4\n\
             peer_connected{{peer=\"2\"}} 1\npeer_match_index{{peer=\"2\"}} 90\n\
             peer_connected{{peer=\"3\"}} 0\npeer_match_index{{peer=\"3\"}} 90\n"
        ))
    };
    assert_eq!(samples.take(text(50, 10), &[2, 3], 1_000, at(1)), None);
    assert!(samples.take(text(100, 30), &[2, 3], 3_000, at(3)).is_some());
    assert_eq!(samples.newest("at_ms"), json!(3_000));
    assert_eq!(samples.newest("committed_per_second"), json!(25.0));
    assert_eq!(samples.newest("writes_per_second"), json!(10.0));
    assert_eq!(samples.newest("reads_per_second"), json!(0.0));
    assert_eq!(samples.newest("behind"), json!({"2": 10, "3": null}));
    for field in ["apply_p99_ms", "turn_max_ms", "fsync_p99_ms", "log_bytes"] {
        assert_eq!(samples.newest(field), Value::Null, "{field}");
    }
}

#[test]
fn old_rows_go() {
    let mut samples = Samples::default();
    for second in 0..=ROWS_MAX as u64 + 3 {
        samples.take(Scrape::default(), &[], second, at(second));
    }
    let all = samples.all();
    let rows = all["rows"].as_array().unwrap();
    assert_eq!(rows.len(), ROWS_MAX);
    assert_eq!(rows[0][0], json!(4));
}
