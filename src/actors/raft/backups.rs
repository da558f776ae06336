//! Clients that fetch a backup (docs/adr/0011): those that wait for their `snapshot
//! begin` to be confirmed like a read, and those whose question SnapshotActor is yet to
//! answer. It may be writing for longer than a command may take: their time runs out
//! here, and an answer that comes later is dropped.

use std::collections::BTreeMap;

use actix::{AsyncContext, Context, Handler};

use crate::actors::messages::clients::{ClientReply, ReplyHandle};
use crate::actors::messages::replies::Replies;
use crate::actors::messages::snapshots::{QuerySnapshots, SnapshotsQueried};
use crate::actors::raft::{RaftActor, not_leader, reply};
use crate::protocol::{Refusal, SnapshotQuery};
use crate::raft::ReadToken;

/// So many questions are on their way to SnapshotActor, answered in time or not:
/// beyond, `ERR_BUSY`. Each answer may be a piece of 1 MiB.
const QUERIES_MAX: usize = 64;

/// See the module. Deadlines rise with tokens and with tickets.
#[derive(Default)]
pub(super) struct Backups {
    begins: BTreeMap<ReadToken, Waiting>,
    /// By ticket; `None`: the client was told that its time is over.
    queries: BTreeMap<u64, Option<Waiting>>,
    last_ticket: u64,
}

struct Waiting {
    reply_handle: ReplyHandle,
    expires_at_tick: u64,
}

impl Backups {
    /// Who waits for this `snapshot begin`.
    pub(super) fn take_begin(&mut self, token: ReadToken) -> Option<ReplyHandle> {
        self.begins.remove(&token).map(|waiting| waiting.reply_handle)
    }

    /// What has waited too long.
    pub(super) fn time_out(&mut self, tick: u64) -> Replies {
        let mut replies = Replies::default();
        while let Some(first) = self.begins.first_entry()
            && first.get().expires_at_tick <= tick
        {
            replies.add(first.remove().reply_handle, ClientReply::Refused(Refusal::Timeout));
        }
        for query in self.queries.values_mut() {
            if let Some(waiting) = query.take_if(|waiting| waiting.expires_at_tick <= tick) {
                replies.add(waiting.reply_handle, ClientReply::Refused(Refusal::Timeout));
            }
        }
        replies
    }
}

impl RaftActor {
    pub(super) fn begin_snapshot(&mut self, reply_handle: &ReplyHandle) -> Result<(), Refusal> {
        if self.waiting.is_full(&self.settings) || self.backup.begins.len() >= QUERIES_MAX {
            return Err(self.busy_or_not_leader());
        }
        let after = self.waiting.last_proposed(reply_handle.session);
        let token = self.waiting.next_token();
        self.raft.read(token, after).map_err(not_leader)?;
        let waiting = self.with_deadline(reply_handle);
        self.backup.begins.insert(token, waiting);
        Ok(())
    }

    pub(super) fn query_snapshots(
        &mut self,
        query: SnapshotQuery,
        reply_handle: &ReplyHandle,
        ctx: &Context<Self>,
    ) -> Result<(), Refusal> {
        if self.backup.queries.len() >= QUERIES_MAX {
            return Err(Refusal::Busy);
        }
        self.backup.last_ticket += 1;
        let ticket = self.backup.last_ticket;
        let waiting = self.with_deadline(reply_handle);
        self.backup.queries.insert(ticket, Some(waiting));
        let reply_to = ctx.address().recipient();
        self.ports.snapshot_queries.do_send(QuerySnapshots { ticket, query, reply_to });
        Ok(())
    }

    fn with_deadline(&self, reply_handle: &ReplyHandle) -> Waiting {
        let expires_at_tick = self.ticks + self.settings.request_timeout_ticks;
        Waiting { reply_handle: reply_handle.clone(), expires_at_tick }
    }
}

impl Handler<SnapshotsQueried> for RaftActor {
    type Result = ();

    fn handle(&mut self, message: SnapshotsQueried, _ctx: &mut Context<Self>) {
        let SnapshotsQueried { ticket, answer } = message;
        if let Some(Some(waiting)) = self.backup.queries.remove(&ticket) {
            reply(waiting.reply_handle, ClientReply::Snapshot(answer));
        }
    }
}
