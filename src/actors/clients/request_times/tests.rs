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
