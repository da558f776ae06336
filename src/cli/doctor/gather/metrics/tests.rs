//! Numbers of a text of metrics.

use super::*;

const TEXT: &str = "# TYPE process_open_fds gauge\n\
    process_open_fds 46\n\
    process_max_fds 20000\n\
    peer_round_trip_seconds_sum{peer=\"1\"} 5.0\n\
    peer_round_trip_seconds_count{peer=\"1\"} 1000\n\
    peer_round_trip_seconds_sum{peer=\"2\"} 0.5\n\
    peer_round_trip_seconds_count{peer=\"2\"} 10\n\
    peer_round_trip_seconds_sum{peer=\"3\"} 0.0\n\
    peer_round_trip_seconds_count{peer=\"3\"} 0\n\
    snapshot_failures_total 2\n";

#[test]
fn the_round_trip_is_the_mean_of_the_slowest_peer() {
    let metrics = read(TEXT);
    assert_eq!((metrics.open_files, metrics.open_files_max), (Some(46), Some(20_000)));
    assert_eq!(metrics.round_trip_ms, Some(50.0));
    assert_eq!(metrics.snapshot_failures, Some(2));
}

#[test]
fn what_is_not_there_is_not_known() {
    assert_eq!(read("<html>no metrics 1</html>\n"), Metrics::default());
    let follower = "peer_round_trip_seconds_sum{peer=\"1\"} 0\n\
                    peer_round_trip_seconds_count{peer=\"1\"} 0\n";
    assert_eq!(read(follower).round_trip_ms, None);
}
