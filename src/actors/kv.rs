//! KvActor: keeps the store, applies committed entries, and answers confirmed reads.
//!
//! | in | from | out | to |
//! | --- | --- | --- | --- |
//! | [`Apply`] | RaftActor | [`ClientReplies`], one a session | SessionActor |
//! | | | [`Applied`], [`DigestRead`], [`StoreCorrupted`] | RaftActor |
//! | | | [`StoreCommand`]: `WriteSnapshot`, `DropStore` | SnapshotWriterActor |
//! | [`Probe`] | ProberActor | | |
//! | [`AskHistory`] | WatchHubActor | [`HistoryNews`] | WatchHubActor |
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
//! a turn of the thread. A read of a key as it was long ago can cost as much, and waits likewise
//! (docs/adr/0029). A session has at most one scan under way. A scan is refused as busy
//! when [`SCANS_WAITING_MAX`] wait, or when there is no memory for its result.
//!
//! A snapshot is such a view as well, which SnapshotWriterActor writes while this store
//! changes. The store of a snapshot that was received replaces this store as a whole.
//!
//! Watches get a view as well, of the history: each hub when it has asked and there is something
//! new, so this actor sends nothing when nobody watches, and waits for nobody.
//!
//! An entry that cannot be decoded ends the process. The entry is committed, and other nodes
//! may know its operation and have executed it, so to skip it would be to diverge in silence.
//! The node ends at every start until it runs a version that knows the operation.
//!
//! It verifies the records of the store, a few at a time (docs/adr/0025), and remembers the
//! digests after the last entries. When a record is not what was written, or the store differs from
//! that of a majority, this actor does and answers nothing more: the node stops.
//!
//! When the table of `once` is nearly full, it logs a warning once. It also logs and counts the
//! commands that took long from their arrival to their replies (docs/adr/0036).

mod once_alarm;

use std::collections::VecDeque;
use std::time::Duration;

use actix::{Actor, ActorFutureExt, AsyncContext, Context, Handler, Recipient, WrapFuture};
use bytes::Bytes;

use crate::actors::io::memory::MemoryBudget;
use crate::actors::io::operation_times::OperationTimes;
use crate::actors::io::slow_operations::{OperationEnd, SlowOperations, Subject};
use crate::actors::messages::clients::{ClientReplies, ClientReply, ReplyHandle};
use crate::actors::messages::kv::{Applied, Apply, ApplyTask, DigestRead, StoreCorrupted};
use crate::actors::messages::lifecycle::Probe;
use crate::actors::messages::replies::Replies;
use crate::actors::messages::snapshots::{DropStore, StoreCommand, WriteSnapshot};
use crate::actors::messages::waiters::Waiters;
use crate::actors::messages::watch::{AskHistory, HistoryMark, HistoryNews};
use crate::kv::{
    Answer, ApplyError, Corruption, DigestHistory, Page, Query, Scrub, ScrubBudget, Store,
};
use crate::logging::LogLimit;
use crate::metrics::{StoreMetrics, StoreState};
use crate::protocol::Refusal;
use crate::raft::ReadDigest;
use crate::types::{Entry, LogIndex, Payload};
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

/// The time between two steps of the scrub.
pub const SCRUB_INTERVAL: Duration = Duration::from_millis(100);

/// The bounds of one step of the scrub. A small store is walked in one step. A large one takes
/// a while, and costs about a hundredth of a thread (docs/adr/0025): a change of a long history
/// lies in memory that nothing else has touched for a while.
pub const SCRUB_BUDGET: ScrubBudget = ScrubBudget { records: 100, bytes: 1024 * 1024 };

/// Number of executed commands for which room is kept from one message to the next.
const EXECUTED_ROOM_MAX: usize = 1024;

/// The actor that owns the store.
pub struct KvActor {
    pub(crate) store: Store,
    /// The digests of the store after the last entries.
    digests: DigestHistory,
    /// The entry whose digest RaftActor waits for.
    wanted_digest: Option<LogIndex>,
    scrub: Scrub,
    /// True when the store is of no use: nothing more is done or answered.
    pub(crate) has_ended: bool,
    ports: KvPorts,
    /// The scans that wait, in the order of their views.
    scans: VecDeque<WaitingScan>,
    /// True when a turn for the next scan has been asked for.
    turn_is_due: bool,
    once_alarm: OnceAlarm,
    once_lines: LogLimit,
    /// The hubs that wait for another state of the history: each at most once.
    hubs: Vec<AskHistory>,
    /// True when the history does not go on here: this server was removed from the cluster.
    has_history_ended: bool,
    metrics: StoreMetrics,
    slow: SlowOperations,
    /// The commands that the message at hand has executed, if slow ones are looked for. It is
    /// empty between two messages, and keeps some room.
    executed: Vec<(OperationTimes, Executed)>,
}

