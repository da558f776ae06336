//! The commands of operators about the leadership that wait, and the parts of the process that wait
//! for its end (docs/adr/0028).

use tokio::sync::oneshot;

use crate::actors::messages::clients::ReplyHandle;
use crate::types::{Term, TransferTarget};

/// Maximum number of transfers and drains that wait; beyond, `ERR_BUSY`.
const COMMANDS_MAX: usize = 64;

/// The commands that wait.
#[derive(Default)]
pub(super) struct PendingTransfers {
    pub(super) transfers: Vec<PendingTransfer>,
    pub(super) drains: Vec<PendingDrain>,
    /// The parts of the process that wait until this node does not lead, and no command is held.
    pub(super) stops: Vec<oneshot::Sender<()>>,
}

/// A transfer that waits.
pub(super) struct PendingTransfer {
    pub(super) target: TransferTarget,
    pub(super) stage: Stage,
    pub(super) reply_handle: ReplyHandle,
    pub(super) expires_at_tick: u64,
}

pub(super) enum Stage {
    /// It has not begun, for this reason, and is asked for again at each tick.
    TooEarly(String),
    /// It has begun in this term.
    Begun(Term),
}

/// A drain of a leader.
pub(super) struct PendingDrain {
    pub(super) reply_handle: ReplyHandle,
    pub(super) expires_at_tick: u64,
}

impl PendingTransfers {
    /// True when no further command is accepted.
    pub(super) fn has_most(&self) -> bool {
        self.transfers.len() + self.drains.len() >= COMMANDS_MAX
    }
}
