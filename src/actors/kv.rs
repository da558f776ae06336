//! KvActor: keeps the store, applies what is committed, answers confirmed reads.
//!
//! | in | from | out | to |
//! | --- | --- | --- | --- |
//! | [`Apply`] | RaftActor | `ClientReplies`, one a session | SessionActor |
//! |  |  | [`Applied`] | RaftActor |
//! |  |  | `WriteSnapshot`, `DropStore` | SnapshotActor |
//!
//! Owns the [`Store`], and nothing else does. It lives on the main arbiter: all
//! it does is work in memory, and the number of tasks in a message is the
//! sender's to bound.
//!
//! Tasks are done in the order of the message, so a read sees exactly the entries
//! before it. All replies to a session leave in one message: what a session gets
//! at once it writes with one system call.
//!
//! A scan is worth thousands of other tasks, and a few hundred of them in a row
//! would keep the node from its heartbeats. So a scan only takes its moment of the
//! store in the order of the tasks, a clone that costs nothing; it is worked out
//! later, one scan a turn of the thread. Over [`SCANS_WAITING_MAX`] a scan is
//! refused as busy, and so is one whose result finds no memory. (A session has at
//! most one under way.)
//!
//! A snapshot is such a moment, too: a clone in the order of the tasks, which
//! SnapshotActor writes while this store goes on. And one that was received takes the
//! place of this store as a whole.
//!
//! Fails by ending the process. An entry that does not decode is committed all
//! the same: other nodes may know it and have executed it, so to skip it would
//! be to diverge without a word, and there is no third way. The node stops, and
//! stops again at every start until it runs a version that knows the entry.

use std::collections::VecDeque;

use actix::{Actor, ActorFutureExt, AsyncContext, Context, Handler, Recipient, WrapFuture};

use crate::actors::io::memory::MemoryBudget;
use crate::actors::messages::clients::{ClientReplies, ClientReply, ReplyHandle};
use crate::actors::messages::kv::{Applied, Apply, ApplyTask};
use crate::actors::messages::replies::Replies;
use crate::actors::messages::snapshots::{DropStore, WriteSnapshot};
use crate::kv::{Answer, Query, Store};
use crate::protocol::Refusal;

/// Where KvActor sends.
#[derive(Clone, Debug)]
pub struct KvPorts {
    /// RaftActor.
    pub raft: Recipient<Applied>,
    /// SnapshotActor.
    pub snapshot: Recipient<WriteSnapshot>,
    /// SnapshotActor.
    pub discard: Recipient<DropStore>,
    /// What clients may cost in memory.
    pub memory: MemoryBudget,
}

/// How many scans wait for their turn. Each takes some milliseconds at the most:
/// the last is answered well within `request_timeout_ms`.
pub const SCANS_WAITING_MAX: usize = 256;

/// What a key found by a scan costs beside its bytes and its value's.
const ITEM_OVERHEAD_BYTES: usize = 64;

/// See the module.
pub struct KvActor {
    store: Store,
    ports: KvPorts,
    /// In the order of their moments.
    scans: VecDeque<WaitingScan>,
    /// A turn for the next scan has been asked for.
    turn_is_due: bool,
}

/// A scan that has its moment and waits for its turn.
struct WaitingScan {
    moment: Store,
    query: Query,
    now_ms: u64,
    reply_handle: ReplyHandle,
}

impl KvActor {
    /// Begins with the store of a snapshot, or an empty one: every committed entry
    /// behind it has to be applied to it.
    pub fn new(store: Store, ports: KvPorts) -> KvActor {
        KvActor { store, ports, scans: VecDeque::new(), turn_is_due: false }
    }
}

impl Actor for KvActor {
    type Context = Context<Self>;
}

impl Handler<Apply> for KvActor {
    type Result = ();

    fn handle(&mut self, message: Apply, ctx: &mut Context<Self>) {
        let mut replies = Replies::default();
        for task in message.tasks {
            self.execute(task, &mut replies);
        }
        replies.send();
        self.ports.raft.do_send(Applied {
            last_applied: self.store.last_applied(),
            next_deadline_ms: self.store.next_deadline_ms(),
        });
        self.arm_scan(ctx);
    }
}

