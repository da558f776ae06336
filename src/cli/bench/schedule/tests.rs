use super::*;

fn due_us(schedule: &Schedule, connection: u64, turns: u64) -> Vec<u128> {
    let since = |turn| schedule.due(connection, turn) - schedule.begin;
    (0..turns).map(|turn| since(turn).as_micros()).collect()
}

#[test]
fn at_a_low_rate_each_command_has_a_beat_of_its_own() {
    let schedule = Schedule::new(Instant::now(), 1000.0, 2);
    assert_eq!(due_us(&schedule, 0, 3), [0, 2000, 4000]);
    assert_eq!(due_us(&schedule, 1, 3), [1000, 3000, 5000]);
    let slow = Schedule::new(Instant::now(), 0.5, 1);
    assert_eq!(due_us(&slow, 0, 3), [0, 2_000_000, 4_000_000]);
}

#[test]
fn at_a_high_rate_several_share_a_beat_and_the_rate_is_kept() {
    let schedule = Schedule::new(Instant::now(), 10_000.0, 2);
    assert_eq!(due_us(&schedule, 0, 4), [0, 0, 300, 600], "three a beat of 300 us");
    assert_eq!(due_us(&schedule, 1, 4), [0, 300, 300, 600]);
    assert_eq!(due_us(&schedule, 0, 15_001).last(), Some(&3_000_000));
}

#[test]
fn as_many_are_counted_as_are_due() {
    for rate in [0.3, 7.0, 999.0, 4000.0, 4001.0, 123_456.0] {
        let schedule = Schedule::new(Instant::now(), rate, 1);
        for turn in [0, 1, 2, 10, 4_567] {
            let due = schedule.due(0, turn);
            let counted = schedule.due_count(due);
            assert!(counted > turn, "{rate} a second: command {turn}, counted {counted}");
            assert!(schedule.due(0, counted) > due, "{rate} a second: {counted} are too many");
        }
    }
}

#[test]
fn nothing_is_due_before_the_beginning_but_the_first_beat() {
    let begin = Instant::now() + Duration::from_secs(1);
    assert_eq!(Schedule::new(begin, 10.0, 1).due_count(Instant::now()), 1);
}

#[tokio::test]
async fn beats_are_notified_until_nobody_listens() {
    let listener = Arc::new(Notify::new());
    let schedule = Schedule::new(Instant::now(), 1000.0, 1);
    schedule.notify_beats(&listener);
    for _ in 0..3 {
        listener.notified().await;
    }
    let last = Arc::downgrade(&listener);
    drop(listener);
    // The thread holds the listener only while it notifies.
    while last.strong_count() > 0 {
        tokio::task::yield_now().await;
    }
}
