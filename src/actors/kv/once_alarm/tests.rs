use super::*;

#[test]
fn each_filling_of_the_table_is_warned_of_once() {
    let mut alarm = OnceAlarm::default();
    assert_eq!(alarm.observe(799_999), None);
    let warning = alarm.observe(800_000).expect("it is four fifths full");
    assert!(warning.contains("800000 names") && warning.contains("1000000"), "{warning}");
    // The number goes up and down around the limit.
    for clients in [800_001, 1_000_000, 799_999, 800_000, 600_000, 800_000] {
        assert_eq!(alarm.observe(clients), None, "{clients}");
    }
    assert_eq!(alarm.observe(599_999), None);
    assert_eq!(alarm.observe(799_999), None);
    assert!(alarm.observe(800_000).is_some());
}
