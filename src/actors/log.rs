//! LogActor: keeps the log and the hard state on disk. No other actor touches them.
//!
//! | in | from | out | to |
//! | --- | --- | --- | --- |
//! | [`LogCommand`]: `Append` | RaftActor | [`LogPersisted`], one for a batch | RaftActor |
//! | [`LogCommand`]: `Compact` | RaftActor | [`LogCompacted`] | RaftActor |
//! | [`LogCommand`]: `Reset` | RaftActor | | |
//! | [`LogCommand`]: `Hold` | RaftActor | [`HoldSaved`] | RaftActor |
//! | [`LogCommand`]: `ClusterId` | RaftActor | | |
//! | [`LogCommand`]: `MarkDiverged` | RaftActor | [`StorageFailed`] | `node` |
//! | [`ReadEntriesRequest`] | ReplicatorActor, RaftActor | [`EntriesRead`] | the sender |
//! | [`Shutdown`] | `node` | | |
//! | [`Probe`] | ProberActor | | |
//! | an error of the disk, a data directory that is gone | | [`StorageFailed`] | `node` |
//!
//! It owns the [`Storage`]. It runs on an arbiter of its own, because the disk blocks, now
//! and then for half a second.
//!
//! Group commit: an `Append` only joins a batch. The batch is written and synced once, when
//! the mailbox is drained. It holds all appends that gathered while the disk was busy with
//! the batch before: the slower the disk, the larger the batches.
//!
//! Invariants: nothing is acknowledged before the sync that makes it durable (docs/bugs.md
//! B22), and nothing after an error or once the data directory was deleted or moved (docs/bugs.md
//! C18). An error of the disk is never retried. It is logged and
//! handed to [`LogPorts::fatal`], and from then on every message is dropped; a restart reads
//! the real contents of the disk.

use std::time::Duration;

use actix::{Actor, ActorContext, AsyncContext, Context, Handler, Message, Recipient};

use crate::actors::messages::lifecycle::{Probe, Shutdown, StorageFailed};
use crate::actors::messages::log::{
    EntriesRead, HoldSaved, LogCommand, LogCompacted, LogPersisted, ReadEntriesRequest,
};
use crate::metrics::LogMetrics;
use crate::raft::{Append, CompactLog, PersistSeq, ReadEntries, ResetLog};
use crate::storage::{Storage, StorageError};
use crate::types::{Entry, HardState, LogIndex};

/// The number of entries at which a batch is written before the mailbox is drained.
const FLUSH_ENTRIES_MAX: usize = 4096;
/// The weight in bytes at which a batch is written before the mailbox is drained.
const FLUSH_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// The time without a flush after which the durable end of the log is recorded.
const RECORD_END_AFTER: Duration = Duration::from_millis(100);
/// The time between two checks that the data directory is still there. A directory that is gone
/// is noticed within a second, also when nothing is written.
const PRESENCE_INTERVAL: Duration = Duration::from_millis(500);

/// The recipients of LogActor's messages.
#[derive(Clone, Debug)]
pub struct LogPorts {
    /// RaftActor.
    pub raft: Recipient<LogPersisted>,
    /// RaftActor.
    pub compacted: Recipient<LogCompacted>,
    /// RaftActor.
    pub hold_saved: Recipient<HoldSaved>,
    /// Ends the process: a node cannot do anything without its log.
    pub fatal: Recipient<StorageFailed>,
}

/// The actor that owns the log and the hard state.
pub struct LogActor {
    /// `None` after an error or the shutdown.
    storage: Option<Storage>,
    ports: LogPorts,
    batch: Batch,
    /// True when a [`Flush`] is under way. There is never more than one, because several
    /// would arrive out of order.
    flush_notified: bool,
    /// Number of flushes so far. It shows if the log was idle.
    flushes: u64,
    /// True when a timer for recording the durable end runs.
    record_end_armed: bool,
    metrics: LogMetrics,
}

/// The appends since the last flush.
#[derive(Default)]
struct Batch {
    seq: Option<PersistSeq>,
    hard_state: Option<HardState>,
    /// Consecutive entries. They replace everything in the storage from the first of them
    /// on.
    entries: Vec<Entry>,
    bytes: u64,
}

