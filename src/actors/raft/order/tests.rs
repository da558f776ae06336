use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::*;
use crate::actors::io::operation_times::OperationTimes;
use crate::actors::messages::clients::{ClientReplies, ReplyHandle};
use crate::kv::Query;
use crate::testing::probe;

const SESSION: SessionId = SessionId(1);

fn waiting(slot: u64, request: ClientRequest) -> HeldCommand {
    let (reply_to, _) = probe::<ClientReplies>();
    let times = OperationTimes::arrived("set", Duration::ZERO);
    let reply_handle = ReplyHandle { session: SESSION, slot, reply_to: Arc::new(reply_to), times };
    HeldCommand { request, reply_handle, expires_at_tick: 10 }
}

fn read() -> ClientRequest {
    ClientRequest::ReadAnywhere(Query::Get { key: Bytes::from_static(b"k"), at: 0 })
}

fn write() -> ClientRequest {
    ClientRequest::WriteAnywhere(Bytes::from_static(b"12345"))
}

fn next(order: &mut SessionOrder) -> Option<u64> {
    order.take_next().map(|command| command.reply_handle.slot)
}

#[test]
fn reads_wait_for_writes_and_writes_for_reads_and_not_for_their_like() {
    let mut order = SessionOrder::default();
    assert!(!order.must_wait(SESSION, Kind::Read) && !order.must_wait(SESSION, Kind::Write));
    order.begin(SESSION, Kind::Write);
    assert!(order.must_wait(SESSION, Kind::Read) && !order.must_wait(SESSION, Kind::Write));
    assert!(!order.must_wait(SessionId(2), Kind::Read), "sessions do not wait for each other");
    order.end(SESSION, Kind::Write);
    order.begin(SESSION, Kind::Read);
    assert!(!order.must_wait(SESSION, Kind::Read) && order.must_wait(SESSION, Kind::Write));
}

#[actix::test]
async fn commands_go_on_in_their_order_when_those_before_them_have_ended() {
    let mut order = SessionOrder::default();
    order.begin(SESSION, Kind::Write);
    for (slot, request) in [(1, read()), (2, read()), (3, write()), (4, read())] {
        assert!(order.must_wait(SESSION, kind_of(&request).unwrap()));
        order.wait(waiting(slot, request));
    }
    assert!(order.must_wait(SESSION, Kind::Write), "behind those that wait");
    assert_eq!((order.len(), order.write_bytes(), next(&mut order)), (4, 5, None));
    order.end(SESSION, Kind::Write);
    for slot in [1, 2] {
        assert_eq!(next(&mut order), Some(slot));
        order.begin(SESSION, Kind::Read);
    }
    assert_eq!(next(&mut order), None, "the write waits for both");
    order.end(SESSION, Kind::Read);
    assert_eq!(next(&mut order), None);
    order.end(SESSION, Kind::Read);
    assert_eq!(next(&mut order), Some(3));
    order.begin(SESSION, Kind::Write);
    assert_eq!(next(&mut order), None);
    order.end(SESSION, Kind::Write);
    assert_eq!(next(&mut order), Some(4));
    assert_eq!((order.len(), order.write_bytes(), order.sessions.len()), (0, 0, 0));
}

/// A command that is answered at once, as a refused one is, keeps nobody waiting.
#[actix::test]
async fn a_command_that_ends_at_once_lets_the_next_go_on() {
    let mut order = SessionOrder::default();
    order.begin(SESSION, Kind::Read);
    order.wait(waiting(1, write()));
    order.wait(waiting(2, read()));
    order.end(SESSION, Kind::Read);
    assert_eq!(next(&mut order), Some(1));
    assert_eq!(next(&mut order), Some(2));
    assert_eq!((next(&mut order), order.sessions.len()), (None, 0));
}

/// Commands that were held are before those that wait here already.
#[actix::test]
async fn held_commands_go_back_to_their_places() {
    let mut order = SessionOrder::default();
    order.begin(SESSION, Kind::Write);
    order.wait(waiting(4, read()));
    let held = [waiting(1, write()), waiting(2, read()), waiting(3, write())];
    let mut back = Vec::new();
    for command in held {
        if order.must_go_back(&command, &back) {
            back.push(command);
        }
    }
    let slots: Vec<u64> = back.iter().map(|command| command.reply_handle.slot).collect();
    assert_eq!(slots, [2, 3], "the first write goes on, and the second must not overtake the read");
    order.put_back(back);
    assert_eq!((order.len(), order.write_bytes()), (3, 5));
    order.end(SESSION, Kind::Write);
    assert_eq!([next(&mut order), next(&mut order), next(&mut order)], [2, 3, 4].map(Some));
}
