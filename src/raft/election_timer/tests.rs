//! The timer by itself.

use super::*;

/// The number of ticks after which it fires.
fn ticks(timer: &mut ElectionTimer) -> u32 {
    (1..).find(|_| timer.tick()).expect("it fires")
}

#[test]
fn a_timeout_is_within_its_bounds_and_is_drawn_anew() {
    let mut timer = ElectionTimer::new(10, 20, 1);
    let timeouts: Vec<u32> = (0..100)
        .map(|_| {
            timer.reset();
            ticks(&mut timer)
        })
        .collect();
    assert!(timeouts.iter().all(|timeout| (10..=20).contains(timeout)), "{timeouts:?}");
    assert!((10..=20).all(|timeout| timeouts.contains(&timeout)), "{timeouts:?}");
}

#[test]
fn a_shortened_timeout_is_longer_than_what_it_is_given_and_at_most_the_shortest() {
    let mut timer = ElectionTimer::new(10, 20, 1);
    for _ in 0..100 {
        timer.reset_shortened(3);
        assert!((4..=10).contains(&ticks(&mut timer)));
        timer.reset_shortened(50);
        assert_eq!(ticks(&mut timer), 10);
    }
}

#[test]
fn it_stays_fired_until_it_is_reset() {
    let mut timer = ElectionTimer::new(10, 20, 1);
    timer.fire_after(2);
    assert_eq!([timer.tick(), timer.tick(), timer.tick()], [false, true, true]);
    timer.reset();
    assert!(!timer.tick());
}
