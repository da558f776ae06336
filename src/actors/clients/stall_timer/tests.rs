use super::*;

const REFUSED: Offer = Offer { unsent_bytes: 10, sent_bytes: 7, is_refused: true };

#[test]
fn the_checks_at_which_nothing_is_taken_are_counted() {
    let mut timer = StallTimer::start(7);
    for seconds in 0..30 {
        assert_eq!(timer.elapsed(), Duration::from_secs(seconds));
        timer = timer.checked(REFUSED).expect("it goes on");
    }
}

#[test]
fn a_client_that_was_offered_nothing_has_not_refused_it() {
    let timer = StallTimer::start(7).checked(REFUSED).unwrap();
    let timer = timer.checked(Offer { is_refused: false, ..REFUSED }).expect("it goes on");
    assert_eq!(timer.elapsed(), Duration::from_secs(1));
    assert_eq!(timer.checked(REFUSED).unwrap().elapsed(), Duration::from_secs(2));
}

#[test]
fn a_client_that_takes_something_or_has_everything_begins_anew() {
    let timer = StallTimer::start(7).checked(REFUSED).unwrap();
    assert!(timer.checked(Offer { sent_bytes: 8, ..REFUSED }).is_none());
    assert!(timer.checked(Offer { unsent_bytes: 0, ..REFUSED }).is_none());
}
