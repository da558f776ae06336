//! The commands that wait for their outcome: writes until their entry is applied, reads until
//! they are confirmed.
//!
//! A write that has timed out is answered, but its entry is still in the log and in memory, and
//! counts until it is applied. Otherwise the end of the log would run ahead without bound of a
//! quorum that is slower than the clients.

use std::collections::{BTreeMap, HashMap, VecDeque};

use bytes::Bytes;

use crate::actors::io::operation_times::OperationTimes;
use crate::actors::io::slow_operations::{OperationEnd, Subject};
use crate::actors::messages::clients::{ClientReply, ReplyHandle, SessionId};
use crate::actors::messages::kv::ApplyTask;
use crate::actors::messages::replies::Replies;
use crate::actors::messages::waiters::Waiters;
use crate::actors::raft::forwards::{ForwardedHere, Forwards};
use crate::actors::raft::held::HeldCommands;
use crate::actors::raft::moments::Moments;
use crate::actors::raft::order::{Kind, SessionOrder};
use crate::actors::raft::renewals::Renewals;
use crate::actors::raft::settings::RaftActorSettings;
use crate::kv::{self, Query};
use crate::protocol::Refusal;
use crate::raft::ReadToken;
use crate::types::{Entry, LogIndex, LogPosition, Payload, Term};

/// Memory in bytes that a command uses in addition to its own bytes: here, in the core and in
/// the queues of log and peers.
const COMMAND_OVERHEAD_BYTES: u64 = 512;

/// A write whose client waits for the outcome.
pub(super) struct PendingWrite {
    /// The term of the entry, which together with the index identifies it.
    pub(super) term: Term,
    pub(super) waiters: Waiters,
    pub(super) command: Bytes,
    pub(super) expires_at_tick: u64,
}

impl PendingWrite {
    fn bytes(&self) -> u64 {
        self.command.len() as u64
    }
}

/// A write that has timed out and is neither applied nor lost. It keeps its place in the
/// session's window until the session is told that it is one of the two.
struct TimedOutWrite {
    index: LogIndex,
    /// `None` of renewals, which have no place there.
    reply_handle: Option<ReplyHandle>,
    bytes: u64,
}

/// A read whose client waits for the answer.
pub(super) struct PendingRead {
    pub(super) query: Query,
    pub(super) reply_handle: ReplyHandle,
    pub(super) expires_at_tick: u64,
    /// True when a node that does not lead answers it, too.
    pub(super) is_anywhere: bool,
    /// True when it is counted in the order of its session.
    pub(super) is_tracked: bool,
}

/// The commands that wait. Invariants: `write_bytes` is the sum over `writes` and
/// `timed_out`; deadlines rise with indexes and with tokens.
#[derive(Default)]
pub(super) struct PendingCommands {
    writes: BTreeMap<LogIndex, PendingWrite>,
    /// The writes that have timed out, by rising index.
    timed_out: VecDeque<TimedOutWrite>,
    write_bytes: u64,
    reads: BTreeMap<ReadToken, PendingRead>,
    /// The commands that wait for the end of a transfer.
    pub(super) held: HeldCommands,
    /// The commands that were forwarded to the leader.
    pub(super) forwards: Forwards,
    /// The commands that peers have forwarded to this node.
    pub(super) here: ForwardedHere,
    /// The commands that wait for others of their session.
    pub(super) order: SessionOrder,
    /// The renewals of leases that will share an entry.
    pub(super) renewals: Renewals,
    /// The reads of what is applied, until the store is given its next tasks.
    pub(super) at_once: Vec<ApplyTask>,
    /// True when a read that has failed was asked again since the effects were executed.
    pub(super) is_retrying: bool,
    last_token: u64,
    /// The last entry of each session that has not been applied: its next read must see it.
    /// The order of this map is never used.
    last_proposed: HashMap<SessionId, LogIndex>,
    /// The highest value in `last_proposed`.
    last_proposed_max: LogIndex,
    /// The moments of the commands' way.
    pub(super) moments: Moments,
}

