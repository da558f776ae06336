//! The actors that keep the node's data: log, store and snapshots.

use actix::{Actor, Addr, Arbiter, AsyncContext, Context, Handler};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::environment::Placement;
use crate::actors::io::memory::MemoryBudget;
use crate::actors::kv::{KvActor, KvPorts};
use crate::actors::log::{LogActor, LogPorts};
use crate::actors::messages::lifecycle::StorageFailed;
use crate::actors::raft::RaftActor;
use crate::actors::snapshot::{SnapshotActor, SnapshotPorts};
use crate::kv::Store;
use crate::storage::{SnapshotFile, SnapshotFiles, Storage, StorageError};
use crate::types::NodeId;

/// The contents of a data directory, opened, which the actors take over.
pub(super) struct Opened {
    pub(super) storage: Storage,
    pub(super) snapshots: SnapshotFiles,
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
    pub(super) snapshots: Addr<SnapshotActor>,
    /// The arbiters of those that block.
    pub(super) arbiters: Vec<Arbiter>,
    /// Receives the error when the disk fails.
    pub(super) failure: UnboundedReceiver<StorageError>,
}

/// Starts the actors; their answers go to `raft`.
pub(super) fn start(
    opened: Opened,
    placement: &Placement,
    memory: &MemoryBudget,
    raft: &Addr<RaftActor>,
) -> StorageSide {
    let (failed, failure) = unbounded_channel();
    let fatal = FailureActor { failed }.start().recipient();
    let snapshot_ports = SnapshotPorts {
        written: raft.clone().recipient(),
        piece: raft.clone().recipient(),
        received: raft.clone().recipient(),
        lost: raft.clone().recipient(),
        fatal: fatal.clone(),
    };
    let Opened { storage, snapshots, files, store, owner } = opened;
    let snapshots = SnapshotActor::new(snapshots, files, owner, snapshot_ports);
    let compacted = raft.clone().recipient();
    let log_ports = |persisted| LogPorts { raft: persisted, compacted, fatal };
    let persisted = raft.clone().recipient();
    let (log, snapshots, arbiters) = match placement {
        Placement::Inline { blocking, answers } => {
            let (log_ctx, snapshot_ctx) = (Context::<LogActor>::new(), Context::new());
            let (log_address, snapshot_address) = (log_ctx.address(), snapshot_ctx.address());
            let log = LogActor::new(storage, log_ports(answers(persisted)));
            blocking.spawn_local(log_ctx.into_future(log));
            blocking.spawn_local(snapshot_ctx.into_future(snapshots));
            (log_address, snapshot_address, Vec::new())
        }
        Placement::Threads => {
            let (log_arbiter, snapshot_arbiter) = (Arbiter::new(), Arbiter::new());
            let log = LogActor::new(storage, log_ports(persisted));
            let log = LogActor::start_in_arbiter(&log_arbiter.handle(), move |_| log);
            let snapshots =
                SnapshotActor::start_in_arbiter(&snapshot_arbiter.handle(), move |_| snapshots);
            (log, snapshots, vec![log_arbiter, snapshot_arbiter])
        }
    };
    let kv_ports = KvPorts {
        raft: raft.clone().recipient(),
        snapshot: snapshots.clone().recipient(),
        discard: snapshots.clone().recipient(),
        memory: memory.clone(),
    };
    let kv = KvActor::new(store, kv_ports).start();
    StorageSide { log, kv, snapshots, arbiters, failure }
}

/// Passes the error of a failed disk from the actors to `Node::failed`.
struct FailureActor {
    failed: UnboundedSender<StorageError>,
}

impl Actor for FailureActor {
    type Context = Context<Self>;
}

impl Handler<StorageFailed> for FailureActor {
    type Result = ();

    fn handle(&mut self, message: StorageFailed, _ctx: &mut Context<Self>) {
        // The receiver is gone only while the node is being stopped.
        let _ = self.failed.send(message.error);
    }
}
