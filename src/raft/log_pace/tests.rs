use super::{LogPace, NOTES_MAX};
use crate::types::LogIndex;

const TICKS_PER_SECOND: u32 = 8;

#[test]
fn the_age_of_an_entry_is_the_time_since_the_log_ended_with_it() {
    let mut pace = LogPace::default();
    assert_eq!(pace.age_ticks(LogIndex(5)), 0, "nothing is known yet");
    for tick in 0..80 {
        pace.tick(LogIndex(1000 + 10 * tick), TICKS_PER_SECOND);
    }
    assert_eq!(pace.age_ticks(LogIndex(1000 + 10 * 40)), 40);
    assert_eq!(pace.age_ticks(LogIndex(1000 + 10 * 41)), 40, "the nearest note before it");
    assert_eq!(pace.age_ticks(LogIndex(7)), 80, "older than the term");
}

#[test]
fn the_notes_are_bounded() {
    let mut pace = LogPace::default();
    for tick in 0..10_000 {
        pace.tick(LogIndex(tick), TICKS_PER_SECOND);
    }
    assert_eq!(pace.notes.len(), NOTES_MAX);
    assert!(pace.age_ticks(LogIndex(0)) >= 59 * u64::from(TICKS_PER_SECOND));
}
