use super::*;

fn observed(durations: &[(u64, u64)]) -> DurationCounts {
    let histogram = Durations::default();
    for (us, times) in durations {
        (0..*times).for_each(|_| histogram.observe(Duration::from_micros(*us)));
    }
    histogram.counts()
}

#[track_caller]
fn assert_near(found: Option<Duration>, expected_us: u64) {
    let found = found.expect("there are observations");
    let difference = found.abs_diff(Duration::from_micros(expected_us));
    assert!(difference < Duration::from_micros(1), "{found:?} is not {expected_us} us");
}

#[test]
fn a_bound_belongs_to_its_own_bucket() {
    let counts = observed(&[(100, 1), (101, 1), (8_192_000, 1), (8_192_001, 2)]);
    let DurationCounts(buckets) = counts;
    assert_eq!((buckets[0], buckets[1]), (1, 1));
    assert_eq!((buckets[BUCKETS - 2], buckets[BUCKETS - 1]), (1, 2));
}

#[test]
fn a_quantile_is_of_what_happened_since_the_reading_before() {
    let before = observed(&[(800, 100)]);
    let now = observed(&[(800, 150), (1_500, 50)]);
    let since = now.since(&before);
    assert_near(since.quantile(0.25), 750);
    assert_near(since.quantile(0.5), 1_000);
    assert_near(since.quantile(0.75), 1_500);
    assert_near(since.quantile(1.0), 2_000);
    assert_eq!(now.since(&now).quantile(0.5), None, "nothing happened");
}

#[test]
fn what_exceeds_all_bounds_is_given_as_the_highest() {
    assert_near(observed(&[(60_000_000, 3)]).quantile(0.5), 8_192_000);
}

#[test]
fn an_empty_bucket_is_never_the_answer() {
    assert_near(observed(&[(3_000, 1)]).quantile(0.0), 2_000);
}
