//! Answers of servers, as other tests need them; and who is believed.

use coracle::protocol::{Expect, Reply, ReplyParser};
use coracle::types::NodeId;

use super::*;

/// The status in lines.
pub fn status(lines: &str) -> Status {
    let text = format!("{lines}\nEND\n");
    match ReplyParser::new(Expect::Status).next(&mut text.as_bytes().into()) {
        Ok(Some(Reply::Status(status))) => status,
        other => panic!("{lines}: {other:?}"),
    }
}

/// The members in lines, the last of which is left out.
pub fn members(lines: &str) -> MembersReport {
    let text = format!("{lines}\nEND\n");
    match ReplyParser::new(Expect::Members).next(&mut text.as_bytes().into()) {
        Ok(Some(Reply::Members(report))) => *report,
        other => panic!("{lines}: {other:?}"),
    }
}

/// A server that is asked at addresses of its own.
pub fn target(id: u64) -> Target {
    let http = Some(Address { host: format!("10.0.0.{id}"), port: 9100 });
    Target { id: NodeId(id), client: format!("10.0.0.{id}:9000"), http }
}

/// A server that answers over its port for clients alone.
pub fn text_only(id: u64, lines: &str) -> Heard {
    let target = Target { http: None, ..target(id) };
    Heard { target, status: Ok(status(lines)), members: None, report: None }
}

/// A server that does not answer.
pub fn down(id: u64) -> Heard {
    let reason = |port: u16| format!("10.0.0.{id}:{port} refused the connection");
    let report = Some(Err(reason(9100)));
    Heard { target: target(id), status: Err(reason(9000)), members: None, report }
}

const FOUR: &str = "MEMBERS 3 2 3 1 4 leader 17 yes\n\
                    MEMBER 1 voter follower 10.0.0.1:9001 10.0.0.1:9000 seen_ms=3 behind=0\n\
                    MEMBER 2 voter leader 10.0.0.2:9001 10.0.0.2:9000\n\
                    MEMBER 6 learner unseen 10.0.0.6:9001 10.0.0.6:9000\n\
                    MEMBER 7 learner unseen 10.0.0.7:9001 unknown";

#[test]
fn of_two_that_lead_the_one_of_the_higher_term_is_believed() {
    let leader = |id, term: u64, lines: &str| {
        let mut heard = text_only(id, &format!("id {id}\nterm {term}"));
        heard.members = Some(members(lines));
        heard
    };
    let old = FOUR.replace("MEMBERS 3 2 3 1", "MEMBERS 3 2 1 none");
    let heard = [leader(1, 6, &old), leader(2, 7, FOUR), down(3)];
    assert_eq!(leading(&heard).unwrap().here, Some(3));
    let follower = FOUR.replace("4 leader 17", "4 1 17");
    assert_eq!(leading(&[leader(1, 9, &follower), down(2)]), None);
}

#[test]
fn members_that_are_not_in_the_file_are_asked_at_their_address_for_clients() {
    let mut leader = text_only(2, "id 2\nterm 7");
    leader.members = Some(members(FOUR));
    let more = unlisted(&[text_only(1, "id 1"), leader]);
    let six = Target { id: NodeId(6), client: "10.0.0.6:9000".into(), http: None };
    assert_eq!(more, [six]);
}

#[test]
fn the_answer_of_another_server_is_none() {
    let error = own(&target(3), status("id 4")).unwrap_err();
    assert_eq!(error, "10.0.0.3:9000 answers as server 4 and not as 3");
    assert!(own(&target(3), status("id 3")).is_ok());
}