impl PendingCommands {
    /// True when no further command is accepted.
    pub(super) fn is_full(&self, settings: &RaftActorSettings) -> bool {
        self.len() >= settings.pending_commands_max
            || self.all_write_bytes() >= settings.pending_bytes_max
    }

    /// Bytes of memory that the commands use.
    pub(super) fn weight_bytes(&self) -> u64 {
        self.all_write_bytes() + self.len() as u64 * COMMAND_OVERHEAD_BYTES
    }

    fn all_write_bytes(&self) -> u64 {
        let waiting = self.held.write_bytes() + self.order.write_bytes();
        self.write_bytes + waiting + self.forwards.bytes() + self.here.bytes()
    }

    /// The number of commands.
    fn len(&self) -> usize {
        let own = self.writes.len() + self.timed_out.len() + self.reads.len();
        let waiting = self.held.len() + self.order.len() + self.renewals.len();
        own + waiting + self.forwards.len() + self.here.len() + self.at_once.len()
    }

    /// The number of writes that wait for their commit.
    pub(super) fn writes(&self) -> usize {
        self.writes.len()
    }

    /// Adds a write whose entry has this index.
    pub(super) fn add_write(&mut self, index: LogIndex, write: PendingWrite) {
        for session in write.waiters.sessions() {
            self.last_proposed.insert(session, index);
        }
        self.last_proposed_max = index;
        self.write_bytes += write.bytes();
        self.writes.insert(index, write);
    }

    /// A new token for a read.
    pub(super) fn next_token(&mut self) -> ReadToken {
        self.last_token += 1;
        ReadToken(self.last_token)
    }

    /// The number of reads that wait.
    pub(super) fn reads(&self) -> usize {
        self.reads.len()
    }

    /// Adds a read that waits for its confirmation. One that was held back may have less time left
    /// than a read that overtook it: it gets as much.
    pub(super) fn add_read(&mut self, token: ReadToken, read: PendingRead) {
        let last = self.reads.last_key_value().map_or(0, |(_, read)| read.expires_at_tick);
        let expires_at_tick = read.expires_at_tick.max(last);
        self.reads.insert(token, PendingRead { expires_at_tick, ..read });
    }

    /// Removes the write of this entry, and never that of another entry with the same index.
    pub(super) fn take_write(&mut self, position: LogPosition) -> Option<Waiters> {
        let write = self.writes.get(&position.index)?;
        if write.term != position.term {
            return None;
        }
        let mut waiters = self.remove_write(position.index)?.waiters;
        waiters.note(|times| {
            self.moments.note_batch(position.index, times);
            times.release(self.moments.now);
        });
        Some(waiters)
    }

    /// An entry is given to the store. If a peer has forwarded it, that peer answers its client,
    /// and does not know where the time went here.
    pub(super) fn end_forwarded_here(&self, entry: &Entry) {
        if let Payload::Command(command) = &entry.payload
            && let Some(arrived_at) = self.here.arrived_at(entry.index)
        {
            let name = command.first().map_or("other", |operation| kv::operation_name(*operation));
            let mut times = OperationTimes::arrived(name, arrived_at);
            self.moments.note_batch(entry.index, &mut times);
            let (now, end) = (self.moments.now, OperationEnd::Committed);
            self.moments.slow.judge(&times, now, end, Subject::Write(command));
        }
    }

    /// Removes the read of this token; `None` when it has timed out.
    pub(super) fn take_read(&mut self, token: ReadToken) -> Option<PendingRead> {
        self.reads.remove(&token)
    }

    /// The last entry of the session that may not be applied yet; 0 for none.
    pub(super) fn last_proposed(&self, session: SessionId) -> LogIndex {
        self.last_proposed.get(&session).copied().unwrap_or_default()
    }

