//! Tests of the pauses between dials.

use super::*;

fn assert_pause(pause: Duration, pause_ms: u128) {
    assert!((pause_ms.div_ceil(2)..=pause_ms).contains(&pause.as_millis()), "{pause:?}");
}

#[test]
fn the_pause_doubles_up_to_its_maximum_and_starts_again_after_a_hello() {
    let mut backoff = Backoff::new(20, 500, 1);
    for pause_ms in [20, 40, 80, 160, 320, 500, 500] {
        assert_pause(backoff.after_failed_dial(), pause_ms);
    }
    for _ in 0..100 {
        assert_pause(backoff.after_failed_dial(), 500);
    }
    backoff.on_established();
    assert_pause(backoff.after_failed_dial(), 20);
}

#[test]
fn only_connections_that_end_soon_in_a_row_are_redialled_after_a_pause() {
    let mut backoff = Backoff::new(20, 500, 1);
    let (short, long) = (Duration::from_millis(499), Duration::from_millis(500));
    assert_eq!(backoff.after_connection(short), None);
    assert_pause(backoff.after_connection(short).unwrap(), 20);
    assert_pause(backoff.after_connection(short).unwrap(), 40);
    assert_eq!(backoff.after_connection(long), None);
    assert_pause(backoff.after_connection(short).unwrap(), 20);
}
