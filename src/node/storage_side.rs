//! The actors that keep the node's data: log, store and snapshots.
//!
//! FailureActor, which passes a failure of the disk on, is defined here:
//!
//! | in | from | out | to |
//! | --- | --- | --- | --- |
//! | [`StorageFailed`] | LogActor, the snapshot actors | | `Node::failed` |
//! | [`NodeMustStop`] | RaftActor | | `Node::failed` |

use actix::dev::channel::{AddressReceiver, channel};
use actix::{Actor, Addr, Arbiter, Context, Handler, Recipient};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::environment::Placement;
use super::error::NodeError;
use crate::actors::io::memory::MemoryBudget;
use crate::actors::io::slow_operations::SlowOperations;
use crate::actors::kv::{KvActor, KvPorts};
use crate::actors::log::{LogActor, LogPorts};
use crate::actors::messages::lifecycle::{NodeMustStop, Probe, StorageFailed};
use crate::actors::prober::ProbedMailbox;
use crate::actors::raft::RaftActor;
use crate::actors::snapshot::reader::{SnapshotReaderActor, SnapshotReaderPorts};
use crate::actors::snapshot::writer::{SnapshotWriterActor, SnapshotWriterPorts};
use crate::kv::Store;
use crate::metrics::{MailboxesMetrics, NodeMetrics};
use crate::storage::{SnapshotFile, SnapshotFiles, Storage};
use crate::types::NodeId;

/// The contents of a data directory, opened, which the actors take over.
pub(super) struct Opened {
    pub(super) storage: Storage,
    /// The snapshots, to be changed.
    pub(super) snapshots: SnapshotFiles,
    /// The same snapshots, to be read.
    pub(super) snapshots_to_read: SnapshotFiles,
    /// The snapshots that were read from end to end.
    pub(super) files: Vec<SnapshotFile>,
    pub(super) store: Store,
    /// The name of the cluster and the node, for the heads of new snapshots.
    pub(super) owner: (String, NodeId),
}

/// The running actors.
pub(super) struct StorageSide {
    pub(super) log: Addr<LogActor>,
    pub(super) kv: Addr<KvActor>,
    pub(super) snapshot_writer: Addr<SnapshotWriterActor>,
    pub(super) snapshot_reader: Addr<SnapshotReaderActor>,
    /// The arbiters of the actors that block.
    pub(super) arbiters: Vec<Arbiter>,
    /// Receives the error when the disk fails.
    pub(super) failure: UnboundedReceiver<NodeError>,
    /// Ends the node when RaftActor says so.
    pub(super) must_stop: Recipient<NodeMustStop>,
}

impl StorageSide {
    /// The mailboxes that a prober measures: those of these actors, and that of `raft`.
    pub(super) fn mailboxes(
        &self,
        raft: &Addr<RaftActor>,
        metrics: &MailboxesMetrics,
    ) -> Vec<ProbedMailbox> {
        let actors: [(&str, Recipient<Probe>); 5] = [
            ("raft", raft.clone().recipient()),
            ("kv", self.kv.clone().recipient()),
            ("log", self.log.clone().recipient()),
            ("snapshot_writer", self.snapshot_writer.clone().recipient()),
            ("snapshot_reader", self.snapshot_reader.clone().recipient()),
        ];
        let probed = |(name, actor)| ProbedMailbox { actor, metrics: metrics.of(name) };
        actors.into_iter().map(probed).collect()
    }
}

