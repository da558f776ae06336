use super::utc;

#[test]
fn times_are_those_of_the_calendar() {
    assert_eq!(utc(0, 0), "1970-01-01T00:00:00.000Z");
    assert_eq!(utc(951_782_399, 999), "2000-02-28T23:59:59.999Z");
    assert_eq!(utc(951_782_400, 0), "2000-02-29T00:00:00.000Z");
    assert_eq!(utc(951_868_800, 0), "2000-03-01T00:00:00.000Z");
    assert_eq!(utc(1_704_067_199, 1), "2023-12-31T23:59:59.001Z");
    assert_eq!(utc(4_107_542_400, 0), "2100-03-01T00:00:00.000Z");
}
