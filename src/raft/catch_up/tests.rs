use super::*;

const MAX: u32 = 10;

fn i(index: u64) -> LogIndex {
    LogIndex(index)
}

fn tick(catch_up: &mut CatchUp, ticks: u32) {
    (0..ticks).for_each(|_| catch_up.tick());
}

#[test]
fn a_round_ends_with_what_the_log_had_at_its_beginning() {
    let mut catch_up = CatchUp::new(i(5), NodeId(4), i(100));
    tick(&mut catch_up, 50);
    assert_eq!(catch_up.advance(i(99), i(200)), None);
    assert_eq!(catch_up.advance(i(100), i(200)), Some(Round { number: 1, ticks: 50 }));
    assert!(!catch_up.is_caught_up(MAX), "it took too long");
    tick(&mut catch_up, 9);
    assert_eq!(catch_up.advance(i(199), i(220)), None);
    assert_eq!(catch_up.advance(i(205), i(220)), Some(Round { number: 2, ticks: 9 }));
    assert!(catch_up.is_caught_up(MAX), "although the log has more by now");
    assert_eq!(catch_up.round(), 3);
}

#[test]
fn a_learner_that_falls_back_again_is_not_caught_up() {
    let mut catch_up = CatchUp::new(i(5), NodeId(4), i(100));
    catch_up.advance(i(100), i(200));
    assert!(catch_up.is_caught_up(MAX));
    tick(&mut catch_up, MAX);
    assert!(!catch_up.is_caught_up(MAX));
}

#[test]
fn an_idle_log_makes_no_rounds() {
    let mut catch_up = CatchUp::new(i(5), NodeId(4), i(5));
    assert!(catch_up.advance(i(5), i(5)).is_some());
    for _ in 0..3 * MAX {
        catch_up.tick();
        assert_eq!(catch_up.advance(i(5), i(5)), None);
    }
    assert!(catch_up.is_caught_up(MAX), "it still has everything");
    assert_eq!(catch_up.round(), 2);
}

/// A learner that comes long after the change, while nobody writes, must not be waited for for
/// ever.
#[test]
fn a_learner_that_has_everything_is_caught_up_however_long_the_first_round_took() {
    let mut catch_up = CatchUp::new(i(5), NodeId(4), i(5));
    tick(&mut catch_up, 50 * MAX);
    assert_eq!(catch_up.advance(i(5), i(5)), Some(Round { number: 1, ticks: 50 * MAX }));
    assert!(!catch_up.is_caught_up(MAX));
    catch_up.tick();
    assert_eq!(catch_up.advance(i(5), i(5)), None);
    assert!(catch_up.is_caught_up(MAX));
}

#[test]
fn a_learner_that_has_shown_nothing_is_not_caught_up() {
    let catch_up = CatchUp::new(i(5), NodeId(4), i(5));
    assert!(!catch_up.is_caught_up(MAX));
    assert!(catch_up.is_of(i(5), NodeId(4)) && !catch_up.is_of(i(6), NodeId(4)));
}
