use actix::{Actor, Addr, AsyncContext};
use bytes::Bytes;

use super::*;
use crate::kv::{Answer, Query, Store};
use crate::protocol::{ClientRequest, Refusal};
use crate::testing::{Inbox, probe, settle};
use crate::types::LogIndex;

fn read() -> Ask {
    let query = Query::Get { key: Bytes::from_static(b"k"), at: 0 };
    Ask { request: ClientRequest::ReadAnywhere(query) }
}

fn door() -> (Addr<DoorActor>, Inbox<ClientRequests>) {
    let (door, requests, _) = door_with_history();
    (door, requests)
}

fn door_with_history() -> (Addr<DoorActor>, Inbox<ClientRequests>, Inbox<AskHistory>) {
    let ((raft, requests), (kv, asked)) = (probe(), probe());
    let door = DoorActor::create(|ctx| {
        let (replies, news) = (ctx.address().recipient(), ctx.address().recipient());
        DoorActor::new(DoorPorts { raft, kv }, MemoryBudget::new(1 << 20), replies, news)
    });
    (door, requests, asked)
}

fn ask_view(door: &Addr<DoorActor>, seen: Option<HistoryMark>) -> oneshot::Receiver<ViewAnswer> {
    let (answer, answered) = oneshot::channel();
    door.do_send(AskView { seen, answer });
    answered
}

fn news(store: &Store) -> HistoryNews {
    let view = store.history_view();
    HistoryNews { view, last_applied: LogIndex(1), is_at_once: false, has_ended: false }
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

#[actix::test]
async fn each_command_is_one_of_its_own_session() {
    let (door, requests) = door();
    door.do_send(read());
    door.do_send(read());
    settle().await;
    let sessions: Vec<SessionId> = requests.drain().iter().map(|asked| asked.session).collect();
    assert_ne!(sessions[0], sessions[1]);
}

#[actix::test]
async fn watchers_that_come_and_go_leave_one_question_about_a_store_that_stands_still() {
    let (door, _requests, asked) = door_with_history();
    let seen = Some(HistoryMark { revision: 7, compacted: 1 });
    for _ in 0..3 * VIEWS_MAX {
        let mut left = ask_view(&door, seen);
        settle().await;
        assert!(left.try_recv().is_err(), "the store stands still");
    }
    let view = ask_view(&door, seen);
    settle().await;
    door.do_send(news(&Store::new()));
    assert!(view.await.unwrap().unwrap().is_some());
    assert_eq!(asked.drain().len(), 1);
}

#[actix::test]
async fn a_watch_is_told_when_the_history_does_not_go_on() {
    let (door, _requests, _asked) = door_with_history();
    let view = ask_view(&door, None);
    settle().await;
    door.do_send(HistoryNews { has_ended: true, ..news(&Store::new()) });
    assert!(matches!(view.await.unwrap(), Ok(None)));
}