/// The content of a command that was executed.
enum Executed {
    Write(Bytes),
    Read(Query),
}

impl Executed {
    fn subject(&self) -> Subject<'_> {
        match self {
            Executed::Write(command) => Subject::Write(command),
            Executed::Read(query) => Subject::Read(query),
        }
    }
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
            digests: DigestHistory::beginning_at(store.last_applied(), store.digest()),
            wanted_digest: None,
            scrub: Scrub::default(),
            has_ended: false,
            store,
            ports,
            scans: VecDeque::new(),
            turn_is_due: false,
            once_alarm: OnceAlarm::default(),
            once_lines: LogLimit::default(),
            hubs: Vec::new(),
            has_history_ended: false,
            metrics: StoreMetrics::default(),
            slow: SlowOperations::default(),
            executed: Vec::new(),
        }
    }

    /// Measures its work by these metrics.
    #[must_use]
    pub fn with_metrics(self, metrics: StoreMetrics) -> KvActor {
        KvActor { metrics, ..self }
    }

    /// Judges the commands that it executes.
    #[must_use]
    pub fn with_slow_operations(self, slow: SlowOperations) -> KvActor {
        KvActor { slow, ..self }
    }
}

impl Actor for KvActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        KvActor::arm_scrub(ctx);
    }
}

impl Handler<Apply> for KvActor {
    type Result = ();

    fn handle(&mut self, message: Apply, ctx: &mut Context<Self>) {
        if self.has_ended {
            return;
        }
        let began = self.metrics.now();
        let mut replies = Replies::default();
        for task in message.tasks {
            if let Err(corruption) = self.execute(task, &mut replies) {
                self.end_corrupted(&corruption);
            }
            if self.has_ended {
                return;
            }
        }
        replies.send();
        let ended = self.metrics.on_executed(began);
        self.judge_executed(ended);
        self.tell_hubs();
        if let Some(warning) = self.once_alarm.observe(self.store.clients()) {
            let (level, left_out) = self.once_lines.level(log::Level::Warn, ());
            log::log!(level, left_out; "{warning}");
        }
        self.ports.raft.do_send(Applied {
            last_applied: self.store.last_applied(),
            next_deadline_ms: self.store.next_deadline_ms(),
            has_hidden: self.store.has_hidden(),
            ending_leases: self.store.ending_leases(),
            digest: self.store.digest(),
            history: self.store.history_limits(),
        });
        self.arm_scan(ctx);
    }
}

impl Handler<AskHistory> for KvActor {
    type Result = ();

    fn handle(&mut self, message: AskHistory, _ctx: &mut Context<Self>) {
        if self.has_ended {
            return;
        }
        let has_news = message.seen.is_none_or(|seen| seen != self.history_mark());
        if has_news || self.has_history_ended {
            self.send_history(&message);
        } else {
            self.hubs.push(message);
        }
    }
}

impl Handler<Probe> for KvActor {
    type Result = ();

    fn handle(&mut self, Probe { mailbox }: Probe, _ctx: &mut Context<Self>) {
        mailbox.end();
    }
}

impl KvActor {
    fn history_mark(&self) -> HistoryMark {
        HistoryMark { revision: self.store.revision(), compacted: self.store.compacted() }
    }

