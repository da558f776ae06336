//! The renewals of leases of one mailbox drain, which share an entry. A lease is renewed every few
//! seconds by each of its clients, so a cluster with many of them has little else to log.

use crate::actors::messages::clients::{ReplyHandle, SessionId};

/// The renewals that wait for the end of the mailbox drain.
#[derive(Default)]
pub(super) struct Renewals {
    waiting: Vec<Renewal>,
}

/// A renewal that waits.
pub(super) struct Renewal {
    pub(super) id: u64,
    /// True when a node that does not lead forwards it.
    pub(super) is_anywhere: bool,
    pub(super) reply_handle: ReplyHandle,
    pub(super) expires_at_tick: u64,
}

impl Renewals {
    /// The number of renewals.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// True when the session has a renewal here.
    pub(super) fn has_any_of(&self, session: SessionId) -> bool {
        self.waiting.iter().any(|renewal| renewal.reply_handle.session == session)
    }

    /// Adds a renewal.
    pub(super) fn add(&mut self, renewal: Renewal) {
        self.waiting.push(renewal);
    }

    /// Removes all of them, in their order.
    pub(super) fn take(&mut self) -> Vec<Renewal> {
        std::mem::take(&mut self.waiting)
    }
}
