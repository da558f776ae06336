//! The clock and the promise by themselves.

use super::*;

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A node that started at 1,000 ms, with promises of 100 ms.
fn clock() -> LeaseClock {
    LeaseClock::starting(Some(LeaseSettings { promise: ms(100), started_at: ms(1000) }))
}

/// docs/bugs.md B09: a promise given before the start may have been forgotten.
#[test]
fn a_node_that_starts_has_promised() {
    let mut clock = clock();
    assert!(clock.has_promised());
    clock.set_now(ms(1099));
    assert!(clock.has_promised());
    clock.set_now(ms(1100));
    assert!(!clock.has_promised());
}

#[test]
fn each_promise_counts_from_now() {
    let mut clock = clock();
    clock.set_now(ms(1500));
    clock.promise();
    clock.set_now(ms(1599));
    assert!(clock.has_promised());
    clock.set_now(ms(1600));
    assert!(!clock.has_promised());
}

/// A quarter of the promise is left for clocks of different rates.
#[test]
fn a_lease_is_shorter_than_the_promise() {
    let mut clock = clock();
    assert!(!clock.holds_lease(None));
    clock.set_now(ms(1074));
    assert!(clock.holds_lease(Some(ms(1000))));
    clock.set_now(ms(1075));
    assert!(!clock.holds_lease(Some(ms(1000))));
}

#[test]
fn without_leases_there_is_no_promise_and_no_lease() {
    let mut clock = LeaseClock::starting(None);
    clock.promise();
    assert!(!clock.is_on() && !clock.has_promised());
    assert!(!clock.holds_lease(Some(Duration::ZERO)));
}
