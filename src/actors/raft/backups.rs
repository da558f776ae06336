//! Commands of clients that fetch a backup (docs/adr/0011).
//!
//! A `snapshot begin` waits until it is confirmed like a read. A question about snapshots
//! waits for SnapshotReaderActor, whose disk may stall for longer than a command may take:
//! the time limit is kept here, and an answer that comes after it is dropped.

use std::collections::BTreeMap;

use crate::actors::messages::clients::{ClientReply, ReplyHandle};
use crate::actors::messages::replies::Replies;
use crate::protocol::Refusal;
use crate::raft::ReadToken;

/// Maximum number of questions under way to SnapshotReaderActor, timed out or not, and of
/// `snapshot begin`s that wait; beyond, `ERR_BUSY`. Each answer may be a chunk of 1 MiB.
const QUERIES_MAX: usize = 64;

/// The commands of backups that wait. Invariant: deadlines rise with tokens and tickets,
/// because every command has the same time limit.
#[derive(Default)]
pub(super) struct PendingBackups {
    begins: BTreeMap<ReadToken, PendingBackup>,
    /// By ticket. `None` for a question that has timed out.
    queries: BTreeMap<u64, Option<PendingBackup>>,
    last_ticket: u64,
}

/// A command that waits.
pub(super) struct PendingBackup {
    pub(super) reply_handle: ReplyHandle,
    pub(super) expires_at_tick: u64,
}

impl PendingBackups {
    /// The number of `snapshot begin`s that wait.
    pub(super) fn begins(&self) -> usize {
        self.begins.len()
    }

    /// True when no further `snapshot begin` is accepted.
    pub(super) fn has_most_begins(&self) -> bool {
        self.begins.len() >= QUERIES_MAX
    }

    /// True when no further question is accepted.
    pub(super) fn has_most_queries(&self) -> bool {
        self.queries.len() >= QUERIES_MAX
    }

    /// Adds a `snapshot begin` that waits for its read to be confirmed.
    pub(super) fn add_begin(&mut self, token: ReadToken, begin: PendingBackup) {
        self.begins.insert(token, begin);
    }

    /// Adds a question, and returns its ticket.
    pub(super) fn add_query(&mut self, query: PendingBackup) -> u64 {
        self.last_ticket += 1;
        self.queries.insert(self.last_ticket, Some(query));
        self.last_ticket
    }

    /// Removes the `snapshot begin` of this token; `None` when there is none or it has timed
    /// out.
    pub(super) fn take_begin(&mut self, token: ReadToken) -> Option<ReplyHandle> {
        self.begins.remove(&token).map(|begin| begin.reply_handle)
    }

    /// Removes the question of this ticket; `None` when there is none or it has timed out.
    pub(super) fn take_query(&mut self, ticket: u64) -> Option<ReplyHandle> {
        self.queries.remove(&ticket).flatten().map(|query| query.reply_handle)
    }

    /// Returns the refusals of the commands whose time is over at `tick`, and adds the reads of
    /// the `snapshot begin`s among them to `cancelled`.
    pub(super) fn time_out(&mut self, tick: u64, cancelled: &mut Vec<ReadToken>) -> Replies {
        let mut replies = Replies::default();
        while let Some(first) = self.begins.first_entry()
            && first.get().expires_at_tick <= tick
        {
            cancelled.push(*first.key());
            replies.add(first.remove().reply_handle, ClientReply::Refused(Refusal::Timeout));
        }
        for query in self.queries.values_mut() {
            if let Some(expired) = query.take_if(|query| query.expires_at_tick <= tick) {
                replies.add(expired.reply_handle, ClientReply::Refused(Refusal::Timeout));
            }
        }
        replies
    }
}
