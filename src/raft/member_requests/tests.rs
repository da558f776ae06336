use super::*;

#[test]
fn a_duration_has_the_unit_that_people_would_use() {
    let cases = [(0, "0 ms"), (999, "999 ms"), (1000, "1 s"), (119_999, "119 s")];
    let longer = [(120_000, "2 min"), (7_199_999, "119 min"), (7_200_000, "2 h")];
    for (ms, text) in cases.into_iter().chain(longer) {
        assert_eq!(duration(ms), text);
    }
}
