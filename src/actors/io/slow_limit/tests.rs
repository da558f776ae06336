use super::*;

#[test]
fn one_line_a_second_is_admitted_and_says_how_many_were_left_out() {
    let limit = SlowLimit::default();
    let other = limit.clone();
    let at = Duration::from_millis;
    assert_eq!(limit.admit(at(5_000)), Some(0));
    assert_eq!(other.admit(at(5_001)), None);
    assert_eq!(limit.admit(at(5_999)), None);
    assert_eq!(other.admit(at(6_000)), Some(2));
    assert_eq!(limit.admit(at(9_000)), Some(0));
}
