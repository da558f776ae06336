use std::sync::Arc;

use super::*;
use crate::types::Address;

#[test]
fn a_command_that_is_sent_on_or_answered_has_not_failed() {
    let leader = Some(Arc::new(Address { host: "a".to_owned(), port: 1 }));
    for refusal in [
        Refusal::NotLeader { leader: None },
        Refusal::Busy,
        Refusal::LeadershipLost,
        Refusal::Timeout,
    ] {
        assert!(is_failure(&ClientReply::Refused(refusal)));
    }
    assert!(is_failure(&ClientReply::TimedOut));
    assert!(is_failure(&ClientReply::Outcome(Outcome::Full)));
    assert!(!is_failure(&ClientReply::Refused(Refusal::NotLeader { leader })));
    assert!(!is_failure(&ClientReply::Outcome(Outcome::Stored { version: 1 })));
    assert!(!is_failure(&ClientReply::Outcome(Outcome::VersionMismatch { version: 1 })));
}

#[test]
fn commands_end_in_any_order_and_an_idle_session_keeps_little_room() {
    let mut times = RequestTimes::new(ClientMetrics::default());
    let request = |slot| (slot, ClientRequest::Members);
    let slots =
        |times: &RequestTimes| times.begun.iter().map(|begun| begun.slot).collect::<Vec<_>>();
    times.begin(&(1..=100).map(request).collect::<Vec<_>>());
    times.end([50, 2, 999].into_iter());
    times.end((4..=100).chain([50]));
    assert_eq!(slots(&times), [1, 3]);
    times.begin(&[request(101)]);
    times.end([3, 1].into_iter());
    assert_eq!(slots(&times), [101]);
    times.end([101].into_iter());
    assert!(times.begun.is_empty() && times.begun.capacity() <= KEPT_ROOM);
}
