//! The renewals of leases of one mailbox drain, which share an entry. A lease is renewed every few
//! seconds by each of its clients, so a cluster with many of them has little else to log.

use super::RaftActor;
use crate::actors::messages::clients::{ClientReply, ReplyHandle, SessionId, Waiters};
use crate::actors::messages::replies::{Replies, reply};
use crate::kv::{Command, Operation};
use crate::raft::Role;

/// Maximum number of leases that one entry renews.
const IDS_MAX: usize = 1_000;

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
}

impl RaftActor {
    /// Proposes the renewals that wait, or forwards them.
    pub(super) fn propose_renewals(&mut self) {
        let mut waiting = std::mem::take(&mut self.pending.renewals.waiting);
        if waiting.is_empty() {
            return;
        }
        if self.raft.role() != Role::Leader {
            for plain in waiting.extract_if(.., |renewal| !renewal.is_anywhere) {
                let refusal = self.not_leader();
                reply(plain.reply_handle, ClientReply::Refused(refusal));
            }
        }
        while !waiting.is_empty() {
            let rest = waiting.split_off(waiting.len().min(IDS_MAX));
            self.propose_together(std::mem::replace(&mut waiting, rest));
        }
    }

    /// Proposes renewals as one entry.
    fn propose_together(&mut self, renewals: Vec<Renewal>) {
        let ids: Vec<u64> = renewals.iter().map(|renewal| renewal.id).collect();
        let expires_at_tick = renewals.iter().map(|it| it.expires_at_tick).max().unwrap_or(0);
        let command =
            Command { once: None, store_bytes_max: 0, operation: Operation::Renew { ids } };
        let bytes = command.encode();
        let waiters = Waiters::Renewals(
            renewals.into_iter().map(|renewal| (renewal.id, renewal.reply_handle)).collect(),
        );
        let mut replies = Replies::default();
        if let Some(sentence) = self.not_yet(&bytes) {
            waiters.answer_all(&ClientReply::NotYet(sentence), &mut replies);
            return replies.send();
        }
        let outcome = if self.raft.role() == Role::Leader {
            self.propose(bytes, waiters.clone(), expires_at_tick)
        } else {
            self.forward(bytes, waiters.clone(), expires_at_tick)
        };
        if let Err(refusal) = outcome {
            // The plain ones among them are here on a leader only, which redirects nobody.
            let refusal = self.refusal_to(true, refusal);
            waiters.answer_all(&ClientReply::Refused(refusal), &mut replies);
        }
        replies.send();
    }
}
