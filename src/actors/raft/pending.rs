//! The clients that wait for an entry to be applied or a read to be confirmed.

use std::collections::{BTreeMap, HashMap, VecDeque};

use crate::actors::messages::clients::{ClientReply, ReplyHandle, SessionId};
use crate::actors::messages::replies::Replies;
use crate::actors::raft::RaftActorSettings;
use crate::kv::Query;
use crate::protocol::Refusal;
use crate::raft::ReadToken;
use crate::types::{LogIndex, LogPosition, Term};

/// What a waiting command costs beside its bytes: its place here, in the core and in
/// the queues of log and peers.
const COMMAND_OVERHEAD_BYTES: u64 = 512;

/// A proposal whose outcome somebody wants to know.
pub(super) struct Proposal {
    /// The term of its entry: with the index, its identity.
    pub(super) term: Term,
    pub(super) reply_handle: ReplyHandle,
    pub(super) bytes: u64,
    pub(super) expires_at_tick: u64,
}

/// A proposal that has timed out and is neither applied nor lost: its session is told
/// when it is, for it holds a place of that session's window until then.
struct Unanswerable {
    index: LogIndex,
    reply_handle: ReplyHandle,
    bytes: u64,
}

struct Read {
    query: Query,
    reply_handle: ReplyHandle,
    expires_at_tick: u64,
}

/// Invariants: `proposal_bytes` is the sum over `proposals` and `unanswerable`; deadlines
/// rise with indexes and with tokens, since every command has the same time.
#[derive(Default)]
pub(super) struct Waiting {
    proposals: BTreeMap<LogIndex, Proposal>,
    /// Those whose client was told that their time is over: they are in the log and in
    /// memory until they are applied, and count until then. Else a quorum that is slower
    /// than the clients lets the log's end run away from it.
    unanswerable: VecDeque<Unanswerable>,
    proposal_bytes: u64,
    reads: BTreeMap<ReadToken, Read>,
    last_token: u64,
    /// The last entry of each session that has not been applied: its next read
    /// must see it. Looked up, never iterated for an order.
    last_proposed: HashMap<SessionId, LogIndex>,
    /// The highest value in `last_proposed`.
    last_proposed_max: LogIndex,
}

impl Waiting {
    pub(super) fn is_full(&self, settings: &RaftActorSettings) -> bool {
        self.proposals.len() + self.unanswerable.len() + self.reads.len()
            >= settings.waiting_commands_max
            || self.proposal_bytes >= settings.waiting_bytes_max
    }

    /// What they hold in memory.
    pub(super) fn weight_bytes(&self) -> u64 {
        let commands = self.proposals.len() + self.unanswerable.len() + self.reads.len();
        self.proposal_bytes + commands as u64 * COMMAND_OVERHEAD_BYTES
    }

    pub(super) fn add_proposal(&mut self, index: LogIndex, proposal: Proposal) {
        self.last_proposed.insert(proposal.reply_handle.session, index);
        self.last_proposed_max = index;
        self.proposal_bytes += proposal.bytes;
        self.proposals.insert(index, proposal);
    }

    pub(super) fn next_token(&mut self) -> ReadToken {
        self.last_token += 1;
        ReadToken(self.last_token)
    }

    pub(super) fn add_read(
        &mut self,
        token: ReadToken,
        query: Query,
        reply_handle: ReplyHandle,
        expires_at_tick: u64,
    ) {
        self.reads.insert(token, Read { query, reply_handle, expires_at_tick });
    }

    /// Who waits for this very entry; not for another of the same index.
    pub(super) fn take_proposal(&mut self, position: LogPosition) -> Option<ReplyHandle> {
        let proposal = self.proposals.get(&position.index)?;
        if proposal.term != position.term {
            return None;
        }
        self.remove_proposal(position.index).map(|proposal| proposal.reply_handle)
    }

    /// `None` when it has timed out.
    pub(super) fn take_read(&mut self, token: ReadToken) -> Option<(Query, ReplyHandle)> {
        self.reads.remove(&token).map(|read| (read.query, read.reply_handle))
    }

    /// The last entry that the session proposed and that may not be applied yet.
    pub(super) fn last_proposed(&self, session: SessionId) -> LogIndex {
        self.last_proposed.get(&session).copied().unwrap_or_default()
    }

    /// Nothing up to `last_applied` waits to be applied.
    pub(super) fn on_applied(&mut self, last_applied: LogIndex) -> Replies {
        let settled = self.unanswerable.partition_point(|entry| entry.index <= last_applied);
        let mut replies = Replies::default();
        self.settle(settled, &mut replies);
        self.forget_sessions_up_to(last_applied);
        replies
    }

    /// The first `count` of `unanswerable` hold memory no longer.
    fn settle(&mut self, count: usize, replies: &mut Replies) {
        for Unanswerable { reply_handle, bytes, .. } in self.unanswerable.drain(..count) {
            self.proposal_bytes -= bytes;
            replies.add(reply_handle, ClientReply::Settled { command_bytes: bytes as usize });
        }
    }

    fn forget_sessions_up_to(&mut self, last_applied: LogIndex) {
        if last_applied >= self.last_proposed_max {
            self.last_proposed.clear();
        } else if self.last_proposed.len() > 2 * self.proposals.len() + 64 {
            self.last_proposed.retain(|_, index| *index > last_applied);
        }
    }

    /// What has waited too long: it may yet be executed.
    pub(super) fn time_out(&mut self, tick: u64) -> Replies {
        let mut replies = Replies::default();
        while let Some((&index, first)) = self.proposals.first_key_value()
            && first.expires_at_tick <= tick
        {
            if let Some(proposal) = self.proposals.remove(&index) {
                let Proposal { reply_handle, bytes, .. } = proposal;
                replies.add(reply_handle.clone(), ClientReply::TimedOut);
                self.unanswerable.push_back(Unanswerable { index, reply_handle, bytes });
            }
        }
        while let Some(first) = self.reads.first_entry()
            && first.get().expires_at_tick <= tick
        {
            replies.add(first.remove().reply_handle, ClientReply::Refused(Refusal::Timeout));
        }
        replies
    }

    /// The leadership of `term` is over: nobody here will learn the outcome of what
    /// was proposed in it and not handed over.
    pub(super) fn lose_proposals_of(&mut self, term: Term) -> Replies {
        let mut replies = Replies::default();
        while let Some((&index, first)) = self.proposals.first_key_value()
            && first.term <= term
        {
            if let Some(proposal) = self.remove_proposal(index)
                && !mutant!(B81b)
            {
                replies.add(proposal.reply_handle, ClientReply::Refused(Refusal::LeadershipLost));
            }
        }
        self.settle(self.unanswerable.len(), &mut replies);
        self.last_proposed.clear();
        replies
    }

    fn remove_proposal(&mut self, index: LogIndex) -> Option<Proposal> {
        let proposal = self.proposals.remove(&index)?;
        self.proposal_bytes -= proposal.bytes;
        Some(proposal)
    }
}
