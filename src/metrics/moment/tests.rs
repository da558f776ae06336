use std::time::Duration;

use super::Moment;

#[test]
fn a_moment_is_what_was_set_to_the_microsecond_and_clones_share_it() {
    let moment = Moment::default();
    let clone = moment.clone();
    assert_eq!(clone.get(), None);
    moment.set(Some(Duration::from_nanos(1_234_567)));
    assert_eq!(clone.get(), Some(Duration::from_micros(1_234)));
    clone.set(None);
    assert_eq!(moment.get(), None);
}

#[test]
fn the_first_moment_of_a_clock_is_not_none() {
    let moment = Moment::default();
    assert!(moment.begin(Duration::ZERO));
    assert_eq!(moment.get(), Some(Duration::from_micros(1)));
}

#[test]
fn a_moment_that_has_begun_stays_until_it_is_taken() {
    let moment = Moment::default();
    assert!(moment.begin(Duration::from_secs(1)));
    assert!(!moment.begin(Duration::from_secs(2)));
    assert_eq!((moment.take(), moment.take()), (Some(Duration::from_secs(1)), None));
    assert!(moment.begin(Duration::from_secs(3)));
}
