use super::*;

/// The heartbeats of the pause that has just begun.
fn pause(backoff: &mut Backoff) -> u32 {
    let mut heartbeats = 0;
    while backoff.is_pausing() {
        heartbeats += 1;
        assert_eq!(backoff.on_heartbeat(), !backoff.is_pausing());
    }
    assert!(!backoff.on_heartbeat(), "a pause ends once");
    heartbeats
}

#[test]
fn the_pause_doubles_with_every_failure_and_has_a_bound() {
    let mut backoff = Backoff::default();
    assert!(!backoff.is_pausing());
    let mut pauses = Vec::new();
    for _ in 0..11 {
        backoff.on_failed(5, Some(SnapshotRefusal::NoRoom));
        backoff.on_acked(5);
        pauses.push(pause(&mut backoff));
        assert_eq!(backoff.refusal(), Some(SnapshotRefusal::NoRoom));
    }
    assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 64, 64, 64, 64, 64]);
}

#[test]
fn a_peer_that_gets_further_than_ever_begins_anew() {
    let mut backoff = Backoff::default();
    for _ in 0..4 {
        backoff.on_failed(5, Some(SnapshotRefusal::NoRoom));
    }
    backoff.on_failed(3, None);
    backoff.on_acked(6);
    assert_eq!((backoff.is_pausing(), backoff.refusal()), (false, None));
    backoff.on_failed(6, None);
    assert_eq!(pause(&mut backoff), 1);
}
