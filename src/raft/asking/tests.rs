use super::{ASKS_MIN, Asking};

const TICKS_PER_SECOND: u32 = 100;

/// True after this many seconds in which the peer asks once every `pause` ticks.
fn has_waiting_after(seconds: u32, pause: u32) -> bool {
    let mut asking = Asking::default();
    for tick in 0..seconds * TICKS_PER_SECOND {
        if tick.is_multiple_of(pause) {
            asking.on_ask(TICKS_PER_SECOND);
        }
        asking.tick();
    }
    asking.has_waiting()
}

#[test]
fn a_peer_that_asks_now_and_then_has_no_clients_that_wait_however_long_it_goes_on() {
    for seconds in [1, 2, 60] {
        assert!(!has_waiting_after(seconds, TICKS_PER_SECOND), "once a second");
        assert!(!has_waiting_after(seconds, TICKS_PER_SECOND / 10), "ten times a second");
    }
}

#[test]
fn a_peer_that_asks_often_has_until_it_has_not_asked_for_a_second() {
    for seconds in [1, 2, 60] {
        assert!(has_waiting_after(seconds, 2), "fifty times a second");
    }
    let mut asking = Asking::default();
    for asked in 1..=ASKS_MIN {
        assert!(!asking.has_waiting());
        asking.on_ask(TICKS_PER_SECOND);
        assert_eq!(asking.has_waiting(), asked == ASKS_MIN);
    }
    for _ in 0..TICKS_PER_SECOND {
        assert!(asking.has_waiting());
        asking.tick();
    }
    assert!(!asking.has_waiting());
}

/// One question would keep a peer waiting for another second, if the questions of the second
/// before counted with it.
#[test]
fn questions_of_another_second_do_not_count() {
    let mut asking = Asking::default();
    for _ in 0..5 {
        for _ in 1..ASKS_MIN {
            asking.on_ask(TICKS_PER_SECOND);
        }
        (0..TICKS_PER_SECOND).for_each(|_| asking.tick());
        assert!(!asking.has_waiting());
    }
}
