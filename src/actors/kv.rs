//! KvActor: keeps the store, applies committed entries, and answers confirmed reads.
//!
//! | in | from | out | to |
//! | --- | --- | --- | --- |
//! | [`Apply`] | RaftActor | [`ClientReplies`], one a session | SessionActor |
//! | | | [`Applied`], [`DigestRead`], [`StoreCorrupted`] | RaftActor |
//! | | | [`StoreCommand`]: `WriteSnapshot`, `DropStore` | SnapshotWriterActor |
//!
//! It owns the [`Store`], and nothing else does. It runs on the main arbiter, because all its
//! work is in memory. The sender bounds the number of tasks in a message.
//!
//! Tasks are executed in the order of the message, so a read sees exactly the entries before
//! it. All replies to a session leave in one message, which the session writes with one
//! system call.
//!
//! A scan costs as much as thousands of other tasks, and a few hundred scans in a row would
//! keep the node from its heartbeats. So in the order of the tasks, a scan only takes a view
//! of the store: a clone, which costs next to nothing. Its result is computed later, one scan
//! a turn of the thread. A session has at most one scan under way. A scan is refused as busy
//! when [`SCANS_WAITING_MAX`] wait, or when there is no memory for its result.
//!
//! A snapshot is such a view as well, which SnapshotWriterActor writes while this store
//! changes. The store of a snapshot that was received replaces this store as a whole.
//!
//! An entry that cannot be decoded ends the process. The entry is committed, and other nodes
//! may know its operation and have executed it, so to skip it would be to diverge in silence.
//! The node ends at every start until it runs a version that knows the operation.
//!
//! When the table of `once` is nearly full, it logs a warning once.

mod once_alarm;

use std::collections::VecDeque;

use actix::{Actor, ActorFutureExt, AsyncContext, Context, Handler, Recipient, WrapFuture};

use crate::actors::io::memory::MemoryBudget;
use crate::actors::messages::clients::{ClientReplies, ClientReply, ReplyHandle};
use crate::actors::messages::kv::{Applied, Apply, ApplyTask, DigestRead, StoreCorrupted};
use crate::actors::messages::replies::Replies;
use crate::actors::messages::snapshots::{DropStore, StoreCommand, WriteSnapshot};
use crate::kv::{Answer, Query, Store};
use crate::protocol::Refusal;
use crate::raft::ReadDigest;
use once_alarm::OnceAlarm;

/// The recipients of KvActor's messages.
#[derive(Clone, Debug)]
pub struct KvPorts {
    /// RaftActor.
    pub raft: Recipient<Applied>,
    /// RaftActor.
    pub digests: Recipient<DigestRead>,
    /// RaftActor.
    pub corrupted: Recipient<StoreCorrupted>,
    /// SnapshotWriterActor.
    pub snapshots: Recipient<StoreCommand>,
    /// The memory that clients may use.
    pub memory: MemoryBudget,
}

/// Maximum number of scans that wait for their turn. Each takes a few milliseconds at most,
/// so the last one is answered well within `request_timeout_ms`.
pub const SCANS_WAITING_MAX: usize = 256;

/// The memory in bytes that each key of a scan's result takes besides key and value.
const ITEM_OVERHEAD_BYTES: usize = 64;

/// The actor that owns the store.
pub struct KvActor {
    store: Store,
    ports: KvPorts,
    /// The scans that wait, in the order of their views.
    scans: VecDeque<WaitingScan>,
    /// True when a turn for the next scan has been asked for.
    turn_is_due: bool,
    once_alarm: OnceAlarm,
}

/// A scan that has its view of the store and waits for its turn.
struct WaitingScan {
    view: Store,
    query: Query,
    now_ms: u64,
    reply_handle: ReplyHandle,
    /// True when another store has taken the place of the one that the view is of. The view
    /// may be the last owner of that store.
    is_replaced: bool,
}

impl KvActor {
    /// An actor whose store is that of a snapshot, or empty. Every committed entry after it
    /// must be applied to it.
    pub fn new(store: Store, ports: KvPorts) -> KvActor {
        KvActor {
            store,
            ports,
            scans: VecDeque::new(),
            turn_is_due: false,
            once_alarm: OnceAlarm::default(),
        }
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
        if let Some(warning) = self.once_alarm.observe(self.store.clients()) {
            log::warn!("{warning}");
        }
        self.ports.raft.do_send(Applied {
            last_applied: self.store.last_applied(),
            next_deadline_ms: self.store.next_deadline_ms(),
            has_hidden: self.store.has_hidden(),
        });
        self.arm_scan(ctx);
    }
}

impl KvActor {
    /// Asks for a turn after all others that have something to do, if a scan waits.
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
        while let Some(scan) = self.scans.pop_front() {
            let WaitingScan { view, query, now_ms, reply_handle, is_replaced } = scan;
            // A client that has left needs no result.
            let is_awaited = reply_handle.reply_to.connected();
            if is_awaited {
                let reply = self.scan_reply(view.query(&query, now_ms));
                let replies = vec![(reply_handle.slot, reply)];
                reply_handle.reply_to.do_send(ClientReplies { replies });
            }
            if is_replaced {
                self.ports.snapshots.do_send(StoreCommand::Drop(DropStore { store: view }));
            }
            if is_awaited {
                return;
            }
        }
    }

    /// Reserves memory for the result, or refuses the scan: together, sessions can ask for
    /// more than there is memory for. A single key is never refused, as a `get` of it is not:
    /// its value may be above the limits that this server has now, and no later try would get
    /// past it.
    fn scan_reply(&self, answer: Answer) -> ClientReply {
        let items = match &answer {
            Answer::Scan { items, .. } => &items[..],
            _ => &[],
        };
        let bytes = items
            .iter()
            .map(|(key, item)| key.len() + item.value.len() + ITEM_OVERHEAD_BYTES)
            .sum::<usize>() as u64;
        if items.len() > 1 && bytes > self.ports.memory.free_bytes() {
            return ClientReply::Refused(Refusal::Busy);
        }
        ClientReply::Scan(answer, self.ports.memory.reserve(bytes))
    }

    fn execute(&mut self, task: ApplyTask, replies: &mut Replies) {
        match task {
            ApplyTask::Entry { entry, reply_handle } => {
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
                        let view = self.store.clone();
                        let is_replaced = false;
                        let scan = WaitingScan { view, query, now_ms, reply_handle, is_replaced };
                        self.scans.push_back(scan);
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
                let order = WriteSnapshot { point, stamp_ms, store };
                self.ports.snapshots.do_send(StoreCommand::Write(order));
            }
            ApplyTask::Install { store } => {
                assert!(
                    self.store.last_applied() < store.last_applied(),
                    "a snapshot is installed when it holds more than was applied (docs/bugs.md B54)"
                );
                let store = std::mem::replace(&mut self.store, store);
                self.scans.iter_mut().for_each(|scan| scan.is_replaced = true);
                self.ports.snapshots.do_send(StoreCommand::Drop(DropStore { store }));
            }
            ApplyTask::Digest(ReadDigest { index }) => {
                if index == self.store.last_applied() {
                    self.ports.digests.do_send(DigestRead { index, digest: self.store.digest() });
                }
            }
            ApplyTask::Status { status, reply_handle } => {
                replies.add(reply_handle, ClientReply::Status(status, self.store.status()));
            }
        }
    }
}

#[cfg(test)]
mod tests;
