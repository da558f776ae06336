//! The bound on log lines, in paused time.

use super::*;

#[actix::test]
async fn ten_lines_a_minute_are_admitted_and_the_others_counted() {
    tokio::time::pause();
    let limit = LogLimit::default();
    let shared = limit.clone();
    for _ in 0..LINES_MAX - 1 {
        assert_eq!(shared.admit().unwrap().to_string(), "");
    }
    let last = limit.admit().unwrap().to_string();
    assert_eq!(last, " (further ones within this minute are only counted)");
    for _ in 0..1000 {
        assert_eq!(shared.admit(), None);
    }
    tokio::time::advance(PERIOD).await;
    let first = limit.admit().unwrap().to_string();
    assert_eq!(first, " (1000 such lines were left out before this one)");
    assert_eq!(limit.admit().unwrap().to_string(), "");
}