impl Batch {
    fn add(&mut self, append: Append) {
        self.seq = Some(append.seq);
        // The last hard state replaces all before it: terms only rise.
        self.hard_state = append.hard_state.or(self.hard_state);
        if let Some(first) = append.entries.first() {
            let is_kept = |entry: &Entry| entry.index < first.index;
            let kept = self.entries.partition_point(is_kept);
            for superseded in self.entries.drain(kept..) {
                self.bytes -= superseded.weight_bytes();
            }
        }
        self.bytes += append.entries.iter().map(Entry::weight_bytes).sum::<u64>();
        self.entries.extend(append.entries);
    }

    fn is_full(&self) -> bool {
        self.entries.len() >= FLUSH_ENTRIES_MAX || self.bytes >= FLUSH_BYTES_MAX
    }
}

impl LogActor {
    /// Takes the storage as it was opened.
    pub fn new(storage: Storage, ports: LogPorts) -> LogActor {
        LogActor {
            storage: Some(storage),
            ports,
            batch: Batch::default(),
            flush_notified: false,
            flushes: 0,
            record_end_armed: false,
            metrics: LogMetrics::default(),
        }
    }

    /// Measures its work by these metrics.
    #[must_use]
    pub fn with_metrics(mut self, metrics: LogMetrics) -> LogActor {
        if let Some(storage) = &self.storage {
            metrics.set_base(storage.base().index.0);
        }
        self.metrics = metrics;
        self
    }
}

/// Sent by LogActor to itself, to arrive after the messages that are waiting.
#[derive(Message)]
#[rtype(result = "()")]
struct Flush;

impl Actor for LogActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        ctx.run_interval(PRESENCE_INTERVAL, |actor, _| {
            actor.attempt(|storage, _| storage.check_presence());
        });
    }
}

impl Handler<LogCommand> for LogActor {
    type Result = ();

    fn handle(&mut self, command: LogCommand, ctx: &mut Context<Self>) {
        match command {
            LogCommand::Append(append) => self.append(append, ctx),
            LogCommand::Compact(CompactLog { limit }) => self.compact(limit),
            LogCommand::Reset(ResetLog { base }) => {
                self.flush(ctx);
                self.attempt(|storage, _| storage.reset(base));
            }
            LogCommand::Hold { is_held } => {
                if self.attempt(|storage, _| storage.set_held(is_held)).is_some() {
                    self.ports.hold_saved.do_send(HoldSaved { is_held });
                }
            }
            LogCommand::ClusterId(cluster_id) => {
                self.attempt(|storage, _| storage.keep_cluster_id(cluster_id));
            }
            LogCommand::MarkDiverged(divergence) => {
                self.attempt(|storage, _| Err::<(), _>(storage.mark_diverged(divergence)));
            }
        }
    }
}

impl Handler<Flush> for LogActor {
    type Result = ();

    fn handle(&mut self, _: Flush, ctx: &mut Context<Self>) {
        self.flush_notified = false;
        self.flush(ctx);
    }
}

impl Handler<ReadEntriesRequest> for LogActor {
    type Result = ();

    fn handle(&mut self, request: ReadEntriesRequest, _: &mut Context<Self>) {
        let ReadEntriesRequest { read, reply_to } = request;
        let ReadEntries { ticket, from, to, bytes_max } = read;
        if let Some(entries) = self
            .attempt(|storage, batch| read_entries(storage, &batch.entries, from, to, bytes_max))
        {
            reply_to.do_send(EntriesRead { ticket, entries });
        }
    }
}

impl Handler<Probe> for LogActor {
    type Result = ();

    fn handle(&mut self, Probe { mailbox }: Probe, _ctx: &mut Context<Self>) {
        mailbox.end();
    }
}

impl Handler<Shutdown> for LogActor {
    type Result = ();

    fn handle(&mut self, _: Shutdown, ctx: &mut Context<Self>) {
        self.flush(ctx);
        self.attempt(|storage, _| storage.record_durable_end());
        // The directory is free before the answer leaves: the receiver may open it at once.
        self.storage = None;
        ctx.stop();
    }
}

