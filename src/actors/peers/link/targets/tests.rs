//! The order in which the addresses of a peer are tried.

use super::*;

fn address(port: u16) -> Address {
    Address { host: "peer".into(), port }
}

fn round(targets: &mut Targets) -> Vec<u16> {
    targets.begin_round();
    std::iter::from_fn(|| targets.next()).map(|address| address.port).collect()
}

#[test]
fn a_round_tries_what_the_peer_said_then_the_log_and_then_the_file() {
    let mut targets = Targets::new(Some(address(2)), Some(address(3)));
    assert_eq!(round(&mut targets), [2, 3]);
    assert!(targets.tell(&address(1)));
    assert_eq!(round(&mut targets), [1, 2, 3]);
    assert!(targets.set_logged(&address(4)));
    assert_eq!(round(&mut targets), [1, 4, 3]);
}

#[test]
fn no_address_is_tried_twice_in_a_round() {
    let mut targets = Targets::new(Some(address(2)), Some(address(2)));
    targets.tell(&address(2));
    assert_eq!(round(&mut targets), [2]);
    assert!(round(&mut Targets::new(None, None)).is_empty());
}

#[test]
fn only_an_address_that_is_neither_known_nor_being_dialled_is_news() {
    let mut targets = Targets::new(Some(address(2)), None);
    assert_eq!(round(&mut targets), [2]);
    assert!(!targets.tell(&address(2)), "it is being dialled");
    assert!(targets.tell(&address(1)) && !targets.tell(&address(1)));
    assert!(!targets.set_logged(&address(2)));
}

#[test]
fn a_process_is_dead_only_when_nobody_listens_at_any_of_its_addresses() {
    let mut targets = Targets::new(Some(address(2)), Some(address(3)));
    round(&mut targets);
    assert!(targets.are_all_refused());
    targets.is_not_refused();
    assert!(!targets.are_all_refused());
    let mut unknown = Targets::new(None, None);
    round(&mut unknown);
    assert!(!unknown.are_all_refused(), "nobody was asked");
}