impl KvActor {
    /// Asks for a turn, after all others that have something to do, if a scan
    /// waits for one.
    fn arm_scan(&mut self, ctx: &mut Context<Self>) {
        if self.scans.is_empty() || self.turn_is_due {
            return;
        }
        self.turn_is_due = true;
        let turn = tokio::task::yield_now().into_actor(self);
        ctx.spawn(turn.map(|(), actor, ctx| {
            actor.turn_is_due = false;
            actor.answer_next_scan();
            actor.arm_scan(ctx);
        }));
    }

    fn answer_next_scan(&mut self) {
        while let Some(WaitingScan { moment, query, now_ms, reply_handle }) = self.scans.pop_front()
        {
            // Nobody needs to work for a client that has left.
            if reply_handle.reply_to.connected() {
                let reply = self.scan_reply(moment.query(&query, now_ms));
                let replies = vec![(reply_handle.slot, reply)];
                reply_handle.reply_to.do_send(ClientReplies { replies });
                return;
            }
        }
    }

    /// The result is counted here, or refused: sessions ask for more of them than
    /// there is memory for.
    fn scan_reply(&self, answer: Answer) -> ClientReply {
        let bytes = match &answer {
            Answer::Scan { items, .. } => items
                .iter()
                .map(|(key, item)| key.len() + item.value.len() + ITEM_OVERHEAD_BYTES)
                .sum::<usize>() as u64,
            _ => 0,
        };
        if bytes > self.ports.memory.free_bytes() {
            return ClientReply::Refused(Refusal::Busy);
        }
        ClientReply::Scan(answer, self.ports.memory.reserve(bytes))
    }

    fn execute(&mut self, task: ApplyTask, replies: &mut Replies) {
        match task {
            ApplyTask::Entry { mut entry, reply_handle } => {
                if mutant!(B77) && reply_handle.is_some() {
                    entry.stamp_ms += 1;
                }
                let outcome = self.store.apply(&entry).unwrap_or_else(|error| {
                    panic!(
                        "cannot apply the committed entry {}: {error}. Run a version of the \
                         server that knows it; this one must not guess what it does",
                        entry.position()
                    )
                });
                if let Some(reply_handle) = reply_handle {
                    let outcome = outcome.expect("sessions wait only for entries of a command");
                    replies.add(reply_handle, ClientReply::Outcome(outcome));
                }
            }
            ApplyTask::Read { query, read_index, now_ms, reply_handle } => {
                assert!(
                    read_index <= self.store.last_applied(),
                    "a read waits in RaftActor until the store has applied its read index"
                );
                if let Query::Scan { .. } = query {
                    if self.scans.len() >= SCANS_WAITING_MAX {
                        replies.add(reply_handle, ClientReply::Refused(Refusal::Busy));
                    } else {
                        let moment = self.store.clone();
                        self.scans.push_back(WaitingScan { moment, query, now_ms, reply_handle });
                    }
                    return;
                }
                let answer = self.store.query(&query, now_ms);
                replies.add(reply_handle, ClientReply::Answer(answer));
            }
            ApplyTask::Snapshot { point } => {
                assert_eq!(
                    point.last.index,
                    self.store.last_applied(),
                    "a snapshot stands for exactly what is applied"
                );
                let (stamp_ms, store) = (self.store.clock_ms(), self.store.clone());
                self.ports.snapshot.do_send(WriteSnapshot { point, stamp_ms, store });
            }
            ApplyTask::Install { store } => {
                assert!(
                    self.store.last_applied() < store.last_applied(),
                    "a snapshot is installed when it holds more than was applied (bugs.md B54)"
                );
                let store = std::mem::replace(&mut self.store, store);
                self.ports.discard.do_send(DropStore { store });
            }
            ApplyTask::Status { status, reply_handle } => {
                replies.add(reply_handle, ClientReply::Status(status, self.store.status()));
            }
        }
    }
}

#[cfg(test)]
mod tests;
