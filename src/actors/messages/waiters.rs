//! The commands that wait for the outcome of one entry, and how it becomes their replies.

use std::fmt;

use crate::actors::io::operation_times::OperationTimes;
use crate::actors::messages::clients::{ClientReply, ReplyHandle, SessionId};
use crate::actors::messages::replies::Replies;
use crate::kv;

/// The commands that wait for the outcome of one entry.
#[derive(Clone)]
pub enum Waiters {
    /// The command that is the entry.
    One(ReplyHandle),
    /// The renewals of leases that share the entry, each with its lease, in the order of the ids
    /// in the entry.
    Renewals(Vec<(u64, ReplyHandle)>),
}

impl fmt::Debug for Waiters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Waiters::One(reply_handle) => reply_handle.fmt(f),
            Waiters::Renewals(renewals) => renewals.fmt(f),
        }
    }
}

impl From<ReplyHandle> for Waiters {
    fn from(reply_handle: ReplyHandle) -> Waiters {
        Waiters::One(reply_handle)
    }
}

impl Waiters {
    fn handles(&self) -> impl Iterator<Item = &ReplyHandle> {
        let (one, renewals) = match self {
            Waiters::One(reply_handle) => (Some(reply_handle), &[][..]),
            Waiters::Renewals(renewals) => (None, &renewals[..]),
        };
        one.into_iter().chain(renewals.iter().map(|(_, reply_handle)| reply_handle))
    }

    /// The moments of each command's way.
    pub fn times(&self) -> impl Iterator<Item = &OperationTimes> {
        self.handles().map(|reply_handle| &reply_handle.times)
    }

    /// Notes a moment of the way of each command.
    pub fn note(&mut self, mut note: impl FnMut(&mut OperationTimes)) {
        match self {
            Waiters::One(reply_handle) => note(&mut reply_handle.times),
            Waiters::Renewals(renewals) => {
                renewals.iter_mut().for_each(|(_, reply_handle)| note(&mut reply_handle.times));
            }
        }
    }

    /// The session of each command.
    pub fn sessions(&self) -> impl Iterator<Item = SessionId> {
        self.handles().map(|reply_handle| reply_handle.session)
    }

    /// Adds the same reply for each command.
    pub fn answer_all(self, reply: &ClientReply, replies: &mut Replies) {
        for reply_handle in self.handles() {
            replies.add(reply_handle.clone(), reply.clone());
        }
    }

    /// Adds the outcome of the entry. Each renewal gets its part of it.
    pub fn answer(self, outcome: kv::Outcome, replies: &mut Replies) {
        match (self, outcome) {
            (Waiters::Renewals(renewals), kv::Outcome::Renewed(ttls)) => {
                for ((_, reply_handle), ttl) in renewals.into_iter().zip(ttls) {
                    let own = kv::Outcome::Renewed(vec![ttl]);
                    replies.add(reply_handle, ClientReply::Outcome(own));
                }
            }
            (waiters, outcome) => waiters.answer_all(&ClientReply::Outcome(outcome), replies),
        }
    }
}
