use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::actors::io::operation_times::OperationTimes;
use crate::actors::messages::clients::{ClientReplies, ReplyHandle};
use crate::raft::ForwardOrigin;
use crate::testing::probe;
use crate::types::BootId;

const LEADER: NodeId = NodeId(1);

fn sent(session: u64, expires_at_tick: u64) -> SentCommand {
    let (reply_to, _) = probe::<ClientReplies>();
    let (session, reply_to) = (SessionId(session), Arc::new(reply_to));
    let times = OperationTimes::arrived("set", Duration::ZERO);
    let waiters = Waiters::One(ReplyHandle { session, slot: 1, reply_to, times });
    let command = Bytes::from_static(b"1234");
    SentCommand {
        to: LEADER,
        command,
        waiters,
        expires_at_tick,
        is_refused: false,
        is_overtaken: false,
    }
}

fn sessions(waiters: impl IntoIterator<Item = Waiters>) -> Vec<u64> {
    let all = waiters.into_iter().flat_map(|waiters| waiters.sessions().collect::<Vec<_>>());
    all.map(|session| session.0).collect()
}

fn at(index: u64, term: u64) -> LogPosition {
    LogPosition { index: LogIndex(index), term: Term(term) }
}

/// The command `number` of a session is the entry at this position.
fn append(forwards: &mut Forwards, number: u64, position: LogPosition) -> Vec<u64> {
    let sent = forwards.take(number, LEADER).expect("it was sent");
    sessions(forwards.await_entry(number, position, sent).into_iter().map(|sent| sent.waiters))
}

fn entry(forwards: &mut Forwards, position: LogPosition) -> (Vec<u64>, Vec<u64>) {
    let mut lost = Vec::new();
    let found = forwards.on_entry(position, &mut lost);
    (sessions(found), sessions(lost))
}

#[actix::test]
async fn a_command_is_answered_at_its_entry_and_lost_when_another_is_there() {
    let mut forwards = Forwards::default();
    for number in 1..=3 {
        forwards.add(number, sent(number, 50));
    }
    for (number, position) in [(1, at(7, 2)), (2, at(8, 2)), (3, at(9, 2))] {
        assert!(append(&mut forwards, number, position).is_empty());
    }
    assert_eq!((forwards.len(), forwards.bytes()), (3, 12));
    assert_eq!(entry(&mut forwards, at(6, 1)), (vec![], vec![]));
    assert_eq!(entry(&mut forwards, at(7, 2)), (vec![1], vec![]));
    assert_eq!(entry(&mut forwards, at(8, 3)), (vec![], vec![2]), "another term, another entry");
    assert_eq!(sessions(forwards.on_installed(LogIndex(9))), [3], "nobody here knows");
    assert_eq!((forwards.len(), forwards.bytes(), forwards.passed()), (0, 0, LogIndex(9)));
}

#[actix::test]
async fn only_the_node_that_was_asked_answers_and_only_once() {
    let mut forwards = Forwards::default();
    forwards.add(1, sent(1, 50));
    assert!(forwards.take(1, NodeId(2)).is_none());
    assert!(forwards.take(2, LEADER).is_none());
    forwards.refuse(1, NodeId(2));
    assert!(!forwards.has_refused());
    forwards.refuse(1, LEADER);
    forwards.refuse(1, LEADER);
    assert!(forwards.take(1, LEADER).is_none(), "it was refused, so it cannot be in a log");
    assert_eq!(forwards.take_refused().len(), 1);
    assert_eq!((forwards.len(), forwards.bytes()), (0, 0));
}

/// They may be forwarded once more only while their order is not lost.
#[actix::test]
async fn refused_commands_wait_for_the_answers_to_all_others() {
    let mut forwards = Forwards::default();
    for (number, session) in [(1, 1), (2, 2), (3, 1), (4, 3)] {
        forwards.add(number, sent(session, 50));
    }
    assert!(forwards.refuse(1, LEADER).is_none());
    assert!(forwards.refuse(2, LEADER).is_none());
    assert!(forwards.take_refused().is_empty());
    assert_eq!(append(&mut forwards, 3, at(7, 2)), [1], "session 1 has a later one in the log");
    assert!(forwards.refuse(4, LEADER).is_none());
    let refused = forwards.take_refused().into_iter().map(|sent| sent.waiters);
    assert_eq!(sessions(refused), [2, 3]);
    assert!(!forwards.has_refused());
    assert_eq!((forwards.len(), forwards.bytes()), (1, 4));
}

