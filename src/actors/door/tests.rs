use actix::{Actor, Addr, AsyncContext};
use bytes::Bytes;

use super::*;
use crate::kv::{Answer, Query};
use crate::protocol::{ClientRequest, Refusal};
use crate::testing::{Inbox, probe, settle};

fn read() -> Ask {
    let query = Query::Get { key: Bytes::from_static(b"k"), at: 0 };
    Ask { request: ClientRequest::ReadAnywhere(query) }
}

fn door() -> (Addr<DoorActor>, Inbox<ClientRequests>) {
    let (raft, requests) = probe();
    let door = DoorActor::create(|ctx| {
        DoorActor::new(DoorPorts { raft }, MemoryBudget::new(1 << 20), ctx.address().recipient())
    });
    (door, requests)
}

#[actix::test]
async fn each_asker_gets_the_reply_to_its_own_command() {
    let (door, requests) = door();
    let (first, second) = (door.send(read()), door.send(read()));
    let answers = async {
        settle().await;
        let asked = requests.drain();
        let [one, two] = &asked[..] else { panic!("two were asked") };
        let refused = ClientReply::Refused(Refusal::Timeout);
        let answer = ClientReply::Answer(Answer::NotFound);
        // In the other order than that of the commands.
        let replies = vec![(two.requests[0].0, answer), (one.requests[0].0, refused)];
        one.reply_to.do_send(ClientReplies { replies });
    };
    let (first, second, ()) = tokio::join!(first, second, answers);
    assert_eq!(first.unwrap(), Ok(ClientReply::Refused(Refusal::Timeout)));
    assert_eq!(second.unwrap(), Ok(ClientReply::Answer(Answer::NotFound)));
}

#[actix::test]
async fn commands_beyond_the_bound_are_refused() {
    let (door, requests) = door();
    for _ in 0..ASKS_MAX {
        // Nobody waits for these replies, and the commands are under way nevertheless.
        door.do_send(read());
    }
    assert_eq!(door.send(read()).await.unwrap(), Err(DoorError::Busy(ASKS_MAX)));
    assert_eq!(requests.drain().len(), ASKS_MAX);
}
