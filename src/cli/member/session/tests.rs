use super::*;

#[test]
fn a_time_is_a_number_of_seconds() {
    assert_eq!(seconds("1.5"), Ok(Duration::from_millis(1_500)));
    assert_eq!(seconds("0"), Ok(Duration::ZERO));
    for text in ["", "x", "-1", "nan", "inf", "1e300", "1s"] {
        assert!(seconds(text).is_err(), "{text}");
    }
}
