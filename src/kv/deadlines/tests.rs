use super::*;

fn name(text: &str) -> KeyBytes {
    KeyBytes::from(text.as_bytes())
}

#[test]
fn names_come_due_by_deadline_and_then_by_name() {
    let mut deadlines = Deadlines::default();
    for (deadline_ms, text) in [(20, "a"), (10, "c"), (10, "b"), (30, "d")] {
        deadlines.insert(deadline_ms, name(text));
    }
    deadlines.remove(30, name("d"));
    assert_eq!(deadlines.pop_due(9), None);
    assert_eq!(deadlines.pop_due(10), Some((10, name("b"))));
    assert_eq!(deadlines.pop_due(10), Some((10, name("c"))));
    assert_eq!(deadlines.pop_due(10), None);
    assert!(!deadlines.has_due(19) && deadlines.has_due(20));
    assert_eq!(deadlines.pop_due(u64::MAX), Some((20, name("a"))));
    assert_eq!(deadlines.pop_due(u64::MAX), None);
}

#[test]
#[should_panic(expected = "has lost a name")]
fn removing_with_the_wrong_deadline_is_noticed() {
    let mut deadlines = Deadlines::default();
    deadlines.insert(10, name("a"));
    deadlines.remove(11, name("a"));
}