/// Starts the actors; their answers go to `raft`.
pub(super) fn start(
    opened: Opened,
    placement: &Placement,
    memory: &MemoryBudget,
    raft: &Addr<RaftActor>,
    metrics: &NodeMetrics,
    slow: &SlowOperations,
) -> StorageSide {
    let (failed, failure) = unbounded_channel();
    let failure_actor = FailureActor { failed }.start();
    let (fatal, must_stop) = (failure_actor.clone().recipient(), failure_actor.recipient());
    let Opened { storage, snapshots, snapshots_to_read, files, store, owner } = opened;
    // All addresses come before the first actor, because writer and reader need each other's.
    let (log, log_mailbox) = mailbox::<LogActor>();
    let (snapshot_writer, writer_mailbox) = mailbox::<SnapshotWriterActor>();
    let (snapshot_reader, reader_mailbox) = mailbox::<SnapshotReaderActor>();
    let writer_ports = SnapshotWriterPorts {
        written: raft.clone().recipient(),
        piece: raft.clone().recipient(),
        received: raft.clone().recipient(),
        lost: raft.clone().recipient(),
        corrupted: raft.clone().recipient(),
        reader: snapshot_reader.clone().recipient(),
        fatal: fatal.clone(),
    };
    let reader_ports =
        SnapshotReaderPorts { writer: snapshot_writer.clone().recipient(), fatal: fatal.clone() };
    let persisted = raft.clone().recipient();
    let log_ports = LogPorts {
        raft: match placement {
            Placement::Inline { answers, .. } => answers(persisted),
            Placement::Threads => persisted,
        },
        compacted: raft.clone().recipient(),
        hold_saved: raft.clone().recipient(),
        fatal,
    };
    let writer = SnapshotWriterActor::new(snapshots, owner, writer_ports)
        .with_metrics(metrics.snapshots.clone());
    let reader = SnapshotReaderActor::new(snapshots_to_read, files, reader_ports);
    let mut arbiters = Vec::new();
    let log_actor = LogActor::new(storage, log_ports).with_metrics(metrics.log.clone());
    arbiters.extend(run(log_actor, log_mailbox, placement));
    arbiters.extend(run(writer, writer_mailbox, placement));
    arbiters.extend(run(reader, reader_mailbox, placement));
    let kv_ports = KvPorts {
        raft: raft.clone().recipient(),
        digests: raft.clone().recipient(),
        corrupted: raft.clone().recipient(),
        snapshots: snapshot_writer.clone().recipient(),
        memory: memory.clone(),
    };
    let kv = KvActor::new(store, kv_ports).with_metrics(metrics.store.clone());
    let kv = kv.with_slow_operations(slow.clone()).start();
    StorageSide { log, kv, snapshot_writer, snapshot_reader, arbiters, failure, must_stop }
}

/// Number of messages in a mailbox from which on `try_send` refuses and `send` waits;
/// `do_send` has no bound. This is actix's own default.
const MAILBOX_CAPACITY: usize = 16;

/// Returns the address of an actor that is yet to be started, and its mailbox.
fn mailbox<A: Actor<Context = Context<A>>>() -> (Addr<A>, AddressReceiver<A>) {
    let (sender, mailbox) = channel(MAILBOX_CAPACITY);
    (Addr::new(sender), mailbox)
}

/// Runs an actor that blocks. Returns its arbiter if it got one.
fn run<A>(actor: A, mailbox: AddressReceiver<A>, placement: &Placement) -> Option<Arbiter>
where
    A: Actor<Context = Context<A>> + Send,
{
    match placement {
        Placement::Inline { blocking, .. } => {
            blocking.spawn_local(Context::with_receiver(mailbox).into_future(actor));
            None
        }
        Placement::Threads => {
            let arbiter = Arbiter::new();
            arbiter.spawn_fn(move || {
                Context::with_receiver(mailbox).run(actor);
            });
            Some(arbiter)
        }
    }
}

/// Passes the error of a failed disk from the actors to `Node::failed`.
struct FailureActor {
    failed: UnboundedSender<NodeError>,
}

impl Actor for FailureActor {
    type Context = Context<Self>;
}

impl Handler<StorageFailed> for FailureActor {
    type Result = ();

    fn handle(&mut self, message: StorageFailed, _ctx: &mut Context<Self>) {
        // The receiver is gone only while the node is being stopped.
        let _ = self.failed.send(message.error.into());
    }
}

impl Handler<NodeMustStop> for FailureActor {
    type Result = ();

    fn handle(&mut self, message: NodeMustStop, _ctx: &mut Context<Self>) {
        let _ = self.failed.send(message.reason.into());
    }
}