/// The entry of the first was never committed, and another leader has used its place.
#[actix::test]
async fn commands_at_the_same_index_of_two_terms_all_come_to_an_end() {
    for terms in [[2, 3], [3, 2]] {
        let mut forwards = Forwards::default();
        for (number, term) in (1..).zip(terms) {
            forwards.add(number, sent(term, 50));
            assert!(append(&mut forwards, number, at(7, term)).is_empty());
        }
        assert_eq!(entry(&mut forwards, at(7, 3)), (vec![3], vec![2]));
        assert_eq!((forwards.len(), forwards.bytes()), (0, 0));
    }
}

/// The node that was asked first answers last.
#[actix::test]
async fn a_command_that_is_refused_after_a_later_one_was_appended_is_not_forwarded_again() {
    let mut forwards = Forwards::default();
    for (number, session) in [(1, 1), (2, 2), (3, 1)] {
        forwards.add(number, sent(session, 50));
    }
    assert!(append(&mut forwards, 3, at(7, 2)).is_empty());
    let refused = forwards.refuse(1, LEADER).map(|sent| sent.waiters);
    assert_eq!(sessions(refused), [1]);
    assert!(forwards.refuse(1, LEADER).is_none(), "it is gone");
    assert!(forwards.refuse(2, LEADER).is_none(), "session 2 has no later one");
    assert_eq!(sessions(forwards.take_refused().into_iter().map(|sent| sent.waiters)), [2]);
    assert_eq!((forwards.len(), forwards.bytes()), (1, 4));
}

#[actix::test]
async fn a_lost_connection_loses_what_is_not_answered() {
    let mut forwards = Forwards::default();
    for number in 1..=3 {
        forwards.add(number, sent(number, 50));
    }
    append(&mut forwards, 1, at(7, 2));
    forwards.refuse(2, LEADER);
    assert!(sessions(forwards.lose(NodeId(2))).is_empty());
    assert_eq!(sessions(forwards.lose(LEADER)), [3]);
    assert_eq!((forwards.len(), forwards.bytes()), (2, 8));
}

#[actix::test]
async fn time_is_over_for_each_in_its_own_way() {
    let mut forwards = Forwards::default();
    for (number, tick) in [(1, 10), (2, 10), (3, 10), (4, 20)] {
        forwards.add(number, sent(number, tick));
    }
    append(&mut forwards, 1, at(7, 2));
    forwards.refuse(2, LEADER);
    let expired = |forwards: &mut Forwards, tick| {
        let (unknown, refused) = forwards.take_expired(tick);
        (sessions(unknown), sessions(refused))
    };
    assert_eq!(expired(&mut forwards, 9), (vec![], vec![]));
    assert_eq!(expired(&mut forwards, 10), (vec![3, 1], vec![2]));
    assert_eq!(expired(&mut forwards, 19), (vec![], vec![]));
    assert_eq!(expired(&mut forwards, 20), (vec![4], vec![]));
    assert_eq!((forwards.len(), forwards.bytes(), forwards.has_refused()), (0, 0, false));
}

#[test]
fn commands_of_peers_count_until_they_are_applied_or_the_leadership_is_over() {
    let mut here = ForwardedHere::default();
    here.add_entry(LogIndex(5), 10, Duration::from_secs(1));
    here.add_entry(LogIndex(7), 20, Duration::from_secs(2));
    let arrived_at = [5, 6, 7].map(|index| here.arrived_at(LogIndex(index)));
    assert_eq!(arrived_at, [Some(Duration::from_secs(1)), None, Some(Duration::from_secs(2))]);
    here.on_applied(LogIndex(6));
    assert_eq!((here.len(), here.bytes()), (1, 20));
    let origin = ForwardOrigin { peer: LEADER, boot: BootId(1), number: 1 };
    let command = Bytes::from_static(b"123");
    here.hold(ForwardedCommand { origin, command: command.clone() }, 10);
    here.hold(ForwardedCommand { origin, command }, 11);
    here.lose_entries();
    assert_eq!((here.len(), here.bytes(), here.holds_any()), (2, 6, true));
    assert_eq!(here.take_held(Some(10)).len(), 1);
    assert_eq!(here.take_held(None).len(), 1);
    assert_eq!((here.len(), here.bytes(), here.holds_any()), (0, 0, false));
}