impl LogActor {
    fn append(&mut self, append: Append, ctx: &mut Context<Self>) {
        if self.storage.is_none() {
            return;
        }
        self.batch.add(append);
        if self.batch.is_full() {
            self.flush(ctx);
        } else if !self.flush_notified {
            self.flush_notified = true;
            ctx.notify(Flush);
        }
    }

    fn compact(&mut self, limit: LogIndex) {
        // Everything up to the limit was durable long ago, so none of it is in the batch.
        if let Some(base) = self.attempt(|storage, _| storage.compact(limit)) {
            self.metrics.set_base(base.index.0);
            self.ports.compacted.do_send(LogCompacted { base });
        }
    }

    fn flush(&mut self, ctx: &mut Context<Self>) {
        let Some(seq) = self.batch.seq else { return };
        let metrics = self.metrics.clone();
        if self.attempt(|storage, batch| write_batch(storage, batch, &metrics)).is_none() {
            return;
        }
        let batch = std::mem::take(&mut self.batch);
        self.metrics.on_flushed(batch.entries.len(), batch.bytes);
        self.flushes += 1;
        self.ports.raft.do_send(LogPersisted { seq, synced_at: self.metrics.now() });
        self.arm_record_end(ctx);
    }

    /// Records the durable end when the log has been idle for a while. The record costs as
    /// much as a flush, and under load the next flush would make it outdated.
    fn arm_record_end(&mut self, ctx: &mut Context<Self>) {
        if self.record_end_armed {
            return;
        }
        self.record_end_armed = true;
        let flushes = self.flushes;
        ctx.run_later(RECORD_END_AFTER, move |actor, ctx| {
            actor.record_end_armed = false;
            if actor.flushes == flushes {
                actor.attempt(|storage, _| storage.record_durable_end());
            } else {
                actor.arm_record_end(ctx);
            }
        });
    }

    /// Executes an operation on the storage. After an error the storage is not used again.
    fn attempt<T>(
        &mut self,
        operation: impl FnOnce(&mut Storage, &mut Batch) -> Result<T, StorageError>,
    ) -> Option<T> {
        let storage = self.storage.as_mut()?;
        self.metrics.begin();
        let done = operation(storage, &mut self.batch);
        self.metrics.end();
        match done {
            Ok(done) => Some(done),
            Err(error) => {
                log::error!("{error}; this server stops");
                self.storage = None;
                self.batch = Batch::default();
                self.ports.fatal.do_send(StorageFailed { error });
                None
            }
        }
    }
}

/// Writes a batch and makes it durable.
///
/// The hard state goes first, in whatever order the appends came. Nothing of the batch is
/// acknowledged yet, so a crash may leave any part of it, as long as the node could have been
/// in that state. A term or vote without the entries that came with it is the state of a node
/// that the entries never reached. The opposite, an entry of term 5 in a log whose term is 4,
/// is a state that no node of Raft is ever in: the storage takes it for a lost hard state and
/// does not start.
fn write_batch(
    storage: &mut Storage,
    batch: &mut Batch,
    metrics: &LogMetrics,
) -> Result<(), StorageError> {
    if let Some(hard_state) = batch.hard_state {
        storage.save_hard_state(hard_state)?;
    }
    storage.append(&batch.entries)?;
    metrics.time_sync(|| storage.sync())
}

/// Reads entries of the log as it will be after `batch` is written.
fn read_entries(
    storage: &mut Storage,
    batch: &[Entry],
    from: LogIndex,
    to: LogIndex,
    bytes_max: u64,
) -> Result<Vec<Entry>, StorageError> {
    let Some(first) = batch.first().map(|entry| entry.index) else {
        return storage.read(from, to, bytes_max);
    };
    let stored_to = to.min(first.prev());
    let mut entries = storage.read(from, stored_to, bytes_max)?;
    let next = entries.last().map_or(from, |entry| entry.index.next());
    if next < first {
        return Ok(entries);
    }
    let mut bytes: u64 = entries.iter().map(Entry::weight_bytes).sum();
    for entry in batch.iter().filter(|entry| next <= entry.index && entry.index <= to) {
        bytes += entry.weight_bytes();
        if bytes > bytes_max && !entries.is_empty() {
            break;
        }
        entries.push(entry.clone());
    }
    Ok(entries)
}

#[cfg(test)]
mod tests;
