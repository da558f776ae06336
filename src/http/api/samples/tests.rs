use super::*;
use crate::metrics::{ClientSample, RaftSample};
use crate::types::Term;

fn at(seconds: u64, of: Sample) -> Sample {
    Sample { at: Duration::from_secs(seconds), at_ms: seconds * 1_000, ..of }
}

#[test]
fn a_row_has_rates_and_what_is_not_measured_is_null() {
    let mut samples = Samples::default();
    let of = |commit: u64, writes: u64| Sample {
        raft: RaftSample {
            is_leader: true,
            term: Term(7),
            last_log_index: LogIndex(commit),
            commit_index: LogIndex(commit),
            matched: [(NodeId(2), Some(LogIndex(90))), (NodeId(3), None)].into(),
            ..RaftSample::default()
        },
        clients: ClientSample { writes, reads: 4, ..ClientSample::default() },
        ..Sample::default()
    };
    assert_eq!(samples.take(at(1, of(50, 10))), None);
    assert!(samples.take(at(3, of(100, 30))).is_some());
    assert_eq!(samples.newest("at_ms"), json!(3_000));
    assert_eq!(samples.newest("term"), json!(7));
    assert_eq!(samples.newest("committed_per_second"), json!(25.0));
    assert_eq!(samples.newest("writes_per_second"), json!(10.0));
    assert_eq!(samples.newest("reads_per_second"), json!(0.0));
    assert_eq!(samples.newest("behind"), json!({"2": 10, "3": null}));
    for field in ["apply_p99_ms", "fsync_p99_ms"] {
        assert_eq!(samples.newest(field), Value::Null, "{field}");
    }
}

#[test]
fn a_server_that_does_not_lead_does_not_say_who_is_behind() {
    let mut samples = Samples::default();
    samples.take(at(1, Sample::default()));
    samples.take(at(2, Sample::default()));
    assert_eq!(samples.newest("behind"), Value::Null);
}

#[test]
fn no_time_between_two_samples_makes_no_row() {
    let mut samples = Samples::default();
    samples.take(at(1, Sample::default()));
    assert_eq!(samples.take(at(1, Sample::default())), None);
    assert!(samples.take(at(2, Sample::default())).is_some());
}

#[test]
fn old_rows_go() {
    let mut samples = Samples::default();
    for second in 0..=ROWS_MAX as u64 + 3 {
        samples.take(at(second, Sample::default()));
    }
    let all = samples.all();
    let rows = all["rows"].as_array().unwrap();
    assert_eq!(rows.len(), ROWS_MAX);
    assert_eq!(rows[0][0], json!(4_000));
}
