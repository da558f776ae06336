use super::*;

fn changes(silences_ms: &[u64]) -> Vec<DiskChange> {
    let mut stall = DiskStall::default();
    silences_ms.iter().filter_map(|ms| stall.observe(Duration::from_millis(*ms))).collect()
}

#[test]
fn a_stall_is_told_once_and_so_is_its_end() {
    assert_eq!(changes(&[0, 10, 500, 999, 3, 0]), []);
    let (silence, stalled) = (Duration::from_millis(1001), Duration::from_millis(3500));
    let told = [DiskChange::Stalled { silence }, DiskChange::GoesOn { stalled }];
    assert_eq!(changes(&[999, 1001, 2000, 3500, 4, 0, 20]), told);
    assert_eq!(changes(&[1001, 3500, 0]), told);
}

#[test]
fn a_stall_right_after_another_is_one_of_its_own() {
    let ms = Duration::from_millis;
    let stalled = |silence| DiskChange::Stalled { silence };
    let goes_on = |stalled| DiskChange::GoesOn { stalled };
    let told = [stalled(ms(1500)), goes_on(ms(1500)), stalled(ms(1200))];
    assert_eq!(changes(&[1500, 1100, 1200]), told);
}
