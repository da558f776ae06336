use super::*;

fn history(first: u64, last: u64) -> DigestHistory {
    let mut history = DigestHistory::beginning_at(LogIndex(first), first * 10);
    for index in first + 1..=last {
        history.push(LogIndex(index), index * 10);
    }
    history
}

#[test]
fn the_last_entries_are_known_and_of_earlier_ones_only_the_marks() {
    let history = history(7, 3_000_000);
    let at = |index| history.at(LogIndex(index));
    assert_eq!(at(3_000_000), Some(30_000_000));
    assert_eq!(at(3_000_001), None, "not applied");
    assert_eq!(at(3_000_000 - 4095), Some((3_000_000 - 4095) * 10));
    assert_eq!(at(3_000_000 - 4096), None, "neither recent nor a mark");
    let newest_mark = 3_000_000 / 1024;
    assert_eq!(at((newest_mark - 1023) * 1024), Some((newest_mark - 1023) * 10_240));
    assert_eq!(at((newest_mark - 1024) * 1024), None, "its place has another mark");
    assert_eq!(at((newest_mark - 1000) * 1024 + 1), None, "no mark");
}

#[test]
fn nothing_is_known_of_the_entries_before_the_first() {
    let history = history(2048, 2050);
    let known = [2047, 2048, 2049, 2050, 2051, 1024, 0].map(|index| history.at(LogIndex(index)));
    assert_eq!(known, [None, Some(20_480), Some(20_490), Some(20_500), None, None, None]);
}

#[test]
#[should_panic(expected = "in the order of the entries")]
fn an_entry_that_is_left_out_is_noticed() {
    history(1, 3).push(LogIndex(5), 0);
}