    /// Sends the history to the hubs that wait for one that is not what they have.
    fn tell_hubs(&mut self) {
        if self.hubs.is_empty() {
            return;
        }
        let mark = self.history_mark();
        let (told, waiting): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.hubs).into_iter().partition(|ask| ask.seen != Some(mark));
        self.hubs = waiting;
        told.iter().for_each(|ask| self.send_history(ask));
    }

    fn send_history(&self, ask: &AskHistory) {
        ask.reply_to.do_send(HistoryNews {
            view: self.store.history_view(),
            last_applied: self.store.last_applied(),
            is_at_once: ask.seen.is_none(),
            has_ended: self.has_history_ended,
        });
    }

    /// Notes a command, if slow ones are looked for.
    fn note_executed(&mut self, times: &OperationTimes, content: impl FnOnce() -> Executed) {
        if self.slow.is_on() {
            self.executed.push((*times, content()));
        }
    }

    /// Judges the commands of a message by the time at which its replies were sent.
    fn judge_executed(&mut self, ended_at: Duration) {
        for (times, content) in self.executed.drain(..) {
            self.slow.judge(&times, ended_at, OperationEnd::Answered, content.subject());
        }
        self.executed.shrink_to(EXECUTED_ROOM_MAX);
    }

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

    /// Asks for the next step of the scrub. Each step asks for the one after it, so a pause of the
    /// process is not followed by all steps that were missed.
    fn arm_scrub(ctx: &mut Context<Self>) {
        ctx.run_later(SCRUB_INTERVAL, |actor, ctx| {
            if actor.has_ended {
                return;
            }
            actor.measure();
            match actor.store.scrub(&mut actor.scrub, SCRUB_BUDGET) {
                Ok(_) => KvActor::arm_scrub(ctx),
                Err(corruption) => actor.end_corrupted(&corruption),
            }
        });
    }

    /// Shows the state of the store.
    fn measure(&self) {
        let status = self.store.status();
        let memory = &self.ports.memory;
        let state = StoreState {
            keys: status.keys,
            bytes: status.bytes,
            revision: status.revision,
            compacted_revision: status.compacted_revision,
            history_changes: status.history_changes,
            history_bytes: status.history_bytes,
            leases: status.leases,
            once_clients: status.clients,
            memory_used_bytes: memory.used_bytes(),
            memory_bytes_max: memory.used_bytes().saturating_add(memory.free_bytes()),
        };
        self.metrics.set_state(&state, self.scans.len());
    }

    /// Ends the work of this actor, because the store is of no use. The clients that wait get no
    /// answer, because any could be wrong; their connections end with the process.
    fn end(&mut self) {
        self.has_ended = true;
        self.scans.clear();
        self.hubs.clear();
    }

    /// The same, because a record is not what was written.
    fn end_corrupted(&mut self, corruption: &Corruption) {
        self.end();
        self.ports.corrupted.do_send(StoreCorrupted { what: corruption.to_string() });
    }

    fn answer_next_scan(&mut self) {
        while let Some(scan) = self.scans.pop_front() {
            let WaitingScan { view, query, now_ms, reply_handle, is_replaced } = scan;
            // A client that has left needs no result.
            let is_awaited = reply_handle.reply_to.connected();
            if is_awaited {
                let reply = match view.query(&query, now_ms) {
                    Ok(answer) => self.scan_reply(answer),
                    Err(corruption) => return self.end_corrupted(&corruption),
                };
                let replies = vec![(reply_handle.slot, reply)];
                reply_handle.reply_to.do_send(ClientReplies { replies });
                let (ended_at, end) = (self.metrics.now(), OperationEnd::Answered);
                self.slow.judge(&reply_handle.times, ended_at, end, Subject::Read(&query));
            }
            if is_replaced {
                let order = Box::new(DropStore { store: view });
                self.ports.snapshots.do_send(StoreCommand::Drop(order));
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
        let weight = |key: &[u8], value: &[u8]| key.len() + value.len() + ITEM_OVERHEAD_BYTES;
        let (items, bytes) = match &answer {
            Answer::Scan { items, .. } => {
                let weights = items.iter().map(|(key, item)| weight(key, &item.value));
                (items.len(), weights.sum::<usize>() as u64)
            }
            Answer::Page(Page { records, .. }) => {
                let weights = records.iter().map(|(key, record)| weight(key, record.value()));
                (records.len(), weights.sum::<usize>() as u64)
            }
            // A read of one key: far back in the history, or of its versions, which share their
            // values with the store.
            _ => return ClientReply::Answer(answer),
        };
        if items > 1 && bytes > self.ports.memory.free_bytes() {
            return ClientReply::Refused(Refusal::Busy);
        }
        ClientReply::Scan(answer, self.ports.memory.reserve(bytes))
    }

    /// Executes one task.
    ///
    /// # Errors
    /// When a record that the task needs is not what was written.
    fn execute(&mut self, task: ApplyTask, replies: &mut Replies) -> Result<(), Corruption> {
        match task {
            ApplyTask::Entry { entry, waiters } => {
                self.apply(&entry, waiters, replies)?;
            }
            ApplyTask::Read { query, read_index, now_ms, reply_handle } => {
                assert!(
                    read_index <= self.store.last_applied(),
                    "a read waits in RaftActor until the store has applied its read index"
                );
                if self.store.takes_long(&query) {
                    if self.scans.len() >= SCANS_WAITING_MAX {
                        replies.add(reply_handle, ClientReply::Refused(Refusal::Busy));
                    } else {
                        let view = self.store.clone();
                        let is_replaced = false;
                        let scan = WaitingScan { view, query, now_ms, reply_handle, is_replaced };
                        self.scans.push_back(scan);
                    }
                } else {
                    let answer = self.store.query(&query, now_ms)?;
                    self.note_executed(&reply_handle.times, || Executed::Read(query));
                    replies.add(reply_handle, ClientReply::Answer(answer));
                }
            }
            ApplyTask::Snapshot { point } => {
                assert_eq!(
                    point.last.index,
                    self.store.last_applied(),
                    "a snapshot stands for exactly what is applied"
                );
                let (stamp_ms, store) = (self.store.clock_ms(), self.store.clone());
                let order = WriteSnapshot { point, stamp_ms, store };
                self.ports.snapshots.do_send(StoreCommand::Write(Box::new(order)));
            }
            ApplyTask::Install { store } => self.install(*store),
            ApplyTask::Digest(ReadDigest { index }) => {
                if index > self.store.last_applied() {
                    self.wanted_digest = Some(index);
                } else {
                    self.send_digest(index);
                }
            }
            ApplyTask::ClientDigest { index, reply_handle } => {
                let digest = self.digests.at(index);
                replies.add(reply_handle, ClientReply::Digest { index, digest });
            }
            ApplyTask::EndHistory => {
                self.has_history_ended = true;
                std::mem::take(&mut self.hubs).iter().for_each(|ask| self.send_history(ask));
            }
            ApplyTask::End => self.end(),
            ApplyTask::Status { status, reply_handle } => {
                replies.add(reply_handle, ClientReply::Status(status, self.store.status()));
            }
        }
        Ok(())
    }

    /// Applies an entry, and remembers the digest after it.
    fn apply(
        &mut self,
        entry: &Entry,
        waiters: Option<Waiters>,
        replies: &mut Replies,
    ) -> Result<(), Corruption> {
        let outcome = match self.store.apply(entry) {
            Ok(outcome) => outcome,
            Err(ApplyError::Corrupted(corruption)) => return Err(corruption),
            Err(ApplyError::Command(error)) => panic!(
                "cannot apply the committed entry {}: {error}. Run a version of the server that \
                 knows it; this one must not guess what it does",
                entry.position()
            ),
        };
        if let Some(waiters) = waiters {
            let outcome = outcome.expect("sessions wait only for entries of a command");
            if let Payload::Command(command) = &entry.payload {
                for times in waiters.times() {
                    self.note_executed(times, || Executed::Write(command.clone()));
                }
            }
            waiters.answer(outcome, replies);
        }
        self.digests.push(entry.index, self.store.digest());
        self.send_wanted_digest();
        Ok(())
    }

    /// The store of a snapshot takes the place of this one, of which nothing stays.
    fn install(&mut self, store: Store) {
        assert!(
            self.store.last_applied() < store.last_applied(),
            "a snapshot is installed when it holds more than was applied (docs/bugs.md B54)"
        );
        self.digests = DigestHistory::beginning_at(store.last_applied(), store.digest());
        let store = std::mem::replace(&mut self.store, store);
        self.scans.iter_mut().for_each(|scan| scan.is_replaced = true);
        self.ports.snapshots.do_send(StoreCommand::Drop(Box::new(DropStore { store })));
        self.send_wanted_digest();
    }

    /// Sends the digest that RaftActor waits for, if the store has applied its entry.
    fn send_wanted_digest(&mut self) {
        let last_applied = self.store.last_applied();
        if let Some(index) = self.wanted_digest.take_if(|index| *index <= last_applied) {
            self.send_digest(index);
        }
    }

    /// Sends a digest to RaftActor, if it is known.
    fn send_digest(&self, index: LogIndex) {
        if let Some(digest) = self.digests.at(index) {
            self.ports.digests.do_send(DigestRead { index, digest });
        }
    }
}

#[cfg(test)]
mod tests;