    /// Everything up to `last_applied` is applied. Returns the messages that settle the writes
    /// among it that had timed out.
    pub(super) fn on_applied(&mut self, last_applied: LogIndex) -> Replies {
        self.here.on_applied(last_applied);
        let settled = self.timed_out.partition_point(|entry| entry.index <= last_applied);
        let mut replies = Replies::default();
        self.settle(settled, &mut replies);
        self.forget_sessions_up_to(last_applied);
        replies
    }

    /// Removes the first `count` of the writes that have timed out.
    fn settle(&mut self, count: usize, replies: &mut Replies) {
        for TimedOutWrite { reply_handle, bytes, .. } in self.timed_out.drain(..count) {
            self.write_bytes -= bytes;
            if let Some(reply_handle) = reply_handle {
                replies.add(reply_handle, ClientReply::Settled { command_bytes: bytes as usize });
            }
        }
    }

    fn forget_sessions_up_to(&mut self, last_applied: LogIndex) {
        if last_applied >= self.last_proposed_max {
            self.last_proposed.clear();
        } else if self.last_proposed.len() > 2 * self.writes.len() + 64 {
            self.last_proposed.retain(|_, index| *index > last_applied);
        }
    }

    /// Returns the replies to the commands whose time is over at `tick`, and adds the reads
    /// among them to `cancelled`. A write among them may yet be executed.
    pub(super) fn time_out(&mut self, tick: u64, cancelled: &mut Vec<ReadToken>) -> Replies {
        let mut replies = Replies::default();
        while let Some((&index, first)) = self.writes.first_key_value()
            && first.expires_at_tick <= tick
        {
            if let Some(write) = self.writes.remove(&index) {
                let bytes = write.bytes();
                let PendingWrite { mut waiters, command, .. } = write;
                waiters.note(|times| self.moments.note_batch(index, times));
                let subject = Subject::Write(&command);
                self.moments.end_write(&waiters, OperationEnd::TimedOut, subject);
                let reply_handle = match waiters {
                    Waiters::One(reply_handle) => {
                        replies.add(reply_handle.clone(), ClientReply::TimedOut);
                        Some(reply_handle)
                    }
                    renewals @ Waiters::Renewals(_) => {
                        let refused = ClientReply::Refused(Refusal::Timeout);
                        renewals.answer_all(&refused, &mut replies);
                        None
                    }
                };
                self.timed_out.push_back(TimedOutWrite { index, reply_handle, bytes });
            }
        }
        while let Some(first) = self.reads.first_entry()
            && first.get().expires_at_tick <= tick
        {
            cancelled.push(*first.key());
            let PendingRead { query, reply_handle, is_tracked, .. } = first.remove();
            self.moments.end_read(&reply_handle, OperationEnd::TimedOut, &query);
            if is_tracked {
                self.order.end(reply_handle.session, Kind::Read);
            }
            replies.add(reply_handle, ClientReply::Refused(Refusal::Timeout));
        }
        replies
    }

    /// The leadership of `term` is over: this node will not learn the outcome of the writes
    /// that were proposed in it and not applied. Returns the replies to them.
    pub(super) fn lose_writes_of(&mut self, term: Term) -> Replies {
        let mut replies = Replies::default();
        while let Some((&index, first)) = self.writes.first_key_value()
            && first.term <= term
        {
            if let Some(write) = self.remove_write(index) {
                let lost = ClientReply::Refused(Refusal::LeadershipLost);
                let PendingWrite { mut waiters, command, .. } = write;
                waiters.note(|times| self.moments.note_batch(index, times));
                let subject = Subject::Write(&command);
                self.moments.end_write(&waiters, OperationEnd::Lost, subject);
                waiters.answer_all(&lost, &mut replies);
            }
        }
        self.here.lose_entries();
        self.settle(self.timed_out.len(), &mut replies);
        self.last_proposed.clear();
        replies
    }

    fn remove_write(&mut self, index: LogIndex) -> Option<PendingWrite> {
        let write = self.writes.remove(&index)?;
        self.write_bytes -= write.bytes();
        Some(write)
    }
}
