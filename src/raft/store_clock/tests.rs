use core::time::Duration;

use super::StoreClock;

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[test]
fn it_counts_the_time_since_the_election_from_the_last_stamp_on() {
    let clock = StoreClock::going_on(5000, ms(700));
    assert_eq!([700, 701, 1700].map(|now| clock.now_ms(ms(now))), [5000, 5001, 6000]);
}

#[test]
fn it_neither_falls_nor_overflows() {
    let clock = StoreClock::going_on(5000, ms(700));
    assert_eq!(clock.now_ms(ms(699)), 5000, "a monotonic clock that goes back");
    assert_eq!(clock.now_ms(Duration::MAX), u64::MAX);
    assert_eq!(StoreClock::going_on(u64::MAX - 1, ms(0)).now_ms(ms(9)), u64::MAX);
}
