use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// Number of lines that are admitted of so many with a key.
fn admitted<K: Ord + Copy>(limit: &mut LogLimit<K>, key: K, lines: u32, now: Instant) -> usize {
    (0..lines).filter(|_| limit.admit(key, now).is_some()).count()
}

#[test]
fn the_line_after_the_period_says_how_many_were_left_out() {
    let (mut limit, start) = (LogLimit::default(), Instant::now());
    assert_eq!(limit.admit((), start), Some(None));
    assert_eq!(admitted(&mut limit, (), 9, start + SECOND), 9);
    assert_eq!(admitted(&mut limit, (), 1000, start + 59 * SECOND), 0);
    assert_eq!(limit.admit((), start + 60 * SECOND), Some(Some(1000)));
    assert_eq!(limit.admit((), start + 60 * SECOND), Some(None));
    assert_eq!(admitted(&mut limit, (), 20, start + 60 * SECOND), 8);
}

#[test]
fn a_line_that_says_the_same_is_quiet_and_others_are_not() {
    let (mut limit, start) = (LogLimit::new(ONCE, BURST), Instant::now());
    assert_eq!(limit.admit("refused", start), Some(None));
    assert_eq!(limit.admit("refused", start + SECOND), None);
    assert_eq!(limit.admit("refused", start + 599 * SECOND), None);
    assert_eq!(limit.admit("timed out", start + 599 * SECOND), Some(Some(2)));
    assert_eq!(limit.admit("refused", start + 600 * SECOND), Some(None));
}

#[test]
fn the_end_of_the_state_tells_the_rest_and_begins_anew() {
    let (mut limit, start) = (LogLimit::new(ONCE, BURST), Instant::now());
    assert_eq!(admitted(&mut limit, "refused", 18, start), 1);
    limit.forget(|key| *key == "timed out");
    assert_eq!(limit.admit("refused", start), None);
    limit.forget(|key| *key == "refused");
    assert_eq!(limit.take_left_out(), Some(18));
    assert_eq!(limit.take_left_out(), None);
    assert_eq!(limit.admit("refused", start), Some(None));
    limit.add_left_out(Some(3));
    limit.add_left_out(None);
    assert_eq!(limit.admit("timed out", start), Some(Some(3)));
}

#[test]
fn keys_that_a_stranger_invents_get_no_more_lines_and_no_more_memory() {
    let (mut limit, start) = (LogLimit::new(ONCE, BURST), Instant::now());
    assert_eq!((0..1000).filter(|key| limit.admit(*key, start).is_some()).count(), 10);
    for key in 1000..2000 {
        assert!(limit.admit(key, start + (60 * key) * SECOND).is_some());
        assert!(limit.keys.len() <= KEYS_MAX);
    }
    let generous = Allowance { lines: 1000, period: 600 * SECOND };
    let mut limit = LogLimit::new(ONCE, generous);
    assert_eq!((0..500).filter(|key| limit.admit(*key, start).is_some()).count(), 500);
    assert!(limit.keys.len() <= KEYS_MAX);
}

#[actix::test]
async fn a_line_that_is_left_out_is_one_for_debugging() {
    tokio::time::pause();
    let mut limit = LogLimit::new(ONCE, BURST);
    assert_eq!(limit.level(Level::Warn, "a"), (Level::Warn, None));
    assert_eq!(limit.level(Level::Warn, "a"), (Level::Debug, None));
    tokio::time::advance(ONCE.period).await;
    assert_eq!(limit.level(Level::Warn, "a"), (Level::Warn, Some(1)));
}
