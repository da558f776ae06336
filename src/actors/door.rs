//! DoorActor: the way from the HTTP port into the node. It asks as a client of the text port does,
//! so that HTTP has no way around the order of commands, their deadlines and their bounds.
//!
//! | in | from | out | to |
//! | --- | --- | --- | --- |
//! | [`Ask`] | the HTTP port's thread | [`ClientRequests`] | RaftActor |
//! | [`ClientReplies`] | RaftActor, KvActor | the reply | the HTTP port's thread |
//! | [`AskView`] | the HTTP port's thread | [`AskHistory`] | KvActor |
//! | [`HistoryNews`] | KvActor | the view | the HTTP port's thread |
//!
//! It owns the commands that wait for their replies, at most [`ASKS_MAX`]. It runs on the main
//! arbiter. RaftActor answers every command within `request_timeout_ms`, so none waits for ever,
//! and one whose asker has left is answered to nobody. A view that waits for a change does not
//! count among them: at most [`VIEWS_MAX`] of those wait.
//!
//! Each command is one of a session of its own: those of several people have no order among them.

use std::collections::BTreeMap;
use std::sync::Arc;

use actix::{Actor, Context, Handler, Recipient, ResponseFuture};
use tokio::sync::oneshot;

use crate::actors::io::memory::MemoryBudget;
use crate::actors::messages::clients::{ClientReplies, ClientReply, ClientRequests, SessionId};
use crate::actors::messages::door::{Ask, AskView, DoorError, ViewAnswer};
use crate::actors::messages::watch::{AskHistory, HistoryMark, HistoryNews};
use crate::protocol::ClientRequest;

/// Maximum number of commands of the HTTP port that are under way.
pub const ASKS_MAX: usize = 64;

/// Maximum number of views that are waited for.
pub const VIEWS_MAX: usize = 64;

/// The number of the last session of the door. Those of connections count from 1.
const LAST_SESSION: u64 = u64::MAX;

/// The outgoing ports of DoorActor.
#[derive(Clone, Debug)]
pub struct DoorPorts {
    /// RaftActor.
    pub raft: Recipient<ClientRequests>,
    /// KvActor.
    pub kv: Recipient<AskHistory>,
}

/// The actor that asks for the HTTP port.
pub struct DoorActor {
    ports: DoorPorts,
    /// The memory of all clients.
    memory: MemoryBudget,
    /// The door's own mailbox.
    reply_to: Arc<Recipient<ClientReplies>>,
    /// The number of the last command.
    last_slot: u64,
    /// The askers of the commands under way.
    waiting: BTreeMap<u64, oneshot::Sender<ClientReply>>,
    /// The door's own mailbox, for views.
    news_to: Recipient<HistoryNews>,
    /// The askers of views, each with the state that it has.
    viewers: Vec<(Option<HistoryMark>, oneshot::Sender<ViewAnswer>)>,
    /// The states whose end KvActor was asked to tell, and has not yet. Askers that come and go
    /// while the store stands still leave one question there.
    asked: Vec<HistoryMark>,
}

impl DoorActor {
    /// A door whose own mailbox is `reply_to`.
    pub fn new(
        ports: DoorPorts,
        memory: MemoryBudget,
        reply_to: Recipient<ClientReplies>,
        news_to: Recipient<HistoryNews>,
    ) -> DoorActor {
        DoorActor {
            ports,
            memory,
            reply_to: Arc::new(reply_to),
            last_slot: 0,
            waiting: BTreeMap::new(),
            news_to,
            viewers: Vec::new(),
            asked: Vec::new(),
        }
    }
}

impl Actor for DoorActor {
    type Context = Context<Self>;
}

impl Handler<Ask> for DoorActor {
    type Result = ResponseFuture<Result<ClientReply, DoorError>>;

    fn handle(&mut self, Ask { request }: Ask, _ctx: &mut Context<Self>) -> Self::Result {
        if self.waiting.len() >= ASKS_MAX {
            return Box::pin(async { Err(DoorError::Busy(ASKS_MAX)) });
        }
        if !self.ports.raft.connected() {
            return Box::pin(async { Err(DoorError::Stopped) });
        }
        let bytes = match &request {
            ClientRequest::Write(command) | ClientRequest::WriteAnywhere(command) => {
                command.len() as u64
            }
            _ => 0,
        };
        self.last_slot += 1;
        let (answer, answered) = oneshot::channel();
        self.waiting.insert(self.last_slot, answer);
        // The bound on those that wait bounds RaftActor's mailbox as well.
        self.ports.raft.do_send(ClientRequests {
            session: SessionId(LAST_SESSION - self.last_slot),
            reply_to: Arc::clone(&self.reply_to),
            requests: vec![(self.last_slot, request)],
            arrived_at: None,
            held: self.memory.reserve(bytes),
        });
        Box::pin(async { answered.await.map_err(|_| DoorError::Stopped) })
    }
}

impl Handler<ClientReplies> for DoorActor {
    type Result = ();

    fn handle(&mut self, message: ClientReplies, _ctx: &mut Context<Self>) {
        for (slot, reply) in message.replies {
            if let Some(asker) = self.waiting.remove(&slot) {
                // Its connection may have ended.
                let _ = asker.send(reply);
            }
        }
    }
}

impl Handler<AskView> for DoorActor {
    type Result = ();

    fn handle(&mut self, AskView { seen, answer }: AskView, _ctx: &mut Context<Self>) {
        // An asker that has left takes no place.
        self.viewers.retain(|(_, viewer)| !viewer.is_closed());
        if self.viewers.len() >= VIEWS_MAX {
            // An error says that this asker has left as well.
            let _ = answer.send(Err(DoorError::Busy(VIEWS_MAX)));
            return;
        }
        if !self.ports.kv.connected() {
            let _ = answer.send(Err(DoorError::Stopped));
            return;
        }
        self.viewers.push((seen, answer));
        if !seen.is_some_and(|seen| self.asked.contains(&seen)) {
            self.asked.extend(seen);
            self.ports.kv.do_send(AskHistory { seen, reply_to: self.news_to.clone() });
        }
    }
}

impl Handler<HistoryNews> for DoorActor {
    type Result = ();

    fn handle(&mut self, news: HistoryNews, _ctx: &mut Context<Self>) {
        let HistoryNews { view, has_ended, .. } = news;
        let mark = HistoryMark { revision: view.revision(), compacted: view.compacted() };
        let (told, waiting): (Vec<_>, Vec<_>) = std::mem::take(&mut self.viewers)
            .into_iter()
            .partition(|(seen, _)| has_ended || *seen != Some(mark));
        self.viewers = waiting;
        self.asked.retain(|asked| !has_ended && *asked == mark);
        for (_, viewer) in told {
            // Its connection may have ended.
            let _ = viewer.send(Ok((!has_ended).then(|| view.clone())));
        }
    }
}

#[cfg(test)]
mod tests;
