//! DoorActor: the way from the HTTP port into the node. It asks as a client of the text port does,
//! so that HTTP has no way around the order of commands, their deadlines and their bounds.
//!
//! | in | from | out | to |
//! | --- | --- | --- | --- |
//! | [`Ask`] | the HTTP port's thread | [`ClientRequests`] | RaftActor |
//! | [`ClientReplies`] | RaftActor, KvActor | the reply | the HTTP port's thread |
//!
//! It owns the commands that wait for their replies, at most [`ASKS_MAX`]. It runs on the main
//! arbiter. RaftActor answers every command within `request_timeout_ms`, so none waits for ever,
//! and one whose asker has left is answered to nobody.

use std::collections::BTreeMap;
use std::sync::Arc;

use actix::{Actor, Context, Handler, Recipient, ResponseFuture};
use tokio::sync::oneshot;

use crate::actors::io::memory::MemoryBudget;
use crate::actors::messages::clients::{ClientReplies, ClientReply, ClientRequests, SessionId};
use crate::actors::messages::door::{Ask, DoorError};

/// Maximum number of commands of the HTTP port that are under way.
pub const ASKS_MAX: usize = 64;

/// The number of the door among the sessions. Those of connections count from 1.
const SESSION: SessionId = SessionId(u64::MAX);

/// The outgoing ports of DoorActor.
#[derive(Clone, Debug)]
pub struct DoorPorts {
    /// RaftActor.
    pub raft: Recipient<ClientRequests>,
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
}

impl DoorActor {
    /// A door whose own mailbox is `reply_to`.
    pub fn new(
        ports: DoorPorts,
        memory: MemoryBudget,
        reply_to: Recipient<ClientReplies>,
    ) -> DoorActor {
        let reply_to = Arc::new(reply_to);
        DoorActor { ports, memory, reply_to, last_slot: 0, waiting: BTreeMap::new() }
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
        self.last_slot += 1;
        let (answer, answered) = oneshot::channel();
        self.waiting.insert(self.last_slot, answer);
        // The bound on those that wait bounds RaftActor's mailbox as well.
        self.ports.raft.do_send(ClientRequests {
            session: SESSION,
            reply_to: Arc::clone(&self.reply_to),
            requests: vec![(self.last_slot, request)],
            held: self.memory.reserve(0),
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

#[cfg(test)]
mod tests;
