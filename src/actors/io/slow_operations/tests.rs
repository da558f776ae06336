use std::sync::Arc;

use super::*;
use crate::clock::{Clock, SystemClock};
use crate::kv::{Command, Operation};
use crate::metrics::NodeMetrics;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn metrics() -> NodeMetrics {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    NodeMetrics::new(&clock)
}

fn judge(metrics: &NodeMetrics, bound_ms: u64) -> SlowOperations {
    let NodeMetrics { clients, main_thread, .. } = metrics.clone();
    SlowOperations::new(ms(bound_ms), NodeId(1), clients, main_thread)
}

fn written() -> OperationTimes {
    let mut times = OperationTimes::arrived("set", ms(1_000));
    times.propose(Some(ms(1_001)), Some(ms(1_090)));
    times.release(ms(1_099));
    times
}

fn set(key: Vec<u8>) -> Bytes {
    let (key, value) = (key.into(), Bytes::from_static(b"secret"));
    let operation = Operation::Set { key, exptime: 0, value, lease: 0 };
    Command { once: None, store_bytes_max: 0, operation }.encode()
}

#[test]
fn a_command_is_slow_from_the_bound_on_and_never_without_one() {
    let metrics = metrics();
    let slow = judge(&metrics, 100);
    let judge_at = |ended| slow.judge(&written(), ended, OperationEnd::Answered, Subject::Unknown);
    judge_at(ms(1_099));
    assert_eq!(metrics.clients.slow("set", "disk"), 0);
    judge_at(ms(1_100));
    assert_eq!(metrics.clients.slow("set", "disk"), 1);
    let off = judge(&metrics, 0);
    assert!(!off.is_on());
    off.judge(&written(), ms(9_000), OperationEnd::Answered, Subject::Unknown);
    assert_eq!(metrics.clients.slow("set", "apply"), 0);
}

#[test]
fn a_line_has_the_parts_and_the_size_and_no_value() {
    let command = set(b"a\nkey".to_vec());
    let (times, ended_at) = (written(), ms(1_100));
    let end = OperationEnd::Answered;
    let line = line(&times, ended_at, end, Subject::Write(&command));
    assert_eq!(
        line.to_string(),
        format!(
            "took long command=set outcome=answered key=\"a\\nkey\" key_bytes=5 \
             command_bytes={} total_ms=100.000 cause=disk queue_ms=1.000 disk_ms=89.000 \
             network_ms=9.000 apply_ms=1.000",
            command.len()
        )
    );
}

#[test]
fn a_line_shows_the_first_bytes_of_a_long_key() {
    let command = set(vec![b'k'; 65]);
    let (times, ended_at) = (written(), ms(1_100));
    let (end, subject) = (OperationEnd::TimedOut, Subject::Write(&command));
    let line = line(&times, ended_at, end, subject).to_string();
    let shown = format!("outcome=timed_out key={} key_bytes=65 ", "k".repeat(64));
    assert!(line.contains(&shown), "{line}");
}

#[test]
fn a_read_is_shown_by_its_key_and_its_round() {
    let mut times = OperationTimes::arrived("get", ms(0));
    times.read(ms(0));
    let query = Query::Get { key: Bytes::from_static(b"k"), at: 0 };
    let (end, subject) = (OperationEnd::TimedOut, Subject::Read(&query));
    let line = line(&times, ms(150), end, subject);
    assert_eq!(
        line.to_string(),
        "took long command=get outcome=timed_out key=k key_bytes=1 total_ms=150.000 cause=round \
         queue_ms=0.000 round_ms=150.000 apply_ms=0.000"
    );
}

#[test]
fn a_key_is_shown_as_text_where_it_is_text() {
    assert_eq!(shown("schl\u{fc}ssel".as_bytes()), "schl\u{fc}ssel");
    assert_eq!(shown(&[b'a', 0xff]), "a\\xff");
    // The 64th byte is the first of a character of two.
    let long = "k".repeat(63) + "\u{fc}\u{fc}";
    assert_eq!(shown(long.as_bytes()), "k".repeat(63));
}
